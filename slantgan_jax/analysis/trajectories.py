"""What became of a run, from its records.

A run is known by its distances from equilibrium `[records]` and by its positions, a pytree with that leading axis, at
equal intervals. All functions are for one run, can be jitted and vmapped, and call no LAPACK, so all can be part of
what a sweep runs. docs/theory/trajectories.md has the criteria and their reasons.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_kind, check_number, is_numeric, shown
from slantgan_jax.numerics import as_float, power_of_two
from slantgan_jax.training import DIVERGENCE_BOUND


class Verdict(IntEnum):
    """What `classify` says of a run; docs/theory/trajectories.md#a-verdict has the criteria."""

    CONVERGED = 0
    CONVERGING = 1
    SUBLINEAR = 2
    OSCILLATING = 3
    SPIRALING_OUT = 4
    STALLED = 5
    DRIFTING = 6
    DIVERGED = 7


MIN_RECORDS = 20
"""The smallest number of records that `classify` takes: each quarter of the run must contain at least five."""

FALL_PER_QUARTER = 0.85
"""In a run that converges the largest distance falls by this factor, or further, from quarter to quarter."""

RISE_PER_QUARTER = 1.015
"""In a run that spirals out the largest distance rises by this factor or more from the third quarter to the last."""

MIN_CHANGES_OF_SIDE = 3
"""A run that oscillates changes sides this often, or more."""

POWER_LAW_TOLERANCE = 0.2
"""Exponents fitted to two parts of a power law differ by less than this share. Those of an exponential double."""


