"""Objectives: what each player minimizes, as functions of logits.

`ℓ_real` and `ℓ_fake` are the discriminator's logits of a real and of a generated image, s is the softplus
s(a) = ln(1 + eᵃ). With D = σ(ℓ) the tutorial's error functions are -ln D = s(-ℓ) and -ln(1 - D) = s(ℓ): on
logits they neither overflow nor lose digits, so they are finite and right at ℓ = ±1000.

Both players minimize. An `Objective` states the discriminator's loss as the *terms* it is the sum of, since the
tutorial takes one gradient step for each.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

LogitLoss = Callable[[ArrayLike, ArrayLike], jax.Array]
"""`(ℓ_real, ℓ_fake) -> loss`, scalars; a term may ignore one of the two."""


class Objective(NamedTuple):
    """What the players minimize, of `(ℓ_real, ℓ_fake)`: D the sum of the terms in `discriminator`, G `generator`."""

    discriminator: tuple[LogitLoss, ...]
    generator: LogitLoss


@jax.custom_jvp
def softplus(a: ArrayLike) -> jax.Array:
    """s(a) = ln(1 + eᵃ) = max(a, 0) + ln(1 + e^-|a|), with the derivative declared to be σ(a).

    Differentiating the library's softplus goes through logaddexp and yields a longer program for the same
    number; the declaration leaves one sigmoid.
    """
    return jnp.maximum(a, 0) + jnp.log1p(jnp.exp(-jnp.abs(a)))


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    (a,), (a_dot,) = primals, tangents
    return softplus(a), jax.nn.sigmoid(a) * a_dot


def minus_log_real(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln D(x) = s(-ℓ_real): small when the real image is taken for real."""
    del fake
    return softplus(-jnp.asarray(real))


def minus_log_not_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln(1 - D(G(z))) = s(ℓ_fake): small when the generated image is taken for generated."""
    del real
    return softplus(fake)


def minus_log_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln D(G(z)) = s(-ℓ_fake): small when the generated image is taken for real."""
    del real
    return softplus(-jnp.asarray(fake))


def log_not_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """ln(1 - D(G(z))) = -s(ℓ_fake), the generator's part of the minimax value."""
    return -minus_log_not_fake(real, fake)


non_saturating = Objective((minus_log_real, minus_log_not_fake), minus_log_fake)
"""L_D = s(-ℓ_real) + s(ℓ_fake), L_G = s(-ℓ_fake): the tutorial's. Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1
for D and section 3, "maximize log D(G(z))", for G."""

saturating = Objective((minus_log_real, minus_log_not_fake), log_not_fake)
"""L_D = s(-ℓ_real) + s(ℓ_fake), L_G = -s(ℓ_fake): the zero-sum game of Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1.

It has the equilibria of `non_saturating`, not its gradients: dL_G/dℓ_fake is -D here and -(1 - D) there, so a
generator whose images are rejected (D near 0) hardly learns here."""
