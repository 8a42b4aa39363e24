"""What is called exact, projected or finite is so for networks, shapes and rules of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import (
    Discriminator,
    Players,
    distributions,
    faces,
    fields,
    games,
    mlp,
    penalties,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.analysis import equilibria, spectra, thresholds
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")


def squared_logit(discriminator, image):
    """A logit that is not affine: half of the square of the tutorial's."""
    return (jnp.stack(discriminator.weights) @ jnp.stack(image) + discriminator.bias) ** 2 / 2


PENALTIES = {
    "WGAN-GP": penalties.wgan_gp(1.0),
    "zero-centered": penalties.zero_centered(1.0),
    "DRAGAN": penalties.dragan(1.0, 0.25),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PENALTIES)
def test_the_expectation_of_a_penalty_of_a_curved_logit_is_that_of_samples(x64, name):
    """A million samples, beside what the expectation says: five standard errors apart at most."""
    game = games.penalized(slanted_land(logit=squared_logit), PENALTIES[name])
    players = game.init(jax.random.key(3))
    exact = jax.jit(lambda: games.expected_losses(game, players).discriminator)()
    keys = jax.random.key(0)

    def sampled(step):
        return games.total_losses(game, players, game.sample(keys, step)).discriminator

    values = np.asarray(jax.jit(lambda: jax.lax.map(jax.vmap(sampled), jnp.arange(1_000_000).reshape(100, -1)))())
    error = values.std() / 1000
    assert abs(values.mean() - exact) < 5 * error, (values.mean(), exact, error)
    assert error < 0.01 * abs(exact)
    estimate = jax.jit(lambda: games.quadrature_error(game, players).discriminator)()
    assert estimate < 1e-3 * abs(exact)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_error_of_a_quadrature_is_estimated(x64, scale):
    """A perceptron of normal latents: the estimate is near the difference from a quadrature of 400 nodes."""
    generator = mlp(1, 8, 1, activation=jnp.tanh)
    layers = jax.tree.map(lambda leaf: scale * leaf, generator.init(jax.random.key(1)))

    def game_of(latent):
        return games.gan(
            lambda key: Players(layers, jnp.array(1.5)),
            lambda layers, z: generator.apply(layers, z[None])[0],
            lambda u, x: u * x,
            distributions.cyclic(np.zeros(1)),
            latent,
        )

    def nodes(count):
        points, weights = np.polynomial.hermite_e.hermegauss(count)
        return lambda: (jnp.asarray(points), jnp.asarray(weights / weights.sum()))

    def normal(count):
        return distributions.normal()._replace(nodes=nodes(count), finer=lambda: normal(5 * count))

    @jax.jit
    def compared(players):
        found, exact = (games.expected_losses(game_of(normal(count)), players).generator for count in (8, 180))
        return found, exact, games.quadrature_error(game_of(normal(8)), players).generator

    found, exact, estimate = compared(Players(layers, jnp.array(1.5)))
    assert 0.5 * abs(found - exact) < estimate < 2 * abs(found - exact)
    assert estimate > 1e-6
    plain = slanted_land()
    assert max(jax.jit(lambda key: games.quadrature_error(plain, plain.init(key)))(jax.random.key(0))) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("shape", slow_unless([(4,), (3, 5), (5, 3), (1, 4), (4, 1), (2, 3, 2)], (3, 5)))
def test_the_spectral_norm_is_the_largest_singular_value(x64, shape):
    weights = np.random.default_rng(0).normal(size=shape)
    matrix = weights.reshape(shape[0], -1) if len(shape) > 1 else weights[None]
    normalized = penalties.spectral(lambda layer, image: jnp.sum(layer.weights * image))
    largest = np.linalg.svd(matrix)[1].max()
    both = jax.jit(jax.value_and_grad(lambda w: normalized(Discriminator(w, 0.0), jnp.ones(shape))))
    value, slope = both(weights)
    assert value == pytest.approx(float(weights.sum() / largest), rel=1e-12)
    assert abs(np.sum(slope * weights)) < 1e-10  # a quotient of two homogeneous functions does not change along W
    value, slope = both(np.zeros(shape))
    assert value == 0
    assert np.isfinite(slope).all()


