"""A rule's steps on the expected game as a map of numbers: which numbers move, and when the same comes again.

Spectra, thresholds, Lyapunov exponents and diffusion are those of such maps. See
docs/theory/stability.md#steps-and-epochs.
"""

import math
import operator
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core
from jax.flatten_util import ravel_pytree
from jax.interpreters import partial_eval

from slantgan_jax import games
from slantgan_jax.checks import check_count, check_kind, check_players
from slantgan_jax.distributions import MAX_DRAWS, Distribution
from slantgan_jax.games import Game, check_game
from slantgan_jax.numerics import as_floats, seeded_key
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players

Over = str | Collection[str] | None
"""The names of the draws that are integrated, as in `games.expected`; None for all."""

LATE_STEPS = 1_000_000
"""The step count of a state that is made of players: bias corrections and warm-ups are over by then."""

MAX_COUNT = 2**30
"""No count goes far beyond this, or it would begin again below 0."""

COUNTED_STEPS = 1024
"""The number of steps in which an optimizer that does not always do the same is noticed."""


def update_map(
    rule: Rule, game: Game, players: Players | State, steps: int = 1, over: Over = None
) -> tuple[Callable[[jax.Array], jax.Array], jax.Array, Callable[[jax.Array], State]]:
    """`steps` steps of `rule` on the expected game, as a map of numbers `[n]`.

    The arguments are those of `spectra.update_jacobian`.

    Returns:
      The map, the numbers at `players` or at the given state, and the function from numbers to their state.
    """
    check_precision()
    check_kind("rule", rule, Rule)
    check_game(game)
    steps = check_count("steps", steps)
    if not isinstance(players, State):
        check_players(players, len(game.losses))
    if steps % rule.period:
        raise ValueError(
            f"steps is {steps}, but the rule does the same again only after {rule.period}: give a multiple of that"
        )
    players = as_floats(players)
    full = games.expected(game, over)
    for name, draw in full.named_draws().items():
        if draw.period == 1 and (draw.nodes is None or len(draw.nodes()[1]) > 1):
            raise ValueError(f"the draw {name!r} is random and not integrated: name it in `over`, too")
        if steps % (again := _comes_again(rule, draw)):
            raise ValueError(
                f"steps is {steps}, but the draw {name!r} comes again only after {again}: give a multiple of that"
            )

    @jax.jit  # traced once, not once for each use
    def after_a_step(state: State) -> State:
        return rule.step(full, state, rule.sample(full, seeded_key(0), state.step))  # no draw depends on the key

    def advanced(state: State) -> State:
        for _ in range(steps):
            state = after_a_step(state)
        return state

    _check_counts(rule, after_a_step, players.players if isinstance(players, State) else players, steps)
    if isinstance(players, State):
        state = _of_rule(rule, players)
    else:
        start = rule.init(players)
        state = _late(start, advanced(start), rule, full)._replace(players=players)
    moving = moving_leaves(rule, full, state)
    floats, joined = carried(state, moving)
    flat, unravel = ravel_pytree(floats)

    def state_of(numbers: jax.Array) -> State:
        return joined(unravel(numbers))

    def update(numbers: jax.Array) -> jax.Array:
        return ravel_pytree(carried(advanced(state_of(numbers)), moving)[0])[0]

    return update, flat, state_of


def moving_leaves(rule: Rule, game: Game, state: State) -> list[bool]:
    """Which leaves of `state` take part in the motion: the players, and the floats that feel them in some step.

    All other leaves go their way by themselves: counts, and floats such as a learning rate that an optimizer holds in
    its state, or the sum of the weights of an average. A change of them is a change of the rule, and no mode of it.
    In a game a slope may be constant, so that its momentum feels nobody. So the rule is traced with other losses, whose
    slopes all feel every player.
    """

    def loss(players: Any, sample: Any) -> jax.Array:
        del sample
        return jnp.exp(jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(players)]).sum())

    felt = game._replace(losses=type(game.losses)(*((loss,) * len(own) for own in game.losses)))

    def step(state: State) -> State:
        return rule.step(felt, state, rule.sample(felt, seeded_key(0), state.step))

    leaves, players = jax.tree.leaves(state), len(jax.tree.leaves(state.players))
    numbers = range(len(leaves))
    program = jax.make_jaxpr(step)(state).jaxpr
    reads = [partial_eval.dce_jaxpr(program, [own == i for i in numbers])[1] for own in numbers]
    feels = [number < players for number in numbers]
    for _ in numbers:  # from the players on, through one leaf after the other
        feels = [own or any(map(operator.and_, read, feels)) for own, read in zip(feels, reads, strict=True)]
    floating = [jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in leaves]
    return list(map(operator.and_, floating, feels))


