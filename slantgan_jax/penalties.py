"""Penalties and constraints on the discriminator, each a few lines.

A *penalty* is a function of D's logit function and of the images of a step. `games.penalized` adds it to D's loss. A
norm is over the pixels of one image, and its gradient is finite where ∇ℓ = 0. A *constraint* is `spectral` or
`clipped`. docs/methods.md#penalties-and-constraints compares them, and states which are the same on slanted land.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from slantgan_jax.networks import Discriminator
from slantgan_jax.numerics import safe_norm, squared_norm
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
    """A penalty: its `loss`, and the names of what it `draws`, of "epsilon" and "penalty_noise"."""

    loss: PenaltyLoss
    draws: tuple[str, ...] = ()

    def __call__(self, logit: Callable[[Image], jax.Array], inputs: PenaltyInputs) -> jax.Array:
        """The value of the penalty, a scalar."""
        return self.loss(logit, inputs)


def r1(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(x)‖² at real images x. Mescheder et al. 2018 (arXiv:1801.04406), eq. 9."""
    return Penalty(lambda logit, inputs: gamma / 2 * squared_norm(jax.grad(logit)(inputs.real)))


def r2(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(G(z))‖² at generated images. Mescheder et al. 2018 (arXiv:1801.04406), eq. 10."""
    return Penalty(lambda logit, inputs: gamma / 2 * squared_norm(jax.grad(logit)(inputs.fake)))


def wgan_gp(strength: jax.Array | float, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x̂)‖ - k)² at x̂ = ε x + (1 - ε) G(z). Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, with k = 1."""
    return Penalty(
        lambda logit, inputs: strength * (safe_norm(jax.grad(logit)(_mixed(inputs))) - norm) ** 2, ("epsilon",)
    )


def zero_centered(strength: jax.Array | float) -> Penalty:
    """λ ‖∇ℓ(x̂)‖² at x̂ = ε x + (1 - ε) G(z). The "0-GP" of Thanh-Tung et al. 2019 (arXiv:1902.03984)."""
    return Penalty(lambda logit, inputs: strength * squared_norm(jax.grad(logit)(_mixed(inputs))), ("epsilon",))


def dragan(strength: jax.Array | float, variance: jax.Array | float = 0.01, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x + δ)‖ - k)² at real images x, δ ~ N(0, c I). Kodali et al. 2017 (arXiv:1705.07215), section 2.3."""

    def loss(logit: Callable[[Image], jax.Array], inputs: PenaltyInputs) -> jax.Array:
        moved = jax.tree.map(lambda x, n: x + jnp.sqrt(variance) * n, inputs.real, inputs.noise)
        return strength * (safe_norm(jax.grad(logit)(moved)) - norm) ** 2

    return Penalty(loss, ("penalty_noise",))


def spectral(logit: Callable[[Any, Image], jax.Array]) -> Callable[[Any, Image], jax.Array]:
    """`logit` with D's weights divided by their largest singular value: of one row u, ‖u‖₂, so ‖∇ℓ‖ = 1.

    At u = 0 the quotient is 0, with the derivative 0. Miyato et al. 2018 (arXiv:1802.05957), eq. 8.
    """

    def normalized(discriminator: Discriminator, image: Image) -> jax.Array:
        length = safe_norm(discriminator.weights)
        scale = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
        return logit(discriminator._replace(weights=jax.tree.map(lambda u: u * scale, discriminator.weights)), image)

    return normalized


def clipped(optimizer: optax.GradientTransformation, bound: jax.Array | float) -> optax.GradientTransformation:
    """`optimizer`, each of its steps ending in the box [-bound, bound]: weight clipping, a projection.

    Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1, with the bound 0.01.

    Raises:
      ValueError: `bound` is a number that is not positive.
    """
    if isinstance(bound, int | float) and not bound > 0:
        raise ValueError(f"the bound of clipping is {bound}: give a positive number")

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("clipped needs the parameters: call update(updates, state, params)")
        steps, state = optimizer.update(updates, state, params)
        return jax.tree.map(lambda p, step: jnp.clip(p + step, -bound, bound) - p, params, steps), state

    return optax.GradientTransformation(optimizer.init, update)


def _mixed(inputs: PenaltyInputs) -> Image:
    return jax.tree.map(lambda x, g: inputs.epsilon * x + (1 - inputs.epsilon) * g, inputs.real, inputs.fake)
