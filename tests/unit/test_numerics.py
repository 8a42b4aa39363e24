import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import Literal

from slantgan_jax import (
    Discriminator,
    Generator,
    Players,
    datasets,
    distributions,
    fields,
    games,
    losses,
    mlp,
    networks,
    penalties,
    rules,
    training,
)
from slantgan_jax.analysis import fractals, growth, spectra, steepest_lines
from slantgan_jax.numerics import as_float, as_floats, rk4_slope, safe_norm, squared_norm


def test_the_norm_is_safe_at_zero_and_nowhere_else():
    tree = {"a": np.array([3.0, 0.0]), "b": np.array(-4.0)}
    norm, slope = jax.jit(safe_norm), jax.jit(jax.grad(safe_norm))
    assert norm(tree) == safe_norm(np.array([3, 4])) == 5
    assert squared_norm(tree) == 25
    np.testing.assert_allclose(slope(tree)["a"], [0.6, 0.0], rtol=1e-6)
    assert norm(np.zeros(2)) == 0
    assert not np.any(slope(np.zeros(2)))
    assert np.isnan(norm(np.array([1.0, np.nan])))
    assert np.isinf(norm(np.array([1.0, np.inf])))


def test_a_norm_whose_square_is_no_normal_number_is_zero():
    """On every device, and where JavaScript computes what JAX has traced, without flushing such numbers."""
    program = jax.make_jaxpr(safe_norm)(jnp.ones(1))
    (limit,) = (
        float(variable.val)
        for equation in program.jaxpr.eqns
        for variable in equation.invars
        if isinstance(variable, Literal) and equation.primitive.name == "lt"
    )
    assert limit == np.finfo(np.float32).tiny


