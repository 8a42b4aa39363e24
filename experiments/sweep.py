"""The tutorial GAN over seeds and learning rates: a store of labeled results, and figures of them.

The store is a Zarr group with one cell for each run. A sweep that is interrupted is resumed from its store; with more
seeds or rates, or with other processes to help, it goes on from there. The figures lie in a folder beside the store.
See docs/sweeps.md.
"""

import contextlib
import os
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import figures.sweep as figures
import jax
import numpy as np
import xarray as xr
from _experiment import draw, options_given, start_jax
from _options import check_known, check_positive, check_whole, checked, command_line, options_of
from _results import atomic_folder, counted

from slantgan_jax import losses, sweep, sweeps
from slantgan_jax.checks import shortened
from slantgan_jax.runs import ATTRS, DIMS, IN_NATS, MAX_EPOCHS, SCALARS, one_rate, two_rates

MOST_RUNS = 10**9
DASK_SECONDS = 10
"""How long a scheduler has to answer."""

MOST_DEVICES = max(64, os.cpu_count() or 1)
GRID = ("generator_learning_rate", "discriminator_learning_rate")
"""The axes of the rates, if each player has its own."""

TWO_TERMS = [name for name, objective in losses.OBJECTIVES.items() if len(objective.discriminator) > 1]
"""The objectives that the tutorial's order can minimize."""


@dataclass(frozen=True)
class Settings:
    """Train the tutorial GAN for every seed and learning rate, store the results, and draw them."""

    seeds: Annotated[int, partial(check_whole, least=1, most=MOST_RUNS)] = 1000
    """The number of seeds, which are 0, 1, ...; seed S is jax.random.key(S)."""
    learning_rates: Annotated[tuple[float, ...], check_positive] = (0.001, 0.01, 0.1, 1.0)
    """The learning rates of gradient descent."""
    learning_rate_range: tuple[float, float, int] | None = None
    """LOW HIGH COUNT, instead of --learning-rates: COUNT rates from LOW to HIGH with evenly spaced logarithms."""
    grid: bool = False
    """Let generator and discriminator have these rates independently."""
    epochs: Annotated[int, partial(check_whole, least=1, most=MAX_EPOCHS)] = 1000
    """Passes over the five faces."""
    record_every: int | None = None
    """Also record losses and distance after every this many epochs; it must divide --epochs."""
    objective: Annotated[tuple[str, ...], partial(check_known, known=TWO_TERMS)] = ("non-saturating",)
    """What the players minimize: one objective, or several to compare."""
    out: str = "results/sweep.zarr"
    """The Zarr store, a path or a URL that fsspec knows. If it holds a part of this sweep, the rest is computed.
    Figures go to a folder beside it."""
    tile: Annotated[int | None, partial(check_whole, least=1, most=MOST_RUNS)] = None
    """The largest number of runs in one chunk of the store; by default a chunk takes about 20 seconds."""
    plot_only: bool = False
    """Draw what the store holds, without training. Options that say otherwise than the store are refused."""
    devices: Annotated[int | None, partial(check_whole, least=1, most=MOST_DEVICES)] = None
    """The number of CPU devices to use; by default one for each core."""
    dask: str | None = None
    """HOST:PORT of a dask.distributed scheduler, whose workers compute the chunks."""
    slurm: bool = False
    """Compute each chunk as a job of SLURM, by submitit."""

    def check(self) -> None:
        every, (low, high, count) = self.record_every, self.learning_rate_range or (1, 2, 2)
        if every is not None and (every < 1 or self.epochs % every):
            raise ValueError(f"--record-every is {every}: give a positive divisor of the {self.epochs} epochs")
        if not (0 < low < high < np.inf and 2 <= count <= MOST_RUNS):
            given = f"--learning-rate-range is {low} {high} {count}"
            raise ValueError(f"{given}: give 0 < LOW < HIGH and COUNT from 2 to {MOST_RUNS}")
        rates = len(self.learning_rates) if self.learning_rate_range is None else count
        runs = self.seeds * rates ** (2 if self.grid else 1) * len(self.objective)
        if runs > MOST_RUNS:
            raise ValueError(f"--seeds is {self.seeds}, which makes {runs} runs in all: take at most {MOST_RUNS}")
        if self.dask is not None and (self.slurm or not self.dask):
            raise ValueError(
                f"--dask is {self.dask!r}{', but there is --slurm, too' * self.slurm}: give HOST:PORT alone"
            )


