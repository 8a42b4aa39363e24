"""Figures: arrays in, drawings out. The code here is NumPy and matplotlib, and never trains.

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
from scipy.special import expit

from slantgan_jax.checks import check_count, check_number

Panel = Figure | SubFigure

GENERATOR = "#0f766e"
DISCRIMINATOR = "#b45309"
POSITIVE = "#1d4ed8"
NEGATIVE = "#dc2626"
QUIET = "#6b7280"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
"""Eight colors that the color-blind can tell apart: Okabe & Ito 2008, https://jfly.uni-koeln.de/color/."""


def new_figure(width: float, height: float, dpi: int = 130) -> Figure:
    """An empty figure of `width` × `height` inches."""
    for what, value in (("width", width), ("height", height), ("dpi", dpi)):
        check_number(f"the figure's {what}", value, positive=True)
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def faces(
    panel: Panel, images: np.ndarray, columns: int, labels: Sequence[str] = (), title: str = "", numbers: bool = True
) -> None:
    """Draws `[n, pixels]` images in a grid; dark is 1. `labels` stand below, `numbers` in the pixels."""
    _check_kind("the panel", panel, Panel, "Figure or SubFigure")
    images = np.asarray(images)
    if images.ndim != 2 or not len(images):
        raise ValueError(f"images have the shape {images.shape}: give [n, pixels], at least one")
    columns = check_count("columns", columns)
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
            style = {"ha": "center", "va": "center", "fontsize": 8, "color": "white" if value > 0.5 else "black"}
            ax.text(column, row, f"{value:.2f}", **style)


def network(
    panel: Panel,
    generator: Any = None,
    discriminator: Any = None,
    title: str = "",
    *,
    latent: float | None = None,
    image: Any = None,
    known: int = 4,
) -> None:
    """Both networks as a graph from the latent z to D's verdict; a network that is None is left out.

    The width of a line is the size of a weight, its color the sign. With a `latent`, or without a generator with an
    `image` `[pixels]`, the nodes show their values. `known` says how many columns do: z, G's pixels, D's, the verdict.
    """
    _check_kind("the panel", panel, Panel, "Figure or SubFigure")
    parts = [("generator", generator, "biases"), ("discriminator", discriminator, "bias")]
    parts = [part for part in parts if part[1] is not None]
    for what, value, part in parts:
        if not hasattr(value, "weights") or not hasattr(value, part):
            raise ValueError(f"the {what} is {str(value)[:60]!r}: give one with weights and {part}")
    shapes = [np.shape(value.weights) for _, value, _ in parts]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"generator has weights of shape {shapes[0]}, and discriminator {shapes[1]}: give both the same"
        )
    if not parts:
        raise ValueError("there is neither a generator nor a discriminator: give one of them, or both")
    if shapes[0] == ():
        raise ValueError("the weights are a single number: give one for each pixel")
    if latent is not None and (np.ndim(latent) or np.asarray(latent).dtype.kind not in "iuf"):
        raise ValueError(f"the latent is {latent!r}: give a number, or None")
    if image is not None and np.shape(image) != shapes[0]:
        raise ValueError(f"the image has the shape {np.shape(image)}: give the pixels of the networks, {shapes[0]}")
    if image is not None and generator is not None:
        raise ValueError("an image is given beside a generator, which draws its own: give its latent instead")
    known = check_count("known", known, 0, 4)
    if generator is not None and latent is not None:
        image = expit(np.multiply(generator.weights, latent) + generator.biases)
    largest = max(*(np.max(np.abs(value.weights)) for _, value, _ in parts), 1e-12)
    ax = panel.subplots()
    if generator is not None:
        _draw_generator(ax, generator, largest, latent if known > 0 else None, image if known > 1 else None)
    if discriminator is not None:
        seen, judged = (image if known > column else None for column in (2, 3))
        _draw_discriminator(ax, discriminator, largest, seen, judged)
    if len(parts) == 2:
        for height in _heights(shapes[0][0]):
            ends = (COLUMNS["input"] - 0.2, height), (COLUMNS["pixel"] + 0.2, height)
            ax.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": QUIET}, zorder=1)
    left = -0.5 if generator is not None else COLUMNS["input"] - 0.5
    right = (
        (6.5 if image is None else 8.3) if discriminator is not None else COLUMNS["pixel"] + (1 if image is None else 2)
    )
    note = "on a line: weight (wide is large)   ·   above a node: bias   ·   blue positive, red negative"
    ax.text((left + right) / 2, -0.72, note, ha="center", fontsize=9 if len(parts) == 2 else 7, color=QUIET)
    ax.set(xlim=(left, right), ylim=(-0.85, 3.9), aspect="equal")
    ax.axis("off")
    if title:
        panel.suptitle(title, fontsize=11)


COLUMNS = {"z": 0.0, "pixel": 2.4, "input": 3.6, "verdict": 6.0}
MIDDLE = 1.5
"""Where the columns of a network's nodes are, and at which height z and the verdict."""

