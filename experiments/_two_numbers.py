"""Runs of a rule on a game of two numbers: what becomes of them, and the factor of a step near the equilibrium."""

import itertools
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slantgan_jax import Game, Players, Rule, fields, train
from slantgan_jax.analysis import growth, spectra, trajectories
from slantgan_jax.analysis.trajectories import Verdict
from slantgan_jax.fields import Transform

RECORD_EVERY = 5
NEAR_RUNS, NEAR_RADIUS = 4, 1e-3
"""The runs that measure the factor at the equilibrium, and where they start."""
LARGEST_DISTANCE = 1e-2
"""How a run converges is measured at smaller distances."""
CONVERGED_DISTANCE = 1e-4
"""A run that comes so close, from 0.3 to 1.5, converges linearly: as n^-½ it would take 1e9 steps."""
STILL, STILL_SHARE = 1e-3, 0.1
"""A run that stalls moves by less, and by a smaller share of its last distance: a run that falls does not stall."""
LEAVING = {"diverges", "stalls", "drifts", "spirals out", "leaves"}
WORDS = {
    Verdict.DIVERGED: "diverges", Verdict.CONVERGED: "linear", Verdict.CONVERGING: "converging",
    Verdict.SUBLINEAR: "sublinear", Verdict.STALLED: "stalls", Verdict.DRIFTING: "drifts",
    Verdict.SPIRALING_OUT: "spirals out", Verdict.OSCILLATING: "cycle",
}  # fmt: skip

FIELD_AXIS = np.linspace(-2, 2, 17)
ORBIT_TOLERANCE = 0.05
"""Closed orbits keep their size up to this share, and their sizes differ by more; `same_cycle` has the same number."""
NEUTRAL_GROWTH = 1e-13
"""A spectral radius this close to 1 is 1: rounding."""


def play(
    game: Game, rule: Rule, start: Players, steps: int, record_every: int = RECORD_EVERY
) -> tuple[jax.Array, jax.Array]:
    """The run of `rule` on `game`, which draws nothing, from `start`: `[records, 2]`, and whether it stays finite."""
    run = train(
        jax.random.key(0), game, rule, steps,
        players=start, record=lambda info: jnp.stack(info.players), record_every=record_every,
    )  # fmt: skip
    return run.history, run.finite


def starts(radii: Any, turn: float) -> Players:
    """Starts at distances `radii` `[runs]` from the equilibrium, each turned from the one before by `turn` π."""
    angles = np.arange(len(radii)) * np.pi * turn
    return Players(radii * np.cos(angles), radii * np.sin(angles))


@cache
def field_at_origin(game: Game, transform: Transform) -> tuple[np.ndarray, float, np.ndarray]:
    """J at (0, 0); how far ξ jumps there across ψ = 0; and -ξ on the grid. Many rows have the same field."""
    field = spectra.expected_field(game, transform)
    grid, sides = np.meshgrid(FIELD_AXIS, FIELD_AXIS), ([0, 0], [1e-12, -1e-12])
    points = Players(*(np.append(*numbers) for numbers in zip(grid, sides, strict=True)))
    at_points = jax.jit(lambda origin, points: (fields.jacobian(field, origin), jnp.stack(jax.vmap(field)(points), -1)))
    jacobian, values = map(np.asarray, at_points(Players(0.0, 0.0), points))
    return jacobian, float(np.linalg.norm(values[-2] - values[-1])), -values[:-2].reshape(*grid[0].shape, 2)


