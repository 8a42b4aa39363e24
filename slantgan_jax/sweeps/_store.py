"""The results of a sweep in a Zarr group, of which no altered byte is read as a result.

A chunk is a block of the grid of runs, with all variables. `digests/chunks` holds a SHA-256 digest for each variable of
each chunk: of the identity of the sweep, the variable, the labels of the runs in the chunk, and the values. A chunk is
*done* if all of its digests are those of what is there. So a chunk that was altered, or that belongs to another place,
variable or sweep, is not done, and is computed again.

All other files follow from the sweep alone, so they can be written again. The attributes of the group have a digest of
each of them, and one of themselves, the `seal`. See docs/sweeps.md#a-store.
"""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec
from zarr.storage import MemoryStore

from slantgan_jax import folders
from slantgan_jax.sweeps import _files, _layout
from slantgan_jax.sweeps._layout import Layout, Variable

DIGESTS = "digests"
"""The name of the group of digests, which no variable or coordinate may have."""

CHUNK_DIGESTS = f"{DIGESTS}/chunks"
"""The name of the array that has a digest for each variable of each chunk."""

EVERY_CHUNK: Any = {"write_empty_chunks": True}
"""A chunk that happens to equal the fill value is written like any other."""

CHECKSUM_BYTES = 4
"""The bytes at the end of each chunk by which other readers notice damage."""

SHOWN_DIFFERENCES = 3
"""The largest number of differences that a message tells."""

INTERNAL = ("description", "contents", "seal")
"""The attributes by which a store is checked. They say nothing to a reader."""


class Changed(ValueError):
    """Another call has changed what a store is to hold."""


def create(where: Path | str, layout: Layout) -> None:
    """Makes an empty store. On disk it appears all at once, unless another process has just made one there."""
    if isinstance(where, str):
        _put(where, layout)
        return
    with folders.unfinished(where) as folder:
        _put(folder, layout)
        try:
            os.rename(folder, where)  # fails if a store is there
        except OSError:
            if not where.is_dir():
                raise


@contextlib.contextmanager
def in_use(where: Path | str) -> Iterator[None]:
    """Removes what killed writers have left in a store that nobody else uses, and keeps others from doing so."""
    if isinstance(where, Path):
        with folders.locked(where, alone=True) as unused:
            for left in where.rglob("*.partial") if unused else ():
                if _files.UNFINISHED.fullmatch(left.name) and left.is_file():
                    with contextlib.suppress(OSError):
                        left.unlink()
        with folders.locked(where):
            yield
    else:
        yield


def matching(where: Path | str, layout: Layout) -> tuple[Layout, Layout]:
    """The layout of the store at `where`, with which the sweep of `layout` goes on; what was damaged of it is mended.

    The order of its labels and its block are kept. If `layout` has more labels, the store grows. The second layout is
    that before.

    Raises:
      ValueError: another sweep made the store, which is left as it was.
      Changed: another call is growing the store just now.
    """
    about = _about(where)
    theirs, damaged = json.loads(about["description"]), _damaged(where, about)
    found = [*_layout.other_identity(layout._replace(about=about, programs=theirs["programs"]), layout)]
    found += _layout.other_shapes(theirs, _layout.description(layout))
    kept = {} if found else {name: _kept_labels(where, name, theirs, layout, damaged) for name in layout.axes}
    labeled = [
        f"{name} {_layout.change(theirs['axes'][name]['summary'], _layout.summary(layout.labels[name]))}"
        for name, labels in kept.items() if labels is None or not _layout.has_all(layout.labels[name], labels)
    ]  # fmt: skip
    if differences := found or labeled:
        some = "; ".join([*differences[:SHOWN_DIFFERENCES], *["..."] * (len(differences) > SHOWN_DIFFERENCES)])
        hint = "" if found else "; a store only grows, so give all labels that it has, too, or read it with sweeps.load"
        raise ValueError(f"{where} was made by another sweep ({some}): it is left as it was, name another{hint}")
    before = layout._replace(
        labels={**layout.labels, **kept},
        block=tuple(theirs["block"]),
        about={**layout.about, "created": about["created"], "revision": about["revision"]},
    )
    stored = _layout.grown(before, layout)
    if damaged or _layout.description(stored) != theirs:
        _current(where, theirs)
        _put(where, stored)
    return stored, before


