"""What the scripts of this folder share: the command line, the folder of results, what a data file records."""

import contextlib
import json
import math
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

from slantgan_jax import plots, provenance


def command_line(main: Callable[..., Any]) -> None:
    """Runs `main` on the command line; an invalid value ends in one line on stderr and status 2."""
    try:
        tyro.cli(main, description=(main.__doc__ or "").partition("\n")[0])
    except ValueError as error:
        sys.exit(_complain(f"error: {error}", 2))
    except OSError as error:
        sys.exit(_complain(f"error: {error}", 1))
    except KeyboardInterrupt as interrupt:
        sys.exit(_complain(f"interrupted: {interrupt or 'the same command starts again where it can'}", 130))


def _complain(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def check_positive(name: str, value: float) -> None:
    """Raises `ValueError` unless `value` is a positive, finite number."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: give a positive, finite number")


def check_epochs(epochs: int) -> None:
    """Raises `ValueError` unless `epochs` is a number of epochs whose steps can be counted in 32 bits."""
    if not 1 <= epochs <= 100_000_000:
        raise ValueError(f"--epochs is {epochs}: give a whole number from 1 to 100000000")


@contextlib.contextmanager
def complete_folder(out: Path, owned: Sequence[str] = ()) -> Iterator[Path]:
    """A temporary folder whose files move to `out` when the block ends well; until then `out` keeps what it had.

    Of the `owned` names those that the block did not write are removed: they would be of an earlier result.

    Raises:
      ValueError: `out` is a file or cannot be written, before the block starts.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    except OSError as error:
        raise ValueError(f"{out} is not a folder that can be written ({error.strerror}): name another") from None
    written: list[str] = []
    try:
        yield unfinished
        for file in sorted(unfinished.iterdir(), key=lambda file: file.suffix == ".json"):
            os.replace(file, out / file.name)  # the .json last: where it is new, the rest is
            written.append(file.name)
        for name in set(owned) - set(written):
            (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def command() -> str:
    """The command line of this process, to be recorded with a result."""
    return shlex.join(["python", *sys.argv])


def record() -> dict[str, Any]:
    """What every data file records: the versions and the source revision."""
    return provenance.versions() | {"revision": provenance.revision()}


def save_figure(
    path: Path, draw: Callable[..., None], width: float, height: float, *arguments: Any, **options: Any
) -> None:
    """Draws a figure of `width` × `height` inches and writes it."""
    figure = plots.new_figure(width, height)
    draw(figure, *arguments, **options)
    figure.savefig(path)


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
