"""Figures of spectra and of the edge of stability: arrays in, drawings out, as in `plots`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax import plots
from slantgan_jax.plots import Panel

STABLE = "#0f766e"
UNSTABLE = "#dc2626"
NEUTRAL = 1e-11
"""A growth so near to 0 is neither, as in `spectra`."""
STRENGTHS = ("#1d4ed8", "#b45309", "#6d28d9", "#0f766e")


def planes(panel: Panel, flow: np.ndarray, multipliers: np.ndarray, rule: str, title: str) -> None:
    """The complex plane three times: a flow's eigenvalues, a rule's multipliers, and these with the circle unrolled.

    Args:
      flow: `[n]`, complex; exact zeros are zero modes.
      multipliers: `[m]`, complex, of the update map; exact ones are zero modes.
      rule: its name and rate.
      title: of the figure.
    """
    left, middle, right = panel.subplots(1, 3)
    zero = flow == 0
    _half_planes(left, np.real(flow[~zero]), np.imag(flow[~zero]), int(zero.sum()))
    left.set(xlabel="growth: Re λ, per unit of flow time (symmetric logarithm)", ylabel="rotation: Im λ, radians")
    left.set_title("flow: eigenvalues λ of -J", fontsize=10)

    one = multipliers == 1
    turns = np.linspace(0, 2 * np.pi, 400)
    middle.fill(np.cos(turns), np.sin(turns), color=STABLE, alpha=0.08, linewidth=0)
    middle.plot(np.cos(turns), np.sin(turns), color=plots.QUIET, linewidth=0.8)
    middle.axhline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
    middle.axvline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
    for inside, color in ((True, STABLE), (False, UNSTABLE)):
        chosen = multipliers[~one & ((np.abs(multipliers) <= 1 + NEUTRAL) == inside)]
        middle.plot(np.real(chosen), np.imag(chosen), "o", color=color, markersize=5)
    reach = max(1.15, 1.1 * float(np.abs(multipliers).max()))
    middle.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="Re μ", ylabel="Im μ")
    middle.set_title(f"{rule}: multipliers μ, in the circle decays", fontsize=10)

    kept = multipliers[~one & (np.abs(multipliers) > 1e-6)]
    _half_planes(right, np.log(np.abs(kept)), np.degrees(np.angle(kept)), int(one.sum()))
    right.set(xlabel="growth: ln |μ| (symmetric logarithm); the unit circle is at 0", ylabel="turn: arg μ, degrees")
    right.set_title("the same, circle unrolled", fontsize=10)
    panel.suptitle(title, fontsize=12)


def _half_planes(ax: Axes, growth: np.ndarray, turn: np.ndarray, zeros: int) -> None:
    """Points to the left (they decay) and to the right of 0, which may lie decades apart."""
    sizes = np.abs(growth[np.abs(growth) > NEUTRAL])
    smallest = 10.0 ** math.floor(math.log10(sizes.min())) if sizes.size else 1.0
    largest = 10.0 ** math.ceil(math.log10(sizes.max())) if sizes.size else 1.0
    ax.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    reach = (-3 * largest, 3 * largest if (growth > NEUTRAL).any() else 3 * smallest)
    ax.axvspan(reach[0], 0, color=STABLE, alpha=0.08, linewidth=0)
    ax.axvspan(0, reach[1], color=UNSTABLE, alpha=0.08, linewidth=0)
    ax.axvline(0, color=plots.QUIET, linewidth=0.8)
    ax.axhline(0, color="#e5e7eb", linewidth=0.8, zorder=0)
    neither = np.abs(growth) <= NEUTRAL
    for chosen, color in (
        (neither, plots.QUIET),
        (~neither & (growth < 0), STABLE),
        (~neither & (growth > 0), UNSTABLE),
    ):
        ax.plot(growth[chosen], turn[chosen], "o", color=color, markersize=5)
    if zeros:
        ax.plot(0, 0, "o", color="black", markerfacecolor="white", markersize=7, zorder=3)
        ax.annotate(
            f"{zeros} zero modes, along\nthe equilibria", (0, 0), xytext=(-8, 14), textcoords="offset points",
            fontsize=8, ha="right",
        )  # fmt: skip
    ax.text(0.02, 0.98, "decays", transform=ax.transAxes, fontsize=9, color=STABLE, va="top")
    ax.text(0.98, 0.98, "grows", transform=ax.transAxes, fontsize=9, color=UNSTABLE, va="top", ha="right")
    exponents = np.arange(round(math.log10(smallest)), round(math.log10(largest)) + 1)
    ticks = 10.0 ** exponents[:: max(1, math.ceil(len(exponents) / 4))]
    ax.set_xticks([*-ticks[::-1], 0, *(ticks if reach[1] > largest else [])])
    ax.set_xlim(*reach)


def edges(
    panel: Panel, rows: Sequence[Mapping[str, Any]], scales: np.ndarray, strengths: Sequence[float], title: str
) -> None:
    """The largest stable rate along the equilibria, a panel for each rule: lines predicted, dots measured by runs.

    Args:
      rows: each with `method`, and with `predicted`, `measured` and `lost` (nothing to measure), `[weights,
        strengths]`: first the weights with `scales`, then random ones.
      scales: `[n]`, along the line of the first weights.
      strengths: of R1.
      title: of the figure.
    """
    columns = math.ceil(len(rows) / 3)
    axes = np.asarray(panel.subplots(3, columns, squeeze=False, sharex=True, sharey=True))
    beside = scales.max() + 0.6 * (1 + np.arange(len(rows[0]["predicted"]) - len(scales)))
    places, along = np.append(scales, beside), len(scales)
    for ax in axes.ravel()[len(rows) :]:
        ax.set_visible(False)
    for ax, row in zip(axes.ravel(), rows, strict=False):
        for i, strength in enumerate(strengths):
            color = STRENGTHS[i % len(STRENGTHS)]
            predicted, measured, lost = (row[name][:, i] for name in ("predicted", "measured", "lost"))
            ax.plot(scales, predicted[:along], color=color, linewidth=1.3, label=f"γ = {strength:g}")
            ax.plot(beside, predicted[along:], "_", color=color, markersize=11, markeredgewidth=1.3)
            ax.plot(places[~lost], measured[~lost], "o", color=color, markersize=4)
            ax.plot(places[lost], predicted[lost], "x", color=color, markersize=5)
        apart = np.abs(row["measured"] / row["predicted"] - 1)[~row["lost"]]
        ax.set_title(f"{row['method']}\nmeasured within {apart.max():.0e}" if apart.size else row["method"], fontsize=9)
        ax.set_yscale("log")
        if len(beside):
            ax.axvspan(scales.max() + 0.3, places.max() + 0.3, color="#f3f4f6", linewidth=0, zorder=0)
        ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    for ax in axes[:, 0]:
        ax.set_ylabel("largest stable rate")
    axes[0, 0].legend(fontsize=8, title="R1, lines predicted", title_fontsize=8)
    panel.supxlabel(
        "equilibrium: s of the weights s (1, -1, -1, 1); on gray, random weights. Lines: from the spectrum. "
        "Dots: measured by runs. Crosses: above, the rule has no fixed point",
        fontsize=10,
    )
    panel.suptitle(title, fontsize=12)
