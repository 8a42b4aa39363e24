"""What a field is, and the gradients of the losses."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from slantgan_jax.checks import check_function, check_moving, check_players, check_rates, check_scalar, shown
from slantgan_jax.fields._arithmetic import like_players, times, with_player
from slantgan_jax.games import SampleLosses
from slantgan_jax.numerics import floating, native
from slantgan_jax.types import Rates

Losses = Callable[[Any], Any]
"""`players -> losses`: for each player its own loss, a scalar."""

Field = Callable[[Any], Any]
"""`players -> directions`, with the structure of the parameters. A step goes against the direction."""

Transform = Callable[[Losses], Field]
"""From the losses of a game to the field that a rule descends."""


def gradients(losses: Losses) -> Field:
    """ξ = (∇_i L_i): each player's gradient of its own loss."""
    check_function("losses", losses, "players")

    def field(players: Any) -> Any:
        players = check_moving(jax.tree.map(native, players))
        return like_players(players, (slope_of(losses, players, of=i, by=i) for i in range(len(players))))

    return field


def jacobian(field: Field, players: Any) -> jax.Array:
    """J = ∂`field` at `players`, `[n, n]`, rows and columns in the order of the leaves: G's parameters, then D's."""
    check_function("field", field, "players")
    flat, unravel = ravel_pytree(jax.tree.map(floating, check_players(players)))
    return jax.jacfwd(lambda x: ravel_pytree(check_direction(field(unravel(x)), players))[0])(flat)


def direction_at(players: Any, transform: Transform, losses: Losses, moving: Sequence[int]) -> Mapping[int, Any]:
    """What `transform` gives at `players` for those that move, by their numbers.

    Raises:
      ValueError: it has not the structure of the players.
    """
    field = transform(losses)
    check_function("what the transform of the field returns", field, "players")
    if transform is gradients:  # those of the others would be traced in vain
        check_players(players)
        return {i: slope_of(losses, players, of=i, by=i) for i in moving}
    try:
        direction = field(players)
    except TypeError as error:
        if "scalar-output" not in str(error):
            raise
        raise ValueError(
            "the transform takes the gradient of all losses at once: losses(players) has one for each player, and "
            "fields.gradients(losses) is the gradient of each by its own player"
        ) from error
    check_direction(direction, players)
    return {i: direction[i] for i in moving}


def check_direction(direction: Any, players: Any) -> Any:
    """`direction` itself. Raises `ValueError` unless it, which a field has given, has the structure and the shapes of
    `players`."""
    if jax.tree.structure(direction) != jax.tree.structure(players):
        raise ValueError(
            f"the field gives {shown(direction)}, which has not the structure of the players: give a transform of the "
            "field, and call the function that makes one, as in fields.sga(0.1)"
        )
    for (path, one), other in zip(jax.tree.leaves_with_path(direction), jax.tree.leaves(players), strict=True):
        if jnp.shape(one) != jnp.shape(other):
            raise ValueError(
                f"the field gives {jnp.shape(one)} for the shape {jnp.shape(other)} of players"
                f"{jax.tree_util.keystr(path)}: give each number its own"
            )
    return direction


def step_along(players: Any, rates: Rates, direction: Any) -> Any:
    """`players` - rate · `direction`, with each player's own rate."""
    check_players(players)
    check_direction(direction, players)
    check_rates("the rate", rates)
    players, direction = jax.tree.map(native, (players, direction))
    return jax.tree.map(jnp.subtract, players, times(rates, direction))


def slope_of(losses: Losses, players: Any, of: int, by: int) -> Any:
    """The gradient of the loss of player number `of` by the parameters of player number `by`."""
    return gradient_by(partial(loss_of, losses, of), players, by)


def gradient_by(loss: Callable[[Any], jax.Array], players: Any, by: int) -> Any:
    return jax.grad(lambda own: loss(with_player(players, by, own)))(players[by])


def loss_of(losses: Losses, of: int, players: Any) -> jax.Array:
    """The loss of player number `of`, without those of the others where they can be left out."""
    if isinstance(losses, SampleLosses):
        return losses.of(of, players)
    return check_scalar("a loss", losses(players)[of])
