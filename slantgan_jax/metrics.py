"""Metrics of samples: how far a generator's points `[n, d]` are from the data, if only samples of both are known.

All functions but `wasserstein` can be jitted and vmapped, and recorded within a run with `train(record=...)`. They take
differences before squares, square them in a unit of their size, and multiply no matrices. So float32 is enough, on GPUs
too, for points of every size from 1e-30 to 1e37. Distances of points are Euclidean. Papers call several numbers by one
name: docs/methods/metrics.md has a table of them. `analysis.distances` has the distances of whole distributions, which
need no samples.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.scipy.special import rel_entr
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_flag, check_kind, check_number, check_weights, shown
from slantgan_jax.distributions import Modes
from slantgan_jax.numerics import as_float, plain, power_of_two, safe_norm
from slantgan_jax.types import PRNGKey

ROWS_AT_ONCE = 64
"""How many rows of a table of all pairs of points are in memory at once."""

UNIT_ERROR = 1e-4
"""How far from 1 the length of a direction may be."""

SMALL_COST = 1e-6
"""Of a plan, relative to the largest cost: the network simplex takes costs below 1e-15 for 0."""

MAX_PIVOTS = 10_000_000
"""The largest number of pivots of the network simplex, a hundred times the default of POT."""


class Coverage(NamedTuple):
    """How some of the points are spread over the modes.

    Attributes:
      histogram: `[k]`, the number of these points that are nearest to each mode; the first mode wins a tie.
      modes: how many modes have at least one of these points.
      share: these points as a share of all n.
      reverse_kl: Σ p ln(p / weights) in nats, for the normalized histogram p. It is NaN if there are none of these
        points, and infinite if a mode of weight 0 has one.
    """

    histogram: jax.Array
    modes: jax.Array
    share: jax.Array
    reverse_kl: jax.Array


class ModeCoverage(NamedTuple):
    """What `mode_coverage` returns: the `Coverage` of all points, and of those of high quality by two definitions.

    Attributes:
      all: every point that is finite.
      ball: the points within 3 σ of the nearest mode, or as many σ as `deviations` says.
      box: the points with each coordinate within 3 σ of that of the nearest mode.
    """

    all: Coverage
    ball: Coverage
    box: Coverage


def mode_coverage(points: ArrayLike, modes: Modes, deviations: ArrayLike = 3.0) -> ModeCoverage:
    """How `points` `[n, d]` cover the modes of a mixture: histograms, modes captured, high-quality shares, reverse KL.

        ball: ‖x - center‖ < 3 σ,   box: max_i |x_i - center_i| < 3 σ,   both of the nearest center

    Sources: the ball and the modes that it captures are those of VEEGAN, Srivastava et al. 2017 (arXiv:1705.07761); its
    reverse KL is that in the code of PacGAN, Lin et al. 2018 (arXiv:1712.04086). The box and the reverse KL of all
    points are those in the code of Liu et al. 2020 (arXiv:2006.10728). Their reverse KL is that to uniform weights.

    Args:
      points: the generated points. One that is not finite, or that is farther away than 1e18 and than 1e18 times the
        size of the modes, is near no mode: it counts in no histogram, and in the n of every share.
      modes: of the data, with centers `[k, d]`.
      deviations: how many σ are high quality. Three are usual; VEEGAN has ten for points in 1200 dimensions.

    Raises:
      ValueError: points and centers are not `[n, d]` and `[k, d]`; deviations that are not positive; weights that are
        negative or have another sum than 1.
    """
    check_kind("modes", modes, Modes, "datasets.ring().modes()")
    points, centers = _same_space(points, modes.centers)
    check_number("deviations", deviations, positive=True)
    check_number("the deviation of the modes", modes.deviation, positive=True)
    check_weights("the weights of the modes", modes.weights)
    if jnp.shape(modes.weights) != (len(centers),):
        raise ValueError(
            f"the weights of the modes have the shape {jnp.shape(modes.weights)}: give {len(centers)}, one for each"
        )
    deviation, offsets = as_float(modes.deviation), points[:, None] - centers[None]
    unit = power_of_two((centers, deviation))  # in which squares are neither too small nor too large
    known = jnp.isfinite((offsets / jnp.maximum(unit, 1)) ** 2).all(axis=(1, 2))
    offsets, radius = offsets / unit, deviations * (deviation / unit)
    squares = jnp.sum(offsets**2, axis=-1)
    # Where all squares are infinite, distances differ by less than their rounding: the first mode is as near as all.
    nearest = known[:, None] & (jnp.argmin(squares, axis=1)[:, None] == jnp.arange(len(centers))[None])
    ball, box = squares < radius**2, jnp.max(jnp.abs(offsets), axis=-1) < radius
    return ModeCoverage(*(_coverage(nearest & chosen, as_float(modes.weights)) for chosen in (True, ball, box)))


def random_directions(key: PRNGKey, count: int, size: int) -> jax.Array:
    """Independent uniform unit vectors `[count, size]`, for `sliced_wasserstein`."""
    normal = jax.random.normal(key, (check_count("the number of directions", count), check_count("the size", size)))
    return normal / safe_norm(normal, axis=1)[:, None]


def sliced_wasserstein(x: ArrayLike, y: ArrayLike, directions: ArrayLike, order: float = 2) -> jax.Array:
    """The sliced Wasserstein distance of order p of points `[n, d]` and `[m, d]`, a scalar ≥ 0 in their units.

        SW_p = (mean over directions e of W_p(⟨e, x⟩, ⟨e, y⟩)^p)^(1/p)

    In one dimension W_p is exact, by sorting, also for n ≠ m. A direction and its opposite give the same. Source:
    Bonneel, Rabin, Peyré & Pfister 2015 (J. Math. Imaging Vis. 51).

    Args:
      x, y: the points, each of weight 1/n or 1/m.
      directions: unit vectors `[directions, d]`, as `random_directions` draws them. In two dimensions evenly spaced
        ones are far more exact: the cosines and sines of `np.pi * np.arange(count) / count`.
      order: p, at least 1.

    Raises:
      ValueError: points or directions of different dimensions, directions of another length than 1; an order below 1.
    """
    check_number("order", order, 1)
    order = plain(order)
    x, y = _same_space(x, y)
    lines, _ = _same_space(directions, y)
    if not isinstance(directions, Tracer):  # in NumPy: inside a trace JAX would trace the check of a known array, too
        lengths = np.linalg.norm(np.asarray(directions, np.float64), axis=1)
        if not (np.abs(lengths - 1) <= UNIT_ERROR).all():
            raise ValueError(f"directions is {shown(directions)}: give unit vectors")
    # Mass i of n meets mass j of m wherever their intervals overlap; in units of 1 / (n m) the ends are whole numbers.
    ends = np.union1d(np.arange(len(x) + 1) * len(y), np.arange(len(y) + 1) * len(x))
    overlap = ends[:-1] // len(y), ends[:-1] // len(x), as_float(np.diff(ends) / (len(x) * len(y)))
    largest, costs = lax.map(partial(_line_cost, x, y, overlap, order), lines)
    scale = jnp.max(largest)
    shares = largest / jnp.where(scale > 0, scale, 1)
    mean = jnp.mean(shares**order * costs)
    equal = mean == 0  # where the root has no derivative
    return scale * jnp.where(equal, 0, jnp.where(equal, 1, mean) ** (1 / order))


def energy_distance(x: ArrayLike, y: ArrayLike, unbiased: bool = False) -> jax.Array:
    """The energy distance of points `[n, d]` and `[m, d]`, a scalar in their units.

        2 mean |x_i - y_j| - mean |x_i - x_j| - mean |y_i - y_j|

    Source: Székely & Rizzo 2013 (J. Stat. Plan. Inference 143). The rounding error is that of the three means: in
    float32, 1e-7 of their size.

    Args:
      x, y: the points.
      unbiased: leave out the pairs of a point with itself. The expectation is then that of the whole distributions, and
        the value may be negative. By default they count: the value is that of the two sets of points, is never negative
        but for rounding, and for equal distributions is too large by about 2 E|x - x'| / n, if n = m.

    Raises:
      ValueError: points of different dimensions; fewer than two if `unbiased`.
    """
    check_flag("unbiased", unbiased)
    x, y = _same_space(x, y)
    unit = power_of_two((x, y))
    return unit * _discrepancy(_minus_distance, 0.0, x / unit, y / unit, unbiased)


def mmd_squared(x: ArrayLike, y: ArrayLike, scale: ArrayLike, unbiased: bool = False) -> jax.Array:
    """The squared maximum mean discrepancy of points `[n, d]` and `[m, d]` with a Gaussian kernel, a scalar.

        mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j),   k(x, y) = exp(-|x - y|² / (2 scale²))

    Source: Gretton et al. 2012 (JMLR 13), lemma 6, which has the unbiased estimate.

    Args:
      x, y: the points.
      scale: the bandwidth of the kernel, in the units of the points.
      unbiased: as in `energy_distance`. By default the value is too large by about 2 (1 - E k(x, x')) / n.

    Raises:
      ValueError: points of different dimensions; fewer than two if `unbiased`; a scale that is not positive.
    """
    check_number("scale", scale, positive=True)
    check_flag("unbiased", unbiased)
    x, y = _same_space(x, y)
    return _discrepancy(partial(_gaussian, as_float(scale)), 1.0, x, y, unbiased)


def wasserstein(x: Any, y: Any, order: float = 1, x_weights: Any = None, y_weights: Any = None) -> float:
    """The exact Wasserstein distance of order p of points `[n, d]` and `[m, d]`, in their units.

        W_p = (min Σ_ij P_ij |x_i - y_j|^p)^(1/p)    over P ≥ 0 with the weights as sums of its rows and columns

    It is solved in float64 by the network simplex of POT, which the extra `experiments` installs, and cannot be jitted.
    Costs are `n m` numbers of memory. Source: Bonneel, van de Panne, Paris & Heidrich 2011 (ACM Trans. Graph. 30). The
    error of W_p^p is about 1e-15 of the largest |x_i - y_j|^p, or of W_p^p divided by the product of the smallest
    weights of x and of y if that is less: 1e-9 of itself for a thousand points with equal weights.

    Args:
      x, y: the points. The distance is NaN if one is not finite.
      order: p, at least 1.
      x_weights, y_weights: `[n]` and `[m]`, not negative, of any positive sum; by default all are equal.

    Raises:
      ValueError: points of different dimensions, weights that do not fit, an order below 1, or no optimum after
        `MAX_PIVOTS`.
    """
    import ot
    from scipy.spatial.distance import cdist  # a third of the time that JAX takes to import

    check_number("order", order, 1)
    order = plain(order)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    _check_space(x, y)
    rows, columns = _masses(x, x_weights), _masses(y, y_weights)
    rows, columns = rows * columns.sum(), columns * rows.sum()  # without rounding if the weights are whole numbers
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    exponent = np.frexp(max(np.max(np.abs(points), initial=0) for points in (x, y)))[1]
    distances = cdist(np.ldexp(x, -exponent), np.ldexp(y, -exponent))  # of a size whose squares are numbers
    # With equal weights, a best plan moves at least this share wherever it moves any, and so none of it too far.
    least = rows[rows > 0].min() * columns[columns > 0].min() / rows.sum() ** 2
    found, reach = np.inf, float(distances.max())
    while reach > 0:
        costs = (np.minimum(distances, reach) / reach) ** order
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is in the log, too
            plan, log = ot.emd(rows, columns, costs, numItermax=MAX_PIVOTS, log=True)
        if log["warning"]:
            raise ValueError(f"no optimal plan of {len(x)} and {len(y)} points: {log['warning']}; give fewer points")
        used = plan > 0
        share = float(np.sum(plan[used] * (distances[used] / reach) ** order)) / rows.sum()
        if not share and (farthest := float(distances[used].max())) > 0:  # its power was too small for a number
            reach = farthest
            continue
        found = min(found, reach * share ** (1 / order))
        farthest = found / least ** (1 / order)
        if share >= SMALL_COST or (farthest / reach) ** order > 0.5:
            break
        reach = farthest
    return float(np.ldexp(found if reach > 0 else 0.0, exponent))


def _coverage(chosen: jax.Array, weights: jax.Array) -> Coverage:
    """The `Coverage` of the pairs `[n, k]` of a point and its mode that are True."""
    histogram = jnp.sum(chosen, axis=0)
    count = jnp.sum(histogram)
    divergence = jnp.sum(rel_entr(histogram / jnp.maximum(count, 1), weights))
    return Coverage(histogram, jnp.sum(histogram > 0), count / len(chosen), jnp.where(count, divergence, jnp.nan))


def _line_cost(
    x: jax.Array, y: jax.Array, overlap: Any, order: float, direction: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The largest distance of the points' components along a direction, and W_p^p in units of it, so that no power
    underflows. A matrix product would be rounded to fewer digits on GPUs."""
    one, other = (_ascending(jnp.sum(points * direction[None], axis=-1)) for points in (x, y))
    first, second, masses = overlap
    apart = jnp.abs(one[first] - other[second])
    largest = lax.stop_gradient(jnp.max(apart))
    return largest, jnp.sum(masses * (apart / jnp.where(largest > 0, largest, 1)) ** order)


@jax.custom_jvp
def _ascending(numbers: jax.Array) -> jax.Array:
    """`jnp.sort(numbers)` of floats `[n]`, as whole numbers of the same order: CPUs sort these 4 times as fast."""
    bits = numbers.dtype.itemsize * 8
    whole, largest = jnp.dtype(f"int{bits}"), np.iinfo(f"int{bits}").max

    def turned(keys: jax.Array) -> jax.Array:  # of negative floats, larger bits are smaller numbers
        return jnp.where(keys < 0, keys ^ jnp.asarray(largest, whole), keys)

    numbers = jnp.where(jnp.isnan(numbers), jnp.nan, numbers)  # those with a sign would come first
    keys = lax.sort(turned(lax.bitcast_convert_type(numbers, whole)), is_stable=False)
    return lax.bitcast_convert_type(turned(keys), numbers.dtype)


@_ascending.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return jax.jvp(jnp.sort, primals, tangents)


def _discrepancy(
    kernel: Callable[[jax.Array], jax.Array], at_zero: float, x: jax.Array, y: jax.Array, unbiased: bool
) -> jax.Array:
    """E k(x, x') + E k(y, y') - 2 E k(x, y), for a kernel of differences `[n, d]` that is `at_zero` at 0."""
    if unbiased and min(len(x), len(y)) < 2:
        raise ValueError(f"{len(x)} and {len(y)} points: give two of each, or unbiased=False")
    within = [_mean_kernel(kernel, points, points) for points in (x, y)]
    if unbiased:
        within = [(mean * len(p) - at_zero) / (len(p) - 1) for mean, p in zip(within, (x, y), strict=True)]
    return within[0] + within[1] - 2 * _mean_kernel(kernel, x, y)


def _mean_kernel(kernel: Callable[[jax.Array], jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(lax.map(partial(_mean_to, kernel, y), x, batch_size=min(ROWS_AT_ONCE, len(x))))


def _mean_to(kernel: Callable[[jax.Array], jax.Array], y: jax.Array, point: jax.Array) -> jax.Array:
    return jnp.mean(kernel(y - point[None]))


def _minus_distance(differences: jax.Array) -> jax.Array:
    squares = jnp.sum(differences**2, axis=-1)
    zero = squares == 0  # where the root has no derivative
    return jnp.where(zero, 0, -jnp.sqrt(jnp.where(zero, 1, squares)))


def _gaussian(scale: jax.Array, differences: jax.Array) -> jax.Array:
    unit = power_of_two(scale)
    return jnp.exp(-jnp.sum((differences / unit) ** 2, axis=-1) / (2 * (scale / unit) ** 2))


def _same_space(x: ArrayLike, y: ArrayLike) -> tuple[jax.Array, jax.Array]:
    _check_space(x, y)
    return as_float(x), as_float(y)


def _check_space(x: ArrayLike, y: ArrayLike) -> None:
    shapes = np.shape(x), np.shape(y)
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"points of shapes {shapes[0]} and {shapes[1]}: give [n, d] and [m, d], x[:, None] if d is 1")


def _masses(points: np.ndarray, weights: Any) -> np.ndarray:
    masses = np.ones(len(points)) if weights is None else np.asarray(weights, np.float64)
    if masses.shape != (len(points),) or not (masses >= 0).all() or not 0 < masses.sum() < np.inf:
        raise ValueError(f"weights {shown(weights)}: give {len(points)} numbers that are not negative, and not all 0")
    return np.ldexp(masses, -np.frexp(masses.sum())[1])
