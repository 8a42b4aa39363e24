import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy.optimize import brentq

from slantgan_jax import Players, distributions, faces, fields, games, losses, networks, penalties, rules, slanted_land
from slantgan_jax.analysis import distances, equilibria, spectra, thresholds, update_maps
from tests.tables import slow_unless

quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""These programs run for milliseconds: half of the time to compile them is saved."""
IMAGES = faces.FACES
WEIGHTS = np.array([1.3, -0.4, 0.0, 2.2])
GAME, RATE = slanted_land(IMAGES), 0.4
OBJECTIVES = {
    "relativistic": losses.relativistic,
    "lopsided": losses.Objective(
        (lambda real, fake: 3 * losses.minus_log_real(real, fake), losses.minus_log_not_fake), losses.minus_log_fake
    ),
}
"""That of the tutorial is held against NumPy; of these one has pairs, one weighs real and fake differently."""


def sgd(rate, momentum=None):
    return optax.sgd(rate, momentum)


@pytest.fixture(scope="module")
def place():
    """An equilibrium of the tutorial's game, its tangents and the eigenvalues of its flow."""

    @quick
    def found():
        players, tangents = equilibria.equilibrium(WEIGHTS, IMAGES), equilibria.tangents(WEIGHTS, IMAGES)
        return players, tangents, spectra.flow_eigenvalues(GAME, players, tangents=tangents)

    with jax.enable_x64(True):
        return found()


def by_hand(weights, g=-0.5, d_fake=0.5, d_real_real=0.25, d_fake_fake=0.25, gamma=0.0):
    """The eigenvalues that are not 0, in NumPy: of the mean image (which G's parameters move along their gradient) and
    of D's parameters, from moments on a grid of 400 nodes."""
    z, chances = np.polynomial.legendre.leggauss(400)
    z, chances = (z[:, None] + 1) / 2, chances / 2
    mean = faces.FACES.mean(0)
    # b by Newton's method on E σ(w z + b) = m.
    x, b = np.zeros((400, 4)), np.log(mean / (1 - mean)) - weights / 2
    for _ in range(50):
        x = 1 / (1 + np.exp(-(weights * z + b)))
        b = b - (chances @ x - mean) / (chances @ (x * (1 - x)))
    steep = x * (1 - x)
    moved = (chances @ (steep * z)) ** 2 + (chances @ steep) ** 2
    real, fake = np.c_[faces.FACES, np.ones(5)], np.c_[x, np.ones(400)]
    seen = d_real_real * real.T @ real / 5 + d_fake_fake * fake.T @ (chances[:, None] * fake)
    seen += gamma * np.diag([1, 1, 1, 1, 0])
    couple = np.eye(4, 5)
    matrix = np.block([[np.zeros((4, 4)), g * moved[:, None] * couple], [d_fake * couple.T, seen]])
    return -np.linalg.eigvals(matrix)


def apart(one, other):
    """The largest distance of two sets of numbers, each to the nearest of the other."""
    table = np.abs(np.asarray(one)[:, None] - np.asarray(other)[None])
    assert table.shape[0] == table.shape[1]
    return max(table.min(0).max(), table.min(1).max())


@pytest.mark.slow
def test_the_flows_eigenvalues_are_those_of_the_moments(x64, place):
    _, _, found = place
    np.testing.assert_array_equal(found[:4], 0)
    assert apart(found[4:], by_hand(WEIGHTS)) < 1e-14  # rounding; all are simple
    assert np.all(np.diff(found.real) <= 0)
    assert np.all(found[4::2].imag[:4] > 0)  # of a pair first the one above


def jacobian_from_moments(weights, images, objective):
    """J at an equilibrium in the order w, b | u, c, without autodiff of the game: docs/theory/equilibria.md."""
    players = equilibria.equilibrium(weights, images, objective)
    c = players.discriminator.bias

    def discriminator_loss(real, fake):
        return sum(term(real, fake) for term in objective.discriminator)

    (d_rr, d_rf), (_, d_ff) = jax.hessian(discriminator_loss, (0, 1))(c, c)
    g, d_f = jax.grad(objective.generator, 1)(c, c), jax.grad(discriminator_loss, 1)(c, c)
    mean = jnp.mean(jnp.asarray(images), axis=0)
    covariance = distances.covariance(players.generator)
    beta = mean * (1 - mean) - jnp.diag(covariance)
    alpha = -equilibria.slope(weights, mean) * beta
    real, mean = (jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1))], axis=-1) for x in (jnp.asarray(images), mean))
    felt = jnp.pad(jnp.concatenate([jnp.diag(alpha), jnp.diag(beta)]), ((0, 0), (0, 1)))  # [2 pixels, pixels + 1]
    both = jnp.outer(mean, mean)
    generated = jnp.pad(covariance, ((0, 1), (0, 1))) + both
    seen = d_rr * real.T @ real / len(real) + d_ff * generated + 2 * d_rf * both
    return jnp.block([[jnp.zeros((len(felt), len(felt))), g * felt], [d_f * felt.T, seen]])


