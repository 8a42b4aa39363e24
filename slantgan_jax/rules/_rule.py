"""What a rule is: a sequence of moves, and what a run carries from step to step."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.typing import ArrayLike

from slantgan_jax import distributions, games
from slantgan_jax.checks import check_key, check_kind, shown
from slantgan_jax.games import Game
from slantgan_jax.types import PRNGKey


class State(NamedTuple):
    """What a run carries from step to step.

    Attributes:
      players: the parameters.
      optimizer_states: `Players` of optax states.
      step: how many steps the run has made.
      extra: what else a rule keeps.
    """

    players: Any
    optimizer_states: Any
    step: jax.Array
    extra: Any = ()


Move = Callable[[State, Any], State]
"""`(state, sample) -> state`: one part of a step."""


def _present(state: State) -> Any:
    return state.players


def same_step(step: ArrayLike) -> tuple[None, ArrayLike]:
    return None, step


class Rule(NamedTuple):
    """An update rule, as pure functions.

    Attributes:
      init: `players -> state`, the state from which a run starts.
      moves: `game -> moves`, the moves of one step of that game, in order.
      reads: the samples of a step as pairs (n, i): step number t reads sample number n t + i of the game. Moves get one
        sample, or a tuple of as many as there are pairs if these are not ((1, 0),).
      players: `state -> players`, what the rule offers as its result: the present players, or an average.
      turn: `step -> (stream, t)`: t stands for the step in `reads`. If the stream is not None, samples are drawn with
        that number folded into the key.
      apart: 1 if each player sees every sample. Otherwise a move reads every `apart`-th sample only. It would
        see only a part of data that come in turn if their period had a common factor with this number.
      period: the number of steps after which the rule does the same again.
      late: how many of the first moves belong to the end of the step before.
    """

    init: Callable[[Any], State]
    moves: Callable[[Game], tuple[Move, ...]]
    reads: tuple[tuple[int, int], ...] = ((1, 0),)
    players: Callable[[State], Any] = _present
    turn: Callable[[ArrayLike], tuple[ArrayLike | None, ArrayLike]] = same_step
    apart: int = 1
    period: int = 1
    late: int = 0

    def step(self, game: Game, state: State, sample: Any) -> State:
        """The state after one step: all moves in turn. Steps are counted here, whatever a move does to `step`."""
        games.check_game(game)
        check_kind("state", state, State)
        before = state
        for number, move in enumerate(_as_moves(self.moves(game))):
            state = move(state, sample)
            if not isinstance(state, State):
                raise ValueError(f"move number {number} of the rule returns {shown(state)}: return a State")
        return state._replace(step=before.step + 1)

    def sample(self, game: Game, key: PRNGKey, step: ArrayLike) -> Any:
        """What step number `step` sees: see `reads`."""
        for name, draw in game.named_draws().items():
            if math.gcd(self.apart, draw.period) > 1:
                raise ValueError(
                    f"the draw {name!r} goes through {draw.period} values in turn, of which a move of this rule, which "
                    f"reads {self.apart} samples a step, would see only a part: use distributions.resampled"
                )
        stream, step = self.turn(distributions.counter(step))
        key = key if stream is None else jax.random.fold_in(check_key(key), stream)
        if self.reads == ((1, 0),):
            return game.sample(key, step)
        return tuple(game.sample(key, step * stride + offset) for stride, offset in self.reads)


def _as_moves(moves: Any) -> tuple[Move, ...]:
    if not isinstance(moves, tuple | list) or not all(map(callable, moves)):
        raise ValueError(f"moves(game) of the rule returns {shown(moves)}: return a tuple of moves")
    return tuple(moves)
