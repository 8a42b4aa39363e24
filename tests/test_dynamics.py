from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, faces, games, penalties, rules, slanted_land, train
from slantgan_jax.analysis import dynamics, equilibria, invariants, spectra
from slantgan_jax.numerics import as_float

pytestmark = [
    pytest.mark.xdist_group("dynamics"),  # one process compiles what tests share once
    pytest.mark.usefixtures("quick_compile"),
]

DIRAC = games.expected(games.dirac())

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
    return optax.sgd(rate, **options)


def exponents(game, rule, players, steps, count, **options):
    run = jax.jit(
        lambda p: dynamics.lyapunov_exponents(jax.random.key(0), game, rule, steps, count, players=p, **options)
    )
    return run(jax.tree.map(as_float, players))


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        (rules.simultaneous(descent(0.3)), 2),
        (rules.alternating(descent(0.3, momentum=-0.5)), 4),
        (rules.simultaneous(optax.optimistic_gradient_descent(0.3)), 4),
    ],
)
def test_at_a_fixed_point_exponents_are_logarithms_of_multipliers(rule, count, x64):
    game = games.expected(games.penalized(games.dirac(), penalties.r1(0.2)))
    origin = Players(jnp.zeros(()), jnp.zeros(()))
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(origin))
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:count]
    found = exponents(game, rule, origin, 4000, count, record_every=2)
    # 2000 orthonormalizations: turns and the start drop out to exp(-√2000), far below rounding.
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_on_the_bilinear_game_both_exponents_are_half_ln_one_plus_eta_squared(x64):
    found = exponents(games.bilinear(), rules.simultaneous(descent(0.2)), Players(1.0, 0.5), 1000, 2)
    np.testing.assert_allclose(found.values, np.log1p(0.04) / 2, rtol=1e-12)  # the map is a rotation and a factor
    about = exponents(games.bilinear(), rules.alternating(descent(0.2)), Players(1.0, 0.5), 4000, 2)
    np.testing.assert_allclose(about.values, 0, atol=1e-11)  # a center: turns on an ellipse; 400 orthonormalizations


def test_on_slanted_land_the_equilibria_are_zeros_and_the_rest_the_spectrum(x64):
    images = np.array(faces.FACES)  # one leaf compiles faster than four
    game = games.expected(
        games.penalized(slanted_land(images, latent=distributions.uniform(nodes=4)), penalties.r1(1.0))
    )
    rule = rules.simultaneous(descent(0.5))
    players = equilibria.equilibrium(np.array([1.0, -0.5, 0.3, 2.0]), images)
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(players))
    found = exponents(game, rule, players, 20_000, 6, record_every=100, transient=200_000)
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:6]
    np.testing.assert_allclose(expected[:4], 0, atol=1e-12)
    # The last two are 1.4e-4 apart: aligned to exp(-28). 200 orthonormalizations: exp(-√200) = 7e-7 of 1e-2.
    np.testing.assert_allclose(found.values, expected, atol=1e-8)


def test_the_run_is_that_of_train_and_its_samples_are_seen(x64):
    game, rule = (
        games.dirac(noise=1.0),
        rules.alternating(optax.adam(0.01, eps_root=1e-12)),
    )  # with counts
    found = jax.jit(lambda key: dynamics.lyapunov_exponents(key, game, rule, 200, 2, transient=100))(jax.random.key(0))
    ended = jax.jit(lambda key: train(key, game, rule, 300))(jax.random.key(0))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9), found.end.players, ended.players)  # rounding grows
    assert np.isfinite(found.values).all()


RATE = 0.1


@pytest.fixture(scope="module")
def circling():
    """Runs of the Dirac-GAN from any two starts on the axis of θ, `[2, 20000]` for each player."""
    rule = rules.simultaneous(descent(RATE))

    def run(start):
        game = DIRAC._replace(init=lambda key: Players(start, jnp.zeros_like(start)))
        return train(jax.random.key(0), game, rule, 20_000, record=lambda info: info.players).history

    return jax.jit(jax.vmap(run))


limit_cycle = jax.jit(jax.vmap(dynamics.limit_cycle))


