"""Metrics of samples, held against closed forms, loops in NumPy, scipy and POT."""

import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import ot
import pytest
import scipy.optimize
import scipy.stats

from slantgan_jax import Players, distributions, games, metrics, rules, train
from slantgan_jax.distributions import Modes

pytestmark = pytest.mark.usefixtures("quick_compile")

ANGLES = 2 * np.pi * np.arange(8) / 8
RING = Modes(np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1), np.full(8, 1 / 8), 0.01)
EVEN = np.pi * np.arange(7) / 7
EVEN = np.stack([np.cos(EVEN), np.sin(EVEN)], -1)
"""Directions in the plane: the mean of cos² over them is exactly ½."""


def mixture(modes, count, seed=0):
    rng = np.random.default_rng(seed)
    which = rng.choice(len(modes.weights), count, p=modes.weights)
    return modes.centers[which] + modes.deviation * rng.normal(size=(count, modes.centers.shape[1]))


def normals(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def counted(points, modes):
    """The definitions, point by point."""
    counts = np.zeros((3, len(modes.centers)), int)
    for point in points:
        if np.isfinite(point).all():
            nearest = min(range(len(modes.centers)), key=lambda i: math.dist(point, modes.centers[i]))
            off = point - modes.centers[nearest]
            limit = 3 * modes.deviation
            counts[:, nearest] += [True, math.hypot(*off) < limit, abs(off[0]) < limit and abs(off[1]) < limit]
    return counts


def divergence(counts, weights):
    shares = counts / counts.sum()
    return sum(p * math.log(p / q) for p, q in zip(shares, weights, strict=True) if p)


def within(share, expected, count):
    """Whether a share of `count` independent points is as expected, to five standard deviations."""
    return abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / count)


def test_coverage_is_what_a_loop_over_points_counts():
    modes = RING._replace(weights=np.array([2, 1, 1, 1, 1, 1, 0.5, 0.5]) / 8, deviation=0.1)
    points = np.float32(np.concatenate([mixture(modes, 300), *normals((200, 2))]))
    points[7], points[8], points[9] = np.nan, [np.inf, 0], [0, -np.inf]
    found = jax.jit(metrics.mode_coverage)(points, modes)
    for coverage, counts in zip(found, counted(np.float64(points), modes), strict=True):
        np.testing.assert_array_equal(coverage.histogram, counts)
        assert coverage.modes == np.sum(counts > 0)
        np.testing.assert_allclose(coverage.share, counts.sum() / 500, rtol=1e-6)  # float32
        np.testing.assert_allclose(coverage.reverse_kl, divergence(counts, modes.weights), rtol=1e-5)  # a sum of eight
    assert found.all.share == np.float32(497 / 500)  # three points are nowhere, but count
    assert found.ball.share < found.box.share < found.all.share


@pytest.mark.slow
def test_the_mixture_itself_covers_all_of_its_modes():
    found = metrics.mode_coverage(mixture(RING, 100_000), RING)
    assert within(found.ball.share, 1 - math.exp(-4.5), 100_000)
    assert within(found.box.share, math.erf(3 / math.sqrt(2)) ** 2, 100_000)
    for coverage in found:
        assert coverage.modes == 8
        # 2 n KL is nearly a χ² with 7 degrees of freedom, which is above 40 once in a million.
        assert 0 <= coverage.reverse_kl < 40 / 200_000


@pytest.mark.slow
def test_in_one_dimension_ball_and_box_are_the_same():
    modes = Modes(np.array([[-2.0], [2.0]]), np.array([0.5, 0.5]), 0.5)  # 4 σ from the border between the modes
    found = metrics.mode_coverage(mixture(modes, 100_000), modes)
    jax.tree.map(np.testing.assert_array_equal, found.ball, found.box)
    assert within(found.ball.share, math.erf(3 / math.sqrt(2)), 100_000)


@pytest.mark.slow
def test_a_mode_that_is_missing_and_a_mode_that_has_all():
    missing = metrics.mode_coverage(np.repeat(RING.centers[:7], 10, axis=0), RING)
    alone = metrics.mode_coverage(mixture(RING._replace(weights=np.eye(8)[3]), 100), RING)
    for coverage, modes, kl in ((missing, 7, math.log(8 / 7)), (alone, 1, math.log(8))):
        assert (coverage.ball.modes, coverage.box.modes) == (modes, modes)
        np.testing.assert_allclose([one.reverse_kl for one in coverage], kl, rtol=1e-6)  # float32
    np.testing.assert_array_equal(alone.all.histogram, 100 * np.eye(8)[3])
    weighted = metrics.mode_coverage(RING.centers, RING._replace(weights=np.array([2, 1, 1, 1, 1, 1, 1, 0]) / 8))
    assert np.isposinf(weighted.all.reverse_kl)  # a point where the data has none


