"""The figure of convergence_rates.py: e-folding times of methods, predicted and measured."""

from typing import Any

import numpy as np

from slantgan_jax.plots import GENERATOR, Panel

RATE_COLORS = ("#be185d", GENERATOR, "#1d4ed8", "#b45309")


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """A row for each method: rings are predicted, dots measured, with a color for each learning rate."""
    ax = panel.subplots()
    rows = data["methods"]
    names = list(dict.fromkeys(row["method"] for row in rows))
    rates = list(dict.fromkeys(row["learning rate"] for row in rows))
    for rate, color in zip(rates, RATE_COLORS, strict=False):
        own = [row for row in rows if row["learning rate"] == rate]
        places = [names.index(row["method"]) for row in own]
        ring = {"markersize": 11, "markerfacecolor": "none", "label": f"rate {rate:g}: predicted"}
        ax.plot([row["predicted"] for row in own], places, "o", color=color, **ring)
        measured = [row["measured"] for row in own]
        ax.plot(measured, places, "o", color=color, markersize=4.5, label=f"rate {rate:g}: measured")
        for place, value in zip(places, measured, strict=True):
            if np.isfinite(value):
                position = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
                ax.annotate(f"{value:,.0f}", (value, place), fontsize=8, **position)
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.8))
    ax.set_xlabel("epochs in which the distance falls by e, near the equilibrium")
    ax.set_yticks(range(len(names)), names)
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    ax.set_title(f"Time to converge, exact expectations, from the article's start\n{data['answer']}", fontsize=10)
    ax.legend(fontsize=9, loc="upper left")
