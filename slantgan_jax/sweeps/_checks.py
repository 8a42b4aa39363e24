"""What a sweep refuses before any work is done, and the layout of what it is going to compute."""

import functools
import inspect
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from slantgan_jax import provenance
from slantgan_jax.checks import check_kind, shortened, shown
from slantgan_jax.sweeps import _programs, _store, _surroundings, _tracing
from slantgan_jax.sweeps._layout import Layout, Variable
from slantgan_jax.sweeps._programs import Program
from slantgan_jax.sweeps._tracing import RunFn

ENCODING = {
    *("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "_Encoding", "dtype"),
    *("coordinates", "grid_mapping", "_ARRAY_DIMENSIONS"),
}
"""Attributes that would make readers decode numbers that nobody has encoded."""

LONGEST_NAME = 100
"""The most bytes of a name; a folder has this name, and its files longer ones."""

MAX_AXES = 64
"""The most axes of an array of NumPy 2."""


class Task(NamedTuple):
    """A sweep as it was asked for; it travels to the processes that compute it. The fields are those of `sweep`."""

    run: RunFn
    axes: Mapping[str, np.ndarray]
    static: tuple[str, ...]
    dims: Mapping[str, Sequence[str]]
    coords: Mapping[str, Any]
    attrs: Mapping[str, Mapping[str, Any]]


def task(
    run: RunFn,
    axes: Mapping[str, Any],
    static: Sequence[str],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Mapping[str, Any]],
) -> Task:
    """The task, its axes checked. An axis of texts is static."""
    try:
        inspect.signature(run)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"run is {shown(run)} ({shortened(str(error))}): give a function that tells its parameters"
        ) from None
    if not isinstance(axes, Mapping) or not axes:
        raise ValueError(f"axes is {shown(axes)}: give at least one axis, as a mapping of names to values")
    if not isinstance(static, str | Sequence) or not all(isinstance(name, str) for name in static):
        raise ValueError(f"static is {shown(static)}: give the names of axes")
    static = (static,) if isinstance(static, str) else tuple(static)
    if unknown := [name for name in static if name not in axes]:
        raise ValueError(f"static names {unknown[0]!r}, which is no axis: choose from {', '.join(map(repr, axes))}")
    values = {name: _axis_values(run, name, axis, "key" in axes) for name, axis in axes.items()}
    fixed = tuple(name for name in values if name in static or values[name].dtype.kind == "U")
    if "seed" in fixed:
        raise ValueError("the axis 'seed' cannot be static: give another name to seeds that shapes depend on")
    for given, what in ((dims, "dims"), (coords, "coords"), (attrs, "attrs")):
        if not isinstance(given, Mapping):
            raise ValueError(f"{what} is {shown(given)}: give a mapping of names")
    for name, own in attrs.items():
        check_kind(f"attrs of {name!r}", own, Mapping)
    return Task(run, values, fixed, dims, coords, attrs)


def _choices(task: Task) -> dict[str, RunFn]:
    """The run for each combination of the labels of the static axes, by `Layout.choice`."""
    combinations = itertools.product(*(task.axes[name].tolist() for name in task.static))
    return {
        json.dumps(list(labels)): functools.partial(task.run, **dict(zip(task.static, labels, strict=True)))
        if labels else task.run
        for labels in combinations
    }  # fmt: skip


def sources(task: Task) -> list[str]:
    """A digest of each choice, as this process traces it: another process has the same if its variables are."""
    arguments = _arguments(task)
    return [_tracing.source(run, arguments) for run in _choices(task).values()]


def _arguments(task: Task) -> dict[str, np.ndarray]:
    """The values of the axes that are traced. Two that become one would make two cells of one run."""
    traced = _tracing.traced_arguments({name: value for name, value in task.axes.items() if name not in task.static})
    for name, values in traced.items():
        ordered = np.sort(values)
        if np.any(ordered[1:] == ordered[:-1]):
            _, first = np.unique(values, return_index=True)
            same = task.axes[name][np.setdiff1d(np.arange(len(values)), first)[0]]
            raise ValueError(f"axis {name!r} has {same}, which equals another value in {values.dtype}: give others")
    return traced


