"""Figures of where runs end and how fast: arrays in, drawings out, as in `plots`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax import plots
from slantgan_jax.plots import Panel

ARTICLE = "#be185d"
FULL_BATCH = "#1d4ed8"
REPLICAS = "#9ca3af"
KNOWN = "black"
FLOOR = 3e-6
"""Amplitudes below are not drawn: an exponential would take the whole height of the axis."""


def does_it_converge(panel: Panel, data: Mapping[str, Any]) -> None:
    """Six panels of the runs of does_it_converge.py against what was predicted; `data` is what data.json has."""
    axes = panel.subplots(3, 2)
    amplitude(axes[0, 0], data, "mean gap", "mean image", "‖mean image - mean face‖", "The mean image")
    amplitude(axes[0, 1], data, "slopes", "u", "‖u‖, the slopes of D", "The discriminator's slopes")
    first_turns(axes[1, 0], data)
    bias(axes[1, 1], data)
    nikaido_isoda(axes[2, 0], data)
    methods(axes[2, 1], data["methods"])
    panel.suptitle(data["answer"], fontsize=13)


def amplitude(ax: Axes, data: Mapping[str, Any], name: str, noise: str, label: str, title: str) -> None:
    """Root mean squares against epochs, with the predicted e-folding curve and the predicted noise."""
    curves, epochs = data["curves"], np.asarray(data["curves"]["epochs"])
    low, middle, high = np.asarray(curves["replicas"][name])
    ax.fill_between(epochs, low, high, color=REPLICAS, alpha=0.35, linewidth=0, label="middle 80 % of other starts")
    ax.plot(epochs, middle, color=REPLICAS, linewidth=0.8)
    ax.plot(epochs, curves["article"][name], color=ARTICLE, linewidth=1.6, label="the article's run, sampled")
    full = np.asarray(curves["full batch"][name])
    ax.plot(epochs, full, color=FULL_BATCH, linewidth=1.6, label="its start, exact expectations")
    fold = data["spectrum"]["e-folding time in epochs"]["step"]
    if np.isfinite(fold) and fold < epochs[-1]:
        # The curve is known but for its height, which is taken where the first fast modes have gone.
        anchor = int(np.argmin(np.abs(epochs - 3 * fold)))
        known = full[anchor] * np.exp(-(epochs - epochs[anchor]) / fold)
        shown = (epochs > fold / 2) & (known > FLOOR)
        ax.plot(
            epochs[shown], known[shown], "--", color=KNOWN, linewidth=1.2, label=f"predicted: e in {fold:,.0f} epochs"
        )
    left = data["noise"][f"{noise}, article"]
    ax.axhline(left["predicted"], color=ARTICLE, linestyle=":", linewidth=1.4,
               label=f"predicted noise {left['predicted']:.2g} (measured {left['measured']:.2g})")  # fmt: skip
    _by_epochs(ax, data, label)
    ax.set(yscale="log", ylim=(FLOOR, None))
    ax.set_title(f"{title}, root mean square over parts of the time", fontsize=11)
    ax.legend(fontsize=9, loc="lower left")


def first_turns(ax: Axes, data: Mapping[str, Any]) -> None:
    """The first turns on a linear axis: a pixel's mean, with the predicted length of turns."""
    turns = data["curves"]["first turns"]
    epochs, period = np.asarray(turns["epochs"]), data["spectrum"]["period in epochs"]["step"]
    end = data["article"][0]["epoch"]
    ax.axhline(0, color="#d1d5db", linewidth=0.8)
    for name, color, width in (("full batch", FULL_BATCH, 1.2), ("article", ARTICLE, 1.2)):
        ax.plot(epochs, np.asarray(turns[name])[:, 1], color=color, linewidth=width,
                linestyle="-" if name == "article" else (0, (4, 2)))  # fmt: skip
    ax.axvspan(0, end, color=ARTICLE, alpha=0.1, linewidth=0)
    ax.annotate(f"the article:\n{end} epochs", (end, ax.get_ylim()[1]), (4, -4), textcoords="offset points",
                va="top", fontsize=9, color=ARTICLE)  # fmt: skip
    ax.set_ylim(ax.get_ylim()[0] * 1.5, None)
    height = ax.get_ylim()[0] * 0.8
    if np.isfinite(period):
        later = np.asarray(turns["article"])[:, 1] * (epochs > end)
        start = epochs[np.argmax(later[: np.searchsorted(epochs, end + 1.5 * period)])]  # the first crest
        for i in range(int((epochs[-1] - start) // period)):
            ax.annotate("", (start + i * period, height), (start + (i + 1) * period, height),
                        arrowprops={"arrowstyle": "<->", "color": KNOWN, "linewidth": 0.9})  # fmt: skip
        ax.annotate(f"predicted turns near the equilibrium: {period:,.0f} epochs", (start, height), (0, -12),
                    textcoords="offset points", fontsize=9)  # fmt: skip
    ax.set(xlim=(0, epochs[-1]), xlabel="epoch", ylabel="mean of pixel 2 - that of the faces")
    ax.set_title("What looks settled at the article's end is the first of many turns", fontsize=11)


def bias(ax: Axes, data: Mapping[str, Any]) -> None:
    """D's bias, averaged over parts of the time, against where the order of moves makes it stand."""
    curves, known = data["curves"], data["bias of the order"]
    epochs, order = np.asarray(curves["epochs"]), known["order of moves"]["c"]
    low, middle, high = np.asarray(curves["replicas"]["bias"])
    ax.fill_between(epochs, low, high, color=REPLICAS, alpha=0.35, linewidth=0)
    ax.plot(epochs, middle, color=REPLICAS, linewidth=0.8)
    ax.plot(epochs, curves["full batch"]["bias"], color=FULL_BATCH, linewidth=1.6)
    ax.plot(epochs, curves["article"]["bias"], color=ARTICLE, linewidth=1.2)
    ax.axhline(order, color=KNOWN, linestyle="--", linewidth=1.2, label=f"the order's fixed point, c = {order:.6f}")
    ax.axhline(0, color="#d1d5db", linewidth=1, label="the equilibrium, c = 0")
    mean, error = known["sampled, mean over time"]["c"], known["its standard error"]["c"]
    digits = math.ceil(-math.log10(error)) + 1 if error > 0 else 6  # digits
    _by_epochs(ax, data, "c, the bias of D", named=False)
    ax.set_yscale("symlog", linthresh=0.01, linscale=1.5)
    ax.set_title(
        f"The order of moves shifts D's bias; sampled, over time: {mean:.{digits}f} ± {error:.{digits}f}",
        fontsize=11,
    )
    ax.legend(fontsize=9, loc="lower right")


def nikaido_isoda(ax: Axes, data: Mapping[str, Any]) -> None:
    """What both players together could still gain; hollow where a plane tells all images apart."""
    curves = data["curves"]
    epochs = np.asarray(curves["epochs"])
    for name, color in (("article", ARTICLE), ("full batch", FULL_BATCH)):
        gap = np.maximum(np.asarray(curves[name]["Nikaido-Isoda gap"]), FLOOR)
        apart = np.asarray(curves[name]["separable"])
        ax.plot(epochs, gap, color=color, linewidth=0.8, alpha=0.7)
        ax.plot(epochs[~apart], gap[~apart], "o", color=color, markersize=3.5)
        ax.plot(epochs[apart], gap[apart], "o", color=color, markersize=3.5, markerfacecolor="white")
    c = data["bias of the order"]["order of moves"]["c"]
    # With u = 0 and a logit c everywhere D loses s(c) + s(-c) - 2 ln 2 = c²/4 + ..., and G has nothing to gain.
    ax.axhline(
        c * c / 4, color=KNOWN, linestyle="--", linewidth=1.2, label=f"c²/4 = {c * c / 4:.1e}, by the order of moves"
    )
    ax.legend(fontsize=9, loc="lower left")
    _by_epochs(ax, data, "Nikaido-Isoda gap (nats)")
    ax.set_yscale("log")
    ax.set_title("What the players could still gain; hollow: a plane tells all images apart", fontsize=11)


def methods(ax: Axes, rows: list[Mapping[str, Any]]) -> None:
    """Epochs in which each method falls by e: predicted as rings, measured as dots, a color for each rate."""
    names = list(dict.fromkeys(row["method"] for row in rows))
    rates = list(dict.fromkeys(row["learning rate"] for row in rows))
    for rate, color in zip(rates, (ARTICLE, plots.GENERATOR), strict=False):
        own = [row for row in rows if row["learning rate"] == rate]
        places = [names.index(row["method"]) for row in own]
        predicted = [row["predicted"] for row in own]
        measured = [row["measured"] if row["measured"] is not None else math.nan for row in own]
        ax.plot(
            predicted,
            places,
            "o",
            color=color,
            markersize=11,
            markerfacecolor="none",
            label=f"rate {rate:g}: predicted",
        )
        ax.plot(measured, places, "o", color=color, markersize=4.5, label=f"rate {rate:g}: measured")
        for place, value in zip(places, measured, strict=True):
            if np.isfinite(value):
                ax.annotate(
                    f"{value:,.0f}", (value, place), (0, 9), textcoords="offset points", ha="center", fontsize=8
                )
    ax.set(
        xscale="log",
        ylim=(len(names) - 0.4, -0.8),
        xlabel="epochs in which the distance falls by e, near the equilibrium",
    )
    ax.set_yticks(range(len(names)), names)
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    ax.set_title("Time to converge, exact expectations, from the article's start", fontsize=11)
    ax.legend(fontsize=9, loc="upper left")


def _by_epochs(ax: Axes, data: Mapping[str, Any], label: str, named: bool = True) -> None:
    """The axis of epochs, on which the article's end and the predicted times are marked."""
    epochs, end = np.asarray(data["curves"]["epochs"]), data["article"][0]["epoch"]
    ax.axvspan(epochs[0], end, color=ARTICLE, alpha=0.07, linewidth=0)
    for name, style in (("period in epochs", (0, (1, 2))), ("e-folding time in epochs", (0, (6, 2)))):
        value = data["spectrum"][name]["step"]
        if np.isfinite(value) and value < epochs[-1]:
            ax.axvline(value, color="#4b5563", linestyle=style, linewidth=1)
            if not named:
                continue
            ax.text(value * 0.95, 0.47, name.removesuffix(" in epochs"), transform=ax.get_xaxis_transform(),
                    rotation=90, va="top", ha="right", fontsize=9, color="#4b5563", zorder=5,
                    bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5})  # fmt: skip
    ax.set(xscale="log", xlim=(epochs[0], epochs[-1]), xlabel="epoch", ylabel=label)
