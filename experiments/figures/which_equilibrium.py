"""The figures of which_equilibrium.py, latent_noise.py and quality_of_equilibria.py."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from slantgan_jax.plots import QUIET, Panel

COLORS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d")
MARKERS = "o^sDvP"
TICKS = (1, 1.2, 1.5, 2, 3, 5, 8)
PIXELS = ("top left", "top right", "bottom left", "bottom right")


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Lines in the plane of a pixel, the law against the ends, other methods."""
    plane, law, methods = panel.subplots(1, 3)
    steepest_lines(plane, data["flow"])
    ends_against_law(law, data["flow"], data["which"]["R² of laws"])
    ends_of_methods(methods, data["which"]["methods"])
    panel.suptitle(data["answer"], fontsize=10.5)


def steepest_lines(ax: Axes, flow: dict[str, np.ndarray]) -> None:
    """One pixel's plane of w and b: its equilibria, the lines of steepest mean, and some runs among them."""
    w, b = flow["grid_w"], flow["grid_b"]
    ax.contour(w, b, flow["lines"], levels=np.arange(-6, 6.1, 0.4), colors="#cbd5e1", linewidths=0.8, linestyles="-")
    ax.plot(w, flow["surface"], color="black", linewidth=1.8, label="equilibria")
    for i, path in enumerate(flow["paths"]):
        ax.plot(path[:, 0], path[:, 4], color=COLORS[i % 4], linewidth=0.7)
        ax.plot(*path[0, [0, 4]], "o", color=COLORS[i % 4], markersize=5, label="" if i else "start of a run")
        ax.plot(*flow["end"][i, [0, 4]], "s", color=COLORS[i % 4], markersize=5, label="" if i else "its end")
    ax.plot([], [], color="#94a3b8", linewidth=0.8, label="lines of steepest mean")
    ax.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]), xlabel="weight w of the top left pixel", ylabel="its bias b")
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Runs swing along one line of steepest mean", fontsize=10)


def ends_against_law(ax: Axes, flow: dict[str, np.ndarray], explained: dict[str, float]) -> None:
    """Final weights against those of the steepest line, with a color for each pixel; in gray those of the start."""
    end = flow["end"][:, :4]
    ax.plot(flow["start"][:, :4], end, ".", color="#cbd5e1", markersize=3, zorder=1)
    for i, name in enumerate(PIXELS):
        ax.plot(flow["steepest"][:, i], end[:, i], MARKERS[i], color=COLORS[i], markersize=2.5, label=name)
    limits = [end.min() - 0.3, end.max() + 0.3]
    ax.plot(limits, limits, color="black", linewidth=0.8)
    text = "\n".join(f"{name}: 1 - R² = {1 - value:.2g}" for name, value in explained.items())
    ax.text(0.97, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=8)
    ax.set(xlim=limits, ylim=limits, xlabel="weight w where the steepest line meets the equilibria")
    ax.set_ylabel("weight w after training")
    ax.legend(fontsize=8, loc="upper left", title="pixel (gray: against w of the start)", title_fontsize=8)
    ax.set_title("Where that line meets the equilibria the run ends", fontsize=10)


def ends_of_methods(ax: Axes, methods: dict[str, dict[str, Any]]) -> None:
    """How far from the flow's ends and from those of the law other methods end, in spreads over starts."""
    names = sorted(methods, key=lambda name: methods[name]["from the flow's end, in spreads"], reverse=True)
    for what, marker, color in (("the flow's end", "o", COLORS[0]), ("the steepest law", "x", COLORS[1])):
        shares = [100 * methods[name][f"from {what}, in spreads"] for name in names]
        ax.plot(shares, range(len(names)), marker, color=color, label=f"from {what}")
    ax.axvline(100, color=QUIET, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xscale="log", xlim=(0.1, 200), xlabel="rms distance of w, % of the spread over starts")
    ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    ax.legend(fontsize=8, loc="lower left")
    ax.set_title("Rules and rates hardly matter, Adam and the loss do", fontsize=10)


def noise(panel: Panel, data: dict[str, Any]) -> None:
    """How the mean of the weights drifts and how runs diffuse around it."""
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


def quality(panel: Panel, data: dict[str, Any]) -> None:
    """Shares of runs against their distance from the faces, in units of the least; three single generators, too."""
    ax = panel.subplots()
    for color, (name, found) in zip(COLORS, data["quality"].items(), strict=False):
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
    ax.set(xscale="log", xlim=(0.95, 30), ylim=(0, 1), ylabel="share of runs at most so far")
    ax.set_xlabel("distance from the faces, relative to the best generator's")
    ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_xticks([], minor=True)
    ax.legend(fontsize=8, loc="center right")
    ax.set_title("Collapsing costs more than not being the best", fontsize=10)
    panel.suptitle(data["answer"], fontsize=10)
