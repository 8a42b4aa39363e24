from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, faces, games, logit, losses, networks, penalties, slanted_land
from slantgan_jax.numerics import squared_norm
from slantgan_jax.penalties import PenaltyInputs

pytestmark = pytest.mark.usefixtures("quick_compile")

IMAGES = PenaltyInputs(jnp.array([0.9, 0.1]), jnp.array([0.4, 0.7]), jnp.array(0.25), jnp.array([1.5, -0.5]))


def curved(image):
    """A logit that is not affine, with the gradient (2 x₀ x₁, x₀²)."""
    return image[0] ** 2 * image[1]


def slope(x):
    return np.array([2 * x[0] * x[1], x[0] ** 2])


MIXED = 0.25 * np.array([0.9, 0.1]) + 0.75 * np.array([0.4, 0.7])
PERTURBED = np.array([0.9, 0.1]) + 0.2 * np.array([1.5, -0.5])  # √0.04 times the noise
FORMULAS = {
    "r1": (penalties.r1(3.0), 3 / 2 * np.sum(slope([0.9, 0.1]) ** 2)),
    "r2": (penalties.r2(3.0), 3 / 2 * np.sum(slope([0.4, 0.7]) ** 2)),
    "wgan_gp": (penalties.wgan_gp(3.0), 3 * (np.linalg.norm(slope(MIXED)) - 1) ** 2),
    "zero_centered": (penalties.zero_centered(3.0), 3 * np.sum(slope(MIXED) ** 2)),
    "dragan": (penalties.dragan(3.0, 0.04, 0.5), 3 * (np.linalg.norm(slope(PERTURBED)) - 0.5) ** 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_penalties_of_a_curved_logit_are_their_formulas(x64, name):
    penalty, expected = FORMULAS[name]
    images = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), IMAGES)
    np.testing.assert_allclose(penalty(curved, images), expected, rtol=1e-6)  # the images are float32 numbers


@pytest.mark.slow
@pytest.mark.parametrize("make", [slanted_land, games.dirac], ids=["slanted land", "dirac"])
def test_identities_for_an_affine_logit(x64, make):
    """R1 = R2 = γ/2 ‖u‖², zero-centered with λ = γ/2 too, WGAN-GP = DRAGAN: in values and in the gradients of D."""
    plain = make()
    drawing = games.penalized(make(), penalties.wgan_gp(1.0), penalties.dragan(1.0))
    players, sample = plain.init(jax.random.key(3)), drawing.sample(jax.random.key(4), 9)
    square = squared_norm(players.discriminator.weights if make is slanted_land else players.discriminator)

    @jax.jit
    def added():
        def by(penalty, players):
            own, others = (games.total_losses(g, players, sample) for g in (games.penalized(make(), penalty), plain))
            return own.discriminator - others.discriminator

        return [jax.value_and_grad(partial(by, penalty))(players) for penalty in all_of_them]

    gamma = 1.3
    all_of_them = [penalties.r1(gamma), penalties.r2(gamma), penalties.zero_centered(gamma / 2)]
    all_of_them += [penalties.wgan_gp(gamma), penalties.dragan(gamma)]
    r1, r2, zero_centered, wgan_gp, dragan = added()
    np.testing.assert_allclose(r1[0], gamma / 2 * square, rtol=1e-13)
    np.testing.assert_allclose(wgan_gp[0], gamma * (jnp.sqrt(square) - 1) ** 2, rtol=1e-12)
    for one, other in ((r1, r2), (r1, zero_centered), (wgan_gp, dragan)):
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-14), one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMULAS)
def test_penalties_are_safe_where_the_gradient_vanishes(name):
    game = games.penalized(slanted_land(faces.FACES), FORMULAS[name][0])
    players = jax.tree.map(jnp.zeros_like, game.init(jax.random.key(0)))

    def loss(players):
        return games.total_losses(game, players, game.sample(jax.random.key(1), 0)).discriminator

    chex.assert_tree_all_finite(jax.jit(lambda p: (jax.grad(loss)(p), jax.hessian(loss)(p)))(players))


