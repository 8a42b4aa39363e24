"""The figures of dirac_gan.py and critical_penalty.py."""

import math
from typing import Any

import numpy as np
from _results import is_known
from figures.panels import grid, title
from matplotlib.axes import Axes

from slantgan_jax import plots

COLORS = {"linear": plots.POSITIVE, "sublinear": "#d97706"}
SIGNS = {"linear": "✓✓", "sublinear": "✓"}
"""Of what converges; all else is black and has a cross."""

CURVES = {"flow": plots.GENERATOR, "simultaneous": plots.POSITIVE, "alternating": plots.DISCRIMINATOR}
COLUMNS = 6


def size(data: dict[str, Any]) -> tuple[float, float]:
    """The inches of a sheet with a portrait of each method."""
    count = len(data["methods"])
    return max(8, 2.7 * min(count, COLUMNS)), 0.9 + 3.07 * math.ceil(count / COLUMNS)


def portraits(figure: plots.Figure, data: dict[str, Any]) -> None:
    """A portrait of each method in the plane of its players: streamlines, and runs with their ends thick."""
    rows, axis, arrays = data["methods"], np.asarray(data["axis"]), data["portraits"]
    columns = min(len(rows), COLUMNS)
    axes = grid(figure, len(rows), columns, sharex=True, sharey=True)
    limits = axis[0], axis[-1]
    for i, (ax, (name, row)) in enumerate(zip(axes, rows.items(), strict=True)):
        arrows, paths, ends = (np.asarray(arrays[part][i]) for part in ("arrows", "paths", "ends"))
        color, sign = COLORS.get(row["run verdict"], "black"), SIGNS.get(row["run verdict"], "×")
        lines = {"color": "#b4b8c2", "linewidth": 0.6, "arrowsize": 0.6, "density": 0.5}
        ax.streamplot(axis, axis, arrows[..., 0], arrows[..., 1], **lines)
        for path, end in zip(paths, ends, strict=True):
            ax.plot(*path.T, color=color, linewidth=0.7, alpha=0.6)
            ax.plot(*path[0], "o", color=color, markersize=3)
            ax.plot(*end.T, ".", color=color, markersize=3.5, zorder=3)
        ax.plot(0, 0, "+", color="black", markersize=7, zorder=4)
        ax.set(xlim=limits, ylim=limits, aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        ax.set_title(f"{sign} {name}\n{outcome(row)}", fontsize=9, color=color)
        if i % columns == 0:
            ax.set_ylabel("ψ, discriminator", fontsize=8)
        if i + columns >= len(rows):
            ax.set_xlabel("θ, generator", fontsize=8)
            ax.tick_params(labelbottom=True)
    title(figure, data["answer"].partition("\n")[0])
    figure.supxlabel(
        f"+: the equilibrium. Dots and thin lines: starts and the first {data['drawn steps']['paths']} steps. "
        f"Thick: the last {data['drawn steps']['ends']}. Gray: against the field.\n"
        "✓✓, blue: converges linearly. ✓, orange: sublinearly. ×, black: does not converge.",
        fontsize=10,
    )


def outcome(row: dict[str, Any]) -> str:
    """What the runs did, in words."""
    (low, high), (least, most) = row["radius"], row["share"]
    factor, exponent = (
        text.format(row[name]) if is_known(row[name]) else ""
        for name, text in (("measured factor", ", factor {:.4f} a step"), ("exponent", ", n^{:.2f}"))
    )
    kind: str = row["run verdict"]
    words = {
        "linear": f"converges{factor}",
        "sublinear": f"converges sublinearly{exponent}",
        "limit cycle": f"limit cycle, radius {low:.2g} to {high:.2g}",
        "closed orbits": f"orbits, {least:.2f} to {most:.2f} of the start",
        "circling": "circles; too short to tell more",
        "stalls": f"stalls at distance {low:.2g} to {high:.2g}",
        "drifts": f"drifts at distance {low:.2g} to {high:.2g}",
        "leaves": f"leaves, to distance {low:.2g} to {high:.2g}",
        "spirals out": f"spirals out, by {least:.2g} to {most:.2g}",
    }
    return words.get(kind, kind)


def critical_penalty(figure: plots.Figure, data: dict[str, Any]) -> None:
    """Against the penalty's strength: left the decay rate of the flow, right the factor of a step."""
    left, right = figure.subplots(1, 2)
    curves(left, data, "flow")
    left.set(ylabel="decay rate: smallest real part of an eigenvalue", ylim=(0, None))
    left.set_title(f"The flow is fastest at γ = {data['flow']['best']:.3g}, where the eigenvalues meet", fontsize=10)
    curves(right, data, "simultaneous", "alternating")
    right.set(ylabel="factor of the distance in a step: spectral radius")
    best = {name: f"{data[name]['best']:.3g}" for name in ("simultaneous", "alternating")}
    right.set_title(
        f"Simultaneous steps are fastest at γ = {best['simultaneous']}, alternating ones at {best['alternating']}",
        fontsize=10,
    )
    title(figure, data["answer"])


def curves(ax: Axes, data: dict[str, Any], *names: str) -> None:
    for name in names:
        curve, color = data[name], CURVES[name]
        ax.plot(data["strengths"], curve["closed"], color=color, label=f"{name}: closed form")
        ax.plot(
            data["measured strengths"], curve["measured"], "o", color=color, markersize=3.5, label=f"{name}: measured"
        )
        ax.axvline(curve["best"], color=color, linestyle=":", linewidth=1)
    ax.set_xlabel("strength γ of the penalty R1")
    ax.legend(fontsize=9)
