"""What identifies a run, and what its bits may not depend on."""

import dataclasses
import functools
import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, games, rules, slanted_land, sweep, train
from slantgan_jax.sweeps import _programs, _surroundings

AXES = {"seed": range(5)}
GAME = slanted_land()
FACTOR = 2.0


def draw(key):
    one, other = jax.random.split(key)
    return {"x": jax.random.uniform(one, (2,)), "y": jax.random.uniform(other)}


def drawn(**settings):
    with changed(**settings):
        return sweep(draw, AXES, dims={"x": ("i",)})


class changed:
    def __init__(self, **settings):
        self.settings = settings

    def __enter__(self):
        self.old = {name: jax.config.values[name] for name in self.settings}
        for name, value in self.settings.items():
            jax.config.update(name, value)

    def __exit__(self, *_):
        for name, value in self.old.items():
            jax.config.update(name, value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("default_prng_impl", "rbg"),
        ("default_prng_impl", "unsafe_rbg"),
        ("threefry_partitionable", False),
        ("random_seed_offset", 5),
    ],
)
def test_seeds_are_the_same_threefry_keys_whatever_the_defaults_are(name, value):
    expected = drawn()
    found = drawn(**{f"jax_{name}": value})
    for name in ("x", "y"):
        assert found[name].values.tobytes() == expected[name].values.tobytes()


def test_a_global_that_has_changed_is_read_anew(monkeypatch, tmp_path):
    def scaled(rate):
        return {"x": rate * FACTOR}

    first = sweep(scaled, {"rate": [1.0, 2.0]}, store=tmp_path / "s.zarr")
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert sweep(scaled, {"rate": [1.0, 2.0]}).x.values.tolist() == [3.0, 6.0]
    with pytest.raises(ValueError, match="another program"):
        sweep(scaled, {"rate": [1.0, 2.0]}, store=tmp_path / "s.zarr")
    assert first.x.values.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("simplified", [False, True])
def test_captured_arrays_are_part_of_a_program(simplified, tmp_path):
    def run(rate, table):
        return {"x": jax.lax.cond(rate > 0, lambda: jnp.asarray(table)[1], lambda: 0.0) * rate}

    def of(table):
        return functools.partial(run, table=np.asarray(table, np.float32))

    with changed(jax_use_simplified_jaxpr_constants=simplified):
        sweep(of([1, 2, 3]), {"rate": [1.0]}, store=tmp_path / "s.zarr")
        with pytest.raises(ValueError, match="another program"):
            sweep(of([1, 4, 3]), {"rate": [1.0]}, store=tmp_path / "s.zarr")


TABLE, SETTINGS = np.ones(2), types.SimpleNamespace(factor=2.0)


def helper(x):
    return x * FACTOR


@jax.jit
def jitted(rate):
    return {"x": helper(rate)}


@jax.custom_jvp
def with_a_rule(x):
    return x * FACTOR


with_a_rule.defjvp(lambda primals, tangents: (with_a_rule(*primals), tangents[0]))
MAPPED, REMATERIALIZED = jax.vmap(lambda x: x * FACTOR), jax.checkpoint(lambda x: x * FACTOR)
SCHEDULED = rules.simultaneous(optax.sgd(lambda count: -FACTOR))
SLOPE = games.two_player(lambda players: players.generator, lambda players: players.discriminator)


@jax.jit
def of_a_namespace(x):
    return x * SETTINGS.factor


