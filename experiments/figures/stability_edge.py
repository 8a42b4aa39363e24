"""The figure of stability_edge.py: the largest stable rate of each rule, a row for each."""

from typing import Any

import numpy as np
from _results import counted
from figures.panels import told_apart

from slantgan_jax.plots import Panel


def size(data: dict[str, Any]) -> tuple[float, float]:
    """A row for each rule."""
    return 9, 2 + 0.36 * len(data["rows"])


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Rings are predicted, dots measured, one of each for every equilibrium; the largest rates first."""
    ax, strengths = panel.subplots(), data["settings"]["strengths"]
    rows = sorted(data["rows"], key=lambda row: -np.median(row["predicted"][:, 0]))
    styles = told_apart(len(strengths))
    offsets = 0.5 * (np.arange(len(strengths)) - (len(strengths) - 1) / 2) / len(strengths)
    for place, row in enumerate(rows):
        for i, (offset, (color, marker)) in enumerate(zip(offsets, styles, strict=True)):
            y = place + offset
            predicted, measured, lost = (row[name][:, i] for name in ("predicted", "measured", "lost"))
            ax.plot([predicted.min(), predicted.max()], [y, y], color=color, linewidth=1, alpha=0.5)
            ring = {"color": color, "marker": marker, "markersize": 7, "markerfacecolor": "none", "linewidth": 0}
            ax.plot(predicted[~lost], np.full((~lost).sum(), y), **ring)
            ax.plot(measured[~lost], np.full((~lost).sum(), y), ".", color=color, markersize=5)
            ax.plot(predicted[lost], np.full(lost.sum(), y), "x", color=color, markersize=6)
    for strength, (color, marker) in zip(strengths, styles, strict=True):
        label = "no penalty" if strength == 0 else f"R1, γ = {strength:g}"
        ax.plot([], [], marker=marker, linestyle="none", color=color, label=label)
    ax.set(xscale="log", ylim=(len(rows) - 0.4, -0.6), xlabel="largest stable learning rate")
    ax.set_yticks(range(len(rows)), [row["method"] for row in rows])
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    ax.legend(fontsize=9, loc="best")
    head, _, rest = data["answer"].partition("\n")
    ax.set_title(f"{head.replace(': ', ':' + chr(10), 1)}", fontsize=10)
    count = len(data["weights"])
    each = f"{counted(count, 'equilibrium', 'equilibria')}{', joined by a line' if count > 1 else ''}"
    cross = "Cross: beyond it the rule has no fixed point. " if any(np.any(row["lost"]) for row in rows) else ""
    caption = f"Ring: predicted by the spectrum. Dot: measured by runs. One of each for {each}.\n{cross}"
    panel.supxlabel(caption + rest.replace("; ", ";\n"), fontsize=8.5, x=0.01, ha="left")
