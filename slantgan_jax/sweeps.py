"""Any pure run over any axes: labelled, stored, resumable, on every core and device and host.

A run is a pure function of named scalars (and of a key) that returns a flat mapping of names to arrays:

    def final_gap(key, learning_rate):
        rule = rules.tutorial(Players(optax.sgd(learning_rate), optax.sgd(learning_rate)))
        players = train(key, game, rule, steps=5000).players
        return {"mean_gap": distances.mean_gap(players.generator, images)}

    sweep(final_gap, {"seed": range(1000), "learning_rate": [0.001, 0.01, 0.1]})

Three sizes, each for its own reason:

- `LANES` runs at a time on each device, always exactly so many (the last are padded): the compiled program is
  the same whatever the sweep, the tile, the number of devices or of processes, and so are its bits.
- a *tile* of runs is a chunk of the store: what is written, checked, lost or handed to a process at once.
- the whole sweep, of any size: memory never holds it.
"""

import functools
import hashlib
import inspect
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
import zarr
from jax.core import Tracer
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tqdm import tqdm

from slantgan_jax import provenance, stores

Run = Callable[..., Mapping[str, Any]]
"""A pure function of named scalars, and of a `key` where there is an axis of seeds, to a flat mapping of arrays."""

LANES = {"cpu": 1024}
LANES_OF_ACCELERATORS = 131072
"""Runs at a time on one device. On a CPU so few that their parameters stay in the cache of a core."""

TILE_BYTES = 2**28
TILE_IN_LANES = 64
"""The default tile is so many `LANES`; less where its results would take more than `TILE_BYTES`, or where several
processes would not have four chunks each."""


def sweep(
    run: Run,
    axes: Mapping[str, Any],
    *,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
    store: Path | str | None = None,
    tile: int | None = None,
) -> xr.Dataset:
    """Evaluates `run` on the grid of all `axes`.

    Args:
      run: what to evaluate. Its parameters are the axes, by name; parameters with a default need no axis.
      axes: ordered, names to 1-d values. An axis `seed` of whole numbers in [0, 2³²) gives a run that takes `key` the
        key `jax.random.key(seed)`. Other numbers are traced, floats in the precision of the trace.
      dims: for each variable that is not a scalar the names of its own dimensions.
      coords: coordinates along the run's own dimensions.
      attrs: attributes (`units`, `long_name`, ...) of coordinates and variables.
      store: the path of a Zarr store, to hold the results as they are computed. A sweep that was interrupted goes on
        where it stopped when it is called again; damaged chunks are computed again. By default results stay in memory.
      tile: how many runs a chunk of the store has at most. With a store, memory holds the results of one tile.

    Returns:
      A dataset with one dimension an axis, then the run's own. With a store, its variables are read when they are used.
      Attributes record the versions, the source revision, the run, its program's hash, the platform and the time.
      Under `jax.distributed` all processes share the work of one store, and each returns when all of it is done.

    A run may not call LAPACK (`jnp.linalg.solve`, `svd` and their kin) on several CPU devices: the library's batched
    calls wait for the threads that they run on, and stand still for ever (`analysis.dense` says why, and does without).
    Everything in `analysis` that measures players may be a metric of a run. Of gaps and distances it says its cost.

    Raises:
      ValueError: an axis that the run does not take, is empty, has duplicates or no numbers; a parameter without an
        axis; a run that returns no flat mapping of arrays or closes over a tracer; dimensions without names; a `tile`
        below 1; more processes than chunks; a `store` that something else made, which is left as it was.
      OSError: the store cannot be written; what was done stays valid.
      KeyboardInterrupt: with a message that says how to go on.
    """
    if not axes:
        raise ValueError("axes is empty: give at least one axis")
    values = {name: _axis_values(run, name, axis) for name, axis in axes.items()}
    if tile is not None and tile < 1:
        raise ValueError(f"tile is {tile}: a chunk holds at least one run")
    path = None if store is None else Path(store)
    if path is None and jax.process_count() > 1:
        raise ValueError(f"{jax.process_count()} processes can share a sweep only through a store: name one")
    layout = _layout(run, values, dims or {}, coords or {}, attrs or {}, tile)
    if path is not None and path.exists():
        group = _matching(path, layout)
        layout = layout._replace(block=stores.block(group))  # the store's, whatever the tile is now
        chunks = _chunks(layout, values)
    else:
        chunks = _chunks(layout, values)
        if (group := stores.create(path, layout)) is None:
            group = _matching(path, layout)  # another process was faster
    _compute(run, values, layout, chunks, group, path)
    return stores.dataset(group)


