"""The dimension of the boundary between two sets in the plane, from pictures of them and from pairs of points.

Two estimators that share nothing but the definition, so that one can speak against the other:

    box counting        N(s) ~ s^-D boxes of side s meet the boundary (`box_counts`, `box_dimension`)
    uncertain fraction  f(ε) ~ ε^(2 - D) of all points change sides within ε (`uncertainty_dimension`)

The first looks at a picture, over the scales from a pixel to the picture; a sequence of zooms goes further, but to
where there is much to see. The second is a mean over the whole plane, at scales as small as the numbers allow.

A smooth curve has D = 1, and a boundary that fills the plane D = 2. `snowflake` is a set with a known D between.
Everything here is NumPy on arrays of booleans: nothing is differentiated or traced.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

KOCH = math.log(4) / math.log(3)
"""1.2619, the dimension of the boundary of `snowflake`: four copies of itself, each a third as large."""


class Dimension(NamedTuple):
    """A dimension with its `error`, one standard deviation as far as the fit of a line can tell."""

    value: float
    error: float


def boundary(inside: np.ndarray) -> np.ndarray:
    """Where the boundary of a set passes, for its picture `inside` `[n, m]`: booleans `[n - 1, m - 1]`.

    Element (i, j) is the square between the centres of four neighbouring pixels, and true if these are not all alike.

    Raises:
      ValueError: no picture of at least 2×2 pixels.
    """
    inside = np.asarray(inside, bool)
    if inside.ndim != 2 or min(inside.shape) < 2:
        raise ValueError(f"a picture of shape {inside.shape} has no boundary: give at least 2×2 pixels")
    corners = [inside[:-1, :-1], inside[1:, :-1], inside[:-1, 1:], inside[1:, 1:]]
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)


def box_counts(marked: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """How many boxes of a grid of s×s pixels hold something `marked` `[n, m]`, for each s of `sizes`: `[sizes]`.

    The grids start at the first pixel; boxes beyond the last are filled up with nothing.

    Raises:
      ValueError: a size below 1.
    """
    if min(sizes) < 1:
        raise ValueError(f"boxes of side {min(sizes)}: give whole numbers of pixels from 1 on")
    counts = []
    for size in sizes:
        rows, columns = (math.ceil(length / size) for length in marked.shape)
        padded = np.zeros((rows * size, columns * size), bool)
        padded[: marked.shape[0], : marked.shape[1]] = marked
        counts.append(int(padded.reshape(rows, size, columns, size).any((1, 3)).sum()))
    return np.array(counts)


def box_sizes(resolution: int) -> list[int]:
    """Sides 4, 8, 16, ... of boxes for a picture of `resolution` pixels a side, the largest of them 16 a side.

    At one or two pixels a picture misses where the boundary turns back between them; few boxes count badly, as most of
    them are full. There are at least three sizes.
    """
    return [2**k for k in range(2, max(4, int(math.log2(resolution / 16))) + 1)]


def box_dimension(sizes: Sequence[int], counts: np.ndarray) -> Dimension:
    """D from the least-squares line through ln counts = const - D ln sizes.

    The error is that of the slope with the residuals taken as independent. They are not, each box of 2s being four of
    s, so it says how straight the line is, no more: the spread over several pictures is the honest one.

    Raises:
      ValueError: fewer than three sizes, or an empty boundary.
    """
    if len(sizes) < 3 or min(counts) < 1:
        raise ValueError(
            f"{len(sizes)} sizes with {min(counts, default=0)} boxes at least: a slope needs three, none 0"
        )
    slope, error = _line(np.log(sizes), np.log(counts), np.ones(len(sizes)))
    return Dimension(-slope, error)


def uncertainty_dimension(distances: Sequence[float] | np.ndarray, differing: np.ndarray, pairs: int) -> Dimension:
    """D = 2 - α from the numbers `differing` of `pairs` of points at each of the `distances` ε that are on two sides.

        f(ε) = differing / pairs ~ ε^α

    a line fitted to ln f with weights by the binomial variance (1 - f) / (f pairs), and the error enlarged where the
    points scatter more than that. Distances with fewer than 10 differing pairs are left out.
    Grebogi, McDonald, Ott & Yorke 1983 (Phys. Lett. A 99, 415), for basins of attraction.

    Raises:
      ValueError: fewer than three distances are left.
    """
    used = np.asarray(differing) >= 10
    if used.sum() < 3:
        raise ValueError(
            f"{used.sum()} distances with 10 differing pairs or more: a slope needs three, take more pairs"
        )
    share = np.asarray(differing)[used] / pairs
    slope, error = _line(np.log(distances)[used], np.log(share), share * pairs / np.maximum(1 - share, 1e-9))
    return Dimension(2 - slope, max(error, _counting_error(np.log(distances)[used], share, pairs)))


def snowflake(resolution: int, depth: int = 6) -> np.ndarray:
    """A picture of Koch's snowflake after `depth` rounds, true inside: `[resolution, resolution]`.

    Its boundary has the dimension `KOCH` down to its shortest edges: 3^-depth of the triangle's, 0.86 of the picture.
    """
    corners = 0.5 * np.exp(2j * np.pi * (np.arange(3) / 3 + 0.037))[::-1]
    for _ in range(depth):
        step = (np.roll(corners, -1) - corners) / 3
        bump = step * np.exp(1j * np.pi / 3)
        corners = np.stack([corners, corners + step, corners + step + bump, corners + 2 * step], 1).ravel()
    return _filled(corners * 0.99, resolution)


def _filled(corners: np.ndarray, resolution: int) -> np.ndarray:
    """The pixels inside a polygon of complex `corners` in the square [-½, ½]², by the even-odd rule."""
    centres = (np.arange(resolution) + 0.5) / resolution - 0.5
    x, y = np.real(corners), np.imag(corners)
    x_ahead, y_ahead = np.roll(x, -1), np.roll(y, -1)
    picture = np.zeros((resolution, resolution), bool)
    for row, height in zip(picture, centres, strict=True):
        crosses = (y > height) != (y_ahead > height)
        share = (height - y[crosses]) / (y_ahead - y)[crosses]
        places = x[crosses] + share * (x_ahead - x)[crosses]
        row[:] = np.searchsorted(np.sort(places), centres) % 2
    return picture


def _counting_error(x: np.ndarray, share: np.ndarray, pairs: int) -> float:
    """The error of a slope from the binomial error of each share alone."""
    weights = share * pairs / np.maximum(1 - share, 1e-9)
    return float(1 / np.sqrt(weights @ (x - weights @ x / weights.sum()) ** 2))


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The slope of the weighted least-squares line through points, and its error by their scatter around it."""
    x, y = (a - weights @ a / weights.sum() for a in (x, y))
    spread = weights @ x**2
    slope = weights @ (x * y) / spread
    scatter = weights @ (y - slope * x) ** 2 / (len(x) - 2)
    return float(slope), float(np.sqrt(scatter / spread))
