"""The boundary in a plane of runs: pictures that zoom into it, and its dimension by boxes and by pairs of points.

A run is a function of two numbers that returns a `verdict`, 0 (converged), 1 or 2, and an `intensity`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _experiment import progress
from _results import Data

from slantgan_jax import sweep
from slantgan_jax.analysis import fractals

CELLS = 16
"""A zoom looks at one of 16×16 cells."""

ZOOM_FACTOR = 8
"""A zoom enlarges by this factor."""

MOST_ZOOMS = 10
"""float64 has no digits for more."""

PAIR_DISTANCES = 2.0 ** -np.arange(8.0, 30.0, 3.0)
"""The distances of two points, in units of the side of the whole plane."""

Run = Callable[..., dict[str, jax.Array]]


class Plane(NamedTuple):
    """A rectangle in which runs are looked at: the names of its axes, x first, and (left, right, bottom, top)."""

    axes: tuple[str, str]
    window: tuple[float, float, float, float]


def described(run: Run, plane: Plane, resolution: int, zooms: int, pairs: int) -> tuple[Data, Data]:
    """What is to be said of a plane, and the pixels of its pictures by `<level>_verdict` and `<level>_intensity`."""
    pictures, pixels = zoomed(run, plane, resolution, zooms)
    # A union has the largest dimension of its parts, not that of the whole plane, where a smooth part is longest.
    found = [picture["dimension"]["value"] for picture in pictures[1:] or pictures if picture["dimension"]]
    error = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else None
    differing = differing_pairs(run, plane, pairs)
    known = np.sum(differing >= fractals.MIN_DIFFERING_PAIRS) >= 3  # a slope needs three
    by_pairs = fractals.uncertainty_dimension(PAIR_DISTANCES, differing, pairs)._asdict() if known else None
    about = plane._asdict() | {
        "pictures": pictures,
        "box_dimension": {"value": float(np.mean(found)) if found else None, "error": error},
        "distances": PAIR_DISTANCES,
        "differing": differing,
        "uncertainty_dimension": by_pairs,
    }
    return about, pixels


def zoomed(run: Run, plane: Plane, resolution: int, zooms: int) -> tuple[list[Data], Data]:
    """What is to be said of each picture of a plane, and its pixels from below, see `described`."""
    sizes, pictures, pixels = fractals.box_sizes(resolution), [], {}
    places = (np.arange(resolution) + 0.5) / resolution
    for level in progress(range(zooms + 1), "pictures over {} and {}".format(*plane.axes)):
        (x, y), (left, right, bottom, top) = plane
        axes = {y: bottom + (top - bottom) * places, x: left + (right - left) * places}
        ds = sweep(run, axes).transpose(y, x)
        pixels[f"{level}_verdict"] = verdict = ds.verdict.values.astype(np.uint8)
        pixels[f"{level}_intensity"] = ds.intensity.values.astype(np.float32)
        edge = fractals.boundary(verdict == 0)
        counts = fractals.box_counts(edge, sizes)
        found = fractals.box_dimension(sizes, counts)._asdict() if counts.min() else None
        shares = [float(np.mean(verdict == number)) for number in range(3)]
        pictures.append({"window": plane.window, "counts": counts, "dimension": found, "shares": shares})
        if not edge.any():
            break
        plane = plane._replace(window=richest(edge, plane.window))
    return pictures, pixels


def richest(edge: np.ndarray, window: tuple[float, ...]) -> tuple[float, ...]:
    """The window `ZOOM_FACTOR` times as small around the center of the cell that has most of the boundary `edge`."""
    left, right, bottom, top = window
    side = (len(edge) + 1) // CELLS
    cells = np.pad(edge, ((0, 1), (0, 1))).reshape(CELLS, side, CELLS, side).sum((1, 3))
    row, column = np.unravel_index(np.argmax(cells), cells.shape)
    x, y = left + (right - left) * (column + 0.5) / CELLS, bottom + (top - bottom) * (row + 0.5) / CELLS
    half = (right - left) / (2 * ZOOM_FACTOR)
    return float(x - half), float(x + half), float(y - half), float(y + half)


def differing_pairs(run: Run, plane: Plane, pairs: int) -> np.ndarray:
    """The number of random pairs of points in the plane of which one converges, at each of `PAIR_DISTANCES`."""
    left, right, bottom, top = plane.window

    def member(key: jax.Array, distance: jax.Array) -> dict[str, jax.Array]:
        """Whether the point converges that lies at `distance` (in sides of the plane) from a random point."""
        x, y, turn = jax.random.uniform(key, (3,))
        x, y = x + distance * jnp.cos(2 * jnp.pi * turn), y + distance * jnp.sin(2 * jnp.pi * turn)
        values = (left + (right - left) * x, bottom + (top - bottom) * y)
        return {"converged": run(**dict(zip(plane.axes, values, strict=True)))["verdict"] == 0}

    ds = sweep(member, {"seed": np.arange(pairs), "distance": [0.0, *PAIR_DISTANCES]}).transpose("distance", "seed")
    return np.sum(ds.converged.values[1:] != ds.converged.values[:1], axis=1)


def known_curves(resolution: int) -> Data:
    """What counting boxes finds for two curves whose dimension is known."""
    sizes, places = fractals.box_sizes(resolution), (np.arange(resolution) + 0.5) / resolution
    checks = {}
    for name, inside, dimension in (
        ("line", places[:, None] > 0.3 + 0.37 * places[None], 1.0),
        ("snowflake", fractals.snowflake(resolution), fractals.KOCH_DIMENSION),
    ):
        counts = fractals.box_counts(fractals.boundary(inside), sizes)
        found = fractals.box_dimension(sizes, counts)._asdict()
        checks[name] = {"counts": counts, "found": found, "known": dimension}
    return checks
