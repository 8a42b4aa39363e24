from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from slantgan_jax import Discriminator, Generator, Players, faces
from slantgan_jax.analysis import distances, quadrature, transport
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("x64")

FACES = faces.FACES
ON_FACE = np.log(FACES[1] / (1 - FACES[1]))  # scores of a generated image that is the second face

GENERATORS = {
    "gentle": ([0.3, -0.8, 0.5, 1.1], [2.0, -1.5, -2.2, 1.6]),
    "through a face": ([3.0, -2, 4, 1], ON_FACE - 0.37 * np.array([3.0, -2, 4, 1])),
    "ties along the curve": ([1.0, -2, -2, 1], [1.0, -1, -1, 1]),
    "steep": ([50.0, -35, 42, -50], [-20.0, 10, -30, 24]),
    "one step and saturated": ([0.0, 48, 0, -1], [40.0, -24, -800, 60]),
    "collapsed": ([0.0, 0, 0, 0], [1.0, -0.5, -1.5, 2]),
    "collapsed on a face": ([0.0, 0, 0, 0], ON_FACE),
}
"""Weights and biases; |w| up to 50."""

METRICS = "energy_distance", "mmd_squared", "frechet_squared"
SCALARS = {
    "variance_trace": distances.variance_trace,
    "energy_distance": lambda generator: distances.energy_distance(generator, FACES),
    "mmd_squared": lambda generator: distances.mmd_squared(generator, FACES, 0.5),
    "frechet_squared": lambda generator: distances.frechet_squared(generator, FACES),
    "wasserstein 1": lambda generator: transport.wasserstein(generator, FACES, 1),
    "wasserstein 2": lambda generator: transport.wasserstein(generator, FACES, 2),
}
COMPILED = {name: jax.jit(function) for name, function in SCALARS.items()}
TRANSPORT = jax.jit(transport.solve, static_argnums=2)
WASSERSTEIN = jax.jit(transport.wasserstein, static_argnums=2)
ENERGY = jax.jit(distances.energy_distance)
MMD, FRECHET = jax.jit(distances.mmd_squared), jax.jit(distances.frechet_squared)
COVARIANCE = jax.jit(distances.covariance)


def named(name):
    return Generator(*map(np.asarray, GENERATORS[name]))


@pytest.fixture(params=GENERATORS)
def generator(request):
    return named(request.param)


def curve(generator, latents):
    """G(z), by NumPy alone."""
    with np.errstate(over="ignore"):  # a saturated pixel
        return 1 / (1 + np.exp(-(np.outer(latents, generator.weights) + generator.biases)))


def midpoints(count):
    return (np.arange(count) + 0.5) / count


@pytest.mark.slow
def test_distances_are_their_definitions_by_numpy(generator):
    """Moments by the midpoint rule, whose error is below w² / (24 n²) times a few: 1e-9 for |w| = 50, n = 1e6 / 2.

    Energy distance and MMD by sums over 3000 midpoints. The kink of |x - x'| at x = x' costs E |dG/dz| / (6 n²)
    < 25 / (6 n²) · (2 / |w|) ≈ 5e-8; the kernel is smooth, w² / (24 n²) ≈ 1e-5 times its curvature in the step, which
    fills 1/|w| of [0, 1]: 2e-7.

    The Fréchet distance takes roots of singular matrices, with half the digits: 1e-8 · the scale 1.
    """
    found = {name: COMPILED[name](generator) for name in ("variance_trace", *METRICS)}
    images = curve(generator, midpoints(500_000))
    covariance = np.cov(images.T, bias=True)
    np.testing.assert_allclose(COVARIANCE(generator), covariance, atol=1e-9)
    np.testing.assert_allclose(found["variance_trace"], np.trace(covariance), atol=4e-9)

    other, root = np.cov(FACES.T, bias=True), sqrtm(covariance + 1e-18 * np.eye(4)).real
    cross = np.linalg.eigvalsh(root @ other @ root).clip(0)
    frechet = np.sum((images.mean(0) - FACES.mean(0)) ** 2) + np.trace(covariance + other) - 2 * np.sum(np.sqrt(cross))
    np.testing.assert_allclose(found["frechet_squared"], frechet, atol=1e-7)
    assert found["frechet_squared"] <= TRANSPORT(generator, FACES, 2).cost + 1e-12  # rounding

    images = curve(generator, midpoints(3000))
    within, between, data = (cdist(a, b) for a, b in [(images, images), (images, FACES), (FACES, FACES)])
    energy = 2 * between.mean() - within.mean() - data.mean()
    np.testing.assert_allclose(found["energy_distance"], energy, atol=2e-7)
    kernel = [np.exp(-(d**2) / (2 * 0.5**2)).mean() for d in (within, between, data)]
    np.testing.assert_allclose(found["mmd_squared"], kernel[0] - 2 * kernel[1] + kernel[2], atol=2e-7)


