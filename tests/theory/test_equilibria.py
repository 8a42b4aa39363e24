from decimal import Decimal, localcontext

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from article_stream import article_players, article_stream
from jax.flatten_util import ravel_pytree

from slantgan_jax import Discriminator, Generator, Objective, Players, distributions, faces, games, losses, slanted_land
from slantgan_jax.analysis import distances, equilibria, quadrature, spectra
from slantgan_jax.numerics import as_float
from tests.tables import slow_unless

EPS = np.finfo(float).eps
IMAGES = faces.unstack(faces.FACES)
MEAN = faces.FACES.mean(0)
bias = jax.jit(equilibria.bias)
WEIGHTS = [0.0, 1e-300, 1e-9, 1e-3, 0.3, 0.5, 0.51, 1.0, 4.0, 20.0, 88.8, 300.0, 700.0]
MEANS = [1e-9, 0.1, 0.12, 0.5, 0.5000001, 0.86, 0.88, 1 - 1e-9]


def exact_bias(w, m):
    """ln(e^{wm} - 1) - ln(e^w - e^{wm}) with 700 digits: 1e-300 costs 600 of them."""
    with localcontext() as context:
        context.prec = 700 if 0 < abs(w) < 1e-100 else 60
        w, m = Decimal(w), Decimal(m)
        if w == 0:
            return float((m / (1 - m)).ln())
        return float((((w * m).exp() - 1) / (w.exp() - (w * m).exp())).ln())


def exact_mean(w, b):
    with localcontext() as context:
        context.prec = 60
        w, b = Decimal(w), Decimal(b)
        return ((1 + (w + b).exp()).ln() - (1 + b.exp()).ln()) / w


@pytest.mark.slow
def test_the_field_vanishes_at_equilibria_of_generators_that_are_steps(x64):
    """By panels of `quadrature.with_panels`: no fixed rule resolves an interval of 1/1000 in which a pixel changes."""
    for weights in ([1000.0, -1000.0, 700.0, -900.0], [300.0, 1e-3, 0.0, -40.0]):
        players = equilibria.equilibrium(tuple(map(jnp.asarray, weights)), IMAGES)
        game = quadrature.with_panels(slanted_land(), players.generator)
        field = jax.jit(spectra.expected_field(game))(players)
        # Rounding of the mean pixel, an ulp of the bias ±1000 over |w|.
        np.testing.assert_allclose(ravel_pytree(field)[0], 0, atol=1e-14)
        np.testing.assert_allclose(games.expected_losses(game, players), [np.log(2), 2 * np.log(2)], rtol=1e-14)


def finely(images, objective=losses.non_saturating, nodes=200):
    """Slanted land with a finer quadrature, and its expected field as a function of the flat players."""
    game = slanted_land(images, objective, latent=distributions.uniform(nodes=nodes))
    _, unravel = ravel_pytree(jax.tree.map(as_float, article_players(article_stream(0, 1))))

    def own_loss(own, players, player):
        return games.expected_losses(game, Players(*players[:player], own, *players[player + 1 :]))[player]

    def field(flat):
        players = unravel(flat)
        return ravel_pytree([jax.grad(own_loss)(players[player], players, player) for player in range(2)])[0]

    return field, unravel


def test_the_bias_is_the_one_of_sixty_digits(x64):
    w, m = np.meshgrid([*WEIGHTS, *(-w for w in WEIGHTS)], MEANS)
    exact = np.vectorize(exact_bias)(w, m)
    # Four terms, each at most max(|w|, |logit m|) large and right to 2 ulps.
    assert np.all(np.abs(bias(w, m) - exact) <= 8 * EPS * np.maximum(np.maximum(np.abs(w), np.abs(exact)), 1))
    with jax.enable_x64(False):
        w, m = np.meshgrid(np.float32([-30, -0.2, 0, 1e-4, 3, 80]), np.float32([0.12, 0.5, 0.88]))
        found = bias(w, m)
    assert found.dtype == np.float32
    exact = np.vectorize(exact_bias)(w.astype(float), m.astype(float))
    assert np.all(np.abs(found - exact) <= 8 * np.finfo(np.float32).eps * np.maximum(np.abs(w), 2))
    np.testing.assert_array_equal(bias(1.0, np.array([0.0, 1.0])), [-np.inf, np.inf])
    assert np.isnan(bias(1.0, 1.1))


