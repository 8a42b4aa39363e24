"""The figures of compare_methods.py: median steps to equilibrium, a row for each method; a summary, and every cell."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm

from slantgan_jax.plots import PALETTE, Panel

FATES = {
    "converged": ("some", "#cbd5e1"),
    "converging": ("nears", "#cbd5e1"),
    "oscillating": ("circles", "#9ca3af"),
    "stalled": ("rests away", "#a8a29e"),
    "drifting": ("drifts", "#bfb9ae"),
    "diverged": ("diverges", "#3f3f46"),
}
"""What most runs do in a word, and its gray."""

MARKERS = {"tutorial": "o", "simultaneous": "s", "alternating": "^"}
"""Of orders."""


def columns_of(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs of an objective and an order that were tried."""
    tried = {(entry["objective"], entry["rule"]) for entry in data["ranking"]}
    orders = ("tutorial", "simultaneous", "alternating")
    return [(name, order) for name in data["settings"]["objectives"] for order in orders if (name, order) in tried]


def size(data: dict[str, Any]) -> tuple[float, float]:
    return 2.5 + 0.62 * len(columns_of(data)), 2.2 + 0.34 * len(data["settings"]["methods"])


def size_of_summary(data: dict[str, Any]) -> tuple[float, float]:
    return 9, 2.6 + 0.26 * len(data["settings"]["methods"])


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """In each cell the median of the steps and the best rate, or in a word what most runs do."""
    ax = panel.subplots()
    columns, methods, steps = columns_of(data), data["settings"]["methods"], data["settings"]["steps"]
    norm, colors = LogNorm(max(steps / 100, 1), steps), colormaps["viridis_r"]
    for entry in data["ranking"]:
        row, column = methods.index(entry["method"]), columns.index((entry["objective"], entry["rule"]))
        median, verdict = entry["steps"][1], entry["verdict"]
        if np.isfinite(median):
            face, dark, text = colors(norm(median)), norm(median) > 0.5, f"{median:.0f}\n{entry['rate']:g}"
        else:
            (text, face), dark = FATES[verdict], verdict == "diverged"
        ax.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=face, linewidth=0)
        style = {"ha": "center", "va": "center", "fontsize": 6.5, "linespacing": 0.9}
        ax.text(column, row, text.replace(" ", "\n"), color="white" if dark else "black", **style)
    for objective in data["settings"]["objectives"]:
        places = [i for i, (name, _) in enumerate(columns) if name == objective]
        middle = (places[0] + places[-1]) / 2, -0.5
        ax.annotate(objective, middle, (0, 5), textcoords="offset points", ha="center", va="bottom", fontsize=9)
        ax.axvline(places[-1] + 0.5, color="white", linewidth=3)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(methods) - 0.5, -0.5))
    ax.set_xticks(range(len(columns)), [order for _, order in columns], rotation=60, ha="right", fontsize=8)
    ax.set_yticks(range(len(methods)), methods, fontsize=9)
    ax.tick_params(length=0)
    ax.set_title(f"Median steps to equilibrium; below, at which rate\n{data['answer']}", fontsize=10, pad=24)


def summary(panel: Panel, data: dict[str, Any]) -> None:
    """A dot for each objective and order in which a method arrives, and in how many it does; most first."""
    ax, methods = panel.subplots(), data["settings"]["methods"]
    entries = {name: [entry for entry in data["ranking"] if entry["method"] == name] for name in methods}
    medians = {name: [e["steps"][1] for e in own if np.isfinite(e["steps"][1])] for name, own in entries.items()}
    order = sorted(
        methods, key=lambda name: (-len(medians[name]) / max(len(entries[name]), 1), min(medians[name], default=0))
    )
    objectives = data["settings"]["objectives"]
    colors = dict(zip(objectives, PALETTE[: len(objectives)], strict=True))
    for place, name in enumerate(order):
        for entry in entries[name]:
            if np.isfinite(entry["steps"][1]):
                marker = MARKERS[entry["rule"]]
                ax.plot(entry["steps"][1], place, marker, color=colors[entry["objective"]], markersize=6, alpha=0.8)
        share = f"{len(medians[name])} of {len(entries[name])}"
        ax.text(1.01, place, share, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    for objective, color in colors.items():
        ax.plot([], [], "s", color=color, label=objective)
    for rule, marker in MARKERS.items():
        ax.plot([], [], marker, color="black", label=rule)
    ax.set(xscale="log", ylim=(len(order) - 0.4, -0.6), xlabel="median steps to within 1 % of the equilibrium")
    ax.set_yticks(range(len(order)), order)
    ax.grid(color="#e5e7eb", linewidth=0.6)
    ax.set_title(f"{data['answer']}\nright: in how many objectives and orders most seeds arrive", fontsize=10)
    panel.legend(*ax.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=4)
