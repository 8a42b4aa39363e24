"""Linearizations: the Jacobian of a game's expected field, and of the update map of a rule."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from slantgan_jax import fields, games
from slantgan_jax.fields import Adjustment
from slantgan_jax.games import Game
from slantgan_jax.networks import Players
from slantgan_jax.rules import Rule, State


def expected_field(game: Game, adjustment: Adjustment = fields.gradients) -> fields.Field:
    """The field of the expected losses, adjusted; `fields.gradients` is ξ itself."""
    full = games.expected(game)
    return adjustment(lambda players: games.losses_of(full, players, ()))


def update_jacobian(rule: Rule, game: Game, players: Players, steps: int = 1) -> jax.Array:
    """The Jacobian of `steps` steps of `rule` on the expected game, `[n, n]`, at `players`.

    The n variables are the numbers that the rule carries from step to step, counts apart: players, momenta, memories.
    The optimizer state is the one after `steps` steps of standing at `players`; so at an equilibrium it is a fixed
    point, and the eigenvalues of largest modulus tell whether the rule converges to it, and how fast.
    """
    full = games.expected(game)
    sample = rule.sample(full, jax.random.key(0), 0)  # one or several of nothing: the expected game draws no numbers

    def advanced(state: State) -> State:
        for _ in range(steps):
            state = rule.step(full, state, sample)
        return state

    state = rule.init(players)
    state = advanced(state)._replace(players=players)
    leaves, structure = jax.tree.flatten(state)
    carried = [jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in leaves]
    flat, unravel = ravel_pytree([leaf for leaf, carry in zip(leaves, carried, strict=True) if carry])

    def update(numbers: jax.Array) -> jax.Array:
        floats = iter(unravel(numbers))
        now = jax.tree.unflatten(structure, [next(floats) if c else x for x, c in zip(leaves, carried, strict=True)])
        after = jax.tree.leaves(advanced(now))
        return ravel_pytree([leaf for leaf, carry in zip(after, carried, strict=True) if carry])[0]

    return jax.jacfwd(update)(flat)
