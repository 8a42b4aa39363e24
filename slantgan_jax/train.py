"""One training run: a pure function of a key.

It takes no step that depends on being alone: `jax.vmap` over keys, and over learning rates that the rule closes
over, turns it into a sweep. Hyperparameters are closures:

    def final_players(key, learning_rate):
        rule = rules.tutorial(Players(optax.sgd(learning_rate), optax.sgd(learning_rate)))
        return train(key, game, rule, steps=5000).players

    jax.jit(jax.vmap(final_players, (0, None)))(jax.random.split(jax.random.key(0), 4096), 0.01)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from slantgan_jax.games import Game
from slantgan_jax.networks import Players
from slantgan_jax.rules import Rule, State

LARGEST = 1e4
"""A parameter beyond this size counts as diverged: every sigmoid that it enters is 0 or 1, and nothing is learnt."""


class Run(NamedTuple):
    """The outcome of `train`.

    Attributes:
      players: the final parameters.
      finite: a boolean scalar, `is_finite` of the final players. Divergence is this value, never an exception, and
        touches no other run of a batch.
      history: `record(players)` after every `every` steps, stacked along a leading axis `[steps // every]`.
    """

    players: Players
    finite: jax.Array
    history: Any


def train(
    key: chex.PRNGKey,
    game: Game,
    rule: Rule,
    steps: int,
    *,
    record: Callable[[Players], Any] | None = None,
    every: int = 1,
) -> Run:
    """Plays `game` by `rule` for `steps` steps, as one `lax.scan`.

    With `key_init, key_latent = jax.random.split(key)` the run starts at `game.init(key_init)` and step t sees
    `rule.sample(game, key_latent, t)`, which is `game.sample(key_latent, t)` for rules that take one sample a step. It
    is meant to be jitted by the caller, with everything but `key` and the numbers that the rule closes over static.

    Args:
      key: one typed key; the same key gives the same run.
      game: what is played.
      rule: who moves when.
      steps: how many steps; static, at least 1.
      record: a function of the players, evaluated after every `every` steps.
      every: static; divides `steps`.

    Raises:
      ValueError: `steps` or `every` below 1, or `every` does not divide `steps`.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: train for at least one step")
    if every < 1 or steps % every:
        raise ValueError(f"every is {every}: it must be a positive divisor of the {steps} steps")
    key_init, key_latent = jax.random.split(key)

    def advance(state: State, step: jax.Array) -> tuple[State, None]:
        return rule.step(game, state, rule.sample(game, key_latent, step)), None

    def chunk(state: State, first: jax.Array) -> tuple[State, Any]:
        state, _ = jax.lax.scan(advance, state, first + jnp.arange(every))
        return state, record(rule.read(state)) if record else None

    state = rule.init(game.init(key_init))
    if record is None:
        state, history = jax.lax.scan(advance, state, jnp.arange(steps))
    else:
        state, history = jax.lax.scan(chunk, state, jnp.arange(0, steps, every))
    players = rule.read(state)
    return Run(players, is_finite(players), history)


def is_finite(players: Players) -> jax.Array:
    """Whether every parameter is a number of size at most `LARGEST`: a boolean scalar, False after divergence."""
    return jnp.stack([(jnp.abs(leaf) <= LARGEST).all() for leaf in jax.tree.leaves(players)]).all()
