"""Penalties and constraints on the discriminator, each a few lines.

A *penalty* is a function of D's logit function and of the images of a step; `games.penalized` adds it to D's loss as
one more term. With a, b independent standard-normal images and ε ~ U(0, 1) from the sample,

    r1             γ/2 ‖∇ℓ(x)‖²                at a real image x
    r2             γ/2 ‖∇ℓ(G(z))‖²             at a generated one
    wgan_gp        λ (‖∇ℓ(x̂)‖ - k)²            at x̂ = ε x + (1 - ε) G(z)
    zero_centred   λ ‖∇ℓ(x̂)‖²
    dragan         λ (‖∇ℓ(x + √c a)‖ - k)²

    spectral       a constraint: D's weights divided by their spectral norm, for `slanted_land(logit=...)`
    clipped        a constraint: D's parameters kept in a box, an optax transformation

**On slanted land and in the Dirac-GAN ℓ is affine**, ∇ℓ = u everywhere: there r1 = r2 = γ/2 ‖u‖², zero_centred is
r1 with γ = 2 λ, and wgan_gp = dragan = λ (‖u‖ - k)², whatever the images. They differ for a discriminator of your
own that is not affine. Gradients of all of them are finite where ∇ℓ = 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from slantgan_jax.faces import Image
from slantgan_jax.networks import Discriminator


class Images(NamedTuple):
    """What a penalty may look at: a `real` and a `fake` image, a uniform number `mix`, a standard-normal `noise`
    image."""

    real: Image
    fake: Image
    mix: Any
    noise: Image


Penalty = Callable[[Callable[[Image], jax.Array], Images], jax.Array]
"""`(logit, images) -> loss`, a scalar that D minimizes; `logit` is a function of one image."""


def r1(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(x)‖² at real images x. Mescheder et al. 2018 (arXiv:1801.04406), eq. 9."""
    return lambda logit, images: gamma / 2 * squared_norm(jax.grad(logit)(images.real))


def r2(gamma: jax.Array | float) -> Penalty:
    """γ/2 ‖∇ℓ(G(z))‖² at generated images. Mescheder et al. 2018 (arXiv:1801.04406), eq. 10."""
    return lambda logit, images: gamma / 2 * squared_norm(jax.grad(logit)(images.fake))


def wgan_gp(strength: jax.Array | float, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x̂)‖ - k)² at x̂ = ε x + (1 - ε) G(z), ε ~ U(0, 1).

    Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, where the `norm` k is 1. It does not vanish at an undecided D, and
    its gradient jumps there: no equilibrium with u = 0 is left.
    """
    return lambda logit, images: strength * (norm_of(jax.grad(logit)(_mixed(images))) - norm) ** 2


def zero_centred(strength: jax.Array | float) -> Penalty:
    """λ ‖∇ℓ(x̂)‖² at x̂ = ε x + (1 - ε) G(z). The "0-GP" of Thanh-Tung et al. 2019 (arXiv:1902.03984)."""
    return lambda logit, images: strength * squared_norm(jax.grad(logit)(_mixed(images)))


def dragan(strength: jax.Array | float, variance: jax.Array | float = 0.01, norm: jax.Array | float = 1.0) -> Penalty:
    """λ (‖∇ℓ(x + δ)‖ - k)² at real images x, δ ~ N(0, c I). Kodali et al. 2017 (arXiv:1705.07215), section 2.3."""

    def penalty(logit: Callable[[Image], jax.Array], images: Images) -> jax.Array:
        moved = jax.tree.map(lambda x, n: x + jnp.sqrt(variance) * n, images.real, images.noise)
        return strength * (norm_of(jax.grad(logit)(moved)) - norm) ** 2

    return penalty


def spectral(logit: Callable[[Any, Image], jax.Array]) -> Callable[[Any, Image], jax.Array]:
    """`logit` with D's weights divided by their largest singular value: of one row u, ‖u‖₂, so ‖∇ℓ‖ = 1.

    Miyato et al. 2018 (arXiv:1802.05957), eq. 8; the bias is left as it is. At u = 0, where u/‖u‖ has no limit, it
    is 0, with the derivative 0: D is stuck there. No undecided D with other u exists.
    """

    def normalized(discriminator: Discriminator, image: Image) -> jax.Array:
        length = norm_of(discriminator.weights)
        scale = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
        return logit(discriminator._replace(weights=jax.tree.map(lambda u: u * scale, discriminator.weights)), image)

    return normalized


def clipped(optimizer: optax.GradientTransformation, bound: jax.Array | float) -> optax.GradientTransformation:
    """`optimizer`, each of its steps ending in the box [-bound, bound]: weight clipping, a projection.

    Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1, which clips the critic's parameters after each step at 0.01.

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


def squared_norm(tree: Any) -> jax.Array:
    """‖tree‖², the sum of all squares."""
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: jnp.sum(leaf**2), tree))


def norm_of(tree: Any) -> jax.Array:
    """‖tree‖₂, with the derivative 0 at 0, where it has none."""
    square = squared_norm(tree)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _mixed(images: Images) -> Image:
    return jax.tree.map(lambda x, g: images.mix * x + (1 - images.mix) * g, images.real, images.fake)
