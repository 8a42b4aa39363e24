"""The toy data sets: their samples against their exact moments, their densities against scipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from slantgan_jax import datasets, distributions, games
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

COUNT = 40_000

# Of each published mixture: modes, distance of the outermost one, deviation, weights, and whether it is stratified.
PUBLISHED = {
    "ring-metz-paper": (8, 2.0, 0.02, None, False),
    "ring-metz-notebook": (7, 1.0, 0.01, [0.25] + [0.125] * 6, False),
    "ring-mescheder": (8, 1.0, 0.01, None, True),
    "ring-gulrajani": (8, 2 / 1.414, 0.02 / 1.414, None, False),
    "ring-veegan": (8, 1.0, 0.01, None, False),
    "ring-d2gan": (8, 2.0, 0.1414213562, None, False),
    "grid25-gulrajani": (25, 4 * 2**0.5 / 2.828, 0.05 / 2.828, None, False),
    "grid25-veegan": (25, 4 * 2**0.5, 0.05, None, False),
    "grid16-balduzzi": (16, 1.5 * 2**0.5, 0.02, None, True),
    "two-gaussians-berard": (2, 2.0, 1.0, None, False),
}
FIXED = {"ring-veegan": 100_000, "grid25-gulrajani": 100_000, "grid25-veegan": 100_000, "two-gaussians-berard": 10_000}


def draws(distribution, count=COUNT, seed=0):
    one = jax.vmap(lambda step: distribution.sample(jax.random.key(seed), step, 3))
    return np.asarray(jax.jit(one)(jnp.arange(count)), np.float64)


def nearest(points, centers):
    return np.argmin(((points[:, None] - centers) ** 2).sum(-1), axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "of_length",
    [
        lambda length: datasets.ring(5, length, length),
        lambda length: datasets.grid(2, length, length),
        lambda length: datasets.swiss_roll(length, length),
    ],
    ids=["ring", "grid", "swiss roll"],
)
def test_a_length_may_be_an_axis_of_a_sweep(of_length):
    @jax.jit
    def known(length):
        data = of_length(length)
        point = data.sample(jax.random.key(0), 3, 0)
        return point, data.log_density(point) if data.log_density else 0.0, data.modes() if data.modes else 0.0

    lengths = np.array([0.3, 2.0], np.float32)
    together = jax.vmap(known)(lengths)
    for number, length in enumerate(lengths.tolist()):
        alone = known(length)
        for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one[number], other, rtol=1e-5)


@pytest.mark.parametrize("name", slow_unless(PUBLISHED, "ring-metz-notebook", "ring-mescheder", "grid25-veegan"))
def test_published_mixtures_have_their_modes_and_samples_their_moments(name):
    count, distance, deviation, weights, stratified = PUBLISHED[name]
    data = datasets.DATASETS[name]()
    centers, shares, spread = map(np.asarray, data.modes())
    np.testing.assert_allclose(shares, np.full(count, 1 / count) if weights is None else weights, rtol=1e-6)  # float32
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1).max(), distance, rtol=1e-6)
    np.testing.assert_allclose(spread, deviation, rtol=1e-6)
    assert len(np.unique(centers.round(4), axis=0)) == count
    size = centers.shape[1]
    points = draws(data)
    mean, covariance = shares @ centers, np.cov(centers.T, aweights=shares, ddof=0).reshape(size, size)
    covariance = covariance + deviation**2 * np.eye(size)
    # Five deviations of a mean of points, and of squares, whose deviation is below 2 var + the largest distance²; a
    # fixed sample of n points adds the deviations of its own.
    effective = COUNT if name not in FIXED else COUNT * FIXED[name] / (COUNT + FIXED[name])
    error = 5 / np.sqrt(effective)
    np.testing.assert_allclose(points.mean(0), mean, atol=error * np.sqrt(covariance.max()))
    np.testing.assert_allclose(
        np.cov(points.T).reshape(size, size), covariance, atol=error * (distance**2 + 2 * deviation**2)
    )
    if size == 1:
        return  # its modes overlap
    own = nearest(points, centers)
    scaled = (points - centers[own]) / deviation
    np.testing.assert_allclose(scaled.std(0), 1, atol=0.02)  # five deviations of 1 / √(2 n)
    counts = np.bincount(own, minlength=count)
    if stratified:
        np.testing.assert_array_equal(own[: 3 * count], np.arange(3 * count) % count)
    else:
        excess = np.sum((counts - COUNT * shares) ** 2 / (COUNT * shares)) * effective / COUNT - (count - 1)
        assert excess < 5 * np.sqrt(2 * count)  # χ² of count - 1 degrees of freedom, five deviations
        assert np.unique(own[:count]).size < count  # not in turn: all different has a chance below 1 in 100


def test_a_ring_and_a_grid_are_where_they_are_said_to_be():
    centers = np.asarray(datasets.ring(8, 2.0).modes().centers)
    np.testing.assert_allclose(centers[:3], [[2, 0], [2**0.5, 2**0.5], [0, 2]], atol=1e-6)
    lines = np.asarray(datasets.grid(4, 1.0).modes().centers)
    np.testing.assert_array_equal(np.unique(lines[:, 0]), [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_array_equal(np.unique(lines, axis=0), lines)  # all sixteen, in order
    assert len(lines) == 16


@pytest.mark.slow
def test_the_swiss_roll_is_that_of_scikit_learn():
    """The mean and the covariance of (t cos t, t sin t) / 7.5 by the midpoint rule, and the noise between its turns."""
    points = draws(datasets.swiss_roll())
    t = 1.5 * np.pi * (1 + 2 * (np.arange(10**5) + 0.5) / 10**5)
    roll = np.stack([t * np.cos(t), t * np.sin(t)], -1) / 7.5
    covariance = np.cov(roll.T, ddof=0) + np.eye(2) * (0.25 / 7.5) ** 2
    np.testing.assert_allclose(points.mean(0), roll.mean(0), atol=5 * np.sqrt(covariance.max() / COUNT))
    np.testing.assert_allclose(np.cov(points.T), covariance, atol=10 / np.sqrt(COUNT))  # the roll has the radius 1.9
    radii = np.linalg.norm(draws(datasets.swiss_roll(0.0, 1.0), 1000), axis=1)
    assert 1.5 * np.pi <= radii.min() < 4.8
    assert 14.0 < radii.max() <= 4.5 * np.pi + 1e-5
    clean = draws(datasets.swiss_roll(0.0))
    np.testing.assert_allclose((points - clean).std(0), 0.25 / 7.5, rtol=0.02)  # the same angles, five deviations


# Densities

MIXTURES = {
    "one": (np.array([[0.3, -0.2]]), 0.5, None),
    "three, weighted": (np.array([[0.0, 1.0], [2.0, 0.5], [-1.0, -1.0]]), 0.3, [1.0, 2.0, 5.0]),
    "a line": (np.array([[-2.0], [2.0]]), 1.0, None),
    "space": (np.arange(6.0).reshape(2, 3), 0.7, [3.0, 1.0]),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_the_density_of_a_mixture_is_scipys(x64, name):
    centers, deviation, weights = MIXTURES[name]
    data = datasets.mixture(centers, deviation, weights)
    points = draws(data, 20, seed=1)
    points = np.concatenate([points, 40.0 + points])  # there the density underflows, and its logarithm does not
    found = jax.jit(jax.vmap(data.log_density))(points)
    shares = np.ones(len(centers)) if weights is None else np.array(weights)
    logs = [multivariate_normal(c, deviation**2 * np.eye(len(c))).logpdf(points) for c in centers]
    terms = np.log(shares / shares.sum())[:, None] + np.reshape(logs, (len(centers), -1))
    np.testing.assert_allclose(found, np.logaddexp.reduce(terms), rtol=1e-12)


@pytest.mark.parametrize(
    "name", slow_unless(["ring-metz-paper", "ring-metz-notebook", "ring-d2gan", "grid16-balduzzi"], "ring-d2gan")
)
def test_a_density_integrates_to_one(x64, name):
    """By the trapezium rule, which is exact to rounding for normal distributions if its step is their deviation / 2."""
    data = datasets.DATASETS[name]()
    centers, _, deviation = map(np.asarray, data.modes())
    reach = np.abs(centers).max() + 9 * deviation
    axis = np.arange(-reach, reach, deviation / 2)
    density = jax.jit(
        jax.vmap(jax.vmap(lambda x, y: jnp.exp(data.log_density(jnp.stack([x, y]))), (None, 0)), (0, None))
    )
    total = sum(density(part, axis).sum() for part in np.array_split(axis, 8))
    np.testing.assert_allclose(total * (deviation / 2) ** 2, 1, rtol=1e-10)


def test_a_density_is_that_of_the_samples(x64):
    """E (-ln p) over samples is the entropy, which for modes far apart is ln k + d/2 ln(2πe σ²)."""
    data = datasets.ring(8, 2.0, 0.1)
    points = draws(data)
    surprise = -np.asarray(jax.jit(jax.vmap(data.log_density))(points))
    entropy = np.log(8) + np.log(2 * np.pi * np.e * 0.1**2)
    assert abs(surprise.mean() - entropy) < 5 * surprise.std() / np.sqrt(COUNT)


# Stratified and fixed data


def test_a_minibatch_of_stratified_data_has_all_modes_equally_often():
    data = datasets.DATASETS["ring-mescheder"]()
    game = games.minibatch(
        games.gan(lambda key: None, lambda g, z: z, lambda d, x: x[0], data, distributions.normal((2,))), 24
    )
    sample = jax.jit(game.sample)
    for step in (0, 7):
        found = nearest(np.asarray(sample(jax.random.key(0), step).real), np.asarray(data.modes().centers))
        np.testing.assert_array_equal(np.bincount(found), np.full(8, 3))


@pytest.mark.slow
def test_the_fixed_grid_of_gulrajani_has_as_many_points_of_each_mode():
    """As gan_toy.py makes it; the others with fixed points are drawn at random."""
    for name, equal in (("grid25-gulrajani", True), ("grid25-veegan", False)):
        data = datasets.DATASETS[name]()
        counts = np.bincount(nearest(np.asarray(data.nodes()[0]), np.asarray(data.modes().centers)))
        assert (set(counts) == {4000}) == equal


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_unless(FIXED, "two-gaussians-berard"))
def test_fixed_data_are_one_finite_sample(name):
    data, again = datasets.DATASETS[name](), datasets.DATASETS[name]()
    values, weights = map(np.asarray, data.nodes())
    assert len(values) == FIXED[name]
    np.testing.assert_allclose(weights, 1 / FIXED[name], rtol=1e-6)
    np.testing.assert_array_equal(values, again.nodes()[0])
    assert data.log_density is None  # a sample has none
    known = {row.tobytes() for row in values}
    for seed in (0, 1):  # whatever the key of the run
        assert all(row.tobytes() in known for row in draws(data, 500, seed).astype(np.float32))
    assert len(known) > 0.999 * FIXED[name]  # a few numbers of float32 come twice


# Refusals

REFUSED = {
    "centers of one axis": (lambda: datasets.mixture([0.0, 1.0], 0.1), "centers is"),
    "no centers": (lambda: datasets.mixture(np.zeros((0, 2)), 0.1), "centers is"),
    "a center of nan": (lambda: datasets.mixture([[np.nan, 0.0]], 0.1), "give finite numbers"),
    "no deviation": (lambda: datasets.mixture([[0.0]], 0.0), "the deviation is 0"),
    "a negative deviation": (lambda: datasets.ring(deviation=-0.1), "the deviation is -0.1"),
    "a deviation of nan": (lambda: datasets.grid(deviation=np.nan), "the deviation is nan"),
    "too few weights": (lambda: datasets.ring(3, weights=(1, 2)), "weights is \\(1, 2\\)"),
    "a weight of 0": (lambda: datasets.ring(2, weights=(1, 0)), "a positive number for each of the 2"),
    "an infinite weight": (lambda: datasets.ring(2, weights=(1, np.inf)), "a positive number for each"),
    "weights and strata": (lambda: datasets.ring(2, weights=(1, 1), stratified=True), "weights and stratified"),
    "half a mode": (lambda: datasets.ring(2.5), "number of modes is 2.5"),
    "no mode": (lambda: datasets.ring(0), "number of modes is 0"),
    "a negative radius": (lambda: datasets.ring(8, -1.0), "the radius is -1.0"),
    "half a side": (lambda: datasets.grid(1.5), "side of the grid is 1.5"),
    "an infinite spacing": (lambda: datasets.grid(2, np.inf), "the spacing is inf"),
    "negative noise": (lambda: datasets.swiss_roll(-0.1), "the noise is -0.1"),
    "the density of eight points": (
        lambda: datasets.ring().log_density(np.zeros((8, 2))),
        "point has shape \\(8, 2\\)",
    ),
    "the density of a number": (lambda: datasets.ring().log_density(0.5), "give one of shape \\(2,\\)"),
    "no scale": (lambda: datasets.swiss_roll(scale=0), "the scale is 0"),
    "a negative scale": (lambda: datasets.swiss_roll(scale=-7.5), "the scale is -7.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_are_none_are_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("deviation", [50_000, 1e-22, 1e15])
def test_the_square_of_a_deviation_may_leave_the_precision(deviation):
    """At a center, -ln(σ √2π); and one deviation beside it ½ less."""
    density = datasets.mixture([[0.0]], deviation).log_density
    top = -np.log(deviation * np.sqrt(2 * np.pi))
    found = [density(jnp.array([x])) for x in (0.0, float(deviation))]
    np.testing.assert_allclose(found, [top, top - 0.5], rtol=1e-6)
    if isinstance(deviation, int):
        traced = jax.jit(lambda d: datasets.mixture([[0.0]], d).log_density(jnp.array([0.0])))(deviation)
        np.testing.assert_allclose(traced, top, rtol=1e-6)
