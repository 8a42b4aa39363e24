"""Where random numbers come from: the latents of a run, by counter, and the NumPy stream of the article.

The contract, tested: with `key_init, key_latent = jax.random.split(key)`, the latents of a run are exactly
`jax.random.uniform(key_latent, (steps,))`, one for each step, however the run is chunked, mapped, sharded or
resumed. JAX's partitionable threefry makes element t of that array one hash of the counter t, so `latent`
computes it where it is needed, bit for bit, and the whole training step stays one fused loop: the library's own
lowering on CPU is a rolled loop that costs more than the training step.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from slantgan_jax import faces

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
KEY_PARITY = 0x1BD11BDA


def threefry(key: tuple[jax.Array, jax.Array], counter: tuple[ArrayLike, ArrayLike]) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32, 20 rounds: two random 32-bit words for a `key` and a `counter` of two 32-bit words each.

    Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
    """
    schedule = (*key, key[0] ^ key[1] ^ jnp.uint32(KEY_PARITY))
    x, y = jnp.asarray(counter[0]) + schedule[0], jnp.asarray(counter[1]) + schedule[1]
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << distance) | (y >> (32 - distance)))
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def latent(key: chex.PRNGKey, step: ArrayLike, stream: ArrayLike = 0) -> jax.Array:
    """Element `stream * 2**32 + step` of `jax.random.uniform(key, (steps,))`, without the others.

    float32 or, where 64-bit types are enabled, float64, as the library's default. Both counts are from 0 to 2³² - 1.

    Raises:
      ValueError: `key` is not one typed threefry key.
    """
    if not (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == () and "fry" in str(jax.random.key_impl(key))
    ):
        raise ValueError(f"key must be one typed threefry key, got {key!r}: make it with jax.random.key(seed)")
    words = jax.random.key_data(key)
    high, low = threefry((words[0], words[1]), (_word(stream), _word(step)))
    # Random mantissa bits under the exponent of 1 give a number in [1, 2).
    if jnp.result_type(float) == jnp.float32:
        bits = ((high ^ low) >> 9) | jnp.uint32(0x3F800000)
        return jax.lax.bitcast_convert_type(bits, jnp.float32) - 1
    bits = (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)
    return jax.lax.bitcast_convert_type((bits >> 12) | jnp.uint64(0x3FF0000000000000), jnp.float64) - 1


def normal(key: chex.PRNGKey, step: ArrayLike, stream: ArrayLike) -> jax.Array:
    """A standard-normal number, √2 erf⁻¹(2 `latent` - 1): one for each element of `stream`."""
    uniform = 2 * latent(key, step, stream) - 1
    return jnp.sqrt(faces.floats(2.0)) * jax.lax.erf_inv(jnp.maximum(uniform, jnp.nextafter(faces.floats(-1), 0)))


def _word(count: ArrayLike) -> jax.Array:
    return jnp.asarray(count).astype(jnp.uint32)


class ArticleStream(NamedTuple):
    """What the article's program draws from NumPy's legacy generator, in its order, as float64 arrays.

    `discriminator_weights` `[4]`, `discriminator_bias` `[]`, `generator_weights` `[4]` and `generator_biases` `[4]`,
    standard normal; `latents` `[steps]` and the `shown` `[4]`, uniform on [0, 1).
    """

    discriminator_weights: np.ndarray
    discriminator_bias: np.ndarray
    generator_weights: np.ndarray
    generator_biases: np.ndarray
    latents: np.ndarray
    shown: np.ndarray


def article(seed: int, steps: int) -> ArticleStream:
    """Replays the random numbers of the article's program: 13 normals, a uniform a step, four uniforms at the end.

    Raises:
      ValueError: `seed` outside [0, 2³²), which the legacy generator does not take, or `steps` below 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}: NumPy's legacy generator takes seeds from 0 to 2**32 - 1")
    if steps < 1:
        raise ValueError(f"steps is {steps}: train for at least one step")
    legacy = np.random.RandomState(seed)
    u, c, w, b = np.split(legacy.normal(size=13), [4, 5, 9])
    return ArticleStream(u, c[0], w, b, legacy.uniform(size=steps), legacy.uniform(size=4))
