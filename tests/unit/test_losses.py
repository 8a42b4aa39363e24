"""The article's section 11, derivatives by hand, against `jax.grad` and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slantgan_jax import Discriminator, Generator, Players, games, losses, slanted_land

pytestmark = pytest.mark.usefixtures("quick_compile")

REAL, FAKE = slanted_land().losses.discriminator
(GENERATOR,) = slanted_land().losses.generator


def random_case(seed):
    rng = np.random.default_rng(seed)
    u, w, b = (tuple(map(float, rng.normal(size=4))) for _ in range(3))
    players = Players(Generator(w, b), Discriminator(u, float(rng.normal())))
    return players, games.Sample(real=tuple(map(float, rng.uniform(size=4))), latent=float(rng.uniform()))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def by_hand(players, sample):
    """Section 11: slope of each loss, and what it means for each weight and bias."""
    w, b, u = map(np.array, (*players.generator, players.discriminator.weights))
    c = players.discriminator.bias
    x, z = np.array(sample.real), sample.latent
    fake = sigmoid(w * z + b)
    real_slope, fake_slope = -(1 - sigmoid(u @ x + c)), sigmoid(u @ fake + c)
    pixel_slope = -(1 - sigmoid(u @ fake + c)) * u * fake * (1 - fake)
    return {
        "real": np.append(real_slope * x, real_slope),
        "fake": np.append(fake_slope * fake, fake_slope),
        "generator": np.append(pixel_slope * z, pixel_slope),
    }


CASES = [("real", REAL, 1), ("fake", FAKE, 1), ("generator", GENERATOR, 0)]


@pytest.mark.parametrize(("name", "term", "player"), CASES)
def test_gradients_are_the_hand_derived_ones_and_finite_differences(x64, name, term, player):
    slopes, value = jax.jit(jax.grad(term)), jax.jit(term)
    for seed in range(10):
        players, sample = random_case(seed)
        gradient = slopes(players, sample)
        own = np.array(jax.tree.leaves(gradient[player]))
        np.testing.assert_allclose(own, by_hand(players, sample)[name], rtol=1e-13, atol=1e-16)  # rounding, float64
        assert np.any(own)
    flat, unravel = jax.flatten_util.ravel_pytree(players)
    step = 1e-6  # central differences: error step² ≈ 1e-12 plus rounding 1e-16/step = 1e-10
    for shift, found in zip(step * np.eye(flat.size), jax.flatten_util.ravel_pytree(gradient)[0], strict=True):
        slope = (value(unravel(flat + shift), sample) - value(unravel(flat - shift), sample)) / (2 * step)
        np.testing.assert_allclose(found, slope, atol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_losses_are_finite_and_right_at_large_logits(x64, dtype):
    logits = jnp.array([-1000.0, -100.0, 0.0, 100.0, 1000.0], dtype)
    expected = np.array([0, 3.720075976020836e-44, np.log(2), 100, 1000])  # s(-100) = e^-100
    with np.errstate(under="ignore"):
        tiny = np.finfo(dtype).tiny  # XLA flushes smaller numbers to zero
    slopes = jax.jit(jax.vmap(jax.grad(losses.softplus)))(logits)
    for found, wanted in (
        (losses.softplus(logits), expected),
        (losses.minus_log_real(logits, 0.0), expected[::-1]),
        (losses.minus_log_not_fake(0.0, logits), expected),
        (losses.minus_log_fake(0.0, logits), expected[::-1]),
        (slopes, [0, expected[1], 0.5, 1, 1]),
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=tiny)


def test_softplus_agrees_with_the_librarys_and_has_a_second_derivative(x64):
    a = jnp.linspace(-30, 30, 601)
    np.testing.assert_allclose(losses.softplus(a), jax.nn.softplus(a), rtol=1e-14)  # rounding, float64
    second = jax.jit(jax.vmap(jax.grad(jax.grad(losses.softplus))))(a)
    np.testing.assert_allclose(second, np.exp(a) / (1 + np.exp(a)) ** 2, rtol=1e-12, atol=3e-16)  # σ(1 - σ) rounds at 1


def test_no_smoothing_is_the_objective_also_at_infinite_logits():
    """Where L_fake is infinite, 0 times it would be NaN."""
    real_loss, _ = losses.smoothed(losses.non_saturating, 0.0).discriminator
    assert real_loss(jnp.inf, 0.0) == 0


def test_minimax_generator_has_another_gradient_but_the_same_zero_sum():
    """dL_G/dℓ is -(1 - D) non-saturating and -D saturating; L_G + (fake part of L_D) is 0 for the latter."""
    logit = -2.0
    probability = sigmoid(logit)
    slope = jax.grad(losses.non_saturating.generator, 1)(0.0, logit)
    saturating_slope = jax.grad(losses.saturating.generator, 1)(0.0, logit)
    np.testing.assert_allclose([slope, saturating_slope], [-(1 - probability), -probability], rtol=1e-6)
    assert losses.saturating.generator(0.0, logit) == -losses.saturating.discriminator[1](0.0, logit)