def opened(where: Path | str) -> Layout:
    """The layout of a store of which nothing but chunks is missing or damaged.

    Raises:
      ValueError: there is no store of a sweep, or something of it is damaged.
    """
    about = _about(where)
    if damaged := _damaged(where, about):
        raise ValueError(f"{where} is damaged ({', '.join(damaged)}): run the same sweep again, which mends that")
    description = json.loads(about["description"])
    variables = {
        name: Variable(tuple(own["dims"]), tuple(own["shape"]), np.dtype(own["dtype"]), own["attrs"])
        for name, own in description["variables"].items()
    }
    return Layout(
        axes=tuple(description["axes"]),
        labels={name: _labels(where, name) for name in (*description["axes"], *description["coordinates"])},
        attrs=description["attrs"],
        variables=variables,
        programs=description["programs"],
        static=tuple(description["static"]),
        block=tuple(description["block"]),
        about={name: value for name, value in about.items() if name not in INTERNAL},
    )


def open_arrays(where: Path | str, layout: Layout) -> dict[str, zarr.Array]:
    """The arrays of variables and digests, for reading. A chunk that is missing is an error."""
    store = _files.readable(where)
    return {name: _array(store, name) for name in (*layout.variables, CHUNK_DIGESTS)}


def is_done(arrays: Mapping[str, zarr.Array], layout: Layout, index: tuple[int, ...]) -> bool:
    """Whether a chunk is there, whole, and the one that belongs there; `arrays` are those of `open_arrays`."""
    try:
        wanted, place = np.asarray(arrays[CHUNK_DIGESTS][index]), layout.place(index)
        return bool(np.array_equal(wanted, _layout.digests_of(layout, place, read(arrays, layout, place))))
    except Exception:  # whatever a damaged file makes of the codecs that read it
        return False


def missing(where: Path | str, layout: Layout) -> list[tuple[int, ...]]:
    """The indices of the chunks that are not done."""
    arrays = open_arrays(where, layout)
    return [index for index in layout.chunks() if not is_done(arrays, layout, index)]


def read(arrays: Mapping[str, zarr.Array], layout: Layout, place: tuple[slice, ...]) -> dict[str, np.ndarray]:
    """The values of all variables in a place on the grid of runs."""
    return {name: np.asarray(arrays[name][place]) for name in layout.variables}


def write(where: Path | str, layout: Layout, index: tuple[int, ...], values: Mapping[str, np.ndarray]) -> None:
    """Writes one chunk: the values of every variable, then their digests.

    Raises:
      Changed: the store is not to hold `layout` any more.
    """
    _current(where, _layout.description(layout))
    store, place = _files.writable(where), layout.place(index)
    for name, value in {**values, CHUNK_DIGESTS: _layout.digests_of(layout, place, values)}.items():
        array = _array(store, name).with_config(EVERY_CHUNK)
        array[index if name == CHUNK_DIGESTS else place] = value


def dataset(where: Path | str, layout: Layout) -> xr.Dataset:
    """The labeled contents; variables are read when they are used. Nothing is decoded.

    Raises:
      Changed: the store is not to hold `layout` any more.
    """
    if damaged := _damaged(where, _current(where, _layout.description(layout))):
        raise Changed(f"{where} was damaged meanwhile ({', '.join(damaged)}): call again")
    digests = np.asarray(open_arrays(where, layout)[CHUNK_DIGESTS][:])
    store = _files.readable(where, layout.variables, functools.partial(_belongs, layout, digests))
    ds = xr.open_zarr(store, consolidated=False, zarr_format=3, chunks=None, decode_cf=False)
    ds = ds.assign_coords({name: (name, own, layout.attrs.get(name, {})) for name, own in layout.labels.items()})
    return ds.drop_attrs(deep=False).assign_attrs(layout.about)


def _belongs(layout: Layout, digests: np.ndarray, key: str, data: bytes) -> bool:
    """Whether the file `key` of a chunk has the values of which these are the digests."""
    name, _, *numbers = key.split("/")
    index, variable = tuple(map(int, numbers[: len(layout.axes)])), layout.variables[name]
    shape = (*layout.block, *variable.shape[len(layout.axes) :])
    try:
        whole = np.frombuffer(data[:-CHECKSUM_BYTES], variable.dtype).reshape(shape)
    except ValueError:  # of another length
        return False
    place = layout.place(index)
    part = whole[tuple(slice(one.stop - one.start) for one in place)]
    wanted = digests[index][list(layout.variables).index(name)]
    return bool(np.array_equal(_layout.digest_of(layout, place, name, part), wanted))


def _put(where: Path | str, layout: Layout) -> None:
    """Writes everything but the chunks. The group itself is first, as all other files can be mended from it."""
    files = _contents(layout)
    about = {**layout.about, "description": json.dumps(_layout.description(layout))}
    about["contents"] = json.dumps({key: hashlib.sha256(data).hexdigest() for key, data in files.items()})
    group: dict[str, Any] = {}
    zarr.create_group(MemoryStore(group), attributes={**about, "seal": _seal(about)}, zarr_format=3)
    for key, data in {"zarr.json": group["zarr.json"].to_bytes(), **files}.items():
        _files.write(where, key, data)


