"""Arithmetic that several modules share: the precision of a trace, norms, the Runge-Kutta step."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from slantgan_jax.checks import is_numeric, shown


def as_float(values: Any, what: str = "a value", *axes: str) -> jax.Array:
    """`values` in the precision of the trace: float32, or float64 where 64-bit types are enabled.

    The type is named, since a constant without one keeps the precision of its first trace.

    Raises:
      ValueError: they are no numbers or, if `axes` are named, no array with these axes, none of them empty.
    """
    try:
        if isinstance(values, str | bytes | complex) or getattr(getattr(values, "dtype", None), "kind", "f") in "USc":
            raise TypeError
        array = jnp.asarray(native(values), jnp.result_type(float))
    except (TypeError, ValueError) as error:
        if isinstance(error, jax.errors.JAXTypeError):
            raise
        raise ValueError(f"{what} is {shown(values)}: give numbers") from None
    if axes and (array.ndim != len(axes) or 0 in array.shape):
        raise ValueError(f"{what} has the shape {array.shape}: give an array [{', '.join(axes)}] of numbers")
    return array


def as_floats(tree: Any) -> Any:
    """`tree` with its floating-point leaves in the precision of the trace; counts stay as they are."""
    tree = jax.tree.map(native, tree)
    return jax.tree.map(lambda x: as_float(x) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, tree)


def native(values: Any) -> Any:
    """`values`; if they are an array of NumPy with the bytes of a number in another order, in the order of JAX."""
    if isinstance(values, np.ndarray | np.generic) and not values.dtype.isnative:
        return values.astype(values.dtype.newbyteorder("="))
    return values


def floating(values: Any) -> jax.Array:
    """`values` as an array of floating-point numbers: whole numbers in the precision of the trace, others in their own.

    Whole numbers would wrap where they are negated or squared.
    """
    values = float(values) if isinstance(values, int) else native(values)  # one of Python takes any precision
    array = values if isinstance(values, jax.Array) else jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else as_float(array)


def at_least_single(values: Any) -> jax.Array:
    """`values` as `floating`, and in at least 32 bits."""
    array = floating(values)
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def plain(number: Any) -> Any:
    """A `number` that a user gives, so that arithmetic with it neither wraps nor rounds it to 16 bits by itself.

    A known number becomes one of Python, which takes the precision of what it meets; a traced one is `at_least_single`.
    """
    if type(number) in (bool, int, float):
        return number
    return at_least_single(number) if isinstance(number, Tracer) else float(number)


def but_labels(function: Callable[..., Any], image: Any, *others: Any) -> Any:
    """`function` of each leaf of `image` and of those of `others` at its place, but for labels, which stay.

    A label is a leaf of whole numbers, or of booleans, beside leaves of floating-point numbers. All are `native`.
    """
    image, *rest = jax.tree.map(native, (image, *others))
    floating = jax.tree.map(lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.inexact), image)
    numbers = jax.tree.map(lambda is_float: is_float or not any(jax.tree.leaves(floating)), floating)
    return jax.tree.map(lambda leaf, known, *more: function(leaf, *more) if known else leaf, image, numbers, *rest)


def seeded_key(seed: Any) -> jax.Array:
    """`jax.random.key(seed, impl="threefry2x32")` of a 32-bit seed, without the offset that a user can add to seeds."""
    seed = jnp.asarray(seed, jnp.uint32)
    return jax.random.wrap_key_data(jnp.stack([jnp.zeros_like(seed), seed]), impl="threefry2x32")


def squared_norm(tree: Any) -> jax.Array:
    """‖tree‖², the sum of the squares of all numbers of a pytree, in at least 32 bits."""
    leaves = jax.tree.leaves(tree)
    if not leaves or not all(map(is_numeric, leaves)):
        raise ValueError(f"the norm of {shown(tree)}: give an array, or a pytree of arrays")
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: jnp.sum(at_least_single(leaf) ** 2), tree))


def safe_norm(tree: Any, axis: int | None = None) -> jax.Array:
    """‖tree‖₂ in at least 32 bits. Its derivative at 0, where the norm has none, is 0. The norm of NaN is NaN.

    A square below the least normal number counts as 0, as on CPUs, which flush it: further derivatives divide by it.

    Args:
      tree: a pytree; with `axis`, one array.
      axis: the axis of the array over which the norm is taken; None takes it over all numbers of the pytree.
    """
    square = squared_norm(tree) if axis is None else jnp.sum(at_least_single(tree) ** 2, axis=axis)
    zero = square < jnp.finfo(jnp.result_type(square, 1.0)).tiny
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def power_of_two(tree: Any) -> jax.Array:
    """The power of two nearest to max |x| / 2 over all numbers x of a pytree of floats, as a constant; of zeros 1.

    Divided by it, numbers keep their digits, and their squares are neither too small nor too large for the precision.
    """
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(leaf)), initial=0) for leaf in jax.tree.leaves(tree)]
    largest = functools.reduce(jnp.maximum, sizes)
    kind = jnp.finfo(largest.dtype)
    return jax.lax.reduce_precision(jnp.where(largest < 2 * kind.tiny, 1, largest / 2), kind.nexp, 0)


def rk4_slope(slope: Callable[[Any], Any], place: Any, moved: Callable[[Any, float, Any], Any]) -> Any:
    """The mean slope (k₁ + 2 k₂ + 2 k₃ + k₄) / 6 of one classical Runge-Kutta step from `place`.

        k₁ = slope(x),  k₂ = slope(x + ½ h k₁),  k₃ = slope(x + ½ h k₂),  k₄ = slope(x + h k₃)

    Args:
      slope: the derivative at a place, a pytree.
      place: x, a pytree.
      moved: `(place, fraction, k) -> place`, the place at `fraction` of a step along k. It knows the step h.

    Returns:
      The slope, as k₁ plus differences from k₁: a step of length 0 has exactly the slope k₁.
    """
    k1 = slope(place)
    k2 = slope(moved(place, 0.5, k1))
    k3 = slope(moved(place, 0.5, k2))
    k4 = slope(moved(place, 1.0, k3))
    return jax.tree.map(lambda a, b, c, d: a + (2 * (b - a) + 2 * (c - a) + (d - a)) / 6, k1, k2, k3, k4)
