"""The two networks, one layer each, and the pair that everything comes in.

    generator      x_i = σ(w_i z + b_i)          one scalar latent z, one pixel x_i for each i
    discriminator  D(x) = σ(ℓ),  ℓ = u·x + c     the logit ℓ of "this is a face"

On a 2×2 image that is 8 + 5 = 13 parameters. Both act on a pytree of pixels (see `faces`), so one text serves
scalar leaves and array leaves of any side. Logits, never probabilities, go from module to module.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax.faces import Image


class Players(NamedTuple):
    """One thing for each of the two players: parameters, losses, gradients, optimizers, optimizer states."""

    generator: Any
    discriminator: Any


class Generator(NamedTuple):
    """Parameters of `generate`: `weights` w and `biases` b, each an image."""

    weights: Image
    biases: Image


class Discriminator(NamedTuple):
    """Parameters of `logit`: `weights` u, an image, and the scalar `bias` c."""

    weights: Image
    bias: ArrayLike


def init(key: chex.PRNGKey, image: Image) -> Players:
    """Standard-normal parameters for images like `image` (an example; only its structure and dtype matter).

    The numbers are `jax.random.normal(key, (3 * pixels + 1,))`, read in the tutorial's order: u, c, w, b. They
    do not depend on whether the leaves are scalars or an array.
    """
    flat, unravel = ravel_pytree(image)
    count = flat.size
    u, c, w, b = jnp.split(jax.random.normal(key, (3 * count + 1,), flat.dtype), [count, count + 1, 2 * count + 1])
    return Players(Generator(unravel(w), unravel(b)), Discriminator(unravel(u), c[0]))


def pixel_scores(generator: Generator, latent: ArrayLike) -> Image:
    """The generator's scores w z + b, pixel by pixel, for one scalar `latent` z."""
    chex.assert_rank(latent, 0)
    return jax.tree.map(lambda w, b: w * latent + b, generator.weights, generator.biases)


def generate(generator: Generator, latent: ArrayLike) -> Image:
    """The generator: x = σ(w z + b), pixel by pixel, for one scalar `latent` z."""
    return jax.tree.map(jax.nn.sigmoid, pixel_scores(generator, latent))


def logit(discriminator: Discriminator, image: Image) -> jax.Array:
    """The discriminator's logit: ℓ = u·x + c, a scalar; D(x) = σ(ℓ), "a face" where ℓ > 0.

    Raises:
      ValueError: `image` does not have the structure and shapes of the weights.
    """
    weights = discriminator.weights
    if jax.tree.map(jnp.shape, weights) != jax.tree.map(jnp.shape, image):
        raise ValueError(
            f"the discriminator reads images of shape {jax.tree.map(jnp.shape, weights)}, "
            f"got {jax.tree.map(jnp.shape, image)}: use one form (faces.pixels or arrays) and one side for both"
        )
    products = jax.tree.map(lambda u, x: jnp.sum(u * x), weights, image)
    return jax.tree.reduce(jnp.add, products) + discriminator.bias
