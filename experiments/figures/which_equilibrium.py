"""The figure of which_equilibrium.py: lines in the plane of a pixel, the law against the ends, other methods."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax.plots import QUIET, Panel

COLORS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d")
MARKERS = "o^sD"
PIXELS = ("top left", "top right", "bottom left", "bottom right")


def draw(panel: Panel, data: dict[str, Any]) -> None:
    plane, law, methods = panel.subplots(1, 3)
    steepest_lines(plane, data["flow"])
    ends_against_law(law, data["flow"], data["which"]["R² of laws"])
    ends_of_methods(methods, data["which"]["methods"])
    panel.suptitle(data["answer"], fontsize=10.5)


def steepest_lines(ax: Axes, flow: dict[str, np.ndarray]) -> None:
    """One pixel's plane of w and b: its equilibria, the lines of steepest mean, and some runs among them."""
    w, b = flow["grid_w"], flow["grid_b"]
    ax.contour(w, b, flow["lines"], levels=np.arange(-6, 6.1, 0.4), colors="#cbd5e1", linewidths=0.8, linestyles="-")
    ax.plot(w, flow["surface"], color="black", linewidth=1.8, label="equilibria")
    for i, path in enumerate(flow["paths"]):
        ax.plot(path[:, 0], path[:, 4], color=COLORS[i % 4], linewidth=0.7)
        ax.plot(*path[0, [0, 4]], "o", color=COLORS[i % 4], markersize=5, label="" if i else "start of a run")
        ax.plot(*flow["end"][i, [0, 4]], "s", color=COLORS[i % 4], markersize=5, label="" if i else "its end")
    ax.plot([], [], color="#94a3b8", linewidth=0.8, label="lines of steepest mean")
    ax.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]), xlabel="weight w of the top left pixel", ylabel="its bias b")
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Runs swing along one line of steepest mean", fontsize=10)


def ends_against_law(ax: Axes, flow: dict[str, np.ndarray], explained: dict[str, float]) -> None:
    """Final weights against those of the steepest line, with a color for each pixel; in gray those of the start."""
    end = flow["end"][:, :4]
    ax.plot(flow["start"][:, :4], end, ".", color="#cbd5e1", markersize=3, zorder=1)
    for i, name in enumerate(PIXELS):
        ax.plot(flow["steepest"][:, i], end[:, i], MARKERS[i], color=COLORS[i], markersize=2.5, label=name)
    limits = [end.min() - 0.3, end.max() + 0.3]
    ax.plot(limits, limits, color="black", linewidth=0.8)
    text = "\n".join(f"{name}: 1 - R² = {1 - value:.2g}" for name, value in explained.items())
    ax.text(0.97, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=8)
    ax.set(xlim=limits, ylim=limits, xlabel="weight w where the steepest line meets the equilibria")
    ax.set_ylabel("weight w after training")
    ax.legend(fontsize=8, loc="upper left", title="pixel (gray: against w of the start)", title_fontsize=8)
    ax.set_title("Where that line meets the equilibria the run ends", fontsize=10)


def ends_of_methods(ax: Axes, methods: dict[str, dict[str, Any]]) -> None:
    """How far from the flow's ends and from those of the law other methods end, in spreads over starts."""
    names = sorted(methods, key=lambda name: methods[name]["from the flow's end, in spreads"], reverse=True)
    for what, marker, color in (("the flow's end", "o", COLORS[0]), ("the steepest law", "x", COLORS[1])):
        shares = [100 * methods[name][f"from {what}, in spreads"] for name in names]
        ax.plot(shares, range(len(names)), marker, color=color, label=f"from {what}")
    ax.axvline(100, color=QUIET, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xscale="log", xlim=(0.1, 200), xlabel="rms distance of w, % of the spread over starts")
    ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Rules and rates hardly matter, Adam and the loss do", fontsize=10)
