"""The figure of quality_of_equilibria.py: shares of runs against their distance from the faces."""

from typing import Any

import numpy as np

from slantgan_jax.plots import Panel

COLORS = ("#1d4ed8", "#b45309", "#0f766e")
TICKS = (1, 1.2, 1.5, 2, 3, 5, 8)


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Distances are in units of the least: of equilibria, of the tutorial's runs, and of three single generators."""
    ax = panel.subplots()
    for color, (name, found) in zip(COLORS, data["quality"].items(), strict=False):
        least = found["best"][0]
        for key, style in (("equilibria", "-"), ("runs", ":")):
            values = np.sort(found[key]) / least
            ax.plot(values, (np.arange(values.size) + 1) / values.size, style, color=color, linewidth=1.6)
        ax.plot([], [], color=color, linewidth=1.6, label=f"{name}, least {least:.4f}")
        marks = (found["surface"][0], "D"), (found["constant"], "X"), (found["runs"][0], "*")
        for height, (value, marker) in enumerate(marks, 1):
            ax.plot(value / least, height / 25, marker, color=color, markeredgecolor="white", markersize=8, zorder=5)
    for style, label in (("-", "equilibria reached"), (":", "the tutorial's 1000 epochs")):
        ax.plot([], [], style, color="black", label=label)
    for marker, label in (("D", "best equilibrium"), ("X", "collapsed, w = 0"), ("*", "tutorial, seed 0")):
        ax.plot([], [], marker, linestyle="none", color="black", markersize=6, label=label)
    ax.set(xscale="log", xlim=(0.95, 30), ylim=(0, 1), ylabel="share of runs at most so far")
    ax.set_xlabel("distance from the faces, relative to the best generator's")
    ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_xticks([], minor=True)
    ax.legend(fontsize=8, loc="center right")
    ax.set_title("Collapsing costs more than not being the best", fontsize=10)
    panel.suptitle(data["answer"], fontsize=10)
