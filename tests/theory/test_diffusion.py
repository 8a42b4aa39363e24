"""Motion along the equilibria, against single steps of the rules and the field by autodiff; the stationary noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import solve_continuous_lyapunov

from slantgan_jax import Discriminator, Generator, Players, distributions, faces, games, losses, rules, slanted_land
from slantgan_jax.analysis import diffusion, distances, equilibria, spectra, steepest_lines

MEAN = faces.FACES.mean(0)
ONE = MEAN[None]  # a data set of one image: its order makes no noise, so one step's mean over z is all there is
IMAGES = faces.unstack(ONE)
W = np.array([1.3, -0.4, 0.8, 2.0])
Z, CHANCES = (np.polynomial.legendre.leggauss(8) + np.array([[1], [0]])) / 2  # E σ to 1e-9 for |w| = 2
tutorial = jax.jit(lambda w: diffusion.slow_diffusion(w, ONE))


def placed(v):
    """The players at v = (β, u, c), beside the equilibrium of W."""
    zeta = -equilibria.slope(W, MEAN)
    w, b = W + zeta * v[:4], equilibria.bias(W, MEAN) + v[:4]
    return Players(Generator(faces.unstack(w), faces.unstack(b)), Discriminator(faces.unstack(v[4:8]), v[8]))


def felt(players):
    """v of the players, the left inverse of `placed`."""
    zeta = -equilibria.slope(W, MEAN)
    w, b, u = (faces.stack(a) for a in (*players.generator, players.discriminator.weights))
    beta = (zeta * (w - W) + b - equilibria.bias(W, MEAN)) / (1 + zeta**2)
    return jnp.concatenate([beta, u, players.discriminator.bias[None]])


def limit_of(players, limit):
    """Φ, to third order in v."""
    v = felt(players)
    generator = Generator(*(faces.stack(leaf) for leaf in players.generator))
    return steepest_lines.endpoint(generator, ONE, 2).weights + jnp.einsum("iab,a,b->i", limit, v, v) / 2


@pytest.fixture(scope="module")
def covariance():
    """X of all of v, by other programs: the flow's Jacobian by autodiff, the Lyapunov equation by SciPy."""
    with jax.enable_x64(True):
        field = spectra.expected_field(slanted_land(IMAGES, latent=distributions.uniform(nodes=8)))
        flow = jax.jacfwd(lambda v: -felt(jax.tree.map(jnp.add, placed(jnp.zeros(9)), field(placed(v)))))
        flow = np.asarray(jax.jit(flow)(np.zeros(9)))
        b = np.asarray(equilibria.bias(W, MEAN))
    x = 1 / (1 + np.exp(-(np.outer(Z, W) + b)))
    source = np.zeros((9, 9))
    source[4:8, 4:8] = np.einsum("n,na,nb->ab", CHANCES, x - MEAN, x - MEAN) / 4  # u moves by -½ η (x - m)
    return solve_continuous_lyapunov(flow, -source)


