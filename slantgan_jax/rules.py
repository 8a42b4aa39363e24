"""Update rules: which player moves when, with which optax transformation.

A rule is a sequence of *moves*; one step makes all of them in turn. A move evaluates a field (by default each player's
gradient of its own loss, see `fields`) at the players as they then are. The moving player's optimizer turns its part of
the field into an update.

`lazily`, `lookahead` and `averaged` make a rule of a rule. Everything but `tutorial` works for any number of players.
docs/methods/rules.md compares all rules.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from slantgan_jax import distributions, fields, games
from slantgan_jax.checks import (
    check_count,
    check_flag,
    check_function,
    check_key,
    check_kind,
    check_moving,
    check_names,
    check_number,
    check_rates,
    shortened,
    shown,
)
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float, seeded_key
from slantgan_jax.types import Players, PRNGKey, Rates

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


AVERAGE_TOLERANCE = 1e-3
"""Of an average of equal numbers: the rounding of 1 - d of an `optax.ema(d)` in float32."""


def _same(step: ArrayLike) -> tuple[None, ArrayLike]:
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
    turn: Callable[[ArrayLike], tuple[ArrayLike | None, ArrayLike]] = _same
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
    _check(optimizer, field)
    return Rule(partial(_init, optimizer), partial(_tutorial_moves, optimizer, field))


def simultaneous(optimizer: Optimizer, field: Transform = fields.gradients) -> Rule:
    """All players move from the same point: (θ, ψ) ← (θ, ψ) - η (∇_θ L_G, ∇_ψ L_D)(θ, ψ), for plain SGD.

    Args:
      optimizer, field: as in `tutorial`.
    """
    _check(optimizer, field)
    return Rule(
        partial(_init, optimizer), lambda game: (partial(_move, optimizer, field, game, range(len(game.losses))),)
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
    _check(optimizer, field)
    names = (order,) if isinstance(order, str) else order
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"order is {shown(order)}: give the names of the players as they move")
    check_flag("fresh", fresh)
    order = tuple(names)
    seen = [(len(order), i) if fresh else (order.count(own), order[:i].count(own)) for i, own in enumerate(order)]
    reads = tuple(dict.fromkeys(seen))
    turns = tuple((name, reads.index(read)) for name, read in zip(order, seen, strict=True))
    return Rule(
        partial(_init, optimizer),
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
    check_count("the number of unrolled steps", steps, 0)
    check_flag("fresh", fresh)
    _check(optimizer, fields.gradients)

    def moves(game: Game) -> tuple[Move, ...]:
        first = partial(_move, optimizer, fields.gradients, game, range(1, len(game.losses)))
        pair = first, partial(_unrolled_move, optimizer, steps, game)
        return tuple(partial(_seeing, *each) for each in enumerate(pair)) if fresh else pair

    reads = ((2, 0), (2, 1)) if fresh else ((1, 0),)
    return Rule(partial(_init, optimizer), moves, reads, apart=len(reads))


def lazily(rule: Rule, period: int, plain: Game) -> Rule:
    """`rule`, which plays the game only at every `period`-th step, from step 0 on, and the game `plain` at all others.

        step t:   the game if t mod k = 0,   else `plain`

    This is lazy regularization if the game is `plain` with a penalty of k times the strength: Karras et al. 2020
    (arXiv:1912.04958), section 3.1. The penalty then costs only a k-th of the time, also in a sweep over seeds. `plain`
    sees the samples of the game. Both go through data that come in turn by themselves: the game sees number t / k, and
    `plain` the number of its own steps before t. What is random is drawn from two streams, so that no draw comes twice.

    Raises:
      ValueError: `period` is not a positive whole number; the rule is one of `lazily`; in a step, if the two games
        have another number of moves, or `plain` needs other samples than the game draws.
    """
    check_count("the period of lazily", period)
    check_kind("rule", rule, Rule)
    check_kind("plain", plain, Game)
    if rule.turn is not _same:
        raise ValueError("the rule plays two games lazily already: give the rule that it was made of")
    if period == 1:
        return rule

    def either(full: Move, light: Move, state: State, sample: Any) -> State:
        return jax.lax.cond(state.step % period == 0, full, light, state, sample)

    def moves(game: Game) -> tuple[Move, ...]:
        _check_plain(plain, game)
        full, light = rule.moves(game), rule.moves(plain)
        if len(full) != len(light):
            raise ValueError(
                f"a step of the game has {len(full)} moves, but one of the plain game has {len(light)}: give the same "
                "game without its penalty as `plain`"
            )
        return tuple(partial(either, *pair) for pair in zip(full, light, strict=True))

    def turn(step: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
        full, rounds = jnp.asarray(step) % period == 0, jnp.asarray(step) // period
        return full.astype(jnp.uint32), jnp.where(full, rounds, step - rounds - 1)

    return rule._replace(moves=moves, turn=turn, period=math.lcm(period, rule.period))


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
    _check(optimizer, field)
    check_rates("the step size of past_extragradient", step_size, 0)

    def init(players: Any) -> State:
        return _init(optimizer, players)._replace(extra=jax.tree.map(jnp.zeros_like, players))

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
    _check(optimizer, field)
    check_count("the number of samples of extrapolated", samples)
    reads = tuple((samples, number) for number in range(samples))

    def moves(game: Game) -> tuple[Move, ...]:
        if samples > 2 and samples != 1 + len(game.losses):
            raise ValueError(f"samples is {samples}: give 1, 2, or {1 + len(game.losses)} for these players")
        return (partial(_extrapolated, optimizer, field, samples, project, game),)

    return Rule(partial(_init, optimizer), moves, reads, apart=samples)


def lookahead(rule: Rule, sync_period: int, slow_step_size: ArrayLike, *, late: bool = False) -> Rule:
    """Lookahead-minimax: every `sync_period` k steps the players return to a share `slow_step_size` α of their way.

        after every k steps:   ω ← ω_slow + α (ω - ω_slow),   ω_slow ← ω

    Chavdarova et al. 2021 (arXiv:2006.14567), algorithm 1. α = 1 is `rule`. With `late` the players return as the next
    step begins, as in their published code: the play is the same, but what is recorded after k steps is the end of the
    way. Where two of these rules are nested, the inner one returns first.

    Raises:
      ValueError: `sync_period` is not a positive whole number, or `slow_step_size` not in [0, 1]; `rule` returns late,
        but this one would not.
    """
    check_flag("late", late)
    check_kind("rule", rule, Rule)
    check_count("the sync_period of lookahead", sync_period)
    check_number("the slow_step_size of lookahead", slow_step_size, 0, 1)
    if rule.late and not late:
        raise ValueError("the rule returns late, and so after this one would: give late=True here, too")

    def init(players: Any) -> State:
        state = rule.init(players)
        return state._replace(extra=(state.extra, state.players))

    def returning(state: State, sample: Any) -> State:
        inner, slow = state.extra
        now = (state.step + (not late)) % sync_period == 0
        back = jax.tree.map(lambda x, y: (x + (1 - slow_step_size) * (y - x)).astype(x.dtype), state.players, slow)
        reached = jax.tree.map(lambda x, y: jnp.where(now, y, x), state.players, back)
        slow = jax.tree.map(lambda x, y: jnp.where(now, x, y), reached, slow)
        return state._replace(players=reached, extra=(inner, slow))

    return _wrapping(rule, init, returning, first=late)._replace(period=math.lcm(sync_period, rule.period))


def averaged(rule: Rule, average: optax.GradientTransformation) -> Rule:
    """`rule`, whose result is an average of its players, for instance by `optax.ema(0.999)`. The play is unchanged.

    Averaging for GANs: Yazici et al. 2019 (arXiv:1806.04498). About 1 / (1 - d) rounding errors of an
    `optax.ema(d)` add up: in float32, for d = 0.999, the average of players that stand still is off by 5e-5 of their
    size.

    Args:
      rule: the rule whose players are averaged.
      average: an optax transformation; it receives the players in the place of updates.

    Raises:
      ValueError: `average` is no average: given the same players again and again, it goes beyond them.
    """
    check_kind("rule", rule, Rule)
    check_kind("the average", average, optax.GradientTransformation, "optax.ema(0.999)")

    def init(players: Any) -> State:
        _check_average(average)
        state = rule.init(players)
        return state._replace(extra=(state.extra, average.init(state.players), state.players))

    def observe(state: State, sample: Any) -> State:
        inner, moments, _ = state.extra
        mean, moments = average.update(state.players, moments)
        return state._replace(extra=(inner, moments, mean))

    return _wrapping(rule, init, observe)._replace(players=lambda state: state.extra[2])


def running_mean(weight: optax.Schedule | None = None) -> optax.GradientTransformation:
    """The mean of all that it received, for `averaged`: m_t = m_{t-1} + (x_t - m_{t-1}) ρ_t / (ρ_0 + … + ρ_t).

    As long as all weights are 0, it is x_t.

    Args:
      weight: ρ as a function of how many it received before; None weighs all the same. With the schedule of the
        learning rate it is the average of Gidel et al. 2019 (arXiv:1802.10551), eq. 7 and algorithm 1. Spectra of a
        step late in a run need the `State` of such a run.
    """

    def init(params: Any) -> Any:
        return jnp.zeros((), jnp.uint32), as_float(0.0), jax.tree.map(jnp.zeros_like, params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        count, total, mean = state
        own = as_float(1.0) if weight is None else as_float(weight(count))
        total = total + own
        # Equal weights are counted as whole numbers: a float32 stops growing at 2**24.
        part, whole = own, count + 1
        if weight is not None:  # own / total, and 1 as long as all weights are 0
            part, whole = (jnp.where(total == 0, 1, number) for number in (own, total))
        mean = jax.tree.map(lambda m, x: m + (x - m) * part.astype(x.dtype) / whole.astype(x.dtype), mean, updates)
        return mean, (count + 1, total, mean)

    return optax.GradientTransformation(init, update)


def _each(optimizer: Optimizer, players: Any) -> Sequence[optax.GradientTransformation]:
    """The optimizer of each player. An optax transformation is a tuple, too, so it is recognized by its class."""
    if isinstance(optimizer, optax.GradientTransformation):
        return (optimizer,) * len(players)
    if len(optimizer) != len(players):
        raise ValueError(
            f"there are {len(optimizer)} optimizers for {len(players)} players: give one for all, or one for each"
        )
    check_names("optimizers", optimizer, players)
    return optimizer


def _check_plain(plain: Game, game: Game) -> None:
    """Raises `ValueError` unless a sample of `game` has what `plain` draws, in the same shapes."""
    here, there = (
        {name: jax.eval_shape(draw.sample, seeded_key(0), 0, 0) for name, draw in one.named_draws().items()}
        for one in (game, plain)
    )
    for name, shapes in there.items():
        if here.get(name) != shapes:
            has = f"{shown(here[name])} as that" if name in here else "none"
            raise ValueError(
                f"the plain game draws {shown(shapes)} as {name!r}, but the game {has}: give the same game without its "
                "penalty as `plain`, as minibatch or expected if the game is"
            )


def _check(optimizer: Any, field: Any) -> None:
    """Raises `ValueError` unless these are an optax transformation or a tuple of them, and a transform of the field."""
    check_function("field", field, "losses", such_as="fields.sga(0.1)")
    each = (optimizer,) if isinstance(optimizer, optax.GradientTransformation) else optimizer
    if not isinstance(each, tuple) or not all(isinstance(own, optax.GradientTransformation) for own in each):
        raise ValueError(
            f"the optimizer is {shown(optimizer)}: give an optax transformation such as optax.sgd(0.01), or "
            "Players with one for each"
        )


def _check_average(average: Any) -> None:
    """Raises `ValueError` unless `average` comes to a number that stands still, or is it at once, and is linear."""
    try:
        with jax.ensure_compile_time_eval():
            numbers, made = jnp.array([1.0, 1e6]), []
            state = average.init(numbers)
            for _ in range(3):
                mean, state = average.update(numbers, state)
                made.append(tuple(map(float, mean)))
    except jax.errors.ConcretizationTypeError:  # it depends on a traced number
        return
    except Exception as error:
        what = shortened(str(error))
        raise ValueError(f"{shown(average)} averages nothing ({what}): give optax.ema(0.999) or the like") from error
    (first, _), _, (last, many) = made
    comes = 0 <= first < last < 1 or max(abs(first - 1), abs(last - 1)) < AVERAGE_TOLERANCE
    if not comes or abs(many / 1e6 - last) > AVERAGE_TOLERANCE:
        made_of = f"it makes {last:.3g} of 1 and {many:.3g} of 1e6"
        raise ValueError(f"{shown(average)} is no average, for {made_of}: give optax.ema(0.999) or the like")


def _init(optimizer: Optimizer, players: Any) -> State:
    players = jax.tree.map(jnp.asarray, check_moving(players))
    each = zip(_each(optimizer, players), players, strict=True)
    states = [_of_optimizer(own.init, number, parameters) for number, (own, parameters) in enumerate(each)]
    return State(players, type(players)(*states), jnp.zeros((), jnp.uint32))


def _of_optimizer(function: Callable[..., Any], number: int, *arguments: Any) -> Any:
    """Calls a function of an optimizer; what it cannot do is a `ValueError` that names the player."""
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
        what = shortened(f"{type(error).__name__}: {error}", 90)
        raise ValueError(
            f"the optimizer of player number {number} cannot move it ({what}): give one that needs no more than "
            "update(updates, state, params) and takes these parameters"
        ) from error


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
        *(partial(_move, optimizer, field, part, (1,)) for part in parts),
        partial(_move, optimizer, field, game, (0,)),
    )


def _alternating_moves(
    optimizer: Optimizer, field: Transform, turns: tuple[tuple[str, int], ...], samples: int, game: Game
) -> tuple[Move, ...]:
    names = type(game.losses)._fields
    for name, _ in turns:
        if name not in names:
            raise ValueError(f"the order names {name!r}, which is no player: choose from {', '.join(map(repr, names))}")
    moves = [(turn, partial(_move, optimizer, field, game, (names.index(name),))) for name, turn in turns]
    return tuple(move if samples == 1 else partial(_seeing, turn, move) for turn, move in moves)


def _seeing(turn: int, move: Move, state: State, sample: Any) -> State:
    """`move`, which sees sample number `turn` of several."""
    return move(state, sample[turn])


def _move(
    optimizer: Optimizer, field: Transform, game: Game, moving: Sequence[int], state: State, sample: Any
) -> State:
    """Moves the players numbered `moving` along the field of `game`."""
    direction = fields.direction_at(state.players, field, games.SampleLosses(game, sample), moving)
    return _updated(optimizer, moving, state, direction)


def _updated(optimizer: Optimizer, moving: Sequence[int], state: State, direction: Any) -> State:
    """`state` after an update of the players numbered `moving`; `direction` has theirs by their numbers."""
    players, optimizer_states = list(state.players), list(state.optimizer_states)
    optimizers = _each(optimizer, players)
    for i in moving:
        updates, optimizer_states[i] = _of_optimizer(
            optimizers[i].update, i, direction[i], state.optimizer_states[i], state.players[i]
        )
        players[i] = optax.apply_updates(state.players[i], updates)
    return state._replace(
        players=type(state.players)(*players), optimizer_states=type(state.players)(*optimizer_states)
    )


def _unrolled_move(optimizer: Optimizer, steps: int, game: Game, state: State, sample: Any) -> State:
    losses = games.SampleLosses(game, sample)
    others = range(1, len(state.players))
    # Traced once, not once for each update.
    field = jax.jit(lambda players: fields.direction_at(players, fields.gradients, losses, others))

    def unrolled_loss(own: Any) -> jax.Array:
        ahead = state._replace(players=type(state.players)(own, *state.players[1:]))
        for _ in range(steps):
            direction = _differentiable(optimizer, ahead, field(ahead.players))
            ahead = _updated(optimizer, others, ahead, direction)
        return losses.of(0, ahead.players)

    return _updated(optimizer, (0,), state, {0: jax.grad(unrolled_loss)(state.players[0])})


def _differentiable(optimizer: Optimizer, state: State, direction: Mapping[int, Any]) -> Mapping[int, Any]:
    """`direction`, but constant wherever the derivative of the optimizer's update is not finite."""
    optimizers = _each(optimizer, state.players)

    def differentiable(i: int, own: Any) -> Any:
        def update(own: Any) -> Any:
            return _of_optimizer(optimizers[i].update, i, own, state.optimizer_states[i], state.players[i])[0]

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
    return _updated(optimizer, everyone, state, direction)._replace(extra=type(ahead)(*direction.values()))


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

    ahead = _updated(optimizer, everyone, state, slope(state.players, 0))
    place = ahead.players if project is None else project(ahead.players)
    numbers = [min(1 + i, samples - 1) for i in everyone]
    slopes = {number: slope(place, number) for number in set(numbers)}
    direction = type(place)(*(slopes[number][i] for i, number in enumerate(numbers)))
    return _updated(optimizer, everyone, state._replace(optimizer_states=ahead.optimizer_states), direction)


def _wrapping(rule: Rule, init: Callable[[Any], State], added: Move, first: bool = False) -> Rule:
    """`rule` with one more move, with `extra` equal to `(the rule's own, ...)`.

    The move is the last of a step, or with `first` the last of those that end the step before.
    """

    def moves(game: Game) -> tuple[Move, ...]:
        own = tuple(partial(_inside, move) for move in rule.moves(game))
        place = rule.late if first else len(own)
        return (*own[:place], added, *own[place:])

    def players(state: State) -> Any:
        return rule.players(state._replace(extra=state.extra[0]))

    return rule._replace(init=init, moves=moves, players=players, late=rule.late + first)


def _inside(move: Move, state: State, sample: Any) -> State:
    inner, *own = state.extra
    state = move(state._replace(extra=inner), sample)
    return state._replace(extra=(state.extra, *own))