def test_a_norm_along_an_axis_is_safe_for_each_row():
    rows = jnp.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(safe_norm(rows, axis=-1), [5, 0, np.nan])
    slope = jax.jit(jax.grad(lambda rows: safe_norm(rows, axis=-1)[:2].sum()))(rows)
    np.testing.assert_allclose(slope[:2], [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_the_runge_kutta_slope_is_exact_for_cubics_and_for_no_step(x64):
    slope = lambda place: (jnp.ones(()), 4 * place[0] ** 3)  # noqa: E731  t' = 1, x' = 4 t³
    start, h = (jnp.array(0.5), jnp.array(2.0)), 0.3
    moved = lambda place, fraction, k: jax.tree.map(lambda x, v: x + fraction * h * v, place, k)  # noqa: E731
    np.testing.assert_allclose(h * rk4_slope(slope, start, moved)[1], 0.8**4 - 0.5**4, rtol=1e-14)
    stays = rk4_slope(slope, start, lambda place, fraction, k: place)
    assert stays == slope(start)


def test_numbers_of_a_tree_take_the_precision_of_the_trace_and_counts_stay():
    tree = {"x": np.float32(0.5), "count": np.uint32(3), "is": np.bool_(True)}
    for enabled, float_type in ((True, jnp.float64), (False, jnp.float32)):
        with jax.enable_x64(enabled):
            found = as_floats(tree)
            assert found["x"].dtype == float_type
            assert (found["count"].dtype, found["is"].dtype) == (np.uint32, np.bool_)


def first(numbers, kind="f4"):
    """The first of the numbers as an array without axes, of this kind, with the order of bytes that they have."""
    return numbers[:1].astype(np.dtype(kind).newbyteorder(numbers.dtype.byteorder)).reshape(())


SWAPPED = np.array([1.0, 2.0], ">f4")
TAKES = {
    "logit": lambda x: networks.logit(Discriminator(x, first(x)), x),
    "logit of JAX": lambda x: networks.logit(Discriminator(jnp.ones(2), 0.0), x),
    "generate": lambda x: networks.generate(Generator(x, x), jnp.float32(0.5)),
    "generate by JAX": lambda x: networks.generate(Generator(jnp.ones(2), jnp.ones(2)), first(x)),
    "init": lambda x: networks.init(jax.random.key(0), x),
    "to_vector": lambda x: networks.to_vector(Players(Generator(x, x), Discriminator(x, first(x)))),
    "mlp": lambda x: mlp(2, 2, 1).apply((networks.Layer(x[None].repeat(2, 0), x), networks.Layer(x[None], x[:1])), x),
    "mlp of JAX": lambda x: mlp(2, 1).apply((networks.Layer(jnp.ones((1, 2)), jnp.ones(1)),), x),
    "spectral": lambda x: penalties.spectral(networks.logit)(Discriminator(x[None], 0.0), jnp.ones((1, 2))),
    "log_density": lambda x: datasets.ring().log_density(x),
    "softplus": losses.softplus,
    "objectives": lambda x: [
        term(*logits)
        for one in losses.OBJECTIVES.values()
        for term in (*one.discriminator, one.generator)
        for logits in ((x, x), (x, jnp.ones(2)), (jnp.ones(2), x))
    ],
    "a step": lambda x: distributions.uniform().sample(jax.random.key(0), first(x, "u4"), 0),
    "a step of a sequence": lambda x: distributions.sequence(np.arange(5.0)).sample(None, first(x, "u4"), 0),
}


@pytest.mark.parametrize("name", TAKES)
def test_numbers_may_have_their_bytes_in_another_order(name):
    chex.assert_trees_all_equal(TAKES[name](SWAPPED), TAKES[name](SWAPPED.astype(np.float32)))


ROTATED = [[math.cos(1), math.sin(1)], [-math.sin(1), math.cos(1)]]
OF_ANY_KIND = {
    "minus_log_real": (lambda: losses.minus_log_real(jnp.uint8(3), 0.0), math.log1p(math.exp(-3))),
    "softplus": (lambda: losses.softplus(jnp.int8(-128)), 0),
    "softplus of a boolean": (lambda: losses.softplus(True), math.log1p(math.e)),
    "hinge": (lambda: losses.hinge.discriminator[0](np.uint8(3), 0), 0),
    "least squares": (lambda: losses.least_squares(1, 0, 1).generator(0, jnp.int8(100)), 99**2 / 2),
    "relativistic": (lambda: losses.relativistic.generator(jnp.uint8(1), jnp.uint8(200)), 0),
    "Wasserstein": (lambda: losses.wasserstein.generator(0, np.uint8(2)), -2),
    "a normal density": (lambda: distributions.normal().log_density(np.int8(100)), -5000.9189),
    "a normal density, half": (lambda: distributions.normal().log_density(jnp.float16(300)), -45000.9189),
    "safe_norm": (lambda: safe_norm(jnp.array([50000])), 50000),
    "safe_norm, half": (lambda: safe_norm(jnp.array([300], jnp.float16)), 300),
    "safe_norm along an axis": (lambda: safe_norm(jnp.array([[50000]]), axis=1), [50000]),
    "a deviation": (
        lambda: datasets.ring(1, deviation=np.float16(0.1)).log_density([2.0, 0.0]),
        -math.log(2 * math.pi * float(np.float16(0.1)) ** 2),
    ),
    "an angle": (lambda: fields.jacobian(gradients_of(games.quadratic(np.float16(1))), Players(0.0, 0.0)), ROTATED),
    "lola": (lambda: fields.lola(jnp.uint32(1))(losses_of(games.bilinear()))(Players(1.0, 2.0)), (4, 3)),
    "sos": (lambda: fields.sos(1, a=jnp.uint8(1))(losses_of(games.bilinear()))(Players(1.0, 2.0)), (4, 3)),
    "a sequence": (lambda: distributions.sequence(np.arange(3.0)).sample(None, np.int64(2**32 + 1), 0), np.nan),
    "a long sequence": (lambda: distributions.sequence(np.arange(300.0)).sample(None, np.int8(-3), 0), np.nan),
    "b of sos": (
        lambda: fields.sos(0.5, b=jnp.uint8(16))(losses_of(games.quadratic(1.5)))(PLACE),
        lambda: fields.sos(0.5, b=16.0)(losses_of(games.quadratic(1.5)))(PLACE),
    ),
    "clipped": (lambda: clipped_to(jnp.uint8(1)), [-0.2, 1.0]),
    "logit": (lambda: networks.logit(Discriminator(np.full(4, 100, np.int8), np.int8(1)), np.full(4, 2, np.int8)), 801),
    "generate": (lambda: networks.generate(Generator(np.int8([1]), np.int8([1])), np.int8(1)), [1 / (1 + np.exp(-2))]),
    "to_vector": (lambda: networks.to_vector(Players(Generator(HALF, HALF), Discriminator(HALF, 100001)))[-1], 100001),
    "is_finite": (lambda: training.is_finite(np.int32(-(2**31))), False),
    "normalized": (
        lambda: jax.vmap(networks.normalized, axis_name=networks.BATCH)(jnp.float16([-1000, 1000])),
        [-1, 1],
    ),
    "finer nodes": (lambda: distributions.uniform(np.uint8(130)).finer().nodes()[0].shape, (260,)),
    "the size of a minibatch": (lambda: games.minibatch(games.slanted_land(), np.int32(64)).draws.latent.length, 2**26),
    "the samples of a rule": (lambda: 149 * rules.extrapolated(SGD, samples=np.uint8(2)).reads[0][0], 298),
    "the start of records": (lambda: growth.growth_rate(DECAYING, start=jnp.uint8(200)), -0.01),
    "a start that is traced": (lambda: jax.jit(growth.growth_rate)(DECAYING, jnp.uint8(200)), -0.01),
    "a wave's period": (lambda: growth.growth_rate(DECAYING, wave_period=np.float16(37)), -0.01),
    "multipliers": (lambda: spectra.summarize_map(np.int8([-128, -3])).growth, math.log(128)),
    "the steps of a map": (lambda: spectra.summarize_map(np.array([0.9]), np.float16(3)).growth, math.log(0.9) / 3),
    "boxes": (lambda: fractals.box_counts(np.ones((299, 299)), np.uint8([4, 32])), (5625, 100)),
    "energies": (lambda: energy(np.int8(100)), lambda: energy(100.0)),
}
PLACE, HALF, SGD = Players(jnp.float32(0.02), jnp.float32(0.03)), jnp.ones(1, jnp.float16), optax.sgd(0.1)
DECAYING = -0.01 * np.arange(1000.0)


def energy(weight):
    players = Players(Generator(1.0, 0.0), Discriminator(weight, 0.0))
    return steepest_lines.energies(players, np.array([0.5]))


def clipped_to(bound):
    """Where a step of -0.1 and one of 1 from (-0.1, 0.5) end in the box."""
    optimizer, start = penalties.clipped(optax.sgd(1.0), bound), jnp.array([-0.1, 0.5])
    return start + optimizer.update(jnp.array([0.1, -1.0]), optimizer.init(start), start)[0]


def losses_of(game):
    return games.SampleLosses(game, ())


def gradients_of(game):
    return fields.gradients(losses_of(game))


COMPILED_LONG = "an angle", "energies", "the start of records", "a start that is traced", "a wave's period"
COMPILED_LONG += "multipliers", "the steps of a map", "b of sos"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in COMPILED_LONG)) for name in OF_ANY_KIND]
)
def test_numbers_of_few_bits_neither_wrap_nor_overflow(name):
    computed, right = OF_ANY_KIND[name]
    right = right() if callable(right) else right
    np.testing.assert_allclose(computed(), right, rtol=1e-6, atol=1e-6)  # float32


