"""Update rules: who moves when, with one optax transformation for each player.

A rule is a sequence of *moves*; one step is all of them in turn. A move evaluates a field (by default each player's
gradient of its own loss, see `fields`) at the players as they then stand, and the moving player's optimizer turns
its part into an update: SGD, momentum of either sign, Adam, optimism, schedules and clipping are optax's.

    tutorial             D on the real image, D on the fake, G against the D just updated
    simultaneous         both players from the same point
    alternating          one player, then the other against the player just updated, some number of times each
    past_extragradient   both, a half-step ahead by the field of the step before (Popov)

and of any rule

    lookahead            returns part of the way to where it was some steps ago
    averaged             is judged by an average of its players
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from slantgan_jax import fields, games
from slantgan_jax.fields import Adjustment, Rates
from slantgan_jax.games import Game
from slantgan_jax.networks import Players


class State(NamedTuple):
    """What a step carries: the `players`, their `optimizer_states`, and what else a rule keeps in `memory`."""

    players: Players
    optimizer_states: Players
    memory: Any = ()


Move = Callable[[State, Any], State]
"""`(state, sample) -> state`: one part of a step."""


def _present(state: State) -> Players:
    return state.players


class Rule(NamedTuple):
    """An update rule, as pure functions.

    Attributes:
      init: `players -> state`, the state to start from.
      moves: `game -> moves`, the moves of one step of that game, in order.
      samples: how many samples a step takes; moves get one sample, or a tuple of more than one.
      read: `state -> players`, what the rule offers as its result: the present ones, or an average.
    """

    init: Callable[[Players], State]
    moves: Callable[[Game], tuple[Move, ...]]
    samples: int = 1
    read: Callable[[State], Players] = _present

    def step(self, game: Game, state: State, sample: Any) -> State:
        """One step of the rule: all moves in turn."""
        for move in self.moves(game):
            state = move(state, sample)
        return state

    def sample(self, game: Game, key: chex.PRNGKey, step: ArrayLike) -> Any:
        """What step number `step` sees: number `step` of `game`'s samples, or a tuple of the next `samples`."""
        if self.samples == 1:
            return game.sample(key, step)
        return tuple(game.sample(key, step * self.samples + i) for i in range(self.samples))


def tutorial(optimizers: Players, field: Adjustment = fields.gradients) -> Rule:
    """The tutorial's order: a move of D for each term of its loss (real image, then fake), then one of G.

        ψ ← ψ - η ∇_ψ L_real(ψ),   ψ ← ψ - η ∇_ψ L_fake(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD)

    All three see the same sample (`slanted_land(fresh_latent=True)` gives G a latent of its own); D's optimizer is
    applied twice a step. An adjusted field is that of the move's own game: L_G against the one term.

    Args:
      optimizers: `Players` of optax transformations.
      field: the adjustment, see `fields`.

    Raises:
      ValueError: in a step, if D's loss is not a sum of at least two terms.
    """
    return Rule(partial(_init, optimizers), partial(_tutorial_moves, optimizers, field))


def simultaneous(optimizers: Players, field: Adjustment = fields.gradients) -> Rule:
    """Both players move from the same point: (θ, ψ) ← (θ, ψ) - η (∇_θ L_G, ∇_ψ L_D)(θ, ψ), for plain SGD.

    Args:
      optimizers: `Players` of optax transformations.
      field: the adjustment, see `fields`.
    """
    return Rule(partial(_init, optimizers), lambda game: (partial(_move, optimizers, field, game, (0, 1), None),))


def alternating(
    optimizers: Players,
    field: Adjustment = fields.gradients,
    *,
    discriminator_first: bool = True,
    discriminator_steps: int = 1,
    generator_steps: int = 1,
) -> Rule:
    """One player moves on its whole loss, then the other against the player just updated.

        ψ ← ψ - η ∇_ψ L_D(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD, discriminator first)

    Args:
      optimizers: `Players` of optax transformations.
      field: the adjustment, see `fields`.
      discriminator_first: who begins.
      discriminator_steps: n_D, how often D moves in a step; `generator_steps` n_G. Each player's i-th move of a step
        sees the i-th of max(n_D, n_G) samples.

    Raises:
      ValueError: a number of steps below 1.
    """
    if discriminator_steps < 1 or generator_steps < 1:
        raise ValueError(f"alternating by {discriminator_steps} and {generator_steps} steps: give each at least 1")
    counts, order = (generator_steps, discriminator_steps), (1, 0) if discriminator_first else (0, 1)
    samples = max(counts)
    turns = [(player, turn) for player in order for turn in range(counts[player])]
    return Rule(
        partial(_init, optimizers),
        lambda game: tuple(
            partial(_move, optimizers, field, game, (player,), None if samples == 1 else turn) for player, turn in turns
        ),
        samples,
    )


