"""The estimator of a growth rate, against closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slantgan_jax.analysis import growth

growth_rate = jax.jit(growth.growth_rate)
TIMES = np.arange(4001)


def spiral(rate, turn, tilt, phase=1.0, times=TIMES):
    """ln of the size of one mode with the given growth and angle a record, whose square swings by the share `tilt`."""
    return rate * times + np.log(1 + tilt * np.cos(2 * turn * times + phase)) / 2


def test_a_wave_leaves_nothing_in_the_rate_and_that_of_a_real_mode_is_exact(x64):
    """exp(-1 / s (1 - s)) leaves of 200 waves in a window exp(-√(2π · 200)), far below rounding."""
    for rate in (0.01, 0.0, -0.02):
        np.testing.assert_allclose(growth_rate(spiral(rate, 0.3, 0.99)), rate, atol=1e-12)  # a fitted line: 1e-6
    np.testing.assert_allclose(growth_rate(np.log(3.0) - 0.7 * TIMES), -0.7, rtol=1e-14)


def test_a_part_of_the_records_is_that_part_alone(x64):
    sizes = np.concatenate([np.full(1000, np.nan), spiral(-0.02, 0.3, 0.9)[1000:3000], np.full(1001, np.inf)])
    found = growth_rate(sizes, 1000, 3000)
    np.testing.assert_allclose(found, growth_rate(sizes[1000:3000]), rtol=1e-13)
    np.testing.assert_allclose(found, -0.02, atol=1e-12)


@pytest.mark.slow
def test_few_waves_need_their_period(x64):
    """Three waves and a third in all, of a period that is no whole number of records."""
    period = 83.1
    sizes = np.stack([spiral(-0.03, np.pi / period, 0.5, phase, np.arange(280)) for phase in (0, 1, 2)])
    without = jax.jit(jax.vmap(growth.growth_rate))(sizes)
    assert np.abs(without / -0.03 - 1).max() > 3e-3
    with_period = jax.jit(jax.vmap(partial(growth.growth_rate, wave_period=period)))(sizes)
    # The lag is a multiple of the period to rounding; sums over a window of 114 records stand for integrals.
    np.testing.assert_allclose(with_period, -0.03, rtol=1e-7)


def test_a_lesser_mode_dies_out(x64):
    """A mode that decays twice as fast leaves the squared ratio of the two, here below exp(-0.01 · 2 · 1000)."""
    lasting, dying = np.exp(-0.01 * TIMES), np.exp(-0.02 * TIMES)
    sizes = np.log(np.hypot(lasting, 100 * dying))
    np.testing.assert_allclose(growth_rate(sizes, 2000, 4000), -0.01, rtol=1e-8)


def test_it_maps_over_runs_and_says_when_there_are_too_few_records(x64):
    sizes = np.stack([spiral(rate, 0.3, 0.9) for rate in (0.01, -0.02)])
    stops = jnp.array([4001, growth.MIN_RECORDS - 1])
    found = jax.jit(jax.vmap(lambda size, stop: growth.growth_rate(size, 0, stop)))(sizes, stops)
    np.testing.assert_allclose(found[0], 0.01, atol=1e-12)
    assert np.isnan(found[1])


def test_the_longest_stretch_is_found_by_hand():
    stretch = jax.jit(growth.longest_stretch)
    sizes = np.array([5.0, 0.5, 0.4, 3.0, 0.5, 0.3, 0.2, 0.05, 0.1, 0.01])
    assert tuple(map(int, stretch(sizes, 0.07, 1.0))) == (4, 7)
    assert tuple(map(int, stretch(sizes, 10.0, 20.0))) == (0, 0)
    assert tuple(map(int, stretch(np.where(sizes < 1, np.nan, sizes), 0.07, 1.0))) == (0, 0)
    assert tuple(map(int, stretch(sizes, 0.0, 10.0))) == (0, 10)


def test_weights_are_a_symmetric_average(x64):
    weights = np.asarray(jax.jit(growth.bump_weights, static_argnums=0)(9))
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-15)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-14)
    s = (np.arange(9) + 0.5) / 9
    np.testing.assert_allclose(weights / weights[4], np.exp(4 - 1 / (s * (1 - s))), rtol=1e-14)


def test_a_bound_that_is_traced_is_a_whole_number():
    with pytest.raises(ValueError, match=r"start is .*: give a whole number"):
        jax.jit(lambda start: growth.growth_rate(np.arange(60.0), start))(3.7)
