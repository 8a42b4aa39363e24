import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from slantgan_jax import Discriminator, Generator, faces, generate, logit, mlp, networks
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.slow
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
    np.testing.assert_allclose(jax.jit(network.apply)(layers, x), expected, rtol=1e-14)


# Initializers by their published definitions: the variance and the largest size of a weight of 300 inputs, 200 outputs.
# A normal number cut off at two deviations has the variance of scipy's truncnorm.

CUT_VARIANCE = stats.truncnorm.var(-2, 2)
INITIALIZERS = {
    "Xavier uniform": (2 / 500, np.sqrt(6 / 500)),
    "Xavier normal": (2 / 500, None),
    "He uniform": (2 / 300, np.sqrt(6 / 300)),
    "He normal": (2 / 300, None),
    "orthogonal": (1 / 300, None),  # 200 orthonormal rows of 300 numbers
    "orthogonal, gain 0.8": (0.64 / 300, None),
    "normal, deviation 0.02": (4e-4, None),
    "PyTorch": (1 / 900, 300**-0.5),
    "Keras": (2 / 500, np.sqrt(6 / 500)),
    "Haiku": (CUT_VARIANCE / 300, 2 * 300**-0.5),
}


@pytest.mark.slow
def test_initializers_have_their_published_variance_and_bounds():
    assert set(INITIALIZERS) == set(networks.INITIALIZERS)
    nets = {name: mlp(300, 200, 3, init=init) for name, init in networks.INITIALIZERS.items()}
    found = jax.jit(lambda: {name: net.init(jax.random.key(2)) for name, net in nets.items()})()
    for name, (variance, bound) in INITIALIZERS.items():
        (weights, biases), last = found[name]
        chex.assert_shape((weights, biases, *last), [(200, 300), (200,), (3, 200), (3,)])
        weights = np.asarray(weights, np.float64)
        # Of 60,000 numbers: the variance of a normal one has the relative error √(2 / 60000) = 0.6 %.
        np.testing.assert_allclose(weights.var(), variance, rtol=0.03, err_msg=name)
        assert abs(weights.mean()) < 5 * np.sqrt(variance / weights.size), name
        if bound is not None:
            assert 0.99 * bound < np.abs(weights).max() <= bound * (1 + 1e-6), name
        elif "orthogonal" not in name:  # normal numbers have the fourth moment 3, with an error of √(96 / 60000) = 0.04
            assert abs(np.mean(weights**4) / variance**2 - 3) < 0.2, name
        if name == "PyTorch":
            assert 0.9 * bound < np.abs(biases).max() <= bound
            assert abs(np.mean(biases)) < 5 * bound / np.sqrt(3 * 200)
        else:
            assert not np.any(biases), name


@pytest.mark.parametrize("name", slow_unless(["orthogonal", "orthogonal, gain 0.8"], "orthogonal, gain 0.8"))
def test_orthogonal_weights_keep_lengths_up_to_their_gain(x64, name):
    gain = 0.8 if "gain" in name else 1.0
    wide, narrow = jax.jit(mlp(5, 7, 3, init=networks.INITIALIZERS[name]).init)(jax.random.key(0))
    np.testing.assert_allclose(wide.weights.T @ wide.weights, gain**2 * np.eye(5), atol=1e-14)
    np.testing.assert_allclose(narrow.weights @ narrow.weights.T, gain**2 * np.eye(3), atol=1e-14)


@pytest.mark.parametrize("biases", [[0.5], np.array([0.5], ">f4"), np.array([0.5], np.float16), np.array([0.5])])
def test_biases_of_an_initializer_take_the_precision_of_the_trace_as_weights_do(biases):
    network = mlp(2, 1, init=lambda key, shape, dtype: (np.ones(shape), biases))
    layers = network.init(jax.random.key(0))
    chex.assert_trees_all_equal_dtypes(layers, (networks.Layer(jnp.ones(1), jnp.ones(1)),))
    assert network.apply(layers, np.array([1.0, 2.0])) == 3.5


@pytest.mark.slow
def test_every_layer_starts_with_numbers_of_its_own():
    one, two, _ = jax.jit(mlp(4, 4, 4, 4, init=networks.pytorch_linear).init)(jax.random.key(0))
    numbers = np.concatenate([np.ravel(leaf) for leaf in (*one, *two)])
    assert np.unique(numbers).size == numbers.size


def test_batch_normalization_is_its_formula(x64):
    network = mlp(3, 5, 4, 2, activation=jnp.tanh, batch_norm=True)
    rng = np.random.default_rng(0)
    layers = tuple(networks.Layer(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in ((3, 5), (5, 4), (4, 2)))
    batch = expected = rng.normal(size=(7, 3))
    for weights, biases in layers[:-1]:
        hidden = expected @ weights.T
        expected = np.tanh((hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3) + biases)
    expected = expected @ layers[-1].weights.T + layers[-1].biases  # the last layer is not normalized
    apply = jax.jit(jax.vmap(network.apply, (None, 0), axis_name=networks.BATCH))
    np.testing.assert_allclose(apply(layers, batch), expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"no batch here: use games.minibatch, or jax.vmap\(..., axis_name"):
        network.apply(layers, batch[0])
    with pytest.raises(ValueError, match="no batch here"):
        jax.vmap(network.apply, (None, 0))(layers, batch)  # a map without the name


def test_a_batch_of_one_is_refused():
    """Of one image the mean is the image: nothing but f(b) would come out of a hidden layer."""
    network = mlp(3, 5, 2, batch_norm=True)
    layers = network.init(jax.random.key(1))
    with pytest.raises(ValueError, match="a batch of one image"):
        jax.vmap(network.apply, (None, 0), axis_name=networks.BATCH)(layers, jnp.ones((1, 3)))
