"""Figures of many runs at once: where training works, and what losses tell: arrays in, drawings out, as in `plots`."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from slantgan_jax import plots
from slantgan_jax.plots import Panel

FATES = {"converged": ("Blues_r", 0.05, 0.85), "neither": ("YlOrBr_r", 0.05, 0.85), "diverged": ("Greys", 0.35, 0.9)}
"""The color map of each verdict, and which part of it: told apart in every kind of color blindness and in print."""

AXES = {
    "rates": ("log₁₀ of G's learning rate", "log₁₀ of D's learning rate"),
    "starts": ("along one direction (standard deviations)", "along another"),
}
METHOD_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
LOOK_COLOURS = ("#94a3b8", "#b45309", "#1d4ed8")
PLANE_COLOURS = {"rates": "#1d4ed8", "starts": "#b45309"}


def fates(verdict: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """Runs `[n, m]` as colors `[n, m, 3]`: verdict is the hue, the rank of `intensity` among its like the shade."""
    picture = np.ones((*verdict.shape, 3))
    for number, (name, low, high) in enumerate(FATES.values()):
        mask = verdict == number
        _, place, counts = np.unique(intensity[mask], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2)[place] / max(1, mask.sum())
        picture[mask] = colormaps[name](low + (high - low) * ranks)[:, :3]
    return picture


def basins(panel: Panel, data: Mapping[str, np.ndarray], summary: Mapping[str, Any], title: str) -> None:
    """Both planes with their zooms, each framed in the one before, and how both estimates of the dimension come about.

    Args:
      data: `rates_0_verdict`, `rates_0_intensity`, ... `[n, n]` for each plane and level.
      summary: `data.json` of `experiments/basins.py`.
      title: of the figure, the answer.
    """
    grid = panel.add_gridspec(4, 6, width_ratios=[1, 1, 1, 1, 0.9, 0.9])
    for row, (plane, about) in zip((0, 2), summary["planes"].items(), strict=True):
        axes = [panel.add_subplot(grid[row : row + 2, 0:2])]
        axes += [panel.add_subplot(grid[row + i // 2, 2 + i % 2]) for i in range(4)]
        pictures, whole = about["pictures"], _side(about["pictures"][0])
        for level, (ax, picture) in enumerate(zip(axes, pictures, strict=False)):
            colors = fates(data[f"{plane}_{level}_verdict"], data[f"{plane}_{level}_intensity"])
            ax.imshow(colors, origin="lower", extent=picture["window"], interpolation="antialiased", aspect="equal")
            if level + 1 < len(pictures):
                left, right, bottom, top = pictures[level + 1]["window"]
                for color, width in (("white", 3.0), ("black", 1.2)):
                    frame = Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=color, lw=width)
                    ax.add_patch(frame)
            found = picture["dimension"]
            dimension = f", D = {found['value']:.2f}" if found else ""
            if level:
                ax.set(xticks=[], yticks=[])
                ax.set_title(f"× {round(whole / _side(picture)):,}{dimension}", fontsize=10)
            else:
                ax.set(xlabel=AXES[plane][0], ylabel=AXES[plane][1])
                shares = ", ".join(f"{share:.0%} {name}" for name, share in zip(FATES, picture["shares"], strict=True))
                ax.set_title(shares, fontsize=10)
        for ax in axes[len(pictures) :]:
            ax.set_axis_off()
    _box_counts(panel.add_subplot(grid[0:2, 4:6]), summary)
    _uncertain(panel.add_subplot(grid[2:4, 4:6]), summary)
    keys = [Patch(color=colormaps[name](0.35), label=f"{fate}: {what}") for (fate, (name, *_)), what in zip(
        FATES.items(), ("dark is fast", "dark is far from equilibrium", "light is fast"), strict=True)]  # fmt: skip
    panel.legend(handles=keys, loc="outside lower left", ncol=3, fontsize=10, frameon=False)
    panel.suptitle(title, fontsize=13)


def _side(picture: Mapping[str, Any]) -> float:
    return picture["window"][1] - picture["window"][0]


def _box_counts(ax: Axes, summary: Mapping[str, Any]) -> None:
    """How many boxes meet the boundary, in each picture, against their side."""
    sizes, resolution = np.array(summary["box_sizes"]), summary["settings"]["resolution"]
    for plane, about in summary["planes"].items():
        for level, picture in enumerate(about["pictures"]):
            sides = sizes / resolution * _side(picture) / _side(about["pictures"][0])
            counts = np.array(picture["counts"], float)
            counts[counts == 0] = np.nan
            label = None if level else f"{plane}: D = {_pm(about['box_dimension'])} in the zooms"
            ax.loglog(sides, counts, "o-", color=PLANE_COLOURS[plane], markersize=4, linewidth=1.2, label=label)
    for name, check, style in zip(("a line", "Koch's curve"), summary["checks"].values(), (":", "--"), strict=True):
        label = f"{name}: {check['found']['value']:.2f} (is {check['known']:.2f})"
        ax.loglog(sizes / resolution, check["counts"], style, color=plots.QUIET, linewidth=1.3, label=label)
    ax.set(xlabel="side of a box / side of the whole plane", ylabel="boxes that meet the boundary")
    ax.set_ylim(top=ax.get_ylim()[1] * 8)
    ax.legend(fontsize=9, loc="upper right")
    ax.set_title("Box counting: N ~ s^-D, one line for each picture", fontsize=10)


def _uncertain(ax: Axes, summary: Mapping[str, Any]) -> None:
    for plane, about in summary["planes"].items():
        share = np.array(about["differing"]) / summary["settings"]["pairs"]
        found = about["uncertainty_dimension"]
        label = f"{plane}: D = 2 - slope = {_pm(found)}" if found else plane
        error = np.sqrt(share * (1 - share) / summary["settings"]["pairs"])
        style = {"fmt": "o-", "color": PLANE_COLOURS[plane], "markersize": 4, "linewidth": 1.2}
        ax.errorbar(about["distances"], share, 2 * error, label=label, **style)
    ax.set(xscale="log", yscale="log", xlabel="distance of two points ε / side of the whole plane")
    ax.set_ylabel("share of pairs of which one converges")
    ax.legend(fontsize=9, loc="lower right")
    ax.set_title("Uncertain pairs: f ~ ε^(2 - D), over the whole plane", fontsize=10)


def _pm(dimension: Mapping[str, float | None]) -> str:
    value, error = dimension["value"], dimension["error"]
    return "unknown" if value is None else f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"


def loss_curves_lie(
    panel: Panel,
    data: Mapping[str, np.ndarray],
    summary: Mapping[str, Any],
    examples: Mapping[str, Sequence[Mapping[str, Any]]],
    names: Mapping[str, Any],
    title: str,
) -> None:
    """Losses and a gap against the true distance; how well each orders runs; two runs whose curves look alike.

    Args:
      data: arrays `[method, rate, seed, look]` by name.
      summary: correlations, as `experiments/loss_curves_lie.py` computes them.
      examples: for `same_loss` two runs, with `curves` `[epochs, 2]`, `images` `[latents, 4]` and their numbers.
      names: `methods`, `epochs` of the looks, `indicators` by name, losses that are `undecided`, `latents`.
      title: of the figure, the answer.
    """
    upper, lower = panel.subfigures(2, 1, height_ratios=[1, 1.05], squeeze=False)[:, 0]
    axes = upper.subplots(1, 3, sharey=True)
    shown = (
        ("discriminator_loss", "D's loss at the end (nats, exact)", names["undecided"]["discriminator_loss"]),
        ("generator_loss", "G's loss at the end (nats, exact)", names["undecided"]["generator_loss"]),
        ("duality_gap_ridge", "duality gap with a ridge (nats)", None),
    )
    for ax, (name, label, undecided) in zip(axes, shown, strict=True):
        for method, x, y in zip(names["methods"], data[name][..., -1], data["wasserstein_1"][..., -1], strict=True):
            color = METHOD_COLOURS[names["methods"].index(method)]
            ax.plot(x.ravel(), y.ravel(), "o", color=color, markersize=2.6, alpha=0.6, linewidth=0, label=method)
        if undecided:
            ax.axvline(undecided, color="black", linewidth=0.9, linestyle=":")
        line = {"color": plots.QUIET, "linewidth": 0.9, "linestyle": "--"}
        ax.axhline(summary["mean_face_wasserstein_1"], label="only the mean face" if ax is axes[-1] else None, **line)
        rho = summary["spearman"][str(names["epochs"][-1])]["wasserstein_1"][name]
        ax.set_title(f"rank correlation {rho[0]:.2f}  [{rho[1]:.2f}, {rho[2]:.2f}]", fontsize=11)
        ax.set(xscale="log" if undecided is None else "symlog", yscale="log", xlabel=label)
        if undecided:
            ax.set_xscale("function", functions=(np.arcsinh, np.sinh))
            ax.set_xticks([0, 0.7, 1.4, 3, 10, 30], ["0", "0.7", "1.4", "3", "10", "30"])
            ax.set_xlim(0, max(4.0, min(40.0, float(np.nanmax(data[name][..., -1])))))
    axes[0].set_ylabel("Wasserstein-1 distance from the faces")
    axes[0].set_yticks([0.12, 0.14, 0.2, 0.3, 0.5, 1.0], ["0.12", "0.14", "0.2", "0.3", "0.5", "1"])
    axes[0].minorticks_off()
    axes[0].legend(fontsize=9, markerscale=2)
    axes[-1].legend(handles=axes[-1].lines[-1:], fontsize=9, loc="upper left")
    left, right = lower.subfigures(1, 2, width_ratios=[1, 1.25], squeeze=False)[0]
    _correlations(left.subplots(), summary["spearman"], names)
    _twins(right, examples["same_loss"], names)
    panel.suptitle("\n".join(line for part in title.split("\n") for line in textwrap.wrap(part, 190)), fontsize=11)


def _correlations(ax: Axes, spearman: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    places = np.arange(len(names["indicators"]))[::-1]
    ax.axvline(0, color=plots.QUIET, linewidth=0.8)
    for number, epochs in enumerate(names["epochs"]):
        if (found := spearman[str(epochs)]) is None:
            continue
        value, low, high = np.array([found["wasserstein_1"][name] for name in names["indicators"]]).T
        y = places + 0.22 * (1 - number)
        style = {"fmt": "o", "markersize": 4, "color": LOOK_COLOURS[number % len(LOOK_COLOURS)]}
        ax.errorbar(value, y, xerr=[value - low, high - value], label=f"after {epochs:,} epochs", **style)
    ax.set_yticks(places, list(names["indicators"].values()), fontsize=9)
    ax.set(xlim=(-0.56, 1.02), xlabel="Spearman's ρ with the Wasserstein-1 distance (95 % over seeds)")
    ax.grid(axis="x", color="#e5e7eb")
    ax.set_axisbelow(True)
    ax.legend(fontsize=9, loc="lower left")
    ax.set_title("Which numbers order runs as the truth does", fontsize=11)


def _twins(panel: Panel, twins: Sequence[Mapping[str, Any]], names: Mapping[str, Any]) -> None:
    """Two runs with the same losses: their curves above each other, and beside them what they draw."""
    axes = panel.subplots(2, 1 + len(names["latents"]), width_ratios=[4.5, *[1] * len(names["latents"])])
    for row, run in zip(axes, twins, strict=True):
        losses = run["curves"]
        epochs = np.arange(1, len(losses) + 1)
        edges = np.unique(np.geomspace(1, len(losses), 200).astype(int)) - 1  # means over what one pixel shows
        counts = np.diff(np.append(edges, len(losses)))
        for values, color, player in zip(losses.T, (plots.GENERATOR, plots.DISCRIMINATOR), "GD", strict=True):
            row[0].plot(
                epochs[edges], np.add.reduceat(values, edges) / counts, color=color, linewidth=1.2, label=player
            )
        for value in names["undecided"].values():
            row[0].axhline(value, color=plots.QUIET, linewidth=0.8, linestyle=":")
        row[0].set(xscale="log", ylabel="loss, as plotted", ylim=(0, 2.5))
        row[0].set_title(
            f"{run['method']}, rate {run['learning_rate']:g}: ends at L_G {run['generator_loss']:.3f}, "
            f"L_D {run['discriminator_loss']:.3f}, W1 = {run['wasserstein_1']:.3f}", fontsize=9,
        )  # fmt: skip
        for ax, image, latent in zip(row[1:], run["images"], names["latents"], strict=True):
            plots.face(ax, image, numbers=False)
            ax.set_title(f"z = {latent:g}", fontsize=8)
    axes[0, 0].legend(fontsize=8, loc="upper left")
    axes[-1, 0].set_xlabel("epoch")
    panel.suptitle("The same losses to 1 %, another distance", fontsize=11)
