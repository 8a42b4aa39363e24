"""Runs of a rule on a game of two numbers: what becomes of them, and the factor of a step near the equilibrium."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from slantgan_jax import Game, Players, Rule, train
from slantgan_jax.analysis import growth, trajectories
from slantgan_jax.analysis.trajectories import Verdict

RECORD_EVERY = 5
NEAR_RUNS, NEAR_RADIUS = 4, 1e-3
"""The runs that measure the factor at the equilibrium, and where they start."""
LARGEST_DISTANCE = 1e-2
"""It is measured below."""
CONVERGED_DISTANCE = 1e-4
"""A run that comes so close, from 0.3 to 1.5, converges linearly: as n^-½ it would take 1e9 steps."""
LEAVING = {"diverges", "stalls", "drifts", "spirals out", "leaves"}
WORDS = {
    Verdict.DIVERGED: "diverges", Verdict.CONVERGED: "linear", Verdict.CONVERGING: "converging",
    Verdict.SUBLINEAR: "sublinear", Verdict.STALLED: "stalls", Verdict.DRIFTING: "drifts",
    Verdict.SPIRALING_OUT: "spirals out", Verdict.OSCILLATING: "cycle",
}  # fmt: skip


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
    """Starts at distances `radii` `[runs]` from the equilibrium, each turned from the one before by an angle."""
    angles = np.arange(len(radii)) * turn
    return Players(radii * np.cos(angles), radii * np.sin(angles))


@jax.jit
def measured_factor(radii: jax.Array, low: float) -> jax.Array:
    """The factor of a step, from distances `[runs, records]` in the later half of the time in which they exceed `low`
    and are below `LARGEST_DISTANCE`."""

    def rate(radii: jax.Array) -> jax.Array:
        start, stop = growth.longest_stretch(radii, low, LARGEST_DISTANCE)
        return growth.growth_rate(jnp.log(radii), (start + stop) // 2, stop)

    return jnp.exp(jax.vmap(rate)(radii).mean() / RECORD_EVERY)


def run_verdict(places: np.ndarray, radii: np.ndarray, finite: np.ndarray) -> dict[str, Any]:
    """What becomes of runs with positions `places` `[runs, records, 2]` and distances `radii` `[runs, records]`.

    Each run has one of the `WORDS`. Runs that differ are "leaves" if none of them stays, and otherwise "mixed". Runs
    that all circle are on a "limit cycle" if they end on the same one, and otherwise on "closed orbits".
    """
    tail = radii.shape[1] // 5
    classify = partial(trajectories.classify, close=CONVERGED_DISTANCE, settled_records=tail)
    classes = [WORDS[Verdict(int(verdict))] for verdict in jax.jit(jax.vmap(classify))(radii, places, finite)]
    kind = classes[0] if len(set(classes)) == 1 else "leaves" if set(classes) <= LEAVING else "mixed"
    if kind == "cycle":
        orbits = jax.vmap(trajectories.orbit_statistics)(places[:, -tail:])
        kind = "limit cycle" if trajectories.same_cycle(orbits) else "closed orbits"
    exponents = jax.vmap(trajectories.power_law_exponents)(radii)[1]
    ends = radii[:, -tail:]
    shares = ends.max(1) / radii[:, 0]
    return {
        "run verdict": kind,
        "runs": {name: classes.count(name) for name in dict.fromkeys(classes)},
        "radius": [float(ends.min()), float(ends.max())],
        "share": [float(shares.min()), float(shares.max())],
        "exponent": float(exponents.mean()) if kind == "sublinear" else None,
    }
