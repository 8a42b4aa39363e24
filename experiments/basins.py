"""Where training works: the boundary in the plane of both learning rates, and in a plane of starting points.

The game is slanted land, non-saturating, in the tutorial's order with optimism (`optax.optimistic_gradient_descent`),
the fastest method of `zoo.py`. Tried at low resolution beside it: plain descent converges nowhere in so few steps; with
R1, divergence ends at a straight line (η_D γ = 2); extragradient and optimism in simultaneous steps have a boundary as
rich, but where it is rich is another place for each of the four seeds tried, and small for some.

Training is full batch: expected losses over the five faces and `NODES` latents, the Gauss-Legendre nodes. So nothing is
random, and all fine structure is that of the method; with the tutorial's sampling a run stays as far from equilibrium
as its noise, and what converges would be a matter of the threshold. All in float64, as the rates of the deepest zoom
differ in the sixth digit and those of the nearest pairs in the ninth.

A run is judged, as in `zoo.py`, by d = √(‖E G(z) - mean face‖² + ‖u‖²), at `RECORDS` times:

    converged   d below 0.01 in the last fifth of the records
    diverged    a parameter infinite, NaN or beyond 1e4
    neither     else: it circles, or rests elsewhere (where pixels are 0 or 1 to rounding nothing moves), or is slow

Colour is brightness within each of the three, by rank: of the mean of d where the run converged, of 1/d elsewhere; as
Sohl-Dickstein 2024 (arXiv:2402.06184) does with losses. Each zoom looks at the cell of 16×16 that has most boundary:
that is where there is most to see, so the dimension by counting boxes there errs upwards, if at all. Pairs of random
points do not choose. Both hold for the scales looked at: a run of so many steps is a smooth function of its rates, and
far below these scales the boundary is smooth.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from matplotlib import image

from slantgan_jax import (
    Players,
    distributions,
    faces,
    games,
    landscape_plots,
    rules,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.analysis import distances, fractals
from slantgan_jax.cpu import use_every_core
from slantgan_jax.numerics import squared_norm

SEED = 3
NODES = 3
RECORDS = 50
CLOSE = 0.01
VERDICTS = ("converged", "neither", "diverged")
CELLS = 16
FACTOR = 8
MOST_ZOOMS = 10
DISTANCES = 2.0 ** -np.arange(8.0, 30.0, 3.0)
"""Of pairs of points, in units of the side of the whole plane."""

RATES = (3.0, 6.0)
"""Of G and D in the plane of starting points: near the boundary for the start of `SEED`, so that starts decide."""

PLANES = {
    "rates": {"axes": ("log_rate_g", "log_rate_d"), "window": (-1.0, 2.5, -1.0, 2.5)},
    "starts": {"axes": ("along", "across"), "window": (-4.0, 4.0, -4.0, 4.0)},
}
"""The names of the horizontal and vertical axis, and (left, right, bottom, top)."""


def basins(
    resolution: int = 1024,
    steps: int = 250,
    zooms: int = 4,
    pairs: int = 32768,
    out: Path = Path("results/basins"),
    plot_only: bool = False,
) -> None:
    """Map which runs converge over both learning rates and over two directions of the start, zoom in, find dimensions.

    Args:
        resolution: pixels along each side of a picture; a multiple of 16, at least 64.
        steps: of each run; a multiple of 50.
        zooms: how often a plane is enlarged, by 8 each time.
        pairs: of points whose fates are compared, at each of eight distances.
        out: folder for the data and the figures.
        plot_only: draw again what the folder has.
    """
    if resolution < 64 or resolution % CELLS:
        raise ValueError(f"--resolution is {resolution}: give a multiple of {CELLS}, at least 64")
    if steps < RECORDS or steps % RECORDS:
        raise ValueError(f"--steps is {steps}: give a positive multiple of {RECORDS}")
    if not 0 <= zooms <= MOST_ZOOMS:
        raise ValueError(f"--zooms is {zooms}: give 0 to {MOST_ZOOMS}, as float64 has no digits for more")
    if pairs < 1:
        raise ValueError(f"--pairs is {pairs}: give at least 1")
    if plot_only and not (out / "data.json").exists():
        raise ValueError(f"{out} has no data.json to plot: run without --plot-only first")
    pictures = [f"{plane}_{level}.png" for plane in PLANES for level in range(MOST_ZOOMS + 1)]
    with results.complete_folder(out, pictures) as folder:
        if plot_only:
            data, summary = dict(np.load(out / "data.npz")), json.loads((out / "data.json").read_text())
        else:
            data, summary = computed(resolution, steps, zooms, pairs)
            np.savez_compressed(folder / "data.npz", allow_pickle=False, **data)
            results.write_json(folder / "data.json", summary)
        title = answer(summary)
        results.save_figure(folder / "basins.png", landscape_plots.basins, 18, 12.6, data, summary, title)
        for name in data:
            if name.endswith("verdict"):
                picture = landscape_plots.fates(data[name], data[name.replace("verdict", "intensity")])
                image.imsave(folder / f"{name.removesuffix('_verdict')}.png", picture, origin="lower")
    print(title)
    print(f"Written to {out}/.")


def computed(resolution: int, steps: int, zooms: int, pairs: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All pictures as arrays by name, and what is to be said of them."""
    data, planes = {}, {}
    with jax.enable_x64(True):
        at_rates = dict(zip(PLANES["rates"]["axes"], np.log10(RATES), strict=True))
        for plane, given in (("rates", {}), ("starts", at_rates)):
            run = partial(fate, steps=steps, **given)
            planes[plane] = PLANES[plane] | described(run, plane, resolution, zooms, pairs, data)
    sizes = fractals.box_sizes(resolution)
    coordinates = (np.arange(resolution) + 0.5) / resolution
    known = {
        "line": (coordinates[:, None] > 0.3 + 0.37 * coordinates[None], 1.0),
        "snowflake": (fractals.snowflake(resolution), fractals.KOCH_DIMENSION),
    }
    checks = {}
    for name, (inside, dimension) in known.items():
        counts = fractals.box_counts(fractals.boundary(inside), sizes)
        checks[name] = {"counts": counts, "found": fractals.box_dimension(sizes, counts)._asdict(), "known": dimension}
    settings = {"resolution": resolution, "steps": steps, "zooms": zooms, "pairs": pairs, "seed": SEED, "nodes": NODES}
    settings |= {"rates": RATES, "close": CLOSE, "command": results.command()}
    summary = {"settings": settings, "planes": planes, "box_sizes": sizes, "checks": checks}
    return data, json.loads(json.dumps(summary | {"versions": results.record()}, default=np.ndarray.tolist))


