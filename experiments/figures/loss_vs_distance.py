"""Figure of `loss_vs_distance.py`."""

import textwrap

import numpy as np
from _results import Data
from figures.panels import told_apart
from matplotlib.axes import Axes

from slantgan_jax import plots
from slantgan_jax.plots import Panel

INDICATORS = {
    "plotted_generator_loss": "G's loss, as plotted",
    "plotted_discriminator_loss": "D's loss, as plotted",
    "generator_loss": "G's loss, exact",
    "discriminator_loss": "D's loss, exact",
    "off_undecided": "both losses' distance from equilibrium's",
    "duality_gap": "duality gap",
    "nikaido_isoda_gap": "Nikaido-Isoda gap",
    "duality_gap_ridge": "duality gap, ridge 0.01",
    "nikaido_isoda_gap_ridge": "Nikaido-Isoda gap, ridge 0.01",
    "best_discriminator_ridge": "best D's gain, ridge 0.01",
    "mean_gap": "distance of the mean images",
}
METHOD_COLORS = tuple(plots.PALETTE[i] for i in (0, 4, 2, 3))
LOOK_COLORS = ("#94a3b8", "#b45309", "#1d4ed8")
LINE_LENGTH = 190
MOST_POINTS = 200
"""Of a curve; each is a mean over what one pixel shows."""


def draw(figure: Panel, data: Data) -> None:
    """Losses and a gap against the true distance; how well each orders runs; two runs whose curves look alike."""
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.05], squeeze=False)[:, 0]
    axes = upper.subplots(1, 3, sharey=True)
    _against_distance(axes[0], data, "discriminator_loss", "D's loss at the end (nats, exact)")
    _against_distance(axes[1], data, "generator_loss", "G's loss at the end (nats, exact)")
    _against_distance(axes[2], data, "duality_gap_ridge", "duality gap with a ridge (nats)")
    axes[0].set_ylabel("Wasserstein-1 distance from the faces")
    axes[0].set_yticks([0.12, 0.14, 0.2, 0.3, 0.5, 1.0], ["0.12", "0.14", "0.2", "0.3", "0.5", "1"])
    axes[0].minorticks_off()
    axes[0].legend(handles=axes[0].lines[: len(data["methods"])], fontsize=9, markerscale=2)
    axes[2].legend(handles=axes[2].lines[-1:], fontsize=9, loc="upper left")
    left, right = lower.subfigures(1, 2, width_ratios=[1, 1.25], squeeze=False)[0]
    _correlations(left.subplots(), data)
    _twins(right, data)
    lines = [line for part in data["answer"].split("\n") for line in textwrap.wrap(part, LINE_LENGTH)]
    figure.suptitle("\n".join(lines), fontsize=11)


def _against_distance(ax: Axes, data: Data, name: str, label: str) -> None:
    """One dot a run: an indicator and the Wasserstein-1 distance, both at the end."""
    indicator, distance = data[name][..., -1], data["wasserstein_1"][..., -1]
    styles = told_apart(len(data["methods"]), METHOD_COLORS)
    for method, (color, marker), x, y in zip(data["methods"], styles, indicator, distance, strict=True):
        dots = {"color": color, "marker": marker, "markersize": 2.6, "alpha": 0.6, "linewidth": 0}
        ax.plot(x.ravel(), y.ravel(), **dots, label=method)
    ax.set(xscale="log", yscale="log", xlabel=label)
    if name in data["equilibrium"]:
        ax.axvline(data["equilibrium"][name], color="black", linewidth=0.9, linestyle=":")
        ax.set_xscale("function", functions=(np.arcsinh, np.sinh))
        ax.set_xticks([0, 0.7, 1.4, 3, 10, 30], ["0", "0.7", "1.4", "3", "10", "30"])
        ax.set_xlim(0, max(4.0, min(40.0, float(np.nanmax(indicator)))))
    mean_face = {"color": plots.QUIET, "linewidth": 0.9, "linestyle": "--", "label": "only the mean face"}
    ax.axhline(data["mean_face_wasserstein_1"], **mean_face)
    if found := data["spearman"][str(data["epochs"][-1])]:
        rho, low, high = found["wasserstein_1"][name]
        ax.set_title(f"rank correlation {rho:.2f}  [{low:.2f}, {high:.2f}]", fontsize=11)


def _correlations(ax: Axes, data: Data) -> None:
    places = np.arange(len(INDICATORS))[::-1]
    ax.axvline(0, color=plots.QUIET, linewidth=0.8)
    for number, (epochs, found) in enumerate(data["spearman"].items()):
        if found is None:
            continue
        value, low, high = np.array([found["wasserstein_1"][name] for name in INDICATORS]).T
        style = {"fmt": "o", "markersize": 4, "color": LOOK_COLORS[number % len(LOOK_COLORS)]}
        style["label"] = f"after {int(epochs):,} epochs"
        ax.errorbar(value, places + 0.22 * (1 - number), xerr=[value - low, high - value], **style)
    ax.set_yticks(places, list(INDICATORS.values()), fontsize=9)
    least = min(-0.56, 1.05 * ax.dataLim.x0)
    ax.set(xlim=(least, 1.02), xlabel="Spearman's ρ with the Wasserstein-1 distance (95 % over seeds)")
    ax.grid(axis="x", color="#e5e7eb")
    ax.set_axisbelow(True)
    ax.legend(fontsize=9, loc="best")
    ax.set_title("Which numbers order runs as the truth does", fontsize=11)


def _twins(figure: Panel, data: Data) -> None:
    """Two runs with the same losses: their curves above each other, and beside them what they draw."""
    if not data["same_loss"]:
        figure.suptitle("No two runs have the same losses to 1 %", fontsize=11)
        return
    axes = figure.subplots(2, 1 + len(data["latents"]), width_ratios=[4.5, *[1] * len(data["latents"])])
    for (curves, *pictures), run in zip(axes, data["same_loss"], strict=True):
        losses = np.asarray(run["curves"])
        edges = np.unique(np.geomspace(1, len(losses), MOST_POINTS).astype(int)) - 1
        means = np.add.reduceat(losses, edges) / np.diff(np.append(edges, len(losses)))[:, None]
        for values, color, player in zip(means.T, (plots.GENERATOR, plots.DISCRIMINATOR), "GD", strict=True):
            curves.plot(edges + 1, values, color=color, linewidth=1.2, label=player)
        for value in data["equilibrium"].values():
            curves.axhline(value, color=plots.QUIET, linewidth=0.8, linestyle=":")
        curves.set(xscale="log", ylabel="loss, as plotted", ylim=(0, 2.5))
        about = (
            f"{run['method']}, rate {run['learning_rate']:g}: ends at L_G {run['generator_loss']:.3f}, "
            f"L_D {run['discriminator_loss']:.3f}, W1 = {run['wasserstein_1']:.3f}"
        )
        curves.set_title(about, fontsize=9)
        for ax, image, latent in zip(pictures, np.asarray(run["images"]), data["latents"], strict=True):
            plots.face(ax, image, numbers=False)
            ax.set_title(f"z = {latent:g}", fontsize=8)
    axes[0, 0].legend(fontsize=8, loc="upper left")
    axes[-1, 0].set_xlabel("epoch")
    figure.suptitle("The same losses to 1 %, another distance", fontsize=11)
