from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from slantgan_jax import Players, distributions, faces, fields, games, losses, penalties, slanted_land

pytestmark = pytest.mark.usefixtures("quick_compile")

GAME = slanted_land()


@pytest.mark.slow
def test_every_part_of_a_sample_has_counters_of_its_own():
    """Stream s at step t is the hash of the counter (s, t), by JAX's own threefry."""
    key, step = jax.random.key(7), 12
    drawing = [penalties.wgan_gp(1.0), penalties.dragan(1.0)]
    drawn = jax.jit(games.penalized(slanted_land(noise=0.1, independent_latents=True), *drawing).sample)
    sample = drawn(key, step)
    numbers = [sample.latent, sample.generator_latent, sample.epsilon]
    for stream, number in enumerate(numbers):
        words = threefry_2x32(jax.random.key_data(key), jnp.array([stream, step], jnp.uint32))
        bits = ((words[0] ^ words[1]) >> 9) | 0x3F800000
        assert number == jax.lax.bitcast_convert_type(bits, jnp.float32) - 1
    noise = np.array(jax.tree.leaves((sample.real_noise, sample.fake_noise, sample.penalty_noise)))
    assert noise.shape == (12,)
    assert np.unique(noise).size == 12
    large = jax.jit(slanted_land(np.zeros((3, 9)), noise=0.1).sample)(key, step)
    assert large.real_noise.shape == (9,)
    np.testing.assert_array_equal(large.real_noise[:4], np.stack(sample.real_noise))


def test_a_step_draws_only_what_its_game_uses():
    for game, drawn in ((GAME, []), (games.penalized(GAME, penalties.wgan_gp(1.0)), ["epsilon"])):
        sample = game.sample(jax.random.key(0), 0)
        assert [name for name, value in sample._asdict().items() if value is not None] == ["latent", *drawn, "real"]


def test_a_label_beside_a_pixel_leaves_its_noise_integrable():
    """A pixel of the relativistic game, whose noise has nodes only if an image is one number."""
    pixels, objective = np.array([0.2, 0.9]), losses.relativistic

    def made(labeled):
        def image(x, label):
            return {"x": x, "label": label} if labeled else {"x": x}

        return games.gan(
            lambda key: Players(jnp.asarray(0.5), jnp.asarray(1.5)), lambda g, z: image(g + z, 1),
            lambda d, seen: d * seen["x"], distributions.cyclic(image(pixels, np.arange(2))), objective=objective,
            noise=0.3,
        )  # fmt: skip

    expected = jax.jit(games.expected_losses, static_argnums=0)
    with_labels, without = (expected(made(labeled), Players(0.5, 1.5)) for labeled in (True, False))
    np.testing.assert_array_equal(with_labels, without)


def test_noise_is_standard_normal():
    draws = jax.jit(jax.vmap(lambda t: distributions.normal().sample(jax.random.key(0), t, 3)))(jnp.arange(100_000))
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = np.sqrt({1: 1, 2: 2, 3: 15, 4: 96}[power] / 1e5)  # of the mean of x^power
        assert abs(np.mean(np.asarray(draws, np.float64) ** power) - moment) < 4 * spread


@pytest.mark.slow
def test_instance_noise_on_the_dirac_gan_is_a_one_dimensional_integral(x64):
    game = games.dirac(noise=0.7)
    players = Players(jnp.array(0.3), jnp.array(-1.2))
    n = np.linspace(-12, 12, 20_001)  # the trapezium rule is exact to rounding for a Gaussian
    density = np.exp(-(n**2) / 2)
    density /= density.sum()
    real, fake = -1.2 * 0.7 * n, -1.2 * (0.3 + 0.7 * n)
    expected = (np.logaddexp(0, -fake) @ density, (np.logaddexp(0, -real) + np.logaddexp(0, fake)) @ density)
    found = jax.jit(games.expected_losses, static_argnums=0)(game, players)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.slow
def test_a_fresh_latent_changes_the_generators_sample_and_no_expectation():
    shared, fresh = slanted_land(), slanted_land(independent_latents=True)
    players, sample = shared.init(jax.random.key(0)), fresh.sample(jax.random.key(1), 3)
    losses_of = jax.jit(partial(games.total_losses, shared))
    one, swapped = losses_of(players, sample), losses_of(players, sample._replace(latent=sample.generator_latent))
    other = jax.jit(partial(games.total_losses, fresh))(players, sample)
    assert one.discriminator == other.discriminator
    assert one.generator != other.generator == swapped.generator
    expected, of_shared = (jax.jit(partial(games.expected_losses, game))(players) for game in (fresh, shared))
    np.testing.assert_allclose(expected, of_shared, rtol=1e-6)


