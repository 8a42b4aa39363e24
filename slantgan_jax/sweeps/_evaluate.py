"""How a run is traced, mapped over lanes and sharded over devices, so that its bits are those of one lane alone."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

RunFn = Callable[..., Mapping[str, Any]]
"""A pure function of named scalars, and of a `key` if there is an axis of seeds, to a flat mapping of arrays."""

LANES = {"cpu": 1024}
LANES_OF_ACCELERATORS = 131072
"""Runs at a time on one device. On a CPU they are few, so that their parameters stay in the cache of a core."""


def _calling(run: RunFn, names: tuple[str, ...]) -> Callable[..., dict[str, jax.Array]]:
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


def traced_arguments(values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The values as they are traced: floats in the default precision, whole numbers in 32 bits."""
    kinds = {"f": jnp.result_type(float), "i": np.int32, "u": np.int32, "b": np.bool_}
    with np.errstate(over="ignore"):  # what is too large for the precision is infinite
        return [v.astype(np.uint32 if name == "seed" else kinds[v.dtype.kind]) for name, v in values.items()]


@functools.lru_cache(maxsize=32)
def one(run: RunFn, names: tuple[str, ...]) -> Any:
    """`run` as a jitted function of one positional number for each axis.

    Cached with what is compiled for it; so, as under `jax.jit`, a global that a run reads is read once.
    """
    return jax.jit(_calling(run, names))


@functools.lru_cache(maxsize=32)
def batch(run: RunFn, names: tuple[str, ...], devices: tuple[Any, ...]) -> Any:
    """`one` for `LANES` runs on each of the devices."""
    mesh = jax.make_mesh((len(devices),), ("runs",), axis_types=(AxisType.Auto,), devices=devices)
    spec = PartitionSpec("runs")
    # The check of what varies would refuse a run with a loop that starts at a constant, and here all results vary.
    sharded = jax.shard_map(jax.vmap(one(run, names)), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.jit(sharded, in_shardings=NamedSharding(mesh, spec))


def evaluate(
    run_batch: Callable[..., Any], values: list[np.ndarray], place: tuple[slice, ...], width: int
) -> dict[str, np.ndarray]:
    """The results of a place on the grid, computed `width` runs at a time, the last ones padded."""
    grids = np.meshgrid(*(value[part] for value, part in zip(values, place, strict=True)), indexing="ij")
    shape, count = grids[0].shape, grids[0].size
    padded = [np.pad(grid.ravel(), (0, -count % width), mode="edge") for grid in grids]
    batches = [run_batch(*(run[first : first + width] for run in padded)) for first in range(0, count, width)]
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *batches)
    return {name: value.reshape(shape + value.shape[1:]) for name, value in joined.items()}


def lanes() -> int:
    return LANES.get(jax.default_backend(), LANES_OF_ACCELERATORS)
