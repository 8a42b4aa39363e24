"""Update rules: which player moves when, with which optax transformation.

A rule is a sequence of *moves*; one step makes all of them in turn. A move evaluates a field (by default each player's
gradient of its own loss, see `fields`) at the players as they then are. The moving player's optimizer turns its part of
the field into an update.

`lookahead` and `averaged` make a rule of a rule. Everything but `tutorial` works for any number of players.
docs/methods.md#rules compares all rules.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from slantgan_jax import fields, games
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.types import PRNGKey, Rates

Optimizer = optax.GradientTransformation | tuple[optax.GradientTransformation, ...]
"""One optax transformation for all players, or `Players` with one for each."""


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


class Rule(NamedTuple):
    """An update rule, as pure functions.

    Attributes:
      init: `players -> state`, the state from which a run starts.
      moves: `game -> moves`, the moves of one step of that game, in order.
      samples_per_step: how many samples a step takes. Moves get one sample, or a tuple of more than one.
      players: `state -> players`, what the rule offers as its result: the present players, or an average.
    """

    init: Callable[[Any], State]
    moves: Callable[[Game], tuple[Move, ...]]
    samples_per_step: int = 1
    players: Callable[[State], Any] = _present

    def step(self, game: Game, state: State, sample: Any) -> State:
        """The state after one step: all moves in turn."""
        for move in self.moves(game):
            state = move(state, sample)
        return state._replace(step=state.step + 1)

    def sample(self, game: Game, key: PRNGKey, step: ArrayLike) -> Any:
        """What step number `step` sees: sample number `step` of the game, or a tuple of the next `samples_per_step`."""
        if self.samples_per_step == 1:
            return game.sample(key, step)
        return tuple(game.sample(key, step * self.samples_per_step + i) for i in range(self.samples_per_step))


def tutorial(optimizer: Optimizer, field: Transform = fields.gradients) -> Rule:
    """The tutorial's order: a move of D for each term of its loss (real image, then fake), then one of G.

        ψ ← ψ - η ∇_ψ L_real(ψ),   ψ ← ψ - η ∇_ψ L_fake(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD)

    All moves see the same sample, unless the game has independent latents. A transformed field is that of the move's
    own game: L_G against the one term.

    Args:
      optimizer: one optax transformation for all players, or `Players` of one for each. D's is applied twice a step.
      field: the transform of the field, see `fields`.

    Raises:
      ValueError: in a step, if D's loss is not a sum of at least two terms.
    """
    return Rule(partial(_init, optimizer), partial(_tutorial_moves, optimizer, field))


def simultaneous(optimizer: Optimizer, field: Transform = fields.gradients) -> Rule:
    """All players move from the same point: (θ, ψ) ← (θ, ψ) - η (∇_θ L_G, ∇_ψ L_D)(θ, ψ), for plain SGD.

    Args:
      optimizer, field: as in `tutorial`.
    """
    return Rule(
        partial(_init, optimizer),
        lambda game: (partial(_move, optimizer, field, game, tuple(range(len(game.losses))), None),),
    )


def alternating(
    optimizer: Optimizer,
    field: Transform = fields.gradients,
    *,
    order: Sequence[str] = ("discriminator", "generator"),
) -> Rule:
    """One player after the other moves on its whole loss, against the players just updated.

        ψ ← ψ - η ∇_ψ L_D(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD, discriminator first)

    Args:
      optimizer, field: as in `tutorial`.
      order: the names of the players in the order of their moves, which may be repeated. The i-th move of each player
        sees the i-th sample of the step. A player that is not named stands still.

    Raises:
      ValueError: an empty order; in a step, a name that is not a player of the game.
    """
    order = (order,) if isinstance(order, str) else tuple(order)
    if not order:
        raise ValueError("the order names no player: give the names of the players as they move")
    turns = tuple((name, order[:i].count(name)) for i, name in enumerate(order))
    samples = 1 + max(turn for _, turn in turns)
    return Rule(partial(_init, optimizer), partial(_alternating_moves, optimizer, field, turns, samples), samples)


def past_extragradient(optimizer: Optimizer, step_size: Rates, field: Transform = fields.gradients) -> Rule:
    """Popov's method: extragradient that looks ahead with the field v of the step before, one evaluation a step.

        v_t = ξ(ω_t - η v_{t-1}),   ω_{t+1} = ω_t - η v_t,   v_{-1} = 0      (plain SGD)

    Popov 1980; for GANs Gidel et al. 2019 (arXiv:1802.10551), section 3.3.

    Args:
      optimizer, field: as in `tutorial`.
      step_size: η of the half-step; in the method itself it is the learning rate.
    """

    def init(players: Any) -> State:
        return _init(optimizer, players)._replace(extra=jax.tree.map(jnp.zeros_like, players))

    return Rule(init, lambda game: (partial(_past_extragradient, optimizer, step_size, field, game),))


def lookahead(rule: Rule, sync_period: int, slow_step_size: ArrayLike) -> Rule:
    """Lookahead-minimax: every `sync_period` k steps the players return to a share `slow_step_size` α of their way.

        after every k steps:   ω ← ω_slow + α (ω - ω_slow),   ω_slow ← ω

    Chavdarova et al. 2021 (arXiv:2006.14567), algorithm 1. α = 1 is `rule`.

    Raises:
      ValueError: `sync_period` below 1.
    """
    if sync_period < 1:
        raise ValueError(f"lookahead every {sync_period} steps: give at least 1")

    def init(players: Any) -> State:
        state = rule.init(players)
        return state._replace(extra=(state.extra, players))

    def back(state: State, sample: Any) -> State:
        inner, slow = state.extra
        now = (state.step + 1) % sync_period == 0
        reached = jax.tree.map(lambda x, y: jnp.where(now, x + (1 - slow_step_size) * (y - x), x), state.players, slow)
        slow = jax.tree.map(lambda x, y: jnp.where(now, x, y), reached, slow)
        return state._replace(players=reached, extra=(inner, slow))

    return _wrapping(rule, init, back)


def averaged(rule: Rule, average: optax.GradientTransformation) -> Rule:
    """`rule`, whose result is an average of its players, for instance by `optax.ema(0.999)`. The play is unchanged.

    Averaging for GANs: Yazici et al. 2019 (arXiv:1806.04498).

    Args:
      rule: the rule whose players are averaged.
      average: an optax transformation; it receives the players in the place of updates.
    """

    def init(players: Any) -> State:
        state = rule.init(players)
        return state._replace(extra=(state.extra, average.init(players), players))

    def observe(state: State, sample: Any) -> State:
        inner, moments, _ = state.extra
        mean, moments = average.update(state.players, moments)
        return state._replace(extra=(inner, moments, mean))

    return _wrapping(rule, init, observe)._replace(players=lambda state: state.extra[2])


def _each(optimizer: Optimizer, players: Any) -> Sequence[optax.GradientTransformation]:
    """The optimizer of each player. An optax transformation is a tuple, too, so it is recognized by its class."""
    if isinstance(optimizer, optax.GradientTransformation):
        return (optimizer,) * len(players)
    if len(optimizer) != len(players):
        raise ValueError(f"{len(optimizer)} optimizers for {len(players)} players: give one for all, or one for each")
    return optimizer


def _init(optimizer: Optimizer, players: Any) -> State:
    states = (own.init(p) for own, p in zip(_each(optimizer, players), players, strict=True))
    return State(players, type(players)(*states), jnp.zeros((), jnp.uint32))


def _tutorial_moves(optimizer: Optimizer, field: Transform, game: Game) -> tuple[Move, ...]:
    if len(game.losses.discriminator) < 2:
        raise ValueError(
            "the tutorial's order takes one step on the real and one on the fake image, but this game's discriminator "
            "loss does not split into such terms: use rules.alternating or rules.simultaneous"
        )
    parts = (game._replace(losses=game.losses._replace(discriminator=(term,))) for term in game.losses.discriminator)
    return (
        *(partial(_move, optimizer, field, part, (1,), None) for part in parts),
        partial(_move, optimizer, field, game, (0,), None),
    )


def _alternating_moves(
    optimizer: Optimizer, field: Transform, turns: tuple[tuple[str, int], ...], samples: int, game: Game
) -> tuple[Move, ...]:
    names = type(game.losses)._fields
    for name, _ in turns:
        if name not in names:
            raise ValueError(f"the order names {name!r}, which is no player: this game has {', '.join(names)}")
    return tuple(
        partial(_move, optimizer, field, game, (names.index(name),), None if samples == 1 else turn)
        for name, turn in turns
    )


def _move(
    optimizer: Optimizer,
    field: Transform,
    game: Game,
    moving: tuple[int, ...],
    turn: int | None,
    state: State,
    sample: Any,
) -> State:
    """Moves the players numbered `moving` along the field of `game`, on sample number `turn` if there are several."""
    seen = sample if turn is None else sample[turn]
    direction = field(partial(games.total_losses, game, sample=seen))(state.players)
    return _updated(optimizer, moving, state, direction)


def _updated(optimizer: Optimizer, moving: tuple[int, ...], state: State, direction: Any) -> State:
    players, optimizer_states = list(state.players), list(state.optimizer_states)
    optimizers = _each(optimizer, players)
    for i in moving:
        updates, optimizer_states[i] = optimizers[i].update(direction[i], state.optimizer_states[i], state.players[i])
        players[i] = optax.apply_updates(state.players[i], updates)
    return state._replace(
        players=type(state.players)(*players), optimizer_states=type(state.players)(*optimizer_states)
    )


def _past_extragradient(
    optimizer: Optimizer, step_size: Rates, field: Transform, game: Game, state: State, sample: Any
) -> State:
    ahead = fields.step_along(state.players, step_size, state.extra)
    direction = field(partial(games.total_losses, game, sample=sample))(ahead)
    return _updated(optimizer, tuple(range(len(ahead))), state, direction)._replace(extra=direction)


def _wrapping(rule: Rule, init: Callable[[Any], State], last: Move) -> Rule:
    """`rule` with one more move at the end of a step, and with `extra` equal to `(the rule's own, ...)`."""
    return Rule(
        init,
        lambda game: (*(partial(_inside, move) for move in rule.moves(game)), last),
        rule.samples_per_step,
        lambda state: rule.players(state._replace(extra=state.extra[0])),
    )


def _inside(move: Move, state: State, sample: Any) -> State:
    inner, *own = state.extra
    state = move(state._replace(extra=inner), sample)
    return state._replace(extra=(state.extra, *own))
