from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, faces, games, penalties, rules, slanted_land, train
from slantgan_jax.analysis import equilibria, lyapunov, spectra
from slantgan_jax.numerics import as_float

DIRAC = games.expected(games.dirac())
RATE = 0.1  # of `circling`


def exponents(game, rule, players, steps, count, **options):
    run = jax.jit(
        lambda p: lyapunov.lyapunov_exponents(jax.random.key(0), game, rule, steps, count, players=p, **options)
    )
    return run(jax.tree.map(as_float, players))


FIXED = (
    (rules.simultaneous(optax.sgd(0.3)), 2),
    (rules.alternating(optax.sgd(0.3, momentum=-0.5)), 4),
    (rules.simultaneous(optax.optimistic_gradient_descent(0.3)), 4),
    (rules.simultaneous(optax.inject_hyperparams(optax.sgd)(learning_rate=0.3)), 2),  # the rate is no mode
)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "count"), FIXED)
def test_at_a_fixed_point_exponents_are_logarithms_of_multipliers(rule, count, x64):
    game = games.expected(games.penalized(games.dirac(), penalties.r1(0.2)))
    origin = Players(jnp.zeros(()), jnp.zeros(()))
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(origin))
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:count]
    found = exponents(game, rule, origin, 4000, count, orthonormalize_every=2)
    # 2000 orthonormalizations: turns and the start drop out to exp(-√2000), far below rounding.
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_on_the_bilinear_game_both_exponents_are_half_ln_one_plus_eta_squared(x64):
    found = exponents(games.bilinear(), rules.simultaneous(optax.sgd(0.2)), Players(1.0, 0.5), 1000, 2)
    np.testing.assert_allclose(found.values, np.log1p(0.04) / 2, rtol=1e-12)  # the map is a rotation and a factor
    short = exponents(games.bilinear(), rules.simultaneous(optax.sgd(0.2)), Players(1.0, 0.5), 10, 2)
    np.testing.assert_allclose(short.values, np.log1p(0.04) / 2, rtol=1e-12)
    about = exponents(games.bilinear(), rules.alternating(optax.sgd(0.2)), Players(1.0, 0.5), 4000, 2)
    np.testing.assert_allclose(about.values, 0, atol=1e-11)  # a center: turns on an ellipse; 400 orthonormalizations


@pytest.mark.slow
def test_on_slanted_land_the_equilibria_are_zeros_and_the_rest_the_spectrum(x64):
    images = np.array(faces.FACES)  # one leaf compiles faster than four
    game = games.expected(
        games.penalized(slanted_land(images, latent=distributions.uniform(nodes=4)), penalties.r1(1.0))
    )
    rule = rules.simultaneous(optax.sgd(0.5))
    players = equilibria.equilibrium(np.array([1.0, -0.5, 0.3, 2.0]), images)
    multipliers = np.linalg.eigvals(jax.jit(lambda p: spectra.update_jacobian(rule, game, p))(players))
    found = exponents(game, rule, players, 20_000, 6, orthonormalize_every=100, transient=200_000)
    expected = np.sort(np.log(np.abs(multipliers)))[::-1][:6]
    np.testing.assert_allclose(expected[:4], 0, atol=1e-12)
    # The last two are 1.4e-4 apart: aligned to exp(-28). 200 orthonormalizations: exp(-√200) = 7e-7 of 1e-2.
    np.testing.assert_allclose(found.values, expected, atol=1e-8)


@pytest.mark.slow
def test_the_run_is_that_of_train_and_its_samples_are_seen(x64):
    game, rule = games.dirac(noise=1.0), rules.alternating(optax.adam(0.01, eps_root=1e-12))  # with counts
    found = jax.jit(lambda key: lyapunov.lyapunov_exponents(key, game, rule, 200, 2, transient=100))(jax.random.key(0))
    ended = jax.jit(lambda key: train(key, game, rule, 300))(jax.random.key(0))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9), found.end.players, ended.players)  # rounding grows
    assert np.isfinite(found.values).all()


@pytest.mark.slow
def test_on_a_limit_cycle_one_exponent_is_zero_and_the_other_what_a_run_beside_it_shows(circling, x64):
    rule = rules.simultaneous(optax.sgd(RATE))
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


def test_orthonormal_rows_span_what_was_given_and_lengths_multiply_to_its_volume(x64):
    rows = np.random.default_rng(0).normal(size=(4, 7)) * np.array([1, 1e-3, 1, 1e-6])[:, None]
    found, lengths = jax.jit(lyapunov.orthonormalized)(rows)
    np.testing.assert_allclose(found @ found.T, np.eye(4), atol=1e-15)
    np.testing.assert_allclose(rows @ found.T @ found, rows, atol=1e-15)
    np.testing.assert_allclose(np.prod(lengths) ** 2, np.linalg.det(rows @ rows.T), rtol=1e-9)  # 1e-18 of 1
