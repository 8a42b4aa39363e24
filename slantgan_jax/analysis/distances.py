"""How far the generator's distribution is from the data.

The generator's images are a curve, G(z) for z ~ U(0, 1); the data are n images y_j, each with probability 1/n. Every
expectation here is over all of both: population values, no samples. `images` is a data set as in `faces`, one leading
axis on each leaf; pixels are in [0, 1], and distances of images are Euclidean, |x - y|² = Σ_i (x_i - y_i)². The
Wasserstein distances are in `transport`.

All of it traces, maps over generators by `vmap`, and has exact first derivatives. In float64 the integrals over z are
exact to the digits that each function states, whatever the generator's weights (see `quadrature`); the numbers were
measured for standard-normal weights times 0.5 to 200, steps inside and outside of [0, 1].
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from slantgan_jax import distributions
from slantgan_jax.analysis import _small_linalg, quadrature
from slantgan_jax.losses import softplus
from slantgan_jax.networks import Generator
from slantgan_jax.numerics import as_float, squared_norm
from slantgan_jax.types import Image


def mean_image(generator: Generator) -> Image:
    """E G(z) for z ~ U(0, 1), an image, exact to rounding.

        E σ(w z + b) = (s(w + b) - s(b)) / w,   s(a) = ln(1 + eᵃ)

    pixel by pixel, which cancels where w is small: there, Gauss-Legendre quadrature. Cost: 0.4 µs in a batch.
    """
    return jax.tree.map(_mean_pixel, generator.weights, generator.biases)


def _mean_pixel(w: jax.Array, b: jax.Array) -> jax.Array:
    latents, weights = distributions.uniform_quadrature()
    smooth = jax.vmap(lambda z, weight: weight * jax.nn.sigmoid(w * z + b))(latents, weights).sum(0)
    safe = jnp.where(jnp.abs(w) < 4, 4.0, w)
    # σ is 1 - σ(-a): take the side on which s is small, and its difference exact.
    sign = jnp.where(b + w / 2 > 0, -1.0, 1.0)
    steep = (softplus(sign * (safe + b)) - softplus(sign * b)) / (sign * safe)
    steep = jnp.where(sign > 0, steep, 1 - steep)
    return jnp.where(jnp.abs(w) < 4, smooth, steep)


def mean_gap(generator: Generator, images: Image) -> jax.Array:
    """‖E G(z) - mean of `images`‖₂, a scalar; `images` have a leading axis.

    All that a discriminator with an affine logit can see of the difference of two distributions is this
    difference of their means. Cost: as `mean_image`.
    """
    difference = jax.tree.map(lambda mean, leaf: mean - jnp.mean(as_float(leaf), axis=0), mean_image(generator), images)
    return jnp.sqrt(squared_norm(difference))


def covariance(generator: Generator) -> jax.Array:
    """Covariance of the generated images, `[pixels, pixels]`: E (G(z) - m)(G(z) - m)ᵀ, m = E G(z).

    Of the population, not of a sample. Exact to 1e-14. Cost: 20 µs.
    """
    _, spread = _moments(quadrature.flat(generator))
    return spread.T @ spread


def variance_trace(generator: Generator) -> jax.Array:
    """E |G(z) - E G(z)|², a scalar: the trace of `covariance`, in squared units of a pixel. Exact to 1e-14.

    It is 0 for a generator that has collapsed to one image. Cost: 14 µs.
    """
    _, spread = _moments(quadrature.flat(generator))
    return jnp.sum(spread**2)


def energy_distance(generator: Generator, images: Image) -> jax.Array:
    """The energy distance of the two distributions, a scalar ≥ 0 in units of a pixel, 0 where they are equal.

        2 E|x - y| - E|x - x'| - E|y - y'|,   x, x' = G(z), G(z') and y, y' of the data, all independent

    Székely & Rizzo 2013 (J. Stat. Plan. Inference 143), its definition; the square root of it is a metric. Exact to
    1e-13: panels end at the latents whose images are nearest to the data, where |x - y| may have a kink, and
    |x - x'| is integrated over z' < z, where it has none. Cost: the square of the nodes, of which there are 180 a
    pixel; 2 ms for four.
    """
    generator = quadrature.flat(generator)
    images = quadrature.flat_images(generator, images)
    near = lax.stop_gradient(quadrature.around(quadrature.nearest(generator, images)))
    latents, weights = quadrature.panel_rule(quadrature.panel_edges(generator, near))
    between = jnp.mean(quadrature.distances(quadrature.generated(generator, latents), images), axis=-1)
    within = jnp.mean(quadrature.distances(images, images))
    return 2 * jnp.sum(weights * between) - _self_distance(generator) - within


def mmd_squared(generator: Generator, images: Image, scale: ArrayLike) -> jax.Array:
    """The squared maximum mean discrepancy with a Gaussian kernel, a scalar from 0 to 2 without units.

        E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = exp(-|x - y|² / (2 scale²))

    Gretton et al. 2012 (JMLR 13), lemma 6, with every expectation over the whole distribution, y = y' included: it
    is 0 where they are equal. Exact to 1e-13 for a `scale` of 0.5 or more, 1e-8 for 0.1; below, the kernel is
    narrower than what the quadrature resolves. For large scales it is mean_gap² / scale². Cost: as `energy_distance`.
    """
    generator = quadrature.flat(generator)
    images = quadrature.flat_images(generator, images)
    latents, weights = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    points = jnp.concatenate([quadrature.generated(generator, latents), images])
    # The difference of the two distributions as weights on all points: the distance is its square in the kernel.
    difference = jnp.concatenate([weights, jnp.full(len(images), -1 / len(images), weights.dtype)])
    squares = jnp.sum((points[:, None] - points[None]) ** 2, axis=-1)
    return difference @ jnp.exp(-squares / (2 * scale**2)) @ difference


def frechet_squared(generator: Generator, images: Image) -> jax.Array:
    """The squared Fréchet distance of the normal distributions with the means and covariances of the two, a scalar.

        |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁^½ C₂ C₁^½)^½)

    in squared units of a pixel, with population covariances. It bounds the squared Wasserstein distance of order 2
    from below. Dowson & Landau 1982 (J. Multivar. Anal. 12), whose abstract has the equal tr (C₁ C₂)^½. No root of a
    matrix is taken: with C = FᵀF the last trace is the sum of the singular values of F₂F₁ᵀ, as exact for singular
    covariances. Exact to 1e-14. Where a generator has collapsed the trace has a kink, and the derivative says nothing.
    Cost: 0.25 ms.
    """
    generator = quadrature.flat(generator)
    images = quadrature.flat_images(generator, images)
    mean, spread = _moments(generator)
    data_mean = jnp.mean(images, axis=0)
    data_spread = (images - data_mean[None]) / jnp.sqrt(len(images))
    overlap = _small_linalg.nuclear_norm_of_product(data_spread, spread)
    return jnp.sum((mean - data_mean) ** 2) + jnp.sum(spread**2) + jnp.sum(data_spread**2) - 2 * overlap


def _moments(generator: Generator) -> tuple[jax.Array, jax.Array]:
    """Mean `[pixels]` of the images and F `[nodes, pixels]` with covariance FᵀF."""
    latents, weights = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    images = quadrature.generated(generator, latents)
    mean = weights @ images
    # The weights of empty panels are 0, where the square root has no derivative; but weights are constants.
    return mean, jnp.sqrt(weights)[:, None] * (images - mean[None])


def _self_distance(generator: Generator) -> jax.Array:
    """E |G(z) - G(z')| for independent z and z'.

    All pairs of different panels by the product rule; a panel with itself by z = start + h u, z' = start + h u v with
    u, v in [0, 1], on which |G(z) - G(z')| / (z - z') and with it the integrand is smooth.
    """
    edges = quadrature.panel_edges(generator)
    latents, weights = quadrature.panel_rule(edges)
    count, nodes = latents.shape
    images = quadrature.generated(generator, latents)
    points = images.reshape(count * nodes, -1)
    pairs = quadrature.distances(points, points).reshape(count, nodes, count, nodes)
    pairs = jnp.where(jnp.eye(count, dtype=bool)[:, None, :, None], 0, pairs)
    apart = jnp.einsum("pi,piqj,qj->", weights, pairs, weights)

    units, unit_weights = distributions.uniform_quadrature(quadrature.NODES)
    widths = jnp.diff(edges)
    below = edges[:-1, None, None] + widths[:, None, None] * jnp.outer(units, units)[None]
    steps = quadrature.length(images[:, :, None] - quadrature.generated(generator, below))
    return apart + 2 * jnp.einsum("p,puv,u,v->", widths**2, steps, unit_weights * units, unit_weights)
