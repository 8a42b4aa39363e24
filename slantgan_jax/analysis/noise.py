"""What sampling leaves when everything else has died away: the stationary noise about a fixed point.

Near a fixed point x* of its mean a sampled step is δ ← M δ + ε, with M the Jacobian and ε what the step's sample adds
to the mean step, of mean 0 and covariance Σ, independent from step to step. So the covariance C of δ obeys

    C ← M C Mᵀ + Σ,   at rest   C = M C Mᵀ + Σ

On modes that decay; along zero modes (a surface of equilibria) δ walks at random and C grows for ever. All of this is
the first order in δ: it holds where the noise is small beside what bends the field.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from slantgan_jax.analysis.dynamics import carried
from slantgan_jax.games import Game
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players


def step_noise(rule: Rule, game: Game, at: Players | State, samples: Any, weights: jax.Array) -> jax.Array:
    """Σ, the covariance `[n, n]` of where one step of `rule` leads from `at`, over its random samples.

    The n numbers are those of `spectra.update_jacobian`. Data that are taken in turn, as the faces are, are not random:
    call this for each, `vmap`ped, with the latents as the samples, and take the mean.

    Args:
      rule, game: what is played and how.
      at: where; players stand for the state in which the rule starts from them.
      samples: all values that `Rule.sample` may have here, with a leading axis `[k]`; `weights` `[k]` sum to 1.
    """
    state = at if isinstance(at, State) else rule.init(at)
    after = jax.vmap(lambda sample: ravel_pytree(carried(rule.step(game, state, sample))[0])[0])(samples)
    spread = after - (weights @ after)[None]
    return (weights[:, None] * spread).T @ spread


def stationary_covariance(jacobian: jax.Array, noise: jax.Array, zero_modes: int = 0) -> jax.Array:
    """C = M C Mᵀ + Σ, `[n, n]`, on the modes of M that decay: solved in its eigenvectors, M = V Λ V⁻¹.

        C = V X Vᴴ,   X_ij = (V⁻¹ Σ V⁻ᴴ)_ij / (1 - λ_i λ_j*)

    The `zero_modes` eigenvalues that are nearest to 1 are left out, their X is 0. M has to have n independent
    eigenvectors. NaN where any of the others does not decay. For a CPU, and no part of a run that is swept. `drift`
    solves the like for a flow, by linear equations, as it needs derivatives and its sources are not all positive.
    """
    values, vectors = jnp.linalg.eig(jacobian)
    inverse = jnp.linalg.inv(vectors)
    zero = jnp.argsort(jnp.argsort(jnp.abs(values - 1))) < zero_modes
    left_out = zero[:, None] | zero[None]
    ratio = values[:, None] * jnp.conj(values)[None]
    driven = inverse @ noise @ jnp.conj(inverse.T)
    solved = jnp.where(left_out, 0, driven / jnp.where(left_out, 1, 1 - ratio))
    decays = (zero | (jnp.abs(values) < 1)).all()
    return jnp.where(decays, jnp.real(vectors @ solved @ jnp.conj(vectors.T)), jnp.nan)