def test_variance_is_the_closed_form():
    """σ² = σ - σ', so E σ² = E σ - (σ(w + b) - σ(b)) / w: cancellation costs it 1e-16 / w."""
    for w, b in [(0.5, 0.3), (5, -2), (50, -20), (-200, 130.0), (1000, 1)]:
        mean = (np.logaddexp(0, w + b) - np.logaddexp(0, b)) / w
        start, end = curve(Generator(np.array([w]), np.array([b])), [0, 1]).ravel()
        closed = mean - (end - start) / w - mean**2
        generator = Generator(np.array([w, 0.0]), np.array([b, 0.0]))
        np.testing.assert_allclose(COMPILED["variance_trace"](generator), closed, atol=2e-15)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gentle", "steep"])
def test_the_rule_converges_geometrically_in_its_nodes(name):
    """Measured for both: an error of 5e-7 with 4 nodes, then a hundredth of it or less with every two more."""
    generator = named(name)

    @partial(jax.jit, static_argnums=0)
    def second_moment(nodes):
        latents, weights = quadrature.panel_rule(quadrature.panel_edges(generator), nodes)
        return jnp.sum(weights[..., None] * quadrature.images_at(generator, latents) ** 2, axis=(0, 1))

    exact = second_moment(24)
    for nodes in (4, 6, 8, 10):
        assert np.max(np.abs(second_moment(nodes) - exact)) < max(1e-6 * 0.01 ** ((nodes - 4) / 2), 1e-15)


@pytest.mark.slow
def test_nearest_latents_find_the_face_on_the_curve():
    near = jax.jit(quadrature.nearest_latents)(named("through a face"), FACES)
    # A minimum of the squared distance, found among squared distances without error: better than the root of rounding.
    np.testing.assert_allclose(near[1], 0.37, atol=1e-8)


@pytest.mark.slow
def test_energy_distance_of_one_moving_pixel_is_twice_cramers():
    """In one dimension it is 2 ∫ (F - F₀)² (Székely & Rizzo 2013): F = z(x) for the generator, F₀ = 1[x ≥ y]."""
    w, b, y = 6.0, -2.5, 0.6
    x = np.linspace(0, 1, 400_001)[1:-1]
    cumulative = np.clip((np.log(x / (1 - x)) - b) / w, 0, 1)
    cramer = 2 * np.sum((cumulative - (x >= y)) ** 2) / 400_000
    generator = Generator(np.array([w, 0.0]), np.array([b, 0.0]))
    # A sum over steps of 2.5e-6 with a jump of at most 1 in the integrand.
    np.testing.assert_allclose(ENERGY(generator, np.array([[y, 0.5]])), cramer, atol=5e-6)


def test_mmd_of_a_wide_kernel_is_the_mean_gap():
    """k = 1 - d² / (2 s²) + d⁴ / (8 s⁴): s² mmd² is the squared gap of means up to 4² / s² relative to 1."""
    gap = jax.jit(distances.mean_gap)(named("gentle"), FACES)
    np.testing.assert_allclose(100**2 * MMD(named("gentle"), FACES, 100.0), gap**2, atol=16 / 100**2)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("scale", [np.float16(300), np.int16(200), np.uint8(20)])
def test_the_scale_of_a_kernel_may_have_a_small_type(scale):
    assert MMD(named("gentle"), FACES, scale) == MMD(named("gentle"), FACES, float(scale))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.float16, np.float32, int])
def test_a_distance_has_all_digits_of_players_of_another_precision(kind):
    """G draws the one image, so d is the norm of D's weights. A steep G is computed by another formula."""
    rest = Generator(np.zeros(4, kind), np.zeros(4, kind))
    players = Players(rest, Discriminator(np.full(4, 1e-8 / 3), 0.0))
    np.testing.assert_allclose(distances.to_equilibrium(players, np.full((1, 4), 0.5)), 2e-8 / 3, rtol=1e-15)
    steep = np.array([5, -6, 7, 8]), np.array([1, 2, -3, 0])
    found, expected = (distances.mean_image(Generator(*(leaf.astype(t) for leaf in steep))) for t in (kind, float))
    np.testing.assert_array_equal(found, expected)