def layout_of(task: Task) -> tuple[Layout, dict[str, Program]]:
    """Traces one run of each choice, for its shapes and its program. The block of the layout is still empty."""
    arguments = _arguments(task)
    programs = {choice: _programs.trace(run, arguments) for choice, run in _choices(task).items()}
    (first, one), *others = programs.items()
    for choice, other in others:
        if dict(other.outputs) != dict(one.outputs):
            raise ValueError(
                f"the run returns {_outputs(one)} for {first}, but {_outputs(other)} for {choice}: all choices have to "
                "return the same names, shapes and types"
            )
    axes = tuple(task.axes)
    labels = dict(task.axes)
    for name, given in task.coords.items():
        labels[name] = _as_array(f"coords of {name!r}", given)
        if name in axes:
            raise ValueError(f"coords has {name!r}, which axes has already: rename one")
        if labels[name].ndim != 1:
            raise ValueError(f"coords of {name!r} has shape {labels[name].shape}: give a list")
        if labels[name].dtype.kind not in "biufU":
            raise ValueError(f"coords of {name!r} has values of type {labels[name].dtype}: give numbers, or texts")
        if unkept := _unkept(labels[name]):
            raise ValueError(f"coords of {name!r} has {unkept}")
    sizes = tuple(map(len, task.axes.values()))
    variables = {}
    for name, out in one.outputs.items():
        _check_dims(name, out, task, labels)
        shape, own = (*sizes, *out.shape), tuple(task.dims.get(name, ()))
        if len(shape) > MAX_AXES:
            raise ValueError(
                f"{name!r} would have {len(shape)} axes, but NumPy's arrays {MAX_AXES} at most: give fewer"
            )
        variables[name] = Variable((*axes, *own), shape, np.dtype(out.dtype), dict(task.attrs.get(name, {})))
    used = {dim for variable in variables.values() for dim in variable.dims}
    _check_names(task, variables, used)
    multiplies = any(program.multiplies for program in programs.values())
    calls_lapack = any(program.calls_lapack for program in programs.values())
    about = {
        "run": _described(task.run),
        "axes": ", ".join(axes),
        "program": next(iter(programs.values())).digest if not task.static else f"{len(programs)} programs",
        **_surroundings.surroundings(multiplies, calls_lapack),
        "revision": provenance.revision() or "unknown",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    attrs = {name: dict(task.attrs[name]) for name in labels if name in task.attrs}
    digests = {choice: program.digest for choice, program in programs.items()}
    layout = Layout(axes, labels, attrs, variables, digests, task.static, (), about)
    _check_labels(layout)
    return layout, programs


def block_of(layout: Layout, chunk_size: int) -> tuple[int, ...]:
    """The shape of a chunk of at most `chunk_size` runs of one choice that covers the grid in the fewest chunks."""
    static = [name in layout.static for name in layout.axes]
    best: tuple[float, tuple[int, ...]] = (math.inf, ())
    # Only lengths that cut an axis into another number of pieces matter; the last axis takes what room is left.
    lengths = [[1] if fixed else _lengths(size) for fixed, size in zip(static[:-1], layout.shape, strict=False)]
    for head in itertools.product(*lengths):
        if (room := chunk_size // math.prod(head)) >= 1:
            shape = (*head, 1 if static[-1] else min(layout.shape[-1], room))
            count = math.prod(math.ceil(size / length) for size, length in zip(layout.shape, shape, strict=True))
            best = min(best, (count, shape))
    return best[1]


def _lengths(size: int) -> list[int]:
    """⌈size / k⌉ for all counts k of pieces, the largest first; each length once."""
    few = np.arange(1, math.isqrt(size) + 2)  # pieces, or numbers in a piece: one of the two is small
    long, pieces = -(-size // few), -(-size // few)
    return np.unique([*long, *few[-(-size // pieces) == few]])[::-1].tolist()


def roomy(block: tuple[int, ...], layout: Layout, runs: int) -> tuple[int, ...]:
    """A block that is lengthened to `runs` runs along the axis of seeds, or the last one, if it holds all of that axis.

    So many are computed at a time anyway, and a store that begins with few seeds grows by whole chunks.
    """
    growing = [i for i, name in enumerate(layout.axes) if name not in layout.static]
    if not growing:
        return block
    axis = layout.axes.index("seed") if "seed" in layout.axes and "seed" not in layout.static else growing[-1]
    length = block[axis]
    if length >= layout.shape[axis]:
        length = max(length, runs // (math.prod(block) // length))
    return (*block[:axis], length, *block[axis + 1 :])


def _axis_values(run: RunFn, name: str, axis: Any, has_key: bool) -> np.ndarray:
    """The checked values of one axis, as they label the result. Seeds make the run's key if no axis is its key."""
    parameters = inspect.signature(run).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    seeds = name == "seed" and "key" in parameters
    if not ((seeds and not has_key) or takes_any or name in parameters):
        known = f"choose from {', '.join(map(repr, parameters))}" if parameters else "give it parameters"
        why = ", as the axis 'key' is its key" if seeds else ""
        raise ValueError(f"the run takes no {name!r}{why}: {known}")
    values = _as_array(f"axis {name!r}", axis)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"axis {name!r} has shape {values.shape}: give a list of at least one value")
    if values.dtype.kind not in "biufU":
        raise ValueError(f"axis {name!r} has values of type {values.dtype}: give numbers, or texts")
    if unkept := _unkept(values):
        raise ValueError(f"axis {name!r} has {unkept}")
    unique, counts = np.unique(values, return_counts=True)
    if np.any(counts > 1):
        raise ValueError(f"axis {name!r} has {unique[counts > 1][0]} more than once: give every value once")
    if name == "seed" and (values.dtype.kind not in "iu" or unique[0] < 0 or unique[-1] >= 2**32):
        raise ValueError(f"axis 'seed' goes from {unique[0]} to {unique[-1]}: give whole numbers in [0, 2**32)")
    if name != "seed" and values.dtype.kind in "iu" and (unique[0] < -(2**31) or unique[-1] >= 2**31):
        raise ValueError(f"axis {name!r} goes from {unique[0]} to {unique[-1]}: give whole numbers that fit 32 bits")
    return values


def _unkept(labels: np.ndarray) -> str:
    """What no store can keep of labels, in words."""
    if labels.dtype.kind != "U":
        return f"numbers of type {labels.dtype}: give some of at most 64 bits" if labels.dtype.itemsize > 8 else ""
    try:
        "".join(labels.tolist()).encode()
    except UnicodeEncodeError as error:
        return f"the text {error.object[error.start : error.end]!r}, which is half a character: give whole ones"
    return ""


def _as_array(what: str, values: Any) -> np.ndarray:
    """The values as an array in this machine's order of bytes, as digests have it. Texts of every kind are of one."""
    try:
        array = np.asarray(values)
        things = np.asarray(values, object) if array.dtype.kind in "UTO" else np.array([])
    except (ValueError, TypeError, MemoryError) as error:
        why = shortened(str(error)) or "there is not enough memory"
        raise ValueError(f"{what} is {shown(values)}, and no list of values ({why}): give numbers, or texts") from None
    if np.ma.is_masked(values):
        raise ValueError(f"{what} has masked values, which a store does not keep: give the others alone")
    texts = [thing for thing in things.flat if isinstance(thing, str)]
    if any(text.endswith("\0") for text in texts):
        raise ValueError(f"{what} has a text that ends with the letter NUL, which arrays drop: give another")
    if texts and len(texts) < things.size:
        raise ValueError(f"{what} has both texts and other things: give numbers, or texts")
    if texts:
        return things.astype(str)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_dims(name: str, out: Any, task: Task, labels: Mapping[str, np.ndarray]) -> None:
    own = task.dims.get(name, ())
    if name in labels:
        raise ValueError(f"the run returns {name!r}, which is the name of an axis or coordinate: rename one")
    if getattr(out.dtype, "kind", "?") not in "biuf":
        raise ValueError(f"the run returns {name!r} of type {out.dtype}: return real numbers of a type of NumPy's")
    if isinstance(own, str) or not isinstance(own, Sequence):
        raise ValueError(f"dims of {name!r} is {shown(own)}: give a tuple of names")
    if len(own) != len(out.shape):
        raise ValueError(
            f"{name!r} has shape {out.shape} but dims names {tuple(own)}: give each of its dimensions a name, as in "
            f"dims={{{name!r}: ('pixel',)}}"
        )
    for dim, size in zip(own, out.shape, strict=True):
        if dim in task.axes or (dim in labels and len(labels[dim]) != size):
            taken = "an axis" if dim in task.axes else f"a coordinate of {len(labels[dim])} values"
            raise ValueError(f"{name!r} has the dimension {dim!r} of size {size}, but {dim!r} is {taken}: rename one")


def _check_names(task: Task, variables: Mapping[str, Variable], used: set[str]) -> None:
    """Raises `ValueError` for names that no store can keep, or that name nothing."""
    known = {*task.axes, *task.coords, *variables}
    for name in sorted({*known, *used}, key=str):
        if not isinstance(name, str) or not name or not name.isprintable() or {*name} & {*"/\\"} or name[0] in "._":
            raise ValueError(f"the name {name!r} cannot be kept: give one without slashes that begins with a letter")
        if name == "zarr.json" or name.endswith(".partial") or len(name.encode()) > LONGEST_NAME:
            raise ValueError(f"the name {shown(name)} cannot be kept: give one that no file of a store has")
        if name == _store.DIGESTS:
            raise ValueError(f"the name {name!r} is taken by every store: rename it")
    for what, given, allowed in (
        ("dims", task.dims, set(variables)), ("attrs", task.attrs, known), ("coords", task.coords, used),
    ):  # fmt: skip
        if unknown := sorted(set(given) - allowed):
            raise ValueError(f"{what} names {unknown[0]!r}, which is none of {', '.join(sorted(allowed))}: rename it")
    for name, own in task.attrs.items():
        if taken := [key for key in own if key in ENCODING]:
            raise ValueError(f"attrs of {name!r} has {taken[0]!r}, by which readers would change numbers: rename it")
        if "since" in str(own.get("units")):
            what = f"attrs of {name!r} has units of {shown(own['units'])}, which readers take for dates"
            raise ValueError(f"{what}: give others, without 'since'")
        for key, value in own.items():
            numbers = value if isinstance(value, list | tuple) else [value]
            fits = all(isinstance(one, float) or (type(one) is int and abs(one) < 2**31) for one in numbers)
            if not isinstance(key, str) or not (isinstance(value, str) or (fits and all(map(math.isfinite, numbers)))):
                what = f"attrs of {name!r} has {shown(key)}: {shown(value)}, which no netCDF file can keep"
                raise ValueError(f"{what}: give texts, finite numbers of at most 32 bits, or lists of them")


def _check_labels(layout: Layout) -> None:
    """Builds the labeled result from zeros that take no memory: what cannot be labeled raises a `ValueError`."""
    dims = {dim for variable in layout.variables.values() for dim in variable.dims}
    for name, variable in layout.variables.items():
        if len(set(variable.dims)) < len(variable.dims) or name in dims:
            raise ValueError(f"{name!r} has the dimensions {variable.dims}: give each a name that nothing else has")
    zeros = {name: (v.dims, np.broadcast_to(np.zeros((), v.dtype), v.shape)) for name, v in layout.variables.items()}
    try:
        xr.Dataset(zeros, {name: (name, values) for name, values in layout.labels.items()})
    except ValueError as error:
        raise ValueError(f"dims and coords do not fit what the run returns: {error}") from error


def _outputs(program: Program) -> str:
    return ", ".join(f"{name} {out.dtype}{out.shape}" for name, out in program.outputs.items())


def _described(run: RunFn) -> str:
    """The name of a run, and of what `functools.partial` fixed the numbers and short plain words."""
    if not isinstance(run, functools.partial):
        return getattr(run, "__qualname__", type(run).__name__)
    fixed = [*run.args, *run.keywords.values()]
    names = [""] * len(run.args) + [f"{name}=" for name in run.keywords]
    return f"{_described(run.func)}({', '.join(map(_plain, names, fixed))})"


def _plain(name: str, value: Any) -> str:
    word = isinstance(value, str) and len(value) <= 20 and value.replace(" ", "").replace("-", "").isalpha()
    number = isinstance(value, bool | int | float | np.number | type(None))
    return f"{name}{value!r}" if word or number else f"{name}<{type(value).__name__}>"
