"""How far the generator's distribution is from the data."""

import jax
import jax.numpy as jnp

from slantgan_jax import faces, games
from slantgan_jax.faces import Image
from slantgan_jax.losses import softplus
from slantgan_jax.networks import Generator


def mean_image(generator: Generator) -> Image:
    """E G(z) for z ~ U(0, 1), an image, exact to rounding.

        E σ(w z + b) = (s(w + b) - s(b)) / w,   s(a) = ln(1 + eᵃ)

    pixel by pixel, which cancels where w is small: there, Gauss-Legendre quadrature.
    """
    return jax.tree.map(_mean_pixel, generator.weights, generator.biases)


def _mean_pixel(w: jax.Array, b: jax.Array) -> jax.Array:
    latents, weights = games.latent_quadrature()
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
    difference of their means.
    """
    difference = jax.tree.map(
        lambda mean, leaf: mean - jnp.mean(faces.floats(leaf), axis=0), mean_image(generator), images
    )
    return jnp.sqrt(jax.tree.reduce(jnp.add, jax.tree.map(lambda d: jnp.sum(d**2), difference)))