@pytest.mark.slow
def test_no_penalty_and_penalties_of_strength_zero_change_nothing():
    plain = slanted_land(faces.FACES)
    game = games.penalized(plain, penalties.r1(0.0), penalties.wgan_gp(0.0), penalties.dragan(0.0))
    players, sample = plain.init(jax.random.key(0)), game.sample(jax.random.key(1), 5)
    found, unpenalized, expected = (
        jax.grad(lambda p, g=g: games.total_losses(g, p, sample).discriminator)(players)
        for g in (game, games.penalized(plain), plain)
    )
    chex.assert_trees_all_equal(found, unpenalized, expected)


@pytest.mark.slow
def test_spectral_normalization_gives_the_logit_slope_one(x64):
    players = slanted_land().init(jax.random.key(0))
    normalized = penalties.spectral(logit)
    image = tuple(jnp.array([0.9, 0.1, 0.2, 0.8]))
    found = jax.jit(jax.grad(normalized, 1))(players.discriminator, image)
    weights = np.array(players.discriminator.weights)
    np.testing.assert_allclose(np.array(found), weights / np.linalg.norm(weights), rtol=1e-14)
    affine = np.array(found) @ np.array(image) + players.discriminator.bias  # the bias is not touched
    np.testing.assert_allclose(normalized(players.discriminator, image), affine)
    at_zero = jax.tree.map(jnp.zeros_like, players.discriminator)
    chex.assert_tree_all_finite(jax.jit(jax.grad(normalized))(at_zero, image))
    trained = jax.jit(lambda key: networks.init(key, image))(jax.random.key(1))
    assert slanted_land(logit=normalized).losses.generator[0](trained, slanted_land().sample(jax.random.key(0), 0)) > 0


def test_spectral_normalization_of_weights_whose_squares_are_no_normal_numbers_is_zero():
    """Of a matrix and of a row; the derivative is finite. Other weights have the quotient of any size."""
    weights, image = np.array([[3.0, 0.0], [0.0, 4.0]]), jnp.array([1.0, 2.0])
    normalized = penalties.spectral(lambda layer, image: jnp.sum(layer.weights @ image))
    of = jax.jit(lambda *each: [jax.value_and_grad(normalized)(networks.Layer(one, 0.0), image) for one in each])
    for size in (1e-30, 1e-20, 1e-18):
        (matrix, slopes), (row, slope) = of(*(jnp.float32(size * one) for one in (weights, weights.sum(0))))
        np.testing.assert_allclose((matrix, row), (11 / 4, 11 / 5) if size > 1e-19 else 0, rtol=1e-6)
        chex.assert_tree_all_finite((slopes, slope))


def test_clipping_projects_onto_the_box():
    optimizer = penalties.clipped(optax.sgd(1.0), 0.1)
    parameters = jnp.array([0.05, -0.05, 0.0])
    updates, _ = optimizer.update(jnp.array([1.0, -1.0, 0.03]), optimizer.init(parameters), parameters)
    np.testing.assert_allclose(optax.apply_updates(parameters, updates), [-0.1, 0.1, -0.03], rtol=1e-6)


def test_penalty_in_the_tutorials_order_belongs_to_the_step_on_the_fake():
    for objective, steps in ((losses.non_saturating, 2), (losses.relativistic, 1)):
        game = games.penalized(slanted_land(objective=objective), penalties.r1(1.0))
        assert isinstance(game.losses, Players)
        assert len(game.losses.discriminator) == steps