class _Tried(Exception):
    """Ends the try whether a folder can be written, so that nothing is left of it."""


def parse(arguments: list[str] | None = None) -> xr.Dataset:
    """Runs the sweep that `arguments` describe, by default those of this process. Returns what the store holds."""
    settings = options_of(Settings, arguments, Settings.__doc__)
    folder = folder_of_figures(settings.out)
    if settings.plot_only:
        ds = sweeps.load(settings.out)
        check_drawable(ds)
        check_the_same(settings, ds, options_given(settings, sys.argv[1:] if arguments is None else arguments))
    else:
        checked(settings)
        with contextlib.suppress(_Tried), atomic_folder(folder):
            raise _Tried  # it can be written: better known before the sweep than after it
        ds = computed(settings)
    draw_all(ds, folder)
    return ds


def folder_of_figures(store: str) -> Path:
    """x-figures for the store x.zarr, and x.figures for a store x of any other name.

    It is beside the store; for an object store it is here, and its name has the whole URL, quoted as in a URL.
    """
    try:
        local = store.removeprefix("file://").removeprefix("localhost").rstrip("/")
        path = Path(urllib.parse.quote(local, safe="")) if "://" in local else Path(local).expanduser()
        return path.with_name(f"{path.stem}-figures" if path.suffix == ".zarr" else f"{path.name}.figures")
    except (RuntimeError, ValueError):  # nobody's home, or a path without a name
        raise ValueError(f"--out is {store!r}, where no store can be: name another") from None


def rates_of(settings: Settings) -> np.ndarray:
    given = settings.learning_rate_range
    return np.asarray(settings.learning_rates) if given is None else np.geomspace(*given)


def computed(settings: Settings) -> xr.Dataset:
    start_jax(settings.devices)
    every, names = settings.record_every, GRID if settings.grid else ("learning_rate",)
    losses_are = {"units": "nat"} if {*settings.objective} <= {*IN_NATS} else {}
    if len(settings.objective) == 1:  # else it is an axis
        losses_are |= {"objective": settings.objective[0]}
    scalars = {name: about | (losses_are if "loss" in name else {}) for name, about in SCALARS.items()}
    histories = {f"{name}_history": about for name, about in scalars.items()} if every else {}
    axes = {"seed": np.arange(settings.seeds)} | dict.fromkeys(names, rates_of(settings))
    run = partial(two_rates if settings.grid else one_rate, epochs=settings.epochs, record_every=every)
    if len(settings.objective) > 1:
        axes = {"objective": np.array(settings.objective)} | axes
    else:
        run = partial(run, objective=str(*settings.objective))
    coords = {"epoch": np.arange(every, settings.epochs + 1, every)} if every else {}
    known = {*axes, *coords, *DIMS, *SCALARS, *histories, "discriminator_bias"}
    attrs = {name: about for name, about in (ATTRS | scalars | histories).items() if name in known}
    with executor_of(settings) as executor, jax.enable_x64(False):  # as train.py, whatever the environment says
        return sweep(
            run,
            axes,
            dims=DIMS | dict.fromkeys(histories, ("epoch",)),
            coords=coords,
            attrs=attrs,
            store=settings.out,
            chunk_size=settings.tile,
            executor=executor,
        )


@contextlib.contextmanager
def executor_of(settings: Settings) -> Iterator[Executor | None]:
    """What computes the chunks; None for this process."""
    with contextlib.ExitStack() as stack:
        executor: Any = None
        try:
            if settings.dask is not None:
                executor = stack.enter_context(dask_client(settings.dask)).get_executor()
            elif settings.slurm:
                from submitit import AutoExecutor

                executor = AutoExecutor(folder=Path(settings.out).with_name("slurm-logs"), cluster="slurm")
                executor.update_parameters(timeout_min=24 * 60)
        except ImportError as error:
            raise ValueError(f"--dask and --slurm need more ({error}): install the extra `cluster`") from None
        except (OSError, ValueError, RuntimeError) as error:
            given = "--slurm" if settings.slurm else f"--dask is {settings.dask!r}"
            raise ValueError(f"{given} ({error}): give HOST:PORT of a scheduler, or run where SLURM is") from None
        yield executor


