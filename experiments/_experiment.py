"""The frame of every script in this folder.

A script is an `Experiment`: a dataclass of settings, whose fields are the options of the command line; `compute`, from
the settings to data; `report`, what is printed; `answer`, one or two lines; `figures`, drawings of the data. The frame
parses the command line, replaces the folder of results in one step when the new results are complete, writes
`data.json` and `data.npz` with versions, and draws again without computing (`--plot-only`). It ends with an exit status
and at most one line on stderr:

    0   done
    1   a file cannot be read or written, or memory or a device is missing
    2   an option has a wrong value: the line names it and the mend, and nothing is written
    130 interrupted
"""

import contextlib
import difflib
import errno
import io
import itertools
import json
import math
import os
import re
import shlex
import signal
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_type_hints

import jax
import numpy as np
import tyro
from tqdm import tqdm

os.environ["MPLBACKEND"] = "agg"  # nothing here opens a window, and an unknown name would end the process

import matplotlib

from slantgan_jax import folders, plots, provenance
from slantgan_jax.checks import check_number, shortened
from slantgan_jax.cpu import use_every_core

Data = dict[str, Any]
"""What an experiment finds: a nested dictionary of arrays, numbers and texts."""

LARGEST = 10**9
"""Of an option that counts, if it names no largest number of its own."""

LISTED = 1000
"""Arrays of up to so many numbers are lists in data.json, too; data.npz has all of them."""

SHOWN_NAMES = 12
"""A message lists so many names at most, those first that are like the wrong one."""

T = TypeVar("T")


class Figure(NamedTuple):
    """A drawing: `draw(figure, data)` fills a matplotlib figure of `width` × `height` inches, or of `size(data)`."""

    draw: Callable[[Any, Data], None]
    width: float = 0.0
    height: float = 0.0
    size: Callable[[Data], tuple[float, float]] | None = None


@dataclass(frozen=True)
class Experiment:
    """A script, see the module's text.

    Attributes:
      name: of the folder below `results/`.
      settings: a dataclass; its docstring is the description, its fields are the options, see `checked`.
      compute: `(settings, out) -> data`. It may keep stores of its own in the folder `out`, to be resumed.
      answer: `data -> text` of one or two lines: printed last, saved, and there for the figures as `data["answer"]`.
      figures: file names to `Figure`s, or a function of the data to such a mapping.
      report: `data -> None`, prints tables. By default nothing is printed but the answer.
      exports: names of further files to functions of the data, whose results `write` writes.
      x64: whether everything is computed in float64.
      devices: how many CPU devices to use; None for one on each core, 0 to leave JAX as it is.
      fused: whether the steps are of scalars, see `use_every_core`; False for games of networks of many units.
      stale: names of files of earlier results, besides the exports, that these results replace by none.
    """

    name: str
    settings: type[Any]
    compute: Callable[[Any, Path], Data]
    answer: Callable[[Data], str]
    figures: Mapping[str, Figure] | Callable[[Data], Mapping[str, Figure]] = field(default_factory=dict)
    report: Callable[[Data], None] | None = None
    exports: Mapping[str, Callable[[Data], Any]] = field(default_factory=dict)
    x64: bool = True
    devices: int | None = 1
    fused: bool = True
    stale: tuple[str, ...] = ()

    def main(self) -> None:
        """Runs the experiment on the command line of this process and exits."""
        command_line(self.parse)

    def parse(self, arguments: list[str] | None = None) -> Data:
        """Runs the experiment on `arguments`, by default those of this process; returns the data."""

        @dataclass(frozen=True)
        class Options:
            settings: tyro.conf.OmitArgPrefixes[self.settings]  # type: ignore[name-defined]
            """What is computed."""
            out: Path = Path("results") / self.name
            """The folder for data and figures; earlier results are replaced when the new ones are complete."""
            plot_only: bool = False
            """Draw the data that the folder has once more, without computing."""
            format: Literal["png", "svg"] = "png"
            """The format of the figures; svg writes each as SVG, for print and slides, beside its PNG."""

        options = options_of(Options, arguments, (self.settings.__doc__ or "").partition("\n")[0])
        return self.run(options.settings, options.out, options.plot_only, options.format)

    def run(self, settings: Any, out: Path, plot_only: bool = False, format: str = "png") -> Data:
        """Computes and saves, or draws the saved data again; returns the data."""
        if plot_only and not (out / "data.json").exists():
            raise ValueError(f"--out {out} has no data.json to plot: run without --plot-only first")
        checked(settings)
        if not plot_only:
            start_jax(self.devices, self.fused)
        with (
            atomic_folder(out, (*self.stale, *self.exports, *_drawn_as_svg(out))) as folder,
            jax.enable_x64(self.x64),
            jax.default_prng_impl("threefry2x32"),  # the same random numbers, whatever the environment says
            jax.threefry_partitionable(True),
        ):
            if plot_only:
                data = load(out)
                try:
                    self.finish(folder, data, format)
                except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
                    raise ValueError(
                        f"--out {out} has data that cannot be drawn ({type(error).__name__}: {error}): run without "
                        "--plot-only"
                    ) from error
            else:
                data = self.compute(settings, out) | {"settings": asdict(settings)} | origin()
                self.finish(folder, data, format)
        if self.report:
            self.report(data)
        print(f"{data['answer']}\nWritten to {out}/.")
        return data

    def finish(self, folder: Path, data: Data, format: str = "png") -> None:
        """Writes everything that follows from the data into `folder`."""
        data["answer"] = self.answer(data)
        save(folder, data)
        for name, export in self.exports.items():
            write(folder / name, export(data))
        for name, figure in (self.figures(data) if callable(self.figures) else self.figures).items():
            draw(folder / name, figure, data, format)


