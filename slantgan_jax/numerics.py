"""Arithmetic that several modules share: the precision of a trace, norms, the Runge-Kutta step; checks of numbers."""

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def shown(value: Any) -> str:
    """`value` as a message shows it: one line of at most 60 letters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_count(what: str, value: Any, least: int = 1) -> int:
    """`value` as an int. Raises `ValueError` unless it is a whole number, known when traced, of at least `least`."""
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if isinstance(value, bool | np.bool_) or count < least:
        raise ValueError(f"{what} is {shown(value)}: give a whole number of at least {least}, which is not traced")
    return count


def check_number(what: str, value: Any, least: float = -math.inf, most: float = math.inf) -> None:
    """Raises `ValueError` if a number that is known when traced is not finite, or not from `least` to `most`.

    A tuple has one number for each player.
    """
    bounds = [f" {word} {bound:g}" for word, bound in (("from", least), ("to", most)) if math.isfinite(bound)]
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, int | float | np.number | np.ndarray):
            number = np.asarray(one)
            if not np.all(np.isfinite(number) & (least <= number) & (number <= most)):
                raise ValueError(f"{what} is {shown(one)}: give a finite number{''.join(bounds)}")


def as_float(values: Any) -> jax.Array:
    """`values` in the precision of the trace: float32, or float64 where 64-bit types are enabled.

    Without the name of the type, a constant kept the precision in which it was first traced.
    """
    return jnp.asarray(values, jnp.result_type(float))


def as_floats(tree: Any) -> Any:
    """`tree` with its floating-point leaves in the precision of the trace; counts stay as they are."""
    return jax.tree.map(lambda x: as_float(x) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, tree)


def squared_norm(tree: Any) -> jax.Array:
    """‖tree‖², the sum of the squares of all numbers of a pytree."""
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: jnp.sum(leaf**2), tree))


def safe_norm(tree: Any, axis: int | None = None) -> jax.Array:
    """‖tree‖₂, whose derivative at 0, where the norm has none, is 0. The norm of NaN is NaN.

    Args:
      tree: a pytree; with `axis`, one array.
      axis: the axis of the array over which the norm is taken; None takes it over all numbers of the pytree.
    """
    square = squared_norm(tree) if axis is None else jnp.sum(tree**2, axis=axis)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


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