@pytest.mark.parametrize("name", slow_unless(OBJECTIVES, "non-saturating"))
def test_the_jacobian_in_closed_form_is_that_of_autodiff(x64, name):
    objective = OBJECTIVES[name]
    free = name == "relativistic"

    @quick
    def both():
        players = equilibria.equilibrium(WEIGHTS, IMAGES, objective)
        field = spectra.expected_field(slanted_land(IMAGES, objective))
        jacobian = fields.jacobian(field, players)
        closed = jacobian_from_moments(WEIGHTS, IMAGES, objective)
        return jacobian, closed, spectra.eigenvalues_modulo(-closed, equilibria.tangents(WEIGHTS, IMAGES, free))

    jacobian, closed, modes = both()
    np.testing.assert_allclose(closed, jacobian, atol=1e-14)  # sums of 20 numbers below 1
    assert np.sum(np.asarray(modes) == 0) == 4 + free
    assert np.abs(modes[4 + free :]).min() > 1e-2  # nothing that rotates or decays is 0, not even nearly


@pytest.mark.slow
def test_the_logit_is_free_where_the_loss_is_flat(x64):
    assert equilibria.logit_is_free(losses.hinge)
    assert not equilibria.logit_is_free(losses.least_squares())


@pytest.mark.slow
def test_a_complex_pair_of_unlike_units_keeps_both_of_its_modes(x64):
    """(-1, -1e8; 1e-8, -1) has the eigenvalues -1 ± i, and a singular value of 2e-8 beside one of 1e8."""
    found = spectra.eigenvalues_modulo(jnp.array([[-1.0, -1e8], [1e-8, -1.0]]))
    np.testing.assert_allclose(found, [-1 + 1j, -1 - 1j], rtol=1e-12)


@pytest.mark.slow
def test_a_large_parameter_makes_no_jump_of_anothers_bend(x64):
    game = games.two_player(
        lambda p: (p.generator - 1e8) ** 2 / 2, lambda p: jnp.log(jnp.cosh(100 * p.discriminator)) / 100
    )
    np.testing.assert_allclose(quick(spectra.flow_eigenvalues, static_argnums=0)(game, Players(1e8, 0.0)), [-1, -100])


def test_a_zero_mode_in_a_jordan_block_does_not_spoil_its_neighbors(x64):
    """The tangent's mode has λ = 0, and another mode, with λ = -1e-9, drives it: solving for both moves each by 1e-8.

    Without the tangent's mode the matrix is normal, so that an eigenvalue moves by no more than the error of the
    matrix. Rounding makes an error of n ε ‖A‖. It also turns the neutral direction, by up to that error over the
    smallest other singular value 0.3, and the driving term 1 multiplies this angle.
    """
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
    core = np.diag([0, -1e-9, -0.3, -2, -0.5]) + np.diag([1.0, 0, 0, 0], 1)
    matrix, tangents = turn @ core @ turn.T, (jnp.asarray(turn[:, :1].T),)
    found = np.sort(np.real(quick(spectra.eigenvalues_modulo)(matrix, tangents)))[::-1]
    assert found[0] == 0
    rounding = len(matrix) * np.finfo(float).eps * np.linalg.norm(matrix, 2) * (1 + 1 / 0.3)
    np.testing.assert_allclose(found[1], -1e-9, rtol=0, atol=rounding)  # 1e-14, where the root of rounding is 1e-8
    shifted = quick(spectra.eigenvalues_modulo)(matrix - 0.1 * np.eye(5), tangents)
    assert np.all(np.isnan(shifted[1:]))  # no zero mode, so no tangent: said


def roots(*coefficients):
    return np.concatenate([np.roots(row) for row in np.stack(np.broadcast_arrays(*coefficients), -1)])


