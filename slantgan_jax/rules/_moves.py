"""How players move: their optimizers turn directions into updates."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from slantgan_jax import fields, games
from slantgan_jax.checks import check_each, check_function, check_moving, shortened, shown
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.numerics import native
from slantgan_jax.rules._rule import Move, State

Optimizer = optax.GradientTransformation | tuple[optax.GradientTransformation, ...]
"""One optax transformation for all players, or `Players` with one for each."""


def check_descent(optimizer: Any, field: Any) -> None:
    """Raises `ValueError` unless these are an optax transformation or a tuple of them, and a transform of the field."""
    check_function("field", field, "losses", such_as="fields.sga(0.1)")
    each = (optimizer,) if isinstance(optimizer, optax.GradientTransformation) else optimizer
    if not isinstance(each, tuple) or not all(isinstance(own, optax.GradientTransformation) for own in each):
        raise ValueError(
            f"the optimizer is {shown(optimizer)}: give an optax transformation such as optax.sgd(0.01), or "
            "Players with one for each"
        )


def initial(optimizer: Optimizer, players: Any) -> State:
    """The state before the first step."""
    players = jax.tree.map(jnp.asarray, check_moving(jax.tree.map(native, players)))
    each = zip(each_optimizer(optimizer, players), players, strict=True)
    states = [of_optimizer(own.init, number, parameters) for number, (own, parameters) in enumerate(each)]
    return State(players, type(players)(*states), jnp.zeros((), jnp.uint32))


def moved(
    optimizer: Optimizer, field: Transform, game: Game, moving: Sequence[int], state: State, sample: Any
) -> State:
    """Moves the players numbered `moving` along the field of `game`."""
    direction = fields.direction_at(state.players, field, games.SampleLosses(game, sample), moving)
    return updated(optimizer, moving, state, direction)


def updated(optimizer: Optimizer, moving: Sequence[int], state: State, direction: Any) -> State:
    """`state` after an update of the players numbered `moving`; `direction` has theirs by their numbers."""
    players, optimizer_states = list(state.players), list(state.optimizer_states)
    optimizers = each_optimizer(optimizer, players)
    for i in moving:
        updates, optimizer_states[i] = of_optimizer(
            optimizers[i].update, i, direction[i], state.optimizer_states[i], state.players[i]
        )
        players[i] = optax.apply_updates(state.players[i], updates)
    return state._replace(
        players=type(state.players)(*players), optimizer_states=type(state.players)(*optimizer_states)
    )


def seeing(turn: int, move: Move, state: State, sample: Any) -> State:
    """`move`, which sees sample number `turn` of several."""
    return move(state, sample[turn])


def each_optimizer(optimizer: Optimizer, players: Any) -> Sequence[optax.GradientTransformation]:
    """The optimizer of each player. An optax transformation is a tuple, too, so it is recognized by its class."""
    if isinstance(optimizer, optax.GradientTransformation):
        return (optimizer,) * len(players)
    check_each("optimizers", optimizer, players)
    return optimizer


def of_optimizer(function: Callable[..., Any], number: int, *arguments: Any) -> Any:
    """Calls a function of an optimizer; what it cannot do is a `ValueError` that names the player."""
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
        what = shortened(f"{type(error).__name__}: {error}", 90)
        raise ValueError(
            f"the optimizer of player number {number} cannot move it ({what}): give one that needs no more than "
            "update(updates, state, params) and takes these parameters"
        ) from error
