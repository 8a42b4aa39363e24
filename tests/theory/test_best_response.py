import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linprog, minimize

from slantgan_jax import Discriminator, Generator, Players, distributions, faces, losses, rules, slanted_land, train
from slantgan_jax.analysis import best_response, equilibria

LN2 = np.log(2)
MEAN = faces.FACES.mean(0)
PANELS, PER_PANEL = 400, 8


def softplus(a):
    return np.logaddexp(0, a)


def sigmoid(a):
    return (1 + np.tanh(a / 2)) / 2


def curve(w, b, z):
    return sigmoid(np.multiply.outer(z, w) + b)


def composite():
    """Gauss-Legendre on each of 400 panels: another rule than the module's, right to rounding at |w| = 50."""
    z, weights = np.polynomial.legendre.leggauss(PER_PANEL)
    z = (np.arange(PANELS)[:, None] + (z + 1) / 2) / PANELS
    return z.ravel(), np.tile(weights / 2 / PANELS, PANELS)


def reference(w, b, images, ridge=0.0, weights=None):
    """The regression by SciPy's trust region method."""
    z, fake_weights = composite()
    real_weights = np.full(len(images), 1 / len(images)) if weights is None else weights
    rows = np.concatenate([-np.c_[images, np.ones(len(images))], np.c_[curve(w, b, z), np.ones(z.size)]])
    weights = np.concatenate([real_weights, fake_weights])

    def hessian(psi):
        p = sigmoid(rows @ psi)
        return (rows * (weights * p * (1 - p))[:, None]).T @ rows + ridge * np.eye(psi.size)

    return minimize(
        lambda psi: weights @ softplus(rows @ psi) + ridge / 2 * psi @ psi,
        np.zeros(rows.shape[1]),
        jac=lambda psi: (weights * sigmoid(rows @ psi)) @ rows + ridge * psi,
        hess=hessian,
        method="trust-exact",
        options={"gtol": 1e-12, "maxiter": 500},
    )