READERS = {
    "a global": lambda rate: {"x": rate * FACTOR},
    "a global in a helper": lambda rate: {"x": helper(rate)},
    "a global in a jitted run": jitted,
    "a global in a jitted part": lambda rate: jitted(rate),
    "an attribute of a module": lambda rate: {"x": rate * sys.modules[__name__].FACTOR},
    "an attribute of a namespace": lambda rate: {"x": rate * SETTINGS.factor},
    "an element of an array": lambda rate: {"x": rate * TABLE[0]},
    "a variable of the environment": lambda rate: {"x": rate * float(os.environ["FACTOR"])},
    "a global by its name": lambda rate: {"x": rate * globals()["FACTOR"]},
    "a namespace in a jitted part": lambda rate: {"x": of_a_namespace(rate)},
    "a global in a derivative": lambda rate: {"x": with_a_rule(rate)},
    "a global in a mapped function": lambda rate: {"x": MAPPED(rate[None])[0]},
    "a global in a checkpoint": lambda rate: {"x": REMATERIALIZED(rate)},
    "a global in a schedule": lambda rate: {
        "x": train(jax.random.key(0), SLOPE, SCHEDULED, 1, players=Players(0.0, 0.0)).players.generator * rate
    },
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_a_run_reads_is_read_anew_when_it_has_changed(name, monkeypatch):
    axes = {"rate": [1.0]}
    for factor in (2.0, 2.0, 3.0, 2.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        monkeypatch.setattr(SETTINGS, "factor", factor)
        monkeypatch.setenv("FACTOR", str(factor))
        TABLE[0] = factor
        assert sweep(READERS[name], axes).x.item() == factor


@pytest.mark.slow
def test_a_program_that_is_the_same_is_not_compiled_again():
    def make(optimizer):
        def run(key):
            return {"x": train(key, GAME, rules.alternating(optimizer), 2).players.discriminator.bias}

        return _programs.trace(run, {"seed": np.zeros(1, np.uint32)})

    one = _programs.compiled(make(optax.sgd(0.1)))
    assert _programs.compiled(make(optax.sgd(0.1))) is one
    assert _programs.compiled(make(optax.sgd(0.2))) is not one


AXES_OF_TWO = {"a": [1.0, 2.0], "b": [10.0, 20.0, 30.0]}


def test_programs_that_use_other_axes_are_others(tmp_path):
    one = sweep(lambda a, b: {"x": a * 2}, AXES_OF_TWO, store=tmp_path / "s.zarr")
    other = sweep(lambda a, b: {"x": b * 2}, AXES_OF_TWO)
    assert one.x.values.tolist() == [[2.0] * 3, [4.0] * 3]
    assert other.x.values.tolist() == [[20.0, 40.0, 60.0]] * 2
    with pytest.raises(ValueError, match="another program"):
        sweep(lambda a, b: {"x": b * 2}, AXES_OF_TWO, store=tmp_path / "s.zarr")
    chosen = sweep(lambda which, a, b: {"x": 1 * {"a": a, "b": b}[which]}, {"which": ["a", "b"], **AXES_OF_TWO})
    assert chosen.x.sel(which="b").values.tolist() == [[10.0, 20.0, 30.0]] * 2


@pytest.mark.slow
def test_threads_count_where_matrices_are_multiplied(tmp_path, monkeypatch):
    def run(key):
        x = jax.random.normal(key, (4, 4))
        return {"x": (x @ x).sum()}

    sweep(run, {"seed": [0]}, store=tmp_path / "s.zarr")
    sweep(draw, AXES, dims={"x": ("i",)}, store=tmp_path / "t.zarr")
    monkeypatch.setattr(_surroundings, "_threads", lambda: 77)
    with pytest.raises(ValueError, match=r"threads \d+, now 77"):
        sweep(run, {"seed": [0, 1]}, store=tmp_path / "s.zarr")
    sweep(draw, AXES, dims={"x": ("i",)}, store=tmp_path / "t.zarr")


CHANGES = {
    "lanes": (_programs, "LANES", {"cpu": 256}),
    "processor": (_surroundings, "_processor", lambda: "abacus"),
    "callbacks": None,
}


def test_the_number_of_lanes_and_the_processor_are_part_of_the_identity(tmp_path, monkeypatch):
    def run(rate):
        return {"x": rate * 2}

    sweep(run, {"rate": [1.0]}, store=tmp_path / "s.zarr")
    for module, name, value in filter(None, CHANGES.values()):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            with pytest.raises(ValueError, match="another sweep"):
                sweep(run, {"rate": [1.0]}, store=tmp_path / "s.zarr")
    for name in set(_surroundings.SETTINGS) & set(jax.config.values):  # not every version has all
        old = jax.config.values[name]
        new = not old if isinstance(old, bool) else old + 1 if isinstance(old, int | float) else "O1"
        with changed(**{name: new}), pytest.raises(ValueError, match=name):
            sweep(run, {"rate": [1.0]}, store=tmp_path / "s.zarr")


def test_settings_that_change_compile_anew(tmp_path):
    """A store that names a setting has the bits of that setting, also after a sweep without it."""

    def run(rate):
        return {"x": jnp.exp(jnp.sin(rate) * 1.7)}

    program = _programs.trace(run, {"rate": np.array([1.0], np.float32)})
    first = _programs.compiled(program)
    with changed(jax_disable_most_optimizations=not jax.config.values["jax_disable_most_optimizations"]):
        assert _programs.compiled(program) is not first
    assert _programs.compiled(program) is first


XLA_OPTIONS = """
import os, sys
import jax
if sys.argv[1] == "late":
    jax.numpy.zeros(3)
os.environ["XLA_FLAGS"] = sys.argv[2]
from slantgan_jax.sweeps import _surroundings
print(_surroundings.surroundings(False, False)["xla_flags"])
"""


@pytest.mark.slow
def test_the_flags_are_those_that_xla_has_read(tmp_path):
    """Flags that come too late count for nothing; those of a file count by what it says."""
    flags, file = "--xla_cpu_enable_fast_math=true", tmp_path / "flags"
    file.write_text(flags)
    calls = ("early", ""), ("late", flags), ("early", flags), ("early", str(file))
    none, late, given, in_file = (
        subprocess.run(
            [sys.executable, "-c", XLA_OPTIONS, *call], check=True, capture_output=True, text=True,
            env=os.environ | {"XLA_FLAGS": ""},
        ).stdout
        for call in calls
    )  # fmt: skip
    assert none == late != given == in_file


def test_what_a_function_does_for_a_batch_is_part_of_the_program():
    def doing(factor):
        @jax.custom_batching.custom_vmap
        def scaled(x):
            return x

        @scaled.def_vmap
        def rule(size, batched, x):
            return x * factor, True

        return lambda rate: {"x": scaled(rate)}

    assert [sweep(doing(factor), {"rate": [1.0, 2.0]}).x.values.tolist() for factor in (2.0, 5.0)] == [[2, 4], [5, 10]]


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_bits_that_depend_on_the_runs_beside_are_refused(impl):
    with pytest.raises(ValueError, match="draws bits that depend on the runs beside it"):
        sweep(lambda n: {"x": jax.random.uniform(jax.random.key(n, impl=impl))}, {"n": [1, 2]})


def test_a_run_may_take_a_key_and_its_seed():
    def run(key, seed=0):
        return {"own": seed, "x": jax.random.uniform(key)}

    found = sweep(run, {"seed": [5, 6]})
    assert found.own.values.tolist() == [5, 6]
    assert (
        found.x.values.tolist() == sweep(lambda key: {"x": jax.random.uniform(key)}, {"seed": [5, 6]}).x.values.tolist()
    )


def test_a_run_may_end_in_nan_whatever_the_caller_forbids():
    captured = jnp.arange(3.0)
    with jax.debug_nans(True), jax.transfer_guard("disallow"):
        found = sweep(lambda rate: {"x": jnp.log(rate) + captured.sum()}, {"rate": [-1.0]})
    assert np.isnan(found.x.item())


def test_the_variables_of_lapack_are_part_of_the_identity(tmp_path, monkeypatch):
    def run(key):
        return {"x": jnp.linalg.slogdet(jax.random.normal(key, (4, 4)))[1]}

    found = sweep(run, {"seed": [0]}, store=tmp_path / "s.zarr")
    assert found.attrs["threads"].isdecimal()
    monkeypatch.setattr(_surroundings, "_openblas", lambda: {"OPENBLAS_CORETYPE": "Prescott"})
    with pytest.raises(ValueError, match="lapack"):
        sweep(run, {"seed": [0, 1]}, store=tmp_path / "s.zarr")


BASE, KEYS = jax.random.key(3), jax.random.split(jax.random.key(3), 4)


def default(i, key=BASE):
    return {"x": jax.random.uniform(jax.random.fold_in(key, i))}


GIVEN = {
    "an argument": (functools.partial(lambda key, i: default(i, key), BASE), jax.random.fold_in, BASE),
    "a default": (default, jax.random.fold_in, BASE),
    "closed over": (lambda i: default(i, BASE), jax.random.fold_in, BASE),
    "one of many": (lambda i: {"x": jax.random.uniform(KEYS[i])}, lambda keys, i: keys[i], KEYS),
}


@pytest.mark.parametrize("name", GIVEN)
def test_keys_from_outside_are_numbers_that_a_run_reads(name, tmp_path):
    run, ith, keys = GIVEN[name]
    expected = [float(jax.random.uniform(ith(keys, i))) for i in range(3)]
    for store in (tmp_path / "s.zarr", tmp_path / "s.zarr", None):
        assert sweep(run, {"i": range(3)}, store=store).x.values.tolist() == expected


def test_another_key_from_outside_is_another_program(tmp_path):
    def of(seed):
        key = jax.random.key(seed)
        return lambda i: {"x": jax.random.uniform(jax.random.fold_in(key, i))}

    sweep(of(0), {"i": [1]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="another program"):
        sweep(of(1), {"i": [1]}, store=tmp_path / "s.zarr")


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_from_outside_of_another_kind_are_refused(impl):
    key = jax.random.key(0, impl=impl)
    with pytest.raises(ValueError, match=f"uses a key of the kind {impl}, .*: use keys of threefry2x32") as caught:
        sweep(lambda i: {"x": jax.random.uniform(jax.random.fold_in(key, i))}, {"i": [1]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("x64", "expected"), [(True, 10**10), (False, 10**10 % 2**32)])
def test_whole_numbers_have_the_bits_of_the_mode(x64, expected):
    """In 32 bits they wrap, as those of JAX do; seeds always have 32."""
    with jax.enable_x64(x64):
        found = sweep(lambda n, seed: {"x": n * n, "seed_bits": seed}, {"n": [100_000], "seed": [2**32 - 1]})
    assert found.x.item() == expected
    assert found.seed_bits.item() == 2**32 - 1
    assert found.seed_bits.dtype == np.uint32


def test_a_variable_that_has_no_value_yet_is_no_reason_to_fail():
    def main(doubled):
        if doubled:
            factor = 2

        def run(a):
            return {"x": a * (factor if doubled else 1)}

        return sweep(run, {"a": [1.0]}).x.item()

    assert (main(False), main(True)) == (1, 2)


def test_callbacks_are_refused():
    def run(rate):
        return {"x": jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), jnp.float32), rate)}

    with pytest.raises(ValueError, match="calls back into Python"):
        sweep(run, {"rate": [1.0]})
    with pytest.raises(ValueError, match="calls back into Python"):
        sweep(lambda rate: {"x": jax.lax.scan(lambda c, _: (run(c)["x"], None), rate, length=2)[0]}, {"rate": [1.0]})


def test_a_dataclass_may_be_a_run():
    @dataclasses.dataclass
    class Run:
        factor: float

        def __call__(self, rate):
            return {"x": rate * self.factor}

    assert sweep(Run(3.0), {"rate": [2.0]}).x.item() == 6


@pytest.mark.parametrize(
    ("records", "size", "lanes"),
    [(4, 1, 512), (2**18, 1, 64), (4, 2**8, 128), (4, 2**14, 2), (4, 2**17, 1), (4, 2**20, 1)],
)
def test_lanes_are_fewer_where_results_or_steps_are_large(records, size, lanes):
    """Results of 1 MiB, of which 64 MiB hold 64; or steps with arrays of `size` floats, of which 128 KiB are held."""

    def run(rate):
        def step(values, _):
            return jnp.sin(values), values[0]

        return {"x": jax.lax.scan(step, jnp.full(size, rate), length=records)[1]}

    def silent(rate):
        return {"x": run(rate)["x"].sum()}  # what is not returned takes memory, too

    for one in (run, silent):
        assert _programs.trace(one, {"rate": np.zeros(4, np.float32)}).lanes == lanes


def test_a_mesh_of_the_caller_does_no_harm():
    expected = drawn()
    with jax.set_mesh(jax.make_mesh((1,), ("x",))):
        found = drawn()
    assert found.x.values.tobytes() == expected.x.values.tobytes()


@pytest.mark.parametrize(
    "returned",
    [{}, {"x": 1.0}, [1], {"x": {"y": jnp.ones(())}}, {"x": jnp.ones((), jnp.bfloat16)}, {"x": 1j * jnp.ones(())}],
)
def test_what_is_no_result_is_refused(returned):
    with pytest.raises(ValueError, match="the run returns"):
        sweep(lambda rate: returned, {"rate": [1.0]})
