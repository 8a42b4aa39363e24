"""Which methods contract on min max x y? The factor of a step and the largest stable step size, against closed forms.

Factors are measured on runs of the rule itself, thresholds on the Jacobian of its step. See docs/results/bilinear.md.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, ORDERS
from _options import check_known, check_whole
from _results import Data, at_most
from _two_numbers import play
from closed_forms.bilinear import CLOSED_FORMS, LARGEST_STEP, SMALLEST_STEP, ClosedForm, perturbed_energy
from figures import bilinear as figures

from slantgan_jax import Players, games
from slantgan_jax.analysis import growth, thresholds
from slantgan_jax.rules import State

GAME = games.bilinear()
EQUILIBRIUM, START = Players(0.0, 0.0), Players(1.0, 0.5)
START_DISTANCE = 2.0**-24
"""Distance from the equilibrium at which every measured step starts: SOS's p = ‖ξ‖² is 4e-15 there."""
POINTS = 24
"""Step sizes of each method. They end beyond the threshold; their odd spacing keeps them off double roots."""
RANGE, RANGE_WITHOUT_THRESHOLD = 1.287, 1.73
THRESHOLD_MARGIN = 1e-3
"""The relative distance from a threshold of the runs that confirm it."""
GROWTH_TOLERANCE = 1e-12
"""A mode grows if its factor exceeds 1 by more: rounding leaves 1e-15 of a modulus of exactly 1."""
DRAWN_STEP_SIZE, DRAWN_STEPS = 0.3, 60
CONSERVED_STEP_SIZE = 0.7
SMALLEST_DRAWN, CURVE_POINTS = 1e-3, 2400
"""The curves of factors begin at this step size, and have so many points up to `LARGEST_STEP`."""
ZOOMS, ZOOM_POINTS = 14, 40
"""Each zoom into a minimum of a curve makes it 20 times as sharp."""
ROOT_ERROR = 2e-3
"""Fifth roots are found to be 0 to this. Of minima as near to the least one, the smallest step size counts."""
FAR_STEP = 1e9
"""Stands for infinitely large step sizes."""
LEAST_STEPS = 3000
"""Waves are damped to 1e-9 by then where they are longest, with the smallest step size."""


@dataclass(frozen=True)
class Settings:
    """Every method on min max x y: its contraction factor and its largest stable step size, measured and exact."""

    steps: Annotated[int, partial(check_whole, least=LEAST_STEPS, most=1_000_000)] = 8000
    """Steps of each run; the more, the more exact are the measured factors."""
    methods: Annotated[tuple[str, ...] | None, partial(check_known, known=[form.name for form in CLOSED_FORMS])] = None
    """Names of methods, as the printed table has them; all if none is given."""


def compute(settings: Settings, out: Path) -> Data:
    chosen = [form for form in CLOSED_FORMS if not settings.methods or form.name in settings.methods]
    rows = [measure(form, settings.steps) for form in progress(chosen, "methods")]
    return {
        "methods": rows,
        "drift_of_conserved": {f"{first} first": drift(first == "D", settings.steps) for first in "DG"},
        "drawn": {"step size": DRAWN_STEP_SIZE, "steps": DRAWN_STEPS},
    }