def test_frechet_of_a_shifted_copy_is_the_shift():
    """Data that are generated images plus a shift: equal covariances, so it is |shift|², to n⁻² of the sampling."""
    generator = named("gentle")
    shift = np.array([0.1, -0.2, 0.05, 0.3])
    data = curve(generator, midpoints(500)) + shift
    # Second moments of 500 midpoints err by w² / (24 n²) ≈ 2e-7.
    np.testing.assert_allclose(FRECHET(generator, data), np.sum(shift**2), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_the_cost_is_between_its_bounds(generator, order):
    """The plan's cost from above; from below, the dual value of the potentials on 200,000 latents, by NumPy alone.

    At a kink of min_j the midpoint rule errs by slope · h² / 8 = 1e-10 for slopes up to 25, in steps by as much.
    """
    result = TRANSPORT(generator, FACES, order)
    costs = cdist(curve(generator, midpoints(200_000)), FACES) ** order
    potentials = np.asarray(result.potentials)
    dual = potentials.mean() + (costs - potentials).min(1).mean()
    assert -1e-15 <= result.gap < 1e-11
    np.testing.assert_allclose(result.cost, dual, atol=2e-10)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_random_generators_have_no_gap(order):
    """Of 4200 such the largest was 4e-12."""
    rng = np.random.default_rng(order)
    scale = np.repeat([1.0, 5, 20, 50], 4)[:, None]
    weights = rng.normal(size=(16, 4)) * scale
    generators = Generator(weights, -weights * rng.uniform(-0.2, 1.2, (16, 4)))
    gaps = jax.jit(jax.vmap(lambda generator: transport.solve(generator, FACES, order).gap))(generators)
    assert np.max(gaps) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", slow_unless(["gentle", "through a face", "steep"], "through a face"))
def test_the_cost_is_the_linear_programs(order, name):
    """Against assignment of 500 midpoints to 100 copies of each face.

    A discrete plan moves mass by at most half a step, 1/1000: the cost changes by less than its rate in z, |w|_max/4 ·
    2 · sqrt(4) per unit z in 1/|w| of it, times 1/1000 squared where smooth, and linearly at 5 borders: 1e-5.
    """
    generator = named(name)
    costs = np.repeat(cdist(curve(generator, midpoints(500)), FACES) ** order, 100, axis=1)
    assigned = costs[linear_sum_assignment(costs)].mean()
    np.testing.assert_allclose(
        TRANSPORT(generator, FACES, order).cost, assigned, atol=1e-5 if name != "steep" else 1e-4
    )


@pytest.mark.slow
def test_the_cost_with_unequal_pieces_is_the_linear_programs():
    """Three atoms against 200 midpoints, as a linear program with free potentials; 200 / 3 is no integer."""
    generator = named("gentle")
    costs = cdist(curve(generator, midpoints(200)), FACES[:3])
    rows = np.hstack([np.kron(np.eye(200), np.ones((3, 1))), np.kron(np.ones((200, 1)), np.eye(3))])
    program = linprog(-np.r_[np.full(200, 1 / 200), np.full(3, 1 / 3)], rows, costs.ravel(), bounds=(None, None))
    # Midpoints err by curvature / (24 n²) < 1e-6, and the plan's two borders by slope / n² < 1e-5.
    np.testing.assert_allclose(TRANSPORT(generator, FACES[:3], 1).cost, -program.fun, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_one_moving_pixel_is_sorted(order):
    """In one dimension the plan is monotone: the j-th fifth of z goes to the j-th smallest value."""
    w, b, values = 3.0, -1.0, np.array([0.1, 0.15, 0.5, 0.75, 0.9])
    still = 1 / (1 + np.exp(-0.4))
    data = np.stack([values[[3, 0, 4, 1, 2]], np.full(5, still)], axis=1)
    generator = Generator(np.array([w, 0.0]), np.array([b, 0.4]))
    latents = midpoints(100_000)
    moving = curve(generator, latents)[:, 0]
    expected = np.mean(np.abs(moving - np.repeat(values, 20_000)) ** order)
    if order == 1:  # an independent program, on samples that are midpoints of z
        np.testing.assert_allclose(wasserstein_distance(moving, values), expected, rtol=1e-12)
    # The midpoint rule: curvature / (24 n²) ≈ 1e-11, kinks of |x - y| as much.
    np.testing.assert_allclose(TRANSPORT(generator, data, order).cost, expected, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_collapsed_generators_have_closed_forms(order):
    """A point mass has one plan: W_p = (mean |x - y|^p)^(1/p), to rounding and the plan's mass, 1e-13."""
    for name in ("collapsed", "collapsed on a face"):
        generator = named(name)
        lengths = cdist(curve(generator, [0]), FACES)[0]
        value = COMPILED[f"wasserstein {order}"](generator)
        np.testing.assert_allclose(value, np.mean(lengths**order) ** (1 / order), rtol=1e-12)
        energy = 2 * lengths.mean() - cdist(FACES, FACES).mean()
        np.testing.assert_allclose(COMPILED["energy_distance"](generator), energy, atol=1e-14)
        assert COMPILED["variance_trace"](generator) < 1e-30
    image = curve(generator, [0])
    # The data are that point: distance 0, to rounding of images, 1e-16.
    assert abs(TRANSPORT(generator, image, order).cost) < 1e-15
    assert abs(MMD(generator, image, 0.5)) < 1e-15
    assert abs(FRECHET(generator, image)) < 1e-30


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_a_single_atom_needs_no_choice(generator, order):
    """Then the plan is everything to it: the mean cost. Midpoints err by |w| / (24 n²) ≈ 1e-10 at the steps."""
    expected = np.mean(cdist(curve(generator, midpoints(200_000)), FACES[:1]) ** order)
    np.testing.assert_allclose(TRANSPORT(generator, FACES[:1], order).cost, expected, atol=2e-10)


@pytest.mark.slow
def test_distances_shrink_to_nothing_as_the_data_become_the_generator():
    """n images at the midpoints of n equal parts of z: W_1 ~ E|dG/dz| / (4 n), the others ~ n⁻²."""
    generator = named("through a face")
    speed = np.abs(np.diff(curve(generator, np.linspace(0, 1, 1001)), axis=0))
    length = np.sqrt((speed**2).sum(1)).sum()
    data = curve(generator, midpoints(20))
    # Next terms are (curvature / speed) / n relative: 10 % at n = 20.
    np.testing.assert_allclose(TRANSPORT(generator, data, 1).cost, length / 80, rtol=0.1)
    # Each is at most (length / n)², half that for the kernel with 2 scale² = 1/2 in its exponent.
    assert 0 < ENERGY(generator, data) < (length / 20) ** 2
    assert 0 < MMD(generator, data, 0.5) < (length / 20) ** 2
    assert 0 <= FRECHET(generator, data) < (length / 20) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_unless(SCALARS, "energy_distance", "frechet_squared", "wasserstein 1"))
def test_symmetries_leave_every_distance(name):
    """z to 1 - z, and one order of the pixels for both: another way to compute the same number, to 1e-11 of the gap."""
    w, b = named("gentle")
    value = COMPILED[name](Generator(w, b))
    np.testing.assert_allclose(COMPILED[name](Generator(-w, w + b)), value, atol=1e-11)
    transposed = [0, 2, 1, 3]  # maps the five faces to themselves
    np.testing.assert_allclose(COMPILED[name](Generator(w[transposed], b[transposed])), value, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALARS)
def test_derivatives_are_difference_quotients_and_vmap_the_loop(name):
    """Central differences with step 1e-4 of values good to 1e-12: 1e-8, and 1e-8 times a third derivative of ~1.

    vmap has the same operations in another order, which in transport change the last rounds: 1e-11.
    """
    w, b = named("gentle")
    slopes = jax.jit(jax.grad(SCALARS[name]))(Generator(w, b))
    steps = 1e-4 * np.eye(4)[[0, 0, 1, 1]] * np.array([[1], [-1], [1], [-1]])
    others = [named(other) for other in list(GENERATORS)[:4]]
    generators = [*(Generator(w + step, b) for step in steps), *others]
    single = np.array([COMPILED[name](generator) for generator in generators])
    np.testing.assert_allclose(slopes.weights[:2], (single[:4:2] - single[1:4:2]) / 2e-4, atol=2e-7)
    assert np.all(np.isfinite(slopes.biases))
    mapped = jax.jit(jax.vmap(SCALARS[name]))(Generator(*map(np.stack, zip(*others, strict=True))))
    np.testing.assert_allclose(mapped, single[4:], atol=1e-11)


@pytest.mark.slow
def test_pixels_and_arrays_are_the_same_images():
    w, b = named("gentle")
    scalars = Generator(faces.unstack(w), faces.unstack(b))
    images = faces.unstack(FACES)
    np.testing.assert_allclose(COVARIANCE(scalars), COVARIANCE(Generator(w, b)), atol=1e-15)
    for function in (ENERGY, FRECHET):
        np.testing.assert_allclose(function(scalars, images), function(Generator(w, b), FACES), atol=1e-15)
    np.testing.assert_allclose(WASSERSTEIN(scalars, images, 2), COMPILED["wasserstein 2"](Generator(w, b)), atol=1e-12)


@pytest.mark.slow
def test_single_precision_serves_with_fewer_digits():
    """Rounding of 6e-8 in sums of some hundred terms; the transport's last temperature is 6e-6 of the costs."""
    w, b = named("gentle")
    for name, function in SCALARS.items():
        expected = float(COMPILED[name](Generator(w, b)))
        with jax.enable_x64(False):
            value = jax.jit(function)(Generator(np.float32(w), np.float32(b)))
            assert value.dtype == jnp.float32
            np.testing.assert_allclose(value, expected, atol=2e-5)