def load(store: Path | str) -> xr.Dataset:
    """The finished sweep in a store, with every chunk checked.

    Raises:
      ValueError: there is no store, or chunks are missing or damaged.
    """
    group = stores.open_group(Path(store))
    if damaged := stores.damaged_coordinates(group):
        raise ValueError(
            f"{store} has damaged coordinates ({', '.join(damaged)}): run the sweep again, which mends them"
        )
    if missing := stores.missing(group):
        raise ValueError(f"{store} is not finished: {len(missing)} chunks are missing or damaged, run the sweep again")
    return stores.dataset(group)


def _axis_values(run: Run, name: str, axis: Any) -> np.ndarray:
    """The checked values of one axis, as they label the result."""
    parameters = inspect.signature(run).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    seeds = name == "seed" and "key" in parameters and "seed" not in parameters
    if not (seeds or takes_any or name in parameters):
        raise ValueError(f"the run takes no {name!r}: its parameters are {', '.join(parameters)}")
    values = np.asarray(axis)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"axis {name!r} has shape {values.shape}: give a list of at least one value")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"axis {name!r} has values of type {values.dtype}: give numbers")
    unique, counts = np.unique(values, return_counts=True)
    if np.any(counts > 1):
        raise ValueError(f"axis {name!r} has {unique[counts > 1][0]} more than once: give every value once")
    if name == "seed" and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= 2**32):
        raise ValueError(f"axis 'seed' goes from {values.min()} to {values.max()}: give whole numbers in [0, 2**32)")
    if name != "seed" and values.dtype.kind in "iu" and (values.min() < -(2**31) or values.max() >= 2**31):
        raise ValueError(f"axis {name!r} goes from {values.min()} to {values.max()}: whole numbers must fit 32 bits")
    return values


