"""Figures of `toy_gan.py`."""

from collections.abc import Iterator, Mapping

import numpy as np
from _experiment import Figure, progress
from _methods import undecided
from _results import Data
from figures.panels import gif, grid, title
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from slantgan_jax import plots
from slantgan_jax.plots import DISCRIMINATOR, GENERATOR, QUIET, Panel

DRAWN = 8
"""This many seeds, the first ones, are drawn one by one."""

VERDICT = "RdBu_r"
SAID = {True: "σ of D's score less its median, red where it is above", False: "D, red for real"}
"""What the background shows, by whether any constant D is undecided."""


def of(data: Data) -> Mapping[str, Figure]:
    figures = {"samples.png": Figure(samples, 13, 1 + 3.3 * -(-len(data["points"]) // 4))}
    return figures if data["modes"] is None else figures | {"modes.png": Figure(modes, 13, 5)}


def samples(figure: Panel, data: Data) -> None:
    """What G draws for some seeds, over the real points and D's verdict."""
    points = data["points"]
    axes = grid(figure, len(points), 4, sharex=True, sharey=True)
    for seed, ax in enumerate(axes):
        verdict(ax, data, seed)
        cloud(ax, data, points[seed, -1])
        captured = f", {data['runs']['modes'][seed, -1]:g} modes" if data["modes"] is not None else ""
        drawn = np.isfinite(points[seed, -1]).any()
        ax.set_title(f"seed {seed}{captured}" if drawn else f"seed {seed}: diverged", fontsize=9)
    title(figure, data["answer"])
    background = SAID[undecided(data["settings"]["objective"]) is None]
    figure.supxlabel(f"green: generated; black: centers of modes, or real points; background: {background}", fontsize=9)


def verdict(ax: Axes, data: Data, seed: int) -> None:
    axis = data["axis"]
    if data["verdicts"].ndim == 3:
        ax.imshow(
            data["verdicts"][seed], origin="lower", extent=(axis[0], axis[-1], axis[0], axis[-1]),
            cmap=VERDICT, vmin=0, vmax=1, alpha=0.5, aspect="equal",
        )  # fmt: skip
    else:
        ax.plot(axis, data["verdicts"][seed], color=DISCRIMINATOR)


def cloud(ax: Axes, data: Data, points: np.ndarray) -> None:
    real = data["real"] if data["modes"] is None else data["modes"]
    if points.shape[1] == 1:
        ax.hist(data["real"][:, 0], 40, density=True, color=QUIET, alpha=0.5)
        ax.hist(points[np.isfinite(points[:, 0]), 0], 40, density=True, color=GENERATOR, alpha=0.7)
        return
    ax.plot(*real.T, "+" if data["modes"] is not None else ".", color="black", markersize=5, alpha=0.6)
    ax.plot(*points.T, ".", color=GENERATOR, markersize=3, alpha=0.6)
    ax.set(xlim=data["axis"][[0, -1]], ylim=data["axis"][[0, -1]])


def modes(figure: Panel, data: Data) -> None:
    """Over all seeds: the share of points at each mode, and the modes captured against steps."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    histogram, captured = data["runs"]["histogram"], data["runs"]["modes"]
    order = np.lexsort((histogram[:, -1].max(1), captured[:, -1]))
    shares = histogram[order, -1]
    darkest = shares.max() or 1
    picture = left.imshow(shares, aspect="auto", cmap="Greys", vmin=0, vmax=darkest, interpolation="nearest")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    left.set(xlabel="mode", ylabel="seeds, by modes captured")
    left.set_title("share of points nearest to each mode, at the end", fontsize=10)
    figure.colorbar(picture, ax=left)
    for ax, name, label, top in (
        (middle, "modes", "modes captured", histogram.shape[-1]),
        (right, "quality", "share of points within 3 σ of a mode", 1),
    ):
        values = data["runs"][name]
        low, half, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(data["record"], low, high, color=GENERATOR, alpha=0.25, linewidth=0)
        ax.plot(data["record"], half, color=GENERATOR)
        ax.set(xlabel="step", ylabel=label, ylim=(0, 1.05 * top), xlim=(0, data["record"][-1]))
        ax.set_title("median over seeds, and 10 to 90 %", fontsize=10)
    title(figure, data["answer"])


def animation(data: Data) -> bytes:
    """What G draws for seed 0 while it is trained, as a GIF."""
    count = len(data["record"])
    return gif(list(progress(frames(data), "animation", count)), [120] * (count - 1) + [2500])


def frames(data: Data) -> Iterator[np.ndarray]:
    figure = plots.new_figure(4, 4.2, dpi=80)
    canvas, ax = FigureCanvasAgg(figure), figure.subplots()
    for step, points in zip(data["record"], data["points"][0], strict=True):
        ax.clear()
        cloud(ax, data, points)
        ax.set_title(f"step {step}", fontsize=10)
        canvas.draw()
        figure.set_layout_engine("none")  # all frames have the layout of the first
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()
