"""The frame of every script in this folder.

A script is an `Experiment`: a dataclass of settings, whose fields are the options of the command line; `compute`, from
the settings to data; `report`, what is printed; `answer`, one or two lines; `figures`, drawings of the data. The frame
parses the command line (`_options`), replaces the folder of results in one step when the new results are complete,
writes `data.json` and `data.npz` with versions (`_results`), and draws again without computing (`--plot-only`). A
script without figures has no options of drawing.
"""

import contextlib
import dataclasses
import hashlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import jax
import numpy as np
import tyro
from _options import checked, command_line, options_of
from _results import Data, atomic_folder, load, origin, save, write
from tqdm import tqdm

os.environ["MPLBACKEND"] = "agg"  # nothing here opens a window, and an unknown name would end the process

import matplotlib

from slantgan_jax import plots
from slantgan_jax.checks import shortened
from slantgan_jax.cpu import use_every_core

T = TypeVar("T")

LONG_COMPILATION = 0.1
"""Seconds. What takes longer to compile is kept."""


FIRST_SIGN = 3.0
"""Seconds of silence before the first sign of life; JAX was imported before."""


class Figure(NamedTuple):
    """A drawing: `draw(figure, data)` fills a matplotlib figure of `width` × `height` inches, or of `size(data)`."""

    draw: Callable[[Any, Data], None]
    width: float = 0.0
    height: float = 0.0
    size: Callable[[Data], tuple[float, float]] | None = None


class Quick(NamedTuple):
    """What `--quick` stands for: settings that take the place of their defaults, and the `time` that they take."""

    settings: dict[str, Any]
    time: str

    @property
    def text(self) -> str:
        """What --help says."""
        chosen = ", ".join(f"{name.replace('_', ' ')} {shortened(str(value))}" for name, value in self.settings.items())
        return f"A smaller run of {self.time}: {chosen}, where no option says otherwise."


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
      time: how long the default settings take on two cores, for instance "about 6 minutes".
      quick: settings of a smaller run for `--quick`, for experiments that take more than a minute, and its time.
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
    time: str = ""
    quick: Quick | None = None

    def main(self) -> None:
        """Runs the experiment on the command line of this process and exits."""
        command_line(self.parse)

    def parse(self, arguments: list[str] | None = None) -> Data:
        """Runs the experiment on `arguments`, by default those of this process; returns the data."""
        given = sys.argv[1:] if arguments is None else arguments
        described = (self.settings.__doc__ or "").partition("\n")[0]
        described += f" It takes {self.time} on two cores." if self.time else ""

        @dataclass(frozen=True)
        class Computing:
            settings: tyro.conf.OmitArgPrefixes[self.settings] = (  # type: ignore[name-defined]
                self.settings(**self.quick.settings) if self.quick and "--quick" in given else dataclasses.MISSING
            )
            """What is computed."""
            out: Path = Path("results") / self.name
            """The folder for the results; earlier ones are replaced when the new ones are complete."""

        @dataclass(frozen=True)
        class Drawing(Computing):
            plot_only: bool = False
            """Draw the data that the folder has once more, without computing."""
            format: Literal["png", "svg"] = "png"
            """The format of the figures; svg writes each as SVG, for print and slides, beside its PNG."""

        Options = Drawing if self.figures else Computing
        if self.quick:
            Options = dataclasses.make_dataclass(
                "Options",
                [("quick", Annotated[bool, tyro.conf.arg(help=self.quick.text)], False)],
                bases=(Options,),
                frozen=True,
            )
        options = options_of(Options, arguments, described)
        settings, demanded = options.settings, options_given(options.settings, given)
        if self.quick and "--quick" in given:
            demanded |= self.quick.settings.keys()
        if isinstance(options, Drawing):
            return self.run(settings, options.out, options.plot_only, options.format, demanded)
        return self.run(settings, options.out)

    def run(
        self,
        settings: Any,
        out: Path,
        plot_only: bool = False,
        format: str = "png",
        demanded: Collection[str] | None = None,
    ) -> Data:
        """Computes and saves, or draws the saved data again; returns the data.

        With `plot_only`, the data must have been computed with the settings of the names in `demanded`; by default
        with those that differ from their defaults.
        """
        if plot_only and not (out / "data.json").exists():
            raise ValueError(f"--out {out} has no data.json to plot: run without --plot-only first")
        checked(settings)
        if not plot_only:
            start_jax(self.devices, self.fused)
        drawn = [path.name for path in out.glob("*.svg")]  # of earlier results: other drawings take their place
        with (
            signs_of_life(self.name),
            atomic_folder(out, (*self.stale, *self.exports, *drawn)) as folder,
            same_numbers(self.x64),
        ):
            if plot_only:
                data = load(out)
                check_the_same(settings, data, out, demanded)
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


