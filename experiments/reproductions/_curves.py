"""What the reproductions without networks share: the frame of all experiments, and the players of a run at every step.

Imports are in the order of their names, and this one comes before those of the frame, which it makes known.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the frame of all experiments is

import jax
import jax.numpy as jnp
from _experiment import Experiment, Figure, progress
from _options import check_known, check_whole
from _results import Data

from slantgan_jax import Game, Rule, State, train


def _as_it_is(state: State) -> State:
    return state


class Way(NamedTuple):
    """One way to train: a rule, and what the published program has in its memory at the start besides the players."""

    rule: Rule
    begin: Callable[[State], State] = _as_it_is


def path(game: Game, way: Way, steps: int, start: Any, key: jax.Array | None = None) -> Any:
    """What the rule offers after 0, 1, …, `steps` steps: the players, with a leading axis `[steps + 1]`.

    The `key` makes the draws of the game, if it has any.
    """
    state = way.begin(way.rule.init(jax.tree.map(jnp.asarray, start)))
    first = way.rule.players(state)
    if not steps:
        return jax.tree.map(lambda leaf: leaf[None], first)
    key = jax.random.key(0) if key is None else key
    run = train(key, game, way.rule, steps, state=state, record=lambda info: info.players)
    return jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first, run.history)


def verdict(holds: Iterable[bool]) -> str:
    """The first words of an answer, from whether each part of a claim holds."""
    parts = list(holds)
    if not parts:
        return "Not tried"
    return "Confirmed" if all(parts) else "Partly confirmed" if any(parts) else "Not confirmed"


__all__ = ["Data", "Experiment", "Figure", "Way", "check_known", "check_whole", "path", "progress", "verdict"]