MULTIPLIERS = {
    "momentum": (rules.simultaneous(sgd(RATE, -0.5)), 1, lambda x: roots(1, -(0.5 + x), -0.5), 1e-13),
    "Popov": (rules.past_extragradient(sgd(RATE), RATE), 1, lambda x: roots(1, -(1 + 2 * x), x), 1e-13),
    # The slow copy is overwritten by the new players: as many zeros, of a nilpotent part up to rounding's root.
    "lookahead": (
        rules.lookahead(rules.simultaneous(sgd(RATE)), 3, 0.5),
        3,
        lambda x: np.append((1 + (1 + x) ** 3) / 2, np.zeros(13)),
        1e-7,
    ),
}
"""Rules, their periods, the multipliers at η λ, and how exactly they are found.

Rounding 1e-16, times the slope of the roots: those of a quadratic are at least 0.1 apart."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTIPLIERS)
def test_an_updates_multipliers_are_functions_of_the_flows_eigenvalues(x64, place, name):
    players, tangents, flow = place
    rule, period, multipliers, error = MULTIPLIERS[name]
    found = quick(lambda: spectra.update_eigenvalues(rule, GAME, players, period, tangents))()
    assert apart(found, multipliers(RATE * np.asarray(flow))) < error
    assert np.sum(np.asarray(found) == 1) == 4
    assert quick(spectra.summarize_map)(found).zero_modes == 4
    np.testing.assert_array_equal(np.abs(found), np.sort(np.abs(found))[::-1])


def test_a_spectrum_in_words_and_epochs(x64):
    flow = jnp.array([0, 0, -0.001 + 0.05j, -0.001 - 0.05j, -0.002 + 0.06j, -0.002 - 0.06j, -1])
    batch = jnp.array([[-1.0, 0.1 + 1j, 0.1 - 1j], [-1, 1j, -1j], [-2, -3, jnp.nan], [0, -2, -1], [0, 0, 0]])
    found, update, many = quick(
        lambda: (
            spectra.summarize_flow(flow, 0.05),
            spectra.summarize_map(jnp.exp(0.01 * flow), 1 / 5),  # one step is a fifth of an epoch, of 0.05
            jax.vmap(spectra.summarize_flow)(batch),
        )
    )()
    assert (found.zero_modes, found.verdict) == (2, spectra.Stability.STABLE)
    np.testing.assert_allclose(found[3:], [-0.001 * 0.05, 20_000, 2 * np.pi / 0.05 / 0.05], rtol=1e-14)
    np.testing.assert_allclose(update[3:], found[3:], rtol=1e-9)  # ln of 1 - 1e-5 has lost 5 of 16 digits
    assert update.zero_modes == 2
    names = [spectra.Stability(i).name for i in many.verdict.tolist()]
    assert names == ["UNSTABLE", "MARGINAL", "NO_EQUILIBRIUM", "STABLE", "MARGINAL"]
    assert (many.growth[4], many.efold[4]) == (0, np.inf)  # zero modes alone decide nothing
    np.testing.assert_allclose(many.efold[jnp.array([0, 1, 3])], [10, np.inf, 1], rtol=1e-15)
    np.testing.assert_allclose(many.period[jnp.array([0, 1, 3])], [2 * np.pi, 2 * np.pi, np.inf], rtol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6, 1e8])
def test_a_flow_that_only_turns_is_marginal_in_every_unit(x64, size):
    """L = xᵀ A y: the matrix is skew, so rounding changes eigenvalues by a few ε of the largest."""
    draws = size * np.random.default_rng(0).normal(size=(20, 3, 3))
    zero = np.zeros_like(draws)
    matrices = np.block([[zero, -draws], [draws.transpose(0, 2, 1), zero]])
    found = jax.jit(jax.vmap(lambda matrix: spectra.summarize_flow(jnp.linalg.eigvals(matrix))))(matrices)
    np.testing.assert_array_equal(found.verdict, spectra.Stability.MARGINAL)
    assert np.isinf(found.efold).all()
    damped = jax.vmap(spectra.summarize_flow)(found.eigenvalues - 1e-10 * size - 1e-10)
    np.testing.assert_array_equal(damped.verdict, spectra.Stability.STABLE)


def test_a_mode_is_unstable_however_fast_it_grows():
    for grows in ([1e14, 0.5], [1e18, 0.5], [np.inf, -1.0]):
        assert spectra.summarize_map(np.array(grows)).verdict == spectra.Stability.UNSTABLE
    assert spectra.summarize_flow(np.array([np.inf, -1.0])).verdict == spectra.Stability.UNSTABLE


@pytest.mark.slow
@pytest.mark.parametrize(
    "losses",
    [
        (lambda p: -1e-13 * p.generator**2, lambda p: 1e-13 * p.discriminator**2),
        (lambda p: p.generator * p.discriminator, lambda p: 0.0 * p.discriminator),  # a Jordan block
    ],
)
def test_nothing_is_stable_of_which_only_zero_modes_are_seen(x64, losses):
    players = Players(jnp.asarray(0.0), jnp.asarray(0.0))
    values = quick(functools.partial(spectra.flow_eigenvalues, games.two_player(*losses)))(players)
    assert quick(spectra.summarize_flow)(values).verdict == spectra.Stability.MARGINAL


@pytest.mark.slow
def test_the_tutorials_order_stands_still_beside_the_equilibrium(x64, place):
    players, tangents, _ = place
    mean = faces.FACES.mean(0)

    @quick
    @functools.partial(jax.vmap, out_axes=0)
    def found(rate):
        rule = rules.tutorial(sgd(rate))
        state = spectra.fixed_point(rule, GAME, players, 1, tangents, 5).state
        after = rule.step(games.expected(GAME), state, ())
        generator = state.players.generator
        shift = distances.mean_image(generator) - mean
        moved = ravel_pytree(jax.tree.map(jnp.subtract, after.players, state.players))[0]
        predicted = -rate / 4 * distances.covariance(generator) @ mean
        values = spectra.update_eigenvalues(rule, GAME, state, 1, tangents)
        return moved, shift, predicted, state.players.discriminator, spectra.summarize_map(values)

    rates = np.array([1e-3, 1e-2])
    moved, shift, predicted, discriminator, spectrum = found(rates)
    np.testing.assert_allclose(moved, 0, atol=1e-16)  # rounding
    np.testing.assert_allclose(shift, predicted, atol=0.02 * rates[1] ** 2)  # the next order, measured 1e-4 · η
    np.testing.assert_allclose(discriminator.bias / rates, -(1 + mean @ mean) / 4, rtol=rates[1])  # the next order
    np.testing.assert_allclose(discriminator.weights, 0, atol=1e-11)
    np.testing.assert_array_equal(spectrum.zero_modes, 4)
    np.testing.assert_array_equal(spectrum.verdict, 0)


def test_momentum_and_memory_have_a_fixed_point_too(x64):
    """Two quadratic players, each pulled to its own number: any rule stands still there, its momenta at 0."""
    game = games.two_player(lambda p: (p.generator - 2) ** 2, lambda p: (p.discriminator + p.generator) ** 2)
    rule = rules.alternating(sgd(0.1, 0.9))
    state, residual = quick(lambda: spectra.fixed_point(rule, game, Players(jnp.asarray(1.5), jnp.asarray(-1.5))))()
    assert residual < 1e-14
    np.testing.assert_allclose(ravel_pytree(state)[0][:2], [2, -2], atol=1e-14)
    for leaf in jax.tree.leaves(state.optimizer_states):
        np.testing.assert_allclose(leaf, 0, atol=1e-14)


@pytest.mark.slow
def test_the_largest_rate_is_that_of_the_closed_forms(x64, place):
    players, tangents, flow = place
    rotating = np.asarray(flow[4:])
    closed = np.min(2 * np.abs(np.real(rotating)) / np.abs(rotating) ** 2)

    def rule(rate):
        return rules.simultaneous(sgd(rate))

    found = quick(lambda: thresholds.largest_stable_rate(rule, GAME, players, tangents, points=60))()
    # A growth of `GROWTH_TOLERANCE` passes as 0; growth rises by |Re λ| = 5e-4 per unit of rate.
    np.testing.assert_allclose(found, closed, atol=1e-11 / 5e-4)

    origin, bilinear = Players(jnp.asarray(0.0), jnp.asarray(0.0)), games.bilinear()
    for of_rate, edge in (
        (rule, 0),
        (lambda rate: rules.alternating(sgd(rate)), 2),
        (lambda rate: rules.past_extragradient(sgd(rate), rate), 1 / math.sqrt(3)),
        (lambda rate: rules.simultaneous(sgd(rate), fields.cgd(rate)), np.inf),
    ):
        search = functools.partial(thresholds.largest_stable_rate, of_rate, bilinear, origin, lowest=0.01, highest=100)
        # Of alternation a double root merges at the edge, and the modulus rises by the root of what the rate does.
        np.testing.assert_allclose(quick(functools.partial(search, points=30))(), edge, rtol=1e-9)


ORIGIN = Players(jnp.asarray(0.0), jnp.asarray(0.0))


def warmed(rate, state, sample):
    """A step of descent whose rate depends on the step's number, as the rule of a user may."""
    direction = fields.gradients(lambda players: games.total_losses(SPIRAL, players, sample))(state.players)
    warm = jnp.minimum(1.0, (state.step + 1) / 100) * rate
    return state._replace(players=jax.tree.map(lambda p, d: p - warm * d, state.players, direction))


