"""How strong should R1 be on the Dirac-GAN? Rates of decay over its strength γ, in closed form and from runs.

See docs/results/dirac_gan.md#a-critical-penalty.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
from _experiment import Experiment, Figure, progress
from _methods import METHODS, ORDERS
from _options import check_within
from _results import Data
from _two_numbers import NEAR_RADIUS, NEAR_RUNS, RECORD_EVERY, measured_factor, play, starts
from closed_forms import steps as closed
from closed_forms.dirac import dirac, kappa_and_curvature
from figures import dirac_gan as figures

from slantgan_jax import Players, Rule, losses, penalties

STRENGTHS = np.linspace(0.01, 3, 300)
"""Relative to the critical one. Runs are made at every tenth, from the tenth on."""
MEASURED = slice(9, None, 10)
RUN_TIME = 600
"""Steps of a run, times the learning rate."""
LARGEST_FLOW_STEP = 0.1
"""Of the flow. Its step of fourth order is stable up to 2.78 over the largest eigenvalue, which is 2.91."""
SMALLEST_DISTANCE = 1e-140
"""The end of the window in which factors are measured. The decay is that of n ρⁿ if the eigenvalues meet: the later the
window ends, the less n matters."""


@dataclass(frozen=True)
class Settings:
    """R1 on the Dirac-GAN over its strength: rates of decay in closed form and from runs."""

    learning_rate: Annotated[float, partial(check_within, least=0.001, most=1)] = 0.1
    """Of both players' gradient descent, from 0.001 to 1."""


def compute(settings: Settings, out: Path) -> Data:
    rate = settings.learning_rate
    kappa = kappa_and_curvature(losses.saturating)[0]
    critical = 2 * math.sqrt(kappa)
    strengths = STRENGTHS * critical
    flow, alternating = closed.pair(strengths, kappa), closed.alternating(rate, kappa, strengths)
    curves = {  # a step of fourth order stands for the flow
        "flow": ("rk4", "simultaneous", np.real(flow).min(0), critical),
        "simultaneous": ("plain", "simultaneous", np.abs(1 - rate * flow).max(0), critical),
        "alternating": ("plain", "alternating", np.abs(alternating).max(0), critical - rate * kappa),
    }
    data: Data = {"strengths": strengths, "measured strengths": strengths[MEASURED], "kappa": kappa}
    for name, (method, order, exact, best) in progress(curves.items(), "rules", len(curves)):
        step = min(rate, LARGEST_FLOW_STEP) if name == "flow" else rate
        steps = RECORD_EVERY * math.ceil(RUN_TIME / step / RECORD_EVERY)
        measured = factors(METHODS[method].rule(ORDERS[order], step), strengths[MEASURED], steps)
        measured = -np.log(measured) / step if name == "flow" else measured
        data[name] = {"closed": exact, "measured": measured, "best": best}
    return data


def factors(rule: Rule, strengths: np.ndarray, steps: int) -> np.ndarray:
    """The measured factor of a step for each strength of R1, `[strengths]`."""

    def run(strength: jax.Array, start: Players) -> jax.Array:
        return play(dirac(losses.saturating, penalties.r1(strength)), rule, start, steps)[0]

    near = starts(np.full(NEAR_RUNS, NEAR_RADIUS), 1 / NEAR_RUNS)
    history = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(strengths, near)
    radii = np.hypot(history[..., 0], history[..., 1])
    return np.array([measured_factor(runs, SMALLEST_DISTANCE)[0] for runs in radii])


def answer(data: Data) -> str:
    critical, alternating = data["flow"]["best"], data["alternating"]["best"]
    lost = {name: int(np.isnan(data[name]["measured"]).sum()) for name in figures.CURVES}
    count = len(data["measured strengths"])
    missing = ", ".join(f"{name} at {number} of {count} strengths" for name, number in lost.items() if number)
    note = f"\nThe factor is not measured where steps diverge too fast for it: {missing}." if missing else ""
    return (
        f"R1 on the Dirac-GAN is best at γ = 2√κ = {critical:g} for the flow and for simultaneous steps, and at "
        f"2√κ - ηκ = {alternating:g} for alternating steps (rate η = {data['settings']['learning_rate']:g}).{note}"
    )


EXPERIMENT = Experiment(
    "critical_penalty", Settings, compute, answer, {"critical_penalty.png": Figure(figures.critical_penalty, 11, 4.6)}
)

if __name__ == "__main__":
    EXPERIMENT.main()
