"""Folders that appear, or replace another one, all at once; and what killed processes leave of them."""

import contextlib
import ctypes
import glob
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there nobody can tell whether a process is alive, and nothing is removed
    fcntl = None  # type: ignore[assignment]

YOUNGEST_DEAD = 1.0
"""Seconds: a younger folder may be that of a process that is about to lock it."""

AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def unfinished(place: Path) -> Iterator[Path]:
    """A new folder beside `place`, to be renamed to it; removed when the block ends unless it was.

    The folder is locked meanwhile. Such folders whose process is dead are removed first. Modes and group are those that
    the process's umask and the parent give.
    """
    for left in place.parent.glob(f".{glob.escape(place.name)}-{'[0-9a-f]' * 12}.unfinished"):
        with locked(left, alone=True) as dead:
            if dead and time.time() - left.stat().st_ctime > YOUNGEST_DEAD:
                shutil.rmtree(left, ignore_errors=True)
    folder = place.parent / f".{place.name}-{uuid.uuid4().hex[:12]}.unfinished"
    folder.mkdir(parents=True)  # another process may just have removed those that it made, see `parents`
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def parents(place: Path) -> Iterator[None]:
    """Makes the folders above `place`. If the block fails, those of them are removed that are empty."""
    made = [folder for folder in place.parents if not folder.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def replace(new: Path, old: Path, without: Iterable[str] = ()) -> None:
    """Puts the folder `new` in the place of `old` in one step.

    What else `old` has is kept, apart from the names `without`. Without a system call that exchanges two folders there
    is a moment in which neither is there.
    """
    if not old.exists():
        os.rename(new, old)
        return
    for entry in old.iterdir():
        if entry.name not in without and not (new / entry.name).exists():
            _link(entry, new / entry.name)
    new.chmod(old.stat().st_mode & 0o7777)
    if not _exchange(new, old):
        aside = new.with_name(f"{new.name}.old")
        os.rename(old, aside)
        os.rename(new, old)
        os.rename(aside, new)


@contextlib.contextmanager
def locked(folder: Path, alone: bool = False) -> Iterator[bool]:
    """Holds a lock on `folder` until the block ends or the process dies: shared, or `alone` if nobody else holds one.

    The value is whether it was given. A file system without locks gives none.
    """
    if fcntl is None or not folder.is_dir():
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            given = True
        except OSError:
            given = False
        yield given
    finally:
        os.close(handle)


def _link(source: Path, target: Path) -> None:
    """The same file, or a folder of the same files, under another name; a copy where there are no links."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_link_file)
    else:
        _link_file(source, target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step, where the system can; returns whether it could."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0
