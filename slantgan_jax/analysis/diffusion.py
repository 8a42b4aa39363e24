"""What the noise of sampling does: what it leaves at a fixed point, and how it moves a run along the equilibria.

See docs/theory/diffusion.md for the theory, its derivation and when it holds.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from slantgan_jax import losses
from slantgan_jax.analysis import equilibria, quadrature, spectra, update_maps
from slantgan_jax.checks import check_count, check_flag, check_kind, check_weights, shown
from slantgan_jax.games import Game
from slantgan_jax.losses import Objective
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Image, Players


def update_noise(rule: Rule, game: Game, place: Players | State, samples: Any, weights: jax.Array) -> jax.Array:
    """Σ, the covariance `[n, n]` of where one step of `rule` leads from `place`, over its random samples.

    The n numbers are those of `spectra.update_jacobian`. Data that are visited in turn are not random: call this for
    each item with the latents as the samples, and take the mean.

    Args:
      rule, game: what is played and how.
      place: a state, or players at rest. As in `spectra.update_jacobian`, step counts are then those of a long run:
        corrections of a bias and warm-ups are over. Momenta are those with which the rule starts.
      samples: all values that `Rule.sample` may have here, with a leading axis `[k]`.
      weights: their probabilities `[k]`.

    Raises:
      ValueError: samples without such an axis; probabilities that are negative or have another sum than 1; players
        for an optimizer that does not do the same in every step, which needs a state.
    """
    check_kind("rule", rule, Rule)
    weights = as_float(weights, "weights", "k")
    counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(samples)}
    if counts != {weights.shape}:
        raise ValueError(f"samples is {shown(samples)}: give samples with a leading axis of the {len(weights)} weights")
    check_weights("weights", weights)
    one = jax.tree.map(lambda leaf: leaf[0], samples)

    if isinstance(place, State):
        state = place
    else:
        state = update_maps.late_start(rule, game, place, lambda state: rule.step(game, state, one))
    moving = update_maps.moving_leaves(rule, game, state)

    def moved(sample: Any) -> jax.Array:
        return ravel_pytree(update_maps.carried(rule.step(game, state, sample), moving)[0])[0]

    after = jax.vmap(moved)(samples)
    spread = after - (weights @ after)[None]
    return (weights[:, None] * spread).T @ spread


def stationary_covariance(jacobian: jax.Array, noise: jax.Array, zero_modes: int = 0) -> jax.Array:
    """The P with P = M P Mᵀ + Σ, `[n, n]`, on the modes of M that decay; M = U diag(μ) U⁻¹.

    It leaves out that the Jacobian of a step depends on the sample, too: docs/theory/diffusion.md#what-is-left-out.

        P = U Y Uᴴ,   Y_ij = (U⁻¹ Σ U⁻ᴴ)_ij / (1 - μ_i μ_j*)

    Args:
      jacobian: M `[n, n]`, the mean Jacobian of a step: `spectra.update_jacobian`, unless a step uses one sample twice,
        as that of `fields.extragradient` does. It needs n independent eigenvectors.
      noise: Σ `[n, n]`, of `update_noise`.
      zero_modes: how many modes neither grow nor decay. So many eigenvalues nearest to 1 are left out; their Y is 0.

    Returns:
      P, exactly symmetric; NaN if another mode does not decay, where rounding does not count: |μ| has to be below 1 by
      more than `spectra.GROWTH_TOLERANCE` and more than 16 ε. P is NaN, too, if eigenvectors are as good as dependent,
      that is, if the condition number of U is above 1 / √ε, 7e7 in float64. For a CPU, because of LAPACK, and not
      inside a sweep.
    """
    jacobian, noise = as_float(jacobian, "jacobian", "n", "n"), as_float(noise, "noise", "n", "n")
    if len({*jacobian.shape, *noise.shape}) != 1:
        raise ValueError(f"jacobian has the shape {jacobian.shape}, and noise {noise.shape}: give both as [n, n]")
    zero_modes = check_count("zero_modes", zero_modes, 0, len(jacobian))
    values, vectors = jnp.linalg.eig(jacobian)
    inverse = jnp.linalg.inv(vectors)
    zero = jnp.argsort(jnp.argsort(jnp.abs(values - 1))) < zero_modes
    left_out = zero[:, None] | zero[None]
    ratio = values[:, None] * jnp.conj(values)[None]
    driven = inverse @ noise @ jnp.conj(inverse.T)
    solved = jnp.where(left_out, 0, driven / jnp.where(left_out, 1, 1 - ratio))
    epsilon = jnp.finfo(jacobian.dtype).eps
    independent = jnp.linalg.cond(vectors) < epsilon**-0.5
    decays = (zero | (jnp.abs(values) < 1 - max(spectra.GROWTH_TOLERANCE, 16 * epsilon))).all()
    covariance = jnp.real(vectors @ solved @ jnp.conj(vectors.T))
    return jnp.where(decays & independent, (covariance + covariance.T) / 2, jnp.nan)


class SlowDiffusion(NamedTuple):
    """How the weights w move along the equilibria under plain gradient descent at the rate η; n counts steps.

    Attributes:
      drift: V `[pixels]`: d E[w] / dn = η² V.
      diffusion: D `[pixels, pixels]`, symmetric: d Cov[w] / dn = 2 η³ D + η² (V' Cov[w] + Cov[w] V'ᵀ).
      fast_covariance: X `[pixels, pixels]`, symmetric: Cov[u] = η X for the weights u of D.
      limit_hessian: K `[pixels, 2 pixels + 1, 2 pixels + 1]`, symmetric in the last two. Without noise a run that
        starts at a small v = (β, u, c), with biases b + β and weights w + ζ β, ends at the weights w_i + ½ vᵀ K_i v.
    """

    drift: jax.Array
    diffusion: jax.Array
    fast_covariance: jax.Array
    limit_hessian: jax.Array


def slow_diffusion(
    weights: Image,
    images: Image,
    objective: Objective = losses.non_saturating,
    *,
    shared_latent: bool = True,
    discriminator_first: bool = True,
) -> SlowDiffusion:
    """The `SlowDiffusion` at `equilibria.equilibrium(weights, images)`, to leading order in η.

    docs/theory/diffusion.md#the-result has the equations of V, D, X and K. Sources: Katzenberger 1991 (Ann. Probab.
    19); Li, Wang & Arora 2022 (arXiv:2110.06914).

    Args:
      weights: w of the equilibrium, an image.
      images: the data set, with a leading axis.
      objective: what the players minimize. Without curvature of D's loss the result is NaN, infinite or meaningless.
      shared_latent: whether G's step has the latent of D's; False for `slanted_land(independent_latents=True)`.
      discriminator_first: whether G meets a D that has already stepped on the same sample, as in `rules.tutorial` and
        `rules.alternating`; False for `rules.simultaneous`.

    Returns:
      A `SlowDiffusion`, meant for float64. It solves linear systems with (2 pixels + 1)² unknowns by LAPACK, so not
      inside a sweep.
    """
    check_flag("shared_latent", shared_latent)
    check_flag("discriminator_first", discriminator_first)
    players = equilibria.equilibrium(weights, images, objective)
    generator = quadrature.as_arrays(players.generator)
    data = quadrature.images_as_array(generator, images)
    pixels = data.shape[1]
    latents, chances = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    x = quadrature.images_at(generator, latents)
    mean = jnp.mean(data, axis=0)
    steep = x * (1 - x)
    s = chances @ steep
    zeta = (chances * latents) @ steep / s
    kappa = 1 / (1 + zeta**2)
    beside = (latents[:, None] - zeta[None]) * steep
    mixed = (chances[:, None] * beside).T @ x  # C

    discriminator_loss = losses.of_discriminator(objective)
    at, by_fake = (players.discriminator.bias,) * 2, jax.grad(objective.generator, 1)
    pull, bend, push = -by_fake(*at), -jax.grad(by_fake, 1)(*at), jax.grad(discriminator_loss, 1)(*at)  # a, a', f
    (real, both), (_, fake) = jax.hessian(discriminator_loss, (0, 1))(*at)
    curve = real * data.T @ data / len(data) + fake * (chances[:, None] * x).T @ x + 2 * both * jnp.outer(mean, mean)
    whole = real + fake + 2 * both
    b, u, c = slice(0, pixels), slice(pixels, 2 * pixels), 2 * pixels
    flow = jnp.zeros((2 * pixels + 1, 2 * pixels + 1), x.dtype)
    flow = flow.at[b, u].set(jnp.diag(pull * s)).at[u, b].set(-jnp.diag(push * s / kappa))
    flow = flow.at[u, u].set(-curve).at[u, c].set(-whole * mean).at[c, u].set(-whole * mean).at[c, c].set(-whole)

    noise = jnp.zeros((len(latents), len(flow)), x.dtype).at[:, u].set(-push * (x - mean[None]))
    fast = _lyapunov(flow, (chances[:, None] * noise).T @ noise)
    one = jnp.eye(pixels, dtype=x.dtype)
    rows = bend * kappa[:, None] * mixed
    halves = jnp.zeros((pixels, *flow.shape), x.dtype).at[:, u, u].set(one[:, :, None] * rows[:, None, :])
    limit = jax.vmap(lambda half: _lyapunov(flow.T, half + half.T))(halves)

    drift = jnp.sum(rows * fast[u, u], axis=1)
    if shared_latent and discriminator_first:
        drift = drift - pull * push * kappa * jnp.diag(mixed)
    of_generator = jnp.zeros((len(latents), pixels, len(flow)), x.dtype)
    of_generator = of_generator.at[:, :, u].set(pull * one[None] * (kappa[None] * beside)[:, :, None])
    of_discriminator = jnp.einsum("na,iab->nib", noise, limit)
    moves = (of_generator + of_discriminator,) if shared_latent else (of_generator, of_discriminator)
    diffusion = sum(jnp.einsum("n,nia,njb,ab->ij", chances, move, move, fast) for move in moves) / 2
    return SlowDiffusion(drift, jnp.asarray(diffusion), fast[u, u], limit)


def _lyapunov(matrix: jax.Array, source: jax.Array) -> jax.Array:
    """The symmetric X with M X + X Mᵀ + S = 0, `[n, n]`, from n² linear equations, which have derivatives."""
    one = jnp.eye(len(matrix), dtype=matrix.dtype)
    both = jnp.kron(matrix, one) + jnp.kron(one, matrix)
    found = jnp.linalg.solve(both, -source.reshape(-1)).reshape(source.shape)
    return (found + found.T) / 2
