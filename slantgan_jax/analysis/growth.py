"""How fast a deviation grows or decays: one number for each record of a run.

See docs/theory/trajectories.md#growth for the method, its reasons and its errors.
"""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_number
from slantgan_jax.numerics import as_float, plain

MIN_RECORDS = 20
"""The smallest number of records that give a rate: ten in each half."""


def bump_weights(count: int) -> jax.Array:
    """The weights `[count]` of an average over a time: exp(-1 / (s (1 - s))) at the shares s = (i + ½) / count of it.

    They sum to 1. Source: Das, Saiki, Sander & Yorke 2017 (Nonlinearity 30, arXiv:1601.06051).
    """
    count = check_count("count", count)
    weights = _bump((jnp.arange(count) + as_float(0.5)) / count)
    return weights / weights.sum()


def growth_rate(
    log_sizes: ArrayLike, start: ArrayLike = 0, stop: ArrayLike | None = None, wave_period: ArrayLike | None = None
) -> jax.Array:
    """g, the logarithm of the factor by which sizes grow from record to record, a scalar; negative if they shrink.

        g = s + 1/(2 lag) ln (Σ_t v_t ‖y_{t + lag}‖² / Σ_t v_t ‖y_t‖²),   y_t = x_t exp(-s t)

    s is the slope of ln ‖x‖ from the first record to the last, and v are weights of the shape of `bump_weights`.

    Args:
      log_sizes: ln ‖x_t‖ `[records]`, at equal intervals of time.
      start, stop: only records from `start` up to `stop`, without it, count. They may be traced.
      wave_period: the period, in records, of the wave in `log_sizes`: half a turn of x_t. If it is given, the lag is a
        multiple of it. By default the lag is half the records.

    Returns:
      The rate, NaN from fewer than `MIN_RECORDS` records.
    """
    log_sizes = as_float(log_sizes, "log_sizes", "records")
    start, stop = (
        bound.astype(jnp.int32)  # in its own type a difference could wrap
        if isinstance(bound, Tracer) and jnp.issubdtype(bound.dtype, jnp.integer)
        else jnp.asarray(check_count(what, bound, 0, len(log_sizes)))
        for what, bound in (("start", start), ("stop", len(log_sizes) if stop is None else stop))
    )
    if wave_period is not None:
        check_number("wave_period", wave_period, positive=True)
        wave_period = plain(wave_period)
    index = jnp.arange(len(log_sizes))
    count = stop - start
    lag = jnp.maximum(count // 2, 1)
    if wave_period is not None:
        waves = jnp.round(lag / wave_period)
        lag = jnp.where(waves > 0, waves * wave_period, lag)
    ends = log_sizes[jnp.clip(jnp.stack([start, stop - 1]), 0, len(log_sizes) - 1)]
    slope = (ends[1] - ends[0]) / jnp.maximum(count - 1, 1)
    inside = (index >= start) & (index < stop)
    rest = jnp.where(inside, log_sizes - slope * (index - start), -jnp.inf)
    energy = jnp.exp(2 * (rest - jnp.max(rest)))
    early, late = (_bump((index - begin + 1) / (count - lag + 1)) for begin in (start, start + lag))
    rate = slope + jnp.log((late @ energy / late.sum()) / (early @ energy / early.sum())) / (2 * lag)
    return jnp.where(count < MIN_RECORDS, jnp.nan, rate)


def longest_stretch(sizes: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """`(start, stop)` of the longest stretch of records with `low` < size < `high`, for `sizes` `[records]`.

    In the second half of this stretch the slowest mode has outlived the others. Both numbers are 0 if no record lies
    between the bounds.
    """
    sizes = as_float(sizes, "sizes", "records")
    check_number("low", low)
    check_number("high", high)
    number = jnp.arange(1, len(sizes) + 1)
    inside = (sizes > low) & (sizes < high)
    length = number - jax.lax.cummax(jnp.where(inside, 0, number))
    stop = jnp.where(inside.any(), jnp.argmax(length) + 1, 0)
    return stop - jnp.max(length), stop


def _bump(share: jax.Array) -> jax.Array:
    """exp(-1 / (s (1 - s))) inside (0, 1), and 0 outside."""
    inside = (share > 0) & (share < 1)
    share = jnp.where(inside, share, 0.5)
    return jnp.where(inside, jnp.exp(-1 / (share * (1 - share))), 0)
