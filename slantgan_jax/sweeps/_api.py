"""The sweep itself: a run over the grid of all axes, chunk by chunk, into a store or into memory.

A run is a pure function of named scalars, and of a key, that returns a flat mapping of names to arrays. `LANES` runs
are computed at a time on each device. A *chunk* of the store holds many runs, and memory never holds the whole sweep.
See docs/sweeps.md, and docs/guarantees.md for the reason of the fixed number of lanes.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
import zarr
from tqdm import tqdm

from slantgan_jax.sweeps import _checks, _evaluate, _store
from slantgan_jax.sweeps._evaluate import RunFn


def sweep(
    run: RunFn,
    axes: Mapping[str, Any],
    *,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
    store: Path | str | None = None,
    chunk_size: int | None = None,
) -> xr.Dataset:
    """Evaluates `run` on the grid of all `axes`: see docs/sweeps.md.

    Args:
      run: what to evaluate. Its parameters are the axes, by name; parameters with a default need no axis. On several
        CPU devices it must not call LAPACK: see docs/sweeps.md#what-a-run-may-contain.
      axes: names to 1-d values; their order is the order of the dimensions. A run that takes `key` gets
        `jax.random.key(seed)` from an axis `seed` of whole numbers in [0, 2³²). Other numbers are traced, floats in the
        precision of the trace.
      dims: for each variable that is not a scalar, the names of its own dimensions.
      coords: coordinates along the run's own dimensions.
      attrs: attributes (`units`, `long_name`, ...) of coordinates and variables, by name.
      store: the path of a Zarr store that receives the results as they are computed. The same call continues a sweep
        that was interrupted. By default results stay in memory.
      chunk_size: the largest number of runs in a chunk of the store. Memory holds the results of one chunk.

    Returns:
      A dataset with one dimension for each axis, then the run's own. With a store, variables are read when they are
      used. Attributes record what made it. Under `jax.distributed` each process returns when the whole sweep is done.

    Raises:
      ValueError: an axis that the run does not take, that is empty, or that has duplicates or anything but numbers; a
        parameter without an axis; a run that does not return a flat mapping of arrays, or that closes over a tracer;
        dimensions without names; a `chunk_size` below 1; more processes than chunks; a `store` that another sweep made,
        which is left as it was.
      OSError: the store cannot be written; finished chunks stay valid.
      KeyboardInterrupt: its message says how to continue.
    """
    if not axes:
        raise ValueError("axes is empty: give at least one axis")
    values = {name: _checks.axis_values(run, name, axis) for name, axis in axes.items()}
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}: a chunk holds at least one run")
    path = None if store is None else Path(store)
    if path is None and jax.process_count() > 1:
        raise ValueError(f"{jax.process_count()} processes can share a sweep only through a store: name one")
    layout = _checks.layout_of(run, values, dims or {}, coords or {}, attrs or {}, chunk_size)
    if path is not None and path.exists():
        group = _matching(path, layout)
        layout = layout._replace(block=_store.block(group))  # the store's, whatever chunk_size is now
        chunks = _chunks(layout, values)
    else:
        chunks = _chunks(layout, values)
        if (group := _store.create(path, layout)) is None:
            group = _matching(path, layout)  # another process was faster
    _compute(run, values, layout, chunks, group, path)
    return _store.dataset(group)


def load(store: Path | str) -> xr.Dataset:
    """The finished sweep in a store, with every chunk checked.

    Raises:
      ValueError: there is no store, or chunks are missing or damaged.
    """
    group = _store.open_group(Path(store))
    if damaged := _store.damaged_coordinates(group):
        raise ValueError(
            f"{store} has damaged coordinates ({', '.join(damaged)}): run the sweep again, which mends them"
        )
    if missing := _store.missing(group):
        raise ValueError(f"{store} is not finished: {len(missing)} chunks are missing or damaged, run the sweep again")
    return _store.dataset(group)


def _chunks(layout: _store.Layout, values: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The index of every chunk in the grid of chunks."""
    counts = [math.ceil(value.size / length) for value, length in zip(values.values(), layout.block, strict=True)]
    chunks = list(itertools.product(*map(range, counts)))
    if jax.process_count() > len(chunks):
        raise ValueError(
            f"{jax.process_count()} processes are more than the {len(chunks)} chunks of this sweep: "
            f"start fewer, or make chunks smaller with a chunk_size below {math.prod(layout.block)}"
        )
    return chunks


def _matching(path: Path | None, layout: _store.Layout) -> zarr.Group:
    assert path is not None
    group = _store.open_group(path)
    if found := list(_store.differences(group, layout)):
        raise ValueError(f"{path} was made by another sweep ({'; '.join(found)}): it is left as it was, name another")
    _store.mend_coordinates(group, layout)
    return group


def _order(chunks: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """All chunks, this process's share first; then, from the far end, what the others may have left."""
    mine, of = jax.process_index(), jax.process_count()
    yield from chunks[mine::of]
    yield from (chunk for i, chunk in reversed(list(enumerate(chunks))) if i % of != mine)


def _compute(
    run: RunFn,
    values: Mapping[str, np.ndarray],
    layout: _store.Layout,
    chunks: list[tuple[int, ...]],
    group: zarr.Group,
    path: Path | None,
) -> None:
    """Computes and writes every chunk that is not done."""
    devices = tuple(jax.local_devices())
    batch, arguments = _evaluate.batch(run, tuple(values), devices), _evaluate.traced_arguments(values)
    width, names, done = _evaluate.lanes() * len(devices), list(layout.variables), 0
    with tqdm(total=math.prod(value.size for value in arguments), unit=" runs", unit_scale=True, disable=None) as bar:
        try:
            for chunk in _order(chunks):
                place = _place(chunk, arguments, layout.block)
                if path is None or not _store.is_done(group, names, chunk):
                    _store.write(group, place, _evaluate.evaluate(batch, arguments, place, width))
                done += 1
                bar.update(math.prod(part.stop - part.start for part in place))
        except KeyboardInterrupt:
            how = f"call it again with the same arguments to go on from {path}" if path else "it had no store"
            raise KeyboardInterrupt(f"stopped with {done} of {len(chunks)} chunks done: {how}") from None
        except OSError as error:
            what = f"{path} cannot be written ({error.strerror or error}); {done} of {len(chunks)} chunks are done"
            raise OSError(f"{what}: mend that and call it again with the same arguments to go on") from error


def _place(chunk: tuple[int, ...], values: Sequence[np.ndarray], block: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a chunk is on the grid of runs."""
    starts = [i * length for i, length in zip(chunk, block, strict=True)]
    stops = [min(start + length, value.size) for start, length, value in zip(starts, block, values, strict=True)]
    return tuple(map(slice, starts, stops))