def test_a_number_of_python_takes_the_precision_of_what_it_meets(x64):
    for dtype in (jnp.float16, jnp.float32):
        weights = jnp.ones(4, dtype)
        assert {networks.logit(Discriminator(weights, bias), weights).dtype for bias in (0, 0.0)} == {jnp.dtype(dtype)}


@pytest.mark.slow
def test_bytes_in_another_order_are_no_others_after_a_call_with_the_usual_order(x64):
    """JAX would take the program that it has for the usual order, and read the bytes as they are."""
    usual, turned = (Players(np.array(0.3, kind), np.array(0.4, kind)) for kind in ("<f8", ">f8"))
    matrix = np.array([[-0.1, 0.3], [-0.3, -0.1]])
    losses = losses_of(games.quadratic(0.5))
    for function, one, other in (
        (lambda players: fields.step_along(players, 0.1, players), usual, turned),
        (losses, usual, turned),
        (fields.gradients(losses), usual, turned),
        (lambda players: fields.jacobian(fields.gradients(losses), players), usual, turned),
        (lambda players: rules.simultaneous(SGD).init(players).players, usual, turned),
        (spectra.eigenvalues_modulo, matrix, matrix.astype(">f8")),
        (lambda values: spectra.summarize_flow(values).growth, matrix[0] + 0j, (matrix[0] + 0j).astype(">c16")),
    ):
        right = function(one)
        chex.assert_trees_all_equal(function(other), right)


def test_constants_take_the_precision_of_the_trace():
    values = np.array([1.0, 1.0 / 3.0])
    for enabled in (True, False, True):
        with jax.enable_x64(enabled):
            assert as_float(values).dtype == (jnp.float64 if enabled else jnp.float32)
