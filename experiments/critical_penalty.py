"""How strong should R1 be on the Dirac-GAN? Rates of decay over its strength γ, in closed form and from runs.

The flow's eigenvalues γ/2 ± √(γ²/4 - κ) meet at γ = 2√κ, where the smaller real part is largest: √κ. Those of
simultaneous descent, 1 - η λ, meet there, too. Those of alternating descent meet at γ = 2√κ - ηκ. All of them are then
1 - η√κ. See docs/results/dirac_gan.md#a-critical-penalty.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
from _experiment import Data, Experiment, Figure, progress
from closed_forms.dirac import alternating_eigenvalues, dirac, kappa_and_curvature, pair
from dirac_gan import FACTOR_WINDOW, NEAR_RADIUS, NEAR_RUNS, RECORD_EVERY, check_rate, measured_factor, play
from figures import critical_penalty as figures

from slantgan_jax import Players, Rule, fields, losses, penalties, rules

STRENGTHS = np.linspace(0.01, 3, 300)
"""Relative to the critical one. Runs are made at every tenth, from the tenth on."""
MEASURED = slice(9, None, 10)
RUN_TIME = 600
"""Steps of a run, times the learning rate."""
SMALLEST_DISTANCE = 1e-140
"""The end of the window in which factors are measured. The decay is that of n ρⁿ if the eigenvalues meet: the later the
window ends, the less n matters."""

RULES: dict[str, Callable[[float], Rule]] = {
    "flow": lambda rate: rules.simultaneous(optax.sgd(rate), fields.rk4(rate)),
    "simultaneous": lambda rate: rules.simultaneous(optax.sgd(rate)),
    "alternating": lambda rate: rules.alternating(optax.sgd(rate)),
}
"""A step of fourth order stands for the flow."""


@dataclass(frozen=True)
class Settings:
    """R1 on the Dirac-GAN over its strength: rates of decay in closed form and from runs."""

    learning_rate: float = 0.1
    """Of both players' gradient descent, from 0.001 to 1."""

    def check(self) -> None:
        check_rate(self.learning_rate)


def compute(settings: Settings, out: Path) -> Data:
    rate = settings.learning_rate
    kappa = kappa_and_curvature(losses.saturating)[0]
    critical = 2 * math.sqrt(kappa)
    strengths = STRENGTHS * critical
    flow = np.array([pair(strength, kappa) for strength in strengths])
    alternating = np.array([alternating_eigenvalues(rate, kappa, strength) for strength in strengths])
    steps = RECORD_EVERY * math.ceil(RUN_TIME / rate / RECORD_EVERY)
    measured = {
        name: factors(rule(rate), strengths[MEASURED], steps) for name, rule in progress(RULES.items(), "rules", 3)
    }
    return {
        "strengths": strengths,
        "measured strengths": strengths[MEASURED],
        "kappa": kappa,
        "flow": {"closed": np.real(flow).min(1), "measured": -np.log(measured["flow"]) / rate, "best": critical},
        "simultaneous": {
            "closed": np.abs(1 - rate * flow).max(1), "measured": measured["simultaneous"], "best": critical,
        },
        "alternating": {
            "closed": np.abs(alternating).max(1), "measured": measured["alternating"], "best": critical - rate * kappa,
        },
    }  # fmt: skip


def factors(rule: Rule, strengths: np.ndarray, steps: int) -> np.ndarray:
    """The measured factor of a step for each strength of R1, `[strengths]`."""

    def run(strength: jax.Array, start: Players) -> jax.Array:
        return play(dirac(losses.saturating, penalties.r1(strength)), rule, start, steps)[0]

    angles = np.arange(NEAR_RUNS) * np.pi / NEAR_RUNS
    starts = Players(NEAR_RADIUS * np.cos(angles), NEAR_RADIUS * np.sin(angles))
    history = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(strengths, starts)
    radii = np.hypot(history[..., 0], history[..., 1])
    return np.array([measured_factor(runs, SMALLEST_DISTANCE, FACTOR_WINDOW[1]) for runs in radii])


def answer(data: Data) -> str:
    best, rate = data["flow"]["best"], data["settings"]["learning_rate"]
    return f"R1 on the Dirac-GAN is best at a critical strength, γ = 2√κ = {best:g}; rate {rate:g}"


EXPERIMENT = Experiment(
    "critical_penalty", Settings, compute, answer, {"critical_penalty.png": Figure(figures.draw, 11, 4.6)}
)

if __name__ == "__main__":
    EXPERIMENT.main()
