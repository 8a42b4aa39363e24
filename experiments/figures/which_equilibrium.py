"""The figures of which_equilibrium.py, latent_noise.py and quality_of_equilibria.py."""

from typing import Any

import numpy as np
from _flow import METHOD_AT_REST, STEEPEST_LINE, motion
from _results import counted
from figures.panels import marker_of, title, told_apart
from matplotlib.axes import Axes

from slantgan_jax.plots import PALETTE, QUIET, Panel

COLORS = ("#1d4ed8", "#b45309", "#0f766e", "#be185d")
MOST_RATES = len({*COLORS, *PALETTE})
"""Of the figure of noise, which has a color for each."""

SEEN = "the tutorial: D has seen G's latent"
HALVING = "epochs in which mean |w| halves at rate 0.01, as predicted"
GROWS = "mean |w| grows, as predicted"
"""Names in the data of latent_noise.py."""

TICKS = (1, 1.2, 1.5, 2, 3, 5, 8)
TICKS_OF_SIZES = (0, 0.25, 0.5, 0.75, 1, 2, 5, 10, 100, 1000)
"""Of the size of the weights, relative to the start: its axis is linear up to 1, and then logarithmic."""


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Lines in the plane of a pixel, the law against the ends, other methods."""
    plane, law, methods = panel.subplots(1, 3)
    steepest_lines(plane, data["flow"])
    ends_against_law(law, data["flow"], data["which"]["R² of laws"][STEEPEST_LINE])
    ends_of_methods(methods, data["which"]["methods"])
    panel.suptitle(data["answer"].partition("\n")[0], fontsize=13)


def steepest_lines(ax: Axes, flow: dict[str, np.ndarray]) -> None:
    """One pixel's plane of w and b: its equilibria, the lines of steepest mean, and some runs among them."""
    w, b = flow["grid_w"], flow["grid_b"]
    ax.contour(w, b, flow["lines"], levels=np.arange(-6, 6.1, 0.4), colors="#cbd5e1", linewidths=0.8, linestyles="-")
    ax.plot(w, flow["surface"], color="black", linewidth=2, label="equilibria")
    ax.plot([], [], color="#94a3b8", linewidth=0.8, label="lines of steepest mean")
    for i, path in enumerate(flow["paths"]):
        color = COLORS[i % 4]
        ax.plot(path[:, 0], path[:, 4], color=color, linewidth=1, label="" if i else "runs, in four colors")
        ax.plot(*path[0, [0, 4]], "o", color=color, markersize=7, label="" if i else "start")
        ax.plot(*flow["end"][i, [0, 4]], "s", color=color, markersize=7, label="" if i else "end")
    ax.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]))
    ax.set_xlabel("weight w of the top left pixel", fontsize=11)
    ax.set_ylabel("its bias b", fontsize=11)
    ax.legend(fontsize=9, loc="upper right")
    seen = "A run swings to and fro on one line, and\nrests where it meets the equilibria"
    if motion(flow["residual"][: len(flow["paths"])]):
        seen = "Runs beside the lines of steepest mean;\nthey have not come to rest yet"
    ax.set_title(seen, fontsize=11)


def ends_against_law(ax: Axes, flow: dict[str, np.ndarray], share: float) -> None:
    """Final weights of all four pixels against those of the steepest line and, in gray, those of the start."""
    end = flow["end"][:, :4]
    ax.plot(flow["start"][:, :4], end, ".", color="#b8c4d3", markersize=4, zorder=1)
    ax.plot(flow["steepest"], end, ".", color=COLORS[0], markersize=4)
    limits = [end.min() - 0.3, end.max() + 0.3]
    ax.plot(limits, limits, color="black", linewidth=0.8, label="as predicted")
    for color, name in ((COLORS[0], "where the line meets the equilibria"), ("#b8c4d3", "at the start of the run")):
        ax.plot([], [], ".", color=color, markersize=10, label=name)
    ax.set(xlim=limits, ylim=limits)
    ax.set_xlabel("weight w of a pixel, before training", fontsize=11)
    ax.set_ylabel("after training", fontsize=11)
    ax.legend(fontsize=10, loc="lower right", title="weight w", title_fontsize=10)
    ends = "places, not at rest," if motion(flow["residual"]) else "ends"
    ax.set_title(f"The line predicts the {ends} of {len(end)}\nruns and four pixels with R² = {share:.3f}", fontsize=11)


