from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, faces, games, gans, penalties, rules, slanted_land, train
from slantgan_jax.analysis import dynamics, equilibria, invariants, spectra

DIRAC = games.expected(gans.dirac())

T = np.arange(1, 201) / 200  # the time of each record
TURN = np.exp(2j * np.pi * 9.3 * T)
NOISE = np.random.default_rng(0).normal(size=(200, 4)) * 0.05


def places(one, other=0):
    """Four coordinates `[200, 4]`, of two complex paths."""
    return np.stack([part * (1 + 0 * T) for path in (one, other) for part in (np.real(path), np.imag(path))], -1)


# For each course its verdict, the distances to equilibrium and the positions.
COURSES = {
    "spiral in": ("converged", 2 * np.exp(-9 * T), places(2 * np.exp(-9 * T) * TURN)),
    "along the surface of equilibria": ("converged", 1e-3 + 0 * T, places(1e-3 * TURN, 3 * T)),
    "slow spiral": ("approaching", np.exp(-2 * T), places(np.exp(-2 * T) * TURN)),
    "n^-1/2": ("approaching", (200 * T) ** -0.5, places((200 * T) ** -0.5 * TURN)),
    "just arrived": ("approaching", np.exp(-4.8 * T), places(np.exp(-4.8 * T) * TURN)),  # for 8 of 200 records
    "circle": ("circling", 1 + 0 * T, places(TURN)),
    "circle after a transient": ("circling", 1 + 40 * np.exp(-20 * T), places((1 + 40 * np.exp(-20 * T)) * TURN)),
    "two modes": ("circling", np.abs(TURN + TURN**1.4), places(TURN, TURN**1.4)),
    "flat ellipse, close at times": ("circling", np.hypot(TURN.real, TURN.imag / 500), places(TURN)),
    "spiral out": ("circling", np.exp(3 * T), places(np.exp(3 * T) * TURN)),
    "noise about a point": ("circling", 0.1 + np.abs(NOISE[:, 0]), NOISE),
    "rest elsewhere": ("resting", 0.3 + np.exp(-30 * T), places(0.3 + np.exp(-30 * T) * TURN)),
    "straight on": ("drifting", 1 + T, places(T)),
    "straight on, noisily": ("drifting", 1 + T, places(3 * T) + NOISE),
    "circling while moving on": ("drifting", 1 + T, places(TURN / 10, 3 * T)),
    "less than a turn": ("drifting", 1 + 0 * T, places(np.exp(5j * T))),
    "too slow": ("drifting", np.exp(-0.3 * T), places(np.exp(-0.3 * T))),
    "exploding": ("diverged", np.exp(30 * T), places(np.exp(30 * T) * TURN)),
    "not a number": ("diverged", np.where(T > 0.9, np.nan, 1), places(np.where(T > 0.9, np.nan, 1) * TURN)),
}


@pytest.fixture(scope="module")
def classify():
    return jax.jit(dynamics.classify)


@pytest.mark.parametrize("course", COURSES)
def test_a_run_is_told_by_its_course(course, classify):
    verdict, distances, positions = COURSES[course]
    assert dynamics.VERDICTS[classify(distances, positions, np.array(True))] == verdict
    assert dynamics.VERDICTS[classify(distances, positions, np.array(False))] == "diverged"


def test_verdicts_map_over_runs_and_take_players_as_they_are_recorded(classify):
    distances, positions = (np.stack([COURSES[course][i] for course in COURSES]) for i in (1, 2))
    players = {"theta": positions[..., 0], "psi": (positions[..., 1:],)}
    found = jax.jit(jax.vmap(lambda d, p: dynamics.classify(d, p)))(distances, players)
    assert [dynamics.VERDICTS[i] for i in found] == [verdict for verdict, *_ in COURSES.values()]


def test_distances_alone_cannot_tell_a_circle_from_rest(classify):
    assert dynamics.VERDICTS[classify(1 + 0 * T, None)] == "resting"
    assert dynamics.VERDICTS[classify(1 + 0.1 * TURN.real, None)] == "circling"
    assert dynamics.VERDICTS[classify(np.exp(-9 * T), None)] == "converged"


