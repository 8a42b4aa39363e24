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
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore

from slantgan_jax import folders
from slantgan_jax.checks import shortened, shown
from slantgan_jax.sweeps import _layout
from slantgan_jax.sweeps._layout import Layout, Variable

DIGESTS = "digests"
"""The name of the group of digests, which no variable or coordinate may have."""

SHOWN_DIFFERENCES = 3
"""Of so many differences a message tells."""

INTERNAL = ("description", "contents", "seal")
"""The attributes by which a store is checked. They say nothing to a reader."""


class Missing(OSError):
    """Something that was written is not there any more."""


class _Complete(WrapperStore[Any]):
    """A store in which a chunk that is not there is an error, and not the fill value."""

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        value = await self._store.get(key, prototype, byte_range)
        if value is None and "c" in key.split("/")[1:]:
            raise Missing(f"{key} of {self._store} is not there any more: run the sweep again, which computes it")
        return value


def located(store: Path | str) -> Path | str:
    """Where a store is: an absolute path, or the URL of an object store.

    Raises:
      ValueError: a name that no path can have, or a URL of a kind that is not known or not installed.
    """
    if not isinstance(store, str | Path) or not str(store).isprintable() or store == "":
        raise ValueError(f"store is {shown(store)}: give a path or a URL")
    name, (kind, url, _) = str(store), str(store).partition("://")
    try:
        if not url or kind == "file":
            place = Path(name.removeprefix("file://")).expanduser().absolute()
            place.exists()  # which fails for a name that is too long
            return place
        fsspec.get_filesystem_class(kind)
        return name.rstrip("/")
    except (ImportError, ValueError, RuntimeError, OSError) as error:
        what = shortened(str(error), 100)
        raise ValueError(f"store is {shown(name)} ({what}): give another, or install what it needs") from None


def exists(where: Path | str) -> bool:
    """Whether there is anything at a path, or a store at a URL. Raises `ValueError` if a URL cannot be used."""
    if isinstance(where, Path):
        return where.exists()
    with _usable(where):
        return _read(where, "zarr.json") is not None


def check_writable(where: Path | str) -> None:
    """Makes the folders above a path. Raises `ValueError` if none can be made at it: better known before the work."""
    with _usable(where):
        if isinstance(where, Path):
            where.parent.mkdir(parents=True, exist_ok=True)
            with folders.unfinished(where):
                pass
        else:
            _write(where, "writable", b"")
            filesystem, path = fsspec.core.url_to_fs(f"{where}/writable")
            filesystem.rm_file(path)


