"""The rules by themselves: who moves when, and what each player sees."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from slantgan_jax import fields, games
from slantgan_jax.checks import check_count, check_flag, check_rates, shown
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.rules._moves import (
    Optimizer,
    check_descent,
    each_optimizer,
    initial,
    moved,
    of_optimizer,
    seeing,
    updated,
)
from slantgan_jax.rules._rule import Move, Rule, State
from slantgan_jax.types import Players, Rates


def tutorial(optimizer: Optimizer, field: Transform = fields.gradients) -> Rule:
    """The tutorial's order: a move of D for each term of its loss (real image, then fake), then one of G.

        ψ ← ψ - η ∇_ψ L_real(ψ),   ψ ← ψ - η ∇_ψ L_fake(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD)

    All moves see the same sample, unless the game has independent latents. A transformed field is that of the move's
    own game: L_G against the one term.

    Args:
      optimizer: one optax transformation for all players, or `Players` of one for each. D's is applied twice a step.
      field: the transform of the field, see `fields`.

    Raises:
      ValueError: an optimizer that is none; in a step, a game of other players, or D's loss is not a sum of at least
        two terms.
    """
    check_descent(optimizer, field)
    return Rule(partial(initial, optimizer), partial(_tutorial_moves, optimizer, field))


def simultaneous(optimizer: Optimizer, field: Transform = fields.gradients) -> Rule:
    """All players move from the same point: (θ, ψ) ← (θ, ψ) - η (∇_θ L_G, ∇_ψ L_D)(θ, ψ), for plain SGD.

    Args:
      optimizer, field: as in `tutorial`.
    """
    check_descent(optimizer, field)
    return Rule(
        partial(initial, optimizer), lambda game: (partial(moved, optimizer, field, game, range(len(game.losses))),)
    )


def alternating(
    optimizer: Optimizer,
    field: Transform = fields.gradients,
    *,
    order: Sequence[str] = ("discriminator", "generator"),
    fresh: bool = False,
) -> Rule:
    """One player after the other moves on its whole loss, against the players just updated.

        ψ ← ψ - η ∇_ψ L_D(θ, ψ),   θ ← θ - η ∇_θ L_G(θ, ψ)      (plain SGD, discriminator first)

    Args:
      optimizer, field: as in `tutorial`.
      order: the names of the players in the order of their moves, which may be repeated. Each player goes through the
        samples of the game by itself: of its n moves in a step, move number i of step number t sees sample number n t +
        i. So every player sees all of the data, in whatever order and how often it moves. Optimizers count the moves of
        their own player. A player that is not named stands still.
      fresh: whether every move sees a sample that no other move sees, as programs do that draw before each: of n moves
        in all, move number i of step number t sees sample number n t + i.

    Raises:
      ValueError: an empty order; in a step, a name that is not a player of the game.
    """
    check_descent(optimizer, field)
    names = (order,) if isinstance(order, str) else order
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"order is {shown(order)}: give the names of the players as they move")
    check_flag("fresh", fresh)
    order = tuple(names)
    seen = [(len(order), i) if fresh else (order.count(own), order[:i].count(own)) for i, own in enumerate(order)]
    reads = tuple(dict.fromkeys(seen))
    turns = tuple((name, reads.index(read)) for name, read in zip(order, seen, strict=True))
    return Rule(
        partial(initial, optimizer),
        partial(_alternating_moves, optimizer, field, turns, len(reads)),
        reads,
        apart=len(order) if fresh else 1,
    )


def unrolled(optimizer: Optimizer, steps: int, *, fresh: bool = False) -> Rule:
    """D moves, then G, which sees D after `steps` k more updates of D's own optimizer and differentiates through them.

        θ ← θ - η ∇_θ L_G(θ, ψ_k(θ)),   ψ_{i+1} = ψ_i + D's update by ∇_ψ L_D(θ, ψ_i), from its present state

    With plain SGD the move of G is that of `fields.unrolled`. Metz et al. 2017 (arXiv:1611.02163), section 2.2, and
    their code, which unrolls Adam. In a game of more players the first one is G, and all others move, and are unrolled,
    together.

    Adam's √v has no derivative at v = 0, where a parameter has had no gradient yet, as that of a ReLU that is never
    active. If the derivative of an update is not finite, the update counts as one that G cannot change.

    Args:
      optimizer: as in `tutorial`.
      steps: k, static; with 0 the rule is `alternating`.
      fresh: as in `alternating`. The unrolled updates see the sample of G's move.

    Raises:
      ValueError: `steps` is not a whole number of at least 0; an optimizer that is none.
    """
    steps = check_count("the number of unrolled steps", steps, 0)
    check_flag("fresh", fresh)
    check_descent(optimizer, fields.gradients)

    def moves(game: Game) -> tuple[Move, ...]:
        first = partial(moved, optimizer, fields.gradients, game, range(1, len(game.losses)))
        pair = first, partial(_unrolled_move, optimizer, steps, game)
        return tuple(partial(seeing, *each) for each in enumerate(pair)) if fresh else pair

    reads = ((2, 0), (2, 1)) if fresh else ((1, 0),)
    return Rule(partial(initial, optimizer), moves, reads, apart=len(reads))


def past_extragradient(
    optimizer: Optimizer,
    step_size: Rates,
    field: Transform = fields.gradients,
    *,
    project: Callable[[Any], Any] | None = None,
) -> Rule:
    """Popov's method: extragradient that looks ahead with the field v of the step before, one evaluation a step.

        v_t = ξ(ω_t - η v_{t-1}),   ω_{t+1} = ω_t - η v_t,   v_{-1} = 0      (plain SGD)

    Popov 1980; for GANs Gidel et al. 2019 (arXiv:1802.10551), section 3.3.

    Args:
      optimizer, field: as in `tutorial`.
      step_size: η of the half-step; in the method itself it is the learning rate.
      project: as in `fields.extragradient`.
    """
    check_descent(optimizer, field)
    check_rates("the step size of past_extragradient", step_size, 0)

    def init(players: Any) -> State:
        return initial(optimizer, players)._replace(extra=jax.tree.map(jnp.zeros_like, players))

    return Rule(init, lambda game: (partial(_past_extragradient, optimizer, step_size, field, project, game),))


def extrapolated(
    optimizer: Optimizer,
    field: Transform = fields.gradients,
    *,
    samples: int = 1,
    project: Callable[[Any], Any] | None = None,
) -> Rule:
    """Extragradient whose look-ahead is an update of the optimizer, too. With Adam it is "Extra-Adam".

        ω_{t+½} = ω_t + u(ξ(ω_t)),   ω_{t+1} = ω_t + u(ξ(ω_{t+½}))

    u is the optimizer's update; its state counts two a step. With plain SGD of the rate η this is `simultaneous` with
    `fields.extragradient(η)`. Gidel et al. 2019 (arXiv:1802.10551), algorithm 4.

    Args:
      optimizer, field: as in `tutorial`.
      samples: how many samples a step reads. With 1, both halves see the same one. With 2, the second half sees one of
        its own, so that the estimates are independent: Juditsky, Nemirovski & Tauvel 2011 (arXiv:0809.0815). With more,
        each player's second half sees one of its own, in the order of the players.
      project: as in `fields.extragradient`.

    Raises:
      ValueError: `samples` is not a positive whole number; in a step, if it is neither 1, 2, nor one more than there
        are players.
    """
    check_descent(optimizer, field)
    samples = check_count("the number of samples of extrapolated", samples)
    reads = tuple((samples, number) for number in range(samples))

    def moves(game: Game) -> tuple[Move, ...]:
        if samples > 2 and samples != 1 + len(game.losses):
            raise ValueError(f"samples is {samples}: give 1, 2, or {1 + len(game.losses)} for these players")
        return (partial(_extrapolated, optimizer, field, samples, project, game),)

    return Rule(partial(initial, optimizer), moves, reads, apart=samples)


def _tutorial_moves(optimizer: Optimizer, field: Transform, game: Game) -> tuple[Move, ...]:
    if (names := getattr(game.losses, "_fields", ())) != Players._fields:
        raise ValueError(
            f"the tutorial's order needs a generator and a discriminator, but the players of the game are {names}: use "
            "rules.alternating or rules.simultaneous"
        )
    if len(game.losses.discriminator) < 2:
        raise ValueError(
            f"D's loss has {len(game.losses.discriminator)} term and does not split into one for the real and one for "
            "the fake image, which the tutorial's order needs: use rules.alternating or rules.simultaneous"
        )
    parts = (game._replace(losses=game.losses._replace(discriminator=(term,))) for term in game.losses.discriminator)
    return (
        *(partial(moved, optimizer, field, part, (1,)) for part in parts),
        partial(moved, optimizer, field, game, (0,)),
    )


def _alternating_moves(
    optimizer: Optimizer, field: Transform, turns: tuple[tuple[str, int], ...], samples: int, game: Game
) -> tuple[Move, ...]:
    names = type(game.losses)._fields
    for name, _ in turns:
        if name not in names:
            raise ValueError(f"the order names {name!r}, which is no player: choose from {', '.join(map(repr, names))}")
    moves = [(turn, partial(moved, optimizer, field, game, (names.index(name),))) for name, turn in turns]
    return tuple(move if samples == 1 else partial(seeing, turn, move) for turn, move in moves)


def _unrolled_move(optimizer: Optimizer, steps: int, game: Game, state: State, sample: Any) -> State:
    losses = games.SampleLosses(game, sample)
    others = range(1, len(state.players))
    # Traced once, not once for each update.
    field = jax.jit(lambda players: fields.direction_at(players, fields.gradients, losses, others))

    def unrolled_loss(own: Any) -> jax.Array:
        ahead = state._replace(players=type(state.players)(own, *state.players[1:]))
        for _ in range(steps):
            direction = _differentiable(optimizer, ahead, field(ahead.players))
            ahead = updated(optimizer, others, ahead, direction)
        return losses.of(0, ahead.players)

    return updated(optimizer, (0,), state, {0: jax.grad(unrolled_loss)(state.players[0])})


def _differentiable(optimizer: Optimizer, state: State, direction: Mapping[int, Any]) -> Mapping[int, Any]:
    """`direction`, but constant wherever the derivative of the optimizer's update is not finite."""
    optimizers = each_optimizer(optimizer, state.players)

    def differentiable(i: int, own: Any) -> Any:
        def update(own: Any) -> Any:
            return of_optimizer(optimizers[i].update, i, own, state.optimizer_states[i], state.players[i])[0]

        slopes = jax.jvp(update, (own,), (jax.tree.map(jnp.ones_like, own),))[1]
        return jax.tree.map(lambda g, s: jnp.where(jnp.isfinite(s), g, jax.lax.stop_gradient(g)), own, slopes)

    return {i: differentiable(i, own) for i, own in direction.items()}


