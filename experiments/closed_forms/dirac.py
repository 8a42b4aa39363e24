"""The Dirac-GAN under every method: the eigenvalues of the field and of a step at the equilibrium, in closed form.

The data is the point 0, the generator is the point θ, and the logit is ψ x (Mescheder, Geiger & Nowozin 2018,
arXiv:1801.04406). See docs/results/dirac_gan.md for κ, for the damping d of each method, and for the derivations.
"""

from typing import NamedTuple

import jax
import numpy as np
import optax
from _methods import METHODS, ORDERS

from closed_forms import steps
from slantgan_jax import Game, Objective, Rule, fields, games, losses, penalties, rules
from slantgan_jax.fields import Transform
from slantgan_jax.penalties import Penalty

STRENGTH = 0.5
"""Of R1, R2, consensus, SGA and opponent shaping."""
ONE_CENTERED = 0.25
"""λ of WGAN-GP and DRAGAN. From λ = √κ on, runs rest away from the data, at θ = ±2 λ k / g'(0)."""
CLIP_BOUND, MOMENTUM, UNROLLED_STEPS, AVERAGE_DECAY = 1.0, -0.5, 3, 0.999

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
      update: those of the map of `rule.period` steps.
    """

    group: str
    game: Game
    field: Transform
    rule: Rule
    flow: np.ndarray | None
    update: np.ndarray | None


def closed_forms(rate: float) -> dict[str, ClosedForm]:
    """Every method by name, at the learning rate `rate`; to be called where 64-bit types are enabled."""
    minimax, usual, wgan = (dirac(loss) for loss in (losses.saturating, losses.non_saturating, losses.wasserstein))
    kappa, curvature = kappa_and_curvature(losses.saturating)
    free, damped = steps.pair(0, kappa), steps.pair(STRENGTH, kappa)
    r1, r2 = (dirac(losses.saturating, penalty(STRENGTH)) for penalty in (penalties.r1, penalties.r2))
    noisy = games.expected(games.dirac(losses.saturating, noise=1.0))
    turning = steps.alternating(rate, kappa)
    optimistic = np.concatenate(steps.WAYS["optimistic"](rate, free).T)
    heavy = np.concatenate(steps.pair(1 + MOMENTUM - rate * free, MOMENTUM).T)

    def simultaneous(
        game: Game, flow: np.ndarray | None, group: str = "paper", field: Transform = fields.gradients
    ) -> ClosedForm:
        update = None if flow is None else 1 - rate * flow
        return ClosedForm(group, game, field, rules.simultaneous(optax.sgd(rate), field), flow, update)

    def alternating(game: Game, kappa: float, damping: float = 0.0, group: str = "paper") -> ClosedForm:
        rule, flow = rules.alternating(optax.sgd(rate)), steps.pair(damping, kappa)
        return ClosedForm(group, game, fields.gradients, rule, flow, steps.alternating(rate, kappa, damping))

    def adjusted(name: str, strength: float = STRENGTH, group: str = "adjustments") -> ClosedForm:
        transform, eigenvalue = steps.FIELDS[name]
        return simultaneous(minimax, eigenvalue(free, rate, strength), group, transform(rate, strength))

    def ruled(update: np.ndarray, method: str, order: str, strength: float = 0.0) -> ClosedForm:
        rule = METHODS[method].rule(ORDERS[order], rate, strength)
        return ClosedForm("rules", minimax, fields.gradients, rule, free, update)

    return {
        "minimax, simultaneous": simultaneous(minimax, free),
        "minimax, alternating": alternating(minimax, kappa),
        "non-saturating, simultaneous": simultaneous(usual, free),
        "non-saturating, alternating": alternating(usual, kappa),
        "WGAN, simultaneous": simultaneous(wgan, steps.pair(0, 1)),
        "WGAN, alternating": alternating(wgan, 1),
        "WGAN, clipped": simultaneous(wgan, steps.pair(0, 1))._replace(
            rule=rules.simultaneous(penalties.clipped(optax.sgd(rate), CLIP_BOUND))
        ),
        "WGAN-GP": simultaneous(dirac(losses.wasserstein, penalties.wgan_gp(ONE_CENTERED)), None),
        "DRAGAN": simultaneous(dirac(losses.saturating, penalties.dragan(ONE_CENTERED)), None),
        "instance noise": simultaneous(noisy, steps.pair(curvature, kappa)),
        "consensus": adjusted("consensus", group="paper"),
        "R1": simultaneous(r1, damped),
        "R1, alternating": alternating(r1, kappa, STRENGTH),
        "R2": simultaneous(r2, damped),
        "extragradient": adjusted("extragradient", 1.0),
        "SGA": adjusted("sga"),
        "SGA, aligned": adjusted("sga, aligned"),
        "CGD": adjusted("cgd"),
        "LOLA": adjusted("lola"),
        "SOS": adjusted("sos"),
        "unrolled": simultaneous(
            minimax, steps.pair(2 * UNROLLED_STEPS * rate * kappa, kappa), "adjustments",
            fields.unrolled(UNROLLED_STEPS, rate),
        ),
        "Heun": adjusted("heun"),
        "RK4": adjusted("rk4"),
        "tutorial's order": ruled(turning, "plain", "tutorial"),
        "negative momentum, simultaneous": ruled(heavy, "negative momentum", "simultaneous", MOMENTUM),
        "negative momentum, alternating": ruled(
            steps.alternating_momentum(rate, kappa, MOMENTUM), "negative momentum", "alternating", MOMENTUM
        ),
        "past extragradient": ruled(optimistic, "past extragradient", "simultaneous"),
        "optimistic": ruled(optimistic, "optimistic", "simultaneous"),
        "lookahead": ruled(  # the slow players are replaced: 0, 0
            np.append(steps.WAYS["lookahead"](rate, free), [0, 0]),
            "lookahead", "simultaneous", steps.SLOW_STEP,
        ),
        "averaged, alternating": ruled(  # the moments decay, and what the rule offers is replaced: 0, 0
            np.append(turning, [AVERAGE_DECAY, AVERAGE_DECAY, 0, 0]), "averaging", "alternating", AVERAGE_DECAY
        ),
        **{
            name: alternating(dirac(objective), kappa_and_curvature(objective)[0], group="objectives")
            for name, objective in OBJECTIVES.items()
        },
    }  # fmt: skip


def dirac(objective: Objective, *added: Penalty) -> Game:
    """The Dirac-GAN with penalties as a game that draws nothing: nothing in it is random."""
    return games.expected(games.penalized(games.dirac(objective), *added))


def kappa_and_curvature(objective: Objective) -> tuple[float, float]:
    """κ = -h'(0) g'(0), and E'', the sum of D's second derivatives by ℓ_real and by ℓ_fake at 0."""
    discriminator = losses.of_discriminator(objective)
    slope = jax.grad(objective.generator, 1)(0.0, 0.0) * jax.grad(discriminator, 1)(0.0, 0.0)
    return -float(slope), float(sum(jax.grad(jax.grad(discriminator, i), i)(0.0, 0.0) for i in (0, 1)))
