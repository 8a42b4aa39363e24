"""Figures: arrays in, drawings out. Imports no JAX and never trains.

Every function draws into a matplotlib `Figure` or `SubFigure` that it is given. Networks are anything with the fields
of `networks.Generator` and `networks.Discriminator`, as arrays `[pixels]`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Circle

Panel = Figure | SubFigure

GENERATOR = "#0f766e"
DISCRIMINATOR = "#b45309"
POSITIVE = "#1d4ed8"
NEGATIVE = "#dc2626"
QUIET = "#6b7280"


def new_figure(width: float, height: float, dpi: int = 130) -> Figure:
    """An empty figure of `width` × `height` inches."""
    for what, value in (("width", width), ("height", height), ("dpi", dpi)):
        if not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
            raise ValueError(f"the figure's {what} is {value!r}: give a positive number")
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def faces(
    panel: Panel, images: np.ndarray, columns: int, labels: Sequence[str] = (), title: str = "", numbers: bool = True
) -> None:
    """Draws `[n, pixels]` images in a grid; dark is 1. `labels` stand below, `numbers` in the pixels."""
    _check_kind("the panel", panel, Panel, "Figure or SubFigure")
    images = np.asarray(images)
    if images.ndim != 2 or not isinstance(columns, int) or columns < 1:
        raise ValueError(
            f"images have the shape {images.shape} and columns is {columns!r}: give [n, pixels] and 1 or more"
        )
    rows = math.ceil(len(images) / columns)
    axes = np.asarray(panel.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes[len(images) :]:
        ax.set_visible(False)
    for i, (ax, image) in enumerate(zip(axes, images, strict=False)):
        face(ax, image, numbers)
        if i < len(labels):
            ax.set_xlabel(labels[i], fontsize=9)
    if title:
        panel.suptitle(title, fontsize=11)


def face(ax: Axes, image: np.ndarray, numbers: bool = True) -> None:
    """Draws one `[pixels]` image; dark is 1."""
    _check_kind("ax", ax, Axes, "Axes")
    image = np.asarray(image)
    side = math.isqrt(image.size)
    if side * side != image.size or image.dtype.kind not in "biuf":
        raise ValueError(f"the image has the shape {image.shape} and type {image.dtype}: give the numbers of a square")
    square = image.astype(float).reshape(side, side)
    ax.imshow(square, cmap="Greys", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    if numbers and side <= 4:
        for (row, column), value in np.ndenumerate(square):
            ax.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if value > 0.5 else "black",
            )


def network(panel: Panel, generator: Any, discriminator: Any, title: str = "") -> None:
    """Both networks as a graph from the latent z to D's verdict; line width is a weight's size, color its sign."""
    _check_kind("the panel", panel, Panel, "Figure or SubFigure")
    for what, value, part in (("generator", generator, "biases"), ("discriminator", discriminator, "bias")):
        if not hasattr(value, "weights") or not hasattr(value, part):
            raise ValueError(f"the {what} is {str(value)[:60]!r}: give one with weights and {part}")
    if not np.shape(generator.weights) == np.shape(discriminator.weights):
        raise ValueError(
            f"generator has weights of shape {np.shape(generator.weights)}, and discriminator "
            f"{np.shape(discriminator.weights)}: give both the same"
        )
    ax = panel.subplots()
    count = len(generator.weights)
    heights = np.linspace(1.0, 0.0, count) * 3.0
    middle, numbers = 1.5, count <= 9
    columns = {"z": 0.0, "pixel": 2.4, "input": 3.6, "verdict": 6.0}
    largest = max(np.max(np.abs([generator.weights, discriminator.weights])), 1e-12)
    for i, height in enumerate(heights):
        for start, end, weight in (
            ((columns["z"], middle), (columns["pixel"], height), generator.weights[i]),
            ((columns["input"], height), (columns["verdict"], middle), discriminator.weights[i]),
        ):
            ax.plot(
                *zip(start, end, strict=True),
                color=_sign(weight),
                linewidth=0.6 + 7 * abs(weight) / largest,
                solid_capstyle="butt",
                zorder=1,
            )
            if numbers:
                x, y = 0.52 * np.asarray(start) + 0.48 * np.asarray(end)
                _number(ax, x, y, weight)
        ax.annotate(
            "",
            (columns["input"] - 0.2, height),
            (columns["pixel"] + 0.2, height),
            arrowprops={"arrowstyle": "->", "color": QUIET},
            zorder=1,
        )
        bias = generator.biases[i]
        _node(ax, columns["pixel"], height, GENERATOR, f"$x_{{{i + 1}}}$")
        _node(ax, columns["input"], height, DISCRIMINATOR, f"$x_{{{i + 1}}}$")
        if numbers:
            ax.text(
                columns["pixel"] + 0.02,
                height + 0.27,
                f"{bias:+.2f}",
                ha="center",
                fontsize=9,
                color=_sign(bias),
                weight="bold",
            )
    _node(ax, columns["z"], middle, QUIET, "z")
    _node(ax, columns["verdict"], middle, DISCRIMINATOR, "D")
    ax.text(
        columns["verdict"],
        middle + 0.27,
        f"{float(discriminator.bias):+.2f}",
        ha="center",
        fontsize=9,
        color=_sign(float(discriminator.bias)),
        weight="bold",
    )
    ax.text(
        (columns["z"] + columns["pixel"]) / 2,
        3.62,
        "generator  $x_i = \\sigma(w_i z + b_i)$",
        ha="center",
        color=GENERATOR,
        fontsize=11,
    )
    ax.text(
        (columns["input"] + columns["verdict"]) / 2,
        3.62,
        "discriminator  $D = \\sigma(u \\cdot x + c)$",
        ha="center",
        color=DISCRIMINATOR,
        fontsize=11,
    )
    ax.text(
        3.0,
        -0.72,
        "on a line: weight (wide is large)   ·   above a node: bias   ·   blue positive, red negative",
        ha="center",
        fontsize=9,
        color=QUIET,
    )
    ax.set(xlim=(-0.5, 6.5), ylim=(-0.85, 3.9), aspect="equal")
    ax.axis("off")
    if title:
        panel.suptitle(title, fontsize=11)


def _check_kind(what: str, value: Any, kind: Any, name: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is {str(value)[:60]!r}: give a {name} of matplotlib")


def _sign(value: float) -> str:
    return POSITIVE if value >= 0 else NEGATIVE


def _number(ax: Axes, x: float, y: float, value: float) -> None:
    ax.text(
        x,
        y,
        f"{value:+.2f}",
        ha="center",
        va="center",
        fontsize=9,
        color=_sign(value),
        zorder=2,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
    )


def _node(ax: Axes, x: float, y: float, color: str, text: str) -> None:
    ax.add_patch(Circle((x, y), 0.2, facecolor="white", edgecolor=color, linewidth=1.8, zorder=3))
    ax.text(x, y, text, ha="center", va="center", fontsize=10, zorder=4)
