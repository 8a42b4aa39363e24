"""The Dirac-GAN under every method: the eigenvalues of the field and of a step at the equilibrium, in closed form.

The data is the point 0, the generator is the point θ, and the logit is ψ x (Mescheder, Geiger & Nowozin 2018,
arXiv:1801.04406). Let h(ℓ) and g(ℓ) be what G and D minimize of a generated image with the logit ℓ. At (0, 0)

    J = [[0, h'(0)], [g'(0), d]],   λ = d/2 ± √(d²/4 - κ),   κ = -h'(0) g'(0)

and a simultaneous step has the eigenvalues 1 - η λ. See docs/results/dirac_gan.md for d and for the other methods.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _methods import METHODS, ORDERS, SYNC_PERIOD

from slantgan_jax import Game, Objective, Rule, fields, games, losses, penalties, rules
from slantgan_jax.fields import Transform
from slantgan_jax.penalties import Penalty

STRENGTH = 0.5
"""Of R1, R2, consensus, SGA and opponent shaping."""
ONE_CENTERED = 0.25
"""λ of WGAN-GP and DRAGAN. From λ = √κ on, runs rest away from the data, at θ = ±2 λ k / g'(0)."""
CLIP_BOUND, MOMENTUM, UNROLLED_STEPS, SLOW_STEP, AVERAGE_DECAY = 1.0, -0.5, 3, 0.5, 0.999

OBJECTIVES = {
    "least squares, targets ±1": losses.least_squares(1, -1, 1),
    "least squares, targets 0 and 1": losses.least_squares(),
    "hinge": losses.hinge,
    "relativistic": losses.relativistic,
    "KL-type": losses.kl,
    "one-sided smoothing": losses.smoothed(losses.non_saturating, 0.1),
}


class ClosedForm(NamedTuple):
    """A method on the Dirac-GAN, and its eigenvalues at (0, 0).

    Attributes:
      group: "paper" for the paper's methods, otherwise what goes beyond it.
      game, field, rule: what is played and how.
      flow: the eigenvalues `[2]` of the field's Jacobian; None if the field has no Jacobian there.
      update: those of the map of `period` steps.
    """

    group: str
    game: Game
    field: Transform
    rule: Rule
    flow: np.ndarray | None
    update: np.ndarray | None
    period: int = 1