@pytest.mark.slow
def test_without_high_quality_points_the_divergence_is_nan():
    """0 would call it perfect, and the code of PacGAN gives NaN, too."""
    found = metrics.mode_coverage(np.tile([0.3, 0.2], (50, 1)), RING)
    np.testing.assert_allclose(found.all.reverse_kl, math.log(8), rtol=1e-6)  # all are nearest to one mode
    for coverage in (found.ball, found.box):
        assert (coverage.modes, coverage.share) == (0, 0)
        assert np.isnan(coverage.reverse_kl)
    for gone in (np.nan, np.inf, np.float32(1e30)):  # the last one has no square in float32
        for coverage in metrics.mode_coverage(np.full((50, 2), gone), RING):
            assert (coverage.modes, coverage.share) == (0, 0)
            assert np.isnan(coverage.reverse_kl)


def test_uniform_noise_is_of_high_quality_by_area():
    modes = RING._replace(deviation=0.1)
    points = np.random.default_rng(0).uniform(-2, 2, (100_000, 2))
    coverage = jax.jit(metrics.mode_coverage)
    found = coverage(points, modes)
    assert within(found.ball.share, 8 * math.pi * 0.3**2 / 16, 100_000)
    assert within(found.box.share, 8 * 0.6**2 / 16, 100_000)
    far = coverage(points, modes, deviations=1.5)
    assert within(far.ball.share, 8 * math.pi * 0.15**2 / 16, 100_000)


@pytest.mark.slow
def test_a_run_records_what_its_batch_records():
    """Coverage and distances as part of a run, of several runs at once, and of one after the other."""
    latents, data = normals((40, 2), (50, 2), seed=1)
    game = games.gan(
        lambda key: Players(jax.random.normal(key, (2,)), jnp.zeros(2)),
        lambda shift, latent: shift + 0.1 * latent,
        lambda slope, image: slope @ image,
        distributions.cyclic(data),
        distributions.cyclic(latents),
    )

    def record(info):
        points = info.players.generator[None] + 0.1 * latents
        distances = metrics.energy_distance(points, data), metrics.mmd_squared(points, data, 1.0)
        return metrics.mode_coverage(points, RING), distances, metrics.sliced_wasserstein(points, data, EVEN)

    def run(key):
        return train(key, game, rules.alternating(optax.sgd(0.1)), 6, record=record, record_every=3).history

    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(run))(keys)
    for seed, key in enumerate(keys):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        # Sums in another order, in float32; distances are of the size 1.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), jax.jit(run)(key), own)


@pytest.mark.slow
def test_two_points_are_as_far_apart_as_the_closed_forms_say(x64):
    x, y, distance = np.tile([1.0, 2.0], (3, 1)), np.tile([4.0, -2.0], (5, 1)), 5.0
    for unbiased in (True, False):
        np.testing.assert_allclose(metrics.energy_distance(x, y, unbiased), 2 * distance, rtol=1e-15)
        np.testing.assert_allclose(
            metrics.mmd_squared(x, y, 3.0, unbiased), 2 - 2 * math.exp(-(distance**2) / 18), rtol=1e-15
        )
    for order in (1, 2, 3.5):
        np.testing.assert_allclose(metrics.wasserstein(x, y, order), distance, rtol=1e-14)
        mean = np.mean(np.abs(EVEN @ [3, -4]) ** order) ** (1 / order)
        np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, EVEN, order), mean, rtol=1e-14)
    np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, EVEN), distance / math.sqrt(2), rtol=1e-14)


@pytest.mark.slow
def test_a_shift_is_as_long_as_it_is(x64):
    (x,) = normals((60, 2))
    shift = np.array([0.3, -0.4])
    for order in (1, 2):
        np.testing.assert_allclose(metrics.wasserstein(x, x + shift, order), 0.5, rtol=1e-13)  # sums of 60
    np.testing.assert_allclose(metrics.sliced_wasserstein(x, x + shift, EVEN), 0.5 / math.sqrt(2), rtol=1e-13)
    for distance in (metrics.energy_distance, lambda *both: metrics.mmd_squared(*both, 1.0)):
        np.testing.assert_allclose(distance(x, x), 0, atol=1e-15)
        assert distance(x, x + shift) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [((30, 1), (30, 1)), ((30, 1), (45, 1)), ((7, 1), (11, 1))])
