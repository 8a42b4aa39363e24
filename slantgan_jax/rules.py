"""Update rules: who moves when, with one optax transformation for each player.

A rule is a sequence of *moves*; one step is all of them in turn, on one sample. A move takes the gradient of a
player's own loss at the players as they then stand, and that player's optimizer turns it into an update: SGD,
momentum, Adam, schedules and clipping are optax's.

    tutorial      D on the real image, D on the fake, G against the D just updated
    simultaneous  both players from the same point
    alternating   one player, then the other against the player just updated
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax

from slantgan_jax.games import Game, Term
from slantgan_jax.networks import Players


class State(NamedTuple):
    """What a step carries: the `players` and their `optimizer_states`."""

    players: Players
    optimizer_states: Players


Move = Callable[[State, Any], State]
"""`(state, sample) -> state`: one part of a step."""


class Rule(NamedTuple):
    """An update rule, as pure functions.

    Attributes:
      init: `players -> state`, the state to start from.
      moves: `game -> moves`, the moves of one step of that game, in order.
    """

    init: Callable[[Players], State]
    moves: Callable[[Game], tuple[Move, ...]]

    def step(self, game: Game, state: State, sample: Any) -> State:
        """One step of the rule: all moves in turn, on one sample."""
        for move in self.moves(game):
            state = move(state, sample)
        return state


def tutorial(optimizers: Players) -> Rule:
    """The tutorial's order: a move of D for each term of its loss (real image, then fake), then one of G.

        ψ ← ψ - η ∇_ψ L_real(ψ),   ψ ← ψ - η ∇_ψ L_fake(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD)

    All three see the same sample; D's optimizer is applied twice a step.

    Args:
      optimizers: `Players` of optax transformations.

    Raises:
      ValueError: in a step, if D's loss is not a sum of at least two terms.
    """
    return Rule(partial(_init, optimizers), partial(_tutorial_moves, optimizers))


def simultaneous(optimizers: Players) -> Rule:
    """Both players move from the same point: (θ, ψ) ← (θ, ψ) - η (∇_θ L_G, ∇_ψ L_D)(θ, ψ), for plain SGD.

    Args:
      optimizers: `Players` of optax transformations.
    """
    return Rule(partial(_init, optimizers), lambda game: (partial(_descend, optimizers, game.terms),))


def alternating(optimizers: Players, discriminator_first: bool = True) -> Rule:
    """One player moves on its whole loss, then the other against the player just updated.

        ψ ← ψ - η ∇_ψ L_D(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD, discriminator first)

    Args:
      optimizers: `Players` of optax transformations.
      discriminator_first: who begins.
    """
    return Rule(partial(_init, optimizers), partial(_alternating_moves, optimizers, discriminator_first))


def _init(optimizers: Players, players: Players) -> State:
    return State(players, Players(*(o.init(p) for o, p in zip(optimizers, players, strict=True))))


def _tutorial_moves(optimizers: Players, game: Game) -> tuple[Move, ...]:
    terms = game.terms.discriminator
    if len(terms) < 2:
        raise ValueError(
            "the tutorial's order takes one step on the real and one on the fake image, but this game's discriminator "
            "loss does not split into such terms: use rules.alternating or rules.simultaneous"
        )
    return (
        *(partial(_descend, optimizers, Players((), (term,))) for term in terms),
        partial(_descend, optimizers, Players(game.terms.generator, ())),
    )


def _alternating_moves(optimizers: Players, discriminator_first: bool, game: Game) -> tuple[Move, ...]:
    generator = partial(_descend, optimizers, Players(game.terms.generator, ()))
    discriminator = partial(_descend, optimizers, Players((), game.terms.discriminator))
    return (discriminator, generator) if discriminator_first else (generator, discriminator)


def _descend(optimizers: Players, terms: Players, state: State, sample: Any) -> State:
    """Moves each player on the sum of its `terms`, from the same point; a player without terms stays."""
    moved = [
        _descend_one(*arguments, state.players, sample, index)
        for index, arguments in enumerate(zip(optimizers, terms, state.optimizer_states, strict=True))
    ]
    players, optimizer_states = zip(*moved, strict=True)
    return State(Players(*players), Players(*optimizer_states))


def _descend_one(
    optimizer: optax.GradientTransformation,
    terms: tuple[Term, ...],
    optimizer_state: Any,
    players: Players,
    sample: Any,
    index: int,
) -> tuple[Any, Any]:
    if not terms:
        return players[index], optimizer_state
    gradient = jax.grad(lambda players: sum(term(players, sample) for term in terms))(players)[index]
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, players[index])
    return optax.apply_updates(players[index], updates), optimizer_state
