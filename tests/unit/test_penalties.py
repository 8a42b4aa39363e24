from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, games, logit, losses, networks, penalties, slanted_land
from slantgan_jax.numerics import squared_norm
from slantgan_jax.penalties import PenaltyInputs

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

    def added(penalty):
        game = games.penalized(make(), penalty)
        both = [partial(games.total_losses, each, sample=sample) for each in (game, plain)]
        return jax.value_and_grad(lambda p: both[0](p).discriminator - both[1](p).discriminator)(players)

    gamma = 1.3
    r1, r2, zero_centered = map(added, (penalties.r1(gamma), penalties.r2(gamma), penalties.zero_centered(gamma / 2)))
    wgan_gp, dragan = added(penalties.wgan_gp(gamma)), added(penalties.dragan(gamma))
    np.testing.assert_allclose(r1[0], gamma / 2 * square, rtol=1e-13)
    np.testing.assert_allclose(wgan_gp[0], gamma * (jnp.sqrt(square) - 1) ** 2, rtol=1e-12)
    for one, other in ((r1, r2), (r1, zero_centered), (wgan_gp, dragan)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "penalty",
    [penalties.r1(1.0), penalties.r2(1.0), penalties.wgan_gp(1.0), penalties.zero_centered(1.0), penalties.dragan(1.0)],
)
def test_penalties_are_safe_where_the_gradient_vanishes(penalty):
    game = games.penalized(slanted_land(), penalty)
    players = jax.tree.map(jnp.zeros_like, game.init(jax.random.key(0)))
    sample = game.sample(jax.random.key(1), 0)
    loss = lambda p: games.total_losses(game, p, sample).discriminator  # noqa: E731
    for derivative in (jax.grad(loss), jax.hessian(loss)):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(derivative(players)))


def test_no_penalty_and_penalties_of_strength_zero_change_nothing():
    plain = slanted_land()
    game = games.penalized(plain, penalties.r1(0.0), penalties.wgan_gp(0.0), penalties.dragan(0.0))
    players, sample = plain.init(jax.random.key(0)), game.sample(jax.random.key(1), 5)
    for which in (game, games.penalized(plain)):
        found, expected = (
            jax.grad(lambda p, g=g: games.total_losses(g, p, sample).discriminator)(players) for g in (which, plain)
        )
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_spectral_normalization_gives_the_logit_slope_one(x64):
    players = slanted_land().init(jax.random.key(0))
    normalized = penalties.spectral(logit)
    image = tuple(jnp.array([0.9, 0.1, 0.2, 0.8]))
    found = jax.grad(lambda x: normalized(players.discriminator, x))(image)
    weights = np.array(players.discriminator.weights)
    np.testing.assert_allclose(np.array(found), weights / np.linalg.norm(weights), rtol=1e-14)
    np.testing.assert_allclose(  # the bias is not touched
        normalized(players.discriminator, image), np.array(found) @ np.array(image) + players.discriminator.bias
    )
    at_zero = jax.tree.map(jnp.zeros_like, players.discriminator)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(jax.grad(normalized)(at_zero, image)))
    trained = jax.jit(lambda key: networks.init(key, image))(jax.random.key(1))
    assert slanted_land(logit=normalized).losses.generator[0](trained, slanted_land().sample(jax.random.key(0), 0)) > 0


def test_clipping_projects_onto_the_box():
    optimizer = penalties.clipped(optax.sgd(1.0), 0.1)
    parameters = jnp.array([0.05, -0.05, 0.0])
    updates, _ = optimizer.update(jnp.array([1.0, -1.0, 0.03]), optimizer.init(parameters), parameters)
    np.testing.assert_allclose(optax.apply_updates(parameters, updates), [-0.1, 0.1, -0.03], rtol=1e-6)


def test_penalty_in_the_tutorials_order_belongs_to_the_step_on_the_fake():
    game = games.penalized(slanted_land(), penalties.r1(1.0))
    assert len(game.losses.discriminator) == 2
    paired = games.penalized(slanted_land(objective=losses.relativistic), penalties.r1(1.0))
    assert len(paired.losses.discriminator) == 1
    assert isinstance(paired.losses, Players)