def test_in_one_dimension_all_distances_have_a_closed_form(x64, shapes):
    x, y = normals(*shapes)
    known = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    line = np.ones((1, 1))
    np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, line, 1), known, rtol=1e-13)
    np.testing.assert_allclose(metrics.wasserstein(x, y), known, rtol=1e-13)
    np.testing.assert_allclose(  # that of scipy is the root
        metrics.energy_distance(x, y), scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rtol=1e-12
    )
    if len(x) == len(y):
        for order in (1, 2, 3):
            power = np.mean(np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0])) ** order) ** (1 / order)
            np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, line, order), power, rtol=1e-13)
            np.testing.assert_allclose(metrics.wasserstein(x, y, order), power, rtol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_transport_is_the_best_assignment(order):
    x, y = normals((40, 3), (40, 3))
    costs = np.linalg.norm(x[:, None] - y, axis=-1) ** order
    best = costs[scipy.optimize.linear_sum_assignment(costs)].mean() ** (1 / order)
    np.testing.assert_allclose(metrics.wasserstein(x, y, order), best, rtol=1e-13)
    weights = np.repeat([1.0, 2.0], 20)  # a point of double weight is two points
    twice = np.concatenate([x, x[20:]])
    np.testing.assert_allclose(
        metrics.wasserstein(x, y, order, x_weights=weights), metrics.wasserstein(twice, y, order), rtol=1e-12
    )
    mirrored = metrics.wasserstein(y, x, order, y_weights=weights / 60)
    np.testing.assert_allclose(mirrored, metrics.wasserstein(twice, y, order), rtol=1e-12)


def test_points_that_are_not_finite_are_at_no_distance():
    x, y = normals((5, 2), (6, 2))
    x[3, 1] = np.nan
    distances = (
        metrics.wasserstein(x, y),
        jax.jit(metrics.sliced_wasserstein)(x, y, EVEN),
        jax.jit(metrics.energy_distance)(x, y),
        jax.jit(metrics.mmd_squared)(x, y, 1.0),
    )
    assert np.isnan(np.array(distances)).all()


@pytest.mark.slow
def test_slices_are_those_of_another_library(x64):
    x, y = normals((30, 3), (47, 3))
    directions = metrics.random_directions(jax.random.key(0), 20, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-15)
    for order in (1, 2):
        known = ot.sliced_wasserstein_distance(x, y, projections=np.array(directions).T, p=order)
        np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, directions, order), known, rtol=1e-12)


@pytest.mark.parametrize("x64", [False, True])
def test_numbers_are_sorted_as_jax_sorts_them(x64):
    """Bit for bit, through all magnitudes and what is no number; so are their derivatives."""
    with jax.enable_x64(x64):
        (values, weights), rng = normals((999,), (999,)), np.random.default_rng(1)
        numbers = jnp.asarray([*values * 10.0 ** rng.integers(-30, 30, 999), 0, -0.0, np.inf, -np.inf, np.nan, -np.nan])
        np.testing.assert_array_equal(jax.jit(metrics._ascending)(numbers), jnp.sort(numbers))
        slopes = [
            jax.grad(lambda x, f=f: jnp.dot(f(x), weights))(numbers[:999]) for f in (metrics._ascending, jnp.sort)
        ]
        np.testing.assert_array_equal(*slopes)


def test_directions_are_uniform():
    directions = np.array(metrics.random_directions(jax.random.key(0), 20_000, 3))
    height = scipy.stats.kstest(directions[:, 1], "uniform", (-1, 2))  # Archimedes: every height is as likely
    assert height.pvalue > 1e-3
    assert np.abs(directions.mean(0)).max() < 5 / math.sqrt(3 * 20_000)


