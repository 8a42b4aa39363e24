"""The sweep itself: a run over the grid of all axes, chunk by chunk, into a store or into memory.

A run is a pure function of named scalars, and of a key, that returns a flat mapping of names to arrays. A *chunk* of
the store holds many runs, and memory never holds the whole sweep. See docs/sweeps.md.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from slantgan_jax.checks import check_count, shown
from slantgan_jax.sweeps import _checks, _chunks, _executors, _files, _store
from slantgan_jax.sweeps._chunks import Progress
from slantgan_jax.sweeps._layout import Layout
from slantgan_jax.sweeps._programs import Program
from slantgan_jax.sweeps._tracing import RunFn


def sweep(
    run: RunFn,
    axes: Mapping[str, Any],
    *,
    static: Sequence[str] = (),
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
    store: Path | str | None = None,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> xr.Dataset:
    """Evaluates `run` on the grid of all `axes`: see docs/sweeps.md.

    Args:
      run: what to evaluate. Its parameters are the axes, by name; parameters with a default need no axis. It must not
        call back into Python.
      axes: names to 1-d values; their order is the order of the dimensions. A run that takes `key` gets
        `jax.random.key(seed, impl="threefry2x32")` from an axis `seed` of whole numbers in [0, 2³²). Other numbers are
        traced, floats in the precision of the trace. The values of an axis of texts are passed as they are.
      static: names of further axes whose values are passed as they are, for numbers that decide shapes or counts. Each
        combination of the values of static axes is a program of its own.
      dims: for each variable that is not a scalar, the names of its own dimensions.
      coords: coordinates along the run's own dimensions.
      attrs: attributes (`units`, `long_name`, ...) of coordinates and variables, by name.
      store: where a Zarr store receives the results as they are computed: a path, or a URL that fsspec knows. The same
        call continues a sweep that was interrupted, and one with more values of some axes computes only new runs. By
        default results stay in memory.
      chunk_size: the largest number of runs in a chunk of the store; by default a chunk takes about 20 seconds.
      executor: computes the chunks, in other processes or on other machines; it needs a store that all of them reach.
        See docs/sweeps.md#several-machines.

    Returns:
      A dataset with one dimension for each axis, then the run's own. With a store, variables are read when they are
      used. Attributes record what made it.

    Raises:
      ValueError: an axis that the run does not take, that is empty, or that has duplicates or anything but numbers and
        texts; a parameter without an axis; a run that does not return a flat mapping of arrays, that closes over a
        tracer or calls back into Python; names that cannot be kept, or that name nothing; dimensions without names; a
        `chunk_size` below 1; an executor without a store, or whose processes differ from that which made the store; a
        `store` that another sweep made, which is left as it was, or where none can be.
      OSError: the store cannot be written any more, or the executor failed: a process died, its scheduler went away, or
        it gave up a chunk. Finished chunks stay valid. Later, a chunk was removed that is read.
      KeyboardInterrupt: its message says how to continue, once the first batch has begun.
    """
    task = _checks.task(run, axes, static, dims or {}, coords or {}, attrs or {})
    if chunk_size is not None:
        chunk_size = check_count("chunk_size", chunk_size)
    if executor is not None and (isinstance(executor, type) or not hasattr(executor, "submit")):
        raise ValueError(f"executor is {shown(executor)}: give one with the interface of concurrent.futures.Executor")
    _executors.check_no_forks(executor)
    if executor is not None and str(store).startswith("memory:"):
        raise ValueError(f"store is {shown(store)}, which the executor's processes do not see: name another")
    if store is None:
        if executor is not None:
            raise ValueError("an executor can share a sweep only through a store: name one")
        return _in_memory(*_checks.layout_of(task))
    where = _files.located(store)
    is_new = not _files.exists(where)
    measured = is_new and chunk_size is None
    with _files.room(where) if is_new else contextlib.nullcontext():
        if executor is not None:
            payload = _executors.packed(task)
            layout, block = _executors.prepared(executor, payload, measured)
            worker = functools.partial(_executors.compute_all, executor, payload)
        else:
            layout, programs = _checks.layout_of(task)
            block, first = _chunks.preferred_block(layout, programs) if measured else (None, None)
            worker = functools.partial(_chunks.compute_all, programs, first)
        if is_new:
            try:
                _store.create(where, layout._replace(block=block or _checks.block_of(layout, chunk_size or 1)))
            except OSError as error:
                what = f"{where} cannot be made ({error.strerror or error})"
                raise OSError(f"{what}: name another, or make room") from error
    return _completed(where, layout, worker)


def load(store: Path | str) -> xr.Dataset:
    """The finished sweep in a store, with every chunk checked.

    Raises:
      ValueError: there is no store, or something of it is missing or damaged.
      OSError: it cannot be read.
    """
    where = _files.located(store)
    layout = _store.opened(where)
    if missing := _store.missing(where, layout):
        raise ValueError(f"{where} is not finished: {len(missing)} chunks are missing or damaged, run the sweep again")
    return _store.dataset(where, layout)


def _completed(where: Path | str, layout: Layout, worker: Callable[..., None]) -> xr.Dataset:
    """The sweep of `layout` from its store, after the `worker` has computed what was missing there.

    If another call changes what the store is to hold, this one starts again from what is there then.
    """
    while True:
        with contextlib.suppress(_store.Changed):
            try:
                stored, before = _store.matching(where, layout)
            except OSError as error:
                again = "finished chunks stay, mend that and call it again with the same arguments"
                raise OSError(f"{_what_failed(where, error)}: {again}") from error
            with _store.in_use(where), _progress(stored, where) as progress:
                worker(where, stored, before, progress)
            ds = _store.dataset(where, stored)
            break
    places = {name: _places(stored.labels[name], layout.labels[name]) for name in layout.axes}
    moved = {name: place for name, place in places.items() if not np.array_equal(place, np.arange(len(place)))}
    return ds.isel(moved) if moved else ds


def _in_memory(layout: Layout, programs: Mapping[str, Program]) -> xr.Dataset:
    """The sweep without a store."""
    try:
        results = {name: np.empty(variable.shape, variable.dtype) for name, variable in layout.variables.items()}
    except MemoryError as error:
        raise ValueError(
            f"the axes have {math.prod(layout.shape)} runs ({error}): give a store, or fewer values"
        ) from None
    layout = layout._replace(block=_checks.block_of(layout, math.prod(layout.shape)))
    with _progress(layout, None) as progress:
        for index in layout.chunks():
            place = layout.place(index)
            for name, values in _chunks.computed(layout, programs, place, progress.bar.update).items():
                results[name][place] = values
    return xr.Dataset(
        {name: (variable.dims, results[name], variable.attrs) for name, variable in layout.variables.items()},
        {name: (name, values, layout.attrs.get(name, {})) for name, values in layout.labels.items()},
        layout.about,
    )


@contextlib.contextmanager
def _progress(layout: Layout, where: Path | str | None) -> Iterator[Progress]:
    """A progress bar of runs; what ends the work early says how to go on."""
    again = f"call it again with the same arguments to go on from {where}" if where else "it had no store"
    progress = Progress(math.prod(layout.shape))
    with progress.bar:
        try:
            yield progress
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped with {progress.saved} of {progress.total} runs saved: {again}") from None
        except OSError as error:
            saved = f"{progress.saved} of {progress.total} runs are saved"
            raise OSError(f"{_what_failed(where, error)}; {saved}: mend that and {again}") from error


def _what_failed(where: Path | str | None, error: OSError) -> str:
    if isinstance(error, _executors.EngineError):
        return f"{where} is not finished ({error})"
    place = f": {error.filename}" if error.filename else ""
    return f"{where} cannot be written ({error.strerror or error}{place})"


def _places(stored: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Where each of the labels that were asked for is among those of the store, which are the same in some order."""
    by_label = np.argsort(stored)
    return by_label[np.searchsorted(stored[by_label], asked)]