def ends_of_methods(ax: Axes, methods: dict[str, dict[str, Any]]) -> None:
    """How far from the flow's ends other methods end, in spreads over starts; hollow if they have not come to rest."""
    names = sorted(methods, key=lambda name: methods[name]["from the flow's end, in spreads"], reverse=True)
    shares = [100 * methods[name]["from the flow's end, in spreads"] for name in names]
    for place, (name, share) in enumerate(zip(names, shares, strict=True)):
        face = COLORS[0] if rests(methods[name]) else "white"
        ax.plot(share, place, "o", color=COLORS[0], markerfacecolor=face, markersize=7)
        ax.annotate(
            f"{two_digits(share)} %", (share, place), (8, 0), textcoords="offset points", va="center", fontsize=10
        )
    ax.axvline(100, color=QUIET, linestyle=":", linewidth=1)
    ax.annotate("as far as\nother starts", (100, len(names) - 1), (6, 0), textcoords="offset points", va="center",
                fontsize=9, color=QUIET)  # fmt: skip
    ax.set_yticks(range(len(names)), names, fontsize=10)
    ax.set(xscale="log", xlim=(min(0.2, shares[-1] / 2), max(500, 2 * shares[0])))
    ax.set_xlabel(
        "distance from the end of the flow, in % of\nthe spread over starts; hollow: not at rest", fontsize=11
    )
    ax.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    ax.set_title(distances_of_methods(methods), fontsize=11)


def distances_of_methods(methods: dict[str, dict[str, Any]]) -> str:
    """A line for methods that change only the rule and the rate, one that names what the others change, and one for
    methods that have not come to rest, as far as there are any."""
    lines = []
    for elsewhere in (False, True):
        rows = [row for row in methods.values() if bool(row["elsewhere by"]) == elsewhere]
        if rows:
            kind = ", ".join(row["elsewhere by"] for row in rows) if elsewhere else "Other rules and rates"
            shares = [100 * row["from the flow's end, in spreads"] for row in rows]
            least, most = two_digits(min(shares)), two_digits(max(shares))
            lines.append(f"{kind}: {least if least == most else f'{least} to {most}'} % away")
    if moving := sum(not rests(row) for row in methods.values()):
        lines.append(f"Not at rest: {moving} of {counted(len(methods), 'method')}")
    return "\n".join(lines)


def rests(row: dict[str, Any]) -> bool:
    """Whether a method has come to rest from the median start."""
    return row["residual"][1] < METHOD_AT_REST


def two_digits(number: float) -> str:
    """Two significant digits, and from 100 on all digits before the point."""
    return f"{number:.2g}" if number < 99.5 else f"{number:.0f}"


def noise(panel: Panel, data: dict[str, Any]) -> None:
    """How the mean of the weights drifts and how runs diffuse around it."""
    drift, spread = panel.subplots(1, 2)
    rates, steps = data["settings"]["learning_rates"], data["settings"]["steps"]
    drift_of_noise(drift, data["noise"], rates, steps)
    drift.set_title(f"Theory (lines): {what_noise_does(data['summary'])}", fontsize=10)
    spread_by_noise(spread, data["noise"], rates, steps)
    title(panel, data["answer"])


def drift_of_noise(ax: Axes, noise: dict[str, Any], rates: list[float], steps: int) -> None:
    """Mean size of the weights against η² n: all rates on one curve for each case; lines are the prediction.
    All that was measured is in sight, and so much of the prediction as is beside it."""
    sizes = []
    for (color, _), (name, found) in zip(told_apart(len(noise), COLORS), noise.items(), strict=True):
        for i, rate in enumerate(rates):
            times, few = _records(found, steps)
            size, predicted = (
                (found[key][i] * np.sign(found[key][i][:1])).mean(1) / np.abs(found[key][i][0]).mean()
                for key in ("mean", "predicted_mean")
            )
            ax.plot(rate**2 * times[1:], predicted[1:], color=color, linewidth=1, label="" if i else name)
            ring = {"marker": marker_of(i), "markersize": 3.5, "markerfacecolor": "none", "linestyle": "none"}
            ax.plot(rate**2 * times[few], size[few], color=color, **ring)
            sizes.append(size)
    for i, rate in enumerate(rates):
        ring = {"marker": marker_of(i), "markersize": 3.5, "markerfacecolor": "none", "linestyle": "none"}
        ax.plot([], [], color="black", label=f"η = {rate:g}", **ring)
    first, last = (rate**2 * steps for rate in (min(rates), max(rates)))
    ax.set(xscale="log", xlim=(min(1, first / 100), 1.2 * last))
    least, most = _range(sizes, -0.05, 2)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks(TICKS_OF_SIZES, [f"{tick:g}" for tick in TICKS_OF_SIZES])
    ax.set_ylim(1.1 * least, 1.1 * most)
    ax.set_xlabel("η² n, the rate squared times the steps")
    ax.set_ylabel("mean |w|, relative to the start")
    ax.legend(fontsize=7.5, loc="upper left")


