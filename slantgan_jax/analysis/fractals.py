"""The dimension of the boundary between two sets in the plane, from pictures of them and from pairs of points.

    box counting         N(s) ~ s^-D boxes of side s meet the boundary                 `box_dimension`
    uncertain fraction   f(ε) ~ ε^(2 - D) of all points have a neighbor at ε on the other side   `uncertainty_dimension`

Everything here is NumPy on arrays of booleans. See docs/theory/trajectories.md#the-dimension-of-a-boundary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slantgan_jax.checks import check_count, shown

KOCH_DIMENSION = math.log(4) / math.log(3)
"""1.2619, the dimension of the boundary of `snowflake`: four copies of itself, each a third as large."""

MAX_DEPTH = 10
"""The deepest snowflake, whose edges are below a pixel of any picture."""

MIN_DIFFERING_PAIRS = 10
"""Distances with fewer pairs than this on two sides are left out: the logarithm of such a number is too uncertain."""


class Dimension(NamedTuple):
    """A dimension and its `error`, one standard deviation as far as the fit of a line can tell."""

    value: float
    error: float


def boundary(inside: np.ndarray) -> np.ndarray:
    """Where the boundary of a set passes: booleans `[n - 1, m - 1]`, from its picture `inside` `[n, m]`.

    Element (i, j) is the square between the centers of four neighboring pixels. It is true if they are not all alike.

    Raises:
      ValueError: the picture has fewer than 2×2 pixels.
    """
    inside = np.asarray(inside, bool)
    if inside.ndim != 2 or min(inside.shape) < 2:
        raise ValueError(f"a picture of shape {inside.shape} has no boundary: give at least 2×2 pixels")
    corners = [inside[:-1, :-1], inside[1:, :-1], inside[:-1, 1:], inside[1:, 1:]]
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)


def box_counts(marked: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """How many boxes of s×s pixels contain something `marked` `[n, m]`, for each s of `sizes`: `[sizes]`.

    The grids of boxes start at the first pixel; boxes that extend beyond the last one are padded with nothing.

    Raises:
      ValueError: a size below 1.
    """
    marked = np.asarray(marked)
    if marked.ndim != 2 or not isinstance(sizes, Sequence | np.ndarray) or not len(sizes):
        raise ValueError(
            f"a picture of shape {marked.shape} and sizes {shown(sizes)}: give [n, m], and a list of sizes"
        )
    counts = []
    for size in sizes:
        size = check_count("a size", size)
        rows, columns = (math.ceil(length / size) for length in marked.shape)
        padded = np.zeros((rows * size, columns * size), bool)
        padded[: marked.shape[0], : marked.shape[1]] = marked
        counts.append(int(padded.reshape(rows, size, columns, size).any((1, 3)).sum()))
    return np.array(counts)


def box_sizes(resolution: int) -> list[int]:
    """The sides 4, 8, 16, ... of boxes for a picture of `resolution` pixels a side.

    They are at least three; beyond 16 they grow only while 16 boxes or more fit along a side.
    """
    resolution = check_count("resolution", resolution)
    return [2**k for k in range(2, max(4, int(math.log2(resolution / 16))) + 1)]


def box_dimension(sizes: Sequence[int], counts: np.ndarray) -> Dimension:
    """D from the least-squares line through ln counts = const - D ln sizes.

    The error only says how straight the line is. The spread over several pictures is the honest error.

    Raises:
      ValueError: other numbers of counts than of sizes, fewer than three sizes, or an empty boundary.
    """
    x, y = (np.log(_numbers(what, values)) for what, values in (("sizes", sizes), ("counts", counts)))
    if len(x) != len(y) or len(np.unique(x)) < 3:
        raise ValueError(
            f"there are {len(y)} counts for {len(x)} sizes: give one for each of three or more different sizes"
        )
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return Dimension(float(-slope), float(np.sqrt(covariance[0, 0])))


def uncertainty_dimension(distances: Sequence[float] | np.ndarray, differing: np.ndarray, pairs: int) -> Dimension:
    """D = 2 - α from the numbers `differing` of `pairs` of points, at each of the `distances` ε, that are on two sides.

        f(ε) = differing / pairs ~ ε^α

    The line through ln f has weights from the binomial variance; the error is enlarged if the points scatter more.
    Source: Grebogi, McDonald, Ott & Yorke 1983 (Phys. Lett. A 99, 415).

    Raises:
      ValueError: fewer than three distances have at least `MIN_DIFFERING_PAIRS`.
    """
    distances, differing = _numbers("distances", distances), _numbers("differing", differing, 0)
    pairs = check_count("pairs", pairs, int(differing.max()))
    if len(differing) != len(distances):
        raise ValueError(f"there are {len(differing)} numbers for {len(distances)} distances: give one for each")
    used = differing >= MIN_DIFFERING_PAIRS
    if len(np.unique(distances[used])) < 3:
        raise ValueError(
            f"{used.sum()} distances have {MIN_DIFFERING_PAIRS} differing pairs or more, and a slope needs three: give "
            "more pairs"
        )
    share = differing[used] / pairs
    x, y, weights = np.log(distances)[used], np.log(share), np.sqrt(share * pairs / np.maximum(1 - share, 1e-9))
    (slope, _), by_scatter = np.polyfit(x, y, 1, w=weights, cov=True)
    _, by_counting = np.polyfit(x, y, 1, w=weights, cov="unscaled")
    return Dimension(float(2 - slope), float(np.sqrt(max(by_scatter[0, 0], by_counting[0, 0]))))


def snowflake(resolution: int, depth: int = 6) -> np.ndarray:
    """A picture of Koch's snowflake after `depth` rounds, true inside: `[resolution, resolution]`.

    Its boundary has the dimension `KOCH_DIMENSION` down to its shortest edges, 0.86 · 3^-depth of the picture.
    """
    resolution = check_count("resolution", resolution)
    depth = check_count("depth", depth, 0, MAX_DEPTH)
    corners = 0.5 * np.exp(2j * np.pi * (np.arange(3) / 3 + 0.037))[::-1]
    for _ in range(depth):
        step = (np.roll(corners, -1) - corners) / 3
        bump = step * np.exp(1j * np.pi / 3)
        corners = np.stack([corners, corners + step, corners + step + bump, corners + 2 * step], 1).ravel()
    return _filled(corners * 0.99, resolution)


def _numbers(what: str, values: Sequence[float] | np.ndarray, least: float = 1e-300) -> np.ndarray:
    """`values` as an array of floats. Raises `ValueError` unless they are numbers, of at least `least`."""
    numbers = np.asarray(values)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf" or not np.all(numbers >= least):
        raise ValueError(
            f"{what} is {shown(values)}: give a list of {'positive numbers' if least else 'numbers from 0'}"
        )
    return numbers.astype(float)


def _filled(corners: np.ndarray, resolution: int) -> np.ndarray:
    """The pixels inside a polygon of complex `corners` in the square [-½, ½]², by the even-odd rule."""
    centers = (np.arange(resolution) + 0.5) / resolution - 0.5
    x, y = np.real(corners), np.imag(corners)
    x_ahead, y_ahead = np.roll(x, -1), np.roll(y, -1)
    picture = np.zeros((resolution, resolution), bool)
    for row, height in zip(picture, centers, strict=True):
        crosses = (y > height) != (y_ahead > height)
        share = (height - y[crosses]) / (y_ahead - y)[crosses]
        places = x[crosses] + share * (x_ahead - x)[crosses]
        row[:] = np.searchsorted(np.sort(places), centers) % 2
    return picture
