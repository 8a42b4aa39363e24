"""Figures of the reproductions."""

from typing import Any

import numpy as np
from figures.toy_gan import cloud

from slantgan_jax.plots import GENERATOR, Panel

DRAWN = 4
"""The first so many seeds are drawn one by one."""


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
        low, middle, high = np.nanquantile(way["runs"][measure], [0.1, 0.5, 0.9], axis=0)
        line[-1].fill_between(data["record"], low, high, color=GENERATOR, alpha=0.25, linewidth=0)
        line[-1].plot(data["record"], middle, color=GENERATOR)
        line[-1].set(xlabel="step", ylabel=measure.replace("_", " "), ylim=(0, None))
        line[-1].set_title("median over seeds, and 10 to 90 %", fontsize=8)
    figure.suptitle(data["answer"], fontsize=11)
