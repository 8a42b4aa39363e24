"""Games with networks and minibatches, against a program in NumPy that knows neither the library nor JAX."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, fields, games, losses, mlp, penalties, rules, slanted_land, train
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, LATENT, HIDDEN, POINT = 5, 3, 4, 2
DATA = np.random.default_rng(1).normal(size=(12, POINT))
G, D = mlp(LATENT, HIDDEN, POINT, activation=jnp.tanh), mlp(POINT, HIDDEN, 1, activation=jnp.tanh)


def gan(objective=losses.non_saturating, *, data=None, **options):
    """Two perceptrons on points of the plane."""
    return games.gan(
        lambda key: Players(*(network.init(k) for network, k in zip((G, D), jax.random.split(key), strict=True))),
        G.apply,
        lambda discriminator, point: D.apply(discriminator, point)[0],
        distributions.cyclic(DATA) if data is None else data,
        distributions.normal((LATENT,)),
        objective,
        **options,
    )


class NumPyGan:
    """The losses of a minibatch and D's slope at a point, by hand."""

    def __init__(self, players):
        self.generator, self.discriminator = (
            [(np.array(layer.weights), np.array(layer.biases)) for layer in network] for network in players
        )

    @staticmethod
    def forward(network, x):
        (w1, b1), (w2, b2) = network
        return np.tanh(x @ w1.T + b1) @ w2.T + b2

    def slope(self, x):
        (w1, b1), (w2, _) = self.discriminator
        return ((1 - np.tanh(x @ w1.T + b1) ** 2) * w2) @ w1

    def losses(self, real, latents, penalty, epsilon):
        fake = self.forward(self.generator, latents)
        on_real, on_fake = (self.forward(self.discriminator, x)[:, 0] for x in (real, fake))
        mixed = epsilon[:, None] * real + (1 - epsilon[:, None]) * fake
        lengths = {x: np.linalg.norm(self.slope(at), axis=1) for x, at in (("real", real), ("mixed", mixed))}
        added = {"none": 0, "r1": 0.7 / 2 * lengths["real"] ** 2, "wgan_gp": 0.7 * (lengths["mixed"] - 1) ** 2}[penalty]
        discriminator = np.mean(np.logaddexp(0, -on_real) + np.logaddexp(0, on_fake) + added)
        return np.mean(np.logaddexp(0, -on_fake)), discriminator


PENALTIES = {"none": (), "r1": (penalties.r1(0.7),), "wgan_gp": (penalties.wgan_gp(0.7),)}


@pytest.mark.parametrize("penalty", slow_unless(PENALTIES, "wgan_gp"))
def test_losses_and_gradients_of_a_minibatch_are_those_of_a_numpy_program(x64, penalty):
    game = games.minibatch(games.penalized(gan(), *PENALTIES[penalty]), BATCH)
    players, batch = jax.jit(lambda: (game.init(jax.random.key(3)), game.sample(jax.random.key(4), 6)))()
    assert batch.real.shape == (BATCH, POINT)
    np.testing.assert_array_equal(batch.real, DATA[np.arange(30, 35) % 12])  # samples number 30 to 34
    epsilon = np.zeros(BATCH) if batch.epsilon is None else np.array(batch.epsilon)

    def by_numpy(players):
        return NumPyGan(players).losses(np.array(batch.real), np.array(batch.latent), penalty, epsilon)

    losses_of = partial(games.total_losses, game, sample=batch)
    total, gradient = jax.jit(lambda players: (losses_of(players), fields.gradients(losses_of)(players)))(players)
    np.testing.assert_allclose(total, by_numpy(players), rtol=1e-13)
    found = [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, players))
    for number, leaf in enumerate(leaves):
        player = int(number >= 4)  # four leaves for each player
        for index in np.ndindex(leaf.shape):
            sides = []
            for size in (1e-6, -1e-6):
                moved = [np.array(x) for x in leaves]
                moved[number][index] += size
                sides.append(by_numpy(structure.unflatten(moved))[player])
            # Central differences: 1e-12 of the third derivative, 1e-16 / 1e-6 of rounding.
            np.testing.assert_allclose(found[number][index], (sides[0] - sides[1]) / 2e-6, atol=1e-8)


@pytest.mark.slow
def test_a_minibatch_of_one_is_the_game_itself():
    game = slanted_land()
    one, players = games.minibatch(game, 1), game.init(jax.random.key(0))
    sample, of_one = (jax.jit(each.sample) for each in (game, one))
    for step in range(3):
        alone, batch = sample(jax.random.key(1), step), of_one(jax.random.key(1), step)
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), alone, batch)
        # One operation at a time, since programs that are compiled whole may round differently.
        np.testing.assert_array_equal(games.total_losses(one, players, batch), games.total_losses(game, players, alone))


@pytest.mark.slow
def test_a_minibatch_of_all_data_and_all_latents_is_full_batch():
    """All five faces in each batch, and the expectation over z: nothing is random any more."""
    game = games.penalized(slanted_land(), penalties.r1(0.3))
    players = game.init(jax.random.key(0))
    whole = games.minibatch(games.expected(game, over="latent"), 5)
    found = jax.jit(lambda: games.total_losses(whole, players, whole.sample(jax.random.key(1), 17)))()
    np.testing.assert_allclose(found, jax.jit(partial(games.expected_losses, game))(players), rtol=1e-6)


def test_the_latents_of_a_minibatch_are_consecutive():
    game, key = games.minibatch(slanted_land(), 4), jax.random.key(5)
    found = jax.jit(jax.vmap(lambda step: game.sample(key, step).latent))(jnp.arange(3))
    np.testing.assert_array_equal(found, jax.random.uniform(jax.random.clone(key), (12,)).reshape(3, 4))


SAMPLED = {
    "instance noise": slanted_land(noise=0.4),
    "instance noise on the Dirac-GAN": games.dirac(noise=0.4),
    # Of all that is drawn, ε too: one point in the place of its distribution would not do.
    "a penalty of a discriminator that is not affine": games.penalized(gan(), penalties.wgan_gp(1.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_expected_losses_are_means_over_samples(name):
    game, steps = SAMPLED[name], jnp.arange(200_000)
    players = game.init(jax.random.key(3))
    losses_at = jax.jit(jax.vmap(lambda t: games.total_losses(game, players, game.sample(jax.random.key(2), t))))
    exact = jax.jit(partial(games.expected_losses, game))(players)
    for found, draws in zip(exact, losses_at(steps), strict=True):
        assert abs(found - draws.mean()) < 4 * draws.std() / np.sqrt(draws.size)  # 4 standard errors
        assert draws.std() > 0.01


@pytest.mark.slow
def test_two_perceptrons_learn_where_the_data_are():
    """A Gaussian of deviation 0.1 about (1, -1): the mean of what is drawn comes there."""
    data = distributions.from_sampler(lambda key: jnp.array([1.0, -1.0]) + 0.1 * jax.random.normal(key, (POINT,)))
    game = games.minibatch(games.penalized(gan(data=data), penalties.r1(1.0)), 32)
    rule = rules.averaged(rules.alternating(optax.adam(1e-2, b1=0.5)), optax.ema(0.99))
    players = jax.jit(lambda key: train(key, game, rule, 1500))(jax.random.key(0)).players
    latents = jax.random.normal(jax.random.key(9), (1000, LATENT))
    drawn = jax.vmap(lambda z: G.apply(players.generator, z))(latents)
    np.testing.assert_allclose(drawn.mean(0), [1.0, -1.0], atol=0.1)
