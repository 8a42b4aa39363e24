"""Which methods converge on the Dirac-GAN? Spectra, in closed form and by autodiff, against runs.

Sixty runs of each method from all sides say what becomes of it; four runs near the equilibrium measure the factor of a
step, which the largest eigenvalue of the step predicts. See docs/results/dirac_gan.md.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import _two_numbers as runs
import jax
import numpy as np
from _experiment import Experiment, Figure, Quick, progress
from _options import check_known, check_whole, check_within
from _results import Data, counted, is_known
from closed_forms.dirac import ClosedForm, closed_forms
from figures import dirac_gan as figures

from slantgan_jax import Players
from slantgan_jax.analysis import spectra

FAR_RUNS, FAR_RADII = 60, (0.3, 1.5)
"""The runs that show where a method goes; those near the equilibrium measure the factor there."""
GOLDEN_ANGLE = 3 - np.sqrt(5)  # over π; all of its multiples differ
SMALLEST_DISTANCE = 1e-14  # the factor is measured above it
FACTOR_TOLERANCE = 0.01  # relative to 1 - factor; what is not linear adds the rate times the squared distance
LESSER_DECAY = 12.0  # the least steps · ln(ρ / |μ|) with which a lesser mode μ no longer counts in the measured factor
SAME_MODULUS = 1e-6  # eigenvalues whose moduli differ by a smaller share are of modes that last equally long
DRAWN_RUNS, DRAWN_RECORDS = [15, 40, 59], {"paths": 300, "ends": 60}
VISIBLE_GROWTH = {"attracts": 12.0, "repels": 0.15, "undecided": math.inf}  # the least steps · |ln ρ| that runs show
ORIGIN = Players(0.0, 0.0)
CIRCLE = "non-saturating, simultaneous"


def check_form(option: str, name: str) -> None:
    check_known(option, name, closed_forms(0.1))


@dataclass(frozen=True)
class Settings:
    """Which GAN training methods converge, on the Dirac-GAN: from spectra and from runs."""

    learning_rate: Annotated[float, partial(check_within, least=0.001, most=1)] = 0.1
    """Of both players' gradient descent, from 0.001 to 1."""
    steps: Annotated[int, partial(check_whole, least=100, most=10_000_000, multiple=100)] = 40_000
    """Of each run, a multiple of 100; slow methods need about 400 / learning_rate²."""
    methods: Annotated[tuple[str, ...] | None, check_form] = None
    """Names of methods, as the printed table has them; all if none is given."""


def compute(settings: Settings, out: Path) -> Data:
    rate, chosen = settings.learning_rate, settings.methods
    forms = {name: form for name, form in closed_forms(rate).items() if not chosen or name in chosen}
    rows, portraits = {}, []
    for name, form in progress(forms.items(), "methods", len(forms)):
        rows[name], portrait = examine(form, settings.steps)
        rows[name]["agrees"] = agrees(rows[name], rate)
        portraits.append(portrait)
    data = {
        "methods": rows,
        "portraits": jax.tree.map(lambda *arrays: np.stack(arrays), *portraits),
        "axis": runs.FIELD_AXIS,
        "drawn steps": {
            part: min(records * runs.RECORD_EVERY, settings.steps) for part, records in DRAWN_RECORDS.items()
        },
    }
    if CIRCLE in rows and rows[CIRCLE]["run verdict"] == "limit cycle":
        data["limit cycle"] = {"predicted": math.sqrt(2 * rate), "measured": float(np.mean(rows[CIRCLE]["radius"]))}
    return data