def _contents(layout: Layout) -> dict[str, bytes]:
    """The files of a store, without the group itself and without chunks of results."""
    files: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(files), zarr_format=3)
    # Checksums, so that other readers notice damage, too. Trained parameters are noise to a compressor.
    create = functools.partial(group.create_array, compressors=[Crc32cCodec()], config=EVERY_CHUNK)
    for name, values in layout.labels.items():
        text = values.dtype.kind == "U"
        array = create(
            name,
            shape=values.shape,
            dtype=str if text else values.dtype,
            chunks=values.shape,
            dimension_names=[name],
            attributes=dict(layout.attrs.get(name, {})),
        )
        array[:] = values.astype(object) if text else values
    for name, variable in layout.variables.items():
        inner = (max(1, size) for size in variable.shape[len(layout.block) :])
        create(
            name,
            shape=variable.shape,
            dtype=variable.dtype,
            chunks=(*layout.block, *inner),
            fill_value=np.nan if variable.dtype.kind == "f" else 0,
            dimension_names=variable.dims,
            attributes=dict(variable.attrs),
        )
    row = len(layout.variables), hashlib.sha256().digest_size
    group.create_group(DIGESTS)
    create(CHUNK_DIGESTS, shape=(*layout.counts, *row), dtype=np.uint8, chunks=(*(1 for _ in layout.axes), *row))
    return {key: data.to_bytes() for key, data in files.items() if key != "zarr.json"}


def _about(where: Path | str) -> dict[str, str]:
    """The attributes of the group. Raises `ValueError` unless they are as a sweep wrote them."""
    try:
        if isinstance(where, Path) and not where.is_dir():
            raise NotADirectoryError(f"no folder at {where}")
        data = _files.read(where, "zarr.json")
        if data is None:
            raise FileNotFoundError("no zarr.json")
        root = json.loads(data)
        about = root.pop("attributes")
        if root.get("consolidated_metadata", "") is None:  # as some versions of zarr write
            del root["consolidated_metadata"]
        if not {*_layout.SURROUNDINGS, *INTERNAL, "created", "revision"} <= set(about):
            raise ValueError("attributes are missing")
        if about.pop("seal") != _seal(about) or root != {"zarr_format": 3, "node_type": "group"}:
            raise ValueError("zarr.json was altered")
        return about
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{where} is not a store of a sweep that can be read ({type(error).__name__}: {error}): name another, or "
            "restore its zarr.json, as its chunks may be whole"
        ) from error


def _seal(about: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode()).hexdigest()


def _damaged(where: Path | str, about: Mapping[str, str]) -> list[str]:
    """The files, beside chunks of results, that are missing or not as they were written."""
    return [
        key for key, digest in json.loads(about["contents"]).items()
        if hashlib.sha256(_files.read(where, key) or b"").hexdigest() != digest
    ]  # fmt: skip


def _current(where: Path | str, description: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of the group of a store that still has the cells of `description`; else raises `Changed`."""
    try:
        about = _about(where)
    except ValueError:
        if _files.read(where, "zarr.json") is None:
            raise _files.Missing(f"zarr.json of {where} is not there any more") from None
        raise
    if not _layout.same_cells(json.loads(about["description"]), description):
        raise Changed(f"{where} was changed meanwhile by another call: call again")
    return about


def _kept_labels(
    where: Path | str, name: str, theirs: Mapping[str, Any], layout: Layout, damaged: list[str]
) -> np.ndarray | None:
    """The labels of an axis of a store; None if only damaged files have them."""
    described = theirs["axes"][name]
    if described["digest"] == _layout.digest(layout.labels[name]):
        return layout.labels[name]
    if "values" in described:
        return np.asarray(described["values"], np.dtype(described["dtype"]).newbyteorder("="))
    return None if any(key.startswith(f"{name}/") for key in damaged) else _labels(where, name)


def _labels(where: Path | str, name: str) -> np.ndarray:
    values = np.asarray(_array(_files.readable(where), name)[:])
    return values.astype(object).astype(str) if values.dtype.kind in "OT" else values


def _array(store: Store, name: str) -> zarr.Array:
    try:
        return zarr.open_array(store, path=name, mode="r" if store.read_only else "r+", zarr_format=3)
    except FileNotFoundError:
        raise _files.Missing(f"{name} of {store} is not there any more") from None