SPIRAL = games.quadratic(1.2)


def edge_of_adam(eps_root):
    """Where its moments have come to rest, Adam is x ← x - η m / (√ε' + 1e-8) with m ← 0.9 m + 0.1 g."""
    slopes = np.linalg.eigvals(quick(lambda: fields.jacobian(spectra.expected_field(SPIRAL), ORIGIN))())

    def growth(rate):
        scale = rate / (np.sqrt(eps_root) + 1e-8)
        return max(np.abs(np.roots([1, -(1.9 - 0.1 * scale * slope), 0.9])).max() for slope in slopes) - 1

    return brentq(growth, 1e-3, 1)


@pytest.mark.slow
def test_counts_of_optimizers_and_rules_are_those_of_a_long_run(x64):
    """Corrections of Adam's bias, schedules and warm-ups of one's own are over: the first step is not what counts."""
    schedule = lambda rate: optax.linear_schedule(0.0, rate, 100)  # noqa: E731
    for of_rate, game, edge in (
        (lambda rate: rules.simultaneous(optax.adam(rate, eps_root=1e-2)), SPIRAL, edge_of_adam(1e-2)),
        (lambda rate: rules.alternating(optax.sgd(schedule(rate))), games.bilinear(), 2),
        (
            lambda rate: rules.simultaneous(optax.sgd(0.0))._replace(
                moves=lambda game: (functools.partial(warmed, rate),)
            ),
            SPIRAL,
            2 * np.cos(1.2),  # |1 - η e^{iα}| = 1
        ),
    ):
        search = functools.partial(thresholds.largest_stable_rate, of_rate, game, ORIGIN, lowest=1e-3, highest=10)
        # A growth of `GROWTH_TOLERANCE` passes as 0; that of Adam rises by 0.06 per unit of rate, the others' faster.
        np.testing.assert_allclose(quick(functools.partial(search, points=40))(), edge, rtol=1e-9, atol=1e-11 / 0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    "of_rate, share",
    [
        (lambda rate: optax.MultiSteps(optax.sgd(rate), 4, accumulator_dtype=float).gradient_transformation(), 1),
        (lambda rate: optax.chain(optax.sgd(rate), optax.apply_every(4)), 4),
    ],
    ids=["mean", "sum"],
)
def test_an_optimizer_that_collects_gradients_repeats_itself_only_after_all_of_them(x64, of_rate, share):
    """The mean of four gradients at one place makes the step of one, μ = 1 ± iη, and their sum the step of four."""

    @functools.partial(jax.jit, static_argnums=1)
    def eigenvalues(rate, steps):
        return spectra.update_eigenvalues(rules.simultaneous(of_rate(rate)), games.bilinear(), ORIGIN, steps)

    for steps in (1, 3, 6):
        with pytest.raises(ValueError, match="again only after 4: give a multiple"):
            eigenvalues(0.1, steps)
    for rate in (0.1, 0.3):
        np.testing.assert_allclose(eigenvalues(rate, 4)[0], 1 + 1j * share * rate, rtol=1e-12)
    np.testing.assert_allclose(eigenvalues(0.1, 8)[0], (1 + 1j * share * 0.1) ** 2, rtol=1e-12)


