"""Figures of the game lab, the small games whose dynamics are known exactly: arrays in, drawings out, as in `plots`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from slantgan_jax import plots
from slantgan_jax.plots import Panel

COLOURS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d", "#6d28d9", "#4d7c0f")
NEUTRAL = 1e-8
"""A factor so near to 1 counts as 1."""


def contraction_factors(panel: Panel, groups: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> None:
    """The factor per step against the step size, a panel for each group of curves; below the line at 1 is stable.

    Args:
      groups: name to curves. A curve has `label` and `colour` (an index), which several may share, `dashed`, the closed
        form as `line` `[2, n]` of step sizes and factors, the measured `dots` `[2, m]`, and `threshold`,
        which is drawn where it is positive and finite.
      title: of the figure.
    """
    columns = math.ceil(len(groups) / 2)
    axes = np.asarray(panel.subplots(2, columns, squeeze=False)).ravel()
    for ax in axes[len(groups) :]:
        ax.set_visible(False)
    for ax, (name, curves) in zip(axes, groups.items(), strict=False):
        entries: dict[str, Line2D] = {}
        ax.axhline(1, color=plots.QUIET, linewidth=0.8, zorder=1)
        for curve in curves:
            colour = COLOURS[curve["colour"] % len(COLOURS)]
            style = (0, (4, 2)) if curve["dashed"] else "-"
            (drawn,) = ax.plot(*curve["line"], color=colour, linestyle=style, linewidth=1.3, zorder=2)
            entries.setdefault(curve["label"], drawn)
            face = "white" if curve["dashed"] else colour
            ax.plot(*curve["dots"], "o", color=colour, markerfacecolor=face, markersize=3.2, zorder=3)
            if 0 < curve["threshold"] < math.inf:
                ax.plot(curve["threshold"], 1, "|", color=colour, markersize=18, markeredgewidth=1.6, zorder=4)
        ax.set(xlim=(0, None), ylim=(0.3, 1.5), xlabel="step size η")
        ax.set_title(name, fontsize=10)
        ax.legend(
            entries.values(), entries.keys(),
            fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2, frameon=False,
        )  # fmt: skip
    for ax in axes[::columns]:
        ax.set_ylabel("factor per step")
    panel.suptitle(title, fontsize=12)


def trajectories(
    panel: Panel,
    paths: np.ndarray,
    names: Sequence[str],
    factors: np.ndarray,
    title: str,
    *,
    axis_names: tuple[str, str] = ("x", "y"),
    columns: int = 8,
    limit: float = 2.0,
) -> None:
    """Paths in the plane, a panel for each: blue where it contracts, grey where it circles, red where it diverges.

    Args:
      paths: `[n, steps, 2]`; a path is drawn up to where it leaves the panel.
      names: `[n]`, of the panels.
      factors: `[n]`, per step; their side of 1 gives the colour.
      title: of the figure.
      axis_names: of both coordinates.
      columns: panels in a row.
      limit: of the axes, on each side of the origin.
    """
    rows = math.ceil(len(paths) / columns)
    axes = panel.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for ax in axes.ravel()[len(paths) :]:
        ax.set_visible(False)
    for ax, path, name, factor in zip(axes.ravel(), paths, names, factors, strict=False):
        colour = plots.QUIET if abs(factor - 1) <= NEUTRAL else plots.POSITIVE if factor < 1 else plots.NEGATIVE
        ax.axhline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.axvline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.plot(*path.T, "-", color=colour, linewidth=0.7, alpha=0.6)
        ax.plot(*path.T, "o", color=colour, markersize=1.8)
        ax.plot(*path[0], "o", color="black", markersize=3.5)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        ax.set_title(f"{name}\n{factor:.6f}", fontsize=8, color=colour)
        ax.tick_params(labelsize=7)
    panel.supxlabel(axis_names[0], fontsize=10)
    panel.supylabel(axis_names[1], fontsize=10)
    panel.suptitle(title, fontsize=12)
