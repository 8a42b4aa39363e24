"""Penalties and constraints on the discriminator, each a few lines.

A *penalty* is a function of D's logit function and of the images of a step. `games.penalized` adds it to D's loss. A
norm is over the pixels of one image, without labels, and its gradient is finite where ∇ℓ = 0. A *constraint* is
`spectral` or `clipped`. docs/methods/penalties.md compares them, and states which are the same on slanted land.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from slantgan_jax.checks import check_function, check_kind, check_number, shown
from slantgan_jax.numerics import as_float, but_labels, native, plain, safe_norm, squared_norm
from slantgan_jax.types import Image


class PenaltyInputs(NamedTuple):
    """What a penalty may look at: a `real` and a `fake` image, the uniform number `epsilon` and the standard-normal
    image `noise`. The last two are None unless a penalty of the game draws them."""

    real: Image
    fake: Image
    epsilon: Any = None
    noise: Any = None


PenaltyLoss = Callable[[Callable[[Image], jax.Array], PenaltyInputs], jax.Array]
"""`(logit, inputs) -> loss`, a scalar that D minimizes; `logit` is a function of one image."""


class Penalty(NamedTuple):
    """A penalty: its `loss`, and the names of the draws that it needs: "epsilon", "penalty_noise", both or none.

    If D normalizes over a batch, ∇ℓ at an image is the slope of the sum of the logits of the whole batch, see
    `networks.normalized`.
    """

    loss: PenaltyLoss
    draws: tuple[str, ...] = ()

    def __call__(self, logit: Callable[[Image], jax.Array], inputs: PenaltyInputs) -> jax.Array:
        """The value of the penalty, a scalar."""
        check_function("logit", logit, "image")
        check_kind("inputs", inputs, PenaltyInputs)
        return self.loss(logit, inputs)


def r1(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(x)‖² at real images x. Mescheder et al. 2018 (arXiv:1801.04406), eq. 9."""
    check_number("the strength of r1", gamma, 0)
    return Penalty(lambda logit, inputs: gamma / 2 * squared_norm(_slope(logit, inputs.real)))


