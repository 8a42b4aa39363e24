"""The frame of the reproductions: one script a paper, with the settings as its code states them, and a verdict.

A script names its claim in one sentence, and answers in two lines. Those on toy data sets say which `Way`s there are to
train, and are played over seeds by `played`; their stores are kept in the folder of results, so that more seeds are
added to them. docs/claims.md has the verdicts.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the frame of all experiments is

import jax
import numpy as np
import tyro
from _experiment import Experiment, Figure, Quick
from _options import check_whole
from _results import Data, counted
from _toys import ATTRS, RECORDS, Toy, shown, summary
from figures import reproductions as figures

from slantgan_jax import Game, Rule

FULL_STEPS = 100_000

Seeds = Annotated[
    int,
    partial(check_whole, least=1, most=10**6),
    tyro.conf.arg(help="The number of runs of each way to train; seed S is jax.random.key(S)."),
]
Steps = Annotated[
    int,
    partial(check_whole, least=RECORDS, multiple=RECORDS),
    tyro.conf.arg(help="Steps of a run; a step makes all moves of its rule."),
]


QUICK = {"seeds": 4, "steps": 1000}
"""Of every reproduction on toy data. It shows what there is to see, and settles nothing."""


class Way(NamedTuple):
    """One way to train: a game of a toy, played by a rule."""

    toy: Toy
    game: Game
    rule: Rule


@dataclass(frozen=True)
class ToySettings:
    """What every reproduction on toy data can vary."""

    seeds: Seeds = 64
    steps: Steps = 50_000

    @property
    def part(self) -> str:
        """What the names of stores have to tell apart, besides the way to train and the steps."""
        return ""


@dataclass(frozen=True)
class SizedSettings(ToySettings):
    """What reproductions can vary that run at a reduced size by default."""

    full: bool = False
    """The published size, with 100,000 steps."""

    def __post_init__(self) -> None:
        if self.full and self.steps == type(self).steps:
            object.__setattr__(self, "steps", FULL_STEPS)

    def check(self) -> None:
        if self.full and self.steps != FULL_STEPS:
            raise ValueError(f"--steps is {self.steps}, but --full makes {FULL_STEPS}: leave one of them out")

    @property
    def part(self) -> str:
        return "full-" if self.full else ""


def played(ways: Mapping[str, Way], settings: ToySettings, out: Path) -> Data:
    """Plays every way over all seeds. Returns for each its summary, the measures of all runs, and some runs to draw."""
    found: Data = {}
    record = settings.steps // RECORDS * np.arange(1, RECORDS + 1)
    for name, way in ways.items():
        store = out / "runs" / f"{name}-{settings.part}{settings.steps}.zarr".replace(" ", "_").replace("/", "_")
        ds = way.toy.swept(partial(_run, way, settings.steps), settings.seeds, settings.steps, store)
        found[name] = {
            "summary": summary(ds),
            "runs": {measure: ds[measure].values for measure in ATTRS if measure in ds},
            "finite": ds["finite"].values,
            "points": ds["points"].values[: figures.DRAWN, -1],
            "players": ds["players"].values[: figures.DRAWN],
        }
    return {"ways": found, "record": record} | next(iter(ways.values())).toy.real_and_modes()


def median(values: np.ndarray, way: Data) -> float:
    """The median of `values` `[runs]` of the first runs of a way that have not diverged; NaN if all have."""
    known = values[way["finite"][: len(values)]]
    return float(np.median(known)) if known.size else np.nan


def surfaces(ways: Mapping[str, Way], data: Data) -> Data:
    """D's logit on a square around the data for some seeds of each way, `[seeds, n, n]`."""
    axis = 1.5 * np.abs(data["real"]).max() * np.linspace(-1, 1, 81)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float32)
    found = {}
    for name, way in ways.items():
        logits = jax.jit(jax.vmap(way.toy.logit, (None, 0)))
        drawn = [way.toy.players_of(numbers).discriminator for numbers in data["ways"][name]["players"]]
        found[name] = np.stack([np.asarray(logits(one, points)).reshape(81, 81) for one in drawn])
    return {"axis": axis, "surfaces": found}


def covering(data: Data, better: Collection[str]) -> str:
    """Whether the ways named `better` end with all modes, and the others do not."""
    shares = {name: way["summary"]["all modes at the end"] for name, way in data["ways"].items()}
    return compared(shares, better, data, "end with all modes")


def compared(shares: Mapping[str, tuple[float, float, float]], better: Collection[str], data: Data, what: str) -> str:
    """A verdict on the claim that the ways named `better` have a larger share of runs that do `what`, and the shares.

    It is confirmed if the intervals of the shares lie apart, and the opposite holds if they do in the other order.
    Otherwise it is not decided if each of these ways has the larger share, and not confirmed if one has not.
    """
    good, bad = ([shares[name] for name in shares if (name in better) == chosen] for chosen in (True, False))
    if min(low for _, low, _ in good) > max(high for _, _, high in bad):
        verdict = "Confirmed"
    elif max(high for _, _, high in good) < min(low for _, low, _ in bad):
        verdict = "The opposite holds"
    else:
        verdict = "Not confirmed" if min(good) <= max(bad) else "Not decided by so few seeds"
    seeds = next(iter(data["ways"].values()))["summary"]["seeds"]
    listed = "; ".join(f"{name} {one:.0%} ({low:.0%} to {high:.0%})" for name, (one, low, high) in shares.items())
    return f"{verdict}. Shares of {counted(seeds, 'seed')} that {what}:\n{listed}."


def table(claim: str, data: Data) -> None:
    """Prints the claim, and a line for each way to train."""
    print(f"Claim: {claim}")
    for name, way in data["ways"].items():
        fates = ", ".join(f"{fate} {part[0]:.0%}" for fate, part in way["summary"].get("fates", {}).items())
        print(f"  {name}: {shown(way['summary'])}. {fates}")


def _run(way: Way, steps: int, key: jax.Array) -> dict[str, jax.Array]:
    return way.toy.run(key, way.game, way.rule, steps)


def toy_experiment(
    name: str,
    settings: type[ToySettings],
    compute: Callable[[Any, Path], Data],
    answer: Callable[[Data], str],
    claim: str,
    time: str,
    quick: str,
    further: Mapping[str, Figure] | None = None,
) -> Experiment:
    """A reproduction on toy data: its claim and table are printed; fates, samples and `further` figures are drawn.

    `time` and `quick` are how long it takes, by default and with --quick, which has to compile as much.
    """

    def drawings(data: Data) -> dict[str, Figure]:
        common = {"samples.png": Figure(figures.samples, size=figures.size)}
        if data["modes"] is not None:
            common["overview.png"] = Figure(figures.overview, size=figures.overview_size)
        return common | dict(further or {})

    return Experiment(
        f"reproductions/{name}", settings, compute, answer, drawings, partial(table, claim),
        x64=False, devices=None, fused=False, time=time, quick=Quick(QUICK, quick),
    )  # fmt: skip
