"""The theory of motion along the equilibria, against single steps of the rules themselves and the autodiff field."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import solve_continuous_lyapunov

from slantgan_jax import Discriminator, Generator, Players, distributions, faces, losses, rules, slanted_land
from slantgan_jax.analysis import drift, equilibria, spectra
from slantgan_jax.games import Sample

pytestmark = [
    pytest.mark.xdist_group("drift"),  # one process compiles what tests share once
    pytest.mark.usefixtures("quick_compile"),
]

MEAN = faces.FACES.mean(0)
ONE = MEAN[None]  # a data set of one image: its order makes no noise, so one step's mean over z is all there is
IMAGES = faces.unstack(ONE)
W = np.array([1.3, -0.4, 0.8, 2.0])
Z, CHANCES = (np.polynomial.legendre.leggauss(8) + np.array([[1], [0]])) / 2  # E σ to 1e-9 for |w| = 2
tutorial = jax.jit(lambda w: drift.along(w, ONE))


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
    return equilibria.landing(generator, ONE, 2) + jnp.einsum("iab,a,b->i", limit, v, v) / 2


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


@pytest.mark.parametrize("case", CASES)
def test_velocity_and_diffusion_are_those_of_single_steps(case, covariance, x64):
    """A step of the tutorial's rule from an equilibrium, or from v beside it, with each latent: how it moves Φ."""
    objective, shared = CASES[case]
    game = slanted_land(IMAGES, objective, independent_latents=not shared)
    motion = tutorial(W) if shared else jax.jit(lambda w: drift.along(w, ONE, objective, shared_latent=False))(W)
    chances = CHANCES if shared else np.outer(CHANCES, CHANCES).ravel()
    latents = (Z, Z) if shared else tuple(a.ravel() for a in np.meshgrid(Z, Z))

    def after(rate, v, latent, fresh):
        rule = rules.tutorial(optax.sgd(rate))
        sample = Sample(latent, fresh, real=faces.unstack(jnp.asarray(MEAN)))
        return limit_of(rule.step(game, rule.init(placed(v)), sample).players, motion.limit)

    steps = jax.jit(jax.vmap(jax.vmap(after, (None, None, 0, 0)), (0, 0, None, None)))
    rate, size = 1e-3, 1e-3
    directions = size * np.linalg.cholesky(covariance + 1e-12 * np.eye(9)).T
    starts = np.concatenate([np.zeros((1, 9)), directions, -directions])
    forth, back = (np.asarray(steps(np.full(19, sign * rate), starts, *latents)) for sign in (1, -1))
    # Even in η: η² V and η⁴, of factors below 10. Rounding: 1e-16 of Φ against η² V of 1e-10.
    velocity = (np.einsum("n,ni->i", chances, (forth + back)[0]) - 2 * W) / (2 * rate**2)
    np.testing.assert_allclose(motion.velocity, velocity, rtol=1e-4, atol=1e-9)
    # Odd in η and in v: η v g, with relative errors of size², rate² and of 1e-12 in a covariance of 1e-3 and more.
    odd = (forth - back)[1:].reshape(2, 9, len(chances), 4)
    kicks = (odd[0] - odd[1]) / (4 * rate * size)
    diffusion = np.einsum("n,kni,knj->ij", chances, kicks, kicks) / 2
    np.testing.assert_allclose(motion.diffusion, diffusion, rtol=1e-4, atol=1e-4 * np.diag(diffusion).max())
    np.testing.assert_allclose(motion.fluctuation, covariance[4:8, 4:8], rtol=1e-6, atol=1e-9)  # 8 nodes


def test_the_flow_keeps_its_limit(x64):
    """Φ with K moves by v³ only, without K by v²: less than 3 % of that at v = 1e-4."""
    field = spectra.expected_field(slanted_land(IMAGES, latent=distributions.uniform(nodes=8)))
    v = 1e-4 * np.random.default_rng(0).normal(size=9)

    @jax.jit
    def change(limit):
        return jax.jvp(lambda p: limit_of(p, limit), (placed(v),), (field(placed(v)),))[1]

    limit = tutorial(W).limit
    assert np.abs(change(limit)).max() < 0.03 * np.abs(change(0 * limit)).max()


def test_little_steep_generators_follow_a_closed_form(x64):
    """V_i = -(m (1 - m))² w_i / 60 where w is small: C_ii = σ'² w / 12, κ = 4/5, a f = ¼; X ∝ w² gives w³."""
    small = 1e-3 * W
    motion = jax.jit(lambda w: drift.along(w, faces.FACES))  # whose spread damps u; with one image X would not vanish
    np.testing.assert_allclose(motion(small).velocity, -((MEAN * (1 - MEAN)) ** 2) * small / 60, rtol=2e-3)  # w/4
    at_zero = motion(np.zeros(4))
    np.testing.assert_allclose(at_zero.velocity, 0, atol=1e-17)  # no noise at all: ε times σ'² / 12
    np.testing.assert_allclose(at_zero.diffusion, 0, atol=1e-17)