def generators(count, scale, seed=0, spread=0.05):
    """Random generators whose mean images are near the faces': some can be told apart from them, some not."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(count, 4)) * scale
    means = np.clip(MEAN + spread * rng.normal(size=(count, 4)), 0.02, 0.98)
    return w, np.asarray(jax.jit(equilibria.bias)(w, means))


@jax.jit
@jax.vmap
def equilibria_at(w):
    return equilibria.equilibrium(w, faces.FACES)


def padded(function, *arguments):
    """`function`, jitted and mapped, over batches of 40, so that every test runs the same compiled programs."""
    count = len(arguments[0])
    rows = np.arange(-(-count // 40) * 40) % count
    parts = [function(*(np.asarray(argument)[part] for argument in arguments)) for part in rows.reshape(-1, 40)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


@jax.jit
@functools.partial(jax.vmap, in_axes=(None, 0, 0, 0))
def mapped_best(images, w, b, ridge):
    return best_response.best_discriminator(Generator(w, b), images, ridge)


@jax.jit
@jax.vmap
def mapped_gaps(w, b, u, c, ridge):
    players = Players(Generator(w, b), Discriminator(u, c))
    return (
        best_response.duality_gap(players, faces.FACES, ridge),
        best_response.nikaido_isoda_gap(players, faces.FACES, ridge),
        best_response.restricted_jensen_shannon(players.generator, faces.FACES),
    )


def best(w, b, images=faces.FACES, ridge=0.0):
    return padded(functools.partial(mapped_best, images), w, b, np.full(len(w), ridge))


def all_gaps(w, b, u, c, ridge=0.0):
    """Duality gap, Nikaido-Isoda gap, restricted Jensen-Shannon divergence."""
    return padded(mapped_gaps, w, b, u, c, np.full(len(w), ridge))


def psi_of(found, i):
    return np.append(found.discriminator.weights[i], found.discriminator.bias[i])


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_the_best_discriminator_is_scipys(x64, scale):
    w, b = generators(40, scale, spread=0.02)
    found = best(w, b)
    largest = np.abs(found.discriminator.weights).max(1)
    kept = np.flatnonzero(found.attained & (largest < 40))[:4]
    assert len(kept) == 4
    for i in kept:
        expected = reference(w[i], b[i], faces.FACES)
        # At |w| < 10 and |u| < 40 the quadrature is right to 1e-9. SciPy stops at a loss it cannot lower.
        assert found.loss[i] == pytest.approx(expected.fun, abs=1e-9)
        np.testing.assert_allclose(psi_of(found, i), expected.x, rtol=1e-5, atol=1e-5)
    # Rounding: a sum of 205 numbers below 1 times logits that are right to ulps of |u|.
    assert np.all(found.gradient_norm[found.attained] < 1e-14 * (1 + largest[found.attained]))


@pytest.mark.slow
def test_a_ridge_makes_every_infimum_a_minimum(x64):
    w, b = generators(3, 1.0)
    for ridge in (1e-3, 1.0):
        found = best(w, b, ridge=ridge)
        assert found.attained.all()
        for i in range(3):
            expected = reference(w[i], b[i], faces.FACES, ridge)
            # SciPy's gradient 1e-12 / ridge, doubled often
            np.testing.assert_allclose(psi_of(found, i), expected.x, atol=1e-8)
            assert found.loss[i] == pytest.approx(expected.fun, abs=1e-12)
    small, plain = best(w, b, ridge=1e-9), best(w, b)
    size = np.sum(plain.discriminator.weights**2, 1) + plain.discriminator.bias**2
    assert np.all(np.abs(small.loss - plain.loss)[plain.attained] <= 1e-9 * size[plain.attained])  # ridge |ψ|² / 2


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0, 12.0])
def test_separability_is_the_linear_programs(x64, scale):
    """The largest t with u·x + c ≥ t on the faces, ≤ -t on the curve and |u_i| ≤ 1 is positive or it is not."""
    w, b = generators(25, scale, seed=1)
    found = best(w, b)
    points = curve(w, b, np.linspace(0, 1, 400))
    for i in range(len(w)):
        rows = np.r_[np.c_[-faces.FACES, -np.ones(5), np.ones(5)], np.c_[points[:, i], np.ones(400), np.ones(400)]]
        bounds = [(-1, 1)] * 4 + [(None, None)] * 2
        program = linprog(np.r_[np.zeros(5), -1], rows, np.zeros(len(rows)), bounds=bounds)
        assert program.status == 0
        width = -2 * program.fun
        # Neither is decided by a curve of 400 chords, which bulges by (w/400)²/8 · 0.1 |u|₁, nor did it come so close.
        assert width < 1e-9 or width > 1e-4
        assert bool(found.separable[i]) == (width > 1e-4)
        assert bool(found.attained[i]) != bool(found.separable[i])
        # |u_i| ≤ 1 holds for unit vectors: the program has more room.
        assert found.hull_distance_lower[i] <= width + 1e-4
    assert 0 < found.separable.sum() < len(w)  # both cases were met


@pytest.mark.slow
def test_a_separating_plane_separates_and_a_common_point_of_the_hulls_is_none(x64):
    """The certificate of `attained`: the mistaken faces and the mistaken generated images have one mean."""
    w, b = (np.concatenate(each) for each in zip(generators(40, 3.0, seed=2), generators(30, 2.0, seed=3), strict=True))
    found = best(w, b)
    assert found.separable[:40].sum() > 10
    lower, upper = found.hull_distance_lower, found.hull_distance_upper
    many, (z, weights) = np.linspace(0, 1, 25_001), np.polynomial.legendre.leggauss(best_response.NODES)
    z, weights = (z + 1) / 2, weights / 2
    for i in range(len(w)):
        u, c = found.discriminator.weights[i], found.discriminator.bias[i]
        if found.separable[i]:
            low, high = (faces.FACES @ u + c).min(), (curve(w[i], b[i], many) @ u + c).max()
            assert low > 0 > high
            assert lower[i] == pytest.approx(float((low - high) / np.linalg.norm(u)), rel=1e-4)  # dense, not continuous
            assert found.loss[i] == 0
            assert lower[i] <= upper[i]  # both bound one distance
        if found.attained[i]:
            points = curve(w[i], b[i], z)
            real, fake = sigmoid(-(faces.FACES @ u + c)), weights * sigmoid(points @ u + c)
            gap = real @ faces.FACES / real.sum() - fake @ points / fake.sum()
            assert np.linalg.norm(gap) < 2.4e-10  # 2^20 rounding units, the stated tolerance
            assert upper[i] == pytest.approx(np.linalg.norm(gap), abs=1e-11)


def test_a_curve_inside_a_plane_has_an_infimum_that_is_not_attained(x64):
    """Pixel 0 of the generator is ½ exactly, that of two images too: u_0 → ∞ tells the third apart, and no more."""
    w, b = np.array([0.0, 1.0, -2.0, 1.5]), np.array([0.0, -0.8, 1.2, -0.6])
    middle = curve(w, b, np.linspace(0, 1, 11)).mean(0)  # in the curve's hull, and between two images
    aside = np.array([0, 0.1, 0.2, -0.1])
    images = np.array([middle + aside, middle - aside, [0.7, 0.5, 0.5, 0.5]])
    found = best(w[None], b[None], images[[0, 1, 2, 2, 2]])
    rest = reference(w[1:], b[1:], images[:2, 1:], weights=np.full(2, 1 / 5))
    assert not found.separable[0]
    assert not found.attained[0]
    assert found.discriminator.weights[0, 0] > 100  # 0.2 u_0 > 20: on its way
    assert found.loss[0] == pytest.approx(rest.fun, abs=1e-9)  # short of it by e^-20 at most


def test_a_collapsed_generator_that_draws_one_of_the_faces_has_no_best_discriminator(x64):
    """Its point is a corner of the faces' hull, so D becomes surer of the other faces for ever: the infimum is that of
    telling the face from itself, with probabilities 1/5 and 1."""
    found = best(np.zeros((4, 4)), np.log(faces.FACES[1:] / (1 - faces.FACES[1:])))
    assert not found.separable.any()
    assert not found.attained.any()
    logit = np.log(1 / 5)  # minimizes 1/5 s(-ℓ) + s(ℓ)
    infimum = np.logaddexp(0, -logit) / 5 + np.logaddexp(0, logit)
    np.testing.assert_allclose(found.loss, infimum, atol=1e-7)  # short of it by e^-20 at most
    # The Jensen-Shannon divergence itself, which is not ln 2.
    assert LN2 - infimum / 2 == pytest.approx(2 / 5 * LN2 + np.log(5) / 2 - 3 / 5 * np.log(3), abs=1e-15)


@pytest.mark.slow
def test_a_face_on_the_curve_at_a_node_of_the_quadrature_is_not_proven_to_be_inside(x64):
    w, b = np.array([4.0, 2.0, 0.0, 0.0]), np.array([-2.0, -0.2, 0.0, 0.0])
    z = (np.polynomial.legendre.leggauss(best_response.NODES)[0][41] + 1) / 2
    point, ahead = curve(w, b, np.array([z, z + 1e-4]))
    tangent = (ahead - point) / np.linalg.norm(ahead - point)
    normal = np.array([-tangent[1], tangent[0], 0, 0])
    side = np.sign((curve(w, b, np.array([0.0, 1.0])) - point) @ normal).sum()
    found = best(w[None], b[None], np.array([point, point - 0.05 * np.sign(side) * normal])[[0, 1, 1, 1, 1]])
    assert not found.attained[0]


def test_touching_is_separation_in_the_limit(x64):
    """A face that is the curve's end: no plane has them strictly apart, but the infimum is 0."""
    w, b = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.0, 0.5, -0.3, 0.2])
    end = sigmoid(b)
    found = best(w[None], b[None], np.tile(end, (5, 1)))
    assert not found.separable[0]
    assert not found.attained[0]
    assert found.hull_distance_lower[0] < 1e-12  # nothing above rounding
    assert found.loss[0] < 1e-6  # at |u| = 1e8 a logit is rounded to 1e-8
    near = best(w[None], b[None], np.tile(end - 1e-6 * w * end * (1 - end), (5, 1)))  # beyond the end
    assert near.separable[0]
    assert 0 < near.hull_distance_lower[0] < 1e-6


