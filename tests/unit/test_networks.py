import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slantgan_jax import Discriminator, Generator, faces, generate, logit, mlp, networks
from tests.tables import slow_unless


@pytest.mark.parametrize("side", slow_unless([2, 3, 6], 3))
def test_scalar_and_array_leaves_are_the_same_networks(side):
    image, init = np.asarray(faces.slanted(jax.random.key(0), 1, side)[0]), jax.jit(networks.init)
    by_array, by_pixel = init(jax.random.key(1), image), init(jax.random.key(1), faces.unstack(image))
    np.testing.assert_array_equal(networks.to_vector(by_array), networks.to_vector(by_pixel))
    np.testing.assert_array_equal(generate(by_array.generator, 0.3), faces.stack(generate(by_pixel.generator, 0.3)))
    # The sum over pixels is taken in another order: rounding of a sum of side² terms of size about 1.
    np.testing.assert_allclose(
        logit(by_array.discriminator, image), logit(by_pixel.discriminator, faces.unstack(image)), atol=1e-6 * side**2
    )


def test_initial_parameters_are_the_documented_normals():
    key = jax.random.key(5)
    players = networks.init(key, jnp.zeros(4))
    normals = jax.random.normal(jax.random.clone(key), (13,))
    found = [
        players.discriminator.weights,
        players.discriminator.bias[None],
        players.generator.weights,
        players.generator.biases,
    ]
    np.testing.assert_array_equal(jnp.concatenate(found), normals)
    chex.assert_shape(jax.tree.leaves(players), [(4,), (4,), (4,), ()])


@pytest.mark.parametrize("stacked", [False, True])
def test_players_are_a_vector_and_back(stacked):
    players = networks.init(jax.random.key(5), jnp.zeros(4) if stacked else faces.unstack(jnp.zeros(4)))
    numbers = networks.to_vector(players)
    (w, b), (u, c) = players
    np.testing.assert_array_equal(numbers, jnp.concatenate([faces.stack(w), faces.stack(b), faces.stack(u), c[None]]))
    chex.assert_trees_all_equal(networks.from_vector(numbers, stacked=stacked), players)


def test_networks_are_the_formulas_and_those_that_the_article_makes_by_hand():
    rng = np.random.default_rng(0)
    w, b, u, x = rng.normal(size=(4, 4))
    z, c = 0.7, -0.3
    np.testing.assert_allclose(generate(Generator(w, b), z), 1 / (1 + np.exp(-(w * z + b))), rtol=1e-6)  # float32
    np.testing.assert_allclose(logit(Discriminator(u, c), x), u @ x + c, rtol=1e-6)
    detector = Discriminator((1.0, -1.0, -1.0, 1.0), 0.0)
    assert logit(detector, (1.0, 0.0, 0.0, 1.0)) == 2
    assert logit(detector, (0.25, 1.0, 0.5, 0.75)) == -0.5
    image = generate(Generator((1.0, -1.0, -1.0, 1.0), (1.0, -1.0, -1.0, 1.0)), 0.7)
    np.testing.assert_allclose(image, [0.84553474, 0.15446526, 0.15446526, 0.84553474], rtol=1e-6)  # σ(±1.7)


def test_a_perceptron_is_its_formula(x64):
    network = mlp(3, 5, 4, 2, activation=jnp.tanh)
    layers = jax.jit(network.init)(jax.random.key(0))
    x = np.array([0.3, -1.0, 2.0])
    expected = x
    for i, (weights, biases) in enumerate(layers):
        assert weights.dtype == jnp.float64
        assert not np.any(biases)
        bound = np.sqrt(6 / sum(weights.shape))  # Glorot & Bengio 2010, eq. 16
        assert bound / 2 < np.abs(weights).max() <= bound
        expected = np.asarray(weights) @ expected + np.asarray(biases)
        expected = np.tanh(expected) if i < 2 else expected
    np.testing.assert_allclose(network.apply(layers, x), expected, rtol=1e-14)
