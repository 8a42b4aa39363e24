"""Figures of `basins.py`."""

import io

import numpy as np
from _results import Data
from matplotlib import colormaps, image
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from slantgan_jax import plots
from slantgan_jax.plots import Panel

FATES = {"converged": ("Blues_r", 0.05, 0.85), "neither": ("YlOrBr_r", 0.05, 0.85), "diverged": ("Greys", 0.35, 0.9)}
"""The color map of each verdict, by its number, and the part of the map that is used. The three can be distinguished
with every kind of color blindness, and in print."""

SHADES = ("dark is fast", "dark is far from equilibrium", "light is fast")
AXES = {
    "rates": ("log₁₀ of G's learning rate", "log₁₀ of D's learning rate"),
    "starts": ("along one direction (standard deviations)", "along another"),
}
COLORS = {"rates": "#1d4ed8", "starts": "#b45309"}


def fates(data: Data, name: str) -> np.ndarray:
    """A picture as colors `[n, m, 3]`: the verdict is the hue, the rank of the intensity among its like the shade."""
    verdict, intensity = data[f"{name}_verdict"], data[f"{name}_intensity"]
    picture = np.ones((*verdict.shape, 3))
    for number, (colors, low, high) in enumerate(FATES.values()):
        mask = verdict == number
        _, place, counts = np.unique(intensity[mask], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2)[place] / max(1, mask.sum())
        picture[mask] = colormaps[colors](low + (high - low) * ranks)[:, :3]
    return picture


def pixels(data: Data, name: str) -> bytes | None:
    """A picture pixel by pixel, as a PNG; None if the data have none of this name."""
    if f"{name}_verdict" not in data:
        return None
    file = io.BytesIO()
    image.imsave(file, fates(data, name), origin="lower")
    return file.getvalue()


def sheet(figure: Panel, data: Data) -> None:
    """Both planes with their zooms, each framed in the one before, and both estimates of the dimension."""
    grid = figure.add_gridspec(4, 6, width_ratios=[1, 1, 1, 1, 0.9, 0.9])
    for row, plane in zip((0, 2), data["planes"], strict=True):
        places = [grid[row : row + 2, 0:2], *(grid[row + i // 2, 2 + i % 2] for i in range(4))]
        for level, place in enumerate(places[: len(data["planes"][plane]["pictures"])]):
            _picture(figure.add_subplot(place), data, plane, level)
    _box_counts(figure.add_subplot(grid[0:2, 4:6]), data)
    _pairs(figure.add_subplot(grid[2:4, 4:6]), data)
    keys = [
        Patch(color=colormaps[colors](0.35), label=f"{fate}: {what}")
        for (fate, (colors, *_)), what in zip(FATES.items(), SHADES, strict=True)
    ]
    figure.legend(handles=keys, loc="outside lower left", ncol=3, fontsize=10, frameon=False)
    figure.suptitle(data["answer"], fontsize=13)


def _picture(ax: Axes, data: Data, plane: str, level: int) -> None:
    pictures = data["planes"][plane]["pictures"]
    picture, colors = pictures[level], fates(data, f"{plane}_{level}")
    ax.imshow(colors, origin="lower", extent=picture["window"], interpolation="antialiased", aspect="equal")
    if level + 1 < len(pictures):
        left, right, bottom, top = pictures[level + 1]["window"]
        for color, width in (("white", 3.0), ("black", 1.2)):
            ax.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=color, lw=width))
    if level:
        found, times = picture["dimension"], round(_side(pictures[0]) / _side(picture))
        title = f"× {times:,}{', D = {:.2f}'.format(found['value']) if found else ''}"
        ax.set(xticks=[], yticks=[])
    else:
        title = ", ".join(f"{share:.0%} {name}" for name, share in zip(FATES, picture["shares"], strict=True))
        ax.set(xlabel=AXES[plane][0], ylabel=AXES[plane][1])
    ax.set_title(title, fontsize=10)


def _side(picture: Data) -> float:
    return picture["window"][1] - picture["window"][0]


def _box_counts(ax: Axes, data: Data) -> None:
    """How many boxes meet the boundary, in each picture, against their side."""
    sides = np.array(data["box_sizes"]) / data["settings"]["resolution"]
    for plane, about in data["planes"].items():
        for level, picture in enumerate(about["pictures"]):
            counts = np.where(picture["counts"] > 0, picture["counts"], np.nan)
            zooms = " in the zooms" if len(about["pictures"]) > 1 else ""
            label = None if level else f"{plane}: D = {with_error(about['box_dimension'])}{zooms}"
            style = {"color": COLORS[plane], "markersize": 4, "linewidth": 1.2, "label": label}
            ax.loglog(sides * _side(picture) / _side(about["pictures"][0]), counts, "o-", **style)
    for name, check, style in zip(("a line", "Koch's curve"), data["checks"].values(), (":", "--"), strict=True):
        label = f"{name}: {check['found']['value']:.2f} (is {check['known']:.2f})"
        ax.loglog(sides, check["counts"], style, color=plots.QUIET, linewidth=1.3, label=label)
    ax.set(xlabel="side of a box / side of the whole plane", ylabel="boxes that meet the boundary")
    ax.set_ylim(top=ax.get_ylim()[1] * 8)
    ax.legend(fontsize=9, loc="upper right")
    ax.set_title("Box counting: N ~ s^-D, one line for each picture", fontsize=10)


def _pairs(ax: Axes, data: Data) -> None:
    """The share of pairs of points of which one converges, against their distance."""
    for plane, about in data["planes"].items():
        count, found = data["settings"]["pairs"], about["uncertainty_dimension"]
        share = about["differing"] / count
        label = f"{plane}: D = 2 - slope = {with_error(found)}" if found else plane
        style = {"fmt": "o-", "color": COLORS[plane], "markersize": 4, "linewidth": 1.2, "label": label}
        ax.errorbar(about["distances"], share, 2 * np.sqrt(share * (1 - share) / count), **style)
    if any(np.any(about["differing"]) for about in data["planes"].values()):
        ax.set_yscale("log")
    ax.set(xscale="log", xlabel="distance of two points ε / side of the whole plane")
    ax.set_ylabel("share of pairs of which one converges")
    ax.legend(fontsize=9, loc="lower right")
    ax.set_title("Uncertain pairs: f ~ ε^(2 - D), over the whole plane", fontsize=10)


def with_error(dimension: Data | None) -> str:
    if dimension is None or dimension["value"] is None:
        return "unknown"
    return f"{dimension['value']:.2f} ± " + ("?" if dimension["error"] is None else f"{dimension['error']:.2f}")
