"""Objectives: what each player minimizes, as functions of logits.

`ℓ_real` and `ℓ_fake` are the discriminator's logits of a real and of a generated image, as floats even if they are
given as whole numbers. The softplus s(a) = ln(1 + eᵃ) gives -ln D = s(-ℓ) and -ln(1 - D) = s(ℓ), without overflow.
Both players minimize. An `Objective` states the discriminator's loss as the *terms* it is the sum of, since the
tutorial takes one gradient step for each.

docs/methods/objectives.md compares all objectives.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from slantgan_jax.checks import check_function, check_number, is_numeric, shown
from slantgan_jax.numerics import floating

LogitLoss = Callable[[jax.Array, jax.Array], jax.Array]
"""`(ℓ_real, ℓ_fake) -> loss`, scalars; a term may ignore one of the two."""


class Objective(NamedTuple):
    """What the players minimize, of `(ℓ_real, ℓ_fake)`: D the sum of the terms in `discriminator`, G `generator`."""

    discriminator: tuple[LogitLoss, ...]
    generator: LogitLoss


def check_objective(objective: Any) -> None:
    """Raises `ValueError` unless `objective` is an `Objective` of functions."""
    terms = objective.discriminator if isinstance(objective, Objective) else ()
    if not isinstance(terms, tuple) or not terms or not all(map(callable, (*terms, objective.generator))):
        raise ValueError(
            f"objective is {shown(objective)}: give an Objective of a tuple of D's terms and of G's loss, and call the "
            "function that makes one"
        )
    for loss in (*terms, objective.generator):
        check_function("a loss of the objective", loss, "real", "fake", such_as="losses.logit_fake")


def of_discriminator(objective: Objective) -> LogitLoss:
    """D's loss as one function of `(ℓ_real, ℓ_fake)`: the sum of its terms."""
    return lambda real, fake: jnp.asarray(sum(term(real, fake) for term in objective.discriminator))


def softplus(a: ArrayLike) -> jax.Array:
    """s(a) = ln(1 + eᵃ) = max(a, 0) + ln(1 + e^-|a|), with the derivative declared to be σ(a).

    docs/performance.md#how-the-code-is-written-for-this has the reason.
    """
    if not is_numeric(a):
        raise ValueError(f"softplus of {shown(a)}: give a number, or an array of numbers")
    return _softplus(floating(a))


@jax.custom_jvp
def _softplus(a: ArrayLike) -> jax.Array:
    return jnp.maximum(a, 0) + jnp.log1p(jnp.exp(-jnp.abs(a)))


@_softplus.defjvp
def _softplus_jvp(primals, tangents):
    (a,), (a_dot,) = primals, tangents
    return _softplus(a), jax.nn.sigmoid(a) * a_dot