@pytest.mark.slow
def test_every_layer_of_a_perceptron_is_normalized(x64):
    network = mlp(4, 6, 1)
    layers = jax.jit(network.init)(jax.random.key(0))
    normalized = penalties.spectral(lambda layers, image: network.apply(layers, image)[0])
    by_hand = tuple(layer._replace(weights=layer.weights / np.linalg.norm(layer.weights, 2)) for layer in layers)
    found, expected = jax.jit(lambda image: (normalized(layers, image), network.apply(by_hand, image)[0]))(
        np.arange(4.0)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.slow
def test_clipped_players_never_leave_the_box():
    """A million steps in float32, of all sizes, from anywhere inside."""
    random = np.random.default_rng(0)
    bound = np.float32(0.01)
    start = jnp.asarray(random.uniform(-bound, bound, 1_000_000).astype(np.float32))
    steps = jnp.asarray((random.normal(size=1_000_000) * 10.0 ** random.uniform(-9, 2, 1_000_000)).astype(np.float32))
    optimizer = penalties.clipped(optax.identity(), float(bound))
    moves, _ = optimizer.update(steps, optimizer.init(start), start)
    ends = optax.apply_updates(start, moves)
    assert jnp.max(jnp.abs(ends)) <= bound
    expected = jnp.clip(start + steps, -bound, bound)
    assert jnp.max(jnp.abs(ends - expected)) <= np.spacing(bound)


def test_a_run_is_finite_only_if_all_that_the_rule_carries_is():
    """The average of players at 9e4 starts small, but the run has diverged."""
    game = games.two_player(lambda p: -1e4 * p.generator, lambda p: 0 * p.discriminator)
    rule = rules.averaged(rules.simultaneous(optax.sgd(1.0)), optax.ema(0.999, debias=False))
    result = train(jax.random.key(0), game, rule, 9)
    assert abs(result.state.players.generator) > 8e4
    assert abs(result.players.generator) < 1e3
    assert not result.finite
    assert train(jax.random.key(0), game, rules.averaged(rules.simultaneous(optax.sgd(1e-6)), optax.ema(0.9)), 9).finite


@pytest.mark.parametrize("method", ["lookahead", "past extragradient", "cgd", "extragradient"])
def test_players_in_half_precision_keep_it_with_swept_rates(method):
    def run(rate):
        made = {
            "lookahead": lambda: rules.lookahead(rules.simultaneous(optax.sgd(0.1)), 2, rate),
            "past extragradient": lambda: rules.past_extragradient(optax.sgd(0.1), rate),
            "cgd": lambda: rules.simultaneous(optax.sgd(0.1), fields.cgd(rate)),
            "extragradient": lambda: rules.simultaneous(optax.sgd(0.1), fields.extragradient(rate)),
        }[method]()
        game = games.bilinear()
        state = made.init(Players(jnp.bfloat16(1.0), jnp.bfloat16(0.5)))
        return jax.lax.fori_loop(0, 4, lambda _, state: made.step(game, state, ()), state).players

    for leaf in jax.jit(jax.vmap(run))(jnp.array([0.1, 0.5])):
        assert leaf.dtype == jnp.bfloat16
        assert jnp.isfinite(leaf).all()


def test_latents_do_not_depend_on_the_default_of_splitting():
    def run(key):
        return train(key, slanted_land(), rules.tutorial(optax.sgd(0.1)), 3).players.generator.biases[0]

    expected = run(jax.random.key(5))
    with jax.threefry_partitionable(False):
        assert run(jax.random.key(5)) == expected


@pytest.mark.slow
def test_spectra_refuse_single_precision():
    game, place = slanted_land(), equilibria.equilibrium(tuple(jnp.ones(4)), tuple(jnp.full((1, 4), 0.4).T))
    rule = rules.simultaneous(optax.sgd(0.1))
    for call in (
        lambda: spectra.flow_eigenvalues(game, place),
        lambda: spectra.update_eigenvalues(rule, game, place),
        lambda: spectra.fixed_point(rule, game, place),
        lambda: thresholds.critical_strength(lambda strength: game, place),
        lambda: thresholds.largest_stable_rate(lambda rate: rule, game, place),
    ):
        with pytest.raises(ValueError, match="need float64"):
            call()


@pytest.mark.slow
def test_zero_modes_are_found_without_tangents(x64):
    images = faces.unstack(faces.FACES)
    weights = tuple(jnp.array([1.0, -1.0, -0.5, 2.0]))
    place, tangents = equilibria.equilibrium(weights, images), equilibria.tangents(weights, images)

    def game(strength):
        return games.penalized(slanted_land(latent=distributions.uniform(nodes=12)), penalties.r1(strength))

    @jax.jit
    def found():
        values = [spectra.flow_eigenvalues(game(0.1), place, tangents=along) for along in (None, tangents)]
        strengths = thresholds.critical_strength(game, place, points=20)
        return [spectra.summarize_flow(each) for each in values], strengths.stabilizing

    (without, beside), stabilizing = found()
    assert int(without.zero_modes) == int(beside.zero_modes) == 4
    assert spectra.Stability(int(without.verdict)).name == "STABLE"
    np.testing.assert_allclose(without.growth, beside.growth, rtol=1e-9)
    assert stabilizing == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-36, 1e-19, 1.0, 1e20, 1e36])
def test_cgd_is_as_exact_for_small_and_large_players(size):
    """On the game x y with x = 1, y = 2 and η = ½, the direction d has d_x + d_y / 2 = 2 and d_y - d_x / 2 = -1."""
    losses = games.SampleLosses(games.bilinear(), ())
    found = jax.jit(fields.cgd(0.5)(losses))(Players(*np.float32([size, 2 * size])))
    np.testing.assert_allclose(np.float64(found) / np.float64(np.float32(size)), [2, 0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0, 1000.0])
def test_cgd_solves_its_system_to_rounding(rate):
    """x·A y with random rotations and singular values from 0.1 to 1, in float32, against a solution in float64."""
    random, size = np.random.default_rng(0), 3
    (left, _), (right, _) = (np.linalg.qr(random.normal(size=(size, size))) for _ in range(2))
    matrix = left @ np.diag(np.geomspace(1, 0.1, size)) @ right
    players = random.normal(size=(2, size))
    jacobian = np.block([[np.zeros((size, size)), matrix], [-matrix.T, np.zeros((size, size))]])
    system = np.eye(2 * size) + rate * jacobian
    expected = np.linalg.solve(system, jacobian @ players.ravel())

    def losses(p):
        value = p.generator @ jnp.asarray(matrix, jnp.float32) @ p.discriminator
        return Players(value, -value)

    found = np.concatenate(fields.cgd(rate)(losses)(Players(*jnp.asarray(players, jnp.float32))))
    bound = 6 * np.linalg.cond(system) * np.finfo(np.float32).eps
    assert np.linalg.norm(found - expected) < bound * np.linalg.norm(expected)
