import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, faces, games, rules, slanted_land
from slantgan_jax.analysis import distances, equilibria, noise, spectra

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_the_stationary_covariance_is_the_sum_of_all_that_was_added(x64):
    draw = np.random.default_rng(0).normal
    vectors = draw(size=(5, 5))
    blocks = np.zeros((5, 5))
    blocks[:2, :2] = [[0.9, 0.3], [-0.3, 0.9]]  # |λ|² = 0.9
    blocks[2, 2], blocks[3, 3], blocks[4, 4] = -0.5, 0.99, 1  # the last one does not decay
    matrix, root = vectors @ blocks @ np.linalg.inv(vectors), draw(size=(5, 5))
    decaying = vectors @ np.diag([1, 1, 1, 1, 0]) @ np.linalg.inv(vectors)
    added = decaying @ root @ root.T @ decaying.T
    found = jax.jit(lambda m, s: noise.stationary_covariance(m, s, 1))(matrix, root @ root.T)
    expected, power = np.zeros((5, 5)), np.eye(5)
    for _ in range(3000):  # 0.99^6000
        expected, power = expected + power @ added @ power.T, power @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert np.isnan(jax.jit(lambda m, s: noise.stationary_covariance(m, s))(1.1 * matrix, added)).all()


def test_descent_on_a_noisy_parabola_is_an_autoregression(x64):
    """L_G = ½ (x - s)², s = ±1: x ← (1 - η) x + η s, of variance η² / (1 - (1 - η)²) = η / (2 - η); D has momentum."""
    rate, beta = 0.1, 0.5
    game = games.two_player(lambda p: p.generator**2 / 2, lambda p: p.discriminator**2 / 2)
    noisy = game._replace(
        losses=Players(
            *[(lambda players, sample, i=i: (players[i] - sample) ** 2 / 2,) for i in range(2)],
        )
    )
    rule = rules.simultaneous(Players(optax.sgd(rate), optax.sgd(rate, momentum=beta)))
    origin = Players(jnp.zeros(()), jnp.zeros(()))

    @jax.jit
    def predicted():
        added = noise.step_noise(rule, noisy, origin, jnp.array([-1.0, 1.0]), jnp.array([0.5, 0.5]))
        return noise.stationary_covariance(spectra.update_jacobian(rule, game, origin), added)

    covariance = predicted()
    np.testing.assert_allclose(covariance[0, 0], rate / (2 - rate), rtol=1e-12)
    # x' = (1 + β - η) x - β x₋ + η s, an autoregression of order 2: (1 + β) / (1 - β) η² / ((1 + β)² - (1 + β - η)²).
    expected = (1 + beta) / (1 - beta) * rate**2 / ((1 + beta) ** 2 - (1 + beta - rate) ** 2)
    np.testing.assert_allclose(covariance[1, 1], expected, rtol=1e-12)


def test_at_an_equilibrium_a_step_adds_a_quarter_of_the_images_covariance_to_the_slopes(x64):
    rate, images = 0.03, np.array(faces.FACES)
    game = slanted_land(images)
    players = equilibria.equilibrium(np.array([2.0, -1.0, 0.5, 3.0]), images)
    latents, weights = distributions.uniform_quadrature()
    face = jnp.tile(images[0], (len(latents), 1))
    rule = rules.simultaneous(optax.sgd(rate))
    found = jax.jit(lambda p: noise.step_noise(rule, game, p, games.Sample(latents, real=face), weights))(players)
    # u ← u - η (½ G(z) - ½ x), as ℓ = 0; G's slope is u = 0, and D's two slopes by c cancel.
    expected = np.zeros((13, 13))
    expected[8:12, 8:12] = rate**2 / 4 * np.asarray(distances.covariance(players.generator))
    np.testing.assert_allclose(found, expected, atol=1e-14)  # two quadratures