def test_a_constant_generator_and_faces_in_one_plane_and_a_diverged_one(x64):
    """w = 0: one point. Every face has Σ x = 2, so D needs no u along (1, 1, 1, 1) if the point has too."""
    means = np.array([MEAN, MEAN + 0.001, [0.6, 0.4, 0.4, 0.6]])
    found = best(np.zeros((3, 4)), np.asarray(jax.jit(equilibria.bias)(np.zeros((3, 4)), means)))
    assert found.separable.tolist() == [False, True, True]
    assert found.attained.tolist() == [True, False, False]
    assert found.loss[0] == pytest.approx(2 * LN2, abs=1e-15)
    chex.assert_tree_all_finite(found)
    diverged = best(np.where([False, False, True, False], np.nan, 0)[None], np.zeros((1, 4)))
    assert np.isnan(diverged.loss[0])
    assert not diverged.separable[0]
    assert not diverged.attained[0]


@pytest.mark.slow
def test_all_gaps_are_zero_at_equilibria(x64):
    w = np.random.default_rng(4).uniform(-1, 1, (12, 4)) * np.repeat([1.0, 10.0, 50.0], 4)[:, None]
    at = equilibria_at(w)
    found = all_gaps(*at.generator, *at.discriminator)
    for gap in found:
        np.testing.assert_allclose(gap, 0, atol=2e-15)  # sums of 200 numbers around ln 2
    assert best(w, at.generator.biases).attained.all()