def test_the_slope_of_a_normalizing_discriminator_is_that_of_the_sum_of_the_batch(x64):
    """R1 by central differences of D in NumPy; the slopes of each logit by its own image would give another number."""
    rng = np.random.default_rng(0)
    layers = tuple(networks.Layer(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in ((2, 3), (3, 1)))
    (w, b), (v, c) = layers
    points, apply = rng.normal(size=(4, 2)), networks.mlp(2, 3, 1, activation=jnp.tanh, batch_norm=True).apply
    game = games.gan(
        lambda key: Players(0.0, layers),
        lambda point, latent: point * jnp.ones(2) * latent,
        lambda parameters, point: apply(parameters, point)[0],
        distributions.cyclic(points),
    )
    plain, penalized = (games.minibatch(games.penalized(game, *added), 4) for added in ((), (penalties.r1(2.0),)))
    players = Players(np.float64(1), layers)

    @jax.jit
    def losses_of_both():
        sample = plain.sample(jax.random.key(0), 0)
        return [games.total_losses(one, players, sample).discriminator for one in (penalized, plain)]

    def logits(points):
        hidden = points @ w.T
        return np.tanh((hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3) + b) @ v[0] + c[0]

    slopes = np.zeros((4, 4, 2))  # of each logit by each image
    for image, pixel in np.ndindex(4, 2):
        step = np.zeros((4, 2))
        step[image, pixel] = 1e-6
        slopes[:, image, pixel] = (logits(points + step) - logits(points - step)) / 2e-6
    found = losses_of_both()
    # Central differences: 1e-12 of the third derivative, 1e-16 / 1e-6 of rounding.
    np.testing.assert_allclose(found[0] - found[1], np.mean(np.sum(slopes.sum(0) ** 2, axis=-1)), atol=1e-8)
    own = np.mean(np.sum(slopes[np.arange(4), np.arange(4)] ** 2, axis=-1))
    assert abs(found[0] - found[1] - own) > 0.1 * own


@pytest.mark.slow
def test_labels_take_part_in_no_penalty_and_no_noise():
    """A conditional GAN: D has a row of weights for each label, of which G draws one, too. ∇ℓ is the row, (2, 2)."""
    points, labels = np.array([[1.0, 2.0], [0.0, 1.0], [0.4, 0.3]]), np.array([2**24 + 1, 0, 2])
    item = distributions.cyclic({"point": points, "label": labels}).sample(jax.random.key(0), 0, 0)
    assert item["label"] == 2**24 + 1
    with pytest.raises(ValueError, match="labels that int32 does not have"):
        distributions.cyclic({"point": points, "label": 2**31 * labels}).sample(jax.random.key(0), 0, 0)
    swapped = {"point": points.astype(">f8"), "label": labels.astype(">i8")}  # bytes in another order
    jax.tree.map(np.testing.assert_array_equal, distributions.cyclic(swapped).sample(jax.random.key(0), 0, 0), item)
    pixels = distributions.cyclic(labels).sample(jax.random.key(0), 1, 0)  # alone, whole numbers are pixels
    assert pixels.dtype == jnp.float32

    def drawn(key):
        one, other = jax.random.split(key)
        return {"z": jax.random.normal(one), "label": jax.random.randint(other, (), 0, 3)}

    game = games.gan(
        lambda key: Players(jnp.ones((3, 2)), 2 * jnp.ones((3, 2))),
        lambda rows, latent: {"point": rows[latent["label"]] * latent["z"], "label": latent["label"]},
        lambda rows, image: rows[image["label"]] @ image["point"],
        distributions.cyclic({"point": points, "label": np.arange(3)}),
        distributions.from_sampler(drawn),
        losses.wasserstein,
        noise=0.1,
    )
    players, key = game.init(jax.random.key(0)), jax.random.key(1)
    for penalty, value in (
        (penalties.r1(2.0), 8), (penalties.r2(2.0), 8), (penalties.zero_centered(1.0), 8),
        (penalties.wgan_gp(1.0), (8**0.5 - 1) ** 2), (penalties.dragan(1.0), (8**0.5 - 1) ** 2),
    ):  # fmt: skip
        penalized = games.penalized(game, penalty)
        for step in (2,):
            sample = penalized.sample(key, step)
            assert sample.real["label"] == step
            assert jnp.issubdtype(sample.real["label"].dtype, jnp.integer)
            total = jax.jit(games.total_losses, static_argnums=0)
            found, plain = (total(one, players, sample).discriminator for one in (penalized, game))
            np.testing.assert_allclose(found - plain, value, rtol=1e-4)
    sample = game.sample(key, 0)
    noise = sum(2 * 0.1 * np.sum(n["point"]) * sign for n, sign in ((sample.real_noise, -1), (sample.fake_noise, 1)))
    clean = -2 * points[0].sum() + 2 * 2 * sample.latent["z"]
    np.testing.assert_allclose(games.total_losses(game, players, sample).discriminator, clean + noise, rtol=1e-5)
