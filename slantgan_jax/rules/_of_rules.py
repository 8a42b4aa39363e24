"""Rules that are made of a rule, and the averages that they take."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_flag, check_kind, check_number, shortened, shown
from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float, at_least_single, plain, seeded_key
from slantgan_jax.rules._rule import Move, Rule, State, same_step

AVERAGE_TOLERANCE = 1e-3
"""Of an average of equal numbers: the rounding of 1 - d of an `optax.ema(d)` in float32."""


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
    period = check_count("the period of lazily", period)
    check_kind("rule", rule, Rule)
    check_kind("plain", plain, Game)
    if rule.turn is not same_step:
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
    sync_period = check_count("the sync_period of lookahead", sync_period)
    check_number("the slow_step_size of lookahead", slow_step_size, 0, 1)
    slow_step_size = plain(slow_step_size)
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

    Averaging for GANs: Yazici et al. 2019 (arXiv:1806.04498). The average is kept in at least 32 bits, and its result
    has the precision of the players. About 1 / (1 - d) rounding errors of an `optax.ema(d)` add up: in float32, for d =
    0.999, the average of players that stand still is off by 5e-5 of their size.

    Args:
      rule: the rule whose players are averaged.
      average: an optax transformation; it receives the players in the place of updates.

    Raises:
      ValueError: `average` is no average: given the same players again and again, it goes beyond them.
    """
    check_kind("rule", rule, Rule)
    check_kind("the average", average, optax.GradientTransformation, "optax.ema(0.999)")

    wide = partial(jax.tree.map, at_least_single)

    def init(players: Any) -> State:
        _check_average(average)
        state = rule.init(players)
        return state._replace(extra=(state.extra, average.init(wide(state.players)), state.players))

    def observe(state: State, sample: Any) -> State:
        inner, moments, _ = state.extra
        mean, moments = average.update(wide(state.players), moments)
        mean = jax.tree.map(lambda own, like: own.astype(like.dtype), mean, state.players)
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