def test_settled_is_the_first_record_from_which_on_all_are_close():
    assert dynamics.settled(np.array([3, 0.1, 3, 0.2, 0.1]), 1) == 3
    assert dynamics.settled(np.array([0.1, 0.1]), 1) == 0
    assert dynamics.settled(np.array([0.1, 3]), 1) == 2
    assert dynamics.settled(np.array([0.1, np.nan]), 1) == 2


def test_too_few_or_unequal_records_are_refused():
    with pytest.raises(ValueError, match="19 distances"):
        dynamics.classify(np.ones(19))
    with pytest.raises(ValueError, match="30 distances and 29"):
        dynamics.classify(np.ones(30), np.ones((29, 2)))


def descent(rate, **options):
    return Players(*[optax.sgd(rate, **options)] * 2)


def exponents(game, rule, players, steps, count, **options):
    run = jax.jit(
        lambda p: dynamics.lyapunov_exponents(jax.random.key(0), game, rule, steps, count, players=p, **options)
    )
    return run(jax.tree.map(faces.floats, players))


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        (rules.simultaneous(descent(0.3)), 2),
        (rules.alternating(descent(0.3, momentum=-0.5)), 4),
        (rules.simultaneous(Players(*[optax.optimistic_gradient_descent(0.3)] * 2)), 4),
    ],
)
def test_at_a_fixed_point_exponents_are_logarithms_of_multipliers(rule, count, x64):
    game = games.expected(games.penalized(gans.dirac(), penalties.r1(0.2)))
    origin = Players(jnp.zeros(()), jnp.zeros(()))
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(origin))
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:count]
    found = exponents(game, rule, origin, 4000, count, every=2)
    # 2000 orthonormalizations: turns and the start drop out to exp(-√2000), far below rounding.
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_on_the_bilinear_game_both_exponents_are_half_ln_one_plus_eta_squared(x64):
    found = exponents(games.bilinear(), rules.simultaneous(descent(0.2)), Players(1.0, 0.5), 1000, 2)
    np.testing.assert_allclose(found.values, np.log1p(0.04) / 2, rtol=1e-12)  # the map is a rotation and a factor
    about = exponents(games.bilinear(), rules.alternating(descent(0.2)), Players(1.0, 0.5), 4000, 2)
    np.testing.assert_allclose(about.values, 0, atol=1e-11)  # a centre: turns on an ellipse; 400 orthonormalizations


def test_on_slanted_land_the_equilibria_are_zeros_and_the_rest_the_spectrum(x64):
    game = games.expected(games.penalized(slanted_land(nodes=8), penalties.r1(1.0)))
    rule = rules.simultaneous(descent(0.5))
    players = equilibria.equilibrium(faces.pixels(np.array([1.0, -0.5, 0.3, 2.0])), faces.pixels(faces.FACES))
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(players))
    found = exponents(game, rule, players, 20_000, 6, every=100, transient=200_000)
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:6]
    np.testing.assert_allclose(expected[:4], 0, atol=1e-12)
    # The last two are 1.4e-4 apart: aligned to exp(-28). 200 orthonormalizations, turns of 1e-4: exp(-√200).
    np.testing.assert_allclose(found.values, expected, atol=1e-9)


def test_the_run_is_that_of_train_and_its_samples_are_seen(x64):
    game, rule = slanted_land(), rules.tutorial(Players(*[optax.adam(0.01, eps_root=1e-12)] * 2))  # with counts
    found = jax.jit(lambda key: dynamics.lyapunov_exponents(key, game, rule, 200, 2, transient=100))(jax.random.key(0))
    ended = jax.jit(lambda key: train(key, game, rule, 300))(jax.random.key(0))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9), found.end.players, ended.players)  # rounding grows
    assert np.isfinite(found.values).all()