@pytest.mark.slow
def test_an_optimizer_keeps_its_sum_in_its_own_precision(x64):
    """`optax.MultiSteps` sums in float32. Its state is taken as it is, and so is one of another precision."""
    rule = rules.simultaneous(optax.MultiSteps(sgd(0.1), 2).gradient_transformation())
    found = quick(lambda state: spectra.update_eigenvalues(rule, games.bilinear(), state, 2))(rule.init(ORIGIN))
    np.testing.assert_allclose(found[0], 1 + 0.1j, rtol=1e-6)  # of float32
    with pytest.raises(ValueError, match="the state is one of another rule"):
        spectra.update_eigenvalues(rules.simultaneous(sgd(0.1)), games.bilinear(), rule.init(ORIGIN))


def held(rate):
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


@pytest.mark.slow
@pytest.mark.parametrize(
    "of_rate",
    [
        lambda rate: rules.simultaneous(held(rate)),
        lambda rate: rules.averaged(rules.simultaneous(sgd(rate)), optax.ema(0.9)),
        lambda rate: rules.averaged(rules.simultaneous(sgd(rate)), rules.running_mean(lambda count: 0.1)),
    ],
    ids=["a rate in the state", "a mean that still comes", "a mean with weights"],
)
def test_what_no_player_moves_changes_no_largest_rate(x64, of_rate):
    """The modes of the quadratic game, here about (1, -2), are 1 - η e^{± i φ}: they grow beyond η = 2 cos φ."""
    place, phi = Players(1.0, -2.0), 1.2

    def shifted(own, other, sign):
        return math.cos(phi) * own**2 / 2 + sign * math.sin(phi) * own * other

    game = games.two_player(
        lambda p: shifted(p.generator - 1, p.discriminator + 2, 1),
        lambda p: shifted(p.discriminator + 2, p.generator - 1, -1),
    )
    search = functools.partial(thresholds.largest_stable_rate, of_rate, game, lowest=0.01, highest=10, points=20)
    for start in (place, of_rate(0.1).init(place)):
        np.testing.assert_allclose(quick(search)(start), 2 * math.cos(phi), rtol=1e-9)


@pytest.mark.slow
def test_what_a_rule_keeps_for_itself_is_no_mode(x64):
    """Rates that an optimizer holds in its state, and sums of weights of a mean, go their way whatever players do."""
    descent = rules.simultaneous(held(0.5))
    for rule in (descent, rules.lazily(descent, 2, games.quadratic(1.0))):
        found = quick(functools.partial(spectra.update_eigenvalues, rule, games.quadratic(1.0), steps=rule.period))(
            ORIGIN
        )
        np.testing.assert_allclose(found, (1 - 0.5 * np.exp([-1j, 1j])) ** rule.period, rtol=1e-12)
    mean = rules.averaged(rules.simultaneous(sgd(0.5)), rules.running_mean(lambda count: 0.1))
    assert quick(functools.partial(spectra.fixed_point, mean, games.quadratic(1.0)))(ORIGIN).residual < 1e-14


@pytest.mark.slow
def test_the_momentum_of_a_player_with_a_constant_slope_is_a_mode(x64):
    """The bias of a Wasserstein D has the slope 0, its momentum decays by β: (c, v) → (c - η β v, β v)."""
    rule = rules.simultaneous(optax.sgd(1e-3, momentum=0.9))
    game = slanted_land(objective=losses.wasserstein)
    found = quick(lambda key: spectra.update_eigenvalues(rule, game, game.init(key)))(jax.random.key(0))
    assert len(found) == 26
    for mode in (0.9, 1):
        assert np.abs(found - mode).min() < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 4])
def test_a_threshold_has_the_derivative_of_its_closed_form(x64, iterations):
    """Beyond η = 2 cos φ the quadratic game grows. ξ = (y - a x, b y - x) is damped beyond b = a."""

    def edge(phi):
        return thresholds.largest_stable_rate(
            lambda rate: rules.simultaneous(sgd(rate)),
            games.quadratic(phi),
            ORIGIN,
            fixed_point_iterations=iterations,
            lowest=0.01,
            highest=10,
            points=10,
        )

    slope = quick(jax.grad(edge))
    np.testing.assert_allclose(slope(1.0), -2 * math.sin(1.0), rtol=1e-9)
    assert slope(1.5707) == 0  # of a rate that is below the lowest, and so counts as 0


@pytest.mark.slow
def test_a_strength_has_a_derivative_unless_modes_merge_there(x64):
    def strengths(drift):
        def game(strength):
            return games.two_player(
                lambda p: p.generator * p.discriminator - drift * p.generator**2 / 2,
                lambda p: -p.generator * p.discriminator + strength * p.discriminator**2 / 2,
            )

        return thresholds.critical_strength(game, ORIGIN, lowest=0.01, highest=10, points=20)

    assert quick(jax.grad(lambda a: strengths(a).stabilizing))(0.1) == pytest.approx(1, rel=1e-9)
    slopes = quick(jax.jacfwd(strengths))(0.1)
    np.testing.assert_allclose(slopes.stabilizing, 1, rtol=1e-9)  # ξ = (y - a x, b y - x): the trace b - a is 0
    assert np.isnan([slopes.first, slopes.last]).all()


