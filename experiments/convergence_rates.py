"""How fast do methods converge, and does the spectrum predict it? Seven methods at two learning rates.

Each method runs from the article's start with exact expectations. See docs/results/does_it_converge.md#other-methods.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import _convergence as convergence
import jax
import numpy as np
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, ORDERS
from _options import check_known, check_positive, check_whole
from _results import Data, at_most, counted
from figures import does_it_converge as figures

from slantgan_jax import Players, games
from slantgan_jax.analysis import trajectories

RECORDS = 2000
CONVERGED_DISTANCE = 0.01
MOST_STEPS = 2**32 - 1
"""That `train` makes."""


class Run(NamedTuple):
    """A method of the catalog, its order and strength, and the share of `Settings.epochs` that it needs to converge."""

    method: str
    order: str = "alternating"
    strength: float = 0.0
    share: float = 1.0


RUNS = {
    "tutorial's order": Run("plain", "tutorial"),
    "alternating": Run("plain"),
    "lookahead 5, 0.5": Run("lookahead", strength=0.5),
    "extragradient": Run("extragradient", strength=1.0),
    "optimistic": Run("optimistic"),
    "consensus 1": Run("consensus", strength=1.0, share=0.2),
    "R1, γ = 0.1": Run("R1", strength=0.1, share=0.04),
}


@dataclass(frozen=True)
class Settings:
    """How fast do methods converge, measured and predicted?"""

    methods: Annotated[tuple[str, ...], partial(check_known, known=RUNS)] = tuple(RUNS)
    """Which methods run."""
    learning_rates: Annotated[tuple[float, ...], check_positive] = (0.01, 0.3)
    """Of both players' gradient descent."""
    epochs: Annotated[int, partial(check_whole, least=2000, most=10_000_000, multiple=1000)] = 1_000_000
    """Of a run at the rate 0.01, a multiple of 1000; at other rates as many in the time of the flow. Consensus makes a
    fifth and R1 a 25th of them. Each run makes a multiple of 2000: they are rounded down, but are at least 2000."""
    seed: Annotated[int, partial(check_whole, least=0, most=2**32 - 1)] = convergence.ARTICLE_SEED
    """Of the article's random numbers, from which all runs have their start; 42 is the article."""

    def check(self) -> None:
        slowest = min(self.learning_rates)
        for name in self.methods:
            if (steps := convergence.STEPS_PER_EPOCH * epochs_of(RUNS[name], slowest, self)) > MOST_STEPS:
                raise ValueError(
                    f"--learning-rates has {slowest!r}, at which {name} would make {steps:,} steps, more than the "
                    f"{MOST_STEPS:,} that a run can make: give larger rates, or fewer --epochs"
                )


def epochs_of(run: Run, rate: float, settings: Settings) -> int:
    """The epochs of a run, a multiple of `RECORDS`."""
    return max(RECORDS, int(run.share * settings.epochs * convergence.ARTICLE_RATE / rate) // RECORDS * RECORDS)


def compute(settings: Settings, out: Path) -> Data:
    cases = [(rate, name) for rate in settings.learning_rates for name in settings.methods]
    rows = [
        {"method": name, "learning rate": rate, **rates_of(RUNS[name], rate, settings)}
        for rate, name in progress(cases, "methods")
    ]
    return {"methods": rows}


def rates_of(run: Run, rate: float, settings: Settings) -> dict[str, Any]:
    """The e-folding time of one run in epochs, predicted and measured, and what became of the run. Nothing is predicted
    of a rule that does not come to rest near the end of the run."""
    method = METHODS[run.method]
    rule = method.rule(ORDERS[run.order], rate, run.strength)
    epochs = epochs_of(run, rate, settings)
    record_every = epochs // RECORDS
    game = games.expected(method.game(strength=run.strength, latent=convergence.LATENT))
    game_in_arrays = method.game(strength=run.strength, latent=convergence.LATENT, images=convergence.IMAGES)

    @jax.jit
    def played(start: Players) -> tuple[Any, ...]:
        history = convergence.run(game, rule, epochs, record_every, start)
        return history, *convergence.rest(rule, game_in_arrays, history[-1], method.period)

    history, fixed, predicted = jax.tree.map(np.asarray, played(convergence.start_of(settings.seed)))
    fold, period = convergence.measured_decay(history, fixed, record_every)
    settled = int(trajectories.first_settled_record(convergence.distance(history), CONVERGED_DISTANCE))
    return {
        "predicted": float(predicted.fold) if 0 < predicted.fold < math.inf else math.nan,
        "measured": fold,
        "period": {"predicted": float(predicted.period), "measured": period},
        "epochs to 1 %": (settled + 1) * record_every if settled < RECORDS else math.inf,
        "epochs run": epochs,
        "verdict": convergence.verdict(history[RECORDS // 100 - 1 :: RECORDS // 100]),
    }


def answer(data: Data) -> str:
    """The fastest method at the first learning rate at which one comes to rest, and how well the spectrum predicts."""
    rows = data["methods"]
    resting = [row for row in rows if math.isfinite(row["predicted"])]
    at_rest = {row["learning rate"] for row in resting}
    restless = [f"{rate:g}" for rate in dict.fromkeys(row["learning rate"] for row in rows) if rate not in at_rest]
    where = f"At {'rate' if len(restless) == 1 else 'rates'} {', '.join(restless)} none of these methods comes to rest."
    if not resting:
        return where
    first = [row for row in rows if row["learning rate"] == resting[0]["learning rate"]]
    fastest = min(first, key=lambda row: (math.isnan(row["predicted"]), row["predicted"]))
    who = f"the fastest is {fastest['method']}: its" if len(first) > 1 else f"with {fastest['method']} the"
    known = first[0] is not fastest and math.isfinite(first[0]["predicted"])
    other = f" ({first[0]['method']}: {first[0]['predicted']:,.0f})" if known else ""
    head = (
        f"At rate {first[0]['learning rate']:g} {who} distance falls by e in {fastest['predicted']:,.0f} epochs{other}."
    )
    errors = [row["measured"] / row["predicted"] - 1 for row in resting if math.isfinite(row["measured"])]
    measured = "No run is long enough to measure this time."
    if errors:
        measured = f"Measured times differ from predicted ones by at most {at_most(100 * max(map(abs, errors)), 2)}%."
    if errors and (short := len(resting) - len(errors)):
        measured += f" No time was measured of {counted(short, 'run')} with too few records near the end."
    return "\n".join([head, measured, *([where] if restless else [])])


EXPERIMENT = Experiment(
    "convergence_rates",
    Settings,
    compute,
    answer,
    {"convergence_rates.png": Figure(figures.rates, 9, 5.5)},
    devices=0,
    time="about 2 minutes",
    quick=Quick({"methods": ("optimistic",), "learning_rates": (0.3,), "epochs": 600_000}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