def test_a_limit_cycle_has_one_exponent_zero_and_one_negative(x64):
    rate = 0.1
    rule = rules.simultaneous(descent(rate))
    end = jax.jit(lambda: train(jax.random.key(0), DIRAC, rule, 40_000).players)()
    found = exponents(DIRAC, rule, end, 20_000, 2)
    path = jax.jit(
        lambda: train(jax.random.key(0), DIRAC._replace(init=lambda key: end), rule, 1000, record=lambda p: p).history
    )()
    cycle = dynamics.limit_cycle(path)
    # The averaged step on r²: r² + η² r²/4 - η r⁴/8, from ½ d r²/dt = -r⁴/16 a turn; at r² = 2 η its slope is
    # 1 - η²/4, and r's the same. O(η) beside it.
    np.testing.assert_allclose(found.values, [0, -(rate**2) / 4], atol=rate**3 / 4)
    assert abs(found.values[0]) < 1e-10  # along the cycle nothing grows; turns drop out
    # The run from 1 % outside: two windows of 4 turns, 4 turns apart; the square of 1 % is left out.
    nearer = jax.tree.map(lambda x: 1.01 * x, end)
    back = jax.jit(
        lambda: (
            train(jax.random.key(0), DIRAC._replace(init=lambda key: nearer), rule, 1200, record=lambda p: p).history
        )
    )()
    radii = np.hypot(*back)
    turns = round(float(cycle.period) * 4)
    fall = np.log((radii[turns : 2 * turns].mean() - cycle.radius) / (radii[:turns].mean() - cycle.radius)) / turns
    np.testing.assert_allclose(found.values[1], fall, rtol=0.05)


def test_the_cycle_of_the_dirac_gan_has_radius_root_two_eta_and_the_period_of_the_spectrum(x64):
    rate = 0.1
    run = jax.jit(
        lambda start: (
            train(
                jax.random.key(0),
                DIRAC._replace(init=lambda key: start),
                rules.simultaneous(descent(rate)),
                20_000,
                record=lambda p: p,
            ).history
        )
    )
    cycles = [
        dynamics.limit_cycle(jax.tree.map(lambda x: x[-3000:], run(Players(jnp.float64(start), jnp.float64(0.0)))))
        for start in (0.2, 1.5)
    ]
    for cycle in cycles:
        np.testing.assert_allclose(cycle.radius, np.sqrt(2 * rate), rtol=rate / 20)  # averaging errs by O(η)
        assert cycle.outer / cycle.inner < 1 + rate / 2
        # A turn is 2π / (η √κ) steps, κ = 1/4, the logistic's slope falling by r²/24 on the way: 1 %.
        np.testing.assert_allclose(cycle.period, 4 * np.pi / rate, rtol=0.02)
        assert abs(cycle.growth) < 1e-5
        assert cycle.turns == 3000 // cycle.period or cycle.turns == 3000 // cycle.period - 1
    assert dynamics.isolated(cycles[0], cycles[1])


def test_orbits_about_a_centre_are_not_isolated_and_keep_their_form(x64):
    rule = rules.alternating(descent(0.5))
    run = jax.jit(
        lambda start: (
            train(
                jax.random.key(0), games.bilinear()._replace(init=lambda key: start), rule, 2000, record=lambda p: p
            ).history
        )
    )
    paths = [run(Players(jnp.float64(start), jnp.float64(0.0))) for start in (0.5, 1.0)]
    cycles = [dynamics.limit_cycle(path) for path in paths]
    assert not dynamics.isolated(*cycles)
    np.testing.assert_allclose(cycles[1].radius, 2 * cycles[0].radius, rtol=1e-12)  # a linear map
    # The multipliers 1 - η²/2 ± i √...: cos φ = 1 - η²/2.
    np.testing.assert_allclose(cycles[0].period, 2 * np.pi / np.arccos(1 - 0.125), rtol=2e-4)  # interpolated crossings
    for path, start in zip(paths, (0.5, 1.0), strict=True):
        form = invariants.alternating_form(path, 0.5)
        np.testing.assert_allclose(form, start**2, rtol=1e-13)  # a rounding of 1e-16 a step
        assert np.ptp(invariants.alternating_form(path, 0.5, discriminator_first=False)) > 0.1


def test_fewer_than_two_turns_are_no_cycle():
    found = dynamics.limit_cycle(places(np.exp(6j * T)))
    assert np.isnan(found.radius)
    assert found.turns == 0


def test_what_cannot_be_run_is_refused():
    rule = rules.simultaneous(descent(0.1))
    for numbers, message in (((100, 3), "1 to 2"), ((100, 0), "1 to 2"), ((105, 2), "105"), ((0, 2), "0 steps")):
        with pytest.raises(ValueError, match=message):
            dynamics.lyapunov_exponents(jax.random.key(0), DIRAC, rule, *numbers)