def minus_log_real(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln D(x) = s(-ℓ_real): small when the real image is taken for real."""
    del fake
    return softplus(-floating(real))


def minus_log_not_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln(1 - D(G(z))) = s(ℓ_fake): small when the generated image is taken for generated."""
    del real
    return softplus(fake)


def minus_log_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ln D(G(z)) = s(-ℓ_fake): small when the generated image is taken for real."""
    del real
    return softplus(-floating(fake))


def log_not_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """ln(1 - D(G(z))) = -s(ℓ_fake), the generator's part of the minimax value."""
    return -minus_log_not_fake(real, fake)


non_saturating = Objective((minus_log_real, minus_log_not_fake), minus_log_fake)
"""L_D = s(-ℓ_real) + s(ℓ_fake), L_G = s(-ℓ_fake): the tutorial's. Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1
for D and section 3, "maximize log D(G(z))", for G."""

saturating = Objective((minus_log_real, minus_log_not_fake), log_not_fake)
"""L_D = s(-ℓ_real) + s(ℓ_fake), L_G = -s(ℓ_fake). Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1: a zero-sum game."""


def minus_logit_real(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ℓ_real."""
    del fake
    return -floating(real)


def logit_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """ℓ_fake."""
    del real
    return floating(fake)


def minus_logit_fake(real: ArrayLike, fake: ArrayLike) -> jax.Array:
    """-ℓ_fake."""
    del real
    return -floating(fake)


kl = Objective((minus_log_real, minus_log_not_fake), minus_logit_fake)
"""L_D = s(-ℓ_real) + s(ℓ_fake), L_G = -ℓ_fake. Sønderby et al. 2017 (arXiv:1610.04490), section 3.2."""

wasserstein = Objective((minus_logit_real, logit_fake), minus_logit_fake)
"""L_D = -ℓ_real + ℓ_fake, L_G = -ℓ_fake. Arjovsky et al. 2017 (arXiv:1701.07875), eqs. 2 and 3. The output is a score
that must be kept Lipschitz by one of `penalties`."""


def least_squares(real_target: float = 1.0, fake_target: float = 0.0, generator_target: float = 1.0) -> Objective:
    """L_D = ½(ℓ_real - b)² + ½(ℓ_fake - a)², L_G = ½(ℓ_fake - c)²: on the raw output ℓ, without a sigmoid.

    Mao et al. 2017 (arXiv:1611.04076), eq. 2, with b `real_target`, a `fake_target`, c `generator_target`; the default
    is the 0-1 coding of eq. 9.
    """
    for target in (real_target, fake_target, generator_target):
        check_number("a target of least_squares", target)
    return Objective(
        (
            lambda real, fake: (floating(real) - real_target) ** 2 / 2,
            lambda real, fake: (floating(fake) - fake_target) ** 2 / 2,
        ),
        lambda real, fake: (floating(fake) - generator_target) ** 2 / 2,
    )


hinge = Objective(
    (lambda real, fake: jax.nn.relu(1 - floating(real)), lambda real, fake: jax.nn.relu(1 + floating(fake))),
    minus_logit_fake,
)
"""L_D = max(0, 1 - ℓ_real) + max(0, 1 + ℓ_fake), L_G = -ℓ_fake. Lim & Ye 2017 (arXiv:1705.02894), as
Miyato et al. 2018 (arXiv:1802.05957), eqs. 16 and 17, write it."""

relativistic = Objective(
    (lambda real, fake: softplus(floating(fake) - floating(real)),),
    lambda real, fake: softplus(floating(real) - floating(fake)),
)
"""L_D = s(ℓ_fake - ℓ_real), L_G = s(ℓ_real - ℓ_fake). Jolicoeur-Martineau 2018 (arXiv:1807.00734), section 4.1 (RSGAN);
Huang et al. 2024 (arXiv:2501.05441), eq. 2 for D (R3GAN)."""


OBJECTIVES: dict[str, Objective] = {
    "non-saturating": non_saturating,
    "saturating": saturating,
    "KL-type": kl,
    "Wasserstein": wasserstein,
    "least squares": least_squares(),
    "hinge": hinge,
    "relativistic": relativistic,
}
"""All objectives by name, for choices that are texts."""


def smoothed(objective: Objective, amount: jax.Array | float) -> Objective:
    """One-sided label smoothing: D's target for real images is 1 - `amount` instead of 1.

        (1 - α) L_real(ℓ_real) + α L_fake(ℓ_real),   L_fake(ℓ_fake)

    Salimans et al. 2016 (arXiv:1606.03498), section 3.4. For the number 0 it is `objective` itself.

    Raises:
      ValueError: D's loss is not one term for the real and one for the fake image; an `amount` beyond ½, with which D
        would learn that real images are generated.
    """
    check_objective(objective)
    check_number("the amount of smoothing", amount, 0, 0.5)
    if len(objective.discriminator) != 2:
        raise ValueError(
            f"label smoothing mixes the loss of a real with that of a fake image, but this objective has "
            f"{len(objective.discriminator)} terms for D, not one for each: use an objective that compares no pairs"
        )
    if isinstance(amount, int | float) and amount == 0:  # 0 times an infinite loss would be NaN
        return objective
    real_loss, fake_loss = objective.discriminator
    return Objective(
        (lambda real, fake: (1 - amount) * real_loss(real, fake) + amount * fake_loss(fake, real), fake_loss),
        objective.generator,
    )