@pytest.mark.parametrize("unbiased", [True, False])
def test_means_over_pairs_are_what_loops_say(x64, unbiased):
    x, y = normals((9, 3), (12, 3))

    def mean(kernel, one, other):
        pairs = [(i, j) for i in range(len(one)) for j in range(len(other))]
        if unbiased and one is other:
            pairs = [(i, j) for i, j in pairs if i != j]
        return np.mean([kernel(math.dist(one[i], other[j])) for i, j in pairs])

    def discrepancy(kernel):
        return mean(kernel, x, x) + mean(kernel, y, y) - 2 * mean(kernel, x, y)

    energy, squared = (
        jax.jit(functools.partial(f, unbiased=unbiased)) for f in (metrics.energy_distance, metrics.mmd_squared)
    )
    np.testing.assert_allclose(energy(x, y), -discrepancy(lambda r: r), rtol=1e-12)
    known = discrepancy(lambda r: math.exp(-(r**2) / (2 * 0.7**2)))
    np.testing.assert_allclose(squared(x, y, 0.7), known, rtol=1e-12)


@pytest.mark.slow
def test_unbiased_means_over_normal_points_are_the_closed_forms(x64):
    """N(0, 1) and N(m, s²) on the line for the energy distance; N(0, I) and N(m, s² I) in three dimensions for MMD."""
    shift, deviation, scale = 0.7, 1.5, 0.9
    x, y = (jnp.array(normals((200, 50, 3), seed=seed)[0]) for seed in (1, 2))
    y = shift * jnp.eye(3)[None, None, 0] + deviation * y

    def mean_size(m, s):
        return s * math.sqrt(2 / math.pi) * math.exp(-(m**2) / (2 * s**2)) + m * math.erf(m / (s * math.sqrt(2)))

    def mean_kernel(m, variance):
        return (scale**2 / (scale**2 + variance)) ** 1.5 * math.exp(-(m**2) / (2 * (scale**2 + variance)))

    energy = 2 * mean_size(shift, math.hypot(1, deviation)) - mean_size(0, math.sqrt(2))
    energy -= mean_size(0, deviation * math.sqrt(2))
    mmd = mean_kernel(0, 2) + mean_kernel(0, 2 * deviation**2) - 2 * mean_kernel(shift, 1 + deviation**2)
    distances = jax.vmap(lambda x, y: metrics.energy_distance(x[:, :1], y[:, :1], unbiased=True))(x, y)
    squares = jax.vmap(lambda x, y: metrics.mmd_squared(x, y, scale, unbiased=True))(x, y)
    for found, known in ((distances, energy), (squares, mmd)):
        assert abs(found.mean() - known) < 4 * found.std() / math.sqrt(200)
        assert abs(known) > 10 * found.std() / math.sqrt(200)  # the test could fail


@pytest.mark.slow
def test_float32_is_enough():
    """Modes of deviation .01 at radius 2, where a matrix product of points would lose four digits of their squares."""
    modes = RING._replace(centers=2 * RING.centers)
    x, y = mixture(modes, 300, seed=1), mixture(modes, 300, seed=2)

    def all_of(x, y):
        one, other = metrics.mode_coverage(x, modes), metrics.mode_coverage(y, modes)
        distances = metrics.energy_distance(x, y), metrics.mmd_squared(x, y, 0.02, True), metrics.mmd_squared(x, y, 1.0)
        return (one, other), distances, metrics.sliced_wasserstein(x, y, EVEN)

    short = jax.jit(all_of)(x, y)
    with jax.enable_x64(True):
        exact = jax.jit(all_of)(x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6), short, exact)
    # No point lies so near to the border of its ball that rounding could move it.
    jax.tree.map(np.testing.assert_array_equal, [c.histogram for c in short[0][0]], [c.histogram for c in exact[0][0]])


def test_no_table_of_all_pairs_is_kept():
    x = jnp.zeros((2500, 2))
    for distance in (metrics.energy_distance, lambda x, y: metrics.mmd_squared(x, y, 1.0)):
        compiled = jax.jit(distance).lower(x, x).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 2500 * 2500  # a quarter of a table of float32


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 1.5, 2, 50])
def test_the_gradient_of_sliced_distances_is_zero_where_the_samples_are_equal(order):
    points = jnp.array([[1.0, 2.0], [0.5, -1.0], [1.0, 2.0]])
    distance, slope = jax.value_and_grad(metrics.sliced_wasserstein)(points, points[::-1], EVEN, order)
    assert distance == 0
    assert not np.any(slope)


@pytest.mark.slow
def test_distances_have_gradients_where_points_meet():
    (x,) = normals((6, 2))
    for distance in (metrics.energy_distance, lambda *both: metrics.mmd_squared(*both, 1.0)):
        assert np.isfinite(jax.grad(distance)(jnp.array(x), jnp.array(x))).all()