def test_the_expected_game_is_the_full_batch(x64):
    game = slanted_land(objective=losses.relativistic, latent=distributions.uniform(nodes=15))
    players = game.init(jax.random.key(5))
    z, weights = np.polynomial.legendre.leggauss(15)
    (w, b), (u, c) = jax.tree.map(np.asarray, jax.tree.map(faces.stack, players, is_leaf=lambda x: type(x) is tuple))
    fake = 1 / (1 + np.exp(-(np.outer((z + 1) / 2, w) + b))) @ u + c
    real = faces.FACES @ u + c
    paired = np.logaddexp(0, fake[None] - real[:, None]).mean(0) @ weights / 2
    found = jax.jit(games.expected_losses, static_argnums=0)(game, players)
    np.testing.assert_allclose(found.discriminator, paired, rtol=1e-13)


@pytest.mark.slow
def test_a_game_in_turn_has_the_data_one_after_the_other_and_their_mean_is_the_expected_game(x64):
    game = games.penalized(slanted_land(objective=losses.relativistic), penalties.r1(0.5))
    turn, players = games.expected(game, over="latent"), game.init(jax.random.key(5))

    @jax.jit
    def losses_of(step):
        image = faces.unstack(jnp.asarray(faces.FACES)[step % 5][None])
        one = games.penalized(slanted_land(image, losses.relativistic), penalties.r1(0.5))
        in_turn = games.total_losses(turn, players, turn.sample(jax.random.key(0), step))
        return in_turn, games.expected_losses(one, players)

    in_turn, alone = map(np.array, zip(*map(losses_of, range(2, 7)), strict=True))
    expected = games.expected_losses(game, players)
    np.testing.assert_allclose(in_turn, alone, rtol=1e-14)
    np.testing.assert_allclose(in_turn.mean(0), expected, rtol=1e-14)
    np.testing.assert_allclose(games.expected_losses(turn, players), expected, rtol=1e-14)


@pytest.mark.slow
def test_a_game_on_one_sample_has_its_losses_at_every_step():
    game = games.minibatch(games.penalized(GAME, penalties.wgan_gp(0.3)), 3)
    players, sample = game.init(jax.random.key(0)), jax.jit(game.sample)(jax.random.key(1), 4)
    fixed = games.on_sample(game, sample)
    assert fixed.sample(jax.random.key(2), 5) == ()
    on_it = games.total_losses(game, players, sample)
    jax.tree.map(np.testing.assert_array_equal, games.total_losses(fixed, players, ()), on_it)
    jax.tree.map(np.testing.assert_array_equal, games.expected_losses(fixed, players), on_it)
    with jax.enable_x64(True):  # the sample was drawn in float32
        losses = games.expected_losses(fixed, jax.tree.map(lambda leaf: leaf.astype(float), players))
    assert losses.generator.dtype == np.float64
    np.testing.assert_allclose(losses, on_it, rtol=1e-6)
    with pytest.raises(ValueError, match="the sample is 3: give one of this game"):
        games.on_sample(game, 3)


def test_dirac_gan_is_the_papers_definition(x64):
    """L(θ, ψ) = f(ψθ) + f(0) with f(t) = -s(-t), which the discriminator maximizes; here ψ has the opposite sign."""
    game = games.dirac(losses.saturating)
    players = Players(jnp.array(0.8), jnp.array(-1.7))
    f = lambda t: -np.logaddexp(0, t)  # noqa: E731
    found = games.expected_losses(game, players)
    np.testing.assert_allclose(found, (f(-1.7 * 0.8), -(f(-1.7 * 0.8) + f(0))), rtol=1e-14)


def test_the_quadratic_game_turns_its_field(x64):
    players = Players(jnp.array(0.3), jnp.array(-0.9))
    found = jax.jit(lambda a: fields.gradients(partial(games.total_losses, games.quadratic(a), sample=()))(players))
    for angle in (0.0, 0.4, np.pi / 2, 2.0):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(found(angle), turn @ np.array(players), rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_node_of_weight_zero_counts_nothing(bad):
    """Of the loss and of its gradient."""
    nodes = lambda: (jnp.array([0.1, bad, 0.6]), jnp.array([0.25, 0.0, 0.75]))  # noqa: E731
    game = slanted_land(latent=distributions.from_sampler(jax.random.uniform, nodes))
    good = slanted_land(latent=distributions.from_sampler(jax.random.uniform, lambda: tuple(x[::2] for x in nodes())))
    players = game.init(jax.random.key(0))
    found, expected = (
        jax.jit(fields.gradients(partial(games.total_losses, games.expected(one), sample=())))(players)
        for one in (game, good)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-6)  # rounding
    assert np.isfinite(jax.jit(partial(games.expected_losses, game))(players)).all()