def r2(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(G(z))‖² at generated images. Mescheder et al. 2018 (arXiv:1801.04406), eq. 10."""
    check_number("the strength of r2", gamma, 0)
    return Penalty(lambda logit, inputs: gamma / 2 * squared_norm(_slope(logit, inputs.fake)))


def wgan_gp(strength: jax.Array | float, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x̂)‖ - k)² at x̂ = ε x + (1 - ε) G(z). Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, with k = 1."""
    check_number("the strength of wgan_gp", strength, 0)
    check_number("the norm of wgan_gp", norm, 0)
    return Penalty(
        lambda logit, inputs: strength * (safe_norm(_slope(logit, _mixed(inputs))) - norm) ** 2, ("epsilon",)
    )


def zero_centered(strength: jax.Array | float) -> Penalty:
    """λ ‖∇ℓ(x̂)‖² at x̂ = ε x + (1 - ε) G(z). The "0-GP" of Thanh-Tung et al. 2019 (arXiv:1902.03984)."""
    check_number("the strength of zero_centered", strength, 0)
    return Penalty(lambda logit, inputs: strength * squared_norm(_slope(logit, _mixed(inputs))), ("epsilon",))


def dragan(strength: jax.Array | float, variance: jax.Array | float = 0.01, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x + δ)‖ - k)² at real images x, δ ~ N(0, c I). Kodali et al. 2017 (arXiv:1705.07215), section 2.3."""
    for name, value in (("strength", strength), ("variance", variance), ("norm", norm)):
        check_number(f"the {name} of dragan", value, 0)

    def loss(logit: Callable[[Image], jax.Array], inputs: PenaltyInputs) -> jax.Array:
        moved = but_labels(lambda x, n: x + jnp.sqrt(variance) * n, inputs.real, inputs.noise)
        return strength * (safe_norm(_slope(logit, moved)) - norm) ** 2

    return Penalty(loss, ("penalty_noise",))


def spectral(logit: Callable[[Any, Image], jax.Array]) -> Callable[[Any, Image], jax.Array]:
    """`logit` with the weights of each layer of D divided by their largest singular value σ(W).

        W / σ(W);   one row u: u / ‖u‖₂, so ‖∇ℓ‖ = 1

    A layer is a NamedTuple in D with a field `weights`. A pytree of pixels is one row. An array of more than two axes
    is the matrix `[first axis, all others]`. At W = 0 the quotient is 0, with the derivative 0. Miyato et al. 2018
    (arXiv:1802.05957), eq. 8. σ(W) is exact, by LAPACK, and not by their power iteration (algorithm 1). Where a
    singular value comes twice, as in an orthogonal W, second derivatives are NaN, and with them fields such as
    `fields.consensus`. With jaxlib 0.10, train many such networks by `sweep`: under `jax.vmap` alone, the LAPACK of
    several layers can stand still, see docs/sweeps.md#what-a-run-may-contain.

    The squares of the weights have to be numbers of their precision: in float32, weights below 1e-19 count as 0, and
    beyond 1e19 the logit or its derivative is wrong.

    Raises:
      ValueError: `logit` is no function of a discriminator and an image. When it is called, D has no layers, a
        matrix outside of them, or several in one.
    """
    check_function("logit", logit, "discriminator", "image", such_as="networks.logit")

    def is_layer(part: Any) -> bool:
        return hasattr(part, "weights") and hasattr(part, "_replace")

    def normalized_layer(layer: Any) -> Any:
        if not is_layer(layer):
            return layer
        weights = jax.tree.map(native, layer.weights)
        size = _largest_singular_value(weights)
        scale = jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0)
        return layer._replace(weights=jax.tree.map(lambda w: w * scale, weights))

    def normalized(discriminator: Any, image: Image) -> jax.Array:
        parts = jax.tree.leaves(discriminator, is_leaf=is_layer)
        if not any(map(is_layer, parts)) or any(jnp.ndim(part) > 1 for part in parts if not is_layer(part)):
            raise ValueError(
                f"spectral finds weights that are in no layer of {shown(discriminator)}: give a discriminator of "
                "NamedTuples with `weights`, as networks.mlp has"
            )
        return logit(jax.tree.map(normalized_layer, discriminator, is_leaf=is_layer), image)

    return normalized


def clipped(optimizer: optax.GradientTransformation, bound: jax.Array | float) -> optax.GradientTransformation:
    """`optimizer`, each of its steps ending in the box [-bound, bound]: weight clipping, a projection.

    Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1, with the bound 0.01.

    Raises:
      ValueError: `bound` is a number that is not positive.
    """
    check_kind("the optimizer", optimizer, optax.GradientTransformation)
    check_number("the bound of clipping", bound, positive=True)
    bound = plain(bound)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("clipped needs the parameters: call update(updates, state, params)")
        steps, state = optimizer.update(updates, state, params)
        return jax.tree.map(lambda p, step: _step_to(p, jnp.clip(p + step, -bound, bound)), params, steps), state

    return optax.GradientTransformation(optimizer.init, update)


def _step_to(start: jax.Array, end: jax.Array) -> jax.Array:
    """The s with start + s = end after rounding, or else the nearest such sum towards 0. Its derivatives are exact."""
    step, place, far = end - start, *jax.lax.stop_gradient((start, end))
    short = jax.lax.stop_gradient(step)
    for _ in range(2):
        beyond = jnp.abs(place + short) > jnp.abs(far)
        short = jnp.where(beyond, jnp.nextafter(short, -jnp.sign(far) * jnp.inf), short)
    return step + (short - jax.lax.stop_gradient(step))


def _largest_singular_value(weights: Any) -> jax.Array:
    """σ of a matrix of weights; a pytree of more leaves, or of a vector, is one row."""
    leaves = jax.tree.leaves(weights)
    if len(leaves) > 1 and any(jnp.ndim(leaf) > 1 for leaf in leaves):
        raise ValueError(
            f"spectral finds several matrices in one layer, {shown(weights)}: give each a layer of its own"
        )
    if len(leaves) > 1 or jnp.ndim(leaves[0]) < 2:
        return safe_norm(weights)
    matrix = leaves[0].reshape(leaves[0].shape[0], -1)
    # As in `safe_norm`: no square that a derivative divides by is below the least normal number.
    zero = squared_norm(matrix) < min(matrix.shape) * jnp.finfo(matrix.dtype).tiny
    return jnp.where(zero, 0, jnp.linalg.norm(jnp.where(zero, jnp.eye(*matrix.shape), matrix), 2))


def _mixed(inputs: PenaltyInputs) -> Image:
    """x̂; labels are those of the real image."""
    return but_labels(lambda x, g: inputs.epsilon * x + (1 - inputs.epsilon) * g, inputs.real, inputs.fake)


def _slope(logit: Callable[[Image], jax.Array], image: Image) -> list[jax.Array]:
    """∇ℓ by all numbers of an image but its labels, which have no derivative."""
    numbers = but_labels(lambda x: x if jnp.issubdtype(jnp.result_type(x), jnp.inexact) else as_float(x), image)
    slopes = jax.tree.leaves(jax.grad(logit, allow_int=True)(numbers))
    return [slope for slope in slopes if slope.dtype != jax.dtypes.float0]