def start_jax(devices: int | None, fused: bool = True) -> None:
    """Starts JAX on so many CPU devices; None for one on each core, 0 to leave it as it is.

    Raises:
      ValueError: the environment names a platform that is not there.
    """
    if devices != 0:
        with contextlib.suppress(RuntimeError):  # JAX is running already, as in a test
            use_every_core(devices, fused=fused)
    jax.config.update("jax_random_seed_offset", 0)  # a seed is the key that it says
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        named, why = os.environ.get("JAX_PLATFORMS"), shortened(f"{type(error).__name__}: {error}", 100)
        raise ValueError(f"JAX_PLATFORMS is {named!r}, with which JAX does not start ({why}): give another") from None


def command_line(main: Callable[[], Any]) -> None:
    """Runs `main` and exits with the status of the module's text."""
    signal.signal(signal.SIGINT, _interrupt)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever letters the console has
    try:
        main()
        sys.stdout.flush()
        return
    except BrokenPipeError:  # nobody reads on; what was computed is saved
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except ValueError as error:
        message, status = f"error: {error}", 2
    except OSError as error:
        printing = error.errno == errno.ENOSPC and error.filename is None
        what = f"what is printed cannot be written ({error.strerror}): print to elsewhere, the results are saved"
        message, status = f"error: {what if printing else error}", 1
    except MemoryError as error:
        message, status = f"error: there is not enough memory ({shortened(str(error))}): make the numbers smaller", 1
    except RuntimeError as error:  # of JAX, for instance for memory of a device
        message, status = f"error: {error}", 1
    except KeyboardInterrupt as interrupt:
        message, status = f"interrupted: {str(interrupt) or 'the same command starts again where it can'}", 130
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _interrupt(*_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would stop what cleans up
    raise KeyboardInterrupt


def options_of(options: Callable[..., T], arguments: list[str] | None, description: str | None = None) -> T:
    """The options of the command line. Raises `ValueError`, in one line, for what is not an option or has no value."""
    given = sys.argv[1:] if arguments is None else arguments
    for before, argument in zip(["", *given], given, strict=False):
        if not argument.partition("=")[2] if "=" in argument else not argument:
            option = argument.rstrip("=") or before or "an argument"
            raise ValueError(f"{option} is given without a value: give one, or leave it out")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, args=arguments, description=description)
    except SystemExit as done:
        if not done.code:
            raise
        raise ValueError(_complaint(complaint.getvalue())) from None


