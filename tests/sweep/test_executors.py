"""Sweeps that other processes compute, through executors of several kinds."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import pytest

from slantgan_jax import sweep, sweeps
from slantgan_jax.sweeps import _checks, _executors, _store

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("executors")]

AXES = {"seed": range(40), "rate": [0.1, 0.2, 0.3]}
DIMS = {"numbers": ("place",)}


def run(key, rate):
    start = jax.random.normal(key, (2,))
    numbers = jax.lax.fori_loop(0, 2000, lambda i, x: jnp.sin(3 * x + i) + rate * x, start)
    return {"numbers": numbers, "total": numbers.sum()}


@pytest.fixture(scope="module")
def expected():
    return sweep(run, AXES, dims=DIMS)


def assert_same(one, other):
    for name in other.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


class Here(Executor):
    """Computes at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_an_executor_needs_a_store_and_gives_the_same_bits(tmp_path, expected):
    with pytest.raises(ValueError, match="only through a store"):
        sweep(run, AXES, dims=DIMS, executor=Here())
    assert_same(sweep(run, AXES, dims=DIMS, store=tmp_path / "s.zarr", chunk_size=7, executor=Here()), expected)
    grown = {**AXES, "seed": range(45)}
    assert_same(sweep(run, grown, dims=DIMS, store=tmp_path / "s.zarr", executor=Here()), sweep(run, grown, dims=DIMS))
    with pytest.raises(ValueError, match="another sweep"):
        sweep(run, AXES, dims=DIMS, store=tmp_path / "s.zarr", executor=Here())


class FromMemory(Here):
    """Answers a call that it knows from memory, as Dask does."""

    def __init__(self):
        self.known = {}

    def submit(self, fn, /, *args, **kwargs):
        call = fn, repr(args)
        if call not in self.known:
            self.known[call] = super().submit(fn, *args, **kwargs)
        return self.known[call]


def test_an_executor_with_a_memory_computes_a_damaged_chunk_again(tmp_path):
    executor, place = FromMemory(), tmp_path / "s.zarr/x/c/1"

    def swept():
        return sweep(scaled, {"rate": [1.0, 2.0, 3.0]}, store=tmp_path / "s.zarr", chunk_size=1, executor=executor)

    swept()
    place.unlink()
    assert swept().x.values.tolist() == [2, 4, 6]
    place.unlink()
    place.mkdir()
    with pytest.raises(ValueError, match="is a folder, and the store needs a file there"):
        swept()
    place.rmdir()
    assert swept().x.values.tolist() == [2, 4, 6]


class KilledWorker(Exception):
    """As Dask's, which is no `BrokenExecutor`."""


class Failing(Here):
    """Fails from a call on: what it was sent, or what was to come back, ends with an error of its own."""

    def __init__(self, error, calls, at_once):
        self.error, self.calls, self.at_once = error, calls, at_once

    def submit(self, fn, /, *args, **kwargs):
        self.calls -= 1
        if self.calls >= 0:
            return super().submit(fn, *args, **kwargs)
        if self.at_once:
            raise self.error
        future = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    "error", [KilledWorker("x\ny"), CancelledError(), asyncio.CancelledError(), RuntimeError("gone")]
)
def test_an_executor_that_fails_says_how_to_go_on(tmp_path, error, at_once):
    where, said = tmp_path / "s.zarr", " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")

    def swept(calls):
        executor = Failing(error, calls, at_once)
        return sweep(scaled, {"rate": [1.0, 2.0]}, store=where, chunk_size=1, executor=executor)

    with pytest.raises(OSError, match=rf"the executor failed \({said}\), while it traced the run: start another"):
        swept(0)
    saved = 0 if at_once else 1  # of the chunk before, nobody waits for the answer
    with pytest.raises(
        OSError, match=rf"failed \({said}\)\); {saved} of 2 runs are saved: mend that and call it again"
    ):
        swept(2)
    assert swept(9).x.values.tolist() == [2, 4]


def test_a_pool_of_forks_is_refused(tmp_path):
    """Its processes would wait for locks that threads of this one hold."""
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(ValueError, match=r"a pool of forks .*: give ProcessPoolExecutor\(mp_context=.*spawn"),
    ):
        sweep(scaled, {"rate": [1.0]}, store=tmp_path / "s.zarr", executor=pool)


