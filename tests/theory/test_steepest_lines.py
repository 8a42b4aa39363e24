import jax
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

from slantgan_jax import Players, distributions, faces, fields, games, losses, networks, rules, slanted_land, train
from slantgan_jax.analysis import distances, equilibria, steepest_lines
from slantgan_jax.numerics import as_float

IMAGES = np.array(faces.FACES)  # one leaf: it compiles faster than four
MEAN = faces.FACES.mean(0)
STARTS = {
    "weights": [1.5, -0.7, 0.0, 6.0],
    "biases": [0.3, -1.0, -4.0, -2.0],
    "slopes": [0.6, -0.3, -0.4, 1.4],
}
endpoint = jax.jit(steepest_lines.endpoint)


def players_at_start():
    w, b, u = (np.array(values) for values in STARTS.values())
    return jax.tree.map(as_float, Players(networks.Generator(w, b), networks.Discriminator(u, 0.1)))


@pytest.mark.slow
def test_lines_end_on_the_equilibria_as_an_adaptive_solver_finds(x64):
    start = players_at_start()
    landed = endpoint(start.generator, IMAGES)
    expected = equilibria.bias(landed.weights, MEAN)
    np.testing.assert_allclose(landed.biases, expected, atol=1e-9)  # LINE_STEPS
    energies = jax.jit(steepest_lines.energies)(start, IMAGES)

    z, weights = np.polynomial.legendre.leggauss(60)
    z, weights = (z + 1) / 2, weights / 2
    for i, mean in enumerate(faces.FACES.mean(0)):
        w, b, u = (STARTS[name][i] for name in STARTS)

        def slope(t, place, mean=mean):
            x = 1 / (1 + np.exp(-(place[0] * z + place[1])))
            m, dw, db = weights @ x, weights @ (x * (1 - x) * z), weights @ (x * (1 - x))
            # By time, in which m falls off to the mean as the flow's would with a constant slope of 1.
            speed = mean - m
            return [speed * dw, speed * db, speed * (mean - m)]

        solved = solve_ivp(slope, (0, 3e3), [w, b, 0.0], rtol=1e-11, atol=1e-13, method="LSODA").y[:, -1]
        np.testing.assert_allclose([landed.weights[i], landed.biases[i]], solved[:2], atol=1e-8)
        np.testing.assert_allclose(energies[i], u**2 / 2 + solved[2], atol=1e-8)


@pytest.mark.slow
def test_the_wasserstein_flow_keeps_lines_and_energies(x64):
    step = 0.1
    game = games.expected(slanted_land(IMAGES, losses.wasserstein, latent=distributions.uniform(nodes=12)))._replace(
        init=lambda key: players_at_start()
    )
    rule = rules.simultaneous(optax.sgd(step), fields.rk4(step))  # for the flow: O(h⁴)

    def followed(info):
        players = info.players
        return steepest_lines.energies(players, IMAGES), steepest_lines.endpoint(players.generator, IMAGES).weights

    run = jax.jit(lambda: train(jax.random.key(0), game, rule, 2000, record=followed, record_every=200).history)
    energies, weights = (np.asarray(x) for x in run())
    moved = max(np.ptp(energies, axis=0).max(), np.ptp(weights, axis=0).max())
    # Steps of 0.1 and turns of 50: (0.1 · 2π / 50)⁴ = 2e-8 a turn, 4 turns.
    assert moved < 1e-6


@pytest.mark.slow
def test_an_equilibrium_has_no_energy_and_is_its_own_endpoint(x64):
    found = jax.jit(lambda w: (p := equilibria.equilibrium(w, IMAGES), steepest_lines.energies(p, IMAGES)))
    players, energies = found(np.array([2.0, -1.0, 0.0, 30.0]))
    assert np.abs(np.array(energies)).max() < 1e-14
    landed = endpoint(players.generator, IMAGES)
    np.testing.assert_allclose(landed.weights, players.generator.weights, atol=1e-12)
    assert jax.jit(distances.mean_gap)(landed, IMAGES) < 1e-14


@pytest.mark.slow
def test_an_endpoint_does_not_change_along_the_slope_of_the_mean(x64):
    """It is w on the surface, and constant along ∇ E σ(w z + b), here by a quadrature: that is all there is to it."""
    random = np.random.default_rng(3)
    w, b = random.normal(size=(2, 20, 4)) * 1.5
    end = jax.jit(jax.vmap(lambda w, b: steepest_lines.endpoint(networks.Generator(w, b), IMAGES).weights))
    on = np.asarray(equilibria.bias(w, np.broadcast_to(MEAN, w.shape)))
    np.testing.assert_allclose(end(w, on), w, atol=1e-14)  # rounding: there is no way to go

    @jax.jit
    @jax.vmap
    def change(w, b):
        z, chances = ((np.polynomial.legendre.leggauss(40) + np.array([[1], [0]])) / 2)[:, :, None]
        slope = chances * jax.nn.sigmoid(w[None] * z + b[None]) * jax.nn.sigmoid(-w[None] * z - b[None])
        slopes = (slope * z).sum(0), slope.sum(0)
        return jax.jvp(lambda *p: steepest_lines.endpoint(networks.Generator(*p), IMAGES).weights, (w, b), slopes)[1]

    np.testing.assert_allclose(change(w, b), 0, atol=1e-8)  # the slopes are below ½, the endpoint good to 1e-8
    # Near w = 0 the line is straight: the nearest point of b + w/2 = logit m, to second order in w.
    small = 1e-4 * w
    nearest = small + (np.log(MEAN / (1 - MEAN)) - b - small / 2) / 2.5
    moved = np.asarray(end(small, b)) - nearest
    assert np.abs(moved).max() > 1e-3  # the line bends where b has far to go
    close = 1e-3 * b + np.log(MEAN / (1 - MEAN))
    nearest = small + (np.log(MEAN / (1 - MEAN)) - close - small / 2) / 2.5
    np.testing.assert_allclose(end(small, close), nearest, atol=1e-6)  # squares of 1e-3