def described(
    run: Callable[..., Any], plane: str, resolution: int, zooms: int, pairs: int, data: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The pictures of one plane, put into `data`, with their windows; and the dimension of its boundary, both ways."""
    names, window = PLANES[plane]["axes"], PLANES[plane]["window"]
    pictures, sizes = [], fractals.box_sizes(resolution)
    for level in range(zooms + 1):
        picture = pictured(run, names, window, resolution)
        data |= {f"{plane}_{level}_{name}": value for name, value in picture.items()}
        edge = fractals.boundary(picture["verdict"] == 0)
        counts = fractals.box_counts(edge, sizes)
        found = fractals.box_dimension(sizes, counts)._asdict() if counts.min() else None
        shares = [float(np.mean(picture["verdict"] == i)) for i in range(len(VERDICTS))]
        pictures.append({"window": window, "counts": counts, "dimension": found, "shares": shares})
        print(f"{plane}, {FACTOR**level} times: {shares[0]:.1%} converge, dimension {found}", flush=True)
        if not edge.any():
            break
        window = richest(edge, window)
    # A union has the largest dimension of its parts: not that of the whole plane, where a smooth part of it is longest.
    x = np.array([picture["dimension"]["value"] for picture in pictures[1:] or pictures if picture["dimension"]])
    error = float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else None
    differing = uncertain(run, names, PLANES[plane]["window"], pairs)
    usable = np.sum(differing >= 10) >= 3
    by_pairs = fractals.uncertainty_dimension(DISTANCES, differing, pairs)._asdict() if usable else None
    return {
        "pictures": pictures,
        "box_dimension": {"value": float(x.mean()) if len(x) else None, "error": error},
        "distances": DISTANCES,
        "differing": differing,
        "uncertainty_dimension": by_pairs,
    }


def pictured(
    run: Callable[..., Any], names: tuple[str, str], window: tuple[float, ...], resolution: int
) -> dict[str, np.ndarray]:
    """`verdict` (an index of `VERDICTS`) and `intensity` `[resolution, resolution]`, rows from below."""
    left, right, bottom, top = window
    places = (np.arange(resolution) + 0.5) / resolution
    across, along = bottom + (top - bottom) * places, left + (right - left) * places
    ds = sweep(run, {names[1]: across, names[0]: along}).transpose(names[1], names[0])
    return {"verdict": ds.verdict.values.astype(np.uint8), "intensity": ds.intensity.values.astype(np.float32)}


def richest(edge: np.ndarray, window: tuple[float, ...]) -> tuple[float, ...]:
    """The window `FACTOR` times as small around the center of the cell with most of the boundary `edge`."""
    left, right, bottom, top = window
    side = (len(edge) + 1) // CELLS
    cells = np.pad(edge, ((0, 1), (0, 1))).reshape(CELLS, side, CELLS, side).sum((1, 3))
    row, column = np.unravel_index(np.argmax(cells), cells.shape)
    x, y = left + (right - left) * (column + 0.5) / CELLS, bottom + (top - bottom) * (row + 0.5) / CELLS
    half = (right - left) / (2 * FACTOR)
    return float(x - half), float(x + half), float(y - half), float(y + half)


def uncertain(run: Callable[..., Any], names: tuple[str, str], window: tuple[float, ...], pairs: int) -> np.ndarray:
    """Of random pairs of points in the window, how many have only one that converges, at each of `DISTANCES`."""
    ds = sweep(
        partial(of_pair, run=run, names=names, window=window),
        {"seed": np.arange(pairs), "distance": [0.0, *DISTANCES]},
    ).transpose("distance", "seed")
    return np.sum(ds.converged.values[1:] != ds.converged.values[:1], axis=1)


def of_pair(
    key: jax.Array, distance: jax.Array, run: Callable[..., Any], names: tuple[str, str], window: tuple[float, ...]
) -> dict[str, jax.Array]:
    """Whether the point converges that is so far (in sides of the window), in a random direction, from a random one."""
    left, right, bottom, top = window
    x, y, turn = jax.random.uniform(key, (3,))
    x, y = x + distance * jnp.cos(2 * jnp.pi * turn), y + distance * jnp.sin(2 * jnp.pi * turn)
    values = (left + (right - left) * x, bottom + (top - bottom) * y)
    return {"converged": run(**dict(zip(names, values, strict=True)))["verdict"] == 0}


def fate(
    log_rate_g: jax.Array | float = 0.0,
    log_rate_d: jax.Array | float = 0.0,
    along: jax.Array | float = 0.0,
    across: jax.Array | float = 0.0,
    *,
    steps: int,
) -> dict[str, jax.Array]:
    """What becomes of one run: its verdict, and the intensity of its color.

    The start is that of `SEED`, moved `along` one direction and `across` another, both standard normal: the players
    that the two seeds after it would start with, of which every parameter has mean 0 and variance 1.
    """
    game = games.expected(slanted_land(latent=distributions.uniform(nodes=NODES)))
    rates = Players(10.0**log_rate_g, 10.0**log_rate_d)
    rule = rules.tutorial(Players(*map(optax.optimistic_gradient_descent, rates)))
    start, one, other = (game.init(jax.random.key(SEED + i)) for i in range(3))
    moved = jax.tree.map(lambda s, a, b: s + along * a + across * b, start, one, other)
    game = game._replace(init=lambda key: moved)
    outcome = train(
        jax.random.key(0), game, rule, steps, record=lambda info: distance(info.players), record_every=steps // RECORDS
    )
    history = outcome.history  # [RECORDS]
    converged = outcome.finite & (jnp.max(history[-RECORDS // 5 :]) < CLOSE)
    inverse = jnp.where(jnp.isfinite(history), 1 / (0.001 + history), 0)
    return {
        "verdict": jnp.where(converged, 0, jnp.where(outcome.finite, 1, 2)),
        "intensity": jnp.where(converged, jnp.mean(jnp.minimum(history, 1)), jnp.mean(inverse)),
    }


def distance(players: Players) -> jax.Array:
    """√(‖E G(z) - mean face‖² + ‖u‖²)."""
    gap = distances.mean_gap(players.generator, faces.unstack(faces.FACES))
    return jnp.sqrt(gap**2 + squared_norm(players.discriminator.weights))


def answer(summary: Mapping[str, Any]) -> str:
    """Two lines."""
    found = {plane: _number(summary["planes"][plane]["box_dimension"]) for plane in PLANES}
    pairs = {plane: _number(summary["planes"][plane]["uncertainty_dimension"]) for plane in PLANES}
    koch, line = (summary["checks"][name] for name in ("snowflake", "line"))
    return (
        f"Between learning rates that train this GAN and rates that do not lies a fractal of dimension {found['rates']}"
        f" by counting boxes in zooms and {pairs['rates']} by pairs of points;\n"
        f"between starting points that train and others, {found['starts']} and {pairs['starts']}. "
        f"(Koch's curve of {koch['known']:.2f} is found to have {koch['found']['value']:.2f}, "
        f"a line {line['found']['value']:.2f}.)"
    )


def _number(dimension: Mapping[str, float | None] | None) -> str:
    if dimension is None or dimension["value"] is None:
        return "unknown"
    error = "?" if dimension["error"] is None else f"{dimension['error']:.2f}"
    return f"{dimension['value']:.2f} ± {error}"


if __name__ == "__main__":
    use_every_core()
    matplotlib.use("agg")
    results.command_line(basins)
