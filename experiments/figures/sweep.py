"""Figures of `sweep.py`, drawn from the data set of its store. Distances have a logarithmic scale."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from _experiment import Figure
from _methods import OBJECTIVES, undecided_losses
from _results import Data, counted
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from slantgan_jax import plots
from slantgan_jax.plots import Panel
from slantgan_jax.runs import IN_NATS

NAMES = ("heat_map.png", "distributions.png", "loss_bands.png", "faces.png")
"""All figures that there may be."""

DRAWN_SEEDS = 1000
DRAWN_LINES = 8
LATENTS = (0.1, 0.5, 0.9)
HISTORIES = ("generator_loss_history", "discriminator_loss_history")
LINEAR_UP_TO = 10.0
"""Losses that go farther from 0 have a logarithmic scale beyond 1."""

DIVERGED = "#d4d4d8"
DISTANCE = "distance of mean image from mean face"


def of(ds: xr.Dataset) -> Mapping[str, Figure]:
    """The figures for which `ds` has data."""
    one_rate = "learning_rate" in ds.dims
    figures = {"heat_map.png": Figure(heat_map, *((9, 4.5) if one_rate else (7, 5.5)))}
    if one_rate:
        figures["distributions.png"] = Figure(distributions, 7, 4.5)
    if one_rate and all(name in ds for name in (*HISTORIES, "finite_history")):
        figures["loss_bands.png"] = Figure(loss_bands, 10, 4.5)
    if ds.finite.any():
        figures["faces.png"] = Figure(faces, 6, 6.5)
    return figures


def distance(ds: xr.Dataset) -> xr.DataArray:
    """The distance of each run, NaN if it diverged."""
    return ds.mean_gap.where(ds.finite)


def typical(gap: xr.DataArray) -> xr.DataArray:
    """The median over seeds, where a run that diverged is infinitely far; of two middle values the lower one."""
    return gap.fillna(np.inf).reduce(_quantiles, "seed", shares=0.5)


def texts(values: np.ndarray) -> list[str]:
    """Labels as texts: whole numbers as they are, others with as many digits as tell them apart, but at least 3."""
    numbers = values.tolist()
    if values.dtype.kind != "f":
        return list(map(str, numbers))
    rounded = ([f"{number:.{digits}g}" for number in numbers] for digits in range(3, 18))
    return next(names for names in rounded if len({*names}) == len(names))


def heat_map(figure: Panel, data: Data) -> None:
    """The distances at each rate, sorted; over both rates the median, gray if more than half of the seeds diverged."""
    gap = distance(data["ds"])
    if "learning_rate" in gap.dims:
        ranks = np.asarray(_evenly(gap.sizes["seed"], DRAWN_SEEDS))
        nearest_first = np.sort(gap.transpose("learning_rate", "seed").values, axis=1)[:, ranks]
        coords = {"learning_rate": gap.learning_rate.values, "share_of_seeds": (ranks + 1) / gap.sizes["seed"]}
        shown = xr.DataArray(nearest_first, coords, tuple(coords))
        notes = [f"at each rate its {counted(gap.sizes['seed'], 'seed')}, nearest first"]
    else:
        middle = typical(gap).transpose("generator_learning_rate", "discriminator_learning_rate")
        shown, notes = middle.where(np.isfinite(middle)), [f"median over {counted(gap.sizes['seed'], 'seed')}"]
    ax = figure.subplots()
    colors = colormaps["viridis_r"].with_extremes(bad=DIVERGED)
    finite = shown.values[np.isfinite(shown.values) & (shown.values > 0)]
    scale = LogNorm(finite.min(), max(finite.max(), 1.001 * finite.min())) if finite.size else None
    image = ax.imshow(shown.values, aspect="auto", origin="lower", interpolation="nearest", cmap=colors, norm=scale)
    for axis, dim in zip((ax.yaxis, ax.xaxis), shown.dims, strict=True):
        values = shown[dim].values
        ticks = _evenly(len(values), 7)
        axis.set_ticks(ticks, texts(values[ticks]))
        axis.set_label_text(str(dim).replace("_", " "))
    if finite.size:
        figure.colorbar(image, ax=ax, label=DISTANCE)
    diverged = "gray: diverged" if "learning_rate" in gap.dims else "gray: most diverged"
    notes += [diverged] if shown.isnull().any() else []
    figure.suptitle(f"Distance after training: {_closest(gap)}\n({'; '.join(notes)})", fontsize=11)


def distributions(figure: Panel, data: Data) -> None:
    """For each rate the share of seeds that come at least so close. A run that diverged never does."""
    ax, gap = figure.subplots(), distance(data["ds"]).transpose("learning_rate", "seed")
    for color, values, label in zip(_colors(len(gap)), gap.values, _labels(gap), strict=True):
        finite = np.sort(values[np.isfinite(values)])
        share = np.arange(finite.size + 1) / values.size
        line = np.append(finite[:1], finite) if finite.size else [np.nan]  # only in the legend, if all diverged
        ax.step(line, share, where="post", color=color, label=label + _diverged(values))
    ax.set(xscale="log", ylim=(0, 1.02), xlabel=DISTANCE, ylabel="share of seeds at most so far")
    _legend(ax)
    figure.suptitle(f"How far training gets, over {counted(gap.sizes['seed'], 'seed')}: {_closest(gap)}", fontsize=11)


def loss_bands(figure: Panel, data: Data) -> None:
    """Median and middle 80 % over seeds of the losses at some of the rates. A run that diverged loses infinitely much.

    A store that does not say its objective was made by earlier code; it gets no level of an undecided D, and no unit.
    If it does not say after which epochs the losses were recorded, the records are counted.
    """
    ds = data["ds"].isel(learning_rate=_evenly(data["ds"].sizes["learning_rate"], DRAWN_LINES))
    objective = ds.objective.item() if "objective" in ds.coords else ds[HISTORIES[0]].attrs.get("objective")
    undecided = undecided_losses(objective) if objective in OBJECTIVES else (None, None)
    (time,) = {*ds[HISTORIES[0]].dims} - {"learning_rate", "seed"}
    times = ds[time].values if time in ds.coords else 1 + np.arange(ds.sizes[time])
    axes = figure.subplots(1, 2)
    for ax, name, level in zip(axes, HISTORIES, undecided, strict=True):
        lost, bands = ds[name].where(ds.finite_history).fillna(np.inf).transpose("learning_rate", "seed", time), []
        for loss, color, label in zip(lost.values, _colors(len(lost)), _labels(ds), strict=True):
            low, middle, high = _quantiles(loss, 0, [0.1, 0.5, 0.9])
            bands.append((low, high, color))
            diverged = _diverged(loss[:, -1])
            ax.plot(times, np.where(np.isfinite(middle), middle, np.nan), color=color, label=label + diverged)
        ax.update_datalim([(times[0], edge) for edge in (0, level or 0)])
        ax.autoscale_view()
        if level is not None:
            ax.axhline(level, color=plots.QUIET, linestyle=":", linewidth=1)
        if np.abs(ax.get_ylim()).max() > LINEAR_UP_TO:
            ax.set_yscale("symlog", linthresh=1)
        ax.set_ylim(ax.get_ylim())
        for low, high, color in bands:  # up to the edge, if more than a tenth has diverged
            edges = np.nan_to_num([low, high], posinf=ax.get_ylim()[1])
            ax.fill_between(times, *edges, color=color, alpha=0.18, linewidth=0)
        unit = " (nats)" if objective in IN_NATS else ""
        ax.set(xlabel=time if time in ds.coords else "record", ylabel=f"expected {name.partition('_')[0]} loss{unit}")
    _legend(axes[0])
    dotted = "; dotted: D undecided" if objective in OBJECTIVES else ""
    figure.suptitle(f"Losses (lines: median; bands: 10 to 90 %{dotted})", fontsize=11)


def faces(figure: Panel, data: Data) -> None:
    """What the best, the median and the worst run draw, of those that did not diverge."""
    ds, gap = data["ds"], distance(data["ds"])
    flat = gap.values.ravel()
    order = np.argsort(flat)[: int(np.isfinite(flat).sum())]
    weights, biases = (ds[name].transpose(*gap.dims, "pixel") for name in ("generator_weights", "generator_biases"))
    axes = figure.subplots(3, len(LATENTS), squeeze=False)
    for row, name, rank in zip(axes, ("best", "median", "worst"), (0, (order.size - 1) // 2, -1), strict=True):
        cell = dict(zip(gap.dims, np.unravel_index(order[rank], gap.shape), strict=True))
        where = "\n".join(f"{dim}: {texts(gap[dim].values)[i]}" for dim, i in cell.items())
        row[0].set_ylabel(
            f"{name}, {flat[order[rank]]:.2g}\n{where}".replace("learning_rate", "rate").replace("_", " "), fontsize=9
        )
        for ax, z in zip(row, LATENTS, strict=True):
            plots.face(ax, (1 + np.tanh((weights[cell].values * z + biases[cell].values) / 2)) / 2)
            ax.set_title(f"z = {z:g}", fontsize=9)
    which = f"\nof the {order.size} of {flat.size} runs that did not diverge" if order.size < flat.size else ""
    figure.suptitle(f"The runs whose mean image is nearest, in the middle, farthest{which}", fontsize=11)


def _closest(gap: xr.DataArray) -> str:
    medians = typical(gap)
    if np.isinf(medians).all():
        return "most runs diverged at every rate"
    nearest = medians.argmin(...)
    rates = ", ".join(f"{dim} {texts(medians[dim].values)[place.item()]}" for dim, place in nearest.items())
    return f"closest at {rates.replace('learning_', '').replace('_', ' ')}"


def _labels(of: xr.Dataset | xr.DataArray) -> list[str]:
    return [f"rate {rate}" for rate in texts(of.learning_rate.values)]


def _diverged(values: np.ndarray) -> str:
    """What a label adds: of how many of the seeds the `values` are not finite."""
    count = np.sum(~np.isfinite(values))
    return f", {count} of {values.size} diverged" if count else ""


def _quantiles(values: np.ndarray, axis: int, shares: float | list[float]) -> np.ndarray:
    """The least values along an axis that at least these shares of the values do not exceed."""
    return np.quantile(values, shares, axis=axis, method="inverted_cdf")


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