def past_extragradient(optimizers: Players, lookahead: Rates, field: Adjustment = fields.gradients) -> Rule:
    """Popov's method: extragradient with the look-ahead by the field v of the step before, one evaluation a step.

        v_t = ξ(ω_t - η v_{t-1}),   ω_{t+1} = ω_t - η v_t,   v_{-1} = 0      (plain SGD)

    Popov 1980; for GANs Gidel et al. 2019 (arXiv:1802.10551), section 3.3. Its look-ahead points are the iterates of
    optimistic gradient descent (`optax.optimistic_gradient_descent` in `simultaneous`).

    Args:
      optimizers: `Players` of optax transformations.
      lookahead: η of the half-step; the method itself has it equal to the learning rate.
      field: the adjustment, see `fields`.
    """

    def init(players: Players) -> State:
        return _init(optimizers, players)._replace(memory=jax.tree.map(jnp.zeros_like, players))

    return Rule(init, lambda game: (partial(_past_extragradient, optimizers, lookahead, field, game),))


def lookahead(rule: Rule, period: int, fraction: ArrayLike) -> Rule:
    """Lookahead-minimax: every `period` steps the players go back to `fraction` α of the way from where they were.

        every k steps:   ω ← ω_slow + α (ω - ω_slow),   ω_slow ← ω

    Chavdarova et al. 2021 (arXiv:2006.14567), algorithm 1, which goes back with both players at once. α = 1 is `rule`.

    Raises:
      ValueError: `period` below 1.
    """
    if period < 1:
        raise ValueError(f"lookahead every {period} steps: give at least 1")

    def init(players: Players) -> State:
        state = rule.init(players)
        return state._replace(memory=(state.memory, players, jnp.zeros((), jnp.int32)))

    def back(state: State, sample: Any) -> State:
        inner, slow, count = state.memory
        now = (count + 1) % period == 0
        reached = jax.tree.map(lambda x, y: jnp.where(now, x + (1 - fraction) * (y - x), x), state.players, slow)
        slow = jax.tree.map(lambda x, y: jnp.where(now, x, y), reached, slow)
        return state._replace(players=reached, memory=(inner, slow, (count + 1) % period))

    return _wrapping(rule, init, back)


def averaged(rule: Rule, average: optax.GradientTransformation) -> Rule:
    """`rule`, judged by an average of its players, for instance `optax.ema(0.999)`; the play itself is unchanged.

    Averaging for GANs: Yazici et al. 2019 (arXiv:1806.04498). optax.ema starts without bias from the first step on.

    Args:
      rule: what is averaged.
      average: an optax transformation that is shown the players as if they were updates.
    """

    def init(players: Players) -> State:
        state = rule.init(players)
        return state._replace(memory=(state.memory, average.init(players), players))

    def observe(state: State, sample: Any) -> State:
        inner, moments, _ = state.memory
        mean, moments = average.update(state.players, moments)
        return state._replace(memory=(inner, moments, mean))

    return _wrapping(rule, init, observe)._replace(read=lambda state: state.memory[2])


def _init(optimizers: Players, players: Players) -> State:
    return State(players, Players(*(o.init(p) for o, p in zip(optimizers, players, strict=True))))


def _tutorial_moves(optimizers: Players, field: Adjustment, game: Game) -> tuple[Move, ...]:
    if len(game.terms.discriminator) < 2:
        raise ValueError(
            "the tutorial's order takes one step on the real and one on the fake image, but this game's discriminator "
            "loss does not split into such terms: use rules.alternating or rules.simultaneous"
        )
    parts = (game._replace(terms=game.terms._replace(discriminator=(term,))) for term in game.terms.discriminator)
    return (
        *(partial(_move, optimizers, field, part, (1,), None) for part in parts),
        partial(_move, optimizers, field, game, (0,), None),
    )


def _move(
    optimizers: Players,
    field: Adjustment,
    game: Game,
    moving: tuple[int, ...],
    turn: int | None,
    state: State,
    sample: Any,
) -> State:
    """Moves the players numbered `moving` along the field of `game`, on sample number `turn` if there are several."""
    seen = sample if turn is None else sample[turn]
    direction = field(partial(games.losses_of, game, sample=seen))(state.players)
    return _updated(optimizers, moving, state, direction)


def _updated(optimizers: Players, moving: tuple[int, ...], state: State, direction: Players) -> State:
    players, optimizer_states = list(state.players), list(state.optimizer_states)
    for i in moving:
        updates, optimizer_states[i] = optimizers[i].update(direction[i], state.optimizer_states[i], state.players[i])
        players[i] = optax.apply_updates(state.players[i], updates)
    return state._replace(players=Players(*players), optimizer_states=Players(*optimizer_states))


def _past_extragradient(
    optimizers: Players, lookahead: Rates, field: Adjustment, game: Game, state: State, sample: Any
) -> State:
    ahead = fields.descended(state.players, lookahead, state.memory)
    direction = field(partial(games.losses_of, game, sample=sample))(ahead)
    return _updated(optimizers, (0, 1), state, direction)._replace(memory=direction)


def _wrapping(rule: Rule, init: Callable[[Players], State], last: Move) -> Rule:
    """`rule` with one more move at the end of a step, and with memory `(the rule's own, ...)`."""
    return Rule(
        init,
        lambda game: (*(partial(_inside, move) for move in rule.moves(game)), last),
        rule.samples,
        lambda state: rule.read(state._replace(memory=state.memory[0])),
    )


def _inside(move: Move, state: State, sample: Any) -> State:
    inner, *own = state.memory
    state = move(state._replace(memory=inner), sample)
    return state._replace(memory=(state.memory, *own))