def dask_client(address: str) -> Any:
    """The client of a scheduler. Raises `OSError` if nothing answers, or something that is none, as a web server."""
    from distributed import Client

    found: list[Any] = []

    def connect() -> None:
        try:
            found.append(Client(address, timeout=DASK_SECONDS))
        except Exception as error:  # whatever becomes of it when this process ends
            found.append(error)

    thread = threading.Thread(target=connect, daemon=True)  # which waits for ever for what a web server says
    thread.start()
    thread.join(2 * DASK_SECONDS)
    if not found:
        raise OSError(f"what is there is no scheduler, for it did not answer in {2 * DASK_SECONDS} s")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def check_drawable(ds: xr.Dataset) -> None:
    """Raises `ValueError` unless a store has the results and the dimensions that are drawn."""
    needed = (*sorted(SCALARS), "generator_weights", "generator_biases")
    if missing := [name for name in needed if name not in ds]:
        raise ValueError(f"the store has no {', '.join(missing)}, as it is of another sweep: name one of this script")
    dims = {str(dim) for name in needed for dim in ds[name].dims}
    wanted = {"seed", "pixel", *(GRID if dims & {*GRID} else ("learning_rate",))}
    for which, names in (("no dimension", wanted - dims), ("the dimension", dims - wanted - {"objective"})):
        if names:
            some = ", ".join(sorted(names))
            raise ValueError(f"the store has {which} {some}, as it is of another sweep: name one of this script")


def check_the_same(settings: Settings, ds: xr.Dataset, given: set[str]) -> None:
    """Raises `ValueError` if a setting whose name is in `given` is not that of a store, or is one of computing."""
    grid, seeds = GRID[0] in ds.dims, np.sort(ds.seed)
    of_first, *others = (np.sort(ds[name]).tolist() for name in (GRID if grid else ("learning_rate",)))
    rates = of_first if all(other == of_first for other in others) else [of_first, *others]
    arguments = dict(re.findall(r"(\w+)=(\w+)", ds.attrs["run"]))
    objectives = ds.objective.values.tolist() if "objective" in ds.dims else [ds.generator_loss.attrs.get("objective")]
    stored = {
        "seeds": len(seeds) if np.array_equal(seeds, np.arange(len(seeds))) else seeds.tolist(),
        "learning_rates": rates,
        "learning_rate_range": rates,
        "grid": grid,
        "epochs": arguments.get("epochs"),
        "record_every": arguments.get("record_every", "None"),
        "objective": None if None in objectives else sorted(objectives),
    }
    asked = dict.fromkeys(("learning_rates", "learning_rate_range"), np.sort(rates_of(settings)).tolist())
    asked = asdict(settings) | asked | {"objective": sorted(settings.objective)}
    for name in sorted(given - {"out", "plot_only"}):
        option = f"--{name.replace('_', '-')}"
        if name not in stored:
            raise ValueError(f"{option} says how to compute, but --plot-only computes nothing: leave out one of them")
        if str(asked[name]) != str(stored[name]):
            has = "does not tell its own" if stored[name] is None else f"has {shortened(str(stored[name]))}"
            what = f"{option} is {shortened(str(asked[name]))}, but the store {has}"
            raise ValueError(f"{what}: leave out {option}, or run without --plot-only")


def draw_all(ds: xr.Dataset, folder: Path) -> None:
    """Draws everything that the store has data for, and prints the typical distances."""
    ds = ds.sortby([dim for dim in ds.mean_gap.dims if str(dim).endswith("rate")])  # a store grows in any order
    several = "objective" in ds.dims
    parts = {name: ds.sel(objective=name) for name in ds.objective.values} if several else {"": ds}
    stale = [figure_name(objective, name) for objective in ("", *TWO_TERMS) for name in figures.NAMES]
    with atomic_folder(folder, stale) as unfinished:
        for objective, part in parts.items():
            for name, figure in figures.of(part).items():
                draw(unfinished / figure_name(objective, name), figure, {"ds": part})
    total, diverged = ds.finite.size, int((~ds.finite).sum())
    print(f"{counted(total, 'run')}, {diverged} of them diverged. Median distance of mean image from mean face:")
    medians = figures.typical(figures.distance(ds))
    named = medians.assign_coords({dim: figures.texts(medians[dim].values) for dim in medians.dims})
    print(named.to_series().map("{:.4g}".format).to_string())
    print(f"Figures are in {folder}/.")


def figure_name(objective: str, name: str) -> str:
    """The name of a figure of one objective of several; the objective is empty if there is but one."""
    return f"{objective}-{name}".replace(" ", "_") if objective else name


if __name__ == "__main__":
    command_line(parse)