def carried(state: State, moving: list[bool]) -> tuple[list[jax.Array], Callable[[list[jax.Array]], State]]:
    """The `moving` leaves of `state`, and the function that puts such leaves back; all others stay."""
    leaves, structure = jax.tree.flatten(state)

    def joined(floats: list[jax.Array]) -> State:
        moved = iter(floats)
        return structure.unflatten([next(moved) if m else leaf for m, leaf in zip(moving, leaves, strict=True)])

    return [leaf for m, leaf in zip(moving, leaves, strict=True) if m], joined


def late_start(rule: Rule, game: Game, players: Any, step: Callable[[State], State]) -> State:
    """The state in which `rule` starts from `players`, but with the counts of a long run of such steps as `step`.

    Raises `ValueError` if the counts tell that an optimizer does not do the same in every step.
    """
    _check_counts(rule, step, players, 1)
    start = rule.init(players)
    late = _late(start, step(start), rule, game)
    return jax.tree.map(lambda first, then: first if jnp.issubdtype(first.dtype, jnp.floating) else then, start, late)


def _comes_again(rule: Rule, draw: Distribution) -> int:
    """The number of steps after which every move of `rule` sees the same value of a draw in turn again.

    Each of the two games of `rules.lazily` goes through such values by itself.
    """
    with jax.ensure_compile_time_eval():  # in NumPy, as in `train`
        number = np.asarray(rule.turn(np.arange(2 * rule.period))[1], int)
    onward = set(number[rule.period :] - number[: rule.period])
    rounds = (draw.period // math.gcd(draw.period, stride * int(own)) for own in onward for stride, _ in rule.reads)
    return rule.period * math.lcm(*rounds)


def _of_rule(rule: Rule, state: State) -> State:
    """`state` with the types of the rule's own states: an optimizer may keep sums in float32, whatever it moves."""
    own = jax.eval_shape(rule.init, state.players)
    if jax.tree.structure(own) != jax.tree.structure(state):
        raise ValueError("the state is one of another rule: give one that this rule made, or players")
    return jax.tree.map(
        lambda leaf, kind: jnp.asarray(leaf, kind.dtype) if jnp.issubdtype(kind.dtype, jnp.floating) else leaf,
        state,
        own,
    )


def _check_counts(rule: Rule, after_a_step: Callable[[State], State], players: Any, steps: int) -> None:
    """Raises `ValueError` if the counts in a state tell that an optimizer does not do the same in every `steps` steps.

    Such counts begin again, as that of `optax.MultiSteps`. All others grow by the same number each time.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), players)

    def counts(state: State) -> list[Any]:
        leaves = jax.tree.leaves((state.optimizer_states, state.extra))
        return [one for one in leaves if jnp.issubdtype(one.dtype, jnp.integer) and one.ndim == 0]

    if not counts(jax.eval_shape(rule.init, shapes)):
        return

    def counted() -> list[jax.Array]:
        def onward(state: State, _: None) -> tuple[State, list[jax.Array]]:
            return after_a_step(state), counts(state)

        start = rule.init(jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes))
        return jax.lax.scan(onward, start, length=COUNTED_STEPS + 2 * steps)[1]

    # Counts depend neither on the players nor on a rate. So they are numbers even where those are traced.
    closed = jax.make_jaxpr(counted)()
    numbers = [np.zeros(one.shape, one.dtype) if isinstance(one, Tracer) else one for one in closed.consts]
    program = jax.jit(core.jaxpr_as_fun(core.ClosedJaxpr(closed.jaxpr, numbers))).lower().compile()
    table = np.stack(program(), -1).astype(np.int64)

    def repeats(period: int) -> bool:
        growth = table[period:] - table[:-period]
        return bool((growth == growth[0]).all())

    if not repeats(steps):
        own = [period for period in range(rule.period, COUNTED_STEPS, rule.period) if repeats(period)]
        what = f"only after {own[0]}: give a multiple of that" if own else f"not within {COUNTED_STEPS}: give more"
        raise ValueError(f"steps is {steps}, but the optimizer's counts tell that it does the same again {what}")


def _late(start: State, after: State, rule: Rule, game: Game) -> State:
    """`after`, with all counts as if such steps had been made about `LATE_STEPS` times since `start`.

    Counts that begin again, as those of lookahead, stay as they are, and draws in turn are at their first value.
    """
    draws = game.named_draws().values()
    turn = math.lcm(rule.period, *(_comes_again(rule, draw) for draw in draws))
    step = turn * math.ceil(LATE_STEPS / turn)
    if any(draw.length < MAX_DRAWS for draw in draws):  # of a sequence that is not so long
        step = 0

    def later(first: Any, then: Any) -> Any:
        if not jnp.issubdtype(jnp.result_type(then), jnp.integer):
            return then
        growth = then - first
        return then + growth * jnp.minimum(LATE_STEPS, MAX_COUNT // jnp.maximum(growth, 1))

    return jax.tree.map(later, start, after)._replace(step=start.step + jnp.asarray(step, start.step.dtype))


def check_precision() -> None:
    """Raises `ValueError` outside of the scope of `jax.enable_x64`."""
    if jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "spectra need float64, which tells zero modes from slow ones: call this inside of jax.enable_x64(True)"
        )
