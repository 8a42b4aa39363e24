"""Which training methods reach the equilibrium of slanted land? Every objective, order and method at many rates.

A method is judged at the best of its rates and strengths: where most runs converged, then by the fewest steps in the
median. See docs/results/compare_methods.md.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, OBJECTIVES, ORDERS
from _options import check_known, check_positive, check_whole
from _results import Data
from figures import compare_methods as figures

from slantgan_jax import Game, distributions, faces, games, sweep, train
from slantgan_jax.analysis import distances, trajectories
from slantgan_jax.analysis.trajectories import Verdict
from slantgan_jax.training import StepInfo

CONVERGED_DISTANCE = 0.01
RECORD_EVERY_STEPS = 5
"""An odd number, since rates that are too large overshoot to and fro in every other step."""
NODES = 8
"""Nodes of the latent: E σ(w z + b) to 1e-6 for |w| up to 5, far below `CONVERGED_DISTANCE`."""
COMPARED_ORDERS = ("tutorial", "simultaneous", "alternating")
VERDICTS = {
    "converged": (Verdict.CONVERGED,),
    "converging": (Verdict.CONVERGING, Verdict.SUBLINEAR),
    "oscillating": (Verdict.OSCILLATING, Verdict.SPIRALING_OUT),
    "stalled": (Verdict.STALLED,),
    "drifting": (Verdict.DRIFTING,),
    "diverged": (Verdict.DIVERGED,),
}
"""What becomes of runs, the better the earlier."""


@dataclass(frozen=True)
class Settings:
    """Run every objective with every order and method; rank them, draw the table, write ranking.txt.

    An interrupted comparison continues where it stopped.
    """

    seeds: Annotated[int, partial(check_whole, least=1, most=1_000_000)] = 100
    """Runs for each method, rate and strength."""
    rates: Annotated[tuple[float, ...], check_positive] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    """Learning rates of both players (Adam has a tenth of them)."""
    steps: Annotated[int, partial(check_whole, least=100, most=100_000_000, multiple=100)] = 3000
    """Steps of each run, a multiple of 100."""
    objectives: Annotated[tuple[str, ...], partial(check_known, known=OBJECTIVES)] = tuple(OBJECTIVES)
    """The objectives."""
    methods: Annotated[tuple[str, ...], partial(check_known, known=METHODS)] = tuple(METHODS)
    """The methods."""


def compute(settings: Settings, out: Path) -> Data:
    combinations = itertools.product(settings.objectives, COMPARED_ORDERS, settings.methods)
    combinations = [combination for combination in combinations if is_playable(*combination)]
    entries = []
    for objective, order, method in progress(combinations, "combinations"):
        names = {"objective": objective, "rule": order, "method": method}
        axes = {"seed": np.arange(settings.seeds), "learning_rate": list(settings.rates)}
        ds = sweep(
            partial(run, **names, steps=settings.steps),
            axes | {"strength": list(METHODS[method].strengths)},
            store=out / "sweeps" / f"{objective}-{order}-{method}.zarr".replace(" ", "_"),
        )
        entries.append(names | judged(ds))
    ranking = sorted(entries, key=lambda entry: (-entry["converged"], entry["steps"][1]))
    return {"ranking": ranking, "verdicts": list(VERDICTS), "close": CONVERGED_DISTANCE}


def is_playable(objective: str, order: str, method: str) -> bool:
    """Whether the combination exists.

    The tutorial's order needs a loss of D that is a sum of terms. So does instance noise, because pairs of noisy images
    are too many for an exact expectation. A method that is a rule of its own has no order.
    """
    terms = len(OBJECTIVES[objective].discriminator)
    is_free = METHODS[method].whole_rule is None
    return (terms > 1 or not (order == "tutorial" or METHODS[method].noisy)) and (is_free or order == "simultaneous")


def run(
    key: jax.Array, learning_rate: jax.Array, strength: jax.Array, objective: str, rule: str, method: str, steps: int
) -> dict[str, jax.Array]:
    """One run: its last distance to equilibrium, the steps until it stayed close, and its verdict, in `VERDICTS`."""
    chosen = METHODS[method]
    game = chosen.game(OBJECTIVES[objective], strength, latent=distributions.uniform(nodes=NODES))
    game = games.expected(coarsely_noisy(game) if chosen.noisy else game)

    def record(info: StepInfo) -> tuple:
        images = faces.unstack(faces.FACES)
        return distances.to_equilibrium(info.players, images, chosen.logit), info.players

    played = chosen.rule(ORDERS[rule], learning_rate, strength)
    result = train(key, game, played, steps, record=record, record_every=RECORD_EVERY_STEPS)
    distance, players = result.history
    verdict = trajectories.classify(distance, players, result.finite, close=CONVERGED_DISTANCE)
    settled = trajectories.first_settled_record(distance, CONVERGED_DISTANCE)
    steps_to_close = jnp.where(verdict == Verdict.CONVERGED, (settled + 1.0) * RECORD_EVERY_STEPS, jnp.inf)
    return {
        "distance": distance[-1],
        "steps_to_close": steps_to_close.astype(jnp.float32),
        "verdict": verdict,
        "finite": result.finite,
    }


def coarsely_noisy(game: Game) -> Game:
    """`game` with instance noise of 2 n values, ±√n in one of the n pixels, instead of 8ⁿ nodes of a quadrature.

    It has the first three moments of normal noise; where D is nearly undecided the second is all that counts.
    """
    pixels = faces.FACES.shape[1]
    corners = np.sqrt(pixels) * np.concatenate([np.eye(pixels), -np.eye(pixels)])
    noise = distributions.resampled(faces.unstack(corners))
    return game._replace(draws=game.draws._replace(real_noise=noise, fake_noise=noise))


def judged(ds: xr.Dataset) -> Data:
    """The shares of the verdicts for each rate and strength; at the best, the quartiles over seeds of the steps."""
    ds = ds.transpose("learning_rate", "strength", "seed")
    cells = list(itertools.product(ds.learning_rate.values.tolist(), ds.strength.values.tolist()))
    verdict, steps, distance = (
        ds[name].values.reshape(len(cells), -1) for name in ("verdict", "steps_to_close", "distance")
    )
    shares = np.stack([np.isin(verdict, kinds).mean(axis=1) for kinds in VERDICTS.values()], axis=1)
    # "lower", because there is no interpolating between a number and infinity.
    quartiles = np.quantile(steps, [0.25, 0.5, 0.75], axis=1, method="lower").T
    best = min(range(len(cells)), key=lambda i: (-shares[i, 0], quartiles[i, 1], *-shares[i, 1:]))
    return {
        "rate": cells[best][0],
        "strength": cells[best][1],
        "converged": float(shares[best, 0]),
        "steps": quartiles[best].tolist(),
        "verdict": list(VERDICTS)[np.argmax(shares[best])],
        "distance": float(np.median(distance[best])),
        "shares": [
            {"rate": rate, "strength": strength, "shares": row}
            for (rate, strength), row in zip(cells, shares.tolist(), strict=True)
        ],
    }


def ranking_txt(data: Data) -> bytes:
    """The ranking, a line for each combination: at its best rate and strength, the quartiles of its steps."""
    lines = [
        f"{place:4}  {e['objective']:15} {e['rule']:13} {e['method']:18} rate {e['rate']:<6g} "
        f"strength {e['strength']:<5g} converged {e['converged']:4.0%}  steps {e['steps'][1]:6g} "
        f"[{e['steps'][0]:g}, {e['steps'][2]:g}]  mostly {e['verdict']}\n"
        for place, e in enumerate(data["ranking"], 1)
    ]
    return "".join(lines).encode()


def answer(data: Data) -> str:
    reached = [entry for entry in data["ranking"] if np.isfinite(entry["steps"][1])]
    found = f"{len(reached)} of {len(data['ranking'])} combinations reach the equilibrium"
    if not reached:
        return f"{found}."
    fastest = min(reached, key=lambda entry: entry["steps"][1])
    names = f"{fastest['method']}, {fastest['objective']}, {fastest['rule']}"
    return f"{found}.\nThe fastest is {names}: {fastest['steps'][1]:.0f} steps."


EXPERIMENT = Experiment(
    "compare_methods", Settings, compute, answer,
    {
        "compare_methods.png": Figure(figures.draw, size=figures.size),
        "summary.png": Figure(figures.summary, size=figures.size_of_summary),
    },
    exports={"ranking.txt": ranking_txt},
    x64=False, devices=None,
    time="about half an hour",
    quick=Quick({"seeds": 20, "objectives": ("non-saturating",), "methods": ("plain", "R1")}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
