"""Figures of the reproductions."""

from typing import Any

import numpy as np
from _toys import quantiles
from figures.panels import grid, title
from figures.toy_gan import cloud

from slantgan_jax.plots import DISCRIMINATOR, GENERATOR, NEGATIVE, POSITIVE, QUIET, Panel

DRAWN = 4
"""This many seeds, the first ones, are drawn one by one."""

RUN_COLORS = GENERATOR, DISCRIMINATOR, POSITIVE, NEGATIVE

FATES = {
    "covers": GENERATOR,
    "between": "#d1d5db",
    "cycles": DISCRIMINATOR,
    "collapsed": "#111827",
    "diverged": "white",
}
"""What became of runs, and its color."""


def size(data: dict[str, Any]) -> tuple[float, float]:
    return 16, 0.8 + 3.1 * len(data["ways"])


def samples(figure: Panel, data: dict[str, Any]) -> None:
    """A row for each way to train: the last points of some seeds, and modes or distance over all seeds."""
    rows = data["ways"]
    axes = figure.subplots(len(rows), DRAWN + 1, squeeze=False, width_ratios=[1] * DRAWN + [1.3])
    reach = 1.5 * np.abs(data["real"]).max() * np.array([-1, 1])
    for (name, way), line in zip(rows.items(), axes, strict=True):
        for seed, (ax, points) in enumerate(zip(line, way["points"], strict=False)):
            cloud(ax, data | {"axis": reach}, points)
            ax.set_title(f"{name}, seed {seed}", fontsize=8)
        for ax in line[len(way["points"]) : -1]:
            ax.set_visible(False)
        measure = "modes" if "modes" in way["runs"] else "sliced_wasserstein"
        found = quantiles(way["runs"][measure], way["finite"], [0.1, 0.5, 0.9])
        known = np.isfinite(found)
        top = 1.05 * np.max(found, initial=0, where=known) or 1
        low, _, high = np.where(known, found, top)  # infinite ones are at the upper edge
        line[-1].fill_between(data["record"], low, high, color=GENERATOR, alpha=0.25, linewidth=0)
        line[-1].plot(data["record"], np.where(known[1], found[1], np.nan), color=GENERATOR)
        line[-1].set(xlabel="step", ylabel=measure.replace("_", " "), ylim=(0, top))
        lost = "" if known[1].all() else "; infinite where there is no line"
        line[-1].set_title(f"median over seeds, and 10 to 90 %{lost}", fontsize=8)
    title(figure, data["answer"])


def overview_size(data: dict[str, Any]) -> tuple[float, float]:
    return 11, 1.9 + 0.36 * len(data["ways"])


def overview(figure: Panel, data: dict[str, Any]) -> None:
    """A row for each way to train: what became of its runs, and the modes captured over the steps."""
    rows, step = data["ways"], data["record"][0]
    left, right = figure.subplots(1, 2, sharey=True)
    before = np.zeros(len(rows))
    for fate, color in FATES.items():
        shares = [way["summary"]["fates"][fate][0] for way in rows.values()]
        style = {"color": color, "height": 0.8, "edgecolor": QUIET, "linewidth": 0.5}
        left.barh(np.arange(len(rows)), shares, left=before, label=fate, **style)
        before += shares
    left.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="share of seeds")
    left.set_yticks(range(len(rows)), list(rows))
    left.legend(fontsize=8, ncols=len(FATES), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    modes = [np.median(way["runs"]["modes"], axis=0) for way in rows.values()]
    extent = (step / 2, data["record"][-1] + step / 2, len(rows) - 0.5, -0.5)
    image = right.imshow(
        modes, cmap="viridis", vmin=0, vmax=len(data["modes"]), extent=extent, aspect="auto", interpolation="none"
    )
    right.set_xlabel("step")
    right.set_title("modes captured, at the median seed", fontsize=9)
    figure.colorbar(image, ax=right)
    title(figure, data["answer"])


def spectra(figure: Panel, data: dict[str, Any]) -> None:
    """A row for each way to train: leading eigenvalues of the flows of two fields at the ends of some runs."""
    rows = data["ways"]
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for (name, way), line in zip(rows.items(), axes, strict=True):
        for ax, (field, numbers) in zip(line, way["spectra"].items(), strict=True):
            for color, run in zip(RUN_COLORS[: len(numbers)], numbers, strict=True):
                ax.plot(*run.T, ".", color=color)
            ax.axvline(0, color=QUIET, linewidth=0.8)
            ax.set(xlabel="real part", ylabel="imaginary part", title=f"flow of {field}, after training with {name}")
            ax.set_xscale("symlog", linthresh=0.1)
            ax.set_yscale("symlog", linthresh=0.1)
    title(figure, data["answer"])


def landscape(figure: Panel, data: dict[str, Any]) -> None:
    """A row for each way to train: the path angle and norm from the start to the end of runs, and eigenvalues of J."""
    rows = data["ways"]
    for (name, way), line in zip(rows.items(), figure.subplots(len(rows), 3, squeeze=False), strict=True):
        found = way["landscape"]
        shares = np.linspace(-0.1, 1.1, found["cosines"].shape[1])
        for ax, measure in ((line[0], "cosines"), (line[1], "norms")):
            ax.plot(shares, found[measure].T, color=GENERATOR, alpha=0.7)
            ax.set(xlabel="share of the line from start to end", title=name)
        line[0].set(ylabel="cosine of descent and line", ylim=(-1, 1))
        line[1].set(ylabel="norm of the field", yscale="log")
        line[2].plot(*found["eigenvalues of J"].reshape(-1, 2).T, ".", color=DISCRIMINATOR)
        line[2].axvline(0, color=QUIET, linewidth=0.8)
        line[2].set(xlabel="real part", ylabel="imaginary part", title=f"{name}: leading eigenvalues of J at the end")
    title(figure, data["answer"])


def critics(figure: Panel, data: dict[str, Any]) -> None:
    """Level lines of D's logit for the first seed of each way to train, over the data."""
    axis, found = data["axis"], data["surfaces"]
    for ax, (name, logits) in zip(grid(figure, len(found), 3, sharex=True, sharey=True), found.items(), strict=True):
        lines = ax.contour(axis, axis, logits[0], 12, cmap="viridis", linewidths=0.9)
        ax.clabel(lines, lines.levels[::4], fontsize=6)
        ax.plot(*data["real"][:300].T, ".", color=QUIET, markersize=2)
        ax.set_title(name, fontsize=9)
        ax.set_aspect("equal")
    title(figure, data["answer"])