WRONG = {
    "points in a row": (lambda: metrics.energy_distance(np.zeros(3), np.zeros(3)), r"x\[:, None\] if d is 1"),
    "another space": (lambda: metrics.mode_coverage(np.zeros((4, 3)), RING), r"shapes \(4, 3\) and \(8, 2\)"),
    "no points": (lambda: metrics.wasserstein(np.zeros((0, 2)), np.zeros((4, 2))), r"shapes \(0, 2\)"),
    "directions in another space": (
        lambda: metrics.sliced_wasserstein(np.zeros((4, 2)), np.zeros((4, 2)), np.eye(3)),
        r"shapes \(3, 3\) and \(4, 2\)",
    ),
    "order 0": (lambda: metrics.sliced_wasserstein(np.zeros((4, 2)), np.zeros((4, 2)), EVEN, 0), "order is 0"),
    "order 0.5": (lambda: metrics.wasserstein(np.zeros((4, 2)), np.zeros((4, 2)), 0.5), "order is 0.5"),
    "one point": (lambda: metrics.mmd_squared(np.zeros((1, 2)), np.zeros((4, 2)), 1.0, True), "give two of each"),
    "no directions": (lambda: metrics.random_directions(jax.random.key(0), 0, 2), "number of directions is 0"),
    "three weights": (lambda: metrics.wasserstein(np.zeros((4, 2)), np.zeros((4, 2)), 1, np.ones(3)), "give 4 numbers"),
    "a negative weight": (
        lambda: metrics.wasserstein(np.zeros((2, 2)), np.zeros((2, 2)), y_weights=[2, -1]),
        "not negative",
    ),
    "no weight": (lambda: metrics.wasserstein(np.zeros((2, 2)), np.zeros((2, 2)), x_weights=[0, 0]), "not all 0"),
    "NaN weights": (
        lambda: metrics.wasserstein(np.zeros((2, 2)), np.zeros((2, 2)), x_weights=[np.nan, 1]),
        "not negative",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_names_the_value_and_the_fix(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_plan_that_is_not_found_is_said(monkeypatch):
    monkeypatch.setattr(metrics, "MAX_PIVOTS", 1)
    with pytest.raises(ValueError, match="no optimal plan of 40 and 40 points"):
        metrics.wasserstein(*normals((40, 2), (40, 2)))


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "order"), [(0.01, 8), (1e-3, 4), (1e-6, 2), (1e-6, 3), (1e6, 8)])
def test_distances_have_the_units_of_the_points(spread, order, x64):
    """W_p(s x, s y) = s W_p(x, y), however small s and large p are, and on a line both distances are one."""
    pytest.importorskip("ot")
    x, y = np.random.default_rng(0).normal(size=(2, 60, 2))
    expected = spread * metrics.wasserstein(x, y, order)
    assert metrics.wasserstein(spread * x, spread * y, order) == pytest.approx(expected, rel=1e-9)
    along = np.eye(2)[:1]
    sliced = metrics.sliced_wasserstein(spread * x, spread * y, along, order)
    assert float(sliced) == pytest.approx(metrics.wasserstein(spread * x[:, :1], spread * y[:, :1], order), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-30, 1e20, 1e37])
def test_distances_in_float32_have_the_size_of_the_points(size):
    """Two points at (1, 0) and (-1, 0), and eight modes, by closed forms; squares of the sizes are no numbers."""
    x, y = np.array([[size, 0]]), np.array([[-size, 0]])
    np.testing.assert_allclose(jax.jit(metrics.energy_distance)(x, y), 4 * size, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(metrics.mmd_squared)(x, y, size), 2 - 2 * math.exp(-2), rtol=1e-6)
    np.testing.assert_allclose(metrics.mmd_squared(x, y, 1e-30), 2 - 2 * math.exp(-2 * min(size / 1e-30, 9) ** 2))
    np.testing.assert_allclose(metrics.sliced_wasserstein(x, y, np.eye(2)), math.sqrt(2) * size, rtol=1e-6)
    modes = RING._replace(centers=size * RING.centers, deviation=0.1 * size)
    for offset, near in ((0.29, True), (0.31, False)):
        found = metrics.mode_coverage(np.add(modes.centers, [offset * size, 0]), modes)
        assert (found.all.modes, found.ball.share, found.box.share) == (8, near, near)


