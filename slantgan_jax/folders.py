"""Folders that appear all at once, and what killed processes leave of them."""

import contextlib
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there nobody can tell whether a process is alive, and nothing is removed
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def unfinished(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder `parent/prefix…`, removed when the block ends unless it has been renamed.

    The folder is locked meanwhile. Folders of the same prefix whose process is dead are removed first. Modes and group
    are those that the process's umask and the parent give.
    """
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        with locked(left, alone=True) as dead:
            if dead:
                shutil.rmtree(left, ignore_errors=True)
    folder = parent / f"{prefix}{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path, alone: bool = False) -> Iterator[bool]:
    """Holds a lock on `folder` until the block ends or the process dies: shared, or `alone` if nobody else holds one.

    The value is whether it was given. A file system without locks gives none `alone`.
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
