"""The figure of stability_edge.py: the largest stable rate along the equilibria, a panel for each rule."""

import math
from typing import Any

import numpy as np
from figures.panels import grid
from matplotlib.axes import Axes

from slantgan_jax.plots import Panel

COLORS = ("#1d4ed8", "#b45309", "#6d28d9", "#0f766e")
"""Of the strengths of R1."""


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Lines are predicted, dots measured; the equilibria with random weights stand on gray."""
    rows, scales = data["rows"], np.array(data["settings"]["scales"])
    beside = scales.max() + 0.6 * (1 + np.arange(len(data["weights"]) - len(scales)))
    columns = math.ceil(len(rows) / 3)
    axes = grid(panel, len(rows), columns, sharex=True, sharey=True)
    for ax, row in zip(axes, rows, strict=True):
        edges(ax, row, scales, beside, data["settings"]["strengths"])
        if len(beside):
            ax.axvspan(scales.max() + 0.3, beside.max() + 0.3, color="#f3f4f6", linewidth=0, zorder=0)
    for ax in axes[::columns]:
        ax.set_ylabel("largest stable rate")
    axes[0].legend(fontsize=8, title="R1, lines predicted", title_fontsize=8)
    panel.supxlabel(
        "equilibrium: s of the weights s (1, -1, -1, 1); on gray, random weights. Lines: from the spectrum. "
        "Dots: measured by runs. Crosses: above, the rule has no fixed point",
        fontsize=10,
    )
    panel.suptitle(data["answer"], fontsize=12)


def edges(ax: Axes, row: dict[str, Any], scales: np.ndarray, beside: np.ndarray, strengths: list[float]) -> None:
    """One rule: rates against the `scales`, and those of random weights `beside` them."""
    places, along = np.append(scales, beside), len(scales)
    for i, strength in enumerate(strengths):
        color = COLORS[i % len(COLORS)]
        predicted, measured, lost = (row[name][:, i] for name in ("predicted", "measured", "lost"))
        ax.plot(scales, predicted[:along], color=color, linewidth=1.3, label=f"γ = {strength:g}")
        ax.plot(beside, predicted[along:], "_", color=color, markersize=11, markeredgewidth=1.3)
        ax.plot(places[~lost], measured[~lost], "o", color=color, markersize=4)
        ax.plot(places[lost], predicted[lost], "x", color=color, markersize=5)
    known = row["difference"][~row["lost"]]
    ax.set_title(f"{row['method']}\nmeasured within {known.max():.0e}" if known.size else row["method"], fontsize=9)
    ax.set_yscale("log")
    ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
