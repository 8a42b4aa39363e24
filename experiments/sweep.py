"""The tutorial GAN over seeds and learning rates: a store of labelled results, and figures of them."""

import contextlib
from functools import partial
from pathlib import Path

import jax
import numpy as np
import results
import runs
import xarray as xr
from jax.experimental import multihost_utils

from slantgan_jax import sweep, sweep_plots, sweeps
from slantgan_jax.cpu import use_every_core

DRAWN_SEEDS = 1000
FIGURES = ("heat_map.png", "distributions.png", "loss_bands.png", "faces.png")
LATENTS = (0.1, 0.5, 0.9)
HISTORIES = ("generator_loss_history", "discriminator_loss_history")


def main(
    seeds: int = 1000,
    learning_rates: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0),
    learning_rate_range: tuple[float, float, int] | None = None,
    grid: bool = False,
    epochs: int = 1000,
    record_every: int | None = None,
    out: Path = Path("results/sweep.zarr"),
    tile: int | None = None,
    plot_only: bool = False,
    devices: int | None = None,
    distributed: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Train the tutorial GAN for every seed and learning rate, store the results, and draw them.

    Args:
        seeds: how many; the seeds are 0, 1, ..., and seed S is jax.random.key(S).
        learning_rates: the rates of gradient descent.
        learning_rate_range: LOW HIGH COUNT, instead of --learning-rates: so many rates, evenly spaced logarithms.
        grid: let generator and discriminator have these rates independently.
        epochs: passes over the five faces.
        record_every: record losses and distance after every so many epochs, too; it divides --epochs.
        out: the Zarr store. If it holds a part of this sweep, the rest is computed. Figures go to a folder beside it.
        tile: the most runs in one chunk of the store; by default 65536 on a CPU.
        plot_only: draw what the store holds, without training.
        devices: how many CPU devices to use; by default one for each core.
        distributed: share the work with other processes, by jax.distributed.
        coordinator: HOST:PORT of process 0; a cluster's environment gives it by default, and the next two.
        num_processes: how many processes there are.
        process_id: which of them this is, from 0.
    """
    if plot_only:
        if not out.exists():
            raise ValueError(f"--out {out} does not exist: run the sweep without --plot-only first")
        draw(sweeps.load(out), figures_of(out))
        return
    results.check_epochs(epochs)
    if not distributed and (coordinator or num_processes is not None or process_id is not None):
        raise ValueError("--coordinator, --num-processes and --process-id need --distributed: add it")
    if devices is not None and devices < 1:
        raise ValueError(f"--devices is {devices}: give at least 1")
    if seeds < 1:
        raise ValueError(f"--seeds is {seeds}: give at least 1")
    if record_every is not None and (record_every < 1 or epochs % record_every):
        raise ValueError(f"--record-every is {record_every}: give a positive divisor of the {epochs} epochs")
    rates = np.asarray(learning_rates) if learning_rate_range is None else log_range(*learning_rate_range)
    with results.complete_folder(figures_of(out)):
        pass  # it can be written: better known before the sweep than after it
    use_every_core(devices)
    if distributed:
        # A process that dies must not take the others with it: they finish its share.
        jax.config.update("jax_enable_recoverability", True)
        jax.distributed.initialize(coordinator, num_processes, process_id, heartbeat_timeout_seconds=10)
    axes: dict[str, object] = {"seed": np.arange(seeds)}
    if grid:
        axes |= {"generator_learning_rate": rates, "discriminator_learning_rate": rates}
    else:
        axes |= {"learning_rate": rates}
    histories = {f"{name}_history": attrs for name, attrs in runs.SCALARS.items()} if record_every else {}
    ds = sweep(
        partial(runs.two_rates if grid else runs.one_rate, epochs=epochs, record_every=record_every),
        axes,
        dims=runs.DIMS | dict.fromkeys(histories, ("epoch",)),
        coords={"epoch": np.arange(record_every, epochs + 1, record_every)} if record_every else {},
        attrs=runs.ATTRS | histories,
        store=out,
        chunk_size=tile,
    )
    if distributed:
        wait_for_the_living()
    if jax.process_index() == 0:
        draw(ds, figures_of(out))


def wait_for_the_living() -> None:
    """Returns when every process that is alive is here: they need process 0 until they are done."""
    with contextlib.suppress(multihost_utils.ProcessFailureError), multihost_utils.live_devices(jax.devices()):
        pass


def log_range(low: float, high: float, count: int) -> np.ndarray:
    if not (0 < low < high < np.inf and count >= 2):
        raise ValueError(f"--learning-rate-range is {low} {high} {count}: give 0 < LOW < HIGH and COUNT of at least 2")
    return np.geomspace(low, high, count)


def figures_of(out: Path) -> Path:
    return out.with_name(f"{out.stem}-figures")


def draw(ds: xr.Dataset, folder: Path) -> None:
    """Draws everything that the store has data for."""
    if not set(runs.SCALARS) <= set(ds):
        raise ValueError(f"the store has no {', '.join(sorted(set(runs.SCALARS) - set(ds)))}: it is of another sweep")
    gap = ds.mean_gap.where(ds.finite)
    with results.complete_folder(folder, FIGURES) as unfinished:
        if "learning_rate" in ds.dims:
            draw_rates(ds, gap.transpose("learning_rate", "seed"), unfinished)
        else:
            draw_grid(gap, unfinished)
        draw_faces(ds, gap, unfinished)
    total = int(np.prod(gap.shape))
    print(
        f"{total} runs, {total - int(ds.finite.sum())} of them diverged. Median distance of mean image from mean face:"
    )
    print(typical(gap).to_series().map("{:.4g}".format).to_string())
    print(f"Figures are in {folder}/.")


def typical(gap: xr.DataArray) -> xr.DataArray:
    """The median over seeds, a run that diverged being infinitely far."""
    return gap.fillna(np.inf).median("seed")


def draw_rates(ds: xr.Dataset, gap: xr.DataArray, folder: Path) -> None:
    rates, labels = gap.learning_rate.values, [f"rate {rate:.3g}" for rate in gap.learning_rate.values]
    medians = typical(gap).values
    closest = (
        "most runs diverged at every rate"
        if np.isinf(medians).all()
        else f"closest at rate {rates[np.argmin(medians)]:.3g}"
    )
    seen = gap[:, :DRAWN_SEEDS]
    shown = f"first {seen.sizes['seed']} of {gap.sizes['seed']} seeds"
    results.save_figure(
        folder / "heat_map.png", sweep_plots.heat_map, 9, 4.5, seen.values, rates, seen.seed.values,
        "learning rate", "seed", f"Distance after training: {closest}; {shown}",
    )  # fmt: skip
    results.save_figure(
        folder / "distributions.png", sweep_plots.distributions, 7, 4.5, gap.values, labels,
        f"How far training gets, over {gap.sizes['seed']} seeds: {closest}",
    )  # fmt: skip
    if all(name in ds for name in HISTORIES):
        kept = [ds[name].where(ds.finite_history) for name in HISTORIES]
        parts = [part.transpose("learning_rate", "seed", "epoch")[:, :DRAWN_SEEDS].values for part in kept]
        results.save_figure(
            folder / "loss_bands.png", sweep_plots.loss_bands, 10, 4.5, ds.epoch.values, parts, labels, "Losses"
        )


def draw_grid(gap: xr.DataArray, folder: Path) -> None:
    """The median over seeds; a cell is gray where more than half of its seeds diverged."""
    players = ("generator_learning_rate", "discriminator_learning_rate")
    middle = typical(gap).transpose(*players)
    corner = np.unravel_index(np.argmin(middle.values), middle.shape)
    rates = [gap[player].values[i] for player, i in zip(players, corner, strict=True)]
    nearest = f"nearest at G {rates[0]:.3g}, D {rates[1]:.3g}" if np.isfinite(middle).any() else "most runs diverged"
    results.save_figure(
        folder / "heat_map.png", sweep_plots.heat_map, 7, 5.5, middle.where(np.isfinite(middle)).values,
        gap[players[0]].values, gap[players[1]].values, "learning rate of the generator",
        "learning rate of the discriminator", f"Median over {gap.sizes['seed']} seeds: {nearest}",
    )  # fmt: skip


def draw_faces(ds: xr.Dataset, gap: xr.DataArray, folder: Path) -> None:
    """What the best, the median and the worst run draw."""
    flat = gap.values.ravel()
    order = np.argsort(flat)[: int(np.isfinite(flat).sum())]
    if order.size == 0:
        return
    weights, biases = (ds[name].transpose(*gap.dims, "pixel") for name in ("generator_weights", "generator_biases"))
    images, labels = [], []
    for name, rank in (("best", 0), ("median", order.size // 2), ("worst", -1)):
        cell = dict(zip(gap.dims, np.unravel_index(order[rank], gap.shape), strict=True))
        w, b, z = weights[cell].values, biases[cell].values, np.array(LATENTS)[:, None]
        images.append(1 / (1 + np.exp(-(w * z + b))))
        where = "\n".join(f"{dim}: {gap[dim].values[i]:.6g}" for dim, i in cell.items())
        labels.append(f"{name}, {flat[order[rank]]:.2g}\n{where}".replace("_learning_rate", " rate"))
    results.save_figure(
        folder / "faces.png", sweep_plots.chosen_faces, 6, 6.5, np.array(images), labels, LATENTS,
        "The runs whose mean image is nearest, in the middle, farthest",
    )  # fmt: skip


if __name__ == "__main__":
    results.command_line(main)
