"""Figures of many runs at once: where training works, and what losses tell: arrays in, drawings out, as in `plots`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from slantgan_jax import plots
from slantgan_jax.plots import Panel

FATES = {"converged": ("Blues_r", 0.05, 0.85), "neither": ("YlOrBr_r", 0.05, 0.85), "diverged": ("Greys", 0.35, 0.9)}
"""The colour map of each verdict, and which part of it: told apart in every kind of colour blindness and in print."""

AXES = {
    "rates": ("log₁₀ of G's learning rate", "log₁₀ of D's learning rate"),
    "starts": ("along one direction (standard deviations)", "along another"),
}
PLANE_COLOURS = {"rates": "#1d4ed8", "starts": "#b45309"}


def fates(verdict: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """Runs `[n, m]` as colours `[n, m, 3]`: verdict is the hue, the rank of `intensity` among its like the shade."""
    picture = np.ones((*verdict.shape, 3))
    for number, (name, low, high) in enumerate(FATES.values()):
        mask = verdict == number
        _, place, counts = np.unique(intensity[mask], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2)[place] / max(1, mask.sum())
        picture[mask] = colormaps[name](low + (high - low) * ranks)[:, :3]
    return picture


def basins(panel: Panel, data: Mapping[str, np.ndarray], summary: Mapping[str, Any], title: str) -> None:
    """Both planes with their zooms, each framed in the one before, and how both estimates of the dimension come about.

    Args:
      data: `rates_0_verdict`, `rates_0_intensity`, ... `[n, n]` for each plane and level.
      summary: `data.json` of `experiments/basins.py`.
      title: of the figure, the answer.
    """
    grid = panel.add_gridspec(4, 6, width_ratios=[1, 1, 1, 1, 0.9, 0.9])
    for row, (plane, about) in zip((0, 2), summary["planes"].items(), strict=True):
        axes = [panel.add_subplot(grid[row : row + 2, 0:2])]
        axes += [panel.add_subplot(grid[row + i // 2, 2 + i % 2]) for i in range(4)]
        pictures, whole = about["pictures"], _side(about["pictures"][0])
        for level, (ax, picture) in enumerate(zip(axes, pictures, strict=False)):
            colours = fates(data[f"{plane}_{level}_verdict"], data[f"{plane}_{level}_intensity"])
            ax.imshow(colours, origin="lower", extent=picture["window"], interpolation="antialiased", aspect="equal")
            if level + 1 < len(pictures):
                left, right, bottom, top = pictures[level + 1]["window"]
                for colour, width in (("white", 3.0), ("black", 1.2)):
                    frame = Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=colour, lw=width)
                    ax.add_patch(frame)
            found = picture["dimension"]
            dimension = f", D = {found['value']:.2f}" if found else ""
            if level:
                ax.set(xticks=[], yticks=[])
                ax.set_title(f"× {round(whole / _side(picture)):,}{dimension}", fontsize=10)
            else:
                ax.set(xlabel=AXES[plane][0], ylabel=AXES[plane][1])
                shares = ", ".join(f"{share:.0%} {name}" for name, share in zip(FATES, picture["shares"], strict=True))
                ax.set_title(shares, fontsize=10)
        for ax in axes[len(pictures) :]:
            ax.set_axis_off()
    _box_counts(panel.add_subplot(grid[0:2, 4:6]), summary)
    _uncertain(panel.add_subplot(grid[2:4, 4:6]), summary)
    keys = [Patch(color=colormaps[name](0.35), label=f"{fate}: {what}") for (fate, (name, *_)), what in zip(
        FATES.items(), ("dark is fast", "dark is far from equilibrium", "light is fast"), strict=True)]  # fmt: skip
    panel.legend(handles=keys, loc="outside lower left", ncol=3, fontsize=10, frameon=False)
    panel.suptitle(title, fontsize=13)


def _side(picture: Mapping[str, Any]) -> float:
    return picture["window"][1] - picture["window"][0]


def _box_counts(ax: Axes, summary: Mapping[str, Any]) -> None:
    """How many boxes meet the boundary, in each picture, against their side."""
    sizes, resolution = np.array(summary["box_sizes"]), summary["settings"]["resolution"]
    for plane, about in summary["planes"].items():
        for level, picture in enumerate(about["pictures"]):
            sides = sizes / resolution * _side(picture) / _side(about["pictures"][0])
            counts = np.array(picture["counts"], float)
            counts[counts == 0] = np.nan
            label = None if level else f"{plane}: D = {_pm(about['box_dimension'])} in the zooms"
            ax.loglog(sides, counts, "o-", color=PLANE_COLOURS[plane], markersize=4, linewidth=1.2, label=label)
    for name, check, style in zip(("a line", "Koch's curve"), summary["checks"].values(), (":", "--"), strict=True):
        label = f"{name}: {check['found']['value']:.2f} (is {check['known']:.2f})"
        ax.loglog(sizes / resolution, check["counts"], style, color=plots.QUIET, linewidth=1.3, label=label)
    ax.set(xlabel="side of a box / side of the whole plane", ylabel="boxes that meet the boundary")
    ax.set_ylim(top=ax.get_ylim()[1] * 8)
    ax.legend(fontsize=9, loc="upper right")
    ax.set_title("Box counting: N ~ s^-D, one line for each picture", fontsize=10)


def _uncertain(ax: Axes, summary: Mapping[str, Any]) -> None:
    for plane, about in summary["planes"].items():
        share = np.array(about["differing"]) / summary["settings"]["pairs"]
        found = about["uncertainty_dimension"]
        label = f"{plane}: D = 2 - slope = {_pm(found)}" if found else plane
        error = np.sqrt(share * (1 - share) / summary["settings"]["pairs"])
        style = {"fmt": "o-", "color": PLANE_COLOURS[plane], "markersize": 4, "linewidth": 1.2}
        ax.errorbar(about["distances"], share, 2 * error, label=label, **style)
    ax.set(xscale="log", yscale="log", xlabel="distance of two points ε / side of the whole plane")
    ax.set_ylabel("share of pairs of which one converges")
    ax.legend(fontsize=9, loc="lower right")
    ax.set_title("Uncertain pairs: f ~ ε^(2 - D), over the whole plane", fontsize=10)


def _pm(dimension: Mapping[str, float | None]) -> str:
    value, error = dimension["value"], dimension["error"]
    return "unknown" if value is None else f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"