def what_noise_does(summary: dict[str, dict[str, Any]]) -> str:
    """What theory says of the size of the weights in the cases that there are."""
    halves = [name for name, row in summary.items() if np.isfinite(row[HALVING])]
    if SEEN in halves:
        return "a latent that D has just seen makes G collapse"
    grow = sum(row[GROWS] for row in summary.values())
    return f"of {counted(len(summary), 'kind')} of noise {len(halves)} halve |w|, and {grow} make it grow"


def spread_by_noise(ax: Axes, noise: dict[str, Any], rates: list[float], steps: int) -> None:
    """Standard deviation of w over replicas against steps, of the first two cases; lines are the prediction.
    All that was measured is in sight, and so much of the prediction as is beside it."""
    deviations = []
    colors = [color for color, _ in told_apart(len(rates), COLORS)]
    two = list(noise.items())[:2]
    for marker, style, (name, found) in zip("o^"[: len(two)], ("-", "--")[: len(two)], two, strict=True):
        times, few = _records(found, steps)
        for i, color in enumerate(colors):
            ax.plot(times[1:], found["predicted_deviation"][i, 1:].mean(1), style, color=color, linewidth=1)
            face = color if marker == "o" else "none"
            measured = found["deviation"][i].mean(1)
            ax.plot(times[few], measured[few], marker, color=color, markersize=3.5, markerfacecolor=face)
            deviations.append(measured[1:])
        face = "black" if marker == "o" else "none"
        legend = {"marker": marker, "markerfacecolor": face, "markersize": 3.5}
        ax.plot([], [], style, color="black", linewidth=1, label=name, **legend)
    for color, rate in zip(colors, rates, strict=True):
        ax.plot([], [], color=color, label=f"η = {rate:g}")
    ax.set(xscale="log", yscale="log", xlabel="steps n", ylabel="standard deviation of w over replicas")
    least, most = _range(deviations, 1e-4, 3)
    ax.set_ylim(least / 1.5, 1.5 * most)
    ax.legend(fontsize=7.5, loc="upper left", ncol=2)
    ax.set_title("Theory (lines): around that mean runs diffuse, as √(2 η³ D n)", fontsize=10)


def _range(measured: list[np.ndarray], low: float, high: float) -> tuple[float, float]:
    """From `low` to `high`, or as far beyond as there are measured numbers other than 0, which a log axis lacks."""
    numbers = np.concatenate(measured)
    numbers = numbers[np.isfinite(numbers) & (numbers != 0)]
    return numbers.min(initial=low), numbers.max(initial=high)


def _records(found: dict[str, Any], steps: int) -> tuple[np.ndarray, slice]:
    """The steps of the records, and which of them get a marker."""
    times = np.linspace(0, steps, found["mean"].shape[1])
    return times, slice(1, None, 4) if len(times) > 10 else slice(1, None)


def quality(panel: Panel, data: dict[str, Any]) -> None:
    """Shares of runs against their distance from the faces, in units of the least; three single generators, too."""
    ax = panel.subplots()
    styles = told_apart(len(data["quality"]), COLORS)
    for (color, _), (name, found) in zip(styles, data["quality"].items(), strict=True):
        least = found["best"][0]
        for key, style in (("equilibria", "-"), ("runs", ":")):
            values = np.sort(found[key]) / least
            ax.plot(values, (np.arange(values.size) + 1) / values.size, style, color=color, linewidth=1.6)
        ax.plot([], [], color=color, linewidth=1.6, label=f"{name}, least {least:.4f}")
        marks = (found["surface"][0], "D"), (found["constant"], "X"), (found["runs"][0], "*")
        for height, (value, marker) in enumerate(marks, 1):
            ax.plot(value / least, height / 25, marker, color=color, markeredgecolor="white", markersize=8, zorder=5)
    moving = motion(data["residual"])
    reached = "the flow, not at rest" if moving else "equilibria reached"
    for style, label in (("-", reached), (":", "the tutorial's 1000 epochs")):
        ax.plot([], [], style, color="black", label=label)
    for marker, label in (("D", "best equilibrium"), ("X", "collapsed, w = 0"), ("*", "tutorial, seed 0")):
        ax.plot([], [], marker, linestyle="none", color="black", markersize=6, label=label)
    ax.set(xscale="log", xlim=(0.95, 30), ylim=(0, 1), ylabel="share of runs at most so far")
    ax.set_xlabel("distance from the faces, relative to the best generator's")
    ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_xticks([], minor=True)
    ax.legend(fontsize=8, loc="center right")
    worse = [found["constant"] > np.median(found["equilibria"]) for found in data["quality"].values()]
    if all(worse) and not moving:
        ax.set_title("Collapsing costs more than not being the best", fontsize=10)
    title(panel, data["answer"])
