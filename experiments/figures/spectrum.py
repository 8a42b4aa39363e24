"""The figure of spectrum.py: the eigenvalues of a flow and the multipliers of a rule, in the complex plane."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax.plots import QUIET, Panel

STABLE, UNSTABLE, AXIS = "#0f766e", "#dc2626", "#e5e7eb"
GROWTH_TOLERANCE = 1e-11
"""A growth of this size or less is drawn as 0. The verdict is that of `spectra`."""
SMALLEST_MODULUS = 1e-6
"""Multipliers below have no place on the logarithmic axis."""


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """From left to right: eigenvalues, multipliers, and the logarithms of the multipliers."""
    eigenvalues, multipliers = (
        np.array(pairs) @ [1, 1j] for pairs in (data["eigenvalues"], data["update"]["multipliers"])
    )
    left, middle, right = panel.subplots(1, 3)
    zero = eigenvalues == 0
    half_planes(left, np.real(eigenvalues[~zero]), np.imag(eigenvalues[~zero]), int(zero.sum()))
    left.set(xlabel="growth: Re λ, per unit of flow time (symmetric logarithm)", ylabel="rotation: Im λ, radians")
    left.set_title("flow: eigenvalues λ of -J", fontsize=10)

    one = multipliers == 1
    unit_disk(middle, multipliers[~one], multipliers)
    settings = data["settings"]
    rule = f"{settings['rule']}, rate {settings['learning_rate']:g}"
    middle.set_title(f"{rule}: multipliers μ, in the circle decays", fontsize=10)

    shown = multipliers[~one & (np.abs(multipliers) > SMALLEST_MODULUS)]
    half_planes(right, np.log(np.abs(shown)), np.degrees(np.angle(shown)), int(one.sum()))
    right.set(xlabel="growth: ln |μ| (symmetric logarithm); the unit circle is at 0", ylabel="turn: arg μ, degrees")
    right.set_title("the same, circle unrolled", fontsize=10)
    panel.suptitle(data["answer"], fontsize=12)


def dots(ax: Axes, x: np.ndarray, y: np.ndarray, growth: np.ndarray, neutral: str) -> None:
    """A dot for each mode, in the color of what it does."""
    neither = np.abs(growth) <= GROWTH_TOLERANCE
    for chosen, color in ((neither, neutral), (~neither & (growth < 0), STABLE), (~neither & (growth > 0), UNSTABLE)):
        ax.plot(x[chosen], y[chosen], "o", color=color, markersize=5)


def unit_disk(ax: Axes, drawn: np.ndarray, multipliers: np.ndarray) -> None:
    """The `drawn` multipliers and the unit circle, on axes that have room for all `multipliers`."""
    turns = np.linspace(0, 2 * np.pi, 400)
    ax.fill(np.cos(turns), np.sin(turns), facecolor=STABLE + "14", edgecolor=QUIET, linewidth=0.8)
    ax.axhline(0, color=AXIS, linewidth=0.8, zorder=0)
    ax.axvline(0, color=AXIS, linewidth=0.8, zorder=0)
    dots(ax, np.real(drawn), np.imag(drawn), np.abs(drawn) - 1, neutral=STABLE)
    reach = max(1.15, 1.1 * float(np.abs(multipliers).max()))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="Re μ", ylabel="Im μ")


def half_planes(ax: Axes, growth: np.ndarray, turn: np.ndarray, zeros: int) -> None:
    """Modes to the left of 0, which decay, and to the right, which grow; they may lie decades apart."""
    sizes = np.abs(growth[np.abs(growth) > GROWTH_TOLERANCE])
    smallest = 10.0 ** math.floor(math.log10(sizes.min())) if sizes.size else 1.0
    largest = 10.0 ** math.ceil(math.log10(sizes.max())) if sizes.size else 1.0
    ax.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    reach = (-3 * largest, 3 * largest if (growth > GROWTH_TOLERANCE).any() else 3 * smallest)
    ax.axvspan(reach[0], 0, color=STABLE, alpha=0.08, linewidth=0)
    ax.axvspan(0, reach[1], color=UNSTABLE, alpha=0.08, linewidth=0)
    ax.axvline(0, color=QUIET, linewidth=0.8)
    ax.axhline(0, color=AXIS, linewidth=0.8, zorder=0)
    dots(ax, growth, turn, growth, neutral=QUIET)
    if zeros:
        ax.plot(0, 0, "o", color="black", markerfacecolor="white", markersize=7, zorder=3)
        text = f"{zeros} zero modes, along\nthe equilibria"
        ax.annotate(text, (0, 0), xytext=(-8, 14), textcoords="offset points", fontsize=8, ha="right")
    ax.text(0.02, 0.98, "decays", transform=ax.transAxes, fontsize=9, color=STABLE, va="top")
    ax.text(0.98, 0.98, "grows", transform=ax.transAxes, fontsize=9, color=UNSTABLE, va="top", ha="right")
    ax.set_xlim(*reach)
