"""The figure of latent_noise.py: how the mean of the weights drifts and how runs diffuse around it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax.plots import Panel

COLORS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d")
MARKERS = "o^sDvP"


def draw(panel: Panel, data: dict[str, Any]) -> None:
    drift, spread = panel.subplots(1, 2)
    rates, steps = data["settings"]["learning_rates"], data["settings"]["steps"]
    drift_of_noise(drift, data["noise"], rates, steps)
    spread_by_noise(spread, data["noise"], rates, steps)
    panel.suptitle(data["answer"], fontsize=10.5)


def drift_of_noise(ax: Axes, noise: dict[str, Any], rates: list[float], steps: int) -> None:
    """Mean size of the weights against η² n: all rates on one curve for each case; lines are the prediction."""
    for color, (name, found) in zip(COLORS, noise.items(), strict=False):
        for i, rate in enumerate(rates):
            times, few = _records(found, steps)
            size, predicted = (
                (found[key][i] * np.sign(found[key][i][:1])).mean(1) / np.abs(found[key][i][0]).mean()
                for key in ("mean", "predicted_mean")
            )
            ax.plot(rate**2 * times[1:], predicted[1:], color=color, linewidth=1, label="" if i else name)
            marker = {"marker": MARKERS[i % 6], "markersize": 3.5, "markerfacecolor": "none", "linestyle": "none"}
            ax.plot(rate**2 * times[few], size[few], color=color, **marker)
    for i, rate in enumerate(rates):
        ax.plot([], [], MARKERS[i % 6], color="black", markersize=3.5, markerfacecolor="none", label=f"η = {rate:g}")
    ax.set(xscale="log", xlim=(1, None), ylim=(-0.05, 2), xlabel="η² n, the rate squared times the steps")
    ax.set_ylabel("mean |w|, relative to the start")
    ax.legend(fontsize=7.5, loc="upper left")
    ax.set_title("A latent that D has just seen makes G collapse (lines: theory)", fontsize=10)


def spread_by_noise(ax: Axes, noise: dict[str, Any], rates: list[float], steps: int) -> None:
    """Standard deviation of w over replicas against steps, of the first two cases; lines are the prediction."""
    for marker, style, (name, found) in zip("o^", ("-", "--"), noise.items(), strict=False):
        times, few = _records(found, steps)
        for i, color in enumerate(COLORS[: len(rates)]):
            ax.plot(times[1:], found["predicted_deviation"][i, 1:].mean(1), style, color=color, linewidth=1)
            face = color if marker == "o" else "none"
            measured = found["deviation"][i].mean(1)
            ax.plot(times[few], measured[few], marker, color=color, markersize=3.5, markerfacecolor=face)
        face = "black" if marker == "o" else "none"
        legend = {"marker": marker, "markerfacecolor": face, "markersize": 3.5}
        ax.plot([], [], style, color="black", linewidth=1, label=name, **legend)
    for color, rate in zip(COLORS, rates, strict=False):
        ax.plot([], [], color=color, label=f"η = {rate:g}")
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 3), xlabel="steps n", ylabel="standard deviation of w over replicas")
    ax.legend(fontsize=7.5, loc="upper left", ncol=2)
    ax.set_title("Around that mean runs diffuse, as √(2 η³ D n) (lines: theory)", fontsize=10)


def _records(found: dict[str, Any], steps: int) -> tuple[np.ndarray, slice]:
    """The steps of the records, and which of them get a marker."""
    times = np.linspace(0, steps, found["mean"].shape[1])
    return times, slice(1, None, 4) if len(times) > 10 else slice(1, None)