MOST_NUMBERS = 9
"""Networks of more pixels are drawn without numbers."""


def _heights(count: int) -> np.ndarray:
    return np.linspace(2 * MIDDLE, 0.0, count)


def _draw_generator(ax: Axes, generator: Any, largest: float, latent: float | None, image: Any) -> None:
    """From z to the pixels; with their scores w z + b beside them if the `image` is known."""
    weights, biases = np.asarray(generator.weights), np.asarray(generator.biases)
    for i, height in enumerate(_heights(len(weights))):
        _line(ax, (COLUMNS["z"], MIDDLE), (COLUMNS["pixel"], height), weights, i, largest)
        text = f"$x_{{{i + 1}}}$" if image is None else f"{image[i]:.2f}"
        _node(ax, COLUMNS["pixel"], height, GENERATOR, text)
        if len(weights) <= MOST_NUMBERS:
            _bias(ax, COLUMNS["pixel"], height, biases[i])
            if image is not None:
                score = f"σ({weights[i] * latent + biases[i]:+.2f})"
                ax.text(COLUMNS["pixel"] + 0.02, height - 0.38, score, ha="center", fontsize=8, color=GENERATOR)
    _node(ax, COLUMNS["z"], MIDDLE, QUIET, "z" if latent is None else f"{latent:.2f}")
    place, name = (COLUMNS["z"] + COLUMNS["pixel"]) / 2, "generator  $x_i = \\sigma(w_i z + b_i)$"
    ax.text(place, 3.62, name, ha="center", color=GENERATOR, fontsize=11)


def _draw_discriminator(ax: Axes, discriminator: Any, largest: float, image: Any, judged: Any) -> None:
    """From the pixels to the verdict; with the way to it if the `judged` image is known."""
    weights, bias = np.asarray(discriminator.weights), float(discriminator.bias)
    for i, height in enumerate(_heights(len(weights))):
        _line(ax, (COLUMNS["input"], height), (COLUMNS["verdict"], MIDDLE), weights, i, largest)
        text = f"$x_{{{i + 1}}}$" if image is None else f"{image[i]:.2f}"
        _node(ax, COLUMNS["input"], height, DISCRIMINATOR, text)
    verdict = "D"
    if judged is not None:
        score = float(np.dot(weights, judged))
        probability = float(expit(score + bias))
        verdict = f"{probability:.2f}"
        way = f"score $u \\cdot x$ = {score:+.2f}\nlogit = {score + bias:+.2f}\nD = σ(logit) = {verdict}"
        says = f"{way}\n{'undecided' if verdict == '0.50' else 'a face' if probability > 0.5 else 'not a face'}"
        ax.text(COLUMNS["verdict"] + 0.55, MIDDLE, says, va="center", fontsize=8, color=DISCRIMINATOR)
    _node(ax, COLUMNS["verdict"], MIDDLE, DISCRIMINATOR, verdict)
    _bias(ax, COLUMNS["verdict"], MIDDLE, bias)
    place, name = (COLUMNS["input"] + COLUMNS["verdict"]) / 2, "discriminator  $D = \\sigma(u \\cdot x + c)$"
    ax.text(place, 3.62, name, ha="center", color=DISCRIMINATOR, fontsize=11)


def _line(ax: Axes, start: Any, end: Any, weights: np.ndarray, i: int, largest: float) -> None:
    """The line of weight number i, with its number."""
    color, width = _sign(weights[i]), 0.6 + 7 * abs(weights[i]) / largest
    ax.plot(*zip(start, end, strict=True), color=color, linewidth=width, solid_capstyle="butt", zorder=1)
    if len(weights) <= MOST_NUMBERS:
        x, y = 0.52 * np.asarray(start) + 0.48 * np.asarray(end)
        _number(ax, x, y, weights[i])


def _bias(ax: Axes, x: float, y: float, value: float) -> None:
    ax.text(x + 0.02, y + 0.27, f"{value:+.2f}", ha="center", fontsize=9, color=_sign(value), weight="bold")


def _check_kind(what: str, value: Any, kind: Any, name: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is {str(value)[:60]!r}: give a {name} of matplotlib")


def _sign(value: float) -> str:
    return POSITIVE if value >= 0 else NEGATIVE


def _number(ax: Axes, x: float, y: float, value: float) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    style = {"ha": "center", "va": "center", "fontsize": 9, "color": _sign(value)}
    ax.text(x, y, f"{value:+.2f}", zorder=2, bbox=box, **style)


def _node(ax: Axes, x: float, y: float, color: str, text: str) -> None:
    ax.add_patch(Circle((x, y), 0.22, facecolor="white", edgecolor=color, linewidth=1.8, zorder=3))
    ax.text(x, y, text, ha="center", va="center", fontsize=8 if len(text) == 4 else 10, zorder=4)
