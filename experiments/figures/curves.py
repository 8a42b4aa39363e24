"""Figures of the reproductions without networks: distances at every step, and paths in the plane of the players.

A method has one color. What the code does is solid; the published algorithm, where it differs, is dashed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from figures.panels import grid, title
from matplotlib.axes import Axes

from slantgan_jax import plots

COLORS = *plots.PALETTE, "#6b7280", "#7c3aed"
DASHES = {"code": "-", "paper": "--", "text": "--"}
LABELS = {"code": "{}", "paper": "{}, as published", "text": "{}, as the text says"}


def gidel(figure: plots.Figure, data: dict[str, Any]) -> None:
    """Left the distance from the equilibrium, right the paths of the players."""
    left, right = figure.subplots(1, 2)
    distances(left, data["distances"], "step")
    left.set(ylabel="distance from the equilibrium")
    left.set_title(f"Claim: {data['claim']}", fontsize=9)
    colors = colors_of(data["distances"])
    for source, own in data["paths"].items():
        for name, points in own.items():
            right.plot(*np.asarray(points).T, DASHES[source], color=colors[name], linewidth=1.1)
    right.plot(*np.asarray(data["paths"]["code"]["simultaneous"])[0], "s", color="black", label="start")
    right.plot(0, 0, "k+", markersize=11, label="equilibrium")
    for side in (-1, 1):
        right.axhline(side * data["bound"], color=plots.QUIET, linewidth=0.8, linestyle=":")
    right.set(xlabel="θ, generator", ylabel="φ, discriminator", aspect="equal")
    right.set_title("Paths; between the dotted lines D may move", fontsize=9)
    right.legend(fontsize=8)
    title(figure, data["answer"])


def daskalakis(figure: plots.Figure, data: dict[str, Any]) -> None:
    """Left the distance of G from the mean, right the path of G: of optimism all, of all others the last quarter."""
    left, right = figure.subplots(1, 2)
    distances(left, data["distances"], "step of G")
    left.set(ylabel="distance of G from the mean of the data")
    left.set_title(f"Claim: {data['claim']}", fontsize=9)
    colors = colors_of(data["distances"])
    for name, points in data["paths"]["code"].items():
        whole = np.asarray(points)[:, 0]
        drawn = whole if name == "optimism" else whole[-(len(whole) // 4) :]
        right.plot(*drawn.T, color=colors[name], linewidth=1)
    right.plot(*np.asarray(data["paths"]["code"]["optimism"])[0, 0], "s", color="black", label="start")
    right.plot(*np.asarray(data["mean"]), "k+", markersize=11, label="mean of the data")
    right.set(xlabel="θ₁", ylabel="θ₂", aspect="equal")
    right.set_title("G's path: of optimism all of it, of the descents the last quarter", fontsize=9)
    right.legend(fontsize=8)
    title(figure, data["answer"])


def chavdarova(figure: plots.Figure, data: dict[str, Any]) -> None:
    """Left the game of all terms, right a panel for each size of minibatches: means and deviations of five runs."""
    left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1], squeeze=False)[0]
    ax = left.subplots()
    means, passes = (
        {source: {name: found[part] for name, found in own.items()} for source, own in data["batch"].items()}
        for part in ("mean", "passes")
    )
    distances(ax, means, "passes over all terms", passes)
    ax.set(ylabel="‖x - x*‖ + ‖y - y*‖", ylim=(1e-13, 1e5))
    ax.set_title(f"Claim: {data['claims']['batch']}", fontsize=9)
    panels = grid(right, len(data["minibatch"]), 2, sharex=True, sharey=True)
    for ax, (size, sources) in zip(panels, data["minibatch"].items(), strict=True):
        colors, top = colors_of(sources), 2 * sources["code"]["lookahead"]["mean"][0]
        for source, own in sources.items():
            for name, found in own.items():
                mean, deviation = np.asarray(found["mean"]), np.asarray(found["deviation"])
                x = found["passes"] * np.arange(len(mean))
                label = LABELS[source].format(name)
                ax.plot(x, mean, DASHES[source], color=colors[name], linewidth=1.1, label=label)
                if source == "code":
                    ax.fill_between(x, mean - deviation, mean + deviation, color=colors[name], alpha=0.2, linewidth=0)
        ax.set(ylim=(0, top))
        ax.set_title(f"{size} of 100 terms in a minibatch", fontsize=9)
    for ax in panels[-2:]:
        ax.set_xlabel("passes, as the code counts them")
        ax.tick_params(labelbottom=True)
    panels[0].legend(fontsize=6.5)
    right.suptitle(f"Claim: {data['claims']['minibatch']}", fontsize=9)
    title(figure, data["answer"])


def colors_of(curves: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A color for each method of the code."""
    return dict(zip(curves["code"], COLORS[: len(curves["code"])], strict=True))


def distances(ax: Axes, curves: Mapping[str, Mapping[str, Any]], xlabel: str, every: Any = None) -> None:
    """A logarithmic panel of distances. From record to record there are `every` units of the x axis, by default one."""
    colors = colors_of(curves)
    for source, own in curves.items():
        for name, curve in own.items():
            x = (every[source][name] if every else 1) * np.arange(len(curve))
            label = LABELS[source].format(name)
            ax.semilogy(x, curve, DASHES[source], color=colors[name], linewidth=1.3, label=label)
    ax.set_xlabel(xlabel)
    ax.legend(fontsize=8)