def test_the_mean_of_a_pixel_is_the_asked_one(x64):
    w, m = (array.ravel() for array in np.meshgrid([-1000.0, -30.0, -1.0, 0.1, 5.0, 50.0, 1000.0], MEANS))
    b = np.asarray(bias(w, m))
    off = np.array([float(exact_mean(*pair) - Decimal(mean)) for *pair, mean in zip(w, b, m, strict=True)])
    # dE/db ≤ min(1/4, 1/|w|), and b is right to a few ulps of max(1, |w|, |b|).
    assert np.abs(off).max() < 1e-15
    ours = jax.jit(distances.mean_image)(Generator(w, b))  # two programs by different hands
    np.testing.assert_allclose(ours, m, atol=3e-15)  # its quadrature's rounding


def test_the_bias_is_smooth_through_weight_zero(x64):
    m = np.array([0.1, 0.5, 0.88])
    slope = jax.grad(equilibria.bias)
    value, first, second = jax.jit(jax.vmap(lambda m: (bias(0.0, m), slope(0.0, m), jax.grad(slope)(0.0, m))))(m)
    np.testing.assert_allclose(value, np.log(m / (1 - m)), atol=4 * EPS)
    np.testing.assert_array_equal(first, -0.5)
    # b = logit m - w/2 + w² (2m - 1)/24 + O(w³): Λ(y) = y²/6 + ..., and m² - (1 - m)² = 2m - 1.
    np.testing.assert_allclose(second, (2 * m - 1) / 12, atol=4 * EPS)
    w = np.array([0.0, 1e-5, 7.0, 300.0])[:, None]
    found, reversed_ = bias(np.tile(w, 3), np.tile(m, (4, 1))), bias(-np.tile(w, 3), m[None])
    np.testing.assert_allclose(reversed_, found + w, atol=300 * 4 * EPS)  # z and 1 - z; ulps of |w|


def test_the_slope_is_minus_a_mean_latent(x64):
    w, m = (array.ravel() for array in np.meshgrid([-40, -3, -0.6, -0.5, -1e-3, 0, 1e-5, 0.3, 2, 11, 50], MEANS[1:-1]))
    z, weights = np.polynomial.legendre.leggauss(300)
    z, weights = (z + 1) / 2, weights / 2
    half = (w[:, None] * z + np.asarray(bias(w, m))[:, None]) / 2
    steepness = weights / np.cosh(half) ** 2
    # The quadrature's error at |w| = 50 with 300 nodes is rounding; so is coth y - 1/y, an ulp of 1/y ≤ 4.
    np.testing.assert_allclose(jax.jit(equilibria.slope)(w, m), -(steepness * z).sum(1) / steepness.sum(1), atol=2e-14)


OBJECTIVES = {
    "non-saturating": losses.non_saturating,
    "saturating": losses.saturating,
    "least squares": losses.least_squares(),
    "Wasserstein": losses.wasserstein,
}


@pytest.mark.parametrize("name", slow_unless(OBJECTIVES, "non-saturating"))
def test_the_expected_field_vanishes(x64, name):
    objective = OBJECTIVES[name]
    field, _ = finely(IMAGES, objective)
    weights = np.random.default_rng(0).uniform(-1, 1, (3, 5, 4)) * np.array([0.0, 2.0, 50.0])[:, None, None]

    @jax.jit
    @jax.vmap
    def at_equilibrium(w):
        return field(ravel_pytree(equilibria.equilibrium(w, IMAGES, objective))[0])

    # 200 nodes are exact at |w| = 50, so rounding remains: sums of 200 numbers below 1.
    assert np.abs(at_equilibrium(faces.unstack(weights.reshape(15, 4)))).max() < 1e-14


@pytest.mark.parametrize("objective", [losses.non_saturating, losses.saturating])
def test_there_are_no_others(x64, objective):
    """The three steps of the proof, at random players."""
    field, unravel = finely(IMAGES, objective, 20)
    field = jax.jit(jax.vmap(field))
    flat = np.random.default_rng(1).normal(size=(300, 13)) * 2
    by_bias = faces.stack(jax.vmap(unravel)(field(flat)).generator.biases)
    assert np.all(np.sign(by_bias) == -np.sign(flat[:, 8:12]))  # lowering the loss moves pixel i towards u_i
    flat[:, 8:12] = 0
    by_c = jax.vmap(unravel)(field(flat)).discriminator.bias
    np.testing.assert_array_equal(np.sign(by_c), np.sign(flat[:, 12]))
    flat[:, 12] = 0
    found = jax.vmap(unravel)(field(flat))
    np.testing.assert_array_equal(faces.stack(found.generator.biases), 0)
    excess = flat[:, 4:8] - np.asarray(bias(flat[:, :4], np.broadcast_to(MEAN, (300, 4))))
    np.testing.assert_array_equal(np.sign(faces.stack(found.discriminator.weights)), np.sign(excess))


