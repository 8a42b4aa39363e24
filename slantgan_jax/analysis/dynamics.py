"""What becomes of a run: a verdict from its records, the cycle it ends on, its Lyapunov exponents, what it conserves.

    classify              converged, approaching, circling, resting, drifting or diverged, by stated criteria
    limit_cycle           radius and period of what a run repeats at its end
    lyapunov_exponents    the rates at which neighbouring runs part, along a run of any rule on any game

A run is known here by its records: numbers `[records]` or positions `[records, n]` at equal distances in time. All
functions are for one run, trace, and map over runs by `vmap`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from slantgan_jax import faces
from slantgan_jax.train import LARGEST

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
    no turn. Circling is coming back, by turns or by noise, at whatever amplitude; see `limit_cycle`. A run shorter than
    a turn and a half is drifting. Converged is d alone: where there is a surface of equilibria, a run that is close
    to it and moves along it has converged. Records need not resolve the turns; but turns in step with them look like
    rest, so record after an odd number of steps: a step that is too large overshoots with period 2.

    Args:
      distances: d `[records]`, to equilibrium; `MIN_RECORDS` at least.
      positions: a pytree, leading axis `[records]` on each leaf: the players, say. Without them d itself is the one
        coordinate, and a circle of constant d cannot be told from rest.
      finite: whether the run ended well, as `Run.finite`.
      close: of d, as `distances`.
      still: of a coordinate, as `positions`; below `close`, or what converges is called resting first by its name.

    Raises:
      ValueError: too few records, or positions with another number of them.
    """
    distances = faces.floats(distances)
    positions = distances if positions is None else positions
    records = distances.shape[0]
    columns = [jnp.reshape(faces.floats(leaf), (leaf.shape[0], -1)) for leaf in jax.tree.leaves(positions)]
    if records < MIN_RECORDS or any(len(column) != records for column in columns):
        raise ValueError(
            f"a run with {records} distances and {sorted({len(column) for column in columns})} positions: record "
            f"both together, {MIN_RECORDS} times or more"
        )
    path = jnp.concatenate(columns, axis=1)
    quarter = records // 4
    second, third, last = (distances[records - i * quarter :][:quarter].max() for i in (3, 2, 1))
    tests = (
        ~(jnp.asarray(finite) & (jnp.abs(path[-1]) <= LARGEST).all() & jnp.isfinite(distances[-1])),
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
    far = ~(faces.floats(distances) < close)
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
