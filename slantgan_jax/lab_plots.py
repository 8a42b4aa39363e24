"""Figures of known games: arrays in, drawings out, as in `plots`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from slantgan_jax import plots
from slantgan_jax.plots import Panel

COLOURS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d", "#6d28d9", "#4d7c0f", "#0ea5e9", "#525252")
NEUTRAL = 1e-8
"""A factor so near to 1 counts as 1."""


def contraction_factors(panel: Panel, groups: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> None:
    """The factor per step against the step size, a panel for each group of curves; below the line at 1 is stable.

    Args:
      groups: name to curves. A curve has `label` and `color` (an index), which several may share, `dashed`, the closed
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
            color = COLOURS[curve["color"] % len(COLOURS)]
            style = (0, (4, 2)) if curve["dashed"] else "-"
            (drawn,) = ax.plot(*curve["line"], color=color, linestyle=style, linewidth=1.3, zorder=2)
            entries.setdefault(curve["label"], drawn)
            face = "white" if curve["dashed"] else color
            ax.plot(*curve["dots"], "o", color=color, markerfacecolor=face, markersize=3.2, zorder=3)
            if 0 < curve["threshold"] < math.inf:
                ax.plot(curve["threshold"], 1, "|", color=color, markersize=18, markeredgewidth=1.6, zorder=4)
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
    """Paths in the plane, a panel for each: blue where it contracts, gray where it circles, red where it diverges.

    Args:
      paths: `[n, steps, 2]`; a path is drawn up to where it leaves the panel.
      names: `[n]`, of the panels.
      factors: `[n]`, per step; their side of 1 gives the color.
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
        color = plots.QUIET if abs(factor - 1) <= NEUTRAL else plots.POSITIVE if factor < 1 else plots.NEGATIVE
        ax.axhline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.axvline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
        ax.plot(*path.T, "-", color=color, linewidth=0.7, alpha=0.6)
        ax.plot(*path.T, "o", color=color, markersize=1.8)
        ax.plot(*path[0], "o", color="black", markersize=3.5)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        ax.set_title(f"{name}\n{factor:.6f}", fontsize=8, color=color)
        ax.tick_params(labelsize=7)
    panel.supxlabel(axis_names[0], fontsize=10)
    panel.supylabel(axis_names[1], fontsize=10)
    panel.suptitle(title, fontsize=12)


class Portrait(NamedTuple):
    """One game as seen in the plane of its players, (θ, ψ).

    Attributes:
      title: what it is, and what becomes of it.
      color: of the title and of the ends.
      axis: `[n]`, the places of the arrows on both axes; the picture ends there.
      arrows: `[n, n, 2]`, the direction of a step at `(θ, ψ) = (axis[j], axis[i])`.
      paths: `[starts, points, 2]`, where runs go first.
      ends: `[starts, points, 2]`, where they are at last.
    """

    title: str
    color: str
    axis: np.ndarray
    arrows: np.ndarray
    paths: np.ndarray
    ends: np.ndarray


def phase_portraits(panel: Panel, portraits: Sequence[Portrait], columns: int, title: str, caption: str) -> None:
    """A sheet of portraits; streamlines of the field, the first part of each path thin, its end thick."""
    rows = math.ceil(len(portraits) / columns)
    axes = np.asarray(panel.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)).ravel()
    for ax, portrait in zip(axes, portraits, strict=False):
        arrows = portrait.arrows
        ax.streamplot(portrait.axis, portrait.axis, arrows[..., 0], arrows[..., 1],
                      density=0.5, color="#b4b8c2", linewidth=0.6, arrowsize=0.6)  # fmt: skip
        for path, end in zip(portrait.paths, portrait.ends, strict=True):
            ax.plot(*path.T, color=plots.POSITIVE, linewidth=0.7, alpha=0.6)
            ax.plot(*path[0], "o", color=plots.POSITIVE, markersize=3)
            ax.plot(*end.T, ".", color=portrait.color, markersize=3.5, zorder=3)
        ax.plot(0, 0, "+", color="black", markersize=7, zorder=4)
        limits = portrait.axis[0], portrait.axis[-1]
        ax.set(xlim=limits, ylim=limits, aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        ax.set_title(portrait.title, fontsize=9, color=portrait.color)
    for ax in axes[len(portraits) :]:
        ax.set_visible(False)
    for i, ax in enumerate(axes[: len(portraits)]):
        if i % columns == 0:
            ax.set_ylabel("ψ, discriminator", fontsize=8)
        if i + columns >= len(portraits):
            ax.set_xlabel("θ, generator", fontsize=8)
            ax.tick_params(labelbottom=True)
    panel.suptitle(title, fontsize=13)
    panel.supxlabel(caption, fontsize=10)


class Sweep(NamedTuple):
    """One curve over the penalty's strength: `closed` `[n]` from the spectrum, `measured` from runs at every tenth
    strength, from the tenth on, and the `best` strength."""

    name: str
    color: str
    closed: np.ndarray
    measured: np.ndarray
    best: float


def critical_penalty(panel: Panel, strengths: np.ndarray, flow: Sweep, updates: Sequence[Sweep], title: str) -> None:
    """Against the penalty's `strengths` `[n]`: left the decay rate of the flow, right the factor of a step."""
    left, right = panel.subplots(1, 2)
    _sweeps(left, strengths, [flow])
    left.set(ylabel="decay rate: smallest real part of an eigenvalue", ylim=(0, None))
    left.set_title(f"The flow is fastest at γ = {flow.best:.3g}, where the eigenvalues meet", fontsize=10)
    _sweeps(right, strengths, updates)
    right.set(ylabel="factor of the distance in a step: spectral radius")
    right.set_title("Updates are fastest there, or just below where players alternate", fontsize=10)
    panel.suptitle(title, fontsize=12)


def _sweeps(ax: Axes, strengths: np.ndarray, sweeps: Sequence[Sweep]) -> None:
    for sweep in sweeps:
        ax.plot(strengths, sweep.closed, color=sweep.color, label=f"{sweep.name}: closed form")
        ax.plot(
            strengths[9::10], sweep.measured, "o", color=sweep.color, markersize=3.5, label=f"{sweep.name}: measured"
        )
        ax.axvline(sweep.best, color=sweep.color, linestyle=":", linewidth=1)
    ax.set_xlabel("strength γ of the penalty R1")
    ax.legend(fontsize=9)
