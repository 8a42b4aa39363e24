"""The folder of results of an experiment: replaced in one step, with data for people and programs, and their origin."""

import contextlib
import json
import math
import os
import shlex
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import jax
import numpy as np

from slantgan_jax import folders, provenance

Data = dict[str, Any]
"""What an experiment finds: a nested dictionary of arrays, numbers and texts."""

MAX_LISTED_NUMBERS = 1000
"""Arrays of at most this many numbers are lists in data.json, too; data.npz has all of them."""


def counted(number: float, noun: str, plural: str = "") -> str:
    """`number` with its noun, such as "1 run" and "2 runs"; `plural` is that of a noun that takes no s."""
    noun = noun if number == 1 else plural or f"{noun}s"
    return f"{int(number) if number == int(number) else number} {noun}"


def at_most(value: float, digits: int = 1) -> str:
    """`value`, rounded up to so many significant digits: what is at most `value` is at most what the text says."""
    if not value or not math.isfinite(value):
        return f"{value:g}"
    number = Decimal(f"{value:.12g}")  # without the rounding by which a float is above the number that it stands for
    unit = Decimal(1).scaleb(number.adjusted() + 1 - digits)
    return f"{float(number.quantize(unit, ROUND_CEILING)):.{digits}g}"


def is_known(number: float | None) -> bool:
    """Whether a number was measured: JSON has null for NaN."""
    return number is not None and not math.isnan(number)


@contextlib.contextmanager
def atomic_folder(out: Path, stale: Iterable[str] = ()) -> Iterator[Path]:
    """A new folder that takes the place of `out` in one step when the block ends well; until then `out` is as it was.

    Other files of `out` are kept, but for the names in `stale`: they would belong to an earlier result. The folder in
    which this process runs cannot be replaced; there the files are, one by one, those named .json last.

    Raises:
      ValueError: `out` is a file, or cannot be written, before the block starts.
      OSError: the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            place = out.resolve()  # a link is followed, and stays
            fixed = place in (Path.cwd(), *Path.cwd().parents)
            stack.enter_context(folders.parents(place))
            if place.exists() and not place.is_dir():
                raise NotADirectoryError(0, "it is a file")
            if place.exists() and not os.access(place, os.W_OK):
                raise PermissionError(0, "it is read-only")
            folder = stack.enter_context(folders.unfinished(place / "new" if fixed else place))
        except OSError as error:
            raise ValueError(f"{out} is not a folder that can be written ({error.strerror}): name another") from None
        try:
            yield folder
            if fixed:
                files = sorted(folder.iterdir(), key=lambda file: file.suffix == ".json")
                for file in files:
                    os.replace(file, place / file.name)
                for name in set(stale) - {file.name for file in files}:
                    (place / name).unlink(missing_ok=True)
            else:
                folders.replace(folder, place, stale)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(f"{out} cannot be written ({error.strerror or error}): it is left as it was") from error


def origin() -> Data:
    """What every data file says of its origin: the command line, the versions and the source revision."""
    versions = provenance.versions() | {"revision": provenance.revision()}
    return {"command": shlex.join(["python", *sys.argv]), "versions": versions}


def save(folder: Path, data: Data) -> None:
    """Writes `data` to data.json (for people) and data.npz (arrays, and numbers that JSON does not have)."""
    np.savez_compressed(folder / "data.npz", allow_pickle=False, **dict(_arrays("", data)))
    write(folder / "data.json", data, MAX_LISTED_NUMBERS)


def load(folder: Path) -> Data:
    """The data that `save` wrote, with the same bits. Raises `ValueError` if they are damaged."""
    try:
        data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        with np.load(folder / "data.npz") as arrays:
            for path, array in arrays.items():
                *parents, last = (name.replace("~1", "/").replace("~0", "~") for name in path.split("/"))
                place = data
                for name in parents:
                    place = place[int(name) if isinstance(place, list) else name]
                place[int(last) if isinstance(place, list) else last] = array if array.ndim else array.item()
        return data
    except (OSError, ValueError, LookupError, TypeError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"--out {folder} has damaged data ({type(error).__name__}: {error}): run without --plot-only"
        ) from error


def write(path: Path, content: Any, listed: float = math.inf) -> None:
    """Writes bytes as they are, arrays by name to an .npz, and all else as JSON. None makes no file.

    In JSON, numbers that are not finite become null. Arrays become lists, or their shape beyond `listed` numbers.
    """
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".npz":
        np.savez(path, allow_pickle=False, **content)
    elif content is not None:
        path.write_text(json.dumps(_plain(content, listed), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def replace_text(path: Path, text: str) -> None:
    """Replaces the text of a file in one step."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _arrays(path: str, data: Any) -> Iterator[tuple[str, np.ndarray]]:
    entries = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list | tuple) else ()
    for name, value in entries:
        name = str(name).replace("~", "~0").replace("/", "~1")  # as in a JSON pointer, RFC 6901
        yield from _arrays(f"{path}/{name}" if path else name, value)
    if isinstance(data, float | np.number | np.ndarray | jax.Array):
        array = np.asarray(data)
        if array.ndim or not np.isfinite(array):
            yield path, array


def _plain(data: Any, listed: float) -> Any:
    if isinstance(data, Mapping):
        return {str(name): _plain(value, listed) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value, listed) for value in data]
    if hasattr(data, "tolist"):
        return f"{np.shape(data)}, in data.npz" if np.size(data) > listed else _plain(data.tolist(), listed)
    if isinstance(data, Path):
        return str(data)
    return None if isinstance(data, float) and not math.isfinite(data) else data
