"""Figures of games with two parameters: arrays in, drawings out, as in `plots`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax import plots
from slantgan_jax.plots import Panel


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
