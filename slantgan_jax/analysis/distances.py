"""How far the generator's distribution is from the data, and how far players are from an equilibrium.

All expectations are over the whole of both distributions, not over a sample. `images` is a data set as in `faces`.
Pixels are in [0, 1], and distances of images are Euclidean. All functions have exact first derivatives. Wasserstein
distances are in `transport`.

See docs/theory/distances.md for definitions and errors, and docs/analysis.md#costs for costs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from slantgan_jax import distributions, networks
from slantgan_jax.analysis import _small_linalg, quadrature
from slantgan_jax.checks import check_function, check_kind, check_number
from slantgan_jax.losses import softplus
from slantgan_jax.networks import Generator
from slantgan_jax.numerics import as_float, safe_norm
from slantgan_jax.types import Image, Players


def mean_image(generator: Generator) -> Image:
    """E G(z) for z ~ U(0, 1), an image, exact to rounding.

        E σ(w z + b) = (s(w + b) - s(b)) / w,   s(a) = ln(1 + eᵃ),   pixel by pixel

    The formula loses digits for small w, where a quadrature takes its place.
    """
    networks.check_generator(generator)
    return jax.tree.map(_mean_pixel, *jax.tree.map(as_float, generator))


def mean_gap(generator: Generator, images: Image) -> jax.Array:
    """‖E G(z) - mean of `images`‖₂, a scalar."""
    return safe_norm(_mean_difference(generator, images))


def to_equilibrium(
    players: Players, images: Image, logit: Callable[[Any, Image], jax.Array] = networks.logit
) -> jax.Array:
    """d = √(‖E G(z) - mean of `images`‖² + ‖∇ℓ‖²), a scalar; ∇ℓ is the gradient of D's logit by the image.

    On slanted land d is 0 exactly at equilibria, apart from D's bias. Its derivative at 0 is 0.

    Args:
      players: of slanted land.
      images: the data set.
      logit: D's logit, affine in the image, so its gradient is the same at every image; it is u for `networks.logit`.
    """
    check_kind("players", players, Players)
    check_function("logit", logit, "discriminator", "image", such_as="networks.logit")
    slope = jax.grad(partial(logit, players.discriminator))(jax.tree.map(as_float, players.generator.biases))
    return safe_norm((_mean_difference(players.generator, images), slope))


def covariance(generator: Generator) -> jax.Array:
    """The covariance E (G(z) - m)(G(z) - m)ᵀ of the generated images, `[pixels, pixels]`, with m = E G(z)."""
    _, spread = _moments(quadrature.as_arrays(generator))
    return spread.T @ spread


def variance_trace(generator: Generator) -> jax.Array:
    """E |G(z) - E G(z)|², a scalar in squared units of a pixel: the trace of `covariance`."""
    _, spread = _moments(quadrature.as_arrays(generator))
    return jnp.sum(spread**2)


def energy_distance(generator: Generator, images: Image) -> jax.Array:
    """The energy distance of the two distributions, a scalar ≥ 0 in units of a pixel; 0 if they are equal.

        2 E|x - y| - E|x - x'| - E|y - y'|,   x, x' = G(z), G(z') and y, y' of the data, all independent

    Source: Székely & Rizzo 2013 (J. Stat. Plan. Inference 143).
    """
    generator = quadrature.as_arrays(generator)
    images = quadrature.images_as_array(generator, images)
    near = lax.stop_gradient(quadrature.kink_edges(quadrature.nearest_latents(generator, images)))
    latents, weights = quadrature.panel_rule(quadrature.panel_edges(generator, near))
    between = jnp.mean(quadrature.pairwise_distances(quadrature.images_at(generator, latents), images), axis=-1)
    within = jnp.mean(quadrature.pairwise_distances(images, images))
    return 2 * jnp.sum(weights * between) - _self_distance(generator) - within


def mmd_squared(generator: Generator, images: Image, scale: ArrayLike) -> jax.Array:
    """The squared maximum mean discrepancy with a Gaussian kernel, a scalar from 0 to 2 without units.

        E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = exp(-|x - y|² / (2 scale²))

    Pairs with y = y' are included, so it is 0 if the distributions are equal. A `scale` below 0.1 is narrower than what
    the quadrature resolves. Source: Gretton et al. 2012 (JMLR 13), lemma 6.
    """
    check_number("scale", scale, positive=True)
    generator = quadrature.as_arrays(generator)
    images = quadrature.images_as_array(generator, images)
    latents, weights = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    points = jnp.concatenate([quadrature.images_at(generator, latents), images])
    # The difference of the two distributions as weights on all points: the distance is its square in the kernel.
    difference = jnp.concatenate([weights, jnp.full(len(images), -1 / len(images), weights.dtype)])
    squares = jnp.sum((points[:, None] - points[None]) ** 2, axis=-1)
    return difference @ jnp.exp(-squares / (2 * as_float(scale) ** 2)) @ difference


def frechet_squared(generator: Generator, images: Image) -> jax.Array:
    """The squared Fréchet distance of normal distributions with the means and covariances of the two, a scalar.

        |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁^½ C₂ C₁^½)^½),   in squared units of a pixel

    At a generator that has collapsed it has a kink, and the derivative has no meaning. Source: Dowson & Landau 1982 (J.
    Multivar. Anal. 12), whose abstract has the equal tr (C₁ C₂)^½.
    """
    generator = quadrature.as_arrays(generator)
    images = quadrature.images_as_array(generator, images)
    mean, spread = _moments(generator)
    data_mean = jnp.mean(images, axis=0)
    data_spread = (images - data_mean[None]) / jnp.sqrt(len(images))
    overlap = _small_linalg.nuclear_norm_of_product(data_spread, spread)
    return jnp.sum((mean - data_mean) ** 2) + jnp.sum(spread**2) + jnp.sum(data_spread**2) - 2 * overlap


def _mean_pixel(w: jax.Array, b: jax.Array) -> jax.Array:
    latents, weights = distributions.uniform_quadrature()
    smooth = jax.vmap(lambda z, weight: weight * jax.nn.sigmoid(w * z + b))(latents, weights).sum(0)
    safe = jnp.where(jnp.abs(w) < 4, 4.0, w)
    # σ is 1 - σ(-a): take the side on which s is small, and its difference exact.
    sign = jnp.where(b + w / 2 > 0, -1.0, 1.0)
    steep = (softplus(sign * (safe + b)) - softplus(sign * b)) / (sign * safe)
    steep = jnp.where(sign > 0, steep, 1 - steep)
    return jnp.where(jnp.abs(w) < 4, smooth, steep)


def _mean_difference(generator: Generator, images: Image) -> Image:
    networks.check_generator(generator, images)
    return jax.tree.map(lambda mean, leaf: mean - jnp.mean(as_float(leaf), axis=0), mean_image(generator), images)


def _moments(generator: Generator) -> tuple[jax.Array, jax.Array]:
    """Mean `[pixels]` of the images and F `[nodes, pixels]` with covariance FᵀF."""
    latents, weights = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    images = quadrature.images_at(generator, latents)
    mean = weights @ images
    # The weights of empty panels are 0, where the square root has no derivative; but weights are constants.
    return mean, jnp.sqrt(weights)[:, None] * (images - mean[None])


def _self_distance(generator: Generator) -> jax.Array:
    """E |G(z) - G(z')| for independent z and z'.

    Different panels have the product rule. A panel with itself has z = start + h u, z' = start + h u v with u, v in [0,
    1], because |G(z) - G(z')| / (z - z') is smooth.
    """
    edges = quadrature.panel_edges(generator)
    latents, weights = quadrature.panel_rule(edges)
    count, nodes = latents.shape
    images = quadrature.images_at(generator, latents)
    points = images.reshape(count * nodes, -1)
    pairs = quadrature.pairwise_distances(points, points).reshape(count, nodes, count, nodes)
    pairs = jnp.where(jnp.eye(count, dtype=bool)[:, None, :, None], 0, pairs)
    apart = jnp.einsum("pi,piqj,qj->", weights, pairs, weights)

    units, unit_weights = distributions.uniform_quadrature(quadrature.PANEL_NODES)
    widths = jnp.diff(edges)
    below = edges[:-1, None, None] + widths[:, None, None] * jnp.outer(units, units)[None]
    steps = safe_norm(images[:, :, None] - quadrature.images_at(generator, below), axis=-1)
    return apart + 2 * jnp.einsum("p,puv,u,v->", widths**2, steps, unit_weights * units, unit_weights)
