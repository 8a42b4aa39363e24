"""Figures of which equilibrium training picks: arrays in, drawings out, as in `plots`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax import plots
from slantgan_jax.plots import Panel

COLOURS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d")
MARKERS = "o^sDvP"
PIXELS = ("top left", "top right", "bottom left", "bottom right")


def which_equilibrium(
    panel: Panel, arrays: Mapping[str, Any], numbers: Mapping[str, Any], learning_rates: Sequence[float], steps: int
) -> None:
    """Six panels: lines in the plane of a pixel, the law against the ends, methods, drift, diffusion, distances.

    Args:
      arrays: `flow`, `methods`, `noise`, `quality` of experiments/which_equilibrium.py, mappings to arrays.
      numbers: its data.json, of which the R² of the laws, the methods' distances and the two lines of the `answer`.
      learning_rates: of the noisy runs.
      steps: of the noisy runs.
    """
    (plane, law, methods), (drift, spread, quality) = panel.subplots(2, 3)
    steepest_lines(plane, arrays["flow"])
    ends_against_law(law, arrays["flow"], numbers["which"]["R² of laws"])
    ends_of_methods(methods, numbers["which"]["methods"])
    drift_of_noise(drift, arrays["noise"], learning_rates, steps)
    spread_by_noise(spread, arrays["noise"], learning_rates, steps)
    distances(quality, arrays["quality"])
    panel.suptitle("\n".join(numbers["answer"]), fontsize=10.5)


def steepest_lines(ax: Axes, flow: Mapping[str, np.ndarray]) -> None:
    """One pixel's plane of w and b: its equilibria, the lines of steepest mean, and runs `[n, steps, 8]` among them.

    A line of steepest mean is a contour of `lines` `[b, w]`, the w at which it meets the equilibria `surface` `[w]`.
    """
    w, b = flow["grid_w"], flow["grid_b"]
    ax.contour(w, b, flow["lines"], levels=np.arange(-6, 6.1, 0.4), colors="#cbd5e1", linewidths=0.8, linestyles="-")
    ax.plot(w, flow["surface"], color="black", linewidth=1.8, label="equilibria")
    for i, path in enumerate(flow["paths"]):
        ax.plot(path[:, 0], path[:, 4], color=COLOURS[i % 4], linewidth=0.7)
        ax.plot(*path[0, [0, 4]], "o", color=COLOURS[i % 4], markersize=5, label="" if i else "start of a run")
        ax.plot(*flow["end"][i, [0, 4]], "s", color=COLOURS[i % 4], markersize=5, label="" if i else "its end")
    ax.plot([], [], color="#94a3b8", linewidth=0.8, label="lines of steepest mean")
    ax.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]), xlabel="weight w of the top left pixel", ylabel="its bias b")
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Runs swing along one line of steepest mean", fontsize=10)


def ends_against_law(ax: Axes, flow: Mapping[str, np.ndarray], explained: Mapping[str, float]) -> None:
    """Final weights against those that the steepest line says, a color a pixel, and in gray those of the start."""
    end = flow["end"][:, :4]
    ax.plot(flow["start"][:, :4], end, ".", color="#cbd5e1", markersize=3, zorder=1)
    for i, name in enumerate(PIXELS):
        ax.plot(flow["steepest"][:, i], end[:, i], MARKERS[i], color=COLOURS[i], markersize=2.5, label=name)
    limits = [end.min() - 0.3, end.max() + 0.3]
    ax.plot(limits, limits, color="black", linewidth=0.8)
    text = "\n".join(f"{name}: 1 - R² = {1 - value:.2g}" for name, value in explained.items())
    ax.text(0.97, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=8)
    ax.set(xlim=limits, ylim=limits, xlabel="weight w where the steepest line meets the equilibria")
    ax.set_ylabel("weight w after training")
    ax.legend(fontsize=8, loc="upper left", title="pixel (gray: against w of the start)", title_fontsize=8)
    ax.set_title("Where that line meets the equilibria the run ends", fontsize=10)


def ends_of_methods(ax: Axes, methods: Mapping[str, Mapping[str, Any]]) -> None:
    """How far from the flow's and from the law's ends other methods end, in spreads over starts."""
    names = sorted(methods, key=lambda name: methods[name]["from the flow's end, in spreads"], reverse=True)
    for key, marker, color in (
        ("from the flow's end, in spreads", "o", COLOURS[0]),
        ("from the steepest law, in spreads", "x", COLOURS[1]),
    ):
        label = key.removesuffix(", in spreads")
        ax.plot([100 * methods[name][key] for name in names], range(len(names)), marker, color=color, label=label)
    ax.axvline(100, color=plots.QUIET, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xscale="log", xlim=(0.1, 200), xlabel="rms distance of w, % of the spread over starts")
    ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Rules and rates hardly matter, Adam and the loss do", fontsize=10)


def drift_of_noise(ax: Axes, noise: Mapping[str, Any], learning_rates: Sequence[float], steps: int) -> None:
    """Mean size of the weights against η² n: all rates on one curve for each case; lines are the prediction."""
    for color, (name, found) in zip(COLOURS, noise.items(), strict=False):
        for i, rate in enumerate(learning_rates):
            times = rate**2 * np.linspace(0, steps, found["mean"].shape[1])[1:]
            size, predicted = (
                (found[key][i] * np.sign(found[key][i][:1])).mean(1) / np.abs(found[key][i][0]).mean()
                for key in ("mean", "predicted_mean")
            )
            ax.plot(times, predicted[1:], color=color, linewidth=1, label="" if i else name)
            few = slice(1, None, 4) if len(times) > 10 else slice(None)
            ax.plot(times[few], size[1:][few], MARKERS[i % 6], color=color, markersize=3.5, markerfacecolor="none")
    for i, rate in enumerate(learning_rates):
        ax.plot([], [], MARKERS[i % 6], color="black", markersize=3.5, markerfacecolor="none", label=f"η = {rate:g}")
    ax.set(xscale="log", xlim=(1, None), ylim=(-0.05, 2), xlabel="η² n, the rate squared times the steps")
    ax.set_ylabel("mean |w|, relative to the start")
    ax.legend(fontsize=7.5, loc="upper left")
    ax.set_title("A latent that D has just seen makes G collapse (lines: theory)", fontsize=10)


def spread_by_noise(ax: Axes, noise: Mapping[str, Any], learning_rates: Sequence[float], steps: int) -> None:
    """Standard deviation of w over replicas against steps, of the first two cases; lines are the prediction."""
    for marker, style, (name, found) in zip("o^", ("-", "--"), noise.items(), strict=False):
        for i, color in enumerate(COLOURS[: len(learning_rates)]):
            times = np.linspace(0, steps, found["mean"].shape[1])
            ax.plot(times[1:], found["predicted_deviation"][i, 1:].mean(1), style, color=color, linewidth=1)
            few = slice(1, None, 4) if len(times) > 10 else slice(1, None)
            face = color if marker == "o" else "none"
            measured = found["deviation"][i].mean(1)
            ax.plot(times[few], measured[few], marker, color=color, markersize=3.5, markerfacecolor=face)
        ax.plot([], [], style, color="black", marker=marker, markerfacecolor="black" if marker == "o" else "none",
                markersize=3.5, linewidth=1, label=name)  # fmt: skip
    for color, rate in zip(COLOURS, learning_rates, strict=False):
        ax.plot([], [], color=color, label=f"η = {rate:g}")
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 3), xlabel="steps n", ylabel="standard deviation of w over replicas")
    ax.legend(fontsize=7.5, loc="upper left", ncol=2)
    ax.set_title("Around that mean runs diffuse, as √(2 η³ D n) (lines: theory)", fontsize=10)


def distances(ax: Axes, quality: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Shares of runs against their distance from the faces, in units of the least: equilibria, the tutorial's runs."""
    for color, (name, found) in zip(COLOURS, quality.items(), strict=False):
        least = found["best"][0]
        for key, style in (("equilibria", "-"), ("runs", ":")):
            values = np.sort(found[key]) / least
            ax.plot(values, (np.arange(values.size) + 1) / values.size, style, color=color, linewidth=1.6)
        ax.plot([], [], color=color, linewidth=1.6, label=f"{name}, least {least:.4f}")
        marks = (found["surface"][0], "D"), (found["constant"], "X"), (found["runs"][0], "*")
        for height, (value, marker) in enumerate(marks, 1):
            ax.plot(value / least, height / 25, marker, color=color, markeredgecolor="white", markersize=8, zorder=5)
    for style, label in (("-", "equilibria reached"), (":", "the tutorial's 1000 epochs")):
        ax.plot([], [], style, color="black", label=label)
    for marker, label in (("D", "best equilibrium"), ("X", "collapsed, w = 0"), ("*", "tutorial, seed 0")):
        ax.plot([], [], marker, linestyle="none", color="black", markersize=6, label=label)
    ax.set(xscale="log", xlim=(0.95, 30), ylim=(0, 1))
    ax.set_xlabel("distance from the faces, relative to the best generator's")
    ticks = [1, 1.2, 1.5, 2, 3, 5, 8]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylabel("share of runs at most so far")
    ax.legend(fontsize=7.5, loc="center right")
    ax.set_title("Collapsing costs more than not being the best", fontsize=10)