def test_the_dirac_gan_has_a_limit_cycle_of_radius_root_two_eta(circling, x64):
    cycles = limit_cycle(jax.tree.map(lambda x: x[:, -3000:], circling(np.array([0.2, 1.5]))))
    one, other = (jax.tree.map(lambda x, i=i: x[i], cycles) for i in range(2))
    assert dynamics.isolated(one, other)
    for cycle in (one, other):
        np.testing.assert_allclose(cycle.radius, np.sqrt(2 * RATE), rtol=RATE / 20)  # averaging errs by O(η)
        assert cycle.outer / cycle.inner < 1 + RATE / 2
        # A turn is 2π / (η √κ) steps, κ = 1/4; slopes of the logistic fall by r²/24 on the way, 1 %.
        np.testing.assert_allclose(cycle.period, 4 * np.pi / RATE, rtol=0.02)
        assert abs(cycle.growth) < 1e-5  # arrived: exp(-0.0025 · 17000); what is left is where the turns are cut
        assert cycle.turns in (22, 23)


def test_on_a_limit_cycle_one_exponent_is_zero_and_the_other_what_a_run_beside_it_shows(circling, x64):
    rule = rules.simultaneous(descent(RATE))
    theta, psi = circling(np.array([0.2, 1.5]))
    crossed = int(np.argmin(np.abs(psi[0, -200:]))) - 200  # about where the cycle meets the axis
    radius = theta[0, crossed]
    found = exponents(DIRAC, rule, Players(theta[0, crossed], psi[0, crossed]), 20_000, 2)
    # On r² the step acts, averaged over a turn, as r² + η² r²/4 - η r⁴/8: its slope at r² = 2 η is 1 - η²/4, and so
    # is that of r; beside it O(η).
    np.testing.assert_allclose(found.values, [0, -(RATE**2) / 4], atol=RATE**3 / 4)
    assert abs(found.values[0]) < 1e-10  # nothing grows along the cycle; turns drop out
    # Runs from 1 % outside and inside: mean radii over windows of 4 turns, 4 turns apart; the square of 1 % cancels.
    radii = np.hypot(*circling(radius * np.array([1.01, 0.99])))
    turns = 504  # 4 · 126
    parts = radii[:, : 2 * turns].reshape(2, 2, turns).mean(2)
    apart = parts[0] - parts[1]
    np.testing.assert_allclose(found.values[1], np.log(apart[1] / apart[0]) / turns, rtol=0.02)


def test_orbits_about_a_centre_are_not_isolated_and_keep_their_form(x64):
    rule = rules.alternating(descent(0.5))

    def run(start):
        game = games.bilinear()._replace(init=lambda key: Players(start, 0 * start))
        return train(jax.random.key(0), game, rule, 2000, record=lambda info: info.players).history

    starts = np.array([0.5, 1.0])
    paths = jax.jit(jax.vmap(run))(starts)
    cycles = limit_cycle(paths)
    one, other = (jax.tree.map(lambda x, i=i: x[i], cycles) for i in range(2))
    assert not dynamics.isolated(one, other)
    np.testing.assert_allclose(other.radius, 2 * one.radius, rtol=1e-12)  # a linear map
    # The multipliers' angle has cos φ = 1 - η²/2. Crossings are interpolated: 2e-4 of a turn of 12 steps.
    np.testing.assert_allclose(one.period, 2 * np.pi / np.arccos(1 - 0.125), rtol=2e-4)
    kept, other_form = (
        np.asarray(invariants.alternating_form(paths, 0.5, discriminator_first=first)) for first in (True, False)
    )
    np.testing.assert_allclose(kept, (starts**2)[:, None].repeat(2000, 1), rtol=1e-13)  # a rounding of 1e-16 a step
    assert np.ptp(other_form) > 0.1


def test_less_than_a_turn_is_no_cycle():
    found = limit_cycle(np.stack([places(np.exp(6j * T))] * 2))
    assert np.isnan(found.radius).all()
    assert (found.turns == 0).all()


def test_what_cannot_be_run_is_refused():
    rule = rules.simultaneous(descent(0.1))
    for numbers, message in (((100, 3), "1 to 2"), ((100, 0), "1 to 2"), ((105, 2), "105"), ((0, 2), "0 steps")):
        with pytest.raises(ValueError, match=message):
            dynamics.lyapunov_exponents(jax.random.key(0), DIRAC, rule, *numbers)
