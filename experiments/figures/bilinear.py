"""The figures of bilinear.py."""

import math
import re
from typing import Any

import numpy as np
from figures.panels import grid
from matplotlib.lines import Line2D

from slantgan_jax import plots

COLORS = plots.PALETTE
NEUTRAL_FACTOR = 1e-8
"""A factor so near to 1 counts as 1."""
COLUMNS = 8
PLANE = 2.0
"""How far a panel of the plane reaches from the equilibrium."""
SIMULTANEOUS, ALTERNATING = COLORS[:2]
ROUNDING = 1e-13
"""A closed form that is below 1 by more contracts."""


def size_of_contraction(data: dict[str, Any]) -> tuple[float, float]:
    """A row for each method."""
    return 11, 2 + 0.23 * len(data["methods"])


def contraction(panel: plots.Panel, data: dict[str, Any]) -> None:
    """A row for each method: its factor at the best step size, and the step sizes at which it contracts. An arrow says
    that these never end."""
    rows = sorted(data["methods"], key=lambda row: row["best"]["factor"])
    windows = [np.asarray(row["windows"]) for row in rows]
    ends = np.concatenate([window.ravel() for window in windows])
    end = 1.05 * max(ends[np.isfinite(ends)], default=1.0)
    names = [re.sub(r", (simultaneous|alternating)", "", row["method"]) for row in rows]
    factors, sizes = panel.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    for place, row in enumerate(rows):
        color = ALTERNATING if "alternating" in row["method"] else SIMULTANEOUS
        face = "white" if color == ALTERNATING else color
        marks = {"color": color, "mfc": face, "markersize": 5}
        best, factor = row["best"]["step size"], row["best"]["factor"]
        if not len(windows[place]):
            circles = abs(row["drawn factor"] - 1) < NEUTRAL_FACTOR
            said = (
                "circles the equilibrium; at large step sizes it leaves"
                if circles
                else "leaves the equilibrium at all step sizes"
            )
            sizes.text(0.02, place, said, fontsize=8, color=color, va="center")
            continue
        factors.plot([factor, 1], [place, place], color=color, linewidth=0.8, alpha=0.5)
        factors.plot(factor, place, "o", clip_on=False, **marks)
        for first, last in windows[place]:
            sizes.plot([first, min(last, end)], [place, place], color=color, linewidth=3, alpha=0.4)
            if last == math.inf:
                arrow = {"arrowstyle": "->", "color": color}
                sizes.annotate("", (1.06 * end, place), (end, place), arrowprops=arrow)
        if best < math.inf:
            sizes.plot(best, place, "o", **marks)
        else:
            factors.text(
                factor + 0.03, place - 0.35, f"η → ∞: {round(factor, 3):g}", fontsize=8, color=color, va="center"
            )
    factors.set(ylim=(len(rows) - 0.3, -0.7), xlim=(0, 1), xlabel="factor per step at the best step size")
    factors.set_yticks(range(len(rows)), names, fontsize=8.5)
    sizes.set(xlim=(0, 1.07 * end), xlabel="step size η; bars: where the method contracts; dots: the best")
    for ax in (factors, sizes):
        ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
        ax.set_axisbelow(True)
    for color, name in ((SIMULTANEOUS, "simultaneous"), (ALTERNATING, "alternating")):
        face = "white" if color == ALTERNATING else color
        sizes.plot([], [], "o", color=color, mfc=face, markersize=5, label=name)
    sizes.legend(fontsize=9, loc="lower right")
    contracting = sum(len(window) > 0 for window in windows)
    panel.suptitle(
        f"On min max x y, {contracting} of {len(rows)} ways to play contract; plain gradients never do", fontsize=12
    )


def factors(figure: plots.Figure, data: dict[str, Any]) -> None:
    """The factor of a step against the step size, a panel for each group; what is below the line at 1 is stable."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in data["methods"]:
        groups.setdefault(row["group"], []).append(row)
    columns = math.ceil(len(groups) / 2)
    axes = grid(figure, len(groups), columns)
    for ax, (name, rows) in zip(axes, groups.items(), strict=True):
        families: dict[str, Line2D] = {}
        ax.axhline(1, color=plots.QUIET, linewidth=0.8, zorder=1)
        for row in rows:
            known = families.get(row["family"])
            color = known.get_color() if known else COLORS[len(families)]
            style, face = ((0, (4, 2)), "white") if "alternating" in row["method"] else ("-", color)
            (line,) = ax.plot(*row["curve"], color=color, linestyle=style, linewidth=1.3, zorder=2)
            families.setdefault(row["family"], line)
            ax.plot(row["step_sizes"], row["measured"], "o", color=color, mfc=face, markersize=3.2, zorder=3)
            threshold = row["threshold"]["closed"]
            if 0 < threshold < math.inf:
                ax.plot(threshold, 1, "|", color=color, markersize=18, markeredgewidth=1.6, zorder=4)
        ax.set(xlim=(0, None), ylim=(0, 1.5), xlabel="step size η")
        ax.set_title(name, fontsize=10)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        ax.legend(families.values(), families.keys(), fontsize=9, ncol=2, frameon=False, **below)
    for ax in axes[::columns]:
        ax.set_ylabel("factor per step")
    figure.suptitle(
        "On min max x y plain gradients never contract; alternation with negative momentum, extrapolation, the "
        "Jacobian and lookahead do, up to a step size (bars)\n"
        "lines: closed form, dots: runs; solid: simultaneous, dashed: alternating",
        fontsize=12,
    )


def trajectories(figure: plots.Figure, data: dict[str, Any]) -> None:
    """The same run of every method in the plane: blue if it contracts, gray if it circles, red if it leaves."""
    rows = data["methods"]
    for ax, row in zip(grid(figure, len(rows), COLUMNS, sharex=True, sharey=True), rows, strict=True):
        factor, path = row["drawn factor"], np.asarray(row["path"])
        neutral = abs(factor - 1) <= NEUTRAL_FACTOR
        color = plots.QUIET if neutral else plots.POSITIVE if factor < 1 else plots.NEGATIVE
        ax.axhline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.axvline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.plot(*path.T, "-", color=color, linewidth=0.7, alpha=0.6)
        ax.plot(*path.T, "o", color=color, markersize=1.8)
        ax.plot(*path[0], "o", color="black", markersize=3.5)
        ax.set(xlim=(-PLANE, PLANE), ylim=(-PLANE, PLANE), aspect="equal")
        name = re.sub(r", (?=simultaneous|alternating)| (?=of )", "\n", row["method"])
        ax.set_title(f"{name}\n{factor:.6f}", fontsize=8, color=color)
        ax.tick_params(labelsize=7)
    figure.supxlabel("x", fontsize=10)
    figure.supylabel("y", fontsize=10)
    figure.suptitle(
        f"min max x y at η = {data['drawn']['step size']}, {data['drawn']['steps']} steps: blue comes to the "
        "equilibrium, gray circles it, red leaves it (below the name: factor per step)",
        fontsize=12,
    )
