"""Chunks computed by an executor: by other processes, on this machine or on others.

An executor is whatever has the interface of `concurrent.futures.Executor`: that of dask.distributed, mpi4py or
submitit, or a pool of processes. A process computes a chunk with all of its devices and writes it into the store.
"""

import contextlib
import functools
import os
import pickle
import time
from concurrent.futures import BrokenExecutor, Executor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from slantgan_jax import cpu
from slantgan_jax.sweeps import _checks, _chunks, _layout, _programs, _store
from slantgan_jax.sweeps._checks import Task
from slantgan_jax.sweeps._chunks import Progress
from slantgan_jax.sweeps._layout import Layout
from slantgan_jax.sweeps._programs import Program

POLL_SECONDS = 0.05


def packed(task: Task) -> bytes:
    """A task as bytes, with the settings under which it is to be traced."""
    try:
        from cloudpickle import dumps  # takes functions of notebooks and scripts, too
    except ImportError:
        from pickle import dumps
    fused = cpu.XLA_FLAGS in os.environ.get("XLA_FLAGS", "")
    every_core = fused or jax.config.values.get("jax_num_cpu_devices", 0) > 0
    try:
        x64 = jnp.result_type(float) == jnp.float64
        precision = jax.config.values["jax_default_matmul_precision"]
        return pickle.dumps((every_core, fused, x64, precision, _checks.sources(task), dumps(task)))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the run cannot be sent to the executor's processes ({error}): install cloudpickle, or give a "
            "function of a module that they can import"
        ) from error


def prepared(executor: Executor, payload: bytes, measure: bool) -> tuple[Layout, tuple[int, ...] | None]:
    """The layout, as a process of the executor finds it, and if asked for the shape of a chunk."""
    try:
        return executor.submit(_prepared, payload, measure).result()
    except BrokenExecutor as error:
        raise OSError(f"a process of the executor died while it traced the run ({error}): start another") from error
    except RuntimeError as error:
        if "after shutdown" not in str(error):
            raise
        raise ValueError(f"executor is {executor}, which is shut down: give one that is not") from None


def compute_all(
    executor: Executor,
    payload: bytes,
    where: Path | str,
    layout: Layout,
    before: Layout,
    progress: Progress,
) -> None:
    """Computes and writes every chunk of a store that is not done."""
    todo = _store.missing(where, layout)
    progress.save(progress.total - sum(map(layout.runs, todo)), computed=False)
    waiting: list[Any] = []
    try:
        waiting += [executor.submit(_compute, payload, where, layout, before, index) for index in todo]
        while waiting:
            for future in [future for future in waiting if future.done()]:
                waiting.remove(future)
                progress.save(future.result(), computed=False)
            time.sleep(POLL_SECONDS)
    except BrokenExecutor as error:
        raise OSError(f"a process of the executor died ({error})") from error
    finally:
        for future in waiting:
            future.cancel()


def _prepared(payload: bytes, measure: bool) -> tuple[Layout, tuple[int, ...] | None]:
    x64, layout, programs = _traced(payload, _programs.settings())
    with jax.enable_x64(x64):
        return layout, _chunks.preferred_block(layout, programs)[0] if measure else None


def _compute(payload: bytes, where: Path | str, layout: Layout, before: Layout, index: tuple[int, ...]) -> int:
    """Computes and writes one chunk; returns its number of runs."""
    x64, own, programs = _traced(payload, _programs.settings())
    if found := list(_layout.other_identity(layout, own)):
        raise ValueError(f"a process of the executor would compute other bits than {where} has: {'; '.join(found)}")
    with jax.enable_x64(x64):
        known = _chunks.known_part(_store.open_arrays(where, layout), before, index)
        values = _chunks.computed(layout, programs, layout.place(index), lambda _: None, known)
    _store.write(where, layout, index, values)
    return layout.runs(index)


@functools.lru_cache(maxsize=4)
def _traced(payload: bytes, _settings: str) -> tuple[bool, Layout, dict[str, Program]]:
    """Whether a task is in 64 bits, its layout and its programs, as this process traces it."""
    every_core, fused, x64, precision, sources, task = pickle.loads(payload)
    if every_core:
        with contextlib.suppress(RuntimeError):  # JAX is running already; if other flags matter, the store tells
            cpu.use_every_core(fused=fused)
    with jax.enable_x64(x64), jax.default_matmul_precision(precision):
        layout, programs = _checks.layout_of(pickle.loads(task))
        if [_programs.source_of(program.jaxpr) for program in programs.values()] != sources:
            raise ValueError(
                "the run is another program in a process of the executor: it reads variables that have other values "
                "there, so give them to it as arguments, by functools.partial"
            )
        return x64, layout, programs