@pytest.mark.slow
def test_the_gaps_are_positive_elsewhere(x64):
    rng = np.random.default_rng(5)
    w, b, u, c = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng.normal(size=200)
    duality, nikaido_isoda, jensen_shannon = all_gaps(w, b, u, c)
    assert duality.min() > 0.01
    assert nikaido_isoda.min() > 0.01
    assert jensen_shannon.min() > 0
    assert jensen_shannon.max() <= LN2
    # One coordinate off an equilibrium is enough, whichever it is, unless it is a weight whose bias follows.
    at = jax.tree.map(lambda leaf: leaf[0], equilibria_at(w[:1]))
    start = np.concatenate([*at.generator, at.discriminator.weights, [at.discriminator.bias]])
    off = start + 0.1 * np.eye(13)
    values = all_gaps(off[:, :4], off[:, 4:8], off[:, 8:12], off[:, 12])
    for gap in values[:2]:
        assert gap.min() > 1e-5
    assert values[2][:8].min() > 1e-5
    np.testing.assert_allclose(values[2][8:], 0, atol=2e-15)  # a property of the generator alone


@pytest.mark.slow
def test_a_ridge_is_a_price_that_d_pays_in_both_gaps(x64):
    rng = np.random.default_rng(12)
    w, b, u, c = *rng.normal(size=(3, 40, 4)), rng.normal(size=40)
    ridges = np.geomspace(1e-3, 1, 40)

    def differences(*players):
        """Both gaps with the ridge less those without it."""
        with_ridge, without = (all_gaps(*players, ridge)[:2] for ridge in (ridges, 0.0))
        return [one - other for one, other in zip(with_ridge, without, strict=True)]

    rise = best(w, b, ridge=ridges).loss - best(w, b).loss
    price = ridges / 2 * ((u**2).sum(1) + c**2)
    np.testing.assert_allclose(differences(w, b, u, c), [price - rise, price - rise], atol=1e-14)  # rounding
    at = equilibria_at(w)
    np.testing.assert_allclose(differences(*at.generator, *at.discriminator), 0, atol=4e-15)


@pytest.mark.slow
def test_the_gaps_are_quadratic_near_the_equilibria(x64):
    """Each player's own loss is stationary there, so half as far off is a quarter of the gain."""
    rng = np.random.default_rng(11)
    w = rng.normal(size=4)
    at = jax.tree.map(lambda leaf: leaf[0], equilibria_at(w[None]))
    distance = np.repeat([1e-3, 5e-4], 10)
    direction = np.tile(rng.normal(size=(10, 4)), (2, 1)) * distance[:, None]
    biases = np.asarray(at.generator.biases) + direction
    _, _, divergence = all_gaps(np.tile(w, (20, 1)), biases, np.zeros((20, 4)), np.zeros(20))
    # The cubic term: 1e-3 over the spread of the images across Σ x = 2, some 0.05.
    np.testing.assert_allclose(divergence[:10] / divergence[10:], 4, rtol=0.1)


