"""The figures of does_it_converge.py, five panels together and two of them alone, and of convergence_rates.py."""

import math
from typing import Any

import numpy as np
from _convergence import ARTICLE_RATE, ARTICLE_SEED
from figures.panels import told_apart
from matplotlib.axes import Axes

from slantgan_jax.plots import GENERATOR, Panel

ARTICLE, FULL_BATCH, REPLICAS, PREDICTED = "#be185d", "#1d4ed8", "#9ca3af", "black"
COLORS = {"full batch": FULL_BATCH, "article": ARTICLE}
RATE_COLORS = (ARTICLE, GENERATOR, FULL_BATCH, "#b45309")
"""Of the first learning rates."""
PIXEL = 1
"""x₂, the top right pixel, which is light in a face: in its mean the slowest turning mode is seen best."""

NARROWEST_AXIS = 2
"""The least ratio of the ends of the axis of times, so that times that agree do not look far apart."""

FLOOR = 3e-6
"""Amplitudes below are not drawn: an exponential would take the whole height of the axis."""


RESTING_TIMES = 10
"""E-folding times after which a swing of size 1 is smaller than the noise, also in the half that is measured."""


def rests(data: dict[str, Any]) -> bool:
    """Whether the run is long enough for what is left to be the noise of sampling."""
    return 0 < RESTING_TIMES * data["spectrum"]["e-folding time in epochs"]["step"] < data["settings"]["epochs"]


def is_the_article(settings: dict[str, Any]) -> bool:
    """Whether the run has the article's random numbers and its learning rate."""
    return (settings["seed"], settings["learning_rate"]) == (ARTICLE_SEED, ARTICLE_RATE)


def name_of_run(settings: dict[str, Any]) -> str:
    """A name for legends."""
    named = f"seed {settings['seed']}, rate {settings['learning_rate']:g}"
    return "the article's run" if is_the_article(settings) else named


def draw(panel: Panel, data: dict[str, Any]) -> None:
    axes = panel.subplot_mosaic([["mean", "slopes"], ["turns", "turns"], ["bias", "gap"]])
    distance(axes["mean"], data)
    amplitude(axes["slopes"], data, "slopes", "u", "‖u‖, the slopes of D", "The discriminator's slopes")
    first_turns(axes["turns"], data)
    bias(axes["bias"], data)
    nikaido_isoda(axes["gap"], data)
    panel.suptitle(data["answer"], fontsize=13)


def turns_alone(panel: Panel, data: dict[str, Any]) -> None:
    """It has not converged, in one panel."""
    first_turns(panel.subplots(), data)


def distance_alone(panel: Panel, data: dict[str, Any]) -> None:
    """How the mean image comes near in a million epochs, in one panel."""
    distance(panel.subplots(), data)


def distance(ax: Axes, data: dict[str, Any]) -> None:
    amplitude(ax, data, "mean gap", "mean image", "‖mean image - mean face‖", "The mean image")


def amplitude(ax: Axes, data: dict[str, Any], name: str, noise: str, label: str, title: str) -> None:
    """Root mean squares against epochs, with the predicted e-folding curve and the predicted noise."""
    curves, epochs = data["curves"], data["curves"]["epochs"]
    _replicas(ax, curves, name, "middle 80 % of other starts")
    full = curves["full batch"][name]
    ax.plot(
        epochs, curves["article"][name], color=ARTICLE, linewidth=1.6, label=f"{name_of_run(data['settings'])}, sampled"
    )
    ax.plot(epochs, full, color=FULL_BATCH, linewidth=1.6, label="its start, exact expectations")
    fold = data["spectrum"]["e-folding time in epochs"]["step"]
    if 0 < fold < epochs[-1]:
        # The curve is known but for its height, which is taken where the first fast modes have gone.
        anchor = int(np.argmin(np.abs(epochs - 3 * fold)))
        known = full[anchor] * np.exp(-(epochs - epochs[anchor]) / fold)
        shown = (epochs > fold / 2) & (known > FLOOR)
        label_of_fold = f"predicted: e in {fold:,.0f} epochs"
        ax.plot(epochs[shown], known[shown], "--", color=PREDICTED, linewidth=1.2, label=label_of_fold)
    if rests(data):
        left = data["noise"][f"{noise}, article"]
        label_of_noise = f"predicted noise {left['predicted']:.2g} (measured {left['measured']:.2g})"
        ax.axhline(left["predicted"], color=ARTICLE, linestyle=":", linewidth=1.4, label=label_of_noise)
    _epochs(ax, data, label)
    ax.set(yscale="log", ylim=(FLOOR, None))
    ax.set_title(f"{title}, root mean square over parts of the time", fontsize=11)
    ax.legend(fontsize=9, loc="lower left")


