"""Chavdarova et al. 2021, "Taming GANs with lookahead-minmax" (arXiv:2006.14567): a bilinear game of a hundred terms.

The game is that of `_finite_sum`, five runs, as two notebooks of their code have it.
batch_methods: the rate γ = 0.3, 800 passes. Descent, also with γ = 1e-4; extragradient; unrolling, where x, or each
player, sees the other after k = 6 more steps; lookahead with k = 6, also of extragradient. α = 0.8 is not drawn there.
LA-MM_stochastic_bilinear: 20,000 steps on minibatches without replacement. Its SVRE comes from a file, and is not run.

The code differs from the algorithms as published, and both are run:

    lookahead        is recorded before its return in the code; algorithm 1 ends with the return
    unrolling        takes the other's steps as constant in the code; Metz et al. 2017 differentiate through them
    extragradient    costs 3 passes a step in the code, with 2 gradients; in minibatches its second half has a
                     draw for each player, as published it has one (Gidel et al. 2019, algorithms 2 and 4)
    Adam             has no correction of the second moment in the code, and Extra-Adam counts both halves as one step
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import optax
from _curves import Data, Experiment, Figure, check_known, check_whole, progress, verdict
from _experiment import Quick
from _finite_sum import adam_as_coded, batch_problems, distances, minibatch_problems
from figures import curves as figures

from slantgan_jax import Rule, fields, rules

CLAIMS = {
    "batch": "The return of lookahead makes gradient descent converge.",
    "minibatch": "Lookahead handles high variance without large minibatches.",
}
RATE, PERIOD, FRACTIONS = 0.3, 6, (0.8, 0.5, 0.4)
SIZES = {
    "100": (0.2, 15, -0.9, 0.02, -0.6, 0.8),
    "64": (0.005, 450, -0.6, 0.01, -0.2, 0.005),
    "16": (0.01, 1500, -0.3, 0.005, 0.0, 0.005),
    "4": (0.03, 2350, -0.1, 0.01, 0.0, 0.04),
    "1": (0.05, 2450, 0.0, 0.005, 0.0, 0.005),
}
"""By minibatch: lookahead's rate and k, Adam's β₁, the rate and β₁ of Extra-Adam, the rate of extragradient."""
STOCHASTIC_FRACTION, ADAM_RATE, RECORD_EVERY = 0.3, 0.005, 10


@dataclass(frozen=True)
class Settings:
    """Does lookahead rescue gradient descent on a bilinear game, in full batch and in minibatches?"""

    passes: Annotated[int, partial(check_whole, least=60)] = 800
    """Of all terms, in full batch."""
    steps: Annotated[int, partial(check_whole, least=60)] = 20_000
    """In minibatches; extragradient makes a third of them."""
    sizes: Annotated[tuple[str, ...], partial(check_known, known=SIZES)] = tuple(SIZES)
    """Of minibatches."""


def batch_rules() -> dict[str, dict[str, tuple[Rule, int]]]:
    """By "code" and "paper", and by method: the rule, and how many passes a step costs."""
    sgd, unrolled = optax.sgd(RATE), partial(fields.unrolled, PERIOD, RATE)
    plain, extra = rules.simultaneous(sgd), rules.simultaneous(sgd, fields.extragradient(RATE))
    code = {
        "descent": (plain, 1),
        "descent, γ = 0.0001": (rules.simultaneous(optax.sgd(1e-4)), 1),
        "extragradient": (extra, 3),
        "x sees y unrolled": (rules.simultaneous(sgd, unrolled(through=False)), 2 + PERIOD),
        "both unrolled": (rules.simultaneous(sgd, unrolled(through=False, everyone=True)), 2 + 2 * PERIOD),
        "lookahead, extragradient": (rules.lookahead(extra, PERIOD, 0.5, late=True), 3),
    } | {f"lookahead, α = {alpha}": (rules.lookahead(plain, PERIOD, alpha, late=True), 1) for alpha in FRACTIONS}
    paper = {
        "extragradient": (extra, 2),
        "x sees y unrolled": (rules.simultaneous(sgd, unrolled()), 2 + PERIOD),
        "both unrolled": (rules.simultaneous(sgd, unrolled(everyone=True)), 2 + 2 * PERIOD),
        "lookahead, extragradient": (rules.lookahead(extra, PERIOD, 0.5), 2),
    } | {f"lookahead, α = {alpha}": (rules.lookahead(plain, PERIOD, alpha), 1) for alpha in FRACTIONS}
    return {"code": code, "paper": paper}


def minibatch_rules(size: str) -> dict[str, dict[str, tuple[Rule, int]]]:
    """The same for minibatches, where a pass is a step."""
    rate, period, beta, extra_rate, extra_beta, plain_rate = SIZES[size]
    plain, sgd = rules.simultaneous(optax.sgd(rate)), optax.sgd(plain_rate)
    code = {
        "lookahead": (rules.lookahead(plain, period, STOCHASTIC_FRACTION, late=True), 1),
        "Adam": (rules.simultaneous(adam_as_coded(ADAM_RATE, beta)), 1),
        "Extra-Adam": (rules.extrapolated(adam_as_coded(extra_rate, extra_beta, halves=2), samples=3), 3),
        "extragradient": (rules.extrapolated(sgd, samples=3), 3),
    }
    paper = {
        "Adam": (rules.simultaneous(optax.adam(ADAM_RATE, beta)), 1),
        "Extra-Adam": (rules.extrapolated(optax.adam(extra_rate, extra_beta), samples=2), 3),
        "extragradient": (rules.extrapolated(sgd, samples=2), 3),
    }
    return {"code": code, "paper": paper}


def played(ways: dict[str, Any], total: int, every: int = 1, **options: Any) -> dict[str, dict[str, Any]]:
    """By source and method: the mean and the deviation of the five runs, and the passes from record to record."""
    found: dict[str, dict[str, Any]] = {}
    for source, methods in ways.items():
        for name, (rule, cost) in progress(methods.items(), "methods", len(methods)):
            curves = distances(rule, total // cost, **options)[:, ::every]
            own = {"mean": curves.mean(0), "deviation": curves.std(0), "passes": cost * every}
            found.setdefault(source, {})[name] = own
    return found


def compute(settings: Settings, out: Path) -> Data:
    batch, problems = played(batch_rules(), settings.passes, problems=batch_problems()), minibatch_problems()
    small = {
        size: played(minibatch_rules(size), settings.steps, RECORD_EVERY, problems=problems, size=int(size))
        for size in settings.sizes
    }
    return {"claims": CLAIMS, "batch": batch, "minibatch": small}


def answer(data: Data) -> str:
    start, end = ({name: distance_at(i, own) for name, own in data["batch"]["code"].items()} for i in (0, -1))
    looking = {fraction: end[f"lookahead, α = {fraction}"] for fraction in FRACTIONS}
    arrives = [last < start["descent"] < end["descent"] for last in looking.values()]
    ahead = ", ".join(f"{last:.2g} (α = {fraction})" for fraction, last in looking.items())
    return (
        f"{verdict(arrives)} in full batch: descent goes from {start['descent']:.2g} to {end['descent']:.2g}, "
        f"lookahead to {ahead}, extragradient to {end['extragradient']:.2g}.\n{in_minibatches(data['minibatch'])}"
    )


def in_minibatches(found: Data) -> str:
    """The verdict on the sizes at which lookahead has returned, and which those are at which it has not."""
    code = {size: parts["code"] for size, parts in found.items()}
    tried = {size: own for size, own in code.items() if returned(size, own["lookahead"])}
    ends = {size: [distance_at(-1, way) for way in own.values()] for size, own in tried.items()}
    pairs = {size: (own, min(others)) for size, (own, *others) in ends.items()}
    nearer = [own < best for size, (own, best) in pairs.items() if size != "100"]
    own, best = (", ".join(f"{pair[i]:.2g}" for pair in pairs.values()) for i in (0, 1))
    text = f"{verdict(nearer)} in {'minibatches' if nearer else 'smaller minibatches'}"
    if tried:
        sizes = f"{' of' if nearer else '; in those of'} {', '.join(tried)} terms"
        text += f"{sizes}: lookahead ends at {own}, the best of the others at {best}"
    if early := [size for size in code if size not in tried]:
        text += f"; with {', '.join(early)} terms the steps are too few for lookahead to return once"
    return f"{text}."


def returned(size: str, lookahead: Data) -> bool:
    """Whether the last record of a run in minibatches is after the first return of lookahead."""
    return RECORD_EVERY * (len(lookahead["mean"]) - 1) > SIZES[size][1]


def distance_at(record: int, way: Data) -> float:
    """The mean distance at a record; infinite where it is no number any more."""
    distance = float(way["mean"][record])
    return math.inf if math.isnan(distance) else distance


def report(data: Data) -> None:
    for claim, parts in ((CLAIMS["batch"], {"": data["batch"]}), (CLAIMS["minibatch"], data["minibatch"])):
        print(f"Claim: {claim}")
        for size, source, methods in ((size, *entry) for size, sources in parts.items() for entry in sources.items()):
            for name, own in methods.items():
                print(f"  {size:3} {source:5} {name:24} {own['mean'][-1]:.3g} ± {own['deviation'][-1]:.2g}")


EXPERIMENT = Experiment(
    "reproductions/chavdarova_2021",
    Settings,
    compute,
    answer,
    {"curves.png": Figure(figures.chavdarova, 17, 8)},
    report,
    time="about 2 minutes",
    quick=Quick({"sizes": ("64",), "steps": 10_000}, "half a minute"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