@pytest.mark.slow
def test_no_player_alone_gets_more_than_its_gap(x64):
    """Both gaps from their definition: SciPy for D; for G thousands of random generators and the corners."""
    rng = np.random.default_rng(6)
    (w,), (b,) = generators(1, 3.0, seed=7)
    u, c = rng.normal(size=4) * 3, 0.4
    z, weights = composite()
    real, fake = faces.FACES @ u + c, curve(w, b, z) @ u + c
    duality, nikaido_isoda, _ = (gap[0] for gap in all_gaps(w[None], b[None], u[None], np.array([c])))
    least_d = reference(w, b, faces.FACES).fun
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T @ u + c
    signs = ((losses.saturating, lambda a: -softplus(a)), (losses.non_saturating, lambda a: softplus(-a)))
    for objective, loss_fn in signs:
        least = float(best_response.best_generator_loss(Discriminator(u, c), objective))
        assert least == pytest.approx(loss_fn(corners).min(), abs=1e-15)
        nodes, node_weights = np.polynomial.legendre.leggauss(20)
        theta = rng.normal(size=(5000, 2, 4)) * 10
        logits = sigmoid(theta[:, :1] * ((nodes + 1) / 2)[:, None] + theta[:, 1:]) @ u + c
        tried = loss_fn(logits) @ node_weights / 2
        assert tried.min() > least  # not attained
        image = np.asarray(best_response.best_response_image(Discriminator(u, c)))
        near = loss_fn(sigmoid(40 * (2 * image - 1)) @ u + c)
        assert near == pytest.approx(least, abs=1e-15)  # e^-40 away
    saturating, non_saturating = -softplus(corners.max()), softplus(-corners.max())
    value_loss = softplus(-real).mean()
    assert duality == pytest.approx(value_loss - saturating - least_d, abs=1e-10)
    own = value_loss + weights @ softplus(fake) - least_d + weights @ softplus(-fake) - non_saturating
    assert nikaido_isoda == pytest.approx(own, abs=1e-10)  # the quadrature at |w| ≤ 10


@pytest.mark.slow
def test_the_divergence_is_that_of_the_best_discriminator_by_monte_carlo(x64):
    (w,), (b,) = generators(1, 2.0, seed=8, spread=0.01)
    found = best(w[None], b[None])
    u, c = found.discriminator.weights[0], found.discriminator.bias[0]
    assert found.attained[0]
    z = np.random.default_rng(9).uniform(size=200_000)
    fake = -softplus(curve(w, b, z) @ u + c)
    value = np.mean(-softplus(-(faces.FACES @ u + c))) + fake.mean()
    divergence = all_gaps(w[None], b[None], np.zeros((1, 4)), np.zeros(1))[2][0]
    # 2 JS = V + ln 4 (Goodfellow et al. 2014, eq. 6); five standard errors.
    assert 2 * divergence == pytest.approx(value + np.log(4), abs=5 * fake.std() / np.sqrt(z.size))
    assert 0 < divergence < LN2