def options_given(settings: Any, arguments: list[str]) -> set[str]:
    """The names of the settings that a command line gives, as `--some-name 1`, `--some_name=1` or `--no-some-name`."""
    words = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in arguments if word.startswith("--")}
    names = (option.name for option in dataclasses.fields(settings))
    return {name for name in names if {name, f"no_{name}"} & words}


def check_the_same(settings: Any, data: Any, out: Path, demanded: Collection[str] | None = None) -> None:
    """Raises `ValueError` if a setting whose name is in `demanded` is not what the `data` were computed with.

    By default the settings are demanded that differ from their defaults. Data that tell no settings are for any. What
    a setting became that was left as None, the data may tell as "played".
    """
    saved = data.get("settings") if isinstance(data, dict) else None
    if not isinstance(saved, dict):
        return
    became = data["played"] if isinstance(data.get("played"), dict) else {}
    saved = became | {name: value for name, value in saved.items() if value is not None}
    for option in dataclasses.fields(settings):
        value, before = getattr(settings, option.name), saved.get(option.name)
        counts = value != option.default if demanded is None else option.name in demanded
        if counts and not np.array_equal(np.asarray(value), np.asarray(before)):
            name = f"--{option.name.replace('_', '-')}"
            raise ValueError(
                f"{name} is {shortened(str(value))}, but the data of --out {out} are for {shortened(str(before))}: "
                "leave out what sets it, or run without --plot-only"
            )


@contextlib.contextmanager
def same_numbers(x64: bool) -> Iterator[None]:
    """The precision of an experiment, and the same random numbers, whatever the environment says."""
    with jax.enable_x64(x64), jax.default_prng_impl("threefry2x32"), jax.threefry_partitionable(True):
        yield


@contextlib.contextmanager
def signs_of_life(name: str) -> Iterator[None]:
    """Says on stderr now and then that work goes on, unless a progress bar does: every five seconds, later 30."""
    done, start = threading.Event(), time.monotonic()

    def say() -> None:
        pause = FIRST_SIGN
        while not done.wait(pause):
            seconds = time.monotonic() - start
            pause = 5 if seconds < 60 else 30
            if not getattr(tqdm, "_instances", ()):
                with contextlib.suppress(OSError, ValueError):  # stderr is closed
                    print(f"{name}: at work for {seconds:.0f} s", file=sys.stderr, flush=True)

    threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def start_jax(devices: int | None, fused: bool = True) -> None:
    """Starts JAX on so many CPU devices; None for one on each core, 0 to leave it as it is.

    Raises:
      ValueError: the environment names a platform that is not there.
    """
    if devices != 0:
        with contextlib.suppress(RuntimeError):  # JAX is running already, as in a test
            use_every_core(devices, fused=fused)
    jax.config.update("jax_random_seed_offset", 0)  # a seed is the key that it says
    remember_compilations()
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        named, why = os.environ.get("JAX_PLATFORMS"), shortened(f"{type(error).__name__}: {error}", 100)
        raise ValueError(f"JAX_PLATFORMS is {named!r}, with which JAX does not start ({why}): give another") from None


def remember_compilations() -> None:
    """Has JAX keep what takes long to compile in the user's cache folder, unless another folder is configured.

    Programs are apart by their text, the compiler's options and the version of JAX, and here also by the processor.
    `JAX_ENABLE_COMPILATION_CACHE=0` switches it off.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    with contextlib.suppress(OSError, RuntimeError):  # no home, or one that cannot be written
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slantgan_jax" / _processor()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", LONG_COMPILATION)


def _processor() -> str:
    """A digest of the features that this processor has."""
    features = platform.machine()
    with contextlib.suppress(OSError):  # not Linux
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features += "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return hashlib.sha256(features.encode()).hexdigest()[:16]


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """`items` with a progress bar on a terminal, for whatever takes longer than five seconds."""
    return tqdm(items, what, total, disable=None, leave=False)


def draw(path: Path, figure: Figure, data: Data, format: str = "png") -> None:
    """Draws one figure and writes it; with the format svg, also as SVG beside it."""
    width, height = figure.size(data) if figure.size else (figure.width, figure.height)
    canvas = plots.new_figure(width, height)
    figure.draw(canvas, data)
    canvas.savefig(path)
    if format == "svg":
        with matplotlib.rc_context({"svg.hashsalt": path.stem}):  # the same data give the same file
            canvas.savefig(path.with_suffix(".svg"), metadata={"Date": None})
