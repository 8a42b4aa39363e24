"""The five ways in which programs that train GANs usually are wrong, each wrong program beside the right one.

The library has the number of the closed form, and the wrong programs have another one. `test_against_pytorch.py` has
the same ingredients over whole runs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, games, losses, mlp, networks, penalties, rules

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.usefixtures("x64")]

BATCH, RATE, STRENGTH = 5, 0.3, 0.7
RNG = np.random.default_rng(3)
REAL, LATENT, MIXING = RNG.normal(size=(60, 2)), RNG.normal(size=(60, 2)), RNG.uniform(size=60)
THETA, PSI = 0.6, -0.8
PLAYERS = Players(np.float64(THETA), np.float64(PSI))
KEY = jax.random.key(0)
ROUNDING = 1e-13  # some tens of operations in float64
APART = 1e-2
"""A wrong number differs from the right one by at least this share: far beyond rounding."""


def curved(slope, points):
    """D's logit ψ Σ x₀² x₁, the sum over a pack of points."""
    x = points.reshape(-1, 2)
    return slope * jnp.sum(x[:, 0] ** 2 * x[:, 1])


def linear(slope, point):
    return slope * jnp.sum(point)


def gan(logit=curved, objective=losses.non_saturating, *added, **options):
    """G(z) = θ z against D, on the given points, latents and mixing weights."""
    game = games.gan(
        lambda key: PLAYERS,
        lambda scale, latent: scale * latent,
        logit,
        distributions.sequence(REAL),
        distributions.sequence(LATENT),
        objective,
        **options,
    )
    game = games.penalized(game, *added)
    given = {"epsilon": distributions.sequence(MIXING), "generator_latent": distributions.sequence(LATENT[::-1].copy())}
    return game._replace(draws=game.draws._replace(**{n: d for n, d in given.items() if getattr(game.draws, n)}))


def losses_of(game, players, step):
    return jax.jit(lambda players: games.total_losses(game, players, game.sample(KEY, step)))(players)


def stepped(rule, game, step=0):
    """The players after step number `step` from the start."""
    return jax.jit(lambda players: rule.step(game, rule.init(players), rule.sample(game, KEY, step)).players)(PLAYERS)


def apart(wrong, right):
    assert abs(wrong - right) > APART * abs(right), (wrong, right)


def slopes(points):
    """∇ℓ = ψ (2 x₀ x₁, x₀²) at each of the points."""
    x, y = np.moveaxis(points, -1, 0)
    return PSI * np.stack([2 * x * y, x**2], -1)


# 1. The norm over the wrong axis


def test_the_norm_of_a_gradient_penalty_is_over_the_numbers_of_one_image():
    """Gulrajani et al. 2017, eq. 3: a mean over the batch of (‖∇ℓ‖ - 1)², one norm for each point."""
    plain, game = (games.minibatch(gan(curved, losses.wasserstein, *a), BATCH) for a in ((), (penalties.wgan_gp(1.0),)))
    values = [losses_of(g, PLAYERS, 2).discriminator for g in (plain, game)]
    rows = slice(2 * BATCH, 3 * BATCH)
    share = MIXING[rows, None]
    found = slopes(share * REAL[rows] + (1 - share) * THETA * LATENT[rows])
    right = np.mean((np.linalg.norm(found, axis=1) - 1) ** 2)
    np.testing.assert_allclose(values[1] - values[0], right, rtol=ROUNDING)
    apart(np.mean((np.linalg.norm(found, axis=0) - 1) ** 2), right)  # over the batch
    apart((np.linalg.norm(found) - 1) ** 2, right)  # over all numbers
    apart((np.linalg.norm(found.mean(0)) - 1) ** 2, right)  # of the mean slope
    apart(np.mean((np.abs(found) - 1) ** 2), right)  # of each number alone


