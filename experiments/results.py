"""What the scripts of this folder share: the command line, the folder of results, what a data file records."""

import contextlib
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tyro


def command_line(main: Callable[..., Any]) -> None:
    """Runs `main` on the command line; an invalid value ends in one line on stderr and status 2."""
    try:
        tyro.cli(main, description=(main.__doc__ or "").partition("\n")[0])
    except ValueError as error:
        sys.exit(_complain(error, 2))
    except OSError as error:
        sys.exit(_complain(error, 1))


def _complain(error: Exception, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status


def check_positive(name: str, value: float) -> None:
    """Raises `ValueError` unless `value` is a positive, finite number."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: give a positive, finite number")


@contextlib.contextmanager
def complete_folder(out: Path) -> Iterator[Path]:
    """A temporary folder whose files move to `out` when the block ends well; until then `out` keeps what it had.

    Raises:
      ValueError: `out` is a file or cannot be written, before the block starts.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    except OSError as error:
        raise ValueError(f"--out {out} is not a folder that can be written ({error.strerror}): name another") from None
    try:
        yield unfinished
        for file in sorted(unfinished.iterdir(), key=lambda file: file.suffix == ".json"):
            os.replace(file, out / file.name)  # the .json last: where it is new, the rest is
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def provenance() -> dict[str, Any]:
    """The versions behind a result: Python, the libraries, and the source revision where git knows it."""
    libraries = ("slantgan-jax", "jax", "jaxlib", "optax", "chex", "numpy", "matplotlib")
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        revision = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        revision = None
    return {"python": sys.version.split()[0], **{name: version(name) for name in libraries}, "revision": revision}


def command() -> str:
    """The command line of this process, to be recorded with a result."""
    return shlex.join(["python", *sys.argv])


def write_json(path: Path, data: Any) -> None:
    """Writes `data` (arrays become lists, numbers that are not finite null, as JSON has none) to `path`."""
    path.write_text(json.dumps(_plain(data), indent=2, allow_nan=False) + "\n")


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _plain(value) for name, value in data.items()}
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
