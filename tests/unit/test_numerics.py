import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
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
)
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
}


def losses_of(game):
    return games.SampleLosses(game, ())


def gradients_of(game):
    return fields.gradients(losses_of(game))


@pytest.mark.parametrize("name", OF_ANY_KIND)
def test_numbers_of_few_bits_neither_wrap_nor_overflow(name):
    computed, right = OF_ANY_KIND[name]
    np.testing.assert_allclose(computed(), right, rtol=1e-6, atol=1e-6)  # float32


def test_constants_take_the_precision_of_the_trace():
    values = np.array([1.0, 1.0 / 3.0])
    for enabled in (True, False, True):
        with jax.enable_x64(enabled):
            assert as_float(values).dtype == (jnp.float64 if enabled else jnp.float32)