@contextlib.contextmanager
def _usable(where: Path | str) -> Iterator[None]:
    """What a place raises as a `ValueError`; the libraries of object stores raise anything."""
    try:
        yield
    except Exception as error:
        what = shortened(f"{type(error).__name__}: {error}", 120)
        raise ValueError(f"store is {str(where)!r}, which cannot be made or read ({what}): name another") from None


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
                left.unlink(missing_ok=True)
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
    """
    about = _about(where)
    theirs, ours, damaged = json.loads(about["description"]), _layout.description(layout), _damaged(where, about)
    found = [*_layout.other_identity(layout._replace(about=about, programs=theirs["programs"]), layout)]
    found += _layout.other_shapes(theirs, ours)
    kept = {name: layout.labels[name] for name in layout.axes}
    for name in kept if not found else ():
        old, new = theirs["axes"][name], ours["axes"][name]
        if old["digest"] != new["digest"]:
            known = "values" in old or not any(file.startswith(f"{name}/") for file in damaged)
            asked = layout.labels[name]
            if "values" in old:
                labels = np.asarray(old["values"], old["dtype"])
            else:
                labels = _read_labels(where, name) if known else asked[:0]
            alike = known and labels.dtype.kind == asked.dtype.kind and set(labels.tolist()) <= set(asked.tolist())
            if not alike:
                found.append(f"{name} {old['summary']}, now {new['summary']}")
            kept[name] = labels if not alike or asked.dtype.kind == "U" else labels.astype(asked.dtype)
    if found:
        some = "; ".join(shortened(one, 150) for one in found[:SHOWN_DIFFERENCES]) + (
            "; ..." if len(found) > SHOWN_DIFFERENCES else ""
        )
        raise ValueError(f"{where} was made by another sweep ({some}): it is left as it was, name another")
    before = layout._replace(
        labels={**layout.labels, **kept},
        block=tuple(theirs["block"]),
        about={**layout.about, "created": about["created"], "revision": about["revision"]},
    )
    rest = {name: layout.labels[name][~np.isin(layout.labels[name], labels)] for name, labels in kept.items()}
    grown = {name: np.concatenate([kept[name], more]) for name, more in rest.items()}
    stored = before._replace(labels={**layout.labels, **grown})
    stored = stored._replace(variables={
        name: own._replace(shape=(*stored.shape, *own.shape[len(layout.axes) :]))
        for name, own in layout.variables.items()
    })  # fmt: skip
    if damaged or _layout.description(stored) != theirs:
        _put(where, stored, grown=not damaged)
    return stored, before


def opened(where: Path | str) -> Layout:
    """The layout of a store of which nothing but chunks is missing or damaged.

    Raises:
      ValueError: there is no store of a sweep, or something of it is damaged.
    """
    about = _about(where)
    if damaged := _damaged(where, about):
        raise ValueError(f"{where} is damaged ({', '.join(damaged)}): run the same sweep again, which mends that")
    description, group = json.loads(about["description"]), open_group(where)
    variables = {
        name: Variable(tuple(own["dims"]), tuple(own["shape"]), np.dtype(own["dtype"]), own["attrs"])
        for name, own in description["variables"].items()
    }
    names = (*description["axes"], *description["coordinates"])
    return Layout(
        axes=tuple(description["axes"]),
        labels={name: _read_labels(where, name) for name in names},
        attrs={name: dict(_array(group, name).attrs) for name in names},
        variables=variables,
        programs=description["programs"],
        static=tuple(description["static"]),
        block=tuple(description["block"]),
        about={name: value for name, value in about.items() if name not in INTERNAL},
    )


def open_group(where: Path | str, complete: bool = False) -> zarr.Group:
    """The Zarr group of a store; with `complete`, for reading, where a chunk that is missing is an error."""
    if isinstance(where, Path):
        store = LocalStore(where, read_only=complete)
    else:
        store = FsspecStore.from_url(where, read_only=complete)
    return zarr.open_group(_Complete(store) if complete else store, mode="r" if complete else "r+")


def is_done(group: zarr.Group, layout: Layout, index: tuple[int, ...]) -> bool:
    """Whether a chunk is there, whole, and the one that belongs there; `group` is one for reading."""
    try:
        wanted, place = np.asarray(_array(group, f"{DIGESTS}/chunks")[index]), layout.place(index)
        return bool(np.array_equal(wanted, _layout.digests_of(layout, place, read(group, layout, place))))
    except Exception:  # whatever a damaged file makes of the codecs that read it
        return False


def missing(where: Path | str, layout: Layout) -> list[tuple[int, ...]]:
    """The indices of the chunks that are not done."""
    group = open_group(where, complete=True)
    return [index for index in layout.chunks() if not is_done(group, layout, index)]


def read(group: zarr.Group, layout: Layout, place: tuple[slice, ...]) -> dict[str, np.ndarray]:
    """The values of all variables in a place on the grid of runs."""
    return {name: np.asarray(_array(group, name)[place]) for name in layout.variables}


def write(group: zarr.Group, layout: Layout, index: tuple[int, ...], values: Mapping[str, np.ndarray]) -> None:
    """Writes one chunk: the values of every variable, then their digests."""
    place = layout.place(index)
    with _every_chunk_written():
        for name, value in values.items():
            _array(group, name)[place] = value
        _array(group, f"{DIGESTS}/chunks")[index] = _layout.digests_of(layout, place, values)


def dataset(where: Path | str) -> xr.Dataset:
    """The labeled contents; variables are read when they are used, coordinates at once. Nothing is decoded."""
    store = open_group(where, complete=True).store
    ds = xr.open_zarr(
        store, consolidated=False, chunks=None, mask_and_scale=False, decode_times=False, decode_timedelta=False
    )
    texts = {name: array.astype(object).astype(str) for name, array in ds.coords.items() if array.dtype.kind in "OT"}
    ds = ds.assign_coords({name: array.assign_attrs(ds[name].attrs) for name, array in texts.items()})
    return ds.drop_attrs(deep=False).assign_attrs({k: v for k, v in ds.attrs.items() if k not in INTERNAL})


def _put(where: Path | str, layout: Layout, grown: bool = False) -> None:
    """Writes everything but the chunks. The group itself is last, so an unfinished store is none; in a store that has
    `grown` it is first, so that from then on all other files can be mended from it."""
    files = _files(layout)
    about = {**layout.about, "description": json.dumps(_layout.description(layout))}
    about["contents"] = json.dumps({key: hashlib.sha256(data).hexdigest() for key, data in files.items()})
    group: dict[str, Any] = {}
    zarr.create_group(MemoryStore(group), attributes={**about, "seal": _seal(about)}, zarr_format=3)
    root = {"zarr.json": group["zarr.json"].to_bytes()}
    for key, data in ({**root, **files} if grown else {**files, **root}).items():
        _write(where, key, data)


def _files(layout: Layout) -> dict[str, bytes]:
    """The files of a store, without the group itself and without chunks of results."""
    files: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(files), zarr_format=3)
    # Checksums, so that other readers notice damage, too. Trained parameters are noise to a compressor.
    create = functools.partial(group.create_array, compressors=[Crc32cCodec()])
    with _every_chunk_written():
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
    create(f"{DIGESTS}/chunks", shape=(*layout.counts, *row), dtype=np.uint8, chunks=(*(1 for _ in layout.axes), *row))
    return {key: data.to_bytes() for key, data in files.items() if key != "zarr.json"}


def _about(where: Path | str) -> dict[str, str]:
    """The attributes of the group. Raises `ValueError` unless they are as a sweep wrote them."""
    with _usable(where):
        data = _read(where, "zarr.json")
    try:
        if isinstance(where, Path) and not where.is_dir():
            raise NotADirectoryError(f"no folder at {where}")
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
        if hashlib.sha256(_read(where, key) or b"").hexdigest() != digest
    ]  # fmt: skip


def _read_labels(where: Path | str, name: str) -> np.ndarray:
    values = np.asarray(_array(open_group(where), name)[:])
    return values.astype(object).astype(str) if values.dtype.kind in "OT" else values


def _array(group: zarr.Group, name: str) -> zarr.Array:
    try:
        array = group[name]
    except KeyError:
        raise Missing(f"{name} of {group.store} is not there any more") from None
    assert isinstance(array, zarr.Array)
    return array


def _every_chunk_written() -> Any:
    """A chunk that happens to equal the fill value is written like any other."""
    return zarr.config.set({"array.write_empty_chunks": True})


def _read(where: Path | str, key: str) -> bytes | None:
    """A file of a store; None if there is none."""
    try:
        if isinstance(where, Path):
            return (where / key).read_bytes()
        filesystem, path = fsspec.core.url_to_fs(where)
        return bytes(filesystem.cat_file(f"{path}/{key}"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _write(where: Path | str, key: str, data: bytes) -> None:
    """Writes a file of a store; on disk it appears all at once."""
    if isinstance(where, Path):
        (where / key).parent.mkdir(parents=True, exist_ok=True)
        unfinished = where / f"{key}.{uuid.uuid4().hex}.partial"
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, where / key)
        finally:
            unfinished.unlink(missing_ok=True)
    else:
        filesystem, path = fsspec.core.url_to_fs(where)
        filesystem.pipe_file(f"{path}/{key}", data)