def measure(form: ClosedForm, steps: int, points: int = POINTS) -> dict[str, Any]:
    """What runs and Jacobians say of a method, beside the closed forms."""
    crosses = 0 < form.threshold < math.inf
    sizes = np.linspace(SMALLEST_STEP, RANGE * form.threshold if crosses else RANGE_WITHOUT_THRESHOLD, points)
    sides = form.threshold * np.array([1 - THRESHOLD_MARGIN, 1 + THRESHOLD_MARGIN]) if crosses else []
    reached = np.asarray(rescaled_runs(form, jnp.asarray([*sizes, *sides, DRAWN_STEP_SIZE]), steps))
    distances = np.hypot(*reached)
    growths = np.log(distances / START_DISTANCE)
    # In the first quarter of a run the lesser modes die out.
    rate = partial(growth.growth_rate, start=steps // 4)
    factors = np.exp(jax.vmap(rate)(np.cumsum(growths, axis=1)))
    search = partial(
        thresholds.largest_stable_rate, form.rule, GAME, EQUILIBRIUM,
        steps=form.period, lowest=SMALLEST_STEP, highest=LARGEST_STEP, tolerance=GROWTH_TOLERANCE,
    )  # fmt: skip
    closed, threshold = form.factor(sizes), float(jax.jit(search)())
    curve, best, windows = shape(form)
    drawn = math.hypot(*START) * np.exp(np.cumsum(growths[-1, :DRAWN_STEPS]))
    return {
        "method": form.name,
        "group": form.group,
        "family": form.family,
        "formula": form.formula,
        "step_sizes": sizes,
        "closed": closed,
        "measured": factors[:points],
        "largest_difference": float(np.abs(factors[:points] - closed).max()),
        "curve": curve[:, curve[0] <= sizes[-1]],
        "best": best,
        "windows": windows,
        # 0: no step size is stable; infinite, null in JSON: every one is.
        "threshold": {"closed": form.threshold, "measured": threshold, "formula": form.bound},
        "factors_beside_threshold": list(factors[points:-1]) if crosses else None,
        "drawn factor": float(form.factor(np.array([DRAWN_STEP_SIZE]))[0]),
        "path": np.stack([START, *(drawn * reached[:, -1, :DRAWN_STEPS] / distances[-1, :DRAWN_STEPS]).T]),
    }


def shape(form: ClosedForm) -> tuple[np.ndarray, dict[str, float], np.ndarray]:
    """The curve of the factor against the step size `[2, points]`, the best step size, and the windows that contract.

    The curve has all of its minima. The best step size is infinite if the factor falls forever. Windows of step sizes
    are `[windows, 2]`; one that goes beyond `LARGEST_STEP` ends at infinity.
    """
    grid = np.linspace(SMALLEST_DRAWN, LARGEST_STEP, CURVE_POINTS)
    factor = form.factor(grid)
    contracts = factor < 1 - figures.ROUNDING
    lower = np.pad(factor, 1, constant_values=np.inf)
    places = np.flatnonzero(contracts & (factor < lower[:-2]) & (factor <= lower[2:]))
    minima = np.array([minimum(form, grid[max(i - 1, 0)], grid[min(i + 1, CURVE_POINTS - 1)]) for i in places])
    every = np.sort(np.append(grid, minima))
    curve = np.stack([every, form.factor(every)])
    edges = np.flatnonzero(np.diff(np.pad(contracts, 1).astype(int))).reshape(-1, 2)
    windows = np.stack([grid[edges[:, 0]], np.where(edges[:, 1] == len(grid), math.inf, grid[edges[:, 1] - 1])], -1)
    lows = np.stack([minima, form.factor(minima)]) if minima.size else curve
    step, lowest = lows[:, np.argmax(lows[1] <= lows[1].min() + ROOT_ERROR)]
    far = float(form.factor(np.array([FAR_STEP]))[0])
    if contracts[-1] and far < lowest:
        step, lowest = math.inf, far
    return curve, {"step size": float(step), "factor": float(lowest)}, windows


def minimum(form: ClosedForm, low: float, high: float) -> float:
    """The step size between `low` and `high` at which the factor is least, where it may have a cusp."""
    sizes = np.linspace(low, high, ZOOM_POINTS)
    for _ in range(ZOOMS):
        least = form.factor(sizes).argmin()
        sizes = np.linspace(sizes[max(least - 1, 0)], sizes[min(least + 1, ZOOM_POINTS - 1)], ZOOM_POINTS)
    return float(sizes[form.factor(sizes).argmin()])


@partial(jax.jit, static_argnames=("form", "steps"))
def rescaled_runs(form: ClosedForm, step_sizes: jax.Array, steps: int) -> jax.Array:
    """Where each step leads that starts at `START_DISTANCE`: `[2, step sizes, steps]`, x and y.

    It starts in the direction that the step before has reached. The map is linear, so the growth is the same.
    """

    def run(step_size: jax.Array) -> jax.Array:
        inner = form.rule(step_size)
        rescaled = inner._replace(moves=lambda game: (rescale, *inner.moves(game)))
        return play(GAME, rescaled, START, steps, record_every=1)[0]

    return jnp.moveaxis(jax.vmap(run)(step_sizes), -1, 0)


def rescale(state: State, sample: Any) -> State:
    """The state with all numbers scaled alike, so that the players are at `START_DISTANCE`."""
    x, y = state.players
    factor = START_DISTANCE / jnp.sqrt(x**2 + y**2)
    return jax.tree.map(lambda leaf: factor * leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state)


def drift(discriminator_first: bool, steps: int) -> float:
    """The largest relative change of x² + y² ± η x y along a run of alternating steps: a rounding."""
    order = ORDERS["alternating" if discriminator_first else "alternating, G first"]
    path, _ = play(GAME, METHODS["plain"].rule(order, CONSERVED_STEP_SIZE), START, steps, record_every=1)
    conserved = partial(perturbed_energy, learning_rate=CONSERVED_STEP_SIZE, discriminator_first=discriminator_first)
    return float(jnp.abs(conserved(Players(*path.T)) / conserved(START) - 1).max())


def report(data: Data) -> None:
    print(f"{'':43} {'factor: largest':>15}   {'unstable above η*':^27}")
    print(f"{'':43} {'difference':>15}   {'closed form':>13} {'measured':>13}   factor per step")
    words = {0.0: "never stable", math.inf: "always stable"}
    for row in data["methods"]:
        closed, measured = (words.get(eta, f"{eta:.10f}") for eta in map(row["threshold"].get, ("closed", "measured")))
        bound = f"   η* = {row['threshold']['formula']}" if row["factors_beside_threshold"] else ""
        difference = f"{row['largest_difference']:15.1e}"
        print(f"{row['method']:43} {difference}   {closed:>13} {measured:>13}   {row['formula']}{bound}")
    drifts = ", ".join(f"{order} {value:.0e}" for order, value in data["drift_of_conserved"].items())
    print(f"\nAlternating steps conserve x² + y² ± η x y (+: D first) except for rounding: {drifts}")


def answer(data: Data) -> str:
    rows = data["methods"]
    worst = max(row["largest_difference"] for row in rows)
    thresholds = [(row["threshold"]["closed"], row["threshold"]["measured"]) for row in rows]
    apart = max(0.0 if closed == measured else abs(closed - measured) for closed, measured in thresholds)
    count = sum(len(row["measured"]) for row in rows)
    return (
        f"{count} measured factors of {len(rows)} methods differ from their closed forms by at most "
        f"{at_most(worst, 2)}, the largest stable step sizes by at most {at_most(apart, 2)}."
    )


EXPERIMENT = Experiment(
    "bilinear", Settings, compute, answer,
    {
        "contraction.png": Figure(figures.contraction, size=figures.size_of_contraction),
        "factors.png": Figure(figures.factors, 15, 10.5),
        "trajectories.png": Figure(figures.trajectories, 16, 15),
    },
    report,
    time="about 1 minute",
    quick=Quick({"steps": 3000, "methods": ("gradients, alternating", "extragradient, simultaneous")}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
