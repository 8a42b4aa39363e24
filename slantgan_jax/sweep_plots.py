"""Figures of sweeps: arrays in, drawings out, as in `plots`. Distances are drawn on a logarithmic scale."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from slantgan_jax import plots
from slantgan_jax.plots import Panel

DIVERGED = "#d4d4d8"


def heat_map(
    panel: Panel, gap: np.ndarray, rows: np.ndarray, columns: np.ndarray, row_name: str, column_name: str, title: str
) -> None:
    """`gap` `[rows, columns]` in color, NaN (diverged) in gray; rows from below."""
    ax = panel.subplots()
    colors = colormaps["viridis_r"].with_extremes(bad=DIVERGED)
    finite = gap[np.isfinite(gap) & (gap > 0)]
    scale = LogNorm(finite.min(), max(finite.max(), 1.001 * finite.min())) if finite.size else None
    image = ax.imshow(gap, aspect="auto", origin="lower", interpolation="nearest", cmap=colors, norm=scale)
    for axis, values, name in ((ax.yaxis, rows, row_name), (ax.xaxis, columns, column_name)):
        ticks = np.unique(np.linspace(0, len(values) - 1, min(len(values), 7)).astype(int))
        axis.set_ticks(ticks, [f"{values[tick]:.3g}" for tick in ticks])
        axis.set_label_text(name)
    if finite.size:
        panel.colorbar(image, ax=ax, label="distance of mean image from mean face")
    ax.set_title(f"{title} (gray: diverged)" if np.isnan(gap).any() else title, fontsize=11)


def distributions(panel: Panel, gap: np.ndarray, labels: Sequence[str], title: str) -> None:
    """For each row of `gap` `[rates, seeds]` the share of seeds that are at least so close; NaN counts as never."""
    ax = panel.subplots()
    for color, values, label in zip(_colours(len(labels)), gap, labels, strict=True):
        finite = np.sort(values[np.isfinite(values)])
        diverged = f", {values.size - finite.size} of {values.size} diverged" if finite.size < values.size else ""
        if finite.size:
            share = np.arange(finite.size + 1) / values.size
            ax.step(np.append(finite[:1], finite), share, where="post", color=color, label=f"{label}{diverged}")
    ax.set(
        xscale="log",
        ylim=(0, 1.02),
        xlabel="distance of mean image from mean face",
        ylabel="share of seeds at most so far",
    )
    _legend(ax)
    ax.set_title(title, fontsize=11)


def loss_bands(
    panel: Panel, epochs: np.ndarray, losses: Sequence[np.ndarray], labels: Sequence[str], title: str
) -> None:
    """Median and middle 80 % over seeds of at most eight rates; `losses` are G's and D's, `[rates, seeds, epochs]`."""
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 8)).astype(int))
    axes: Sequence[Axes] = panel.subplots(1, 2, squeeze=False)[0]
    for ax, player, loss, undecided in zip(
        axes, ("generator", "discriminator"), losses, (np.log(2), 2 * np.log(2)), strict=True
    ):
        for color, i in zip(_colours(len(chosen)), chosen, strict=True):
            finite = loss[i][np.isfinite(loss[i]).all(axis=1)]
            if finite.size:
                low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9], axis=0)
                ax.fill_between(epochs, low, high, color=color, alpha=0.18, linewidth=0)
                ax.plot(epochs, middle, color=color, label=labels[i])
        ax.axhline(undecided, color=plots.QUIET, linestyle=":", linewidth=1)
        highest = max([3 * undecided, *(1.05 * np.nanmax(line.get_ydata()) for line in ax.lines)])
        ax.set_ylim(0, min(highest, 10 * undecided))
        ax.set(xlabel="epoch", ylabel=f"expected {player} loss (nats)")
    _legend(axes[0])
    panel.suptitle(f"{title} (lines: median; bands: 10 to 90 %; dotted: D undecided)", fontsize=11)


def chosen_faces(
    panel: Panel, images: np.ndarray, row_labels: Sequence[str], latents: Sequence[float], title: str
) -> None:
    """`images` `[rows, latents, pixels]`, one row a run."""
    axes = panel.subplots(len(row_labels), len(latents), squeeze=False)
    for row, label, drawn in zip(axes, row_labels, images, strict=True):
        row[0].set_ylabel(label, fontsize=9)
        for ax, image, latent in zip(row, drawn, latents, strict=True):
            plots.face(ax, image)
            ax.set_title(f"z = {latent:g}", fontsize=9)
    panel.suptitle(title, fontsize=11)


def _legend(ax: Axes) -> None:
    """A legend of at most eight of the lines, evenly chosen; colors run in their order."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        chosen = np.unique(np.linspace(0, len(handles) - 1, min(len(handles), 8)).astype(int))
        ax.legend([handles[i] for i in chosen], [labels[i] for i in chosen], fontsize=9)


def _colours(count: int) -> np.ndarray:
    return colormaps["viridis"](np.linspace(0.05, 0.9, count))