def _past_extragradient(
    optimizer: Optimizer,
    step_size: Rates,
    field: Transform,
    project: Callable[[Any], Any] | None,
    game: Game,
    state: State,
    sample: Any,
) -> State:
    ahead = fields.step_along(state.players, step_size, state.extra)
    ahead = ahead if project is None else project(ahead)
    everyone = range(len(ahead))
    direction = fields.direction_at(ahead, field, games.SampleLosses(game, sample), everyone)
    return updated(optimizer, everyone, state, direction)._replace(extra=type(ahead)(*direction.values()))


def _extrapolated(
    optimizer: Optimizer,
    field: Transform,
    samples: int,
    project: Callable[[Any], Any] | None,
    game: Game,
    state: State,
    sample: Any,
) -> State:
    seen, everyone = (sample,) if samples == 1 else sample, tuple(range(len(state.players)))

    def slope(place: Any, number: int) -> Any:
        return field(games.SampleLosses(game, seen[number]))(place)

    ahead = updated(optimizer, everyone, state, slope(state.players, 0))
    place = ahead.players if project is None else project(ahead.players)
    numbers = [min(1 + i, samples - 1) for i in everyone]
    slopes = {number: slope(place, number) for number in set(numbers)}
    direction = type(place)(*(slopes[number][i] for i, number in enumerate(numbers)))
    return updated(optimizer, everyone, state._replace(optimizer_states=ahead.optimizer_states), direction)
