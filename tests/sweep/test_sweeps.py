import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zarr
from jax.custom_batching import custom_vmap

from slantgan_jax import provenance, rules, slanted_land, sweep, sweeps, train
from slantgan_jax.sweeps import _checks, _chunks, _layout, _programs, _store
from tests.answers import assert_answers

GAME = slanted_land()
STEPS = 40
AXES = {"seed": range(30), "learning_rate": [0.01, 0.1, 1.0]}
DIMS = {"weights": ("pixel",)}


def run(key, learning_rate):
    rule = rules.tutorial(optax.sgd(learning_rate))
    outcome = train(key, GAME, rule, STEPS)
    weights, bias = outcome.players.discriminator
    return {"weights": jnp.stack(weights), "bias": bias, "finite": outcome.finite}


def other_run(key, learning_rate):
    return {name: value + 1 if name == "bias" else value for name, value in run(key, learning_rate).items()}


def assert_same_bits(one, other):
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        assert one[name].dims == other[name].dims
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


def swept(store=None, **changes):
    """The sweep of this module, or one that differs in some arguments."""
    return sweep(**({"run": run, "axes": AXES, "dims": DIMS} | changes), store=store)


def missing(store):
    return _store.missing(store, _store.opened(store))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def expected():
    return swept().load()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store in 8 chunks, to be copied."""
    store = tmp_path_factory.mktemp("finished") / "s.zarr"
    swept(store, chunk_size=12)
    return store


@pytest.fixture
def store(tmp_path, finished):
    return shutil.copytree(finished, tmp_path / "s.zarr")


@pytest.fixture
def evaluations(monkeypatch):
    """A list that gets an entry for each chunk that is computed."""
    calls, evaluate = [], _programs.evaluate
    monkeypatch.setattr(_programs, "evaluate", lambda *arguments: calls.append(1) or evaluate(*arguments))
    return calls


def test_the_result_is_labeled(expected):
    assert dict(expected.sizes) == {"seed": 30, "learning_rate": 3, "pixel": 4}
    assert expected.bias.dims == ("seed", "learning_rate")
    assert expected.weights.dims == ("seed", "learning_rate", "pixel")
    assert expected.finite.dtype == bool
    assert {"run", "program", "versions", "revision", "created", "platform"} <= set(expected.attrs)
    picked = expected.bias.sel(learning_rate=0.011, method="nearest").median("seed")
    assert picked == np.median(expected.bias.values[:, 0])
    described = swept(attrs={"learning_rate": {"units": "1"}, "bias": {"long_name": "c"}})
    assert described.learning_rate.attrs == {"units": "1"}
    assert described.bias.attrs["long_name"] == "c"


@pytest.mark.parametrize(("x64", "error"), [(False, 1e-5), (True, 1e-13)])
def test_every_cell_is_the_run_with_its_numbers(x64, error):
    """Another program than the sweep's, so rounding may differ: an ulp a step, over 40 steps."""
    with jax.enable_x64(x64):
        found, alone = swept().load(), jax.jit(run)
        assert found.weights.dtype == (np.float64 if x64 else np.float32)
        for seed, rate in ((0, 0.01), (7, 0.1), (29, 1.0)):
            cell, result = found.sel(seed=seed, learning_rate=rate), alone(jax.random.key(seed), rate)
            np.testing.assert_allclose(cell.weights, result["weights"], atol=error)
            np.testing.assert_allclose(cell.bias, result["bias"], atol=error)


def test_a_seed_is_the_key_of_that_number():
    seeds = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    found = sweep(lambda key: {"u": jax.random.uniform(key)}, {"seed": seeds}).u.values
    assert [float(jax.random.uniform(jax.random.key(seed))) for seed in seeds] == found.tolist()


def test_the_least_whole_number_is_a_label():
    assert sweep(lambda number: {"same": number}, {"number": [-(2**31), 0]}).same.values.tolist() == [-(2**31), 0]


@pytest.mark.slow
@pytest.mark.parametrize("tile", [1, 7, 30, 1000])
def test_any_tile_gives_the_same_bits(tmp_path, expected, tile):
    axes = AXES | {"seed": range(4)} if tile == 1 else AXES
    found = swept(tmp_path / "s.zarr", axes=axes, chunk_size=tile)
    assert np.prod(zarr.open_group(tmp_path / "s.zarr")["bias"].chunks) <= tile
    assert_same_bits(found, expected.isel(seed=range(len(axes["seed"]))))