def test_an_executor_that_is_shut_down_is_named(tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(ValueError, match="which is shut down: give one that is not"):
        sweep(scaled, {"rate": [1.0]}, store=tmp_path / "s.zarr", executor=pool)


def test_a_pool_of_processes_gives_the_same_bits_and_a_dead_process_loses_nothing(tmp_path, expected):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert_same(sweep(run, AXES, dims=DIMS, store=tmp_path / "s.zarr", chunk_size=20, executor=pool), expected)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        victim = pool.submit(os.getpid).result()

        def kill():
            while not (tmp_path / "t.zarr/total/c").is_dir():
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(OSError, match=r"of 120 runs are saved.*call it again"):
            sweep(run, AXES, dims=DIMS, store=tmp_path / "t.zarr", chunk_size=1, executor=pool)
    assert _store.missing(tmp_path / "t.zarr", _store.opened(tmp_path / "t.zarr"))
    assert_same(sweep(run, AXES, dims=DIMS, store=tmp_path / "t.zarr"), expected)


def test_workers_of_dask_may_die_and_come_late(tmp_path, expected):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        store = tmp_path / "s.zarr"
        victim = next(iter(client.run(os.getpid).values()))

        def disturb():
            while not (store / "total/c").is_dir():
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            cluster.scale(3)

        threading.Thread(target=disturb, daemon=True).start()
        found = sweep(run, AXES, dims=DIMS, store=store, chunk_size=3, executor=client.get_executor())
        assert_same(found, expected)
    assert_same(sweeps.load(store), expected)


def test_a_worker_that_would_compute_other_bits_refuses(tmp_path):
    distributed = pytest.importorskip("distributed")
    store, axes = tmp_path / "s.zarr", {"seed": range(3), "rate": [0.1]}
    sweep(run, axes, dims=DIMS, store=store, executor=Here())
    (store / "total/c/0/0").unlink()
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    flags = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}  # which it is not by default
    with (
        distributed.LocalCluster(**options, env=flags) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(ValueError, match=r"another sweep \(xla_flags"),
    ):
        sweep(run, axes, dims=DIMS, store=store, executor=client.get_executor())
    payload = _executors.packed(_checks.task(run, axes, (), DIMS, {}, {}))
    layout = _store.matching(store, _executors.prepared(Here(), payload, measure=False)[0])[0]
    for name in ("platform", "processor", "xla_flags"):
        other = layout._replace(about={**layout.about, name: "another"})
        with pytest.raises(ValueError, match=f"would compute other bits .* {name} another"):
            _executors._compute(payload, store, other, other, (0, 0))
    sweep(run, axes, dims=DIMS, store=store, executor=Here())
    sweeps.load(store)


FACTOR = 2.0


def scaled(rate):
    return {"x": rate * FACTOR}


def test_a_process_in_which_a_variable_has_another_value_refuses(monkeypatch):
    payload = _executors.packed(_checks.task(scaled, {"rate": [1.0]}, (), {}, {}, {}))
    _executors.prepared(Here(), payload, measure=False)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    _executors._traced.cache_clear()
    with pytest.raises(ValueError, match="reads variables that have other values there"):
        _executors.prepared(Here(), payload, measure=False)


def test_a_memory_of_this_process_is_no_store_for_others():
    with pytest.raises(ValueError, match="which the executor's processes do not see"):
        sweep(run, AXES, dims=DIMS, store="memory://x", executor=Here())


def test_two_calls_on_one_store_at_once_do_no_harm(tmp_path, expected):
    context = multiprocessing.get_context("spawn")
    found = []
    with ProcessPoolExecutor(1, mp_context=context) as one, ProcessPoolExecutor(1, mp_context=context) as other:

        def call(pool):
            found.append(sweep(run, AXES, dims=DIMS, store=tmp_path / "s.zarr", chunk_size=10, executor=pool))

        threads = [threading.Thread(target=call, args=(pool,)) for pool in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 2
    for ds in found:
        assert_same(ds, expected)


def test_submitit_is_an_executor(tmp_path, expected):
    submitit, cloudpickle = pytest.importorskip("submitit"), pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # jobs cannot import this file
    executor = submitit.AutoExecutor(folder=tmp_path / "logs", cluster="local")
    executor.update_parameters(timeout_min=5)
    assert_same(sweep(run, AXES, dims=DIMS, store=tmp_path / "s.zarr", chunk_size=60, executor=executor), expected)