def classify(
    distances: ArrayLike,
    positions: Any = None,
    finite: ArrayLike = True,
    *,
    close: ArrayLike = 0.01,
    still: ArrayLike = 0.001,
    settled_records: int | None = None,
) -> jax.Array:
    """What became of a run, as the number of a `Verdict`.

    The criteria, in this order: DIVERGED, CONVERGED, STALLED, SUBLINEAR, CONVERGING, SPIRALING_OUT, OSCILLATING. If
    none holds, it is DRIFTING. See docs/theory/trajectories.md#a-verdict. Record after an odd number of steps: an
    oscillation of period 2 is invisible if every second step is recorded.

    Args:
      distances: d `[records]`, the distances from equilibrium; at least `MIN_RECORDS`.
      positions: a pytree with a leading axis `[records]` on each leaf, for example the players. By default d itself is
        the one coordinate, and then a circle of constant d counts as stalled.
      finite: whether the run ended well, as `TrainResult.finite`.
      close: d of a converged run is below this, in the units of `distances`.
      still: no coordinate of a stalled run moves by more than this, in the units of `positions`.
      settled_records: how many of the last records have to be close; by default a tenth of all.

    Raises:
      ValueError: too few records, or positions with another number of them.
    """
    distances = as_float(distances, "distances", "records")
    path = _path(distances if positions is None else positions)
    records = len(distances)
    if records < MIN_RECORDS or len(path) != records:
        raise ValueError(
            f"there are {records} distances and {len(path)} positions: record both together, at least {MIN_RECORDS}"
        )
    check_number("close", close, 0)
    check_number("still", still, 0)
    if as_float(finite, "finite").ndim:
        raise ValueError(f"finite is {shown(finite)}: give one for the run, and map over more with jax.vmap")
    if settled_records is not None:
        settled_records = check_count("settled_records", settled_records, 1, records)
    quarter, eighth = records // 4, records // 8
    second, third, last = (distances[records - i * quarter :][:quarter].max() for i in (3, 2, 1))
    rises = jnp.diff(distances[records - 4 * eighth :].reshape(4, eighth).max(1)).min() > 0
    settled = -(-records // 10) if settled_records is None else settled_records
    falls = (third < FALL_PER_QUARTER * second) & (last < FALL_PER_QUARTER * third)
    earlier, later = power_law_exponents(distances)
    turns = changes_of_side(path[-2 * quarter :]) >= MIN_CHANGES_OF_SIDE
    tests = {
        Verdict.DIVERGED: ~(
            jnp.asarray(finite) & (jnp.abs(path[-1]) <= DIVERGENCE_BOUND).all() & jnp.isfinite(distances[-1])
        ),
        Verdict.CONVERGED: first_settled_record(distances, close) <= records - settled,
        Verdict.STALLED: jnp.ptp(path[-quarter:], axis=0).max() <= still,
        Verdict.SUBLINEAR: falls & (jnp.abs(later - earlier) < POWER_LAW_TOLERANCE * jnp.abs(later)),
        Verdict.CONVERGING: falls,
        Verdict.SPIRALING_OUT: turns & rises & (last > RISE_PER_QUARTER * third),
        Verdict.OSCILLATING: turns,
        Verdict.DRIFTING: jnp.asarray(True),
    }
    return jnp.asarray(list(tests))[jnp.argmax(jnp.stack(list(tests.values())))]


def first_settled_record(distances: ArrayLike, close: ArrayLike) -> jax.Array:
    """The number of the first record from which on all `distances` `[records]` are below `close`; `records` if none is.

    In a history recorded after every `record_every` steps, that is after `(1 + result) * record_every` steps.
    """
    check_number("close", close, 0)
    far = ~(as_float(distances, "distances", "records") < close)
    return jnp.max(jnp.where(far, jnp.arange(1, far.shape[0] + 1), 0))


def power_law_exponents(distances: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """The exponents p of d ~ n^p, fitted to the second quarter and to the second half of `distances` `[records]`.

    They are the slopes of the least-squares lines through ln d over ln n, where n numbers the records from 1.
    """
    distances = as_float(distances, "distances", "records")
    records = check_count("the number of records", len(distances), 8)
    kind = jnp.finfo(distances.dtype)
    heights = jnp.log(jnp.clip(distances, kind.tiny, kind.max))

    def slope(part: slice) -> jax.Array:
        times = np.log(np.arange(1, records + 1))[part]
        weights = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
        return as_float(weights) @ heights[part]

    return slope(slice(records // 4, records // 2)), slope(slice(records // 2, records))


def changes_of_side(positions: jax.Array) -> jax.Array:
    """How often the coordinate of `positions` `[records, n]` with the largest variance changes sides, an integer.

    It does so when it goes from more than half a standard deviation above its mean to more than that below, or back.
    """
    positions = as_float(positions, "positions", "records", "n")
    widest = _widest(positions)
    side = jnp.where(jnp.abs(widest) > jnp.std(widest) / 2, jnp.sign(widest), 0)
    latest = jax.lax.cummax(jnp.where(side == 0, -1, jnp.arange(len(side))))
    held = jnp.where(latest < 0, 0, side[latest])
    return jnp.sum(held[1:] * held[:-1] < 0)


class Orbit(NamedTuple):
    """What `orbit_statistics` says of a run: scalars, NaN if the records hold no whole turn.

    Attributes:
      radius: the root mean square distance from the center.
      inner, outer: the smallest and the largest distance from the center.
      period: of one turn, in records.
      turns: the number of whole turns. A turn starts where the coordinate that varies most rises through its mean.
      growth: the logarithm of the factor by which the radius grows in a turn; 0 on a cycle, NaN of a single turn.
    """

    radius: jax.Array
    inner: jax.Array
    outer: jax.Array
    period: jax.Array
    turns: jax.Array
    growth: jax.Array


def orbit_statistics(positions: Any) -> Orbit:
    """Size, period and growth of the turns of a run, over a whole number of turns.

    The growth compares the first half of the turns with the last half; of an odd number the one in the middle is left
    out. They cannot tell whether an orbit attracts; `same_cycle` of two runs can. See
    docs/theory/trajectories.md#orbits.

    Args:
      positions: a pytree with a leading axis `[records]` on each leaf, the end of a run with ten records a turn or
        more. If the coordinates have different units, so has the radius.
    """
    path = _path(positions)
    number = jnp.arange(len(path))
    widest = _widest(path)
    rising = (widest[:-1] < 0) & (widest[1:] >= 0)
    times = number[:-1] - widest[:-1] / jnp.where(rising, widest[1:] - widest[:-1], 1)
    first, last = jnp.min(jnp.where(rising, times, jnp.inf)), jnp.max(jnp.where(rising, times, -jnp.inf))
    turns = jnp.maximum(jnp.sum(rising) - 1, 0)
    half = turns // 2
    inside = (number >= first) & (number <= last)
    center = jnp.sum(jnp.where(inside[:, None], path, 0), axis=0) / jnp.sum(inside)
    ways = path - center[None]
    scale = power_of_two(jnp.where(inside[:, None], ways, 0))
    squares = jnp.sum((ways / scale) ** 2, axis=1)

    def mean_square(part: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(part, squares, 0)) / jnp.sum(part)

    def start_of(turn: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(rising & (jnp.cumsum(rising) == turn + 1), times, 0))

    def area_until(time: jax.Array) -> jax.Array:
        """The weights of the records in the integral, until `time`, of the line through all records."""
        ahead = jnp.clip(time - number, -1, 1)
        return (1 + 2 * ahead - ahead * jnp.abs(ahead)) / 2

    def mean_of_turns(begin: jax.Array, end: jax.Array) -> jax.Array:
        shares = (area_until(start_of(end)) - area_until(start_of(begin))) / (start_of(end) - start_of(begin))
        return jnp.sum(jnp.where(shares > 0, shares * squares, 0))

    factor = mean_of_turns(turns - half, turns) / mean_of_turns(jnp.zeros_like(half), half)
    orbit = Orbit(
        radius=scale * jnp.sqrt(mean_square(inside)),
        inner=scale * jnp.sqrt(jnp.min(jnp.where(inside, squares, jnp.inf))),
        outer=scale * jnp.sqrt(jnp.max(jnp.where(inside, squares, -jnp.inf))),
        period=(last - first) / jnp.maximum(turns, 1),
        turns=turns,
        growth=jnp.where(half > 0, jnp.log(factor) / 2 / (turns - half), jnp.nan),  # the factor is that of squares
    )
    return jax.tree.map(lambda number: jnp.where(turns > 0, number, jnp.nan), orbit)._replace(turns=turns)


def same_cycle(orbits: Orbit, tolerance: float = 0.05) -> jax.Array:
    """Whether runs of one game from different starts end on one orbit, which is then a limit cycle: a boolean scalar.

    All turn twice or more, their radii differ by less than `tolerance` as a share, and no radius changes by more in a
    hundred turns.

    Args:
      orbits: the `Orbit`s of the runs, with a leading axis `[runs]`.
      tolerance: a share of the radius.
    """
    check_kind("orbits", orbits, Orbit)
    check_number("tolerance", tolerance, positive=True)
    if np.ndim(orbits.radius) != 1:
        raise ValueError(f"orbits is {shown(orbits)}: give the Orbits of several runs, with a leading axis")
    keeps = jnp.abs(orbits.growth) < tolerance / 100  # which NaN, of less than two turns, is not
    return keeps.all() & (jnp.ptp(jnp.log(orbits.radius)) < tolerance)


def _widest(path: jax.Array) -> jax.Array:
    """The coordinate of `path` `[records, n]` that varies most, about its mean: `[records]`, over a power of two."""
    spread = path - path.mean(0, keepdims=True)
    spread = spread / power_of_two(spread)
    return spread[:, jnp.argmax(jnp.mean(spread**2, axis=0))]


def _path(positions: Any) -> jax.Array:
    """`[records, n]`, of a pytree with that leading axis."""
    leaves = jax.tree.leaves(positions)
    if not all(map(is_numeric, leaves)) or len(rows := {np.shape(leaf)[:1] for leaf in leaves}) != 1 or () in rows:
        raise ValueError(f"positions is {shown(positions)}: give arrays with one leading axis [records]")
    columns = [jnp.reshape(as_float(leaf), (np.shape(leaf)[0], -1)) for leaf in jax.tree.leaves(positions)]
    return jnp.concatenate(columns, axis=1)
