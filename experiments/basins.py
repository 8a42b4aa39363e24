"""Where does training work? The boundary in the plane of both learning rates, and in a plane of starting points.

Training is full batch, so nothing is random. See docs/results/basins.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import figures.basins as figures
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _boundaries import CELLS, MOST_ZOOMS, Plane, described, known_curves
from _experiment import Experiment, Figure, Quick
from _options import check_whole
from _results import Data

from slantgan_jax import Players, distributions, faces, games, rules, slanted_land, train
from slantgan_jax.analysis import distances, fractals
from slantgan_jax.analysis.trajectories import Verdict, classify

SEED = 3
NODES = 3
RECORDS = 50
CONVERGED_DISTANCE = 0.01
RATES = (3.0, 6.0)
"""Of G and D in the plane of starting points: near the boundary for the start of `SEED`, so that starts decide."""

PLANES = {
    "rates": Plane(("log_rate_g", "log_rate_d"), (-1.0, 2.5, -1.0, 2.5)),
    "starts": Plane(("along", "across"), (-4.0, 4.0, -4.0, 4.0)),
}


@dataclass(frozen=True)
class Settings:
    """Map which runs converge over both learning rates and over two directions of the start; zoom in."""

    resolution: Annotated[int, partial(check_whole, least=4 * CELLS, most=8192, multiple=CELLS)] = 1024
    """Pixels along each side of a picture; a multiple of 16, at least 64."""
    steps: Annotated[int, partial(check_whole, least=RECORDS, most=1_000_000, multiple=RECORDS)] = 250
    """Steps of each run; a multiple of 50."""
    zooms: Annotated[int, partial(check_whole, least=0, most=MOST_ZOOMS)] = 4
    """How often a plane is enlarged, by 8 each time."""
    pairs: Annotated[int, partial(check_whole, least=1, most=10_000_000)] = 32768
    """Pairs of points whose fates are compared, at each of eight distances."""


def compute(settings: Settings, out: Path) -> Data:
    data: Data = {"seed": SEED, "nodes": NODES, "rates": RATES, "close": CONVERGED_DISTANCE, "planes": {}}
    data |= {"box_sizes": fractals.box_sizes(settings.resolution), "checks": known_curves(settings.resolution)}
    at_rates = dict(zip(PLANES["rates"].axes, np.log10(RATES), strict=True))
    for plane, given in (("rates", {}), ("starts", at_rates)):
        run = partial(fate, steps=settings.steps, **given)
        about, pixels = described(run, PLANES[plane], settings.resolution, settings.zooms, settings.pairs)
        data["planes"][plane] = about
        data |= {f"{plane}_{name}": values for name, values in pixels.items()}
    return data


def fate(
    log_rate_g: Any = 0.0, log_rate_d: Any = 0.0, along: Any = 0.0, across: Any = 0.0, *, steps: int
) -> dict[str, jax.Array]:
    """What becomes of one run: its verdict, a number of `figures.FATES`, and the intensity of its color.

    The start is that of `SEED`, moved `along` one direction and `across` another, both standard normal: the players
    that the two seeds after it would start with.
    """
    game = games.expected(slanted_land(latent=distributions.uniform(nodes=NODES)))
    rates = Players(10.0**log_rate_g, 10.0**log_rate_d)
    rule = rules.tutorial(Players(*map(optax.optimistic_gradient_descent, rates)))
    start, one, other = (game.init(jax.random.key(SEED + i)) for i in range(3))
    moved = jax.tree.map(lambda s, a, b: s + along * a + across * b, start, one, other)
    images, key = faces.unstack(faces.FACES), jax.random.key(0)  # nothing is drawn
    record = lambda info: distances.to_equilibrium(info.players, images)  # noqa: E731
    result = train(key, game, rule, steps, players=moved, record=record, record_every=steps // RECORDS)
    history = result.history  # [RECORDS]
    verdict = classify(history, finite=result.finite, close=CONVERGED_DISTANCE, settled_records=RECORDS // 5)
    converged, diverged = verdict == Verdict.CONVERGED, verdict == Verdict.DIVERGED
    inverse = jnp.where(jnp.isfinite(history), 1 / (0.001 + history), 0)
    return {
        "verdict": jnp.where(converged, 0, jnp.where(diverged, 2, 1)),
        "intensity": jnp.where(converged, jnp.mean(jnp.minimum(history, 1)), jnp.mean(inverse)),
    }


def answer(data: Data) -> str:
    planes, koch, line = data["planes"], data["checks"]["snowflake"], data["checks"]["line"]
    first, second = (trained_in(data, plane) for plane in PLANES)
    rates, starts = (boundary(planes[plane]) for plane in PLANES)
    if first == "some" and kind_of(planes["rates"]) == kind_of(planes["starts"]):
        starts = "{} and {}".format(*dimensions(planes["starts"]))
    between = {
        "some": f"Between learning rates that train this GAN and rates that do not lies {rates};",
        "none": f"No learning rate of the picture trains this GAN within {data['settings']['steps']} steps;",
        "all": "All learning rates of the picture train this GAN;",
    }[first]
    starting = {
        "some": f"between starting points that train and others, {starts}.",
        "none": "no starting point trains it.",
        "all": "all starting points train it.",
    }[second]
    return (
        f"{between}\n{starting} "
        f"(Koch's curve of {koch['known']:.2f} is found to have {koch['found']['value']:.2f}, "
        f"a line {line['found']['value']:.2f}.)"
    )


def boundary(plane: Data) -> str:
    """What the boundary in a plane is, in words."""
    (kind, zooms), (by_boxes, by_pairs) = kind_of(plane), dimensions(plane)
    return f"{kind} of dimension {by_boxes} by counting boxes{zooms} and {by_pairs} by pairs of points"


def kind_of(plane: Data) -> tuple[str, str]:
    """Whether the boundary is known to be a fractal, and whether zooms show it."""
    found = [plane[by] for by in ("box_dimension", "uncertainty_dimension") if plane[by] and plane[by]["value"]]
    errors = [dimension["error"] for dimension in found]
    above = all(dimension["value"] > 1 + (dimension["error"] or 0) for dimension in found)
    fractal = above and any(error is not None for error in errors)
    return "a fractal" if fractal else "a boundary", " in zooms" if len(plane["pictures"]) > 1 else ""


def dimensions(plane: Data) -> list[str]:
    return [figures.with_error(plane[by]) for by in ("box_dimension", "uncertainty_dimension")]


def trained_in(data: Data, plane: str) -> str:
    """How many runs of the first picture of a plane converge: "all", "some" or "none"."""
    converged = data[f"{plane}_0_verdict"] == 0
    return "all" if converged.all() else "some" if converged.any() else "none"


PICTURES = {
    f"{plane}_{level}.png": partial(figures.pixels, name=f"{plane}_{level}")
    for plane in PLANES
    for level in range(MOST_ZOOMS + 1)
}

EXPERIMENT = Experiment(
    "basins",
    Settings,
    compute,
    answer,
    {"basins.png": Figure(figures.sheet, 18, 12.6)},
    exports=PICTURES,
    devices=None,
    time="about 4 minutes",
    quick=Quick({"resolution": 256, "zooms": 1, "pairs": 4096}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
