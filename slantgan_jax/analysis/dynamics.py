"""What becomes of a run: a verdict from its records, the cycle it ends on, its Lyapunov exponents.

    classify              converged, approaching, circling, resting, drifting or diverged, by stated criteria
    limit_cycle           radius and period of what a run repeats at its end
    lyapunov_exponents    the rates at which neighbouring runs part, along a run of any rule on any game

The first two know a run by its records: numbers `[records]` or positions with that leading axis, at equal distances in
time. All functions are for one run, trace, and map over runs by `vmap`. None calls a library for linear algebra, so
all may be part of what a sweep runs. What a run conserves is in `invariants`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Rule, State
from slantgan_jax.training import DIVERGENCE_BOUND
from slantgan_jax.types import Players

VERDICTS = ("converged", "approaching", "circling", "resting", "drifting", "diverged")
"""The names of what `classify` returns."""

MIN_RECORDS = 20
"""Fewer records do not tell: a quarter of them is to have five."""

FALLING = 0.85
"""The distance of a run that approaches falls by this factor, or faster, from quarter to quarter. Of a distance as
n^-½ the maxima over the second, third and last quarter are as 1 : 0.71 : 0.58."""

TURNS = 3
"""Changes of side that tell circling: a run that moves on has one, one that comes back once has two."""


def classify(
    distances: ArrayLike,
    positions: Any = None,
    finite: ArrayLike = True,
    *,
    close: ArrayLike = 0.01,
    still: ArrayLike = 0.001,
) -> jax.Array:
    """What became of a run, an index into `VERDICTS`: the first of these that holds.

        diverged      `finite` is false, or in the last record d is no finite number or a coordinate is beyond 1e4
        converged     d < `close` from some record to the last, the last tenth of all records at least
        resting       no coordinate moves over the last quarter by more than `still`
        approaching   max d falls by 15 % or more from the second quarter to the third, and again to the last
        circling      over the last half the coordinate that varies most changes sides `TURNS` times or more
        drifting      none of these: it moves on, and not to an equilibrium

    A side is being above or below the mean by half a standard deviation or more, so that noise on a slow motion is
    no turn. Circling is coming back, by turns or by noise, at whatever amplitude; see `limit_cycle`. What turns less
    than one and a half times in the last half is drifting. Converged is d alone: where there is a surface of
    equilibria, a run that is close to it and moves along it has converged. Records need not resolve the turns; but
    turns in step with them look like rest, so record after an odd number of steps: a step that is too large
    overshoots with period 2.

    Args:
      distances: d `[records]`, to equilibrium; `MIN_RECORDS` at least.
      positions: a pytree, leading axis `[records]` on each leaf: the players, say. Without them d itself is the one
        coordinate, and a circle of constant d cannot be told from rest.
      finite: whether the run ended well, as `Run.finite`.
      close: in the units of `distances`.
      still: of a coordinate, in the units of `positions`.

    Raises:
      ValueError: too few records, or positions with another number of them.
    """
    distances = as_float(distances)
    path = _path(distances if positions is None else positions)
    records = len(distances)
    if records < MIN_RECORDS or len(path) != records:
        raise ValueError(
            f"a run with {records} distances and {len(path)} positions: record both together, {MIN_RECORDS} times or "
            "more"
        )
    quarter = records // 4
    second, third, last = (distances[records - i * quarter :][:quarter].max() for i in (3, 2, 1))
    tests = (
        ~(jnp.asarray(finite) & (jnp.abs(path[-1]) <= DIVERGENCE_BOUND).all() & jnp.isfinite(distances[-1])),
        settled(distances, close) <= records - -(-records // 10),
        jnp.ptp(path[-quarter:], axis=0).max() <= still,
        (third < FALLING * second) & (last < FALLING * third),
        changes_of_side(path[-2 * quarter :]) >= TURNS,
        jnp.asarray(True),
    )
    order = ("diverged", "converged", "resting", "approaching", "circling", "drifting")
    return jnp.asarray([VERDICTS.index(name) for name in order])[jnp.argmax(jnp.stack(tests))]


def settled(distances: ArrayLike, close: ArrayLike) -> jax.Array:
    """The number of the first record from which on all of `distances` `[records]` are below `close`; `records` if none
    is, so that `settled * every + every` is after how many steps, of a history recorded after `every` steps."""
    far = ~(as_float(distances) < close)
    return jnp.max(jnp.where(far, jnp.arange(1, far.shape[0] + 1), 0))


def changes_of_side(positions: jax.Array) -> jax.Array:
    """How often the coordinate of `positions` `[records, n]` with the largest variance changes sides, an integer.

    Sides are more than half a standard deviation above and below its mean; what is between counts as the side before.
    """
    spread = positions - positions.mean(0, keepdims=True)
    one = spread[:, jnp.argmax(jnp.mean(spread**2, axis=0))]
    side = jnp.where(jnp.abs(one) > jnp.std(one) / 2, jnp.sign(one), 0)
    latest = jax.lax.cummax(jnp.where(side == 0, -1, jnp.arange(len(side))))
    held = jnp.where(latest < 0, 0, side[latest])
    return jnp.sum(held[1:] * held[:-1] < 0)


class Cycle(NamedTuple):
    """What `limit_cycle` found; scalars. NaN where the records hold no whole turn.

    Attributes:
      radius: root mean square distance from the center; `inner` and `outer` its least and largest.
      period: of a turn, in records.
      turns: whole turns in the records; a turn starts where the coordinate that varies most rises through its mean.
      growth: of the radius, its logarithm a turn: 0 on a cycle.
    """

    radius: jax.Array
    inner: jax.Array
    outer: jax.Array
    period: jax.Array
    turns: jax.Array
    growth: jax.Array


def limit_cycle(positions: Any) -> Cycle:
    """Size and period of the turns of a run, from the records of its end, over a whole number of turns.

    A run circles for good where `turns` are many and |`growth`| is small. Quasi-periodic turns have a `period` too,
    the mean one of the coordinate that varies most, and `inner` < `outer` that do not come closer. What this cannot
    tell is whether the orbit attracts (a limit cycle) or is one of many (about a center): runs from two starts do, by
    having one radius or two (`isolated`); so do Lyapunov exponents, by the second one: negative or 0.

    Args:
      positions: a pytree, leading axis `[records]` on each leaf, some 10 records a turn or more. The radius mixes units
        if the coordinates do.
    """
    path = _path(positions)
    spread = path - path.mean(0, keepdims=True)
    one = spread[:, jnp.argmax(jnp.mean(spread**2, axis=0))]
    rising = (one[:-1] < 0) & (one[1:] >= 0)
    step = jnp.where(rising, one[1:] - one[:-1], 1)
    times = jnp.arange(len(rising)) - one[:-1] / step
    first = jnp.min(jnp.where(rising, times, jnp.inf))
    last = jnp.max(jnp.where(rising, times, -jnp.inf))
    turns = jnp.maximum(jnp.sum(rising) - 1, 0)
    known = turns > 0
    inside = (jnp.arange(len(path)) >= first) & (jnp.arange(len(path)) <= last)
    center = jnp.sum(jnp.where(inside[:, None], path, 0), axis=0) / jnp.sum(inside)
    squares = jnp.sum((path - center[None]) ** 2, axis=1)
    middle = (first + last) / 2
    halves = [
        jnp.sum(jnp.where(part, squares, 0)) / jnp.sum(part)
        for part in (inside & (jnp.arange(len(path)) < middle), inside & (jnp.arange(len(path)) >= middle))
    ]
    numbers = (
        jnp.sqrt(jnp.sum(jnp.where(inside, squares, 0)) / jnp.sum(inside)),
        jnp.sqrt(jnp.min(jnp.where(inside, squares, jnp.inf))),
        jnp.sqrt(jnp.max(jnp.where(inside, squares, -jnp.inf))),
        (last - first) / jnp.maximum(turns, 1),
    )
    growth = jnp.log(halves[1] / halves[0]) / jnp.maximum(turns, 1)  # ½ ln of squares, over half of the turns
    radius, inner, outer, period, growth = (jnp.where(known, x, jnp.nan) for x in (*numbers, growth))
    return Cycle(radius, inner, outer, period, turns, growth)


def isolated(one: Cycle, other: Cycle, tolerance: float = 0.05) -> jax.Array:
    """Whether two runs of one game from different starts end on one cycle: on an isolated one, a limit cycle.

    Both turn, their radii differ by less than `tolerance` as a share and do not change by more in a hundred turns.
    """
    same = jnp.abs(jnp.log(one.radius / other.radius)) < tolerance
    steady = [(cycle.turns > 0) & (jnp.abs(cycle.growth) < tolerance / 100) for cycle in (one, other)]
    return same & steady[0] & steady[1]


class Exponents(NamedTuple):
    """Lyapunov exponents: `values` `[count]` per step, largest first, and `end`, the state in which the run ended."""

    values: jax.Array
    end: State


def lyapunov_exponents(
    key: chex.PRNGKey,
    game: Game,
    rule: Rule,
    steps: int,
    count: int,
    *,
    players: Players | None = None,
    every: int = 10,
    transient: int = 0,
) -> Exponents:
    """The `count` leading Lyapunov exponents of the run `train(key, game, rule, transient + steps)`, per step.

        λ_1 + ... + λ_k = lim 1/t ln vol_k(DΦᵗ v_1, ..., DΦᵗ v_k)

    Φ is a step with its sample, of all numbers that the rule carries: players, momenta, memories; counts have no
    tangent. Tangents move by the step's derivative and are orthonormalized after `every` steps; what that takes from
    their lengths is averaged. Benettin, Galgani, Giorgilli & Strelcyn 1980 (Meccanica 15); Shimada & Nagashima 1979
    (Prog. Theor. Phys. 61). The average is weighted by exp(-1 / (s (1 - s))), s the share of the run that is over:
    transients and turns at its ends drop out faster than any power of 1 / steps (Das, Saiki, Sander & Yorke 2017,
    Nonlinearity 30).

    Cost: of the tutorial's GAN in a batch 30 ns a step for one exponent, 100 ns for four (`train`: 13 ns).

    At a fixed point they are ln |eigenvalue| of `spectra.update_jacobian`. An expected game gives those of its
    deterministic map; a sampled one those of the noise seen (two runs with the same samples).

    Args:
      key: as of `train`.
      game, rule: what is played and how. NaN where a step has no derivative: Adam's has none where a gradient is 0,
        as at a pixel that is 0 in a face; give it an `eps_root`.
      steps: how many count; static, a multiple of `every`.
      count: static, 1 to the number of numbers that the rule carries.
      players: where the run starts; by default at `game.init`.
      every: static. In so many steps all tangents turn towards the first: exp((λ_1 - λ_count) every) is to stay below
        the inverse of the precision. A rule that forgets directions at once (lookahead has some) has exponents -∞,
        for which a large negative number, made of rounding, is returned.
      transient: steps at the start, a multiple of `every`, that turn the tangents, and count for nothing.

    Raises:
      ValueError: numbers of steps that do not fit, a `count` that the rule does not carry.
    """
    if every < 1 or steps < every or steps % every or transient < 0 or transient % every:
        raise ValueError(
            f"{transient} and then {steps} steps, orthonormalized every {every}: give positive multiples of every"
        )
    key_init, key_latent = jax.random.split(key)
    state = rule.init(game.init(key_init) if players is None else jax.tree.map(as_float, players))
    flat, unravel = ravel_pytree(carried(state)[0])
    if not 1 <= count <= flat.size:
        raise ValueError(f"count is {count}: the rule carries {flat.size} numbers, so there are 1 to {flat.size}")
    # Directions that mean nothing, the same for every run.
    tangents = jax.vmap(unravel)(as_float(np.random.default_rng(0).normal(size=(count, flat.size))))

    def advance(carry: tuple[State, Any], step: jax.Array) -> tuple[tuple[State, Any], None]:
        state, tangents = carry
        floats, joined = carried(state)
        sample = rule.sample(game, key_latent, step)
        _, push, state = jax.linearize(lambda x: _and_itself(rule.step(game, joined(x), sample)), floats, has_aux=True)
        return (state, jax.vmap(push)(tangents)), None

    def chunk(carry: tuple[State, Any], first: jax.Array) -> tuple[tuple[State, Any], jax.Array]:
        (state, tangents), _ = jax.lax.scan(advance, carry, first + jnp.arange(every))
        rows = jax.vmap(lambda tangent: ravel_pytree(tangent)[0])(tangents)
        rows, lengths = orthonormalized(rows)
        return (state, jax.vmap(unravel)(rows)), jnp.log(lengths)

    (state, _), growths = jax.lax.scan(chunk, (state, tangents), jnp.arange(0, transient + steps, every))
    share = (jnp.arange(steps // every) + 0.5) / (steps // every)
    weights = jnp.exp(-1 / (share * (1 - share)))
    return Exponents(weights @ growths[transient // every :] / weights.sum() / every, state)


def carried(state: State) -> tuple[list[jax.Array], Callable[[list[jax.Array]], State]]:
    """The leaves of `state` that have derivatives, and the function that puts such leaves back; others stay."""
    leaves, structure = jax.tree.flatten(state)
    moving = [jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in leaves]

    def joined(floats: list[jax.Array]) -> State:
        moved = iter(floats)
        return structure.unflatten([next(moved) if m else leaf for m, leaf in zip(moving, leaves, strict=True)])

    return [leaf for m, leaf in zip(moving, leaves, strict=True) if m], joined


def orthonormalized(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gram-Schmidt: orthonormal rows that span the same as `rows` `[count, n]`, row by row, and what was left of each
    row's length beside those before it, `[count]`, at least the smallest normal number. Each projection is done
    twice, which makes it as good as rounding is; plain products, no call of a library."""
    done, lengths = [], []
    for row in rows:
        for _ in range(2 if done else 0):
            row = row - jnp.stack(done).T @ (jnp.stack(done) @ row)
        lengths.append(jnp.maximum(jnp.sqrt(row @ row), jnp.finfo(row.dtype).tiny))
        done.append(row / lengths[-1])
    return jnp.stack(done), jnp.stack(lengths)


def _and_itself(state: State) -> tuple[list[jax.Array], State]:
    return carried(state)[0], state


def _path(positions: Any) -> jax.Array:
    """`[records, n]`, of a pytree with that leading axis."""
    columns = [jnp.reshape(as_float(leaf), (np.shape(leaf)[0], -1)) for leaf in jax.tree.leaves(positions)]
    return jnp.concatenate(columns, axis=1)