def _complaint(text: str) -> str:
    """What tyro says in its frame as one line, with the mend."""
    lines = [line for line in (line.strip("╭╮╰╯│─ ") for line in text.splitlines()) if line]
    _title, *said = itertools.takewhile(lambda line: not line.startswith("For full helptext"), lines)
    for head, verb in (("Argument helptext:", "give"), ("Perhaps you meant:", "use")):
        if head in said:
            option = said[said.index(head) + 1].replace("{None}|", "")
            what = re.split(f" Got errors:| {head}", " ".join(said))[0].removeprefix("Error parsing ").rstrip(".")
            return f"{what}: {verb} {option}"
    return f"{' '.join(said)}: --help lists all options"


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """`items` with a progress bar on a terminal, for whatever takes longer than five seconds."""
    return tqdm(items, what, total, disable=None, leave=False)


def checked(settings: Any) -> None:
    """Raises `ValueError` unless the settings pass the checks in their annotations, and their method `check` if any.

    A check is called with the option's name and a value, as in `Annotated[int, partial(check_whole, least=1, most=9)]`.
    It sees each entry of a tuple, which must have one, and each only once. None, for an option not given, passes.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        option, value = f"--{name.replace('_', '-')}", getattr(settings, name)
        for check in getattr(hint, "__metadata__", ()):
            if value == ():
                raise ValueError(f"{option} names none: give at least one")
            if isinstance(value, tuple) and (twice := [entry for entry in value if value.count(entry) > 1]):
                raise ValueError(f"{option} has {twice[0]!r} more than once: give each once")
            for entry in value if isinstance(value, tuple) else () if value is None else (value,):
                check(option, entry)
    getattr(settings, "check", lambda: None)()


check_within = check_number
check_positive = partial(check_number, least=1e-30, most=1e30)  # what float32 has, too


def check_whole(name: str, value: int, least: int, most: int = LARGEST, multiple: int = 1) -> None:
    """Raises `ValueError` unless the option `name` is a multiple of `multiple` from `least` to `most`."""
    if not least <= value <= most or value % multiple:
        what = "whole number" if multiple == 1 else f"multiple of {multiple}"
        raise ValueError(f"{name} is {value}: give a {what} from {least} to {most}")


def check_known(name: str, given: str | Iterable[str], known: Iterable[str]) -> None:
    """Raises `ValueError` unless the option `name` has at least one entry and all are among the `known`."""
    given, known = [given] if isinstance(given, str) else list(given), list(known)
    if not given:
        raise ValueError(f"{name} names none: give at least one of {', '.join(map(repr, known))}")
    if unknown := [entry for entry in given if entry not in known]:
        alike = difflib.get_close_matches(unknown[0], known, SHOWN_NAMES)
        first = list(dict.fromkeys([*alike, *known]))[:SHOWN_NAMES] if len(known) > SHOWN_NAMES else known
        more = ", ..." if len(first) < len(known) else ""
        raise ValueError(f"{name} has {unknown[0]!r}: choose from {', '.join(map(repr, first))}{more}")


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
            place.parent.mkdir(parents=True, exist_ok=True)
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


def draw(path: Path, figure: Figure, data: Data, format: str = "png") -> None:
    """Draws one figure and writes it; with the format svg, also as SVG beside it."""
    width, height = figure.size(data) if figure.size else (figure.width, figure.height)
    canvas = plots.new_figure(width, height)
    figure.draw(canvas, data)
    canvas.savefig(path)
    if format == "svg":
        with matplotlib.rc_context({"svg.hashsalt": path.stem}):  # the same data give the same file
            canvas.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def _drawn_as_svg(out: Path) -> list[str]:
    """The names of the drawings of earlier results that have to go, as other ones take their place."""
    return [path.name for path in out.glob("*.svg")]


def save(folder: Path, data: Data) -> None:
    """Writes `data` to data.json (for people) and data.npz (arrays, and numbers that JSON does not have)."""
    np.savez_compressed(folder / "data.npz", allow_pickle=False, **dict(_arrays("", data)))
    write(folder / "data.json", data, LISTED)


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