def examine(form: ClosedForm, steps: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A row's numbers, and the arrays of its portrait."""
    jacobian, jump, arrows = runs.field_at_origin(form.game, form.field)
    start_radii = np.append(np.linspace(*FAR_RADII, FAR_RUNS), np.full(runs.NEAR_RUNS, runs.NEAR_RADIUS))
    starts = runs.starts(start_radii, GOLDEN_ANGLE)
    run = jax.jit(jax.vmap(lambda start: runs.play(form.game, form.rule, start, steps)))
    places, finite = map(np.asarray, run(starts))
    with np.errstate(over="ignore"):  # in runs that diverge
        radii = np.hypot(*np.moveaxis(places, -1, 0))
    row: dict[str, Any] = {"group": form.group, "jump": jump}
    if form.flow is None or form.update is None:
        verdicts = dict.fromkeys(("flow verdict", "spectral verdict"), "no equilibrium")
        row |= {"spectral radius": None, "measured factor": None, "error of it": None, "seen": False, **verdicts}
    else:
        update_jacobian = partial(spectra.update_jacobian, form.rule, form.game, steps=form.rule.period)
        values = np.linalg.eigvals(jax.jit(update_jacobian)(players=ORIGIN))
        moduli = np.abs(values) ** (1 / form.rule.period)
        radius = float(moduli.max())
        lesser = np.max(moduli, where=moduli < radius * (1 - SAME_MODULUS), initial=np.finfo(float).tiny)
        factor, error = map(float, runs.measured_factor(radii[FAR_RUNS:], SMALLEST_DISTANCE))
        if steps * math.log(radius / lesser) < LESSER_DECAY:
            error = math.inf
        merged = np.abs(np.subtract(*form.flow)) < 1e-6  # then runs grow by a power of n, too
        row |= {
            "flow": runs.compared(form.flow, np.linalg.eigvals(jacobian)),
            "update": runs.compared(form.update, values),
            "spectral radius": radius,
            "measured factor": None if merged else factor,
            "error of it": None if merged else error,
            "seen": steps * abs(math.log(radius)) > VISIBLE_GROWTH[runs.spectral_verdict(radius - 1)],
            "flow verdict": runs.spectral_verdict(-np.real(form.flow).min()),
            "spectral verdict": runs.spectral_verdict(radius - 1),
        }
    row |= runs.run_verdict(*(values[:FAR_RUNS] for values in (places, radii, finite, start_radii)))
    drawn, (first, last) = places[DRAWN_RUNS], DRAWN_RECORDS.values()
    paths = np.concatenate([np.stack(starts, -1)[DRAWN_RUNS, None], drawn[:, :first]], axis=1)
    return row, {"arrows": arrows, "paths": paths, "ends": drawn[:, -last:]}


def agrees(row: dict[str, Any], rate: float) -> bool:
    """Whether runs did what the spectrum says: their kinds, and the factor measured at the equilibrium.

    The spectrum speaks of what happens near the equilibrium. If it attracts, some runs must converge linearly, but
    others may stay away. If it repels, none may converge. A spectral radius of 1, or too near to it to be seen in so
    many steps, leaves the kind to the runs. Then none may converge linearly unless it is below 1, and without an
    equilibrium none may converge at all. A factor agrees within the error of its measurement, which is large in short
    runs, and infinite while a lesser mode is left. One that could not be measured agrees with all.
    """
    radius, factor, kinds = row["spectral radius"], row["measured factor"], set(row["runs"])
    if radius is None:
        return kinds.isdisjoint(("linear", "sublinear"))
    if row["seen"] and row["spectral verdict"] == "repels":
        same = kinds.isdisjoint(("linear", "sublinear", "converging"))
    else:
        same = ("linear" in kinds) == row["seen"] or (not row["seen"] and row["spectral verdict"] == "attracts")
    tolerance = FACTOR_TOLERANCE * abs(radius - 1) + rate * runs.NEAR_RADIUS**2
    return same and (not is_known(factor) or abs(factor - radius) < tolerance + row["error of it"])


def report(data: Data) -> None:
    columns = "{:32} {:>12} {:>12}  {:15} {}"
    print(columns.format("method", "update's ρ", "measured", "spectrum", "runs"))
    for name, row in data["methods"].items():
        numbers = (f"{row[key] or math.nan:.8f}" for key in ("spectral radius", "measured factor"))
        unseen = " *" if row["spectral verdict"] in ("attracts", "repels") and not row["seen"] else ""
        print(columns.format(name, *numbers, row["spectral verdict"] + unseen, figures.outcome(row)))
    print("* so near to 1 that runs of this length do not show it\n")
    if cycle := data.get("limit cycle"):
        print(f"{CIRCLE}: a cycle of radius {cycle['measured']:.4f}; √(2η) = {cycle['predicted']:.4f}.")


def answer(data: Data) -> str:
    rows = data["methods"]
    kinds = [row["run verdict"] for row in rows.values()]
    disagreeing = ", ".join(name for name, row in rows.items() if not row["agrees"]) or "none"
    return (
        f"The Dirac-GAN at rate {data['settings']['learning_rate']:g}: of {counted(len(rows), 'method')} "
        f"{kinds.count('linear')} converge linearly and {kinds.count('sublinear')} sublinearly within "
        f"{data['settings']['steps']:,} steps, the others not\n"
        f"Run and spectrum disagree for: {disagreeing}."
    )


EXPERIMENT = Experiment(
    "dirac_gan",
    Settings,
    compute,
    answer,
    {"portraits.png": Figure(figures.portraits, size=figures.size)},
    report,
    time="about 1 minute",
    quick=Quick({"steps": 10_000, "methods": ("minimax, simultaneous", "R1", "WGAN, clipped")}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