def first_turns(ax: Axes, data: dict[str, Any]) -> None:
    """The first turns on a linear axis: the mean of one pixel, with the predicted length of turns."""
    turns, end, article = data["curves"]["first turns"], data["article"][0]["epoch"], is_the_article(data["settings"])
    epochs, period = turns["epochs"], data["spectrum"]["period in epochs"]["step"]
    ax.axhline(0, color="#d1d5db", linewidth=0.8)
    labels = {"article": name_of_run(data["settings"]), "full batch": "its start, exact expectations"}
    for name, style in (("article", "-"), ("full batch", (0, (4, 2)))):
        ax.plot(epochs, turns[name][:, PIXEL], color=COLORS[name], linewidth=1.4, linestyle=style, label=labels[name])
    ax.axvspan(0, end, color=ARTICLE, alpha=0.1, linewidth=0)
    top = (end, ax.get_ylim()[1])
    below = {"textcoords": "offset points", "fontsize": 9}
    span = "the article:" if article else "the first"
    ax.annotate(f"{span}\n{end} epochs", top, (4, -4), va="top", color=ARTICLE, **below)
    ax.legend(fontsize=9, loc="upper right")
    ax.set_ylim(ax.get_ylim()[0] * 1.5, None)
    height = ax.get_ylim()[0] * 0.8
    if np.isfinite(period):
        later = turns["article"][:, PIXEL] * (epochs > end)
        start = epochs[np.argmax(later[: np.searchsorted(epochs, end + 1.5 * period)])]  # the first crest
        arrow = {"arrowstyle": "<->", "color": PREDICTED, "linewidth": 0.9}
        crests = start + period * np.arange((epochs[-1] - start) // period)
        for left in crests:
            ax.annotate("", (left, height), (left + period, height), arrowprops=arrow)
        if crests.size:
            text = f"predicted turns near the equilibrium: {period:,.0f} epochs"
            ax.annotate(text, (start, height), (0, 4), **below)
    ax.set(xlim=(0, epochs[-1]), xlabel="epoch", ylabel="mean of $x_2$, minus that of the faces")
    early = np.isfinite(period) and end < period
    stop = "the article's end" if article else f"epoch {end}"
    said = f"What looks settled at {stop} is the first of many turns" if early else "The beginning of the run"
    ax.set_title(said, fontsize=11)


def bias(ax: Axes, data: dict[str, Any]) -> None:
    """D's bias, averaged over parts of the time, against where the order of moves makes it stand."""
    curves, order = data["curves"], data["bias of the order"]["order of moves"]["c"]
    _replicas(ax, curves, "bias")
    for name, width in (("full batch", 1.6), ("article", 1.2)):
        ax.plot(curves["epochs"], curves[name]["bias"], color=COLORS[name], linewidth=width)
    if np.isfinite(order):
        order_label = f"the order's fixed point, c = {order:.6f}"
        ax.axhline(order, color=PREDICTED, linestyle="--", linewidth=1.2, label=order_label)
    ax.axhline(0, color="#d1d5db", linewidth=1, label="the equilibrium, c = 0")
    _epochs(ax, data, "c, the bias of D", named=False)
    ax.set_yscale("symlog", linthresh=0.01, linscale=1.5)
    ax.set_title(title_of_bias(data), fontsize=11)
    ax.legend(fontsize=9, loc="lower right")


def title_of_bias(data: dict[str, Any]) -> str:
    """The shift by the order of moves, with the measured mean if it is of a run that rests: before that, the mean over
    time is that of the swing."""
    known = data["bias of the order"]
    if rests(data):
        mean, error = known["sampled, mean over time"]["c"], known["its standard error"]["c"]
        digits = max(0, math.ceil(-math.log10(error)) + 1) if error > 0 else 6
        sampled = f"{mean:.{digits}f} ± {error:.{digits}f}"
        return f"The order of moves shifts D's bias; sampled, over time: {sampled}"
    if 0 < data["spectrum"]["e-folding time in epochs"]["step"] < math.inf:
        shift = known["order of moves"]["c"]
        return f"The order of moves shifts D's bias by {shift:.2g}:\nthe run is too short to see this"
    return "D's bias, averaged over parts of the time"


def nikaido_isoda(ax: Axes, data: dict[str, Any]) -> None:
    """What both players together could still gain; hollow where a plane tells all images apart."""
    epochs = data["curves"]["epochs"]
    for name in ("article", "full batch"):
        curve, color = data["curves"][name], COLORS[name]
        gap, apart = np.maximum(curve["Nikaido-Isoda gap"], FLOOR), curve["separable"]
        ax.plot(epochs, gap, color=color, linewidth=0.8, alpha=0.7)
        for part, face in ((~apart, color), (apart, "white")):
            ax.plot(epochs[part], gap[part], "o", color=color, markersize=3.5, markerfacecolor=face)
    lost = gap_of_bias(data["bias of the order"]["order of moves"]["c"])
    if np.isfinite(lost):
        lost_label = f"2 ln cosh(c/2) = {lost:.1e}, by the order of moves"
        ax.axhline(lost, color=PREDICTED, linestyle="--", linewidth=1.2, label=lost_label)
        ax.legend(fontsize=9, loc="lower left")
    _epochs(ax, data, "Nikaido-Isoda gap")
    ax.set_yscale("log")
    ax.set_title("What the players could still gain; hollow: a plane tells all images apart", fontsize=11)


def gap_of_bias(c: float) -> float:
    """The gap of D with u = 0 and the logit c everywhere, where G has nothing to gain, with s(x) = ln(1 + e^x).

    D loses s(c) + s(-c) - 2 ln 2 = 2 ln cosh(c/2) = 2 ln(1 + 2 sinh²(c/4)), which is about c²/4 for small c.
    """
    return 2 * math.log1p(2 * math.sinh(c / 4) ** 2)


def rates(panel: Panel, data: dict[str, Any]) -> None:
    """A row for each method: rings are predicted, dots measured, with a color for each learning rate."""
    ax = panel.subplots()
    rows = data["methods"]
    names = list(dict.fromkeys(row["method"] for row in rows))
    learning_rates = dict.fromkeys(row["learning rate"] for row in rows)
    styles = told_apart(len(learning_rates), RATE_COLORS)
    for rate, (color, marker) in zip(learning_rates, styles, strict=True):
        own = [row for row in rows if row["learning rate"] == rate]
        places = [names.index(row["method"]) for row in own]
        dots = {"color": color, "marker": marker, "linestyle": "none"}
        marks = {"predicted": {"markersize": 11, "markerfacecolor": "none"}, "measured": {"markersize": 4.5}}
        for what, look in marks.items():
            times = [row[what] for row in own]
            if np.isfinite(times).any():
                ax.plot(times, places, **dots, **look, label=f"rate {rate:g}: {what}")
        for place, row in zip(places, own, strict=True):
            if np.isfinite(row["measured"]):
                position = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
                ax.annotate(f"{row['measured']:,.0f}", (row["measured"], place), fontsize=8, **position)
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.8))
    low, high = ax.get_xlim()
    wider = max(1, math.sqrt(NARROWEST_AXIS * low / high))
    ax.set_xlim(low / wider, high * wider)
    ax.set_xlabel("epochs in which the distance falls by e, near the equilibrium")
    ax.set_yticks(range(len(names)), names)
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    seed = data["settings"]["seed"]
    start = "the article's start" if seed == ARTICLE_SEED else f"the start of seed {seed}"
    ax.set_title(f"Time to converge, exact expectations, from {start}\n{data['answer']}", fontsize=10)
    panel.legend(*ax.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=4)


