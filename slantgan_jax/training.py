"""One training run: a pure function of a key.

No step depends on being alone. `jax.vmap` over keys, and over learning rates that the rule closes over, turns a run
into a sweep: see docs/bring_your_own.md#rates-and-seeds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core

from slantgan_jax.checks import (
    check_count,
    check_function,
    check_key,
    check_kind,
    check_names,
    check_players,
    is_numeric,
    shown,
)
from slantgan_jax.games import Game, check_game
from slantgan_jax.numerics import as_float, floating, native
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import PRNGKey

MAX_STEPS = 2**31 - 1
"""The largest number of steps of one call; `lax.scan` counts them in 32 bits with a sign."""

LAST_STEPS = 8
"""The number of last steps whose draws are looked up: the largest draw number of a run is among them."""

DIVERGENCE_BOUND = 1e4
"""A run with a parameter beyond this size counts as diverged: every sigmoid of that parameter is 0 or 1."""


class TrainResult(NamedTuple):
    """The outcome of `train`.

    Attributes:
      players: the final parameters, as the rule offers them.
      state: the final `State`. `train(..., state=result.state)` continues the run.
      finite: a boolean scalar: `is_finite` holds for `players` and `state.players`, and all else in `state` is finite.
        Divergence is this value, never an exception.
      history: `record` after every `record_every` steps, stacked along a leading axis `[steps // record_every]`.
    """

    players: Any
    state: State
    finite: jax.Array
    history: Any


class StepInfo(NamedTuple):
    """What `record` sees of a step; what it does not use costs nothing under `jit`.

    Attributes:
      players: the parameters after the step, as the rule offers them.
      state: the `State` after the step; `state.players` are the present parameters.
      sample: what the step saw.
      step: the number of the step, from 0.
      before: the `State` before the step.
    """

    players: Any
    state: State
    sample: Any
    step: jax.Array
    before: State


def train(
    key: PRNGKey,
    game: Game,
    rule: Rule,
    steps: int,
    *,
    players: Any = None,
    state: State | None = None,
    record: Callable[[StepInfo], Any] | None = None,
    record_every: int = 1,
) -> TrainResult:
    """Plays `game` by `rule` for `steps` steps, as one `lax.scan`.

    With `key_init, key_latent = jax.random.split(key)` a run starts at `game.init(key_init)`, and step number t sees
    `rule.sample(game, key_latent, t)`. A run that is continued has the same bits as one whole: see docs/guarantees.md.

    The caller jits it, with everything but `key`, `players`, `state` and the numbers that the rule closes over static.

    Args:
      key: one typed key; the same key gives the same run.
      game: the game that is played.
      rule: who moves when.
      steps: how many steps to make; static, at least 1.
      players: the parameters to start from, in the place of `game.init(key_init)`.
      state: the state to continue from, as an earlier `train` with this game and rule returned it.
      record: a function of `StepInfo`, evaluated after every `record_every` steps.
      record_every: static; divides `steps`.

    Raises:
      ValueError: a key, game or rule that is none; `steps` or `record_every` that is not a positive whole number;
        `record_every` does not divide `steps`; more steps than a draw of the game has values; both `players` and
        `state`; a state or players of another structure than the game and the rule have.
    """
    check_key(key)
    check_game(game)
    check_kind("rule", rule, Rule)
    steps, record_every = check_count("steps", steps, 1, MAX_STEPS), check_count("record_every", record_every)
    if steps % record_every:
        raise ValueError(f"record_every is {record_every}: give a positive divisor of the {steps} steps")
    if record is not None:
        check_function("record", record, "info")
    if players is not None:
        check_players(players, len(game.losses))
    if state is not None:
        check_kind("state", state, State)
    if players is not None and state is not None:
        raise ValueError("both players and state are given: start from players, or continue from a state")
    if state is not None and jnp.ndim(state.step):
        raise ValueError(f"state.step has the shape {jnp.shape(state.step)}: map train over many states with jax.vmap")
    _check_lengths(game, rule, steps, state)
    with jax.threefry_partitionable(True):  # the contract of the latents holds whatever the default is
        return _train(key, game, rule, steps, players, state, record, record_every)


def is_finite(players: Any) -> jax.Array:
    """Whether every parameter is a number of size at most `DIVERGENCE_BOUND`: a boolean scalar."""
    leaves = jax.tree.leaves(players)
    if not leaves or not all(map(is_numeric, leaves)):
        raise ValueError(f"players is {shown(players)}: give a pytree of numbers")
    return jnp.stack([(jnp.abs(floating(leaf)) <= DIVERGENCE_BOUND).all() for leaf in leaves]).all()


def _train(
    key: PRNGKey,
    game: Game,
    rule: Rule,
    steps: int,
    players: Any,
    state: State | None,
    record: Callable[[StepInfo], Any] | None,
    record_every: int,
) -> TrainResult:
    key_init, key_latent = jax.random.split(key)
    if players is not None:
        wanted = jax.eval_shape(game.init, key_init)
        if jax.tree.structure(players) != jax.tree.structure(wanted):
            raise ValueError(f"players is {shown(players)}: give what game.init makes, {shown(wanted)}")
        players = jax.tree.map(lambda own, like: as_float(own).astype(like.dtype), players, wanted)
        for (path, one), other in zip(jax.tree.leaves_with_path(players), jax.tree.leaves(wanted), strict=True):
            if one.shape != other.shape:
                where = jax.tree_util.keystr(path)
                raise ValueError(f"players{where} has the shape {one.shape}: give {other.shape}, as game.init makes it")
    if state is None:
        state = rule.init(game.init(key_init) if players is None else players)
        check_kind("what init of the rule returns", state, State)
        check_names("losses of the game", game.losses, state.players)
    else:
        _check_state(state, jax.eval_shape(lambda key: rule.init(game.init(key)), key_init))

    # A state that is continued is not known to the compiler, so that of a new run must not be: it computes with known
    # numbers beforehand, and rounds differently.
    start: State = jax.lax.optimization_barrier(state)

    def advance(state: State) -> State:
        return rule.step(game, state, rule.sample(game, key_latent, state.step))

    def onward(pair: tuple[State, State], _: Any) -> tuple[tuple[State, State], None]:
        return (advance(pair[0]), pair[0]), None

    def chunk(state: State, _: Any) -> tuple[State, Any]:
        if record is None:
            return advance(state), None
        (state, before), _ = jax.lax.scan(onward, (state, state), length=record_every)
        sample = rule.sample(game, key_latent, before.step)
        return state, _recorded(record, StepInfo(rule.players(state), state, sample, before.step, before))

    try:
        if steps == 1:
            end, one = _as_in_a_loop(lambda state: chunk(state, None), start)
            history = jax.tree.map(lambda value: value[None], one)
        else:
            end, history = jax.lax.scan(chunk, start, length=steps if record is None else steps // record_every)
    except TypeError as error:
        if "carry" not in str(error):
            raise
        made, lost = _difference(jax.eval_shape(advance, start), start)
        if not made and not lost:  # the error is not about the state
            raise
        raise ValueError(
            f"a step of the rule makes {made or 'nothing'} of {lost or 'nothing'} in the state: moves keep its "
            "structure, shapes and types"
        ) from error
    players = rule.players(end)
    finite = is_finite((players, end.players))
    for leaf in jax.tree.leaves((end.optimizer_states, end.extra)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite &= jnp.isfinite(leaf).all()
    return TrainResult(players, end, finite, history)


def _as_in_a_loop(step: Callable[[State], tuple[State, Any]], start: State) -> tuple[State, Any]:
    """`step(start)` with the bits that it has in a longer loop.

    XLA joins a loop of one trip with what comes before it, and rounds differently. So this is a loop of which the
    compiler does not know that it ends after one trip. Since such a loop has no reverse derivative, those of `step`
    itself are declared.
    """
    program, shapes = jax.make_jaxpr(step, return_shape=True)(start)
    # What the step reads of an outer trace becomes an argument: `jax.closure_convert` leaves out all but floats.
    traced = [isinstance(constant, Tracer) for constant in program.consts]
    read = [constant for constant, is_traced in zip(program.consts, traced, strict=True) if is_traced]

    def converted(start: State, *read: Any) -> tuple[State, Any]:
        given = iter(read)
        constants = [next(given) if own else known for own, known in zip(traced, program.consts, strict=True)]
        run = core.jaxpr_as_fun(core.ClosedJaxpr(program.jaxpr, constants))
        return jax.tree.unflatten(jax.tree.structure(shapes), run(*jax.tree.leaves(start)))

    @jax.custom_jvp
    def once(start: State, *read: Any) -> tuple[State, Any]:
        def trip(carry: tuple[jax.Array, State, Any]) -> tuple[jax.Array, State, Any]:
            return carry[0] + 1, *converted(carry[1], *read)

        trips = jax.lax.optimization_barrier(np.uint32(1))
        made = jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes[1])
        return jax.lax.while_loop(lambda carry: carry[0] < trips, trip, (jnp.uint32(0), start, made))[1:]

    @once.defjvp
    def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return once(*primals), jax.jvp(converted, primals, tangents)[1]

    return once(start, *read)


def _recorded(record: Callable[[StepInfo], Any], info: StepInfo) -> Any:
    found = record(info)
    for leaf in jax.tree.leaves(found):
        if not hasattr(leaf, "dtype") and not is_numeric(leaf):
            raise ValueError(f"record returns {shown(leaf)}: return arrays, or a pytree of them")
    return jax.tree.map(native, found)


def _check_lengths(game: Game, rule: Rule, steps: int, state: State | None) -> None:
    """Raises `ValueError` if a run would need more draws than there are; of a traced state nothing is known."""
    made = 0 if state is None else state.step
    if isinstance(made, Tracer):
        return
    last = int(made) + steps - 1
    for name, draw in game.named_draws().items():
        with jax.ensure_compile_time_eval():  # of the last steps each reads the most of its stream
            # In NumPy, since JAX would compile four small programs for it at every sweep.
            number = int(np.max(rule.turn(np.arange(max(int(made), last - LAST_STEPS), last + 1))[1]))
        needed = 1 + max(number * stride + offset for stride, offset in rule.reads)
        if draw.length < needed:
            raise ValueError(
                f"steps is {steps}, which needs {needed} values of the draw {name!r}, but there are {draw.length}: "
                "make fewer steps, or give a longer sequence"
            )


def _check_state(state: State, wanted: State) -> None:
    """Raises `ValueError` unless `state` has the structure, shapes and types of the state that the rule starts with."""
    extra, lacking = _difference(state, wanted)
    if extra or lacking:
        raise ValueError(
            f"the state is not one of this game and rule, for it has {extra or 'nothing'} where {lacking or 'nothing'} "
            "is expected: continue with the game and rule that made it"
        )


def _difference(one: State, other: State) -> tuple[str, str]:
    """The first leaf of each that the other has not, with its shape and type; empty texts if they are alike."""
    ours, theirs = (
        [(jax.tree_util.keystr(path), jnp.shape(leaf), jnp.result_type(leaf)) for path, leaf in leaves]
        for leaves in (jax.tree_util.tree_leaves_with_path(tree) for tree in (one, other))
    )
    first, second = (
        " ".join(map(str, next((leaf for leaf in some if leaf not in rest), ())))
        for some, rest in ((ours, theirs), (theirs, ours))
    )
    return first, second