@pytest.mark.slow
def test_the_surface_has_a_dimension_for_each_pixel(x64):
    """The field's Jacobian is 0 along the tangents, and along nothing else."""
    field, _ = finely(IMAGES, nodes=20)
    step = 1e-5
    weights = np.array([1.3, -0.4, 0.0, 2.2])

    @jax.jit
    def at(w):
        return ravel_pytree(equilibria.equilibrium(faces.unstack(w), IMAGES))[0]

    tangents = jax.jit(lambda w: equilibria.tangents(faces.unstack(w), IMAGES))(weights)
    basis = np.asarray(jax.jit(jax.vmap(lambda tangent: ravel_pytree(tangent)[0]))(tangents))
    chex.assert_shape(basis, (4, 13))
    jacobian = np.asarray(jax.jit(jax.jacfwd(field))(at(weights)))
    np.testing.assert_allclose(jacobian @ basis.T, 0, atol=1e-14)  # rounding of numbers below 1
    singular = np.linalg.svd(jacobian, compute_uv=False)
    assert singular[9] < 1e-14 < 1e-4 < singular[8]  # 13 - 4 = 9 directions are felt
    for i, shift in enumerate(step * np.eye(4)):
        secant = (at(weights + shift) - at(weights - shift)) / (2 * step)
        np.testing.assert_allclose(basis[i], secant, atol=1e-9)  # ε/step = 2e-11, step² = 1e-10
    np.testing.assert_allclose(np.diag(basis[:, 4:8]), equilibria.slope(weights, MEAN), atol=4 * EPS)


def test_an_undecided_discriminator_for_each_objective(x64):
    steep = Objective((lambda real, fake: 3 * losses.softplus(-real), losses.minus_log_not_fake), losses.logit_fake)
    unfair = Objective((lambda real, fake: 2 * real, losses.logit_fake), losses.logit_fake)
    objectives = (*OBJECTIVES.values(), losses.hinge, steep, unfair)
    *found, hopeless = jax.jit(lambda: [equilibria.undecided_logit(objective) for objective in objectives])()
    # Exactly but for the last, D = 3/4: its c is rounded.
    np.testing.assert_allclose(found, [0, 0, 0.5, 0, 0, np.log(3)], rtol=4 * EPS)
    assert np.isnan(hopeless)  # falls for ever


def test_project_keeps_the_weights_and_nothing_else(x64):
    players = article_players(article_stream(0, 1))
    project = jax.jit(lambda players: equilibria.project(players, IMAGES))
    found = project(players)
    chex.assert_trees_all_equal(found.generator.weights, players.generator.weights)
    chex.assert_trees_all_equal(found, project(found))
    gap = jax.jit(distances.mean_gap)(found.generator, IMAGES)
    assert gap < 1e-15  # rounding of E G(z), ulps of 0.9


def test_either_kind_of_leaf_batches_and_does_not_retrace(x64):
    weights = np.random.default_rng(2).normal(size=(6, 4))
    traced = jax.jit(jax.vmap(chex.assert_max_traces(lambda w: equilibria.equilibrium(w, faces.FACES), n=1)))
    by_array = traced(weights)
    by_pixel = jax.jit(jax.vmap(lambda w: equilibria.equilibrium(w, IMAGES)))(faces.unstack(weights))
    np.testing.assert_allclose(by_array.generator.biases, faces.stack(by_pixel.generator.biases), atol=2 * EPS)
    np.testing.assert_array_equal(traced(2 * weights).discriminator.weights, 0)


def test_players_are_what_the_game_starts_from(x64):
    players = jax.jit(lambda w: equilibria.equilibrium(w, IMAGES))(faces.unstack(np.ones(4)))
    assert isinstance(players.generator, Generator)
    assert isinstance(players.discriminator, Discriminator)
    example = jax.tree.structure(slanted_land().init(jax.random.key(0)))
    assert jax.tree.structure(players) == example
    # The tutorial's loss is 2 ln 2 for D and ln 2 for G all over the surface; 20 nodes suffice at w = 1.
    found = jax.jit(lambda players: games.expected_losses(slanted_land(), players))(players)
    np.testing.assert_allclose([found.discriminator, found.generator], [2 * np.log(2), np.log(2)], atol=4 * EPS)
