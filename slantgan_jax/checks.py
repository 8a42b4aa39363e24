"""What functions refuse before they work: a check raises a `ValueError` of one line that names the value and the fix.

A check sees what is known when a function is traced: kinds, shapes, types, and numbers that are not traced themselves.
"""

import inspect
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from slantgan_jax.types import PRNGKey

WEIGHT_ERROR = 1e-4
"""How far from 1 the sum of weights may be, for float32."""


def shown(value: Any) -> str:
    """`value` as a message shows it: one line of at most 60 letters."""
    return shortened(repr(value))


def shortened(text: str, most: int = 60) -> str:
    """`text` in one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def check_count(what: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """`value` as an int: a whole number from `least` to `most` that is known when traced."""
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if isinstance(value, bool | np.bool_) or not least <= count <= most:
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{what} is {shown(value)}: give a whole number {bounds}, which is not traced")
    return count


def check_number(
    what: str, value: Any, least: float = -math.inf, most: float = math.inf, *, positive: bool = False
) -> None:
    """`value` is one number, of a type that JAX has. If its value is known, it is finite, and within the bounds."""
    fits = _is_scalar(value)
    if fits and not isinstance(value, Tracer):
        try:
            number = float(value)
        except OverflowError:  # of a whole number
            number = math.inf
        fits = math.isfinite(number) and least <= number <= most and (number > 0 or not positive)
    if not fits:
        kind = "positive, finite number" if positive else "finite number"
        then = ", and use what that returns" if callable(value) else ""  # as for a penalty that was not called
        bounds = [f" {word} {bound:g}" for word, bound in (("from", least), ("to", most)) if math.isfinite(bound)]
        raise ValueError(f"{what} is {shown(value)}: give a {kind}{''.join(bounds)}{then}")


def check_rates(what: str, value: Any, least: float = -math.inf) -> None:
    """`value` is a number for `check_number`, or a tuple of one for each player."""
    for one in value if isinstance(value, tuple) else (value,):
        check_number(what, one, least)


def check_weights(what: str, value: Any) -> None:
    """`value` are numbers that, if they are known, are not negative and have the sum 1."""
    if isinstance(value, Tracer):
        return
    try:
        weights = np.asarray(value, float)
        fits = (weights >= 0).all() and abs(weights.sum() - 1) <= WEIGHT_ERROR
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{what} is {shown(value)}: give numbers of at least 0 whose sum is 1")


def check_flag(what: str, value: Any) -> None:
    """`value` is True or False; what is given by mistake in its place would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{what} is {shown(value)}: give True or False")


def check_scalar(what: str, value: Any) -> Any:
    """`value` itself, which a function called `what` returned: a scalar."""
    if not _is_scalar(value):
        raise ValueError(f"{what} returns {shown(value)}: return a scalar, and call the function that makes one")
    return value


def check_key(key: Any) -> PRNGKey:
    """`key` itself: one typed threefry key."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape != () or "fry" not in str(jax.random.key_impl(key)):
        raise ValueError(f"key is {shown(key)}: give one typed threefry key, jax.random.key(seed, impl='threefry2x32')")
    return key


def check_kind(what: str, value: Any, kind: type, such_as: str = "") -> None:
    """`value` is a `kind`."""
    if not isinstance(value, kind):
        name = kind.__name__
        article = "" if name.endswith("s") else "an " if name[0] in "AEIOU" else "a "
        example = f", such as {such_as}" if such_as else ""
        how = ", and call the function that makes one" if callable(value) else ""
        raise ValueError(f"{what} is {shown(value)}: give {article}{name}{example}{how}")


def check_players(players: Any, count: int | None = None) -> Any:
    """`players` themselves: a NamedTuple, of `count` players."""
    if not isinstance(players, tuple) or not hasattr(players, "_fields") or count not in (None, len(players)):
        raise ValueError(f"players is {shown(players)}: give Players, or another NamedTuple of the players of the game")
    return players


def check_names(what: str, each: Any, players: Any) -> None:
    """`each`, one thing for each player, has the names of the players, in their order, if it has names."""
    named, names = getattr(each, "_fields", None), getattr(players, "_fields", None)
    if named and names and named != names:
        raise ValueError(
            f"the {what} are for {named}, but the players are {names}: give them by the same names, in order"
        )


def check_each(what: str, each: Any, players: Any) -> None:
    """`each` has one thing for each player, and the names of the players, if it has names."""
    if len(each) != len(players):
        raise ValueError(f"there are {len(each)} {what} for {len(players)} players: give one for all, or one for each")
    check_names(what, each, players)


def check_moving(players: Any) -> Any:
    """`players` themselves, of which every number is one that a gradient can move."""
    check_players(players)
    if whole := [leaf for leaf in jax.tree.leaves(players) if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]:
        raise ValueError(f"players have {shown(whole[0])}, which no gradient can move: give floats")
    return players


def check_function(what: str, value: Any, *arguments: str, such_as: str = "") -> None:
    """`value` is a function that can be called with so many arguments."""
    try:
        inspect.signature(value).bind(*arguments)
    except TypeError:
        example = f", as {such_as} is one" if such_as else ""
        raise ValueError(f"{what} is {shown(value)}: give a function of ({', '.join(arguments)}){example}") from None
    except ValueError:  # a function that does not tell
        pass


def is_numeric(value: Any) -> bool:
    """Whether `value` is a real number, or an array of them or of booleans."""
    if not isinstance(value, int | float | np.generic | np.ndarray | jax.Array | jax.ShapeDtypeStruct):
        return False
    kind = getattr(value, "dtype", type(value))
    return any(jnp.issubdtype(kind, real) for real in (jnp.floating, jnp.integer, jnp.bool_))


def _is_scalar(value: Any) -> bool:
    if not is_numeric(value) or np.shape(value) != () or isinstance(value, bool):
        return False
    kind = getattr(value, "dtype", np.dtype(float))
    return kind.kind != "b" and kind.isnative and kind.itemsize <= 8
