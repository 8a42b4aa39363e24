"""Which training methods reach the equilibrium of slanted land? Every objective, order and method at many rates.

A method is judged at the best of its rates and strengths: where most runs converged, then by the fewest steps in the
median. See docs/results/compare_methods.md.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from _combinations import COMPARED_ORDERS, CONVERGED_DISTANCE, is_playable, programs, run
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, OBJECTIVES
from _options import check_known, check_positive, check_whole
from _results import Data
from _stores import swept
from figures import compare_methods as figures

from slantgan_jax.analysis.trajectories import Verdict

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

    An interrupted comparison continues where it stopped. A later one in the same folder, of fewer or more seeds and
    rates, uses the runs of a finished one.
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

    def check(self) -> None:
        for objective in self.objectives:
            if not any(is_playable(objective, *other) for other in itertools.product(COMPARED_ORDERS, self.methods)):
                raise ValueError(f"--objectives has {objective!r}, which none of the --methods can play: leave it out")


def compute(settings: Settings, out: Path) -> Data:
    every = itertools.product(settings.objectives, COMPARED_ORDERS, settings.methods)
    combinations = [combination for combination in every if is_playable(*combination)]
    entries: dict[tuple[str, str, str], Data] = {}
    for order, method, objectives in progress(programs(combinations), "programs"):
        numbers = [list(OBJECTIVES).index(objective) for objective in objectives]
        axes = {"objective": np.arange(len(objectives)), "seed": np.arange(settings.seeds)}
        axes |= {"learning_rate": list(settings.rates), "strength": list(METHODS[method].strengths)}
        name = f"{order}-{method}-{'-'.join(map(str, numbers))}-{settings.steps}.zarr".replace(" ", "_")
        played = partial(run, objectives=objectives, rule=order, method=method, steps=settings.steps)
        ds = swept(played, axes, out / "sweeps" / name)
        for place, objective in enumerate(objectives):
            names = {"objective": objective, "rule": order, "method": method}
            entries[objective, order, method] = names | judged(ds.sel(objective=place))
    found = (entries[combination] for combination in combinations)
    ranking = sorted(found, key=lambda entry: (-entry["converged"], entry["steps"][1]))
    return {"ranking": ranking, "verdicts": list(VERDICTS), "close": CONVERGED_DISTANCE}


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
    time="less than an hour",
    quick=Quick({"seeds": 20, "objectives": ("non-saturating",), "methods": ("plain", "R1")}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
