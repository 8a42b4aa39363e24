"""What does_it_converge.py and convergence_rates.py share: the article's start, distances to equilibrium, decay times.

A run is known by its history, the players as `networks.to_vector` gives them, `[records, 13]`, in float64.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from article_stream import article_players, article_stream

from slantgan_jax import Players, distributions, faces, networks, slanted_land
from slantgan_jax.analysis import distances, dynamics, equilibria
from slantgan_jax.numerics import as_float

STEPS_PER_EPOCH = len(faces.FACES)
IMAGES = np.array(faces.FACES)
"""The faces as one array. What is computed of a run uses it, as it compiles faster; runs themselves use scalar leaves."""

LATENT = distributions.uniform(nodes=12)
"""|w| stays below 3, where these nodes give E σ(w z + b) with an error of 1e-9."""

GAME_IN_ARRAYS = slanted_land(IMAGES, latent=LATENT)
FIT_DISTANCES = 1e-10, 1e-3
"""Decay is measured between these distances: small enough to be linear, and above rounding."""

classify, orbit_statistics = jax.jit(dynamics.classify), jax.jit(dynamics.limit_cycle)


def start_of(seed: int) -> Players:
    """The players with which the article's program starts."""
    return article_players(article_stream(seed, 1))


@jax.jit
def mean_errors(history: jax.Array) -> jax.Array:
    """E G(z) - mean face `[..., 4]`, of a history `[..., 13]`."""
    rows = history.reshape(-1, history.shape[-1])
    means = jax.vmap(lambda row: distances.mean_image(networks.from_vector(row, stacked=True).generator))(rows)
    return (means - as_float(IMAGES.mean(0))[None]).reshape(*history.shape[:-1], 4)


def distance(history: np.ndarray) -> np.ndarray:
    """√(‖E G(z) - mean face‖² + ‖u‖²) `[...]`, of a history `[..., 13]`."""
    return np.sqrt(np.sum(np.asarray(mean_errors(history)) ** 2, -1) + np.sum(history[..., 8:12] ** 2, -1))


def verdict(history: np.ndarray) -> str:
    """What became of a run, by a history of 100 records."""
    return dynamics.VERDICTS[int(classify(distance(history), history))]


def equilibrium_of(players: Players) -> tuple[Players, Players]:
    """The equilibrium with the same weights of G, and the tangents of the surface of equilibria there."""
    resting = equilibria.project(players, IMAGES)
    return resting, equilibria.tangents(resting.generator.weights, IMAGES)


def measured_decay(history: np.ndarray, fixed: np.ndarray, record_every: float) -> tuple[float, float]:
    """The time in which a run comes nearer to `fixed` `[13]` by a factor of e, and the time of a turn.

    The distance is √(Σ u_i² + (e_i / ‖∇m_i‖)²), with e the error of the mean image and ∇m by w and b: twice the energy
    of `invariants` near the fixed point. In this metric a turn is a circle on which u and G change places, so the
    distance swings little. Compared with itself some whole half-turns later it does not swing at all. It is measured
    within `FIT_DISTANCES` and below the geometric mean of what is in there, where only the slowest mode is left.
    """
    error = (np.asarray(mean_errors(history)) - np.asarray(mean_errors(fixed))) / np.linalg.norm(
        _mean_slopes(fixed), axis=-1
    )
    apart = np.concatenate([history[:, 8:12] - fixed[8:12], error], axis=1)
    size = np.linalg.norm(apart, axis=1)
    low, high = FIT_DISTANCES
    part = _between(size, low, high)
    if len(size[part]):
        part = _between(size, low, np.exp(np.log(size[part]).mean()))
    heights = np.log(size[part])
    times = np.arange(len(heights))
    if len(heights) < 20:
        return math.nan, math.nan
    slope = np.polyfit(times, heights, 1)[0]
    period = float(orbit_statistics(apart[part] * np.exp(-slope * times)[:, None]).period)
    half_turn = period / 2 if period < len(times) else 1.0
    span = half_turn * max(len(times) // 2 // half_turn, 1)
    first = times[: max(len(times) - math.ceil(span), 1)]
    fall = np.mean(heights[first] - np.interp(first + span, times, heights))
    return float(span / fall) * record_every, period * record_every


def _between(size: np.ndarray, low: float, high: float) -> slice:
    """The records from where `size` is below `high` for good to where it first is at most `low`."""
    start = int(np.max(np.flatnonzero(size >= high), initial=-1)) + 1
    arrived = np.flatnonzero(size[start:] <= low)
    return slice(start, start + int(arrived[0]) if len(arrived) else len(size))


@jax.jit
def _mean_slopes(numbers: jax.Array) -> jax.Array:
    """∂m_i / ∂(w_i, b_i) `[4, 2]`."""
    slopes = jax.jacobian(mean_errors)(numbers)
    return jnp.stack([jnp.diag(slopes[:, :4]), jnp.diag(slopes[:, 4:8])], -1)
