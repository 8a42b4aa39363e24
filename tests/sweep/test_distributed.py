"""Real processes on loopback, sharing one store by `jax.distributed`."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from slantgan_jax import sweep, sweeps
from tests.sweep.test_sweeps import assert_same_bits, finish

pytestmark = pytest.mark.xdist_group("distributed")  # one process sweeps alone once

SCRIPT = Path(__file__).parents[2] / "experiments" / "sweep.py"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(store, epochs, *arguments):
    sizes = ["--seeds", "12", "--learning-rates", "0.01", "0.1", "--epochs", epochs, "--tile", "1", "--devices", "1"]
    command = [sys.executable, SCRIPT, *sizes, "--out", store, *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def start_all(store, count, epochs):
    port = free_port()
    shared = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes", count, "--process-id"]
    return [start(store, epochs, *shared, index) for index in range(count)]


def assert_same_stores(one, other):
    assert_same_bits(sweeps.load(one), sweeps.load(other))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The sweep of one process, for each number of epochs."""
    folder = tmp_path_factory.mktemp("alone")

    def make(epochs):
        store = folder / f"{epochs}.zarr"
        if not store.exists():
            finish(start(store, epochs))
        return store

    return make


@pytest.mark.slow
def test_two_processes_share_a_sweep(tmp_path, alone):
    for process in start_all(tmp_path / "s.zarr", 2, epochs=20):
        finish(process)
    assert_same_stores(tmp_path / "s.zarr", alone(20))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [2, 0])
def test_of_three_processes_one_is_killed_and_nothing_is_lost(tmp_path, alone, victim):
    """Survivors finish the share of the victim; if process 0 dies, JAX ends the others, and a later call finishes."""
    store, epochs = tmp_path / "s.zarr", 1500
    processes = start_all(store, 3, epochs)
    deadline = time.time() + 120
    while len(list(store.glob("mean_gap/c/*/*"))) < 5:
        assert time.time() < deadline
        time.sleep(0.005)
    processes[victim].kill()
    finish(processes[victim], -9)
    for process in processes:
        if victim == 0:
            process.communicate(timeout=200)
        elif process is not processes[victim]:
            finish(process)
    if victim == 0:
        finish(start(store, epochs))
    assert_same_stores(store, alone(epochs))


def test_more_processes_than_chunks_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(ValueError, match="3 processes are more than the 2 chunks"):
        sweep(lambda rate: {"x": rate}, {"rate": np.arange(2)}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="only through a store"):
        sweep(lambda rate: {"x": rate}, {"rate": np.arange(2)})
    assert not (tmp_path / "s.zarr").exists()