@pytest.mark.slow
def test_a_fixed_point_has_a_derivative_also_after_newtons_method_has_come_to_rest(x64):
    """x = a and y = x²."""

    def found(a):
        game = games.two_player(
            lambda p: (p.generator - a) ** 2 / 2, lambda p: (p.discriminator - p.generator**2) ** 2 / 2
        )
        found = spectra.fixed_point(rules.simultaneous(sgd(0.1)), game, Players(1.0, 1.0))
        return found.state.players.discriminator

    np.testing.assert_allclose(quick(jax.grad(found))(1.3), 2.6, rtol=1e-9)


@pytest.mark.slow
def test_a_rate_is_nan_where_there_is_no_spectrum_or_no_fixed_point(x64):
    def edge(of_rate, players=ORIGIN, game=SPIRAL):
        return quick(lambda: thresholds.largest_stable_rate(of_rate, game, players, points=3))()

    assert np.isnan(edge(lambda rate: rules.simultaneous(optax.adam(rate))))  # it has no derivative at rest
    assert np.isnan(edge(lambda rate: rules.simultaneous(sgd(rate)), Players(jnp.asarray(1.0), jnp.asarray(0.0))))


@pytest.mark.slow
def test_the_tutorials_order_needs_its_own_fixed_point(x64, place):
    players, tangents, _ = place
    search = functools.partial(
        thresholds.largest_stable_rate, lambda rate: rules.tutorial(sgd(rate)), GAME, players, tangents, points=3
    )
    assert np.isnan(quick(search)())


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "kappa"), [(losses.non_saturating, 0.25), (losses.wasserstein, 1.0)])
def test_r1_damps_the_dirac_gan_critically_at_twice_the_root_of_kappa(x64, objective, kappa):

    def game(strength):
        return games.penalized(games.dirac(objective), penalties.r1(strength))

    found = quick(lambda: thresholds.critical_strength(game, ORIGIN, points=50))()
    # Im λ is the root of what the strength does: IMAGINARY_TOLERANCE² = 1e-14.
    np.testing.assert_allclose(found, [0, 2 * math.sqrt(kappa), 2 * math.sqrt(kappa)], rtol=1e-12)
    beyond = quick(lambda: thresholds.critical_strength(game, ORIGIN, lowest=3.0, points=5))()
    np.testing.assert_array_equal(beyond, [0, 0, 0])  # at any strength up to the lowest


def test_an_edge_just_above_the_lowest_rate_is_found(x64):
    """The modes of the quadratic game are 1 - η e^{± i φ}: they grow beyond η = 2 cos φ."""
    rule_of = lambda rate: rules.simultaneous(sgd(rate))  # noqa: E731
    search = lambda: thresholds.largest_stable_rate(rule_of, games.quadratic(0.3), ORIGIN, lowest=1.8732, points=3)  # noqa: E731
    np.testing.assert_allclose(quick(search)(), 2 * math.cos(0.3), rtol=1e-10)


@pytest.mark.slow
def test_descent_on_the_dirac_gan_that_r1_lets_oscillate_is_stable_up_to_gamma_over_kappa(x64):
    game = games.penalized(games.dirac(losses.non_saturating), penalties.r1(0.3))
    found = quick(lambda: thresholds.largest_stable_rate(lambda rate: rules.simultaneous(sgd(rate)), game, ORIGIN))()
    # A growth of `GROWTH_TOLERANCE` passes as 0; at the edge it rises by γ/2 per unit of the rate.
    np.testing.assert_allclose(found, 0.3 / 0.25, atol=1e-11 / 0.15)


@pytest.mark.slow
def test_no_rate_is_stable_where_descent_only_turns_however_slowly(x64):
    """L = ω x y: a simultaneous step grows by √(1 + η²ω²), an alternating one turns up to η = 2/ω."""

    @functools.partial(quick, static_argnums=0)
    def largest(rule, turn):
        game = games.two_player(
            lambda p: turn * p.generator * p.discriminator, lambda p: -turn * p.generator * p.discriminator
        )
        return thresholds.largest_stable_rate(lambda rate: rule(sgd(rate)), game, ORIGIN)

    for turn in (1e-3, 0.01, 0.1):
        for rule, expected in ((rules.simultaneous, 0), (rules.alternating, 2 / turn)):
            np.testing.assert_allclose(largest(rule, turn), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "game", "edge"),
    [
        (rules.simultaneous, games.quadratic(0.0), lambda growth: 1 + math.exp(growth)),  # |1 - η| = e^growth
        (rules.alternating, games.bilinear(), lambda growth: 2 * math.cosh(growth / 2)),  # η² - 2 = 2 cosh growth
        (rules.simultaneous, games.bilinear(), lambda growth: 0.0),  # at every rate |μ|² = 1 + η²
    ],
    ids=["decays first", "turns first", "grows"],
)
def test_a_rate_that_is_stable_within_a_tolerance_is_found_whatever_rates_are_tried(x64, rule, game, edge):
    @functools.partial(quick, static_argnames="points")
    def found(tolerance, points):
        return thresholds.largest_stable_rate(
            lambda rate: rule(sgd(rate)), game, ORIGIN, lowest=0.01, highest=100, points=points, tolerance=tolerance
        )

    for points in (5, 60, 100):
        for tolerance in (1e-3, 0.05, 0.1, 0.3, 0.5):
            np.testing.assert_allclose(found(tolerance, points), edge(tolerance), rtol=1e-12)