def _replicas(ax: Axes, curves: dict[str, Any], name: str, label: str = "") -> None:
    low, middle, high = curves["replicas"][name]
    ax.fill_between(curves["epochs"], low, high, color=REPLICAS, alpha=0.35, linewidth=0, label=label)
    ax.plot(curves["epochs"], middle, color=REPLICAS, linewidth=0.8, label=label and "their median")


def _epochs(ax: Axes, data: dict[str, Any], label: str, named: bool = True) -> None:
    """The axis of epochs, on which the article's end and the predicted times are marked."""
    epochs, end = data["curves"]["epochs"], data["article"][0]["epoch"]
    whose = "the article's" if is_the_article(data["settings"]) else "the first"
    span = f"{whose} {end:,} epochs" if named else ""
    ax.axvspan(epochs[0], end, color=ARTICLE, alpha=0.07, linewidth=0, label=span)
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5}
    for name, style in (("period", (0, (1, 2))), ("e-folding time", (0, (6, 2)))):
        value = data["spectrum"][f"{name} in epochs"]["step"]
        if 0 < value < epochs[-1]:
            ax.axvline(value, color="#4b5563", linestyle=style, linewidth=1)
            if named:
                ax.text(value * 0.95, 0.56, name, transform=ax.get_xaxis_transform(), rotation=90, va="top",
                        ha="right", fontsize=9, color="#4b5563", zorder=5, bbox=box)  # fmt: skip
    ax.set(xscale="log", xlim=(epochs[0], epochs[-1]), xlabel="epoch", ylabel=label)
