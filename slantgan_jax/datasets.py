"""The toy data sets of the literature: points `[d]` in the plane or on a line, with their modes and densities where
these are known.

The same name stands for different sets in different papers. `DATASETS` has the published variants by their sources.
Lengths, such as a radius or a deviation, may be traced, so that they can be axes of a sweep.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from slantgan_jax import distributions
from slantgan_jax.checks import check_count, check_number, shown
from slantgan_jax.distributions import Distribution, Modes
from slantgan_jax.numerics import as_float, native, plain, seeded_key
from slantgan_jax.types import PRNGKey

FIXED_KEY = 0
"""The seed of the points of data sets that are a fixed sample."""


def mixture(
    centers: Any, deviation: float, weights: Sequence[float] | None = None, *, stratified: bool = False
) -> Distribution:
    """Σ_k w_k N(c_k, σ² I): normal distributions of one deviation around `centers`, with density and modes.

    Args:
      centers: c, `[k, d]`.
      deviation: σ, positive. Points without noise are `distributions.resampled(centers)`.
      weights: w, one positive number for each center, of any sum. By default all are equal.
      stratified: whether draw t is from mode t mod k, so that a minibatch of a multiple of k shows all modes equally
        often. Otherwise modes are drawn at random.

    Raises:
      ValueError: centers that are no `[k, d]` array of finite numbers; a deviation or a weight that is not positive;
        weights and `stratified`.
    """
    traced = isinstance(centers, Tracer)
    places = as_float(centers) if traced else _numbers("centers", centers)
    if places.ndim != 2 or not places.size or not (traced or np.isfinite(places).all()):
        raise ValueError(f"centers is {shown(centers)}: give finite numbers [modes, dimensions]")
    shares = np.ones(len(places)) if weights is None else _numbers("weights", weights)
    if shares.shape != places.shape[:1] or not np.all((shares > 0) & np.isfinite(shares)):
        raise ValueError(f"weights is {shown(weights)}: give a positive number for each of the {len(places)} centers")
    if stratified and weights is not None:
        raise ValueError(
            "weights and stratified are given, but stratified draws show all modes equally often: drop one"
        )
    check_number("the deviation", deviation, positive=True)
    shares = shares / shares.sum()
    return Distribution(
        partial(_mixture_draw, places, deviation, None if stratified else shares),
        log_density=partial(_mixture_log_density, places, deviation, shares),
        modes=lambda: Modes(as_float(places), as_float(shares), as_float(deviation)),
        period=len(places) if stratified else 1,
    )


def ring(
    modes: int = 8,
    radius: float = 2.0,
    deviation: float = 0.02,
    weights: Sequence[float] | None = None,
    *,
    stratified: bool = False,
) -> Distribution:
    """The `mixture` of `modes` centers r (cos 2πk/n, sin 2πk/n) on a circle."""
    modes = check_count("the number of modes", modes)
    angles = 2 * math.pi * np.arange(modes) / modes
    check_number("the radius", radius, 0)
    return mixture(radius * np.stack([np.cos(angles), np.sin(angles)], -1), deviation, weights, stratified=stratified)


def grid(side: int = 5, spacing: float = 2.0, deviation: float = 0.05, *, stratified: bool = False) -> Distribution:
    """The `mixture` of `side` × `side` centers on a square grid around 0."""
    side = check_count("the side of the grid", side)
    places = np.arange(side) - (side - 1) / 2
    check_number("the spacing", spacing, 0)
    centers = np.stack(np.meshgrid(places, places, indexing="ij"), -1).reshape(-1, 2)
    return mixture(spacing * centers, deviation, stratified=stratified)


def swiss_roll(noise: float = 0.25, scale: float = 7.5) -> Distribution:
    """(t cos t + ς a, t sin t + ς b) / scale with t = (3π/2)(1 + 2u), u ~ U(0, 1), a, b ~ N(0, 1), ς = `noise`.

    Columns 0 and 2 of scikit-learn's `make_swiss_roll`.

    Raises:
      ValueError: a negative noise; a scale that is not positive.
    """
    check_number("the noise", noise, 0)
    check_number("the scale", scale, positive=True)

    def point(key: PRNGKey) -> jax.Array:
        key_angle, key_noise = jax.random.split(key)
        angle = 1.5 * math.pi * (1 + 2 * jax.random.uniform(key_angle))
        place = angle * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return (place + noise * jax.random.normal(key_noise, (2,))) / scale

    return distributions.from_sampler(point)


def _numbers(what: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given, float)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {shown(given)}: give an array of numbers") from None


def _fixed(make: Callable[[], Distribution], count: int) -> Distribution:
    return distributions.fixed(make(), count, seeded_key(FIXED_KEY))


_GULRAJANI_SCALE = 1.414

DATASETS: dict[str, Callable[[], Distribution]] = {
    "ring-metz-paper": ring,
    "ring-metz-notebook": partial(ring, 7, 1.0, 0.01, (2, 1, 1, 1, 1, 1, 1)),
    "ring-mescheder": partial(ring, 8, 1.0, 0.01, stratified=True),
    "ring-gulrajani": partial(ring, 8, 2 / _GULRAJANI_SCALE, 0.02 / _GULRAJANI_SCALE),
    "ring-veegan": partial(_fixed, partial(ring, 8, 1.0, 0.01), 100_000),
    "ring-d2gan": partial(ring, 8, 2.0, 0.02**0.5),
    "grid25-gulrajani": partial(_fixed, partial(grid, 5, 2 / 2.828, 0.05 / 2.828, stratified=True), 100_000),
    "grid25-veegan": partial(_fixed, partial(grid, 5, 2.0, 0.05), 100_000),
    "grid16-balduzzi": partial(grid, 4, 1.0, 0.02, stratified=True),
    "swiss-roll-gulrajani": swiss_roll,
    "two-gaussians-berard": partial(_fixed, partial(mixture, [[-2.0], [2.0]], 1.0), 10_000),
}
"""Functions that make the published data sets, by name and source. docs/toy_gans.md has their references."""


def _mixture_draw(
    centers: Any, deviation: float, shares: np.ndarray | None, key: PRNGKey, step: ArrayLike, stream: ArrayLike
) -> jax.Array:
    reached: jax.Array
    if shares is None:
        reached, bounds = distributions.counter(step) % len(centers), np.arange(1, len(centers))
    else:
        reached = distributions.uniform().sample(distributions.draw_key(key, step, stream), 0, 1)
        bounds = np.cumsum(shares)[:-1]
    place = as_float(centers[0])
    for bound, center in zip(bounds, centers[1:], strict=True):  # XLA would look up an index one by one
        place = jnp.where(reached >= bound, as_float(center), place)
    noise = distributions.normal(centers.shape[1:]).sample(key, step, stream)
    return place + deviation * noise


def _mixture_log_density(centers: Any, deviation: float, shares: np.ndarray, point: Any) -> jax.Array:
    """ln Σ_k w_k exp(-‖x - c_k‖² / 2σ²) - d ln(σ √2π)."""
    if np.shape(point) != centers.shape[1:]:
        raise ValueError(
            f"the point has shape {np.shape(point)}: give one of shape {centers.shape[1:]}, and map over more with "
            "jax.vmap"
        )
    offsets = (jnp.asarray(native(point))[None] - as_float(centers)) / as_float(deviation)
    squares = jnp.sum(offsets**2, axis=-1)
    width = plain(deviation)
    log = math.log if isinstance(width, int | float) else jnp.log
    constant = centers.shape[1] * log(width * math.sqrt(2 * math.pi))
    return jax.nn.logsumexp(as_float(np.log(shares)) - squares / 2) - constant