def _calling(run: Run, names: tuple[str, ...]) -> Callable[..., dict[str, jax.Array]]:
    """`run` as a function of one positional number for each axis, with its result checked."""
    parameters = inspect.signature(run).parameters.values()
    needed = {p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    makes_key = "seed" in names and "seed" not in needed and "key" in {p.name for p in parameters}
    if missing := needed - set(names) - ({"key"} if makes_key else set()):
        raise ValueError(
            f"the run needs {', '.join(sorted(missing))}: give each an axis ('seed' for a key), or a default"
        )

    def call(*numbers: jax.Array) -> dict[str, jax.Array]:
        arguments: dict[str, Any] = dict(zip(names, numbers, strict=True))
        if makes_key:
            arguments["key"] = jax.random.key(arguments.pop("seed"))
        result = run(**arguments)
        if not isinstance(result, Mapping) or not all(isinstance(name, str) for name in result):
            raise ValueError(f"the run returns a {type(result).__name__}: return a flat mapping of names to arrays")
        for name, value in result.items():
            if not isinstance(value, jax.Array | np.ndarray | np.generic):
                raise ValueError(
                    f"the run returns a {type(value).__name__} as {name!r}: return arrays, in a flat mapping"
                )
        return dict(result)

    return call


def _traced_arguments(values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The values as they are traced: floats in the default precision, whole numbers in 32 bits."""
    kinds = {"f": jnp.result_type(float), "i": np.int32, "u": np.int32, "b": np.bool_}
    with np.errstate(over="ignore"):  # what is too large for the precision is infinite
        return [v.astype(np.uint32 if name == "seed" else kinds[v.dtype.kind]) for name, v in values.items()]


def _layout(
    run: Run,
    values: Mapping[str, np.ndarray],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Mapping[str, Any]],
    tile: int | None,
) -> stores.Layout:
    """Traces one run, for the shapes and the identity of what is to be computed."""
    scalars = [jax.ShapeDtypeStruct((), value.dtype) for value in _traced_arguments(values)]
    tracer = "the run closes over a tracer: call sweep outside of jit, vmap and grad, on a run of plain numbers"
    try:
        traced = _one(run, tuple(values)).trace(*scalars)
    except jax.errors.UnexpectedTracerError as error:
        raise ValueError(tracer) from error
    except TypeError as error:
        what = str(error).partition("\n")[0]
        raise ValueError(
            f"the run cannot be traced: shapes and branches must not depend on an axis ({what})"
        ) from error
    under_jit = isinstance(jnp.add(0, 0), Tracer)
    if under_jit or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(_closed_over(run))):
        raise ValueError(tracer)
    program = hashlib.sha256(traced.lower().as_text().encode()).hexdigest()
    sizes = tuple(value.size for value in values.values())
    if both := set(values) & set(coords):
        raise ValueError(f"coords has {', '.join(sorted(both))}, which axes has already: rename one")
    variables = {}
    for name, out in traced.out_info.items():
        own = dims.get(name, ())
        if name in values or name in coords:
            raise ValueError(f"the run returns {name!r}, which is the name of an axis or coordinate: rename one")
        if isinstance(own, str):
            raise ValueError(f"dims of {name!r} is the text {own!r}: give a tuple of names")
        if len(own) != len(out.shape):
            raise ValueError(
                f"{name!r} has shape {out.shape} but dims names {own}: give each of its dimensions a name, "
                f"as in dims={{{name!r}: ('pixel',)}}"
            )
        for dim, size in zip(own, out.shape, strict=True):
            if dim in values or (dim in coords and len(coords[dim]) != size):
                taken = "an axis" if dim in values else f"a coordinate of {len(coords[dim])} values"
                raise ValueError(
                    f"{name!r} has the dimension {dim!r} of size {size}, but {dim!r} is {taken}: rename one"
                )
        variables[name] = stores.Variable((*values, *own), (*sizes, *out.shape), out.dtype, attrs.get(name, {}))
    labels = {name: (name, value, attrs.get(name, {})) for name, value in {**values, **coords}.items()}
    coordinates = xr.Dataset(
        coords=labels,
        attrs={
            "run": _described(run),
            "axes": list(values),
            "program": program,
            "platform": jax.default_backend(),
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "versions": json.dumps(provenance.versions()),
            "revision": provenance.revision() or "unknown",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    _check_labels(coordinates, variables)
    if tile is None:
        bytes_of_run = sum(out.size * out.dtype.itemsize for out in traced.out_info.values())
        tile = max(1, min(TILE_IN_LANES * _lanes(), TILE_BYTES // max(1, bytes_of_run)))
        if (processes := jax.process_count()) > 1:
            tile = min(tile, math.ceil(math.prod(sizes) / (4 * processes)))
    return stores.Layout(coordinates, variables, _block(sizes, tile))


def _check_labels(coordinates: xr.Dataset, variables: Mapping[str, stores.Variable]) -> None:
    """Builds the labelled result from zeros that take no memory: what cannot be labelled raises a `ValueError`."""
    for name, variable in variables.items():
        if getattr(variable.dtype, "kind", "?") not in "biuf" or not name or "/" in name:
            raise ValueError(f"the run returns {name!r} of type {variable.dtype}: return numbers, under plain names")
        if len(set(variable.dims)) < len(variable.dims) or name in {dim for v in variables.values() for dim in v.dims}:
            raise ValueError(f"{name!r} has the dimensions {variable.dims}: give each a name that nothing else has")
    zeros = {name: (v.dims, np.broadcast_to(np.zeros((), v.dtype), v.shape)) for name, v in variables.items()}
    try:
        coordinates.assign(zeros)
    except ValueError as error:
        raise ValueError(f"dims and coords do not fit what the run returns: {error}") from error


def _closed_over(run: Run) -> list[Any]:
    if isinstance(run, functools.partial):
        return [run.args, run.keywords, _closed_over(run.func)]
    return list(inspect.getclosurevars(run).nonlocals.values()) if inspect.isfunction(run) else []


def _described(run: Run) -> str:
    """The name of a run, and what `functools.partial` fixed of it."""
    if not isinstance(run, functools.partial):
        return getattr(run, "__qualname__", type(run).__name__)
    fixed = [*map(repr, run.args), *(f"{key}={value!r}" for key, value in run.keywords.items())]
    return f"{_described(run.func)}({', '.join(text if len(text) <= 40 else text[:37] + '...' for text in fixed)})"


def _block(sizes: Sequence[int], tile: int) -> tuple[int, ...]:
    """The shape of a chunk of at most `tile` runs that covers a grid of `sizes` in the fewest chunks."""
    # Only lengths that cut an axis into another number of pieces matter.
    lengths = [np.unique(-(-size // np.arange(1, size + 1)))[::-1].tolist() for size in sizes[:-1]]
    best: tuple[float, tuple[int, ...]] = (math.inf, ())
    for head in itertools.product(*lengths):
        if (room := tile // math.prod(head)) >= 1:
            shape = (*head, min(sizes[-1], room))
            count = math.prod(math.ceil(size / length) for size, length in zip(sizes, shape, strict=True))
            best = min(best, (count, shape))
    return best[1]


def _chunks(layout: stores.Layout, values: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The index of every chunk in the grid of chunks."""
    counts = [math.ceil(value.size / length) for value, length in zip(values.values(), layout.block, strict=True)]
    chunks = list(itertools.product(*map(range, counts)))
    if jax.process_count() > len(chunks):
        raise ValueError(
            f"{jax.process_count()} processes are more than the {len(chunks)} chunks of this sweep: "
            f"start fewer, or make chunks smaller with a tile below {math.prod(layout.block)}"
        )
    return chunks


def _matching(path: Path | None, layout: stores.Layout) -> zarr.Group:
    assert path is not None
    group = stores.open_group(path)
    if found := list(stores.differences(group, layout)):
        raise ValueError(f"{path} was made by another sweep ({'; '.join(found)}): it is left as it was, name another")
    stores.mend_coordinates(group, layout)
    return group


def _order(chunks: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """All chunks, this process's share first; then, from the far end, what the others may have left."""
    mine, of = jax.process_index(), jax.process_count()
    yield from chunks[mine::of]
    yield from (chunk for i, chunk in reversed(list(enumerate(chunks))) if i % of != mine)


def _compute(
    run: Run,
    values: Mapping[str, np.ndarray],
    layout: stores.Layout,
    chunks: list[tuple[int, ...]],
    group: zarr.Group,
    path: Path | None,
) -> None:
    """Computes and writes every chunk that is not done."""
    devices = tuple(jax.local_devices())
    batch, arguments = _batch(run, tuple(values), devices), _traced_arguments(values)
    width, names, done = _lanes() * len(devices), list(layout.variables), 0
    with tqdm(total=math.prod(value.size for value in arguments), unit=" runs", unit_scale=True, disable=None) as bar:
        try:
            for chunk in _order(chunks):
                place = _place(chunk, arguments, layout.block)
                if path is None or not stores.is_done(group, names, chunk):
                    stores.write(group, place, _evaluate(batch, arguments, place, width))
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


@functools.lru_cache(maxsize=32)
def _one(run: Run, names: tuple[str, ...]) -> Any:
    """`run` as a jitted function of one positional number for each axis.

    Cached with what is compiled for it; so, as under `jax.jit`, a global that a run reads is read once.
    """
    return jax.jit(_calling(run, names))


@functools.lru_cache(maxsize=32)
def _batch(run: Run, names: tuple[str, ...], devices: tuple[Any, ...]) -> Any:
    """`_one` for `LANES` runs on each of the devices."""
    mesh = jax.make_mesh((len(devices),), ("runs",), axis_types=(AxisType.Auto,), devices=devices)
    spec = PartitionSpec("runs")
    # The check of what varies would refuse a run with a loop that starts at a constant, and here all results vary.
    sharded = jax.shard_map(jax.vmap(_one(run, names)), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.jit(sharded, in_shardings=NamedSharding(mesh, spec))


def _evaluate(
    batch: Callable[..., Any], values: list[np.ndarray], place: tuple[slice, ...], width: int
) -> dict[str, np.ndarray]:
    """The results of a place on the grid, computed `width` runs at a time, the last ones padded."""
    grids = np.meshgrid(*(value[part] for value, part in zip(values, place, strict=True)), indexing="ij")
    shape, count = grids[0].shape, grids[0].size
    padded = [np.pad(grid.ravel(), (0, -count % width), mode="edge") for grid in grids]
    batches = [batch(*(run[first : first + width] for run in padded)) for first in range(0, count, width)]
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *batches)
    return {name: value.reshape(shape + value.shape[1:]) for name, value in joined.items()}


def _lanes() -> int:
    return LANES.get(jax.default_backend(), LANES_OF_ACCELERATORS)