@pytest.mark.slow
def test_no_strength_of_a_penalty_that_does_nothing_is_stabilizing_in_large_units(x64):
    @quick
    @jax.vmap
    def stabilizing(turn):
        def total(p):
            return p.generator @ turn @ p.discriminator

        def game(strength):
            return games.two_player(total, lambda p: -total(p) + 0 * strength)

        rest = Players(jnp.zeros(3), jnp.zeros(3))
        return thresholds.critical_strength(game, rest, points=3).stabilizing

    assert np.isinf(stabilizing(1e8 * np.random.default_rng(0).normal(size=(100, 3, 3)))).all()


def test_of_modes_that_decay_equally_the_fastest_gives_the_period(x64):
    modes = np.array([3e-18 + 1j, 3e-18 - 1j, 2j, -2j, 7e-18 + 0.5j, 7e-18 - 0.5j, -1.0 + 5j, -1.0 - 5j])
    np.testing.assert_allclose(jax.jit(spectra.summarize_flow)(modes).period, np.pi, rtol=1e-12)


@pytest.mark.slow
def test_critical_strengths_of_slanted_land_are_where_the_moments_say(x64, place):
    players, tangents, _ = place

    def game(strength):
        return games.penalized(GAME, penalties.r1(strength))

    search = functools.partial(thresholds.critical_strength, game, players, tangents=tangents, lowest=1e-3, points=20)
    found = quick(search)()
    turning = [
        np.sum(np.abs(np.imag(by_hand(WEIGHTS, gamma=gamma))) > 1e-9)
        for gamma in np.outer([found.first, found.last], [1 - 1e-9, 1 + 1e-9]).ravel()
    ]
    assert turning == [8, 6, 2, 0]
    assert found.stabilizing == 0  # at every strength: without penalty too


@pytest.mark.slow
def test_an_epoch_in_turn_is_the_product_of_steps_on_one_face_each(x64):
    """The chain rule, with a game of one face for each step; and the map is where such steps lead."""
    rule = rules.tutorial(sgd(0.3, 0.5))
    players = GAME.init(jax.random.key(1))

    @quick
    def found():
        whole = spectra.update_jacobian(rule, GAME, players, len(IMAGES), over="latent")
        update, flat, state_of = update_maps.update_map(rule, GAME, players, len(IMAGES), over="latent")
        state, product = state_of(flat), jnp.eye(len(flat))
        for image in IMAGES:
            one = slanted_land(image[None])
            product = spectra.update_jacobian(rule, one, state) @ product
            numbers = update_maps.update_map(rule, one, state, 1)
            state = numbers[2](numbers[0](numbers[1]))
        return whole, product, update(flat), update_maps.update_map(rule, GAME, state, 1)[1]

    whole, product, end, stepped = found()
    np.testing.assert_allclose(whole, product, atol=1e-13)  # five products of 26 by 26 matrices near 1
    np.testing.assert_allclose(end, stepped, atol=1e-14)


@pytest.mark.slow
def test_data_come_to_both_games_of_a_lazy_rule_by_themselves(x64):
    """Of four numbers in turn each game sees one in two steps: the product of (1 - η a) (1 - η a²) is over all four."""
    numbers, rate = np.array([1.0, 2.0, 0.5, 3.0]), 0.1

    def game(power):
        def loss(players, sample):
            return sample.real**power * players.generator**2 / 2

        own = games.dirac()
        draws = games.Sample(real=distributions.cyclic(numbers))
        return own._replace(draws=draws, losses=Players((loss,), (lambda p, sample: p.discriminator**2 / 2,)))

    rule = rules.lazily(rules.simultaneous(sgd(rate)), 2, game(1))
    found = spectra.update_eigenvalues(rule, game(2), ORIGIN, 8, over=())
    np.testing.assert_allclose(
        np.sort(found.real), np.sort([0.9**8, np.prod((1 - rate * numbers) * (1 - rate * numbers**2))]), rtol=1e-12
    )
    with pytest.raises(ValueError, match="'real' comes again only after 8"):
        spectra.update_eigenvalues(rule, game(2), ORIGIN, 4, over=())


@pytest.mark.slow
def test_a_step_that_shows_all_data_is_not_random(x64, place):
    players, tangents, flow = place
    batch = games.minibatch(games.expected(GAME, "latent"), 5)
    rule = rules.simultaneous(sgd(RATE))
    found = quick(lambda: spectra.update_eigenvalues(rule, batch, players, tangents=tangents, over=()))()
    assert apart(found, 1 + RATE * flow) < 1e-9  # of modes that almost merge


