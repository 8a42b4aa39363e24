"""Arithmetic of players: of structures that have one part for each player."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from slantgan_jax.checks import check_each
from slantgan_jax.types import Rates


def like_players(players: Any, parts: Iterable[Any]) -> Any:
    """The `parts`, one for each player, under the names of the players."""
    return type(players)(*parts)


def with_player(players: Any, index: int, parameters: Any) -> Any:
    """`players` with other parameters for player number `index`."""
    return like_players(players, (parameters if i == index else own for i, own in enumerate(players)))


def each_rate(rates: Rates, players: Any) -> tuple[Any, ...]:
    """The rate of each player."""
    each = rates if isinstance(rates, tuple) else (rates,) * len(players)
    check_each("rates", each, players)
    return each


def times(rates: Rates, tree: Any) -> Any:
    """Each player's part of `tree` times its own rate, in the precision of the part."""
    return like_players(
        tree,
        (
            jax.tree.map(lambda x, rate=rate: (rate * x).astype(x.dtype), own)
            for rate, own in zip(each_rate(rates, tree), tree, strict=True)
        ),
    )


def total(*trees: Any) -> Any:
    """The sum of the trees."""
    return jax.tree.map(lambda *leaves: functools.reduce(jnp.add, leaves), *trees)


# Not optax.tree.vdot: a sweep whose program has a product of vectors depends on the number of threads.
def inner_product(one: Any, other: Any) -> jax.Array:
    """⟨one, other⟩ of two trees."""
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda a, b: jnp.sum(a * b), one, other))