def compared(closed: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Eigenvalues in closed form and by autodiff, in the order in which they are closest."""
    orders = (np.array(order) for order in itertools.permutations(found, len(closed)))
    best = min(orders, key=lambda order: np.abs(order - closed).max())
    parts = {"closed": closed, "autodiff": best}
    return {name: np.stack([np.real(values), np.imag(values)], -1) for name, values in parts.items()} | {
        "difference": float(np.abs(best - closed).max())
    }


def spectral_verdict(growth: float) -> str:
    """Whether an equilibrium attracts or repels, by a spectral radius less 1 or a flow's growth rate."""
    return "undecided" if abs(growth) < NEUTRAL_GROWTH else "attracts" if growth < 0 else "repels"


@jax.jit
def measured_factor(radii: jax.Array, low: float) -> tuple[jax.Array, jax.Array]:
    """The factor of a step, and its error, from distances `[runs, records]` in the time in which they exceed `low` and
    are below `LARGEST_DISTANCE`.

    The later half of that time counts. The error is how far the factors of single runs, in this half and in the middle
    half, are from that: waves of few turns, and lesser modes that have not died out, make them differ.
    """

    def rates(radii: jax.Array) -> jax.Array:
        start, stop = growth.longest_stretch(radii, low, LARGEST_DISTANCE)
        quarter = (stop - start) // 4
        windows = ((start + stop) // 2, stop), (start + quarter, stop - quarter)
        return jnp.stack([growth.growth_rate(jnp.log(radii), *window) for window in windows])

    factors = jnp.exp(jax.vmap(rates)(radii) / RECORD_EVERY)  # [runs, windows]
    factor = jnp.exp(jnp.log(factors[:, 0]).mean())
    return factor, jnp.abs(factors - factor).max()


def run_verdict(places: np.ndarray, radii: np.ndarray, finite: np.ndarray, start_radii: np.ndarray) -> dict[str, Any]:
    """What becomes of runs with positions `places` `[runs, records, 2]` and distances `radii` `[runs, records]`, that
    start at the distances `start_radii` `[runs]`.

    Each run has one of the `WORDS`. Runs that differ are "leaves" if none of them stays, and otherwise "mixed". Runs
    that all circle are on a "limit cycle" if they end on the same one, and on "closed orbits" if these keep their
    sizes, and the sizes differ. Otherwise they are "circling", and too short to show more.
    """
    tail = radii.shape[1] // 5
    codes, orbits, exponents = courses(places, radii, finite, tail)
    classes = [WORDS[Verdict(int(code))] for code in codes]
    kind = classes[0] if len(set(classes)) == 1 else "leaves" if set(classes) <= LEAVING else "mixed"
    distances = np.where(np.isnan(radii), np.inf, radii)  # a run that has diverged is infinitely far
    ends = distances[:, -tail:]
    shares = ends.max(1) / start_radii
    if kind == "cycle":
        sizes, before = np.log(ends.max(1)), np.log(distances[:, -2 * tail : -tail].max(1))
        closed = np.abs(sizes - before).max() < ORBIT_TOLERANCE < np.ptp(sizes)
        kind = "limit cycle" if trajectories.same_cycle(orbits) else "closed orbits" if closed else "circling"
    return {
        "run verdict": kind,
        "runs": {name: classes.count(name) for name in dict.fromkeys(classes)},
        "radius": [float(ends.min()), float(ends.max())],
        "share": [float(shares.min()), float(shares.max())],
        "exponent": float(exponents.mean()) if kind == "sublinear" else None,
    }


@partial(jax.jit, static_argnames="tail")
def courses(
    places: jax.Array, radii: jax.Array, finite: jax.Array, tail: int
) -> tuple[jax.Array, trajectories.Orbit, jax.Array]:
    """The verdict of each run, its orbit in the last `tail` records, and its exponent where it converges as a power."""

    def classify(radii: jax.Array, places: jax.Array, finite: jax.Array) -> jax.Array:
        still = jnp.minimum(STILL, STILL_SHARE * radii[-1])
        return trajectories.classify(radii, places, finite, close=CONVERGED_DISTANCE, still=still, settled_records=tail)

    orbits = jax.vmap(trajectories.orbit_statistics)(places[:, -tail:])
    return jax.vmap(classify)(radii, places, finite), orbits, jax.vmap(trajectories.power_law_exponents)(radii)[1]
