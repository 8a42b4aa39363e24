"""Chunks computed by an executor: by other processes, on this machine or on others.

An executor is whatever has the interface of `concurrent.futures.Executor`: that of dask.distributed, mpi4py or
submitit, or a pool of processes. A process computes a chunk with all of its devices and writes it into the store.
"""

import asyncio
import contextlib
import functools
import os
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from slantgan_jax import cpu
from slantgan_jax.sweeps import _checks, _chunks, _layout, _store, _surroundings, _tracing
from slantgan_jax.sweeps._checks import Task
from slantgan_jax.sweeps._chunks import Progress
from slantgan_jax.sweeps._layout import Layout
from slantgan_jax.sweeps._programs import Program

POLL_SECONDS = 0.05


class EngineError(OSError):
    """The executor itself failed: a process died, its scheduler went away, or it gave up a call."""


def check_no_forks(executor: Executor | None) -> None:
    """Raises `ValueError` for a pool whose processes are forks of this one: JAX stands still in them for ever."""
    context = getattr(executor, "_mp_context", None)
    if isinstance(executor, ProcessPoolExecutor) and context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor is a pool of forks of this process, in which JAX would stand still: give "
            'ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'
        )


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
        return _result(_submitted(executor, _prepared, payload, measure))
    except EngineError as error:
        if "after shutdown" in str(error):
            raise ValueError(f"executor is {executor}, which is shut down: give one that is not") from None
        raise EngineError(f"{error}, while it traced the run: start another") from error


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
        for index in todo:
            waiting.append(_submitted(executor, _compute, payload, where, layout, before, index))
        while waiting:
            for future in [future for future in waiting if future.done()]:
                waiting.remove(future)
                progress.save(_result(future), computed=False)
            time.sleep(POLL_SECONDS)
    finally:
        for future in waiting:
            future.cancel()


def _submitted(executor: Executor, function: Callable[..., Any], *arguments: Any) -> Any:
    """The future of a call. Each has a number of its own, or Dask would answer an equal call from memory."""
    with _engine():
        return executor.submit(_called, uuid.uuid4().hex, function, *arguments)


def _called(_number: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a function returns, or else its error. So the errors that an engine raises are its own.

    An `OSError` is raised all the same, as an engine may try again, and no caller has to know whose it is.
    """
    try:
        return function(*arguments), None
    except OSError:
        raise
    except Exception as error:
        return None, error


def _result(future: Any) -> Any:
    """What a call returned; its error is raised as it was."""
    with _engine():
        value, error = future.result()
    if error is not None:
        raise error
    return value


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    """Errors of the engine are an `EngineError`; Dask ends what it gives up by errors of several kinds."""
    try:
        yield
    except OSError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
        raise EngineError(f"the executor failed ({said})") from error


def _prepared(payload: bytes, measure: bool) -> tuple[Layout, tuple[int, ...] | None]:
    x64, layout, programs = _traced(payload, _surroundings.settings())
    with jax.enable_x64(x64):
        return layout, _chunks.preferred_block(layout, programs)[0] if measure else None


def _compute(payload: bytes, where: Path | str, layout: Layout, before: Layout, index: tuple[int, ...]) -> int:
    """Computes and writes one chunk; returns its number of runs."""
    x64, own, programs = _traced(payload, _surroundings.settings())
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
        if [_tracing.source_of(program.jaxpr) for program in programs.values()] != sources:
            raise ValueError(
                "the run is another program in a process of the executor: it reads variables that have other values "
                "there, so give them to it as arguments, by functools.partial"
            )
        return x64, layout, programs
