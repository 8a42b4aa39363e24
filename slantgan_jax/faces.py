"""The data: slanted faces, images with a bright diagonal on a dark ground.

An image is a *pytree of pixels*, row-major, pixel 0 at the top left, values in [0, 1] (1 is dark ink in the
figures: the face). Two forms hold the same image and run through the same code:

- `pixels(array)`: a tuple with one scalar leaf a pixel. Under `vmap` over runs each pixel becomes one
  contiguous vector, which XLA fuses best: use it for 2×2.
- the array itself, one leaf of shape `[side * side]`: use it for larger sides.

A data set has the same structure with one more, leading axis on every leaf.
"""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

Image = Any
"""A pytree of pixels: a tuple of scalars or one `[pixels]` array; a data set has a leading axis on each leaf."""

FACES = np.array(
    [
        [1.0, 0.0, 0.0, 1.0],
        [0.9, 0.1, 0.2, 0.8],
        [0.9, 0.2, 0.1, 0.8],
        [0.8, 0.1, 0.2, 0.9],
        [0.8, 0.2, 0.1, 0.9],
    ]
)
"""The tutorial's five faces, `[5, 4]`. float64 here; the precision of a run is chosen where it is traced."""
FACES.setflags(write=False)


def pixels(images: chex.ArrayNumpy | jax.Array) -> Image:
    """Splits the last axis of `[..., pixels]` into a tuple of one `[...]` leaf a pixel."""
    if np.ndim(images) == 0:
        raise ValueError(
            f"images must have a last axis of pixels, got the scalar {images}: pass an array of shape [..., pixels]"
        )
    return tuple(images[..., i] for i in range(np.shape(images)[-1]))


def array(image: Image) -> jax.Array:
    """Joins the pixels of an image (or of a data set or batch of images) into `[..., pixels]`, undoing `pixels`."""
    return jnp.stack(image, axis=-1) if isinstance(image, tuple) else jnp.asarray(image)


def floats(values: Any) -> jax.Array:
    """`values` in the precision of the trace: float32, or float64 where 64-bit types are enabled.

    The type is asked for by name: without it a constant traced in one precision was seen to stay so in the other.
    """
    return jnp.asarray(values, jnp.result_type(float))


def side_of(count: int) -> int:
    """The side of a square image of `count` pixels. Raises `ValueError` unless it is a square of a side ≥ 2."""
    side = math.isqrt(count)
    if side < 2 or side * side != count:
        raise ValueError(f"an image of {count} pixels is not a square of side 2 or more: pass 4, 9, 16, ... pixels")
    return side


def slanted(key: chex.PRNGKey, count: int, side: int = 2) -> jax.Array:
    """Random slanted faces, `[count, side * side]`.

    Pixels are independent and uniform: on U(0.8, 1) along the diagonal, U(0, 0.2) off it. These are the ranges
    that the tutorial's five faces span; the mean image is 0.9 on the diagonal and 0.1 elsewhere.

    Raises:
      ValueError: `count` below 1 or `side` below 2.
    """
    _check_sizes(count, side)
    noise = jax.random.uniform(key, (count, side, side), maxval=0.2)
    diagonal = jnp.eye(side, dtype=bool)
    return jnp.where(diagonal, 1.0 - noise, noise).reshape(count, side * side)


def noise(key: chex.PRNGKey, count: int, side: int = 2) -> jax.Array:
    """Images that are no faces, `[count, side * side]`: every pixel independent and uniform on [0, 1).

    Raises:
      ValueError: `count` below 1 or `side` below 2.
    """
    _check_sizes(count, side)
    return jax.random.uniform(key, (count, side * side))


def _check_sizes(count: int, side: int) -> None:
    if count < 1:
        raise ValueError(f"count is {count}: ask for at least one image")
    if side < 2:
        raise ValueError(f"side is {side}: a slanted face needs a side of at least 2")
