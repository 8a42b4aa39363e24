"""Loops as kernels of a GPU. Without one, the kernels are interpreted, which is slow."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.custom_batching import custom_vmap
from jax.extend import core

from slantgan_jax import (
    Players,
    distributions,
    fields,
    gan,
    mlp,
    penalized,
    penalties,
    rules,
    runs,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.numerics import seeded_key
from slantgan_jax.sweeps import _kernels, _programs
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

HAS_GPU = jax.default_backend() == "gpu"
RUNS = 256
LAND = slanted_land()
SGD = optax.sgd(0.1)


def traced(run, *arguments):
    return jax.make_jaxpr(run)(*(argument[0] for argument in arguments))


def both(run, *arguments):
    """The results of a run of numbers, mapped as it is and with kernels."""
    closed = traced(run, *arguments)
    plain, kernels = core.jaxpr_as_fun(closed), _kernels.with_kernels(closed, not HAS_GPU)
    return [jax.jit(jax.vmap(one))(*arguments) for one in (plain, kernels)]


def seeds(count=RUNS):
    return jnp.arange(count, dtype=jnp.uint32)


def player_leaves(game, rule, steps, seed):
    return jax.tree.leaves(train(seeded_key(seed), game, rule, steps).players)


GAMES_AND_RULES = {
    "tutorial": (LAND, rules.tutorial(SGD)),
    "alternating Adam": (LAND, rules.alternating(optax.adam(0.1))),
    "R1": (penalized(LAND, penalties.r1(0.5)), rules.simultaneous(SGD)),
    "WGAN-GP": (penalized(LAND, penalties.wgan_gp(0.5)), rules.simultaneous(SGD)),
    "clipping": (LAND, rules.alternating(Players(SGD, penalties.clipped(SGD, 0.5)))),
    "optimistic": (LAND, rules.simultaneous(optax.optimistic_gradient_descent(0.1))),
    "averaged": (LAND, rules.averaged(rules.simultaneous(SGD), optax.ema(0.9))),
    "lookahead": (LAND, rules.lookahead(rules.simultaneous(SGD), 3, 0.5)),
    "extragradient": (LAND, rules.simultaneous(SGD, fields.extragradient(0.1))),
    "symplectic": (LAND, rules.simultaneous(SGD, fields.sga(0.5))),
}
EVERY = slow_unless(GAMES_AND_RULES, "tutorial", "optimistic")


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_trains_as_the_loop_does(name):
    run = partial(player_leaves, *GAMES_AND_RULES[name], 7)
    assert _kernels.has_kernels(traced(run, seeds()))
    for plain, own in zip(*both(run, seeds()), strict=True):
        np.testing.assert_allclose(own, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_a_kernel_has_the_precision_of_its_loop():
    for plain, own in zip(*both(partial(player_leaves, *GAMES_AND_RULES["R1"], 7), seeds()), strict=True):
        assert own.dtype == np.float64
        np.testing.assert_allclose(own, plain, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("draw", [distributions.uniform(), distributions.normal()], ids=["uniform", "normal"])
def test_the_latents_of_a_kernel_are_those_of_the_contract(draw):
    def run(seed):
        def onward(pair, _):
            step, mixed = pair
            word = jax.lax.bitcast_convert_type(draw.sample(seeded_key(seed), step, 1), jnp.uint32)
            return (step + 1, mixed * 3 + word), None

        return jax.lax.scan(onward, (jnp.uint32(0), jnp.uint32(0)), length=50)[0]

    plain, own = both(run, seeds())
    assert np.array_equal(plain[1], own[1])
    assert np.unique(own[1]).size == RUNS


@pytest.mark.slow
def test_records_and_continued_runs_have_kernels_too():
    def run(seed, rate):
        return jax.tree.leaves(runs.one_rate(seeded_key(seed), rate, 4, record_every=2))

    rates = jnp.linspace(0.1, 1, RUNS)
    assert _kernels.has_kernels(traced(run, seeds(), rates))
    for plain, own in zip(*both(run, seeds(), rates), strict=True):
        assert own.shape == plain.shape
        np.testing.assert_allclose(own, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", [-3, 0, 4])
def test_numbers_of_a_table_are_looked_up_as_jax_does(start):
    table = jnp.arange(5.0) ** 2

    def run(rate):
        def onward(pair, _):
            place, total = pair
            return (place + 1, rate * total + jax.lax.dynamic_slice(table, (place,), (1,))[0]), None

        return jax.lax.scan(onward, (jnp.int32(start), 0.0), length=6)[0]

    rates = jnp.linspace(0, 1, RUNS)
    assert _kernels.has_kernels(traced(run, rates))
    plain, own = both(run, rates)
    assert np.array_equal(plain[1], own[1])
    assert own[0].tolist() == [start + 6] * RUNS


def test_a_loop_that_is_left_to_xla_keeps_its_settings():
    def run(seed):
        def onward(matrix, _):
            with jax.threefry_partitionable(False):  # other bits than by default
                return matrix + jax.random.normal(seeded_key(seed), (4, 4)), None

        return jax.lax.scan(onward, jnp.zeros((4, 4)), length=2)[0]

    plain, own = both(run, seeds(8))
    assert np.array_equal(plain[0], own[0])


def test_a_table_that_differs_between_runs_is_left_to_xla():
    def run(seed):
        table = jax.random.uniform(seeded_key(seed), (5,))

        def onward(pair, _):
            place, total = pair
            return (place + 1, total + table[place % 5]), None

        return jax.lax.scan(onward, (jnp.int32(0), 0.0), length=6)[0]

    plain, own = both(run, seeds())
    assert np.array_equal(plain[1], own[1])


def networks():
    network = mlp(1, 4, 1)
    return gan(
        lambda key: Players(*map(network.init, jax.random.split(key))),
        network.apply,
        lambda layers, image: network.apply(layers, image)[0],
        distributions.normal((1,)),
        distributions.normal((1,)),
    )


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda seed: player_leaves(networks(), rules.simultaneous(SGD), 3, seed), marks=pytest.mark.slow),
        lambda seed: jax.lax.while_loop(lambda one: one < 9, lambda one: 2 * one + 1, seed),
        lambda seed: jax.lax.scan(lambda one, x: (one + x, one), 1.0 * seed, jnp.arange(3.0))[1],
        lambda seed: jax.lax.scan(lambda one, x: (one + x, None), 1.0 * seed, jnp.arange(3.0), reverse=True)[0],
    ],
    ids=["networks", "while", "stacked", "reversed"],
)
def test_other_loops_stay_as_they_are(run):
    def leaves(seed):
        return jax.tree.leaves(run(seed))

    assert not _kernels.has_kernels(traced(leaves, seeds(8)))
    for plain, own in zip(*both(leaves, seeds(8)), strict=True):
        assert np.array_equal(plain, own)


@jax.custom_vjp
def with_a_rule_of_its_own(x):
    return jnp.sin(x)


with_a_rule_of_its_own.defvjp(lambda x: (jnp.sin(x), x), lambda x, slope: (slope * jnp.cos(x),))


@custom_vmap
def with_a_batch_of_its_own(x):
    return 2 * x


@with_a_batch_of_its_own.def_vmap
def _(size, mapped, x):
    return 2 * x, mapped[0]


STEPS = {
    "custom_vjp": with_a_rule_of_its_own,
    "custom_vmap": with_a_batch_of_its_own,
    "checkpoint": jax.checkpoint(jnp.sin),
    "cond": lambda x: jax.lax.cond(x > 0.5, jnp.sin, jnp.cos, x),
    "while": lambda x: jax.lax.while_loop(lambda y: y < 5, lambda y: 2 * y + 1, x),
    "inner loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y + i, x),
    "linear solver": lambda x: jax.scipy.sparse.linalg.cg(lambda v: (2 + x) * v, x)[0],
    "key": lambda x: x + jax.random.uniform(jax.random.fold_in(jax.random.key(0), x.astype(int))),
    "matrix": lambda x: jnp.linalg.det(jnp.eye(2) + x),
}


@pytest.mark.parametrize("name", slow_unless(STEPS, "cond"))
def test_a_step_of_any_kind_keeps_its_results(name):
    def run(x):
        return [jax.lax.scan(lambda carry, _: (STEPS[name](carry), None), x, length=4)[0]]

    (plain,), (own,) = both(run, jnp.linspace(0.0, 1.0, 16))
    np.testing.assert_allclose(own, plain, rtol=1e-6)


def one_rate(key, learning_rate, epochs=3):
    return runs.one_rate(key, learning_rate, epochs)


AXES = {"seed": np.arange(20), "learning_rate": [0.1, 0.2]}


@pytest.mark.slow
@pytest.mark.skipif(HAS_GPU, reason="is about a machine that only seems to have a GPU")
def test_a_sweep_on_a_gpu_has_kernels(monkeypatch):
    expected = sweep(one_rate, AXES, dims=runs.DIMS)
    monkeypatch.setattr(_programs, "_has_gpu", lambda: True)
    monkeypatch.setattr(_kernels, "with_kernels", partial(_kernels.with_kernels, interpret=True))
    found = sweep(one_rate, AXES, dims=runs.DIMS)
    for name in expected:
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-5, atol=1e-6)
    assert found.attrs["program"] != expected.attrs["program"]


@pytest.mark.slow
@pytest.mark.skipif(HAS_GPU, reason="is about a machine that only seems to have a GPU")
def test_a_gpu_that_makes_no_kernels_computes_step_by_step_and_says_so(monkeypatch):
    run = partial(one_rate, epochs=2)
    expected = sweep(run, AXES, dims=runs.DIMS)
    monkeypatch.setattr(_programs, "_has_gpu", lambda: True)
    with pytest.warns(UserWarning, match="computed one by one"):
        found = sweep(run, AXES, dims=runs.DIMS)
    assert found.discriminator_bias.values.tobytes() == expected.discriminator_bias.values.tobytes()


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["float32", "float64"])
def test_gpus_have_all_operations_of_a_kernel(name, wide):
    with jax.enable_x64(wide):
        closed = traced(partial(player_leaves, *GAMES_AND_RULES[name], 7), seeds())
        program = jax.jit(jax.vmap(_kernels.with_kernels(closed))).trace(seeds())
        try:
            text = program.lower(lowering_platforms=("cuda",)).as_text()
        except RuntimeError as error:
            pytest.skip(f"this version of JAX translates for a GPU only where one is ({error})")
    assert text.count("triton") == 1
