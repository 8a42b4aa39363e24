"""What a sweep refuses before any work is done, and the description of what it is going to compute."""

import functools
import hashlib
import inspect
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.core import Tracer

from slantgan_jax import provenance
from slantgan_jax.sweeps import _evaluate, _store
from slantgan_jax.sweeps._evaluate import RunFn

CHUNK_BYTES = 2**28
CHUNK_IN_LANES = 64
"""A chunk has by default so many times `LANES` runs; fewer if its results would take more than `CHUNK_BYTES`, or if
several processes would not have four chunks each."""


def axis_values(run: RunFn, name: str, axis: Any) -> np.ndarray:
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


def layout_of(
    run: RunFn,
    values: Mapping[str, np.ndarray],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Mapping[str, Any]],
    chunk_size: int | None,
) -> _store.Layout:
    """Traces one run, for the shapes and the identity of what is to be computed."""
    scalars = [jax.ShapeDtypeStruct((), value.dtype) for value in _evaluate.traced_arguments(values)]
    tracer = "the run closes over a tracer: call sweep outside of jit, vmap and grad, on a run of plain numbers"
    try:
        traced = _evaluate.one(run, tuple(values)).trace(*scalars)
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
        variables[name] = _store.Variable((*values, *own), (*sizes, *out.shape), out.dtype, attrs.get(name, {}))
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
    if chunk_size is None:
        bytes_of_run = sum(out.size * out.dtype.itemsize for out in traced.out_info.values())
        chunk_size = max(1, min(CHUNK_IN_LANES * _evaluate.lanes(), CHUNK_BYTES // max(1, bytes_of_run)))
        if (processes := jax.process_count()) > 1:
            chunk_size = min(chunk_size, math.ceil(math.prod(sizes) / (4 * processes)))
    return _store.Layout(coordinates, variables, _block(sizes, chunk_size))


def _check_labels(coordinates: xr.Dataset, variables: Mapping[str, _store.Variable]) -> None:
    """Builds the labeled result from zeros that take no memory: what cannot be labeled raises a `ValueError`."""
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


def _closed_over(run: RunFn) -> list[Any]:
    if isinstance(run, functools.partial):
        return [run.args, run.keywords, _closed_over(run.func)]
    return list(inspect.getclosurevars(run).nonlocals.values()) if inspect.isfunction(run) else []


def _described(run: RunFn) -> str:
    """The name of a run, and what `functools.partial` fixed of it."""
    if not isinstance(run, functools.partial):
        return getattr(run, "__qualname__", type(run).__name__)
    fixed = [*map(repr, run.args), *(f"{key}={value!r}" for key, value in run.keywords.items())]
    return f"{_described(run.func)}({', '.join(text if len(text) <= 40 else text[:37] + '...' for text in fixed)})"


def _block(sizes: Sequence[int], chunk_size: int) -> tuple[int, ...]:
    """The shape of a chunk of at most `chunk_size` runs that covers a grid of `sizes` in the fewest chunks."""
    # Only lengths that cut an axis into another number of pieces matter.
    lengths = [np.unique(-(-size // np.arange(1, size + 1)))[::-1].tolist() for size in sizes[:-1]]
    best: tuple[float, tuple[int, ...]] = (math.inf, ())
    for head in itertools.product(*lengths):
        if (room := chunk_size // math.prod(head)) >= 1:
            shape = (*head, min(sizes[-1], room))
            count = math.prod(math.ceil(size / length) for size, length in zip(sizes, shape, strict=True))
            best = min(best, (count, shape))
    return best[1]