@pytest.mark.slow
def test_the_gradient_holds_the_discriminator_still(x64):
    (w,), (b,) = generators(1, 2.0, seed=8, spread=0.01)

    def loss(w, b):
        return best_response.best_discriminator(Generator(w, b), faces.FACES).loss

    step = 1e-5
    at = np.repeat(np.concatenate([w, b])[None], 17, 0)
    at[1:9] += step * np.eye(8)
    at[9:] -= step * np.eye(8)
    value, (by_w, by_b) = padded(jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)))), at[:, :4], at[:, 4:])
    expected = (value[1:9] - value[9:]) / (2 * step)
    # step² times a third derivative, some |u|³; ε/step
    np.testing.assert_allclose(np.concatenate([by_w[0], by_b[0]]), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
def test_the_second_derivative_lets_the_discriminator_follow(x64):
    (w,), (b,) = generators(1, 2.0, seed=8, spread=0.01)

    def losses(scale):
        best = functools.partial(best_response.best_discriminator, Generator(scale * w, b), faces.FACES)
        return jax.vmap(lambda ridge: best(ridge).loss)(jnp.array([0, 0.1]))

    step = 1e-4
    at = np.array([1, 1 + step, 1 - step, 1 + 2 * step, 1 - 2 * step])
    values = np.asarray(jax.jit(jax.vmap(losses))(at))
    near, far = (values[i] - 2 * values[0] + values[i + 1] for i in (1, 3))
    found = jax.jit(jax.hessian(losses))(1.0)
    np.testing.assert_allclose(found, (16 * near - far) / (12 * step**2), rtol=1e-6)  # rounding 1e-16/step²


@pytest.mark.slow
def test_training_brings_the_gaps_down(x64):
    game = slanted_land()
    rule = rules.tutorial(optax.sgd(0.05))
    run = jax.jit(jax.vmap(lambda key: train(key, game, rule, 20_000).players))
    keys = jax.random.split(jax.random.key(0), 4)
    first, last = jax.vmap(game.init)(jax.random.clone(keys)), run(keys)
    gap = [
        all_gaps(*map(faces.stack, p.generator), faces.stack(p.discriminator.weights), p.discriminator.bias)
        for p in (first, last)
    ]
    for before, after in zip(gap[0][:2], gap[1][:2], strict=True):
        assert np.all(after > 0)
        assert np.all(after < before)
    # The best discriminator is as hard to fool as before: steps of 0.05 leave G beside the faces' plane Σ x = 2.
    assert np.all(gap[1][2] > 0.1)
    images, (leaves, tree) = faces.unstack(faces.FACES), jax.tree.flatten(last)
    by_pixel = padded(
        jax.jit(jax.vmap(lambda *leaves: best_response.duality_gap(jax.tree.unflatten(tree, leaves), images))), *leaves
    )
    np.testing.assert_allclose(by_pixel, gap[1][0], atol=1e-14)  # the order of sums


def test_the_quadrature_is_as_good_as_stated(x64):
    z, weights = distributions.uniform_quadrature(best_response.NODES)
    fine, fine_weights = composite()
    rng = np.random.default_rng(10)
    for size_w, size_u, bound in ((50, 5, 2e-13), (5, 20, 2e-13), (10, 50, 2e-9), (50, 20, 5e-7)):
        w, u = rng.uniform(-size_w, size_w, (40, 4)), rng.uniform(-size_u, size_u, (40, 4))
        b = -w * rng.uniform(size=(40, 4))
        for row in zip(w, b, u, strict=True):
            exact = curve(row[0], row[1], fine) @ row[2]
            c = rng.choice(exact)
            found = weights @ softplus(curve(row[0], row[1], np.asarray(z)) @ row[2] - c)
            assert abs(found - fine_weights @ softplus(exact - c)) < bound


@pytest.mark.slow
def test_one_trace_serves_all_and_single_precision_works():
    w, b = (np.float32(leaf) for leaf in generators(20, 1.0))
    best_for = chex.assert_max_traces(lambda *p: best_response.best_discriminator(Generator(*p), faces.FACES), n=1)
    traced = jax.jit(jax.vmap(best_for))
    found = traced(w, b)
    traced(2 * w, b)
    chex.assert_tree_all_finite(found)
    assert found.loss.dtype == np.float32
    with jax.enable_x64(True):
        exact = best(w, b)
    wide = exact.separable & (exact.hull_distance_lower > 1e-2)
    mild = exact.attained & (np.abs(exact.discriminator.weights).max(1) < 100)
    assert wide.any()
    assert mild.any()
    assert np.all(found.separable[wide])
    np.testing.assert_array_equal(found.loss[wide], 0)
    np.testing.assert_allclose(found.loss[mild], exact.loss[mild], atol=1e-4)  # logits up to 100, right to 1e-5


@pytest.mark.slow
def test_images_may_have_negative_pixels(x64):
    """The hulls of the faces and of the curve meet: the best D is that of scipy, and the distance of the hulls is 0."""
    images = np.array([[-0.5, 1.5], [1.5, -0.5], [0.2, 0.3], [0.8, 0.9]])
    best_of = jax.jit(lambda w, b, images: best_response.best_discriminator(Generator(w, b), images))
    found = best_of(np.array([1.0, -1.0]), np.zeros(2), images)
    assert found.attained
    assert found.hull_distance_lower <= found.hull_distance_upper < 1e-12
    apart = best_of(np.array([1.0]), np.array([-0.5]), np.array([[-0.5], [-0.4]]))
    exact = jax.nn.sigmoid(-0.5) + 0.4  # from the darkest face to the least pixel of the curve
    assert apart.hull_distance_lower <= exact + 1e-12
    assert exact - 1e-12 <= apart.hull_distance_upper
