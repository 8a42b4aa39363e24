"""The theory of motion along the equilibria, against single steps of the rules themselves and the autodiff field."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy.linalg import solve_continuous_lyapunov

from slantgan_jax import Discriminator, Generator, Players, faces, games, losses, rules, slanted_land
from slantgan_jax.analysis import distances, drift, equilibria, spectra
from slantgan_jax.gans import Sample

MEAN = faces.FACES.mean(0)
ONE = MEAN[None]  # a data set of one image: its order makes no noise, so one step's mean over z is all there is
IMAGES = faces.pixels(ONE)
W = np.array([1.3, -0.4, 0.8, 2.0])
Z, CHANCES = (np.asarray(a) for a in games.latent_quadrature(8))  # E σ to 1e-9 for |w| = 2


def placed(v):
    """The players at v = (β, u, c), beside the equilibrium of W."""
    zeta = -equilibria.slope(W, MEAN)
    w, b = W + zeta * v[:4], equilibria.bias(W, MEAN) + v[:4]
    return Players(Generator(faces.pixels(w), faces.pixels(b)), Discriminator(faces.pixels(v[4:8]), v[8]))


def felt(players):
    """v of the players, the left inverse of `placed`."""
    zeta = -equilibria.slope(W, MEAN)
    w, b, u = (faces.array(a) for a in (*players.generator, players.discriminator.weights))
    beta = (zeta * (w - W) + b - equilibria.bias(W, MEAN)) / (1 + zeta**2)
    return jnp.concatenate([beta, u, players.discriminator.bias[None]])


def limit_of(players, limit):
    """Φ, to third order in v."""
    v = felt(players)
    return faces.array(equilibria.landing(players.generator, IMAGES, 8)) + jnp.einsum("iab,a,b->i", limit, v, v) / 2


@pytest.fixture(scope="module")
def covariance():
    """X of all of v, by another program: the flow's Jacobian by autodiff, the Lyapunov equation by SciPy."""
    with jax.enable_x64(True):
        field = spectra.expected_field(slanted_land(IMAGES, nodes=8))
        flow = -jax.jit(jax.jacfwd(lambda v: felt(jax.tree.map(jnp.add, placed(0 * v), field(placed(v))))))(np.zeros(9))
        x = np.asarray(jax.vmap(lambda z: faces.array(distances.mean_image(placed(jnp.zeros(9)).generator)))(Z))
        w, b = W, np.asarray(equilibria.bias(W, MEAN))
    x = 1 / (1 + np.exp(-(np.outer(Z, w) + b)))
    source = np.zeros((9, 9))
    source[4:8, 4:8] = np.einsum("n,na,nb->ab", CHANCES, x - MEAN, x - MEAN) / 4
    return solve_continuous_lyapunov(np.asarray(flow), -source)