CASES = {
    "shared latent": (losses.non_saturating, True),
    "fresh latent, saturating": (losses.saturating, False),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_velocity_and_diffusion_are_those_of_single_steps(case, covariance, x64):
    """A step of the tutorial's rule from an equilibrium, or from v beside it, with each latent: how it moves Φ."""
    objective, shared = CASES[case]
    game = slanted_land(IMAGES, objective, independent_latents=not shared)
    motion = jax.jit(lambda w: diffusion.slow_diffusion(w, ONE, objective, shared_latent=shared))(W)
    chances = CHANCES if shared else np.outer(CHANCES, CHANCES).ravel()
    latents = (Z, Z) if shared else tuple(a.ravel() for a in np.meshgrid(Z, Z))

    def after(rate, v, latent, fresh):
        rule = rules.tutorial(optax.sgd(rate))
        sample = games.Sample(latent, fresh, real=faces.unstack(jnp.asarray(MEAN)))
        return limit_of(rule.step(game, rule.init(placed(v)), sample).players, motion.limit_hessian)

    steps = jax.jit(jax.vmap(jax.vmap(after, (None, None, 0, 0)), (0, 0, None, None)))
    rate, size = 1e-3, 1e-3
    directions = size * np.linalg.cholesky(covariance + 1e-12 * np.eye(9)).T
    starts = np.concatenate([np.zeros((1, 9)), directions, -directions])
    forth, back = (np.asarray(steps(np.full(19, sign * rate), starts, *latents)) for sign in (1, -1))
    # Even in η: η² V and η⁴, of factors below 10. Rounding: 1e-16 of Φ against η² V of 1e-10.
    velocity = (np.einsum("n,ni->i", chances, (forth + back)[0]) - 2 * W) / (2 * rate**2)
    np.testing.assert_allclose(motion.drift, velocity, rtol=1e-4, atol=1e-9)
    # Odd in η and in v: η v g, with relative errors of size², rate² and of 1e-12 in a covariance of 1e-3 and more.
    odd = (forth - back)[1:].reshape(2, 9, len(chances), 4)
    kicks = (odd[0] - odd[1]) / (4 * rate * size)
    spread = np.einsum("n,kni,knj->ij", chances, kicks, kicks) / 2
    np.testing.assert_allclose(motion.diffusion, spread, rtol=1e-4, atol=1e-4 * np.diag(spread).max())
    np.testing.assert_allclose(motion.fast_covariance, covariance[4:8, 4:8], rtol=1e-6, atol=1e-9)  # 8 nodes


@pytest.mark.slow
def test_the_flow_keeps_its_limit(x64):
    """Φ with K moves by v³ only, without K by v²: less than 3 % of that at v = 1e-4."""
    field = spectra.expected_field(slanted_land(IMAGES, latent=distributions.uniform(nodes=8)))
    v = 1e-4 * np.random.default_rng(0).normal(size=9)

    @jax.jit
    def change(limit):
        return jax.jvp(lambda p: limit_of(p, limit), (placed(v),), (field(placed(v)),))[1]

    limit = tutorial(W).limit_hessian
    assert np.abs(change(limit)).max() < 0.03 * np.abs(change(0 * limit)).max()


@pytest.mark.slow
def test_little_steep_generators_follow_a_closed_form(x64):
    """V_i = -(m (1 - m))² w_i / 60 where w is small: C_ii = σ'² w / 12, κ = 4/5, a f = ¼; X ∝ w² gives w³."""
    small = 1e-3 * W
    # The spread of five images damps u; with one image X would not vanish.
    motion = jax.jit(lambda w: diffusion.slow_diffusion(w, faces.FACES))
    np.testing.assert_allclose(motion(small).drift, -((MEAN * (1 - MEAN)) ** 2) * small / 60, rtol=2e-3)  # w/4
    at_zero = motion(np.zeros(4))
    np.testing.assert_allclose(at_zero.drift, 0, atol=1e-17)  # no noise at all: ε times σ'² / 12
    np.testing.assert_allclose(at_zero.diffusion, 0, atol=1e-17)


def test_the_stationary_covariance_is_the_sum_of_all_that_was_added(x64):
    draw = np.random.default_rng(0).normal
    vectors = draw(size=(5, 5))
    blocks = np.zeros((5, 5))
    blocks[:2, :2] = [[0.9, 0.3], [-0.3, 0.9]]  # |λ|² = 0.9
    blocks[2, 2], blocks[3, 3], blocks[4, 4] = -0.5, 0.99, 1  # the last one does not decay
    matrix, root = vectors @ blocks @ np.linalg.inv(vectors), draw(size=(5, 5))
    decaying = vectors @ np.diag([1, 1, 1, 1, 0]) @ np.linalg.inv(vectors)
    added = decaying @ root @ root.T @ decaying.T
    found = jax.jit(lambda m, s: diffusion.stationary_covariance(m, s, 1))(matrix, root @ root.T)
    expected, power = np.zeros((5, 5)), np.eye(5)
    for _ in range(3000):  # 0.99^6000
        expected, power = expected + power @ added @ power.T, power @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(found, found.T)
    assert np.isnan(jax.jit(lambda m, s: diffusion.stationary_covariance(m, s))(1.1 * matrix, added)).all()


@pytest.mark.slow
@pytest.mark.parametrize("precision", [32, 64])
def test_what_only_turns_has_no_stationary_covariance_however_its_modulus_is_rounded(precision):
    """Steps of alternating descent on the bilinear game, whose Jacobian has the determinant 1."""
    found = jax.jit(lambda matrix: diffusion.stationary_covariance(matrix, jnp.eye(2)))
    with jax.enable_x64(precision == 64):
        for rate in np.linspace(0.1, 1.9, 19):
            assert np.isnan(found(np.array([[1, -rate], [rate, 1 - rate**2]]))).all()


@pytest.mark.parametrize(
    ("schedule", "tolerance"),
    [(0.1, 1e-12), (optax.linear_schedule(0.0, 0.1, 100), 1e-7)],  # optax has schedules in float32
    ids=["constant", "warm-up"],
)
def test_descent_on_a_noisy_parabola_is_an_autoregression(schedule, tolerance, x64):
    """L_G = ½ (x - s)², s = ±1: x ← (1 - η) x + η s, of variance η² / (1 - (1 - η)²) = η / (2 - η); D has momentum.

    A warm-up is over late in a run.
    """
    rate, beta = 0.1, 0.5
    game = games.two_player(lambda p: p.generator**2 / 2, lambda p: p.discriminator**2 / 2)
    noisy = game._replace(
        losses=Players(*[(lambda players, sample, i=i: (players[i] - sample) ** 2 / 2,) for i in range(2)])
    )
    rule = rules.simultaneous(Players(optax.sgd(schedule), optax.sgd(schedule, momentum=beta)))
    origin = Players(jnp.zeros(()), jnp.zeros(()))

    @jax.jit
    def predicted():
        added = diffusion.update_noise(rule, noisy, origin, jnp.array([-1.0, 1.0]), jnp.array([0.5, 0.5]))
        return diffusion.stationary_covariance(spectra.update_jacobian(rule, game, origin), added)

    covariance = predicted()
    np.testing.assert_allclose(covariance[0, 0], rate / (2 - rate), rtol=tolerance)
    # x' = (1 + β - η) x - β x₋ + η s, an autoregression of order 2: (1 + β) / (1 - β) η² / ((1 + β)² - (1 + β - η)²).
    expected = (1 + beta) / (1 - beta) * rate**2 / ((1 + beta) ** 2 - (1 + beta - rate) ** 2)
    np.testing.assert_allclose(covariance[1, 1], expected, rtol=tolerance)


def test_at_an_equilibrium_a_step_adds_a_quarter_of_the_images_covariance_to_the_slopes(x64):
    rate, images = 0.03, np.array(faces.FACES)
    game, rule = slanted_land(images), rules.simultaneous(optax.sgd(rate))
    latents, weights = distributions.uniform_quadrature()
    face = jnp.tile(images[0], (len(latents), 1))

    @jax.jit
    def both(w):
        players = equilibria.equilibrium(w, images)
        noise = diffusion.update_noise(rule, game, players, games.Sample(latents, real=face), weights)
        return noise, distances.covariance(players.generator)

    found, covariance = both(np.array([2.0, -1.0, 0.5, 3.0]))
    # u ← u - η (½ G(z) - ½ x), as ℓ = 0; G's slope is u = 0, and D's two slopes by c cancel.
    expected = np.zeros((13, 13))
    expected[8:12, 8:12] = rate**2 / 4 * np.asarray(covariance)
    np.testing.assert_allclose(found, expected, atol=1e-14)  # two quadratures