@pytest.mark.parametrize(("seeds", "rates"), [([5], [0.1]), (range(3, 9), [1.0, 0.1])])
def test_a_cell_has_the_same_bits_in_another_sweep(expected, seeds, rates):
    found = swept(axes={"seed": seeds, "learning_rate": rates})
    assert_same_bits(found, expected.sel(seed=list(seeds), learning_rate=rates))


@pytest.mark.slow
def test_more_lanes_than_one_batch_give_the_same_bits(expected):
    width = _programs.LANES["cpu"] * jax.local_device_count()
    many = swept(axes={"seed": range(width + 5), "learning_rate": [0.1]})
    assert_same_bits(many.isel(seed=range(30)), expected.sel(learning_rate=[0.1]))
    last = swept(axes={"seed": [width + 4], "learning_rate": [0.1]})
    assert_same_bits(many.isel(seed=[-1]), last)


PROGRAM = """
import sys
from slantgan_jax.cpu import use_every_core
use_every_core(int(sys.argv[1]))
import tests.sweep.test_sweeps as t
t.swept(sys.argv[2], chunk_size=int(sys.argv[3]))
"""


def outside(devices, store, chunk_size=12, program=PROGRAM):
    arguments = [sys.executable, "-c", program, str(devices), str(store), str(chunk_size)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(arguments, **pipes, text=True)


def finish(process, code=0):
    _, errors = process.communicate(timeout=200)
    assert process.returncode == code, errors


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_any_number_of_devices_in_a_new_process_gives_the_same_bits(tmp_path, devices, monkeypatch):
    """With four lanes a device, so that chunks of 12 runs need three of them."""
    monkeypatch.setitem(_programs.LANES, "cpu", 4)
    lanes = "from slantgan_jax.sweeps import _programs; _programs.LANES['cpu'] = 4"
    finish(outside(devices, tmp_path / "s.zarr", program=PROGRAM.replace("import tests", f"{lanes}; import tests")))
    expected = swept().load()  # on the four devices of this process
    assert_same_bits(sweeps.load(tmp_path / "s.zarr"), expected)
    assert_same_bits(swept(tmp_path / "s.zarr"), expected)


def test_few_runs_are_computed_on_as_few_devices_as_they_need(monkeypatch):
    monkeypatch.setitem(_programs.LANES, "cpu", 8)
    used, compiled = [], _programs._compiled
    monkeypatch.setattr(_programs, "_compiled", lambda *given: used.append(len(given[1])) or compiled(*given))
    for runs in (3, 8, 9, 1000):
        sweep(lambda seed: {"x": seed * 2}, {"seed": range(runs)})
    assert used == [1, 1, 2, jax.local_device_count()]


MEASURES = """
import jax, numpy as np
from slantgan_jax import faces, slanted_land, sweep
from slantgan_jax.analysis import distances, best_response
from slantgan_jax.cpu import use_every_core
use_every_core(2)
images = faces.unstack(faces.FACES)
def run(key):
    players = slanted_land().init(key)
    return {"gap": best_response.duality_gap(players, images, 0.01, nodes=8),
            "frechet": distances.frechet_squared(players.generator, images)}
with jax.enable_x64(True):
    found, alone = sweep(run, {"seed": [3]}), jax.jit(run)(jax.random.key(3))
for name, value in alone.items():
    np.testing.assert_allclose(found[name][0], value, rtol=1e-10)  # rounding; ψ itself is found to half the digits
"""


@pytest.mark.slow
def test_gaps_and_distances_can_be_metrics_of_a_sweep_on_all_cores(tmp_path):
    """On two cores and devices the Fréchet distance stood still while it called LAPACK: `_small_linalg` tells."""
    finish(outside(2, tmp_path, program=MEASURES))


@pytest.mark.slow
def test_two_processes_on_one_store_by_mistake_do_no_harm(tmp_path, expected):
    both = [outside(1, tmp_path / "s.zarr", chunk_size=3) for _ in range(2)]
    for process in both:
        finish(process)
    assert_same_bits(sweeps.load(tmp_path / "s.zarr"), expected)


def test_a_diverging_run_harms_nobody(expected):
    mixed = swept(axes=AXES | {"learning_rate": [0.01, 1e6, np.inf, np.nan, 0.1, 1.0]})
    assert_same_bits(mixed.isel(learning_rate=[0, 4, 5]), expected)
    assert not mixed.finite.isel(learning_rate=[1, 2, 3]).any()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def alter(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = truncate, empty, alter, Path.unlink
PARTS = {
    "weights": (3, "1 chunks are missing or damaged"),
    "finite": (3, "1 chunks are missing or damaged"),
    "learning_rate": (0, "is damaged \\(learning_rate/c/0\\)"),
}
"""For each array, which of its files is damaged, and what is then said."""


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("array", PARTS)
def test_what_is_damaged_is_noticed_and_made_again(store, expected, damage, array, evaluations):
    number, message = PARTS[array]
    damage(sorted(path for path in (store / array / "c").rglob("*") if path.is_file())[number])
    with pytest.raises(ValueError, match=message):
        sweeps.load(store)
    assert_same_bits(swept(store), expected)
    assert len(evaluations) == (array != "learning_rate")
    again = sweeps.load(store)
    assert_same_bits(again, expected)
    assert again.learning_rate.values.tolist() == AXES["learning_rate"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncate, empty, Path.unlink])
def test_a_damaged_group_is_named_and_left(store, damage):
    damage(store / "zarr.json")
    before = contents(store)
    for use in (sweeps.load, swept):
        with pytest.raises(ValueError, match=r"s.zarr is not a store of a sweep that can be read"):
            use(store)
    assert contents(store) == before


OTHERS = {
    "run": ({"run": other_run}, r"the code of the run \(run, now other_run\)"),
    "damaged": ({"run": other_run}, "another program"),
    "value": (
        {"axes": AXES | {"learning_rate": [0.01, 0.1, 2.0]}},
        r"learning_rate \[0.01, 0.1, 1.0\], now \[0.01, 0.1, 2.0\]",
    ),
    "size": ({"axes": AXES | {"seed": range(29)}}, "seed 30 values from 0 to 29, now 29 values from 0 to 28"),
    "axis": (
        {"axes": {"seed": range(30)}, "run": partial(run, learning_rate=0.1)},
        "axes seed, learning_rate, now seed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_the_store_of_another_sweep_is_refused_and_left_as_it_was(store, name):
    if name == "damaged":
        alter(store / "learning_rate" / "c" / "0")
    before, (change, message) = contents(store), OTHERS[name]
    with pytest.raises(ValueError, match=message):
        swept(store, **change)
    assert contents(store) == before


@pytest.mark.parametrize("constant", [1.0, np.float32(1.0), np.arange(3.0)])
def test_a_run_that_differs_in_a_number_it_closes_over_is_another_run(tmp_path, constant):
    def make(value):
        return lambda rate: {"x": rate * jnp.sum(jnp.asarray(value, jnp.float32))}

    sweep(make(constant), {"rate": [0.1]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="program"):
        sweep(make(constant + 1), {"rate": [0.1]}, store=tmp_path / "s.zarr")


def test_another_version_is_named(store, monkeypatch):
    versions = provenance.versions() | {"slantgan-jax": "99.0"}
    monkeypatch.setattr(provenance, "versions", lambda: versions)
    with pytest.raises(ValueError, match=r"slantgan-jax 0.1.0, now 99.0"):
        swept(store)


@pytest.mark.slow
def test_something_else_at_the_path_is_refused_and_kept(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file", tmp_path / "folder"):
        with pytest.raises(ValueError, match="not a store of a sweep"):
            swept(path)
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(ValueError, match="cannot be made"):
        swept(tmp_path / "file" / "below.zarr")


CTRL_C, FULL = KeyboardInterrupt(), OSError(28, "No space left on device")
STOPS = (
    (_programs, "evaluate", CTRL_C, "stopped with 36 of 90 runs saved: call it again with the same arguments"),
    (_store, "write", FULL, r"cannot be written \(No space left on device\); 36 of 90 runs are saved"),
)


@pytest.mark.parametrize(("module", "name", "error", "message"), STOPS)
def test_a_sweep_stops_and_goes_on(tmp_path, expected, evaluations, monkeypatch, module, name, error, message):
    """Stopped at the fourth chunk, by Ctrl-C or by a full disk."""
    calls, begin = [], getattr(module, name)

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise error
        return begin(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, stopping)
        with pytest.raises((KeyboardInterrupt, OSError), match=message):
            swept(tmp_path / "s.zarr", chunk_size=12)
    assert len(missing(tmp_path / "s.zarr")) == 5
    evaluations.clear()
    assert_same_bits(swept(tmp_path / "s.zarr"), expected)
    assert len(evaluations) == 5


FORKS = """
import os, sys
from slantgan_jax.cpu import use_every_core
use_every_core(1)
import tests.sweep.test_sweeps as t
for _ in sys.stdin:
    if (child := os.fork()) == 0:
        t.swept(sys.argv[2], chunk_size=int(sys.argv[3]))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Starts a process that sweeps for each line it is sent, without importing everything again; JAX starts in each."""


@pytest.mark.slow
def test_killed_eight_times_at_random_moments_it_still_ends_with_the_same_bits(tmp_path, expected):
    """Starts a process that sweeps in 90 chunks and kills it -9 at a random moment, eight times; then finishes."""
    store, rng = tmp_path / "s.zarr", np.random.default_rng(0)
    server = outside(1, store, chunk_size=1, program=FORKS)
    for _ in range(8):
        before, more = len(list(store.glob("bias/c/*/*"))), rng.integers(1, 4)
        server.stdin.write("\n")
        server.stdin.flush()
        process, deadline = int(server.stdout.readline()), time.time() + 60
        while len(list(store.glob("bias/c/*/*"))) < before + more:
            assert time.time() < deadline
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(process, signal.SIGKILL)
        assert server.stdout.readline() == "ended\n"
    finish(server)
    assert missing(store), "it should not have ended yet"
    assert_same_bits(swept(store), expected)


MISUSE = {
    "no parameter": ({"axes": AXES | {"momentum": [0.9]}}, "takes no 'momentum': choose from 'key', 'learning_rate'"),
    "an empty axis": ({"axes": AXES | {"learning_rate": []}}, "'learning_rate' has shape"),
    "duplicates": ({"axes": AXES | {"learning_rate": [0.1, 0.2, 0.1]}}, "has 0.1 more than once"),
    "words and numbers": ({"axes": AXES | {"learning_rate": ["fast", 1]}}, "both texts and other things"),
    "texts and nothing": ({"axes": AXES | {"learning_rate": np.array(["fast", None])}}, "both texts and other things"),
    "a text that ends with NUL": (
        {"axes": AXES | {"learning_rate": np.array(["a\0"], object)}},
        "ends with the letter NUL",
    ),
    "masked values": (
        {"axes": AXES | {"learning_rate": np.ma.array([0.1, 0.2], mask=[True, False])}},
        "axis 'learning_rate' has masked values",
    ),
    "coordinates of texts and numbers": ({"coords": {"pixel": ["a", 1, 2, 3]}}, "both texts and other things"),
    "both seeds and keys": ({"axes": AXES | {"key": [1]}}, "takes no 'seed', as the axis 'key' is its key"),
    "complex results": ({"run": lambda key, learning_rate: {"x": 1j * learning_rate}}, "type complex64: return real"),
    "few bits": (
        {"run": lambda key, learning_rate: {"x": learning_rate.astype(jnp.bfloat16)}},
        "type bfloat16: return real numbers of a type of NumPy's",
    ),
    "a misspelt static": ({"static": "learning"}, "static names 'learning'"),
    "a number that is none in float32": (
        {"axes": AXES | {"learning_rate": [0.1, 1e300]}},
        "has 1e+300, which float32",
    ),
    "a number that XLA takes for 0": ({"axes": AXES | {"learning_rate": [0.1, 1e-40]}}, "has 1e-40, which float32"),
    "a number that is 0 in float32": ({"axes": AXES | {"learning_rate": [0.1, 1e-300]}}, "has 1e-300, which float32"),
    "more axes than arrays have": (
        {
            "axes": {f"a{i}": [1.0] for i in range(65)},
            "run": lambda **numbers: {"x": sum(numbers.values())},
            "dims": {},
        },
        "'x' would have 65 axes",
    ),
    "things": ({"axes": AXES | {"learning_rate": [None]}}, "give numbers, or texts"),
    "half a character": ({"axes": AXES | {"learning_rate": ["\ud800"]}}, "which is half a character"),
    "a table": ({"axes": AXES | {"learning_rate": [[0.1]]}}, "'learning_rate' has shape"),
    "a seed that is none": ({"axes": AXES | {"seed": [0.5]}}, "whole numbers"),
    "a negative seed": ({"axes": AXES | {"seed": [-1]}}, "goes from -1"),
    "no axis for a parameter": ({"axes": {"seed": [0]}}, "needs learning_rate"),
    "no seeds": ({"axes": {"learning_rate": [0.1]}}, "needs key"),
    "no array": ({"run": lambda key, learning_rate: {"x": 1.0}}, "float as 'x'"),
    "nested": ({"run": lambda key, learning_rate: {"x": {"y": learning_rate}}}, "dict as 'x'"),
    "no mapping": ({"run": lambda key, learning_rate: learning_rate}, "return a flat mapping"),
    "no names of dimensions": ({"dims": {}}, "'weights' has shape (4,)"),
    "an axis's name": ({"run": lambda key, learning_rate: {"seed": learning_rate}}, "returns 'seed'"),
    "no axis": ({"axes": {}}, "at least one axis"),
    "a number beyond 32 bits": ({"axes": AXES | {"learning_rate": [2**40]}}, "fit 32 bits"),
    "a dimension that is an axis": ({"dims": {"weights": ("seed",)}}, "'seed' is an axis"),
    "a coordinate of another length": ({"coords": {"pixel": [0, 1]}}, "a coordinate of 2 values"),
    "a shape by an axis": ({"run": lambda key, learning_rate: {"x": jnp.ones(learning_rate)}}, "be traced"),
    "a branch that depends on an axis": ({"run": lambda key, learning_rate: {"x": learning_rate or key}}, "be traced"),
    "a name with a slash": ({"run": lambda key, learning_rate: {"loss/g": learning_rate}}, "cannot be kept"),
    "a text for dimensions": ({"dims": {"weights": "pixel"}}, "give a tuple"),
    "keys": ({"run": lambda key, learning_rate: {"x": key}}, "return real numbers"),
    "an axis among the coordinates": ({"coords": {"seed": range(30)}}, "axes has already"),
    "no runs in a tile": ({"chunk_size": 0}, "chunk_size is 0"),
    "half a run in a tile": ({"chunk_size": 2.5}, "chunk_size is 2.5"),
    "a true tile": ({"chunk_size": True}, "chunk_size is True"),
    "no function": ({"run": None}, "run is None"),
    "a function that does not tell": ({"run": max}, "run is <built-in function max>"),
    "a partial of another function": ({"run": partial(run, rate=1.0)}, "run is functools.partial"),
    "axes in pairs": ({"axes": [("seed", [0])]}, "axes is [('seed', [0])]"),
    "one number": ({"axes": AXES | {"learning_rate": 0.1}}, "'learning_rate' has shape ()"),
    "rows of other lengths": ({"axes": AXES | {"learning_rate": [[1], [2, 3]]}}, "and no list of values"),
    "seeds of texts": ({"axes": AXES | {"seed": ["zero"]}}, "axis 'seed' goes from zero to zero"),
    "more values than memory": (
        {"axes": AXES | {"seed": range(10**17)}},
        "axis 'seed' is range(0, 100000000000000000)",
    ),
    "a coordinate of rows": ({"coords": {"pixel": [[1], [2, 3]]}}, "coords of 'pixel' is [[1], [2, 3]]"),
    "a coordinate of dates": (
        {"coords": {"pixel": np.arange("2020-01-01", "2020-01-05", dtype="M8[D]")}},
        "coords of 'pixel' has values of type datetime64[D]: give numbers, or texts",
    ),
    "a coordinate of nothing": ({"coords": {"place": [1]}}, "coords names 'place', which is none of"),
    "a list of coordinates": ({"coords": [1, 2]}, "coords is [1, 2]"),
    "no names for dimensions": ({"dims": {"weights": None}}, "dims of 'weights' is None"),
    "a misspelt result": ({"dims": DIMS | {"wieghts": ("pixel",)}}, "dims names 'wieghts', which is none of"),
    "a text for attributes": ({"attrs": {"weights": "m"}}, "attrs of 'weights' is 'm'"),
    "an attribute of nan": ({"attrs": {"weights": {"scale": np.nan}}}, "attrs of 'weights' has 'scale': nan"),
    "a dictionary as attribute": ({"attrs": {"weights": {"a": {"b": 1}}}}, "attrs of 'weights' has 'a': {'b': 1}"),
    "texts as attribute": ({"attrs": {"weights": {"a": ["b", "c"]}}}, "attrs of 'weights' has 'a': ['b', 'c']"),
    "a static number": ({"static": 5}, "static is 5"),
    "a static misspelling": ({"static": "rate"}, "static names 'rate', which is no axis: choose from 'seed'"),
    "static seeds": ({"static": ("seed",)}, "'seed' cannot be static"),
    "a number as executor": ({"executor": 5}, "executor is 5"),
    "a class as executor": ({"executor": ThreadPoolExecutor}, "executor is <class"),
}


def test_keys_are_no_axis(tmp_path):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        swept(tmp_path / "s.zarr", axes=AXES | {"key": [jax.random.key(0)]})
    assert_answers(caught.value, "axis 'key' is")


PLACES = {
    "5": (5, "store is 5"),
    "no name": ("", "store is ''"),
    "a name with a zero": ("x\0y", "store is 'x\\x00y'"),
    "bytes": (b"x", "store is b'x'"),
    "nobody's home": ("~nobody-of-this-name/x", "Could not determine home directory"),
    "a URL with one slash": ("memory:/x", "store is 'memory:/x': give a path, or a URL with ://"),
    "a URL without a slash": ("data:x", "store is 'data:x': give a path, or a URL"),
    "a variable": ("$HOME/x.zarr", "store is '$HOME/x.zarr': give a path"),
    "a path of another system": ("C:\\x.zarr", "store is 'C:"),
    "a space": (" ", "store is ' ': give a path"),
    "a chain": ("dir://x::file:///tmp", "store is 'dir://x::file:///tmp': give a path"),
    "a host": ("file://host/x.zarr", "store is 'file://host/x.zarr': give file:///"),
    "a kind that nobody knows": ("nowhere://x", "fsspec knows no nowhere://"),
    "a name that is too long": ("n" * 300, "File name too long"),
    "below a device": ("/dev/null/x", "cannot be made"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_named_before_any_work(tmp_path, name):
    change, message = MISUSE[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        swept(tmp_path / "s.zarr", **change)
    assert_answers(caught.value, message)
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_is_none_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    place, message = PLACES[name]
    for use in (swept, sweeps.load) if name != "below a device" else (swept,):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            use(place)
        assert_answers(caught.value, message, most=500)
    assert not list(tmp_path.iterdir())


def test_results_beyond_memory_are_refused():
    axes = dict.fromkeys("abc", np.arange(1e6))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        sweep(lambda a, b, c: {"x": a + b + c}, axes)
    assert_answers(caught.value, "the axes have 1000000000000000000 runs")


def test_a_run_that_closes_over_a_tracer_is_named():
    def swept_over(outer):
        return sweep(lambda rate: {"x": rate * outer}, {"rate": [1.0]})

    leaked = []
    jax.jit(lambda outer: leaked.append(outer))(2.0)
    for call, outer in ((jax.jit(swept_over), 2.0), (jax.vmap(swept_over), jnp.ones(2)), (swept_over, leaked[0])):
        with pytest.raises(ValueError, match="closes over a tracer"):
            call(outer)


@pytest.mark.parametrize(
    ("sizes", "tile", "most"),
    [((1000, 4), 4096, 1), ((1000, 50, 50), 4096, 626), ((7,), 3, 3), ((1000, 3000), 4096, 752)],
)
def test_chunks_fill_the_tile(sizes, tile, most):
    labels = {f"axis {i}": np.arange(size) for i, size in enumerate(sizes)}
    block = _checks.block_of(_layout.Layout(tuple(labels), labels, {}, {}, {}, (), (), {}), tile)
    assert np.prod(block) <= tile
    assert np.prod([-(-size // length) for size, length in zip(sizes, block, strict=True)]) <= most


def test_a_loop_may_start_at_a_constant_that_no_axis_moves():
    def doubled(rate):
        return {"x": jax.lax.fori_loop(0, 3, lambda _, x: x * rate, jnp.ones(()))}

    assert sweep(doubled, {"rate": [1.0, 2.0]}).x.values.tolist() == [1.0, 8.0]


def test_whole_numbers_are_signed_and_results_may_be_empty_or_counted(tmp_path):
    ds = sweep(
        lambda n: {"y": n - 5, "none": jnp.zeros(0)}, {"n": [1, 2, 8]}, dims={"none": ("k",)}, store=tmp_path / "s"
    )
    assert ds.y.values.tolist() == [-4, -3, 3]
    assert dict(sweeps.load(tmp_path / "s").none.sizes) == {"n": 3, "k": 0}


@pytest.mark.slow
def test_the_default_chunk_is_bounded_by_what_a_run_records(monkeypatch):
    """Runs of 4 MB each: chunks of 128 MiB at most, and as few runs at a time as 64 MiB hold."""

    def big(rate):
        return {"x": jax.lax.scan(lambda x, _: (x + 1, x), rate, length=1_000_000)[1]}

    layout, programs = _checks.layout_of(_checks.task(big, {"rate": np.arange(1.0, 1000.0)}, (), {"x": ("i",)}, {}, {}))
    block, first = _chunks.preferred_block(layout, programs)
    assert programs["[]"].lanes == 16
    assert first.runs <= block[0] <= _chunks.CHUNK_BYTES // 4_000_000
    monkeypatch.setattr(_chunks, "CHUNK_SECONDS", 0.0)
    assert _chunks.preferred_block(layout, programs)[0] == (min(programs["[]"].width(), 33),)


@pytest.mark.slow
def test_a_store_that_begins_with_one_seed_grows_within_its_chunk(tmp_path):
    def run(key, rate):
        return {"x": rate * jax.random.uniform(key), "none": jnp.zeros((2, 0))}

    def swept(seeds, store):
        axes = {"seed": range(seeds), "rate": [1.0, 2.0, 3.0]}
        return sweep(run, axes, dims={"none": ("two", "zero")}, store=store)

    swept(1, tmp_path / "s.zarr")
    grown = swept(300, tmp_path / "s.zarr")
    assert grown.x.values.tobytes() == swept(300, None).x.values.tobytes()
    assert len([file for file in (tmp_path / "s.zarr" / "x" / "c").rglob("*") if file.is_file()]) == 1


def test_a_run_with_an_object_bound_to_it_can_be_resumed(tmp_path):
    """Its description has an address that differs between processes; its program does not."""

    def make():
        return partial(lambda rate, thing: {"x": rate * 2}, thing=object())

    sweep(make(), {"rate": [0.1, 0.2]}, store=tmp_path / "s")
    sweep(make(), {"rate": [0.1, 0.2]}, store=tmp_path / "s")


LAPACK = """
import sys
from slantgan_jax.cpu import use_every_core
use_every_core(int(sys.argv[1]))
import jax, jax.numpy as jnp, numpy as np
from slantgan_jax import mlp, networks, sweep
def run(key):
    many = [jnp.eye(16) + 0.05 * jax.random.normal(jax.random.fold_in(key, i), (16, 16)) for i in range(6)]
    squares = [jnp.linalg.qr(matrix)[0].sum() for matrix in many]
    def step(vectors, _):
        found = [jnp.linalg.solve(m, v / 9 + jnp.linalg.svd(m, compute_uv=False)) for m, v in zip(many, vectors)]
        return found, jnp.linalg.eigvalsh(many[0] @ many[0].T)
    vectors, values = jax.lax.scan(step, [matrix[0] for matrix in many], length=3)
    _, last = jax.lax.while_loop(
        lambda pair: pair[0] < 3, lambda pair: (pair[0] + 1, jnp.linalg.inv(many[1] + pair[0] * pair[1])), (0, many[2])
    )
    chosen = jax.lax.cond(many[0][0, 0] > 1, lambda m: jnp.linalg.cholesky(m @ m.T), jnp.linalg.inv, many[2])
    slope = jax.grad(lambda matrix: jnp.linalg.norm(matrix, 2))(many[3])
    largest = jnp.abs(jnp.linalg.eigvals(many[4])).max()
    batches = [matrix + jnp.arange(1.0, 10)[:, None, None] * jnp.eye(16) for matrix in many]
    inverses = sum(jax.checkpoint(lambda m: jnp.linalg.inv(m).sum())(batch) for batch in batches)
    determinants = sum(jnp.linalg.slogdet(batch)[1].sum() for batch in batches)
    return {"inverses": inverses, "determinants": determinants,
            "squares": jnp.stack(squares), "vectors": jnp.stack(vectors), "values": values, "last": last,
            "chosen": chosen, "slope": slope, "largest": largest}
ranks = {"squares": 1, "vectors": 2, "values": 2, "last": 2, "chosen": 2, "slope": 2}
dims = {name: tuple(f"{name}_{i}" for i in range(rank)) for name, rank in ranks.items()}
for _ in range(5):
    ds = sweep(run, {"seed": range(2000)}, dims=dims)
few = sweep(run, {"seed": [3, 1999]}, dims=dims)
assert all(np.array_equal(few[name], ds[name][[3, 1999]]) for name in ds.data_vars)
for seed in (3, 1999):
    with jax.disable_jit():
        alone = run(jax.random.key(seed))
    assert alone.keys() == set(ds.data_vars)
    for name, value in alone.items():
        np.testing.assert_allclose(ds[name][seed], value, rtol=1e-3, atol=1e-4)
network = mlp(256, 128, 128, 128, 128, 2, init=networks.INITIALIZERS["orthogonal"])
for _ in range(5):
    jax.block_until_ready(jax.jit(jax.vmap(network.init))(jax.random.split(jax.random.key(0), 16)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_that_calls_lapack_does_not_stand_still(tmp_path, devices):
    """Nor does the start of networks whose weights are orthogonal. Both did, with jaxlib 0.10 on two cores."""
    finish(outside(devices, tmp_path, program=LAPACK))


def test_an_equation_keeps_its_settings_and_a_rule_of_its_own_counts():
    """Beside LAPACK all equations are evaluated one by one."""

    @custom_vmap
    def twofold(matrix):
        return 2 * matrix.sum()

    @twofold.def_vmap
    def of_a_batch(size, mapped, matrices):
        return jax.vmap(lambda matrix: matrix.sum() + jnp.linalg.svd(matrix, compute_uv=False).sum())(matrices), True

    def drawn(key):
        with jax.threefry_partitionable(False):  # other bits than by default
            matrix = jax.random.normal(key, (4, 4))
        mesh = jax.make_mesh((1,), ("part",), axis_types=(jax.sharding.AxisType.Auto,))
        spec = jax.sharding.PartitionSpec("part")
        return matrix, jax.shard_map(lambda part: 3 * part, mesh=mesh, in_specs=spec, out_specs=spec)(matrix)

    def run(key):
        matrix, threefold = drawn(key)
        return {"drawn": matrix.sum(), "threefold": threefold.sum(), "ruled": twofold(matrix)}

    found = sweep(run, {"seed": [3]})
    matrix = np.asarray(jax.jit(drawn)(jax.random.key(3))[0], float)
    singular = np.linalg.svd(matrix, compute_uv=False)
    expected = {"drawn": matrix.sum(), "threefold": 3 * matrix.sum(), "ruled": matrix.sum() + singular.sum()}
    assert found.attrs["lapack"] != "not called"
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][0], value, rtol=1e-5, err_msg=name)


MEMORY = """
from pathlib import Path
from slantgan_jax.cpu import use_every_core
use_every_core(2)
import jax.numpy as jnp
from slantgan_jax import sweep
sweep(lambda rate: {"x": rate * jnp.ones(2**18)}, {"rate": [1.0, 2.0, 3.0, 4.0]}, dims={"x": ("i",)})
most = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(most.split()[1]) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is asked of Linux")
def test_a_few_runs_with_large_results_take_little_memory(tmp_path):
    """Four runs of 1 MiB took 4.2 GB when 1024 were computed at a time; the process alone takes about 0.4 GB."""
    process = outside(2, tmp_path, program=MEMORY)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert float(output) < 1.2


def test_a_variable_plots_with_its_name_and_units():
    from matplotlib.figure import Figure  # which the processes that are killed need not import

    ds = swept(attrs={"bias": {"long_name": "bias of D", "units": "1"}, "seed": {"long_name": "seed"}})
    axes = Figure().subplots()
    ds.bias.sel(learning_rate=0.1).plot(ax=axes)
    assert axes.get_ylabel() == "bias of D [1]"
    assert axes.get_xlabel() == "seed"
