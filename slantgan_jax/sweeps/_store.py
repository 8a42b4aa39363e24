"""The results of a sweep on disk: a Zarr group, checksummed, written chunk by chunk.

A chunk is a block of the grid of runs, with all variables. It is *done* if each of its files exists and has the right
CRC-32C checksum. A file gets its final name only when it is complete, and a store appears only with all its metadata.
See docs/sweeps.md#a-store.
"""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import LocalStore, MemoryStore


class Variable(NamedTuple):
    """A variable of the store: all its dimensions, its full `shape`, `dtype` and attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, Any]


class Layout(NamedTuple):
    """What a store holds.

    Attributes:
      coordinates: a dataset without variables: coordinates and the attributes of the whole.
      variables: by name; their first dimensions are the axes of the sweep.
      block: the number of runs along each axis in a chunk.
    """

    coordinates: xr.Dataset
    variables: Mapping[str, Variable]
    block: tuple[int, ...]


def create(path: Path | None, layout: Layout) -> zarr.Group | None:
    """Makes an empty store, in memory if `path` is None. On disk it appears all at once.

    Returns None where another process has just made one at `path`.
    """
    if path is None:
        return _write_metadata(MemoryStore(), layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        _write_metadata(LocalStore(unfinished), layout)
        unfinished.chmod(0o755)
        os.rename(unfinished, path)  # fails where a store is
    except OSError:
        if path.is_dir():
            return None
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return open_group(path)


def open_group(path: Path) -> zarr.Group:
    """Opens a store. Raises `ValueError` where there is none that can be read."""
    try:
        if not path.is_dir():  # opening would make it
            raise NotADirectoryError(f"no folder at {path}")
        group = zarr.open_group(path, mode="r+")
        for name in ("axes", "coordinates", "variables"):  # what `create` writes, all readable
            for member in _names(group, name):
                _array(group, member)
        return group
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise ValueError(
            f"{path} is not a store of a sweep that can be read ({error}): remove it or name another"
        ) from error


def block(group: zarr.Group) -> tuple[int, ...]:
    """The number of runs along each axis in a chunk of the store."""
    return _array(group, variables(group)[0]).chunks[: len(_names(group, "axes"))]


def variables(group: zarr.Group) -> list[str]:
    """The names of the variables."""
    return _names(group, "variables")


def damaged_coordinates(group: zarr.Group) -> list[str]:
    """The coordinates whose files are missing or altered."""
    return [name for name in _names(group, "coordinates") if not is_done(group, [name], (0,))]


def mend_coordinates(group: zarr.Group, layout: Layout) -> None:
    """Writes damaged coordinates again, in a store without `differences` from `layout`."""
    for name in damaged_coordinates(group):
        write(group, (slice(None),), {name: layout.coordinates[name].values})


def missing(group: zarr.Group) -> list[tuple[int, ...]]:
    """The indices of the chunks that are not done."""
    names, length = variables(group), len(_names(group, "axes"))
    counts = _array(group, names[0]).cdata_shape[:length]
    return [index for index in itertools.product(*map(range, counts)) if not is_done(group, names, index)]


def dataset(group: zarr.Group, without: Sequence[str] = ()) -> xr.Dataset:
    """The labeled contents; variables are read when they are used, coordinates at once."""
    return xr.open_zarr(group.store, consolidated=False, chunks=None, drop_variables=list(without))


def write(group: zarr.Group, block: tuple[slice, ...], values: Mapping[str, np.ndarray]) -> None:
    """Writes one chunk: the values of every variable for the runs in `block`."""
    # A chunk that happens to equal the fill value must be written like any other.
    with zarr.config.set({"array.write_empty_chunks": True}):
        for name, value in values.items():
            _array(group, name)[block] = value


def is_done(group: zarr.Group, names: Sequence[str], index: tuple[int, ...]) -> bool:
    """Whether the chunk with this `index` in the grid of chunks is there, whole and unaltered, for all variables."""
    assert isinstance(group.store, LocalStore)
    for name in names:
        array = _array(group, name)
        if array.size == 0:
            continue
        position = (*index, *(0,) * (array.ndim - len(index)))
        key = f"{name}/{array.metadata.encode_chunk_key(position)}"
        if not (group.store.root / key).is_file():
            return False
        try:
            array.get_block_selection(position)
        except (ValueError, OSError, RuntimeError):  # checksum, or a length that cannot be
            return False
    return True


def differences(group: zarr.Group, layout: Layout) -> Iterator[str]:
    """In words, everything by which a store was not made by the sweep that `layout` describes.

    Of a damaged coordinate only the size can be compared.
    """
    theirs, ours = dict(group.attrs), layout.coordinates.attrs
    old_versions, new_versions = json.loads(str(theirs["versions"])), json.loads(ours["versions"])
    for name in new_versions:
        if old_versions.get(name) != new_versions[name]:
            yield f"{name} {old_versions.get(name)}, now {new_versions[name]}"
    yield from (
        f"{name} {theirs[name]}, now {ours[name]}" for name in ("platform", "xla_flags") if theirs[name] != ours[name]
    )
    if theirs["program"] != ours["program"]:
        yield f"run {theirs['run']}, now {ours['run']}: another program"
    names, damaged = _names(group, "coordinates"), damaged_coordinates(group)
    stored = dataset(group, without=damaged)
    for name, coordinate in layout.coordinates.coords.items():
        if name not in names:
            yield f"no axis {name}"
        elif name in damaged:
            if (old := _array(group, str(name)).shape) != coordinate.shape:
                yield f"{name} {old[0]} values, now {coordinate.size}"
        elif not np.array_equal(stored[name].values, coordinate.values, equal_nan=coordinate.dtype.kind == "f"):
            yield f"{name} {_summary(stored[name].values)}, now {_summary(coordinate.values)}"
    for name, variable in layout.variables.items():
        if name not in group:
            yield f"no variable {name}"
        elif (old := stored[name]).shape != variable.shape or old.dtype != variable.dtype or old.dims != variable.dims:
            yield f"{name} {old.dtype}{dict(old.sizes)}, now {variable.dtype}{variable.dims}{variable.shape}"
    yield from (f"axis {name}, now none" for name in names if name not in layout.coordinates.coords)


def _names(group: zarr.Group, kind: str) -> list[str]:
    """The names of the `axes`, `coordinates` or `variables`, as `create` wrote them."""
    names = group.attrs[kind]
    assert isinstance(names, list)
    return list(map(str, names))


def _summary(values: np.ndarray) -> str:
    return str(values.tolist()) if values.size <= 6 else f"{values.size} values from {values[0]} to {values[-1]}"


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _write_metadata(store: Any, layout: Layout) -> zarr.Group:
    names = {"coordinates": list(map(str, layout.coordinates.coords)), "variables": list(layout.variables)}
    encoding = {
        name: {"compressors": [Crc32cCodec()], "chunks": (values.size,)}
        for name, values in layout.coordinates.coords.items()
    }
    layout.coordinates.assign_attrs(names).to_zarr(
        store, mode="w", zarr_format=3, consolidated=False, encoding=encoding
    )
    group = zarr.open_group(store, mode="r+")
    for name, variable in layout.variables.items():
        inner = variable.shape[len(layout.block) :]
        group.create_array(
            name,
            shape=variable.shape,
            dtype=variable.dtype,
            chunks=(*layout.block, *(max(1, size) for size in inner)),
            compressors=[Crc32cCodec()],  # checksummed; trained parameters are noise to a compressor
            fill_value=np.nan if variable.dtype.kind == "f" else 0,
            dimension_names=variable.dims,
            attributes=dict(variable.attrs),
        )
    return group
