"""What is known of the tutorial's order without running: where it stands still, and the noise that sampling leaves.

See docs/theory/stability.md#the-fixed-point-of-the-tutorials-order and docs/theory/diffusion.md.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _convergence import GAME, IMAGES, STEPS_PER_EPOCH, Histories, equilibrium_of, mean_errors, standstill
from jax.typing import ArrayLike

from slantgan_jax import Rule, distributions, games, networks
from slantgan_jax.analysis import diffusion, spectra

ZERO_MODES = 4


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0))
def fixed_point_of_epoch(rule: Rule, numbers: jax.Array) -> jax.Array:
    """Where an epoch of `rule` stands still, `[13]`, with the faces in their order and each latent's expectation taken,
    beside the equilibrium with the same weights of G as `numbers` `[13]`; NaN if it does so nowhere near."""
    resting, _ = equilibrium_of(networks.from_vector(numbers, stacked=True))
    state, stands = standstill(rule, GAME, resting, STEPS_PER_EPOCH, iterations=4, over="latent")
    return jnp.where(stands, networks.to_vector(state.players), jnp.nan)


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0))
def stationary_variances(rule: Rule, numbers: jax.Array) -> jax.Array:
    """The variances that sampling leaves of u, c and the mean image, `[9]`: of C = M C Mᵀ + Σ at the equilibrium with
    the same weights of G as `numbers` `[13]`, with the mean of Σ over the faces."""
    resting, _ = equilibrium_of(networks.from_vector(numbers, stacked=True))
    latents, weights = distributions.uniform_quadrature()

    def added(face: ArrayLike) -> jax.Array:
        samples = games.Sample(latent=latents, real=jnp.tile(face, (len(latents), 1)))
        return diffusion.update_noise(rule, GAME, resting, samples, weights)

    steps, jacobian = jax.vmap(added)(IMAGES).mean(0), spectra.update_jacobian(rule, GAME, resting)
    covariance = diffusion.stationary_covariance(jacobian, steps, ZERO_MODES)
    across = jax.jacobian(mean_errors)(networks.to_vector(resting))
    return jnp.concatenate([jnp.diag(covariance)[8:], jnp.diag(across @ covariance @ across.T)])


def order_bias(rule: Rule, fixed: np.ndarray, histories: Histories, rate: float) -> dict[str, Any]:
    """Where runs stand still, or move about in the mean, less the equilibrium: u, c and the mean image."""
    late, mean = _later_half(histories["replicas"]), IMAGES.mean(0)
    means = _with_errors(late).mean(1)
    biased = {
        "order of moves": _with_errors(fixed),
        "full batch, measured": _with_errors(histories["full batch"][-1]),
        "order of moves and faces": _with_errors(np.asarray(fixed_point_of_epoch(rule, late[:, -1]))).mean(0),
        "sampled, mean over time": means.mean(0),
        "its standard error": means.std(0, ddof=1) / math.sqrt(len(means)),
    }
    return {"first order: c = -η/4 (1 + |m|²)": -rate / 4 * (1 + mean @ mean)} | {
        name: {"c": float(row[12]), "u": row[8:12], "mean image": row[13:], "gap": np.linalg.norm(row[13:])}
        for name, row in biased.items()
    }


def noise_left(rule: Rule, histories: Histories) -> dict[str, Any]:
    """Root mean squares about the mean over the later half of the time, against C = M C Mᵀ + Σ at five times in it."""
    rows = {}
    for name, runs in (("article", histories["article"][None]), ("replicas", histories["replicas"])):
        late = _later_half(runs)
        times = late[:, np.linspace(0, late.shape[1] - 1, 5).astype(int)].reshape(-1, 13)
        predicted = np.asarray(stationary_variances(rule, times))
        measured = _with_errors(late)[..., 8:].var(1)
        for what, part in (("u", slice(4)), ("c", slice(4, 5)), ("mean image", slice(5, 9))):
            totals = measured[:, part].sum(-1)
            size = math.sqrt(totals.mean())
            error = totals.std(ddof=1) / math.sqrt(len(runs)) / (2 * size) if len(runs) > 1 else math.nan
            expected = math.sqrt(predicted[:, part].sum(-1).mean())
            rows[f"{what}, {name}"] = {"predicted": expected, "measured": size, "standard error": error}
    return rows


def _later_half(runs: np.ndarray) -> np.ndarray:
    return runs[:, runs.shape[1] // 2 :]


def _with_errors(history: np.ndarray) -> np.ndarray:
    """The players and their mean image's error, `[..., 17]`."""
    return np.concatenate([history, mean_errors(history)], -1)
