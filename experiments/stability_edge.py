"""How large may the learning rate be? The largest stable rate that the spectrum predicts, against runs.

The game is the non-saturating one with expected losses, at equilibria of slanted land, with and without R1. See
docs/results/stability_edge.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import optax
from _edges import AMPLITUDE, CHUNK, NODES, Case, edges
from _experiment import Experiment, Figure, Quick
from _methods import METHODS, ORDERS
from _options import check_known, check_whole, check_within
from _processes import in_processes
from _results import Data, at_most, counted
from figures import stability_edge as figures

from slantgan_jax import Players, rules
from slantgan_jax.analysis import growth

DIRECTION = np.array([1.0, -1.0, -1.0, 1.0])
LARGEST_SCALE = 6.0
LARGEST_STRENGTH = 1000.0


def case(order: str, method: str = "plain", strength: float = 0.0, **numbers: Any) -> Case:
    """A method of the catalog."""
    chosen = METHODS[method]
    return Case(partial(chosen.rule, ORDERS[order], strength=strength), period=chosen.period, **numbers)


CASES = {
    "tutorial": case("tutorial", newton=12, waves=1e-3),
    "simultaneous": case("simultaneous", steps=320_000),
    "alternating, D first": case("alternating"),
    "alternating, G first": case("alternating, G first"),
    "alternating, D twice": case("alternating, D twice"),
    "alternating, D four times as fast": Case(
        lambda rate: rules.alternating(Players(optax.sgd(rate), optax.sgd(4 * rate)))
    ),
    "momentum -½, alternating": case("alternating", "negative momentum", -0.5),
    "momentum -½, simultaneous": case("simultaneous", "negative momentum", -0.5),
    "optimistic": case("simultaneous", "optimistic"),
    "past extragradient": case("simultaneous", "past extragradient"),
    "extragradient": case("simultaneous", "extragradient", 1.0),
    "consensus 10": case("simultaneous", "consensus", 10.0),
    "SGA 10": case("simultaneous", "sga", 10.0),
    "CGD": case("simultaneous", "cgd", steps=2000),
    "Heun": case("simultaneous", "heun"),
    "Runge-Kutta 4": case("simultaneous", "rk4"),
    "lookahead 5, ½, simultaneous": case("simultaneous", "lookahead", 0.5),
}

IN_RANGE = partial(check_within, least=-LARGEST_SCALE, most=LARGEST_SCALE)
STEPS = partial(check_whole, least=2 * growth.MIN_RECORDS * CHUNK, most=100_000_000, multiple=4 * CHUNK)


@dataclass(frozen=True)
class Settings:
    """The largest stable learning rate of each rule along the equilibria: predicted, measured by runs, drawn."""

    methods: Annotated[tuple[str, ...], partial(check_known, known=CASES)] = tuple(CASES)
    """The names of the rules."""
    scales: Annotated[tuple[float, ...], IN_RANGE] = (0.0, 2.0, 4.0, 6.0)
    """s of the weights s (1, -1, -1, 1), from -6 to 6."""
    random: Annotated[int, partial(check_whole, least=0, most=10_000)] = 2
    """The number of further equilibria, with standard-normal weights."""
    strengths: Annotated[tuple[float, ...], partial(check_within, least=0, most=LARGEST_STRENGTH)] = (0.0, 0.1, 1.0)
    """The strengths of R1, up to 1000."""
    steps: Annotated[int | None, STEPS] = None
    """Steps of each run, a multiple of 40 from 400 up; by default 20000, for simultaneous 320000, for CGD 2000."""


def compute(settings: Settings, out: Path) -> Data:
    drawn = np.random.default_rng(0).normal(size=(settings.random, 4)).clip(-LARGEST_SCALE, LARGEST_SCALE)
    weights = np.concatenate([np.outer(settings.scales, DIRECTION), drawn])
    rows = in_processes(partial(row, settings, weights), settings.methods, "methods")
    return {"rows": rows, "weights": weights, "nodes": NODES, "amplitude": AMPLITUDE}


def row(settings: Settings, weights: np.ndarray, name: str) -> Data:
    """What is found for one rule."""
    chosen = CASES[name]._replace(**({} if settings.steps is None else {"steps": settings.steps}))
    return {"method": name, "steps": chosen.steps, **edges(chosen, weights, np.array(settings.strengths))}


def answer(data: Data) -> str:
    rows, strengths = data["rows"], data["settings"]["strengths"]
    names = [row["method"] for row in rows]
    lost, differences, resolutions = (
        np.concatenate([np.ravel(row[name]) for row in rows]) for name in ("lost", "difference", "resolution")
    )
    differences = differences[~lost]
    measured = differences[np.isfinite(differences)]
    found = "no difference could be measured"
    if measured.size:
        found = f"runs differ by at most {at_most(measured.max())} in {counted(measured.size, 'cell')}"
        found += f", and resolve {at_most(np.nanmax(resolutions))} or less"
    if unmeasured := differences.size - measured.size:
        found += f" ({counted(unmeasured, 'cell')} could not be measured)"
    medians = np.median([row["predicted"] for row in rows], axis=1)
    without, *others = sorted(range(len(strengths)), key=lambda i: strengths[i] != 0)  # no penalty first, if there is
    edge = medians[:, without]
    least, most = edge.argmin(), edge.argmax()
    text = (
        f"The spectrum predicts the largest stable learning rate of {counted(len(rows), 'rule')}: {found}.\n"
        f"At γ = {strengths[without]:g} its median over the equilibria "
    )
    if least == most:
        text += f"is {edge[least]:.3g} ({names[least]})"
    else:
        text += f"goes from {edge[least]:.3g} ({names[least]}) to {edge[most]:.3g} ({names[most]})"
    if others:
        compared = medians[:, others[0]]
        raised, helped = compared > edge, np.argmax(compared / edge)
        instead = f" in place of {strengths[without]:g}" if strengths[without] else ""
        text += f"; R1 with γ = {strengths[others[0]]:g}{instead} raises it for "
        text += f"{raised.sum()} of {counted(len(rows), 'rule')}"
        if raised.any():
            text += f", most for {names[helped]}: from {edge[helped]:.3g} to {compared[helped]:.3g}"
    return f"{text}."


EXPERIMENT = Experiment(
    "stability_edge",
    Settings,
    compute,
    answer,
    {"stability_edge.png": Figure(figures.draw, size=figures.size)},
    time="about 4 minutes",
    quick=Quick(
        {
            "methods": ("simultaneous", "alternating, D first", "tutorial"),
            "scales": (0.0, 4.0),
            "random": 0,
            "strengths": (0.0,),
        },
        "25 seconds",
    ),
)

if __name__ == "__main__":
    EXPERIMENT.main()
