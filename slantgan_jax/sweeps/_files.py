"""The files of a store, in a folder or in an object store, as bytes and as Zarr reads and writes them.

An object store is reached through fsspec, which may remember what it has listed, and through a client with errors of
its own. Here nothing is remembered, and what cannot be reached is an `OSError` in one line.
"""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import fsspec
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from slantgan_jax import folders
from slantgan_jax.checks import shown

DRIVE = re.compile(r"[A-Za-z]:[\\/]") if os.name == "posix" else re.compile("(?!)")
"""How a path of another system begins; here it would be the name of a folder."""

UNFINISHED = re.compile(r"(.*\.)?[0-9a-f]{32}\.partial")
"""The names of files that are being written, here and by Zarr."""


class Missing(OSError):
    """Something that was written is not there any more."""


def located(store: Path | str) -> Path | str:
    """Where a store is: an absolute path, or the URL of an object store.

    Raises:
      ValueError: an empty name, or a URL of a kind that is not known or that needs a package.
    """
    name = str(store)
    kind, separator, rest = name.partition("://")
    wrong = not isinstance(store, str | Path) or not name.isprintable()
    half = not separator and (name.partition(":")[0] in fsspec.available_protocols() or DRIVE.match(name))
    if wrong or half or "::" in name or name.startswith("$") or not (rest if separator else name).strip("/ "):
        raise ValueError(f"store is {shown(store)}: give a path, or a URL with ://")
    if not separator or kind in ("file", "local"):
        rest = rest.removeprefix("localhost")
        if separator and rest[0] not in "/~":
            raise ValueError(f"store is {shown(name)}: give file:///, and then the path")
        try:
            place = Path(rest or name).expanduser().absolute()
            place.exists()  # which fails for a name that is too long
            return place
        except (RuntimeError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            raise ValueError(f"store is {shown(name)} ({why}): give another") from None
    if kind not in fsspec.available_protocols():
        raise ValueError(f"store is {name!r}: fsspec knows no {kind}://, give a path or another URL")
    try:
        fsspec.get_filesystem_class(kind)
    except ImportError as error:
        raise ValueError(f"store is {name!r}, but {error}: install that, or give a path") from error
    return name.rstrip("/")


def exists(where: Path | str) -> bool:
    """Whether there is anything at a path, or below a URL."""
    if isinstance(where, Path):
        return where.exists()
    with contextlib.suppress(FileNotFoundError), _client(where):
        filesystem, path = fsspec.core.url_to_fs(where)
        filesystem.invalidate_cache(path)
        names = (name.rpartition("/")[2] for name in filesystem.ls(path, detail=False))
        return not all(map(UNFINISHED.fullmatch, names))  # or a killed probe
    return False


@contextlib.contextmanager
def room(where: Path | str) -> Iterator[None]:
    """Makes the folders above a path; of them those that are empty go again if the block fails.

    Raises an error before the block if nothing can be written: better known before the work.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(where, Path):
            if where.is_symlink():
                raise ValueError(f"{where} is a link that leads nowhere: remove it, or make the folder it leads to")
            try:
                stack.enter_context(folders.parents(where))
                with folders.unfinished(where):
                    pass
            except OSError as error:
                what = f"store is {str(where)!r}, which cannot be made"
                raise ValueError(f"{what} ({error.strerror}): name another") from None
        else:
            probe = f"{uuid.uuid4().hex}.partial"
            try:
                write(where, probe, b"")
            except OSError as error:
                said = str(error) if str(where) in str(error) else f"{where} cannot be written ({error}): name another"
                raise OSError(said) from error
            filesystem, path = fsspec.core.url_to_fs(where)
            with contextlib.suppress(OSError), _client(where):  # who may write need not be allowed to remove
                filesystem.rm_file(f"{path}/{probe}")
        yield


def read(where: Path | str, key: str) -> bytes | None:
    """A file of a store; None if there is none."""
    try:
        if isinstance(where, Path):
            return (where / key).read_bytes()
        with _client(where):
            filesystem, path = fsspec.core.url_to_fs(where)
            filesystem.invalidate_cache(f"{path}/{key}")
            return bytes(filesystem.cat_file(f"{path}/{key}"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return None
        raise


def write(where: Path | str, key: str, data: bytes) -> None:
    """Writes a file of a store. It appears all at once."""
    if isinstance(where, Path):
        _check_own(where, key)
        (where / key).parent.mkdir(parents=True, exist_ok=True)
        unfinished = where / f"{key}.{uuid.uuid4().hex}.partial"
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, where / key)
        finally:
            unfinished.unlink(missing_ok=True)
    else:
        with _client(where):
            filesystem, path = fsspec.core.url_to_fs(where)
            filesystem.pipe_file(f"{path}/{key}", data)


def writable(where: Path | str) -> Store:
    """The files of a store as Zarr writes them."""
    return _Store(_zarr_store(where, read_only=False), where)


def readable(
    where: Path | str, names: Collection[str] = (), belongs: Callable[[str, bytes], bool] | None = None
) -> Store:
    """The files of a store as Zarr reads them. A missing chunk is an error, and only the arrays `names` are listed.

    So is a chunk of another content, if there is a function `belongs` of the name of a file and its content.
    """
    return _Complete(_zarr_store(where, read_only=True), where, names, belongs)


def _check_own(where: Path, key: str) -> None:
    """Raises `ValueError` if somebody has put something else where a file or a folder of a store belongs.

    A link may lead to another store, into which nothing may be written.
    """
    for folder in map(where.joinpath, Path(key).parents[:-1]):
        if folder.is_symlink() or folder.is_file():
            what = "link" if folder.is_symlink() else "file"
            raise ValueError(f"{folder} is a {what}, and the store needs a folder there: move it away")
    if (where / key).is_dir() and not (where / key).is_symlink():
        raise ValueError(f"{where / key} is a folder, and the store needs a file there: move it away")


def _zarr_store(where: Path | str, read_only: bool) -> Any:
    if isinstance(where, Path):
        return LocalStore(where, read_only=read_only)
    with _client(where):
        store = FsspecStore.from_url(where, read_only=read_only)
        store.fs.invalidate_cache()
        return store


class _Store(WrapperStore[Any]):
    """A store at `where` whose errors are those of files."""

    _supports_sync_io = False  # or Zarr 3.4 may go around `get` and `set`

    def __init__(self, store: Any, where: Path | str) -> None:
        super().__init__(store)
        self.where = where

    def __str__(self) -> str:
        return str(self.where)

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        with _client(self.where):
            return await self._store.get(key, prototype, byte_range)

    async def set(self, key: str, value: Any) -> None:
        if isinstance(self.where, Path):
            _check_own(self.where, key)
        with _client(self.where):
            await self._store.set(key, value)


class _Complete(_Store):
    """A store that lists the arrays `names` and nothing else, and in which a missing chunk is not the fill value."""

    def __init__(
        self, store: Any, where: Path | str, names: Collection[str], belongs: Callable[[str, bytes], bool] | None
    ) -> None:
        super().__init__(store, where)
        self.names, self.belongs = names, belongs

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        value = await super().get(key, prototype, byte_range)
        if value is not None and self.belongs and "/c/" in key and not self.belongs(key, value.to_bytes()):
            raise Missing(f"{key} of {self.where} is not what it was any more: run the sweep again")
        if value is None and "c" in key.split("/")[1:]:
            raise Missing(f"{key} of {self.where} is not there any more: run the sweep again, which computes it")
        return value

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in self.names:
            yield name


@contextlib.contextmanager
def _client(where: Path | str) -> Iterator[None]:
    """The errors of an object store's client are `OSError`s in one line."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise
    except Exception as error:
        if isinstance(where, Path):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"{where} cannot be reached ({said}): name another place, or mend that") from error