def closed_forms(rate: float) -> dict[str, ClosedForm]:
    """Every method by name, at the learning rate `rate`; to be called where 64-bit types are enabled.

    The minimax game's J is antisymmetric, and JᵀJ = κ I. So Jᵀξ of consensus and Aᵀξ of SGA are the same here, and both
    add γ κ to the eigenvalues.
    """
    sgd = optax.sgd(rate)
    minimax, usual, wgan = (dirac(loss) for loss in (losses.saturating, losses.non_saturating, losses.wasserstein))
    kappa, curvature = kappa_and_curvature(losses.saturating)
    free = pair(0, kappa)
    simultaneous, alternating = partial(simultaneously, rate), partial(alternately, rate)
    r1, r2 = (dirac(losses.saturating, penalty(STRENGTH)) for penalty in (penalties.r1, penalties.r2))
    noisy = games.expected(games.dirac(losses.saturating, noise=1.0))
    turning = pair(2 - rate**2 * kappa, 1)
    optimistic = np.concatenate([pair(1 - 2 * rate * z, -rate * z) for z in free])
    heavy = np.concatenate([pair(1 + MOMENTUM - rate * z, MOMENTUM) for z in free])
    inert = np.poly([1, 1, MOMENTUM, MOMENTUM])
    past = -rate * free

    def adjusted(flow: np.ndarray, method: str, strength: float = 0.0) -> ClosedForm:
        return simultaneous("adjustments", minimax, flow, METHODS[method].field(rate, strength))

    def ruled(update: np.ndarray, method: str, order: str, strength: float = 0.0, period: int = 1) -> ClosedForm:
        rule = METHODS[method].rule(ORDERS[order], rate, strength)
        return ClosedForm("rules", minimax, fields.gradients, rule, free, update, period)

    return {
        "minimax, simultaneous": simultaneous("paper", minimax, free),
        "minimax, alternating": alternating("paper", minimax, kappa),
        "non-saturating, simultaneous": simultaneous("paper", usual, free),
        "non-saturating, alternating": alternating("paper", usual, kappa),
        "WGAN, simultaneous": simultaneous("paper", wgan, pair(0, 1)),
        "WGAN, alternating": alternating("paper", wgan, 1),
        "WGAN, clipped": simultaneous("paper", wgan, pair(0, 1))._replace(
            rule=rules.simultaneous(penalties.clipped(sgd, CLIP_BOUND))
        ),
        "WGAN-GP": simultaneous("paper", dirac(losses.wasserstein, penalties.wgan_gp(ONE_CENTERED)), None),
        "DRAGAN": simultaneous("paper", dirac(losses.saturating, penalties.dragan(ONE_CENTERED)), None),
        "instance noise": simultaneous("paper", noisy, pair(curvature, kappa)),
        "consensus": simultaneous("paper", minimax, free + STRENGTH * kappa, fields.consensus(STRENGTH)),
        "R1": simultaneous("paper", r1, pair(STRENGTH, kappa)),
        "R1, alternating": alternating("paper", r1, kappa, STRENGTH),
        "R2": simultaneous("paper", r2, pair(STRENGTH, kappa)),
        "extragradient": adjusted(free - rate * free**2, "extragradient", 1.0),
        "SGA": adjusted(free + STRENGTH * kappa, "sga", STRENGTH),
        "SGA, aligned": simultaneous(
            "adjustments", minimax, free + STRENGTH * kappa, fields.sga(STRENGTH, align=True)
        ),
        "CGD": adjusted(free / (1 + rate * free), "cgd"),
        "LOLA": adjusted(free + 2 * STRENGTH * kappa, "lola", STRENGTH),
        "SOS": adjusted(free + STRENGTH * kappa, "sos", STRENGTH),
        "unrolled": simultaneous(
            "adjustments", minimax, pair(2 * UNROLLED_STEPS * rate * kappa, kappa),
            fields.unrolled(UNROLLED_STEPS, rate),
        ),
        "Heun": adjusted(free - rate * free**2 / 2, "heun"),
        "RK4": adjusted(-(past + past**2 / 2 + past**3 / 6 + past**4 / 24) / rate, "rk4"),
        "tutorial's order": ruled(turning, "plain", "tutorial"),
        "negative momentum, simultaneous": ruled(heavy, "negative momentum", "simultaneous", MOMENTUM),
        "negative momentum, alternating": ruled(  # (μ - 1)² (μ - β)² + η² κ μ³ = 0
            np.roots(np.polyadd(inert, [rate**2 * kappa, 0, 0, 0])), "negative momentum", "alternating", MOMENTUM
        ),
        "past extragradient": ruled(optimistic, "past extragradient", "simultaneous"),
        "optimistic": ruled(optimistic, "optimistic", "simultaneous"),
        "lookahead": ruled(  # the slow players are replaced: 0, 0
            np.append(1 - SLOW_STEP + SLOW_STEP * (1 - rate * free) ** SYNC_PERIOD, [0, 0]),
            "lookahead", "simultaneous", SLOW_STEP, SYNC_PERIOD,
        ),
        "averaged, alternating": ruled(  # the moments decay, and what the rule offers is replaced: 0, 0
            np.append(turning, [AVERAGE_DECAY, AVERAGE_DECAY, 0, 0]), "averaging", "alternating", AVERAGE_DECAY
        ),
        **{
            name: alternating("objectives", dirac(objective), kappa_and_curvature(objective)[0])
            for name, objective in OBJECTIVES.items()
        },
    }  # fmt: skip


def simultaneously(
    rate: float, group: str, game: Game, flow: np.ndarray | None, field: Transform = fields.gradients
) -> ClosedForm:
    """Simultaneous descent, whose step has the eigenvalues 1 - η λ."""
    update = None if flow is None else 1 - rate * flow
    return ClosedForm(group, game, field, rules.simultaneous(optax.sgd(rate), field), flow, update)


def alternately(rate: float, group: str, game: Game, kappa: float, damping: float = 0.0) -> ClosedForm:
    """D's step, then G's."""
    rule = rules.alternating(optax.sgd(rate))
    return ClosedForm(
        group, game, fields.gradients, rule, pair(damping, kappa), alternating_eigenvalues(rate, kappa, damping)
    )


def alternating_eigenvalues(rate: float, kappa: float, damping: float) -> np.ndarray:
    """The roots `[2]` of μ² - (2 - η d - η² κ) μ + 1 - η d."""
    return pair(2 - rate * damping - rate**2 * kappa, 1 - rate * damping)


def pair(trace: complex, determinant: complex) -> np.ndarray:
    """The eigenvalues `[2]` of a 2 × 2 matrix: trace/2 ± √(trace²/4 - determinant)."""
    root = np.sqrt(np.asarray(trace**2 / 4 - determinant, complex))
    return np.array([trace / 2 + root, trace / 2 - root])


def dirac(objective: Objective, *added: Penalty) -> Game:
    """The Dirac-GAN with penalties as a game that draws nothing: nothing in it is random."""
    return games.expected(games.penalized(games.dirac(objective), *added))


def kappa_and_curvature(objective: Objective) -> tuple[float, float]:
    """κ = -h'(0) g'(0), and E'', the sum of D's second derivatives by ℓ_real and by ℓ_fake at 0."""

    def discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
        return jnp.asarray(sum(term(real, fake) for term in objective.discriminator))

    slope = jax.grad(objective.generator, 1)(0.0, 0.0) * jax.grad(discriminator, 1)(0.0, 0.0)
    return -float(slope), float(sum(jax.grad(jax.grad(discriminator, i), i)(0.0, 0.0) for i in (0, 1)))