def test_the_order_of_a_distance_may_have_few_bits():
    """Its root is taken in float64."""
    found = metrics.wasserstein([[0.0], [5.0]], [[1.0], [2.0]], np.float16(3))
    np.testing.assert_allclose(found, ((1 + 27) / 2) ** (1 / 3), rtol=1e-12)


def test_a_point_is_nearest_to_a_small_mode_however_far_it_is():
    one = RING._replace(centers=np.zeros((1, 2)), weights=np.ones(1), deviation=1e-3)
    found = metrics.mode_coverage(np.array([[1e-9, 0.0], [2e16, 0.0], [1e30, 0.0], [np.inf, 0.0]]), one)
    assert found.all.histogram.tolist() == [2]  # beyond 1e19 it has no square
    assert found.ball.histogram.tolist() == found.box.histogram.tolist() == [1]


@pytest.mark.slow
def test_known_directions_are_checked_within_a_trace_too():
    """Those of `random_directions` are an array of JAX's, of which a trace would make a tracer."""
    x, directions = jnp.zeros((4, 2)), metrics.random_directions(jax.random.key(0), 3, 2)
    for known in (directions, np.asarray(directions)):
        assert jax.jit(lambda x, known=known: metrics.sliced_wasserstein(x, x + 1, known))(x) > 0
        with pytest.raises(ValueError, match="give unit vectors"):
            jax.jit(lambda x, known=2 * known: metrics.sliced_wasserstein(x, x, known))(x)
    with pytest.raises(ValueError, match="give unit vectors"):
        metrics.sliced_wasserstein(x, x, np.full((1, 2), np.nan))


def test_no_power_underflows_in_float32():
    x, y = np.random.default_rng(0).normal(size=(2, 7, 2))
    distance = jax.jit(functools.partial(metrics.sliced_wasserstein, order=20))
    one, small, large = (float(distance(s * x, s * y, np.eye(2))) for s in (1, 1e-3, 1e3))
    assert small == pytest.approx(1e-3 * one, rel=1e-5)
    assert large == pytest.approx(1e3 * one, rel=1e-5)


def test_a_flag_that_is_none_is_refused():
    with pytest.raises(ValueError, match="unbiased is 'no': give True or False"):
        metrics.energy_distance(np.zeros((3, 2)), np.ones((3, 2)), "no")


def apart(x, y, order):
    """W_p of as many numbers: the sorted ones belong together."""
    distances = np.abs(np.sort(x) - np.sort(y))
    return distances.max() * np.mean((distances / distances.max()) ** order) ** (1 / order)


@pytest.mark.parametrize(("order", "far"), [(1, 1e12), (2, 1e7), (2, 1e15), (4, 1e4), (64, 0.0), (200, 10.0)])
def test_the_distance_is_exact_however_far_points_lie_that_belong_to_others(order, far):
    """Two clusters, between which no mass has to move: the largest costs are far beyond those of the plan."""
    rng = np.random.default_rng(0)
    x, y = (np.concatenate([rng.normal(size=30), far + rng.normal(size=30)]) for _ in range(2))
    found = metrics.wasserstein(x[:, None], y[:, None], order)
    np.testing.assert_allclose(found, apart(x, y, order), rtol=1e-9)


def test_unequal_numbers_of_points_have_exactly_equal_masses():
    """20 and 30 points in two clusters. Rounded shares of them would differ, and the rest would have to go far."""
    rng = np.random.default_rng(0)
    x, y = (1e9 * (np.arange(n) % 2) + rng.normal(size=n) for n in (20, 30))
    pairs = zip(np.repeat(np.sort(x), 3), np.repeat(np.sort(y), 2), strict=True)
    expected = sum(abs(Fraction(a) - Fraction(b)) for a, b in pairs)
    np.testing.assert_allclose(metrics.wasserstein(x[:, None], y[:, None]), float(expected / 60), rtol=1e-9)


def test_distances_whose_squares_are_no_numbers_are_known():
    assert metrics.wasserstein([[1e200]], [[-1e200]], 1) == 2e200
    np.testing.assert_allclose(metrics.wasserstein([[1e-300]], [[3e-300]], 2), 2e-300, rtol=1e-12)
    np.testing.assert_allclose(metrics.wasserstein([[0.0]], [[1e-200]], 2), 1e-200, rtol=1e-12)
    np.testing.assert_allclose(metrics.wasserstein([[0], [1]], [[0.4], [1.4]], 600), 0.4, rtol=1e-12)
