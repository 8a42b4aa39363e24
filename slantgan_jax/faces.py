"""The data: slanted faces, images with a dark diagonal on a light ground.

An image is a *pytree of pixels*, row-major, with pixel 0 at the top left. Values are in [0, 1]; 1 is dark ink.
`unstack` makes a tuple with one scalar leaf for each pixel. This form is the faster one for 2×2 images. For larger
images use the array itself, one leaf of shape `[side * side]`. A data set has the same structure, with one more,
leading axis on every leaf. docs/performance.md#how-the-code-is-written-for-this has the reason.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from slantgan_jax.checks import check_count, check_key, is_numeric, shown
from slantgan_jax.numerics import native
from slantgan_jax.types import Image, PRNGKey

FACES = np.array(
    [
        [1.0, 0.0, 0.0, 1.0],
        [0.9, 0.1, 0.2, 0.8],
        [0.9, 0.2, 0.1, 0.8],
        [0.8, 0.1, 0.2, 0.9],
        [0.8, 0.2, 0.1, 0.9],
    ]
)
"""The tutorial's five faces, `[5, 4]`, in float64. The precision of a run is chosen when it is traced."""
FACES.setflags(write=False)


def unstack(images: np.ndarray | jax.Array) -> Image:
    """Splits the last axis of `[..., pixels]` into a tuple with one `[...]` leaf for each pixel."""
    if not is_numeric(images) or np.ndim(images) == 0:
        raise ValueError(f"images are {shown(images)}: give an array [..., pixels] of numbers")
    images = native(images)
    return tuple(images[..., i] for i in range(np.shape(images)[-1]))


def stack(image: Image) -> jax.Array:
    """Joins the pixels of an image, a data set or a batch of images into `[..., pixels]`: the inverse of `unstack`."""
    pixels = image if isinstance(image, tuple) else (image,)
    if not all(map(is_numeric, pixels)) or len(set(map(np.shape, pixels))) != 1:
        raise ValueError(f"the image is {shown(image)}: give an array [..., pixels], or a tuple of pixels of one shape")
    image = jax.tree.map(native, image)
    return jnp.stack(image, axis=-1) if isinstance(image, tuple) else jnp.asarray(image)


def check_images(images: Image, image: Image) -> None:
    """Raises `ValueError` unless `images` is a data set of at least one image of the form of `image`."""
    leaves, structure = jax.tree.flatten(images)
    rows = [np.shape(leaf)[:1] for leaf in leaves]
    alike = structure == jax.tree.structure(image) and all(map(is_numeric, leaves)) and len(set(rows)) == 1
    pixels = [np.shape(leaf) for leaf in jax.tree.leaves(image)]
    if not alike or rows[0] in ((), (0,)) or [np.shape(leaf)[1:] for leaf in leaves] != pixels:
        raise ValueError(
            f"the images have the shapes {shown(jax.tree.map(np.shape, images))}, and one image "
            f"{shown(jax.tree.map(np.shape, image))}: give one more, leading axis, and one form (faces.unstack or "
            "arrays) and side for both"
        )


def side_length(count: int) -> int:
    """The side of a square image of `count` pixels. Raises `ValueError` unless `count` is the square of a side ≥ 2."""
    count = check_count("the number of pixels", count)
    side = math.isqrt(count)
    if side < 2 or side * side != count:
        raise ValueError(f"an image of {count} pixels is not a square of side 2 or more: pass 4, 9, 16, ... pixels")
    return side


def slanted(key: PRNGKey, count: int, side: int = 2) -> jax.Array:
    """Random slanted faces, `[count, side * side]`.

    Pixels are independent and uniform: U(0.8, 1) along the diagonal, U(0, 0.2) off it.

    Raises:
      ValueError: `count` below 1 or `side` below 2.
    """
    key, count, side = check_key(key), check_count("count", count), check_count("side", side, 2)
    noise = jax.random.uniform(key, (count, side, side), maxval=0.2)
    diagonal = jnp.eye(side, dtype=bool)
    return jnp.where(diagonal, 1.0 - noise, noise).reshape(count, side * side)


def noise(key: PRNGKey, count: int, side: int = 2) -> jax.Array:
    """Images that are no faces, `[count, side * side]`: all pixels are independent and uniform on [0, 1).

    Raises:
      ValueError: `count` below 1 or `side` below 2.
    """
    key, count, side = check_key(key), check_count("count", count), check_count("side", side, 2)
    return jax.random.uniform(key, (count, side * side))
