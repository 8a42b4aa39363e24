"""Figures of `sweep.py`, drawn from the data set of its store. Distances have a logarithmic scale."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from _experiment import Figure
from _results import Data
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from slantgan_jax import plots
from slantgan_jax.plots import Panel

NAMES = ("heat_map.png", "distributions.png", "loss_bands.png", "faces.png")
"""All figures that there may be."""

DRAWN_SEEDS = 1000
DRAWN_LINES = 8
LATENTS = (0.1, 0.5, 0.9)
HISTORIES = ("generator_loss_history", "discriminator_loss_history")
DIVERGED = "#d4d4d8"
DISTANCE = "distance of mean image from mean face"


def of(ds: xr.Dataset) -> Mapping[str, Figure]:
    """The figures for which `ds` has data."""
    one_rate = "learning_rate" in ds.dims
    figures = {"heat_map.png": Figure(heat_map, *((9, 4.5) if one_rate else (7, 5.5)))}
    if one_rate:
        figures["distributions.png"] = Figure(distributions, 7, 4.5)
    if one_rate and all(name in ds for name in HISTORIES):
        figures["loss_bands.png"] = Figure(loss_bands, 10, 4.5)
    if ds.finite.any():
        figures["faces.png"] = Figure(faces, 6, 6.5)
    return figures


def distance(ds: xr.Dataset) -> xr.DataArray:
    """The distance of each run, NaN if it diverged."""
    return ds.mean_gap.where(ds.finite)


def typical(gap: xr.DataArray) -> xr.DataArray:
    """The median over seeds, where a run that diverged is infinitely far."""
    return gap.fillna(np.inf).median("seed")


def heat_map(figure: Panel, data: Data) -> None:
    """The distances at each rate, sorted; over both rates the median, gray if more than half of the seeds diverged."""
    gap = distance(data["ds"])
    if "learning_rate" in gap.dims:
        ranks = np.asarray(_evenly(gap.sizes["seed"], DRAWN_SEEDS))
        nearest_first = np.sort(gap.transpose("learning_rate", "seed").values, axis=1)[:, ranks]
        coords = {"learning_rate": gap.learning_rate.values, "share_of_seeds": (ranks + 1) / gap.sizes["seed"]}
        shown = xr.DataArray(nearest_first, coords, tuple(coords))
        title = f"Distance after training: {_closest(gap)}; at each rate its {gap.sizes['seed']} seeds, nearest first"
    else:
        middle = typical(gap).transpose("generator_learning_rate", "discriminator_learning_rate")
        shown = middle.where(np.isfinite(middle))
        title = f"Median over {gap.sizes['seed']} seeds: {_closest(gap)}"
    ax = figure.subplots()
    colors = colormaps["viridis_r"].with_extremes(bad=DIVERGED)
    finite = shown.values[np.isfinite(shown.values) & (shown.values > 0)]
    scale = LogNorm(finite.min(), max(finite.max(), 1.001 * finite.min())) if finite.size else None
    image = ax.imshow(shown.values, aspect="auto", origin="lower", interpolation="nearest", cmap=colors, norm=scale)
    for axis, dim in zip((ax.yaxis, ax.xaxis), shown.dims, strict=True):
        values = shown[dim].values
        ticks = _evenly(len(values), 7)
        axis.set_ticks(ticks, [f"{values[tick]:.3g}" for tick in ticks])
        axis.set_label_text(str(dim).replace("_", " "))
    if finite.size:
        figure.colorbar(image, ax=ax, label=DISTANCE)
    ax.set_title(f"{title} (gray: diverged)" if shown.isnull().any() else title, fontsize=11)


def distributions(figure: Panel, data: Data) -> None:
    """For each rate the share of seeds that come at least so close. A run that diverged never does."""
    ax, gap = figure.subplots(), distance(data["ds"]).transpose("learning_rate", "seed")
    for color, values, label in zip(_colors(len(gap)), gap.values, _labels(gap), strict=True):
        finite = np.sort(values[np.isfinite(values)])
        diverged = f", {values.size - finite.size} of {values.size} diverged" if finite.size < values.size else ""
        if finite.size:
            share = np.arange(finite.size + 1) / values.size
            ax.step(np.append(finite[:1], finite), share, where="post", color=color, label=f"{label}{diverged}")
    ax.set(xscale="log", ylim=(0, 1.02), xlabel=DISTANCE, ylabel="share of seeds at most so far")
    _legend(ax)
    ax.set_title(f"How far training gets, over {gap.sizes['seed']} seeds: {_closest(gap)}", fontsize=11)


def loss_bands(figure: Panel, data: Data) -> None:
    """Median and middle 80 % over seeds of the losses at some of the rates."""
    ds = data["ds"]
    labels, chosen = _labels(ds), _evenly(ds.sizes["learning_rate"], DRAWN_LINES)
    axes = figure.subplots(1, 2)
    for ax, name, undecided in zip(axes, HISTORIES, (np.log(2), 2 * np.log(2)), strict=True):
        loss = ds[name].where(ds.finite_history).transpose("learning_rate", "seed", "epoch")[:, :DRAWN_SEEDS].values
        for color, i in zip(_colors(len(chosen)), chosen, strict=True):
            finite = loss[i][np.isfinite(loss[i]).all(axis=1)]
            if finite.size:
                low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9], axis=0)
                ax.fill_between(ds.epoch.values, low, high, color=color, alpha=0.18, linewidth=0)
                ax.plot(ds.epoch.values, middle, color=color, label=labels[i])
        ax.axhline(undecided, color=plots.QUIET, linestyle=":", linewidth=1)
        highest = max([3 * undecided, *(1.05 * np.nanmax(line.get_ydata()) for line in ax.lines)])
        ax.set(ylim=(0, min(highest, 10 * undecided)), xlabel="epoch")
        ax.set_ylabel(f"expected {name.partition('_')[0]} loss (nats)")
    _legend(axes[0])
    figure.suptitle("Losses (lines: median; bands: 10 to 90 %; dotted: D undecided)", fontsize=11)


def faces(figure: Panel, data: Data) -> None:
    """What the best, the median and the worst run draw."""
    ds, gap = data["ds"], distance(data["ds"])
    flat = gap.values.ravel()
    order = np.argsort(flat)[: int(np.isfinite(flat).sum())]
    weights, biases = (ds[name].transpose(*gap.dims, "pixel") for name in ("generator_weights", "generator_biases"))
    axes = figure.subplots(3, len(LATENTS), squeeze=False)
    for row, name, rank in zip(axes, ("best", "median", "worst"), (0, order.size // 2, -1), strict=True):
        cell = dict(zip(gap.dims, np.unravel_index(order[rank], gap.shape), strict=True))
        where = "\n".join(f"{dim}: {gap[dim].values[i]:.6g}" for dim, i in cell.items())
        row[0].set_ylabel(f"{name}, {flat[order[rank]]:.2g}\n{where}".replace("_learning_rate", " rate"), fontsize=9)
        for ax, z in zip(row, LATENTS, strict=True):
            plots.face(ax, 1 / (1 + np.exp(-(weights[cell].values * z + biases[cell].values))))
            ax.set_title(f"z = {z:g}", fontsize=9)
    figure.suptitle("The runs whose mean image is nearest, in the middle, farthest", fontsize=11)


def _closest(gap: xr.DataArray) -> str:
    medians = typical(gap)
    if np.isinf(medians).all():
        return "most runs diverged at every rate"
    nearest = medians.isel(medians.argmin(...))
    rates = ", ".join(f"{dim} {nearest[dim].item():.3g}" for dim in medians.dims)
    return f"closest at {rates.replace('learning_', '').replace('_', ' ')}"


def _labels(of: xr.Dataset | xr.DataArray) -> list[str]:
    return [f"rate {rate:.3g}" for rate in of.learning_rate.values]


def _legend(ax: Axes) -> None:
    """A legend of some of the lines, evenly chosen, as colors run in their order."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        chosen = _evenly(len(handles), DRAWN_LINES)
        ax.legend([handles[i] for i in chosen], [labels[i] for i in chosen], fontsize=9)


def _evenly(count: int, most: int) -> np.ndarray:
    """At most so many of the numbers from 0 to `count` - 1, evenly chosen."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _colors(count: int) -> np.ndarray:
    return colormaps["viridis"](np.linspace(0.05, 0.9, count))