@pytest.mark.slow
def test_quadrature_converges_geometrically_in_its_nodes(x64):
    """Gauss-Legendre on [-1, 1] is off by ρ⁻²ⁿ for a function analytic in the ellipse with foci ±1, ρ the sum of its
    semi-axes. The nearest singularity of σ(w z + b) is at w z + b = iπ; that of the losses is near to it for small u.
    """
    w, b = 6.0, -2.5
    generator = networks.Generator(np.full(4, w), np.full(4, b))
    players = Players(generator, networks.Discriminator(0.1 * np.array([1.0, -1.0, -2.0, 1.0]), np.array(0.1)))
    nodes = np.array([4, 10, 16])

    @quick
    def values():
        def at(n):
            game = slanted_land(faces.FACES, latent=distributions.uniform(nodes=n))
            slopes, _ = ravel_pytree(spectra.expected_field(game)(players))
            return jnp.append(slopes, games.expected_losses(game, players).generator)

        return jnp.stack([at(int(n)) for n in nodes]), at(60)

    approximate, exact = values()
    errors = np.abs(approximate - exact[None]).max(1)
    pole = 2 * (1j * np.pi - b) / w - 1
    rho = max(abs(pole + root) for root in (np.sqrt(pole**2 - 1), -np.sqrt(pole**2 - 1)))
    slope = np.polyfit(nodes, np.log(errors), 1)[0]
    # A singularity of higher order than a pole multiplies by a power of n.
    np.testing.assert_allclose(slope, -2 * math.log(rho), rtol=0.1)
    assert errors[-1] < 1e-8


@pytest.mark.slow
def test_there_is_no_spectrum_where_the_field_or_the_step_jumps(x64):
    """A slope has no norm with a derivative at 0, nor has a sign one there, though JAX declares them."""
    dirac, zero = games.penalized(games.dirac(), penalties.wgan_gp(1e-3)), Players(0.0, 0.0)
    of_flow = quick(functools.partial(spectra.flow_eigenvalues, dirac))
    assert np.isnan(of_flow(zero)).all()
    assert not np.isnan(of_flow(Players(0.0, 1e-3))).any()
    assert np.isnan(of_flow(Players(0.0, 1e-20))).all()  # beside the jump
    of_step = quick(spectra.update_eigenvalues, static_argnums=(0, 1))
    slow = rules.simultaneous(optax.adam(1e-3, eps_root=1e-16))  # whose roots are no numbers below 0
    assert np.isnan(of_step(slow, dirac, zero)).any()
    assert not np.isnan(of_step(slow, games.dirac(), zero)).any()
    for descent in (optax.sign_sgd, optax.lion):
        values = of_step(rules.simultaneous(descent(1e-3)), games.quadratic(0.5), zero)
        assert np.isnan(values).any()


@pytest.mark.slow
def test_neither_a_large_player_nor_a_kink_along_the_way_hides_a_jump(x64):
    # The first way goes from 0 along these numbers.
    along, beside = np.abs(np.random.default_rng(0).normal(size=2))
    for function, place in (
        (lambda x: jnp.array([jnp.sign(x[0]), x[1] - 1e14]), [0.0, 1e14]),
        (lambda x: jnp.array([jnp.heaviside(x[0] - along / beside * x[1], 0.0), x[1]]), [0.0, 0.0]),
    ):
        assert spectra.jumps(function, jnp.array(place))
    # A large number of another player is lost in its last digits, which is no jump.
    assert not spectra.jumps(lambda x: jnp.array([(x[0] + x[1]) - x[1], x[1]]), jnp.array([0.3, 3e7]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("penalty", "jumps"), [(penalties.wgan_gp, True), (penalties.dragan, True), (penalties.r1, False)]
)
def test_an_undecided_discriminator_is_no_equilibrium_with_a_penalty_on_the_norm_of_its_slope(
    x64, place, penalty, jumps
):
    players, tangents, _ = place
    game = games.penalized(GAME, penalty(0.01))
    found = quick(lambda: spectra.flow_eigenvalues(game, players, tangents=tangents))()
    assert np.isnan(found).any() == jumps


@pytest.mark.slow
def test_late_counts_do_not_begin_again(x64):
    """Adam with 2,500 moves of D in a period: its second moment keeps 0.999 of itself in each, its first moment 0.9."""
    order = ("discriminator",) * 5 + ("generator",)
    rule = rules.lookahead(rules.alternating(optax.adam(0.01, eps_root=1e-2), order=order), 500, 0.5)
    found = spectra.update_eigenvalues(rule, games.quadratic(0.5), Players(0.0, 0.0), 500)
    np.testing.assert_allclose(np.sort(np.abs(found))[::-1][:4], [0.999**500, 0.5, 0.5, 0.999**2500], rtol=1e-6)


@pytest.mark.slow
def test_thresholds_have_derivatives_by_the_tolerance_and_beside_modes_that_die_at_once(x64):
    """Of the edge of the Dirac-GAN with R1, against difference quotients."""

    def edge(rule, strength, tolerance=spectra.GROWTH_TOLERANCE):
        game = games.penalized(games.dirac(), penalties.r1(strength))
        search = functools.partial(thresholds.largest_stable_rate, lowest=0.1, highest=10, points=10)
        return search(rule, game, ORIGIN, tolerance=tolerance)

    def descent(rate):
        return rules.simultaneous(optax.sgd(rate))

    def averaged(rate):  # has a multiplier of exactly 0
        return rules.averaged(descent(rate), optax.ema(0.9))

    for function, place in (
        (functools.partial(edge, averaged), 0.5),
        (functools.partial(edge, descent, 1.0), 1e-3),
    ):
        function = jax.jit(function)
        quotient = (function(place * 1.001) - function(place * 0.999)) / (0.002 * place)
        np.testing.assert_allclose(jax.jit(jax.grad(function))(place), quotient, rtol=1e-4)
