"""What does_it_converge.py and convergence_rates.py share: distances, decay times, and what is known without running.

A run is known by its history, the players as `networks.to_vector` gives them, `[records, 13]`, in float64.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from article_stream import article_players, article_stream
from jax.typing import ArrayLike

from slantgan_jax import Players, Rule, distributions, faces, games, networks, slanted_land
from slantgan_jax.analysis import distances, dynamics, equilibria, noise, spectra
from slantgan_jax.numerics import as_float

STEPS_PER_EPOCH = len(faces.FACES)
IMAGES = np.array(faces.FACES)
"""The faces as one array, for what is computed of a run: it compiles faster. The runs themselves have scalar leaves."""

LATENT = distributions.uniform(nodes=12)
"""|w| stays below 3, where these nodes give E σ(w z + b) with an error of 1e-9."""

GAME = slanted_land(IMAGES, latent=LATENT)
ZERO_MODES = 4
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


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0))
def standing_in_order(rule: Rule, numbers: jax.Array) -> jax.Array:
    """Where an epoch of `rule` stands still, `[13]`, with the faces in their order and each latent's expectation taken,
    beside the equilibrium with the same weights of G as `numbers` `[13]`."""
    resting, tangents = equilibrium_of(networks.from_vector(numbers, stacked=True))
    state = spectra.fixed_point(rule, GAME, resting, STEPS_PER_EPOCH, tangents, ZERO_MODES, in_turn=True)
    return networks.to_vector(state.players)


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0))
def stationary_variances(rule: Rule, numbers: jax.Array) -> jax.Array:
    """The variances that sampling leaves of u, c and the mean image, `[9]`: of C = M C Mᵀ + Σ at the equilibrium with
    the same weights of G as `numbers` `[13]`, with the mean of Σ over the faces."""
    resting, _ = equilibrium_of(networks.from_vector(numbers, stacked=True))
    latents, weights = distributions.uniform_quadrature()

    def added(face: ArrayLike) -> jax.Array:
        samples = games.Sample(latent=latents, real=jnp.tile(face, (len(latents), 1)))
        return noise.step_noise(rule, GAME, resting, samples, weights)

    steps, jacobian = jax.vmap(added)(IMAGES).mean(0), spectra.update_jacobian(rule, GAME, resting)
    covariance = noise.stationary_covariance(jacobian, steps, ZERO_MODES)
    across = jax.jacobian(mean_errors)(networks.to_vector(resting))
    return jnp.concatenate([jnp.diag(covariance)[8:], jnp.diag(across @ covariance @ across.T)])


def measured_decay(history: np.ndarray, fixed: np.ndarray, record_every: float) -> tuple[float, float]:
    """The time in which a run comes nearer to `fixed` `[13]` by a factor of e, and the time of a turn.

    The distance is √(Σ u_i² + (e_i / ‖∇m_i‖)²), with e the error of the mean image and ∇m by w and b: twice the energy
    of `invariants` near the fixed point. In this metric a turn is a circle on which u and G change places, so the
    distance swings little. Compared with itself some whole half-turns later it does not swing at all. It is measured
    within `FIT_DISTANCES` and below the geometric mean of what is in there, where only the slowest mode is left.
    """
    error = np.asarray(mean_errors(history)) - np.asarray(mean_errors(fixed))
    slopes = np.linalg.norm(_mean_slopes(fixed), axis=-1)
    apart = np.concatenate([history[:, 8:12] - fixed[8:12], error / slopes], axis=1)
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