def test_the_norm_of_a_packed_discriminator_is_over_the_pack():
    """D judges three points at once, and so is a function of six numbers."""
    plain, game = (
        games.minibatch(gan(curved, losses.wasserstein, *a, packing=3), BATCH) for a in ((), (penalties.wgan_gp(1.0),))
    )
    values = [losses_of(g, PLAYERS, 1).discriminator for g in (plain, game)]
    rows = slice(3 * BATCH, 6 * BATCH)
    share = MIXING[BATCH : 2 * BATCH, None, None]  # one for each pack
    found = slopes(share * REAL[rows].reshape(-1, 3, 2) + (1 - share) * THETA * LATENT[rows].reshape(-1, 3, 2))
    right = np.mean((np.sqrt(np.sum(found**2, axis=(1, 2))) - 1) ** 2)
    np.testing.assert_allclose(values[1] - values[0], right, rtol=ROUNDING)
    apart(np.mean((np.linalg.norm(found, axis=2) - 1) ** 2), right)  # of each point of a pack alone


# 2. The penalty that is not applied

ORDERS = {
    "simultaneous": rules.simultaneous,
    "alternating": rules.alternating,
    "tutorial": rules.tutorial,
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_penalty_moves_the_discriminator_and_the_generator_only_through_it(order):
    """R1 of ψ x₀² x₁ is γ/2 ψ² m with m = E (4 x₀² x₁² + x₀⁴), so one step of D differs by -η γ ψ m."""
    objective = losses.wasserstein  # its terms are linear in ψ, so D's step does not depend on where D is
    plain, game = (games.minibatch(gan(curved, objective, *a), BATCH) for a in ((), (penalties.r1(STRENGTH),)))
    rule = ORDERS[order](optax.sgd(RATE))
    ends = [stepped(rule, g) for g in (plain, game)]
    m = np.mean(np.sum((slopes(REAL[:BATCH]) / PSI) ** 2, axis=1))
    shift = ends[1].discriminator - ends[0].discriminator
    # In the tutorial's order the penalty is in D's second step, which starts where the first one ended.
    place = PSI + RATE * np.mean(REAL[:BATCH, 0] ** 2 * REAL[:BATCH, 1]) if order == "tutorial" else PSI
    right = -RATE * STRENGTH * place * m
    np.testing.assert_allclose(shift, right, rtol=1e-12)  # a difference of two numbers ten times as large
    apart(0.0, right)  # the penalty is computed and never added, or added as a number without a gradient
    apart(2 * right, right)  # it is in both of D's terms
    if order == "simultaneous":
        assert ends[1].generator == ends[0].generator


@pytest.mark.slow
def test_a_penalty_without_its_graph_has_the_right_value_and_no_gradient():
    """What `create_graph=False` or a stopped gradient makes of it: every printed loss is right."""

    def stopped(logit, inputs):
        return jax.lax.stop_gradient(penalties.r1(STRENGTH)(logit, inputs))

    right, wrong = (
        games.minibatch(gan(curved, losses.wasserstein, a), BATCH) for a in (penalties.r1(STRENGTH), stopped)
    )

    def value_and_slope(game):
        sample = game.sample(KEY, 0)
        return jax.jit(
            jax.value_and_grad(
                lambda slope: games.total_losses(game, PLAYERS._replace(discriminator=slope), sample).discriminator
            )
        )(PLAYERS.discriminator)

    (value, slope), (same, other) = map(value_and_slope, (right, wrong))
    np.testing.assert_allclose(value, same, rtol=ROUNDING)
    m = np.mean(np.sum((slopes(REAL[:BATCH]) / PSI) ** 2, axis=1))
    np.testing.assert_allclose(slope - other, STRENGTH * PSI * m, rtol=ROUNDING)


# 3. The discriminator's gradient in the generator's step


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("order", ["simultaneous", "alternating"])
def test_each_player_descends_its_own_loss_only(order):
    """The Dirac-GAN: ∂_θ L_G = -ψ σ(-ψθ), ∂_ψ L_D = θ σ(ψθ); ∂_θ L_D = ψ σ(ψθ) and ∂_ψ L_G = -θ σ(-ψθ) move nobody."""
    game, rule = games.dirac(), ORDERS[order](optax.sgd(RATE))
    found = stepped(rule, game)
    psi = PSI - RATE * THETA * sigmoid(PSI * THETA)
    seen = PSI if order == "simultaneous" else psi
    theta = THETA + RATE * seen * sigmoid(-seen * THETA)
    np.testing.assert_allclose(found, (theta, psi), rtol=ROUNDING)
    apart(theta - RATE * seen * sigmoid(seen * THETA), theta)  # gradients that are not zeroed add up: θ has D's, too
    apart(psi + RATE * THETA * sigmoid(-PSI * THETA), psi)  # G's loss moves D, too
    apart(THETA - RATE * seen * sigmoid(seen * THETA), theta)  # G descends D's loss


# 4. One batch for both players where the paper draws two


def mean_latent(number):
    return LATENT[number * BATCH : (number + 1) * BATCH].sum(1).mean()


def test_players_see_batches_of_their_own_if_the_rule_draws_for_each_move():
    """With a linear D and scores, θ moves by η ψ E Σ z: the batch that it saw can be read from the step."""
    game, step = games.minibatch(gan(linear, losses.wasserstein), BATCH), 3
    standing = Players(optax.sgd(RATE), optax.sgd(0.0))

    def seen(rule):
        """The mean of the latents by which G moved."""
        return (stepped(rule, game, step).generator - THETA) / (RATE * PSI)

    right = {
        "shared": (rules.alternating(standing), step),
        "fresh": (rules.alternating(standing, fresh=True), 2 * step + 1),
        "fresh, unrolled": (rules.unrolled(standing, 2, fresh=True), 2 * step + 1),
        "fresh, G first": (rules.alternating(standing, order=("generator", "discriminator"), fresh=True), 2 * step),
    }
    for name, (rule, number) in right.items():
        np.testing.assert_allclose(seen(rule), mean_latent(number), rtol=1e-12, err_msg=name)  # a difference
        others = {step, 2 * step, 2 * step + 1} - {number}
        for other in others:
            apart(mean_latent(other), mean_latent(number))


def test_independent_latents_are_those_of_the_generators_loss_alone():
    game = games.minibatch(gan(linear, losses.wasserstein, independent_latents=True), BATCH)
    shared = games.minibatch(gan(linear, losses.wasserstein), BATCH)
    found, one = (losses_of(g, PLAYERS, 2) for g in (game, shared))
    own = LATENT[::-1][2 * BATCH : 3 * BATCH].sum(1).mean()
    real = REAL[2 * BATCH : 3 * BATCH].sum(1).mean()
    np.testing.assert_allclose(found.generator, -PSI * THETA * own, rtol=ROUNDING)
    np.testing.assert_allclose(found.discriminator, PSI * (THETA * mean_latent(2) - real), rtol=ROUNDING)
    np.testing.assert_allclose(one.generator, -PSI * THETA * mean_latent(2), rtol=ROUNDING)
    apart(one.generator, found.generator)


# 5. Statistics of the wrong batch

WEIGHTS = RNG.normal(size=(3, 2))
BIASES, LAST = RNG.normal(size=3), RNG.normal(size=(1, 3))
NORMALIZING = mlp(2, 3, 1, activation=jnp.tanh, batch_norm=True)
LAYERS = (networks.Layer(WEIGHTS, BIASES), networks.Layer(LAST, np.zeros(1)))


def scores(points, statistics=None, weights=WEIGHTS):
    """The network by hand, normalized by the mean and variance of the hidden numbers of `statistics`."""
    hidden, seen = points @ weights.T, (points if statistics is None else statistics) @ weights.T
    normal = (hidden - seen.mean(0)) / np.sqrt(seen.var(0) + 1e-3)
    return (np.tanh(normal + BIASES) @ LAST.T)[:, 0]


def test_a_discriminator_normalizes_real_and_generated_images_apart():
    game = games.minibatch(
        gan(objective=losses.wasserstein, logit=lambda layers, point: NORMALIZING.apply(layers, point)[0]), BATCH
    )
    players = Players(np.float64(THETA), LAYERS)
    found = losses_of(game, players, 1)
    real, fake = REAL[BATCH : 2 * BATCH], THETA * LATENT[BATCH : 2 * BATCH]
    right = scores(fake).mean() - scores(real).mean()
    np.testing.assert_allclose(found, (-scores(fake).mean(), right), rtol=ROUNDING)
    both = np.concatenate([real, fake])
    apart(scores(fake, both).mean() - scores(real, both).mean(), right)  # one batch of both
    apart(scores(fake, real).mean() - scores(real).mean(), right)  # the generated ones by the real statistics
    still = np.array([[1.0], [-1.0]]) * np.linalg.pinv(WEIGHTS).sum(1)  # hidden numbers of mean 0
    apart(scores(fake, still).mean() - scores(real, still).mean(), right)  # fixed statistics, as in evaluation


@pytest.mark.slow
def test_a_generator_normalizes_over_its_own_batch_and_each_place_of_a_pack_apart():
    """And its gradient goes through the statistics; those of one image would leave nothing but the biases."""
    generator = mlp(2, 3, 2, activation=jnp.tanh, batch_norm=True)
    last = RNG.normal(size=(2, 3))
    layers = networks.Layer(WEIGHTS, BIASES), networks.Layer(last, np.zeros(2))
    data, latent = map(distributions.sequence, (REAL, LATENT))
    game = games.gan(lambda key: PLAYERS, generator.apply, curved, data, latent, losses.wasserstein, packing=2)
    game, players = games.minibatch(game, BATCH), Players(layers, np.float64(PSI))
    sample = game.sample(KEY, 1)
    z = LATENT[2 * BATCH : 4 * BATCH].reshape(BATCH, 2, 2)

    def loss(weights=WEIGHTS, statistics=z, seen_by=None):
        """By hand: normalized by the `statistics` of the first axis, which may come from other weights."""
        seen = statistics @ (weights if seen_by is None else seen_by).T
        hidden = (z @ weights.T - seen.mean(0)) / np.sqrt(seen.var(0) + 1e-3)
        points = np.tanh(hidden + BIASES) @ last.T
        return -PSI * np.mean(np.sum(points[..., 0] ** 2 * points[..., 1], axis=1))

    def of(layers):
        return games.total_losses(game, players._replace(generator=layers), sample).generator

    value, slope = jax.jit(jax.value_and_grad(of))(layers)
    right = loss()
    np.testing.assert_allclose(value, right, rtol=ROUNDING)
    apart(loss(statistics=z.reshape(-1, 1, 2)), right)  # one batch of all places
    apart(loss(statistics=LATENT[:, None]), right)  # all latents there are
    x, y = np.tanh(BIASES) @ last.T
    apart(-PSI * 2 * x**2 * y, right)  # the statistics of one image
    through, stopped = np.zeros_like(WEIGHTS), np.zeros_like(WEIGHTS)
    for index in np.ndindex(WEIGHTS.shape):
        step = np.zeros_like(WEIGHTS)
        step[index] = 1e-6
        through[index] = (loss(WEIGHTS + step) - loss(WEIGHTS - step)) / 2e-6
        stopped[index] = (loss(WEIGHTS + step, seen_by=WEIGHTS) - loss(WEIGHTS - step, seen_by=WEIGHTS)) / 2e-6
    # Central differences: 1e-12 of the third derivative, 1e-16 / 1e-6 of rounding.
    np.testing.assert_allclose(slope[0].weights, through, atol=1e-8)
    apart(np.linalg.norm(stopped), np.linalg.norm(through))  # statistics that count as constants


def test_batch_normalization_takes_no_single_image():
    game = gan(objective=losses.wasserstein, logit=lambda layers, point: NORMALIZING.apply(layers, point)[0])
    players = Players(np.float64(THETA), LAYERS)
    with pytest.raises(ValueError, match=r"batch normalization has no batch here: use games.minibatch"):
        games.total_losses(game, players, game.sample(KEY, 0))
