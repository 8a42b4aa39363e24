"""How far the generator's distribution is from the data."""

import jax
import jax.numpy as jnp

from slantgan_jax import games, networks
from slantgan_jax.faces import Image
from slantgan_jax.networks import Generator


def mean_image(generator: Generator) -> Image:
    """E G(z) for z ~ U(0, 1), an image; by Gauss-Legendre quadrature, exact to rounding for weights up to about 10."""
    latents, weights = games.latent_quadrature()
    images = jax.vmap(networks.generate, (None, 0))(generator, latents)
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), images)


def mean_gap(generator: Generator, images: Image) -> jax.Array:
    """‖E G(z) - mean of `images`‖₂, a scalar; `images` have a leading axis.

    All that a discriminator with an affine logit can see of the difference of two distributions is this
    difference of their means.
    """
    difference = jax.tree.map(
        lambda mean, leaf: mean - jnp.mean(jnp.asarray(leaf), axis=0), mean_image(generator), images
    )
    return jnp.sqrt(jax.tree.reduce(jnp.add, jax.tree.map(lambda d: jnp.sum(d**2), difference)))
