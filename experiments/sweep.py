"""The tutorial GAN over seeds and learning rates: a store of labeled results, and figures of them.

The store is a Zarr group with one cell for each run. A sweep that is interrupted, or that other processes share, is
resumed from its store. The folder of figures lies beside the store. See docs/sweeps.md.
"""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import figures.sweep as figures
import jax
import numpy as np
import tyro
import xarray as xr
from _experiment import atomic_folder, check_whole, checked, command_line, draw
from _tutorial_run import ATTRS, DIMS, EPOCHS, SCALARS, one_rate, two_rates
from jax.experimental import multihost_utils

from slantgan_jax import sweep, sweeps
from slantgan_jax.cpu import use_every_core

AT_LEAST_ONE = partial(check_whole, least=1)


@dataclass(frozen=True)
class Settings:
    """Train the tutorial GAN for every seed and learning rate, store the results, and draw them."""

    seeds: Annotated[int, AT_LEAST_ONE] = 1000
    """The number of seeds, which are 0, 1, ...; seed S is jax.random.key(S)."""
    learning_rates: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    """The learning rates of gradient descent."""
    learning_rate_range: tuple[float, float, int] | None = None
    """LOW HIGH COUNT, instead of --learning-rates: COUNT rates from LOW to HIGH with evenly spaced logarithms."""
    grid: bool = False
    """Let generator and discriminator have these rates independently."""
    epochs: Annotated[int, partial(check_whole, least=1, most=EPOCHS)] = 1000
    """Passes over the five faces."""
    record_every: int | None = None
    """Record losses and distance after each so many epochs, too; it divides --epochs."""
    out: Path = Path("results/sweep.zarr")
    """The Zarr store. If it holds a part of this sweep, the rest is computed. Figures go to a folder beside it."""
    tile: Annotated[int | None, AT_LEAST_ONE] = None
    """The largest number of runs in one chunk of the store; by default 65536 on a CPU."""
    plot_only: bool = False
    """Draw what the store holds, without training."""
    devices: Annotated[int | None, AT_LEAST_ONE] = None
    """The number of CPU devices to use; by default one for each core."""
    distributed: bool = False
    """Share the work with other processes, by jax.distributed."""
    coordinator: str | None = None
    """HOST:PORT of process 0. By default a cluster's environment gives it, and the next two."""
    num_processes: int | None = None
    """The number of processes."""
    process_id: int | None = None
    """The number of this process, from 0."""

    def check(self) -> None:
        every, (low, high, count) = self.record_every, self.learning_rate_range or (1, 2, 2)
        if every is not None and (every < 1 or self.epochs % every):
            raise ValueError(f"--record-every is {every}: give a positive divisor of the {self.epochs} epochs")
        if not self.distributed and (self.coordinator, self.num_processes, self.process_id) != (None, None, None):
            raise ValueError("--coordinator, --num-processes and --process-id need --distributed: add it")
        if not (0 < low < high < np.inf and count >= 2):
            given = f"--learning-rate-range is {low} {high} {count}"
            raise ValueError(f"{given}: give 0 < LOW < HIGH and COUNT of at least 2")


def parse(arguments: list[str] | None = None) -> xr.Dataset:
    """Runs the sweep that `arguments` describe, by default those of this process. Returns what the store holds."""
    settings = tyro.cli(Settings, args=arguments)
    folder = settings.out.with_name(f"{settings.out.stem}-figures")
    if settings.plot_only:
        if not settings.out.exists():
            raise ValueError(f"--out {settings.out} does not exist: run the sweep without --plot-only first")
        ds = sweeps.load(settings.out)
    else:
        checked(settings)
        with atomic_folder(folder):
            pass  # it can be written: better known before the sweep than after it
        ds = computed(settings)
    if settings.plot_only or jax.process_index() == 0:
        draw_all(ds, folder)
    return ds


def computed(settings: Settings) -> xr.Dataset:
    use_every_core(settings.devices)
    if settings.distributed:
        # A process that dies must not take the others with it: they finish its share.
        jax.config.update("jax_enable_recoverability", True)
        jax.distributed.initialize(
            settings.coordinator, settings.num_processes, settings.process_id, heartbeat_timeout_seconds=10
        )
    given, every = settings.learning_rate_range, settings.record_every
    rates = np.asarray(settings.learning_rates) if given is None else np.geomspace(*given)
    names = ("generator_learning_rate", "discriminator_learning_rate") if settings.grid else ("learning_rate",)
    histories = {f"{name}_history": attrs for name, attrs in SCALARS.items()} if every else {}
    ds = sweep(
        partial(two_rates if settings.grid else one_rate, epochs=settings.epochs, record_every=every),
        {"seed": np.arange(settings.seeds)} | dict.fromkeys(names, rates),
        dims=DIMS | dict.fromkeys(histories, ("epoch",)),
        coords={"epoch": np.arange(every, settings.epochs + 1, every)} if every else {},
        attrs=ATTRS | histories,
        store=settings.out,
        chunk_size=settings.tile,
    )
    if settings.distributed:
        # Every process that is alive arrives here: they need process 0 until they are done.
        with contextlib.suppress(multihost_utils.ProcessFailureError), multihost_utils.live_devices(jax.devices()):
            pass
    return ds


def draw_all(ds: xr.Dataset, folder: Path) -> None:
    """Draws everything that the store has data for, and prints the typical distances."""
    if missing := sorted(set(SCALARS) - set(ds)):
        raise ValueError(f"the store has no {', '.join(missing)}: it is of another sweep")
    with atomic_folder(folder, figures.NAMES) as unfinished:
        for name, figure in figures.of(ds).items():
            draw(unfinished / name, figure, {"ds": ds})
    total, diverged = ds.finite.size, int((~ds.finite).sum())
    print(f"{total} runs, {diverged} of them diverged. Median distance of mean image from mean face:")
    print(figures.typical(figures.distance(ds)).to_series().map("{:.4g}".format).to_string())
    print(f"Figures are in {folder}/.")


if __name__ == "__main__":
    command_line(parse)
