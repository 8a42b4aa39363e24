"""Figures: arrays in, drawings out. Imports no JAX and never trains.

Every function draws into a matplotlib `Figure` or `SubFigure` that it is given, so a figure of its own and a
panel of a larger one are the same call. Networks are anything with the fields of `networks.Generator` and
`networks.Discriminator`, as arrays `[pixels]`.
"""

import math
from collections.abc import Iterator, Sequence
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
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def faces(
    panel: Panel, images: np.ndarray, columns: int, labels: Sequence[str] = (), title: str = "", numbers: bool = True
) -> None:
    """Draws `[n, pixels]` images in a grid; dark is 1. `labels` stand below, `numbers` in the pixels."""
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
    side = math.isqrt(image.size)
    square = np.asarray(image, dtype=float).reshape(side, side)
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


def error_functions(panel: Panel) -> None:
    """Section 8: the error -ln(p) where the label is 1, and -ln(1 - p) where it is 0."""
    probability = np.linspace(0.001, 0.999, 999)
    for ax, label, curve, formula in zip(
        panel.subplots(1, 2, sharey=True),
        (1, 0),
        (-np.log(probability), -np.log1p(-probability)),
        ("-ln(p)", "-ln(1 - p)"),
        strict=True,
    ):
        ax.plot(probability, curve, color=POSITIVE if label else NEGATIVE)
        for p in (0.1, 0.9):
            error = -math.log(p if label else 1 - p)
            side, align = (8, "left") if p < 0.5 else (-8, "right")
            ax.plot([p], [error], "o", color="black", markersize=4)
            ax.annotate(
                f"p = {p}: {error:.2f}", (p, error), (side, 12), textcoords="offset points", ha=align, fontsize=9
            )
        ax.set_title(f"label {label} ({'a face' if label else 'no face'}): {formula}", fontsize=10)
        ax.set_xlabel("prediction p, a probability")
        ax.set(xlim=(0, 1), ylim=(0, 5))
    panel.axes[0].set_ylabel("error (nats)")
    panel.suptitle("The error is small where the prediction is right", fontsize=11)


def error_curve(ax: Axes, errors: np.ndarray, per_epoch: int, color: str, label: str = "") -> None:
    """One error curve, `[steps]`, against epochs: every step faint, the mean of each epoch on top.

    Errors beyond 1e30, of a run that diverges, are left out."""
    errors = np.where(np.abs(errors) < 1e30, errors, np.nan)
    ax.plot((np.arange(errors.size) + 1) / per_epoch, errors, color=color, alpha=0.25, linewidth=0.5)
    epochs = np.arange(1, errors.size // per_epoch + 1)
    ax.plot(
        epochs,
        errors[: epochs.size * per_epoch].reshape(-1, per_epoch).mean(1),
        color=color,
        linewidth=1.5,
        label=label,
    )
    ax.set_xlabel("epoch")
    ax.set_xlim(0, errors.size / per_epoch)
    ax.margins(y=0.05)


def generator_error(panel: Panel, errors: np.ndarray, per_epoch: int, note: str = "") -> None:
    """The generator's error -ln D(G(z)) at each step, `[steps]`."""
    ax = panel.subplots()
    error_curve(ax, errors, per_epoch, GENERATOR)
    _reference(ax, math.log(2), "ln 2: D undecided")
    ax.set_ylabel("-ln D(G(z))  (nats)")
    ax.set_title(f"Generator error function{note}", fontsize=11)


def discriminator_error(panel: Panel, published: np.ndarray, true: np.ndarray, per_epoch: int, note: str = "") -> None:
    """The discriminator's curve as the article draws it beside the loss that it minimizes, both `[steps]`."""
    left, right = panel.subplots(1, 2)
    error_curve(left, published, per_epoch, QUIET)
    left.set_title(f"as published: four broadcast values summed{note}", fontsize=10)
    left.set_ylabel(r"$\sum_i\,[-\ln D(x) - \ln(1 - \sigma(u_i z + c))]$")
    error_curve(right, true, per_epoch, DISCRIMINATOR)
    _reference(right, 2 * math.log(2), "2 ln 2: D undecided")
    right.set_title(f"true loss{note}", fontsize=10)
    right.set_ylabel("-ln D(x) - ln(1 - D(G(z)))  (nats)")
    panel.suptitle("Discriminator error function", fontsize=11)
    panel.supxlabel(
        "The published curve feeds the number z itself, not the image G(z), to the discriminator: it is not the loss.",
        fontsize=9,
    )


def network(panel: Panel, generator: Any, discriminator: Any, title: str = "") -> None:
    """Both networks as a graph from the latent z to D's verdict; line width is a weight's size, color its sign."""
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


def training_frames(
    figure: Figure,
    epochs: np.ndarray,
    images: np.ndarray,
    latents: np.ndarray,
    probabilities: np.ndarray,
    generator_loss: np.ndarray,
    discriminator_loss: np.ndarray,
) -> Iterator[np.ndarray]:
    """Yields the frames of the training animation as `[height, width, 3]` bytes.

    Args:
      figure: an empty figure to draw in.
      epochs: `[frames]`, after how many epochs each frame is; 0 is before training.
      images: `[frames, n, pixels]`, what the generator draws for the same `latents` `[n]`.
      probabilities: `[frames, n]`, D's probability that each is a face.
      generator_loss: `[all epochs]`, the mean loss of each epoch; `discriminator_loss` likewise.
    """
    count, side = images.shape[1], math.isqrt(images.shape[2])
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25, 1), squeeze=False)[:, 0]
    axes = np.atleast_1d(top.subplots(1, count))
    pictures, verdicts = [], []
    for ax, latent in zip(axes, latents, strict=True):
        pictures.append(ax.imshow(np.zeros((side, side)), cmap="Greys", vmin=0, vmax=1))
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"G(z), z = {latent:.2f}", fontsize=9)
        verdicts.append(ax.set_xlabel(" ", fontsize=9))
    title = top.suptitle(" ", fontsize=12)
    ax = bottom.subplots()
    every = np.arange(1, generator_loss.size + 1)
    lines = []
    for loss, color, label in (
        (discriminator_loss, DISCRIMINATOR, "discriminator"),
        (generator_loss, GENERATOR, "generator"),
    ):
        ax.plot(every, loss, color=color, alpha=0.2, linewidth=1)
        lines.append((ax.plot([], [], color=color, linewidth=1.6, label=label)[0], loss))
    cursor = ax.axvline(0, color=QUIET, linewidth=0.8)
    ax.set(xlim=(0, generator_loss.size), xlabel="epoch", ylabel="loss (nats)")
    ax.legend(loc="center right", fontsize=9)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    figure.set_layout_engine("none")  # laid out once; laying out every frame would take most of the time
    for frame, epoch in enumerate(epochs):
        title.set_text(f"epoch {epoch}")
        for picture, verdict, image, probability in zip(
            pictures, verdicts, images[frame], probabilities[frame], strict=True
        ):
            picture.set_data(image.reshape(side, side))
            verdict.set_text(f"D: {probability:.1%}, {'a face' if probability > 0.5 else 'no face'}")
            verdict.set_color(POSITIVE if probability > 0.5 else NEGATIVE)
        for line, loss in lines:
            line.set_data(every[:epoch], loss[:epoch])
        cursor.set_xdata([epoch, epoch])
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def overview(
    figure: Figure, real: np.ndarray, generated: np.ndarray, labels: Sequence[str], generator: Any, discriminator: Any,
    generator_loss: np.ndarray, discriminator_loss: np.ndarray, per_epoch: int,
) -> None:  # fmt: skip
    """The whole tutorial in one picture: data, trained networks, losses, what the generator draws."""
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2.2), squeeze=False)[:, 0]
    data, drawn = top.subfigures(1, 2, width_ratios=(len(real), len(generated)))
    faces(data, real, len(real), title="The faces of slanted land", numbers=False)
    faces(drawn, generated, len(generated), labels, title="What the trained generator draws", numbers=False)
    graph, curves = bottom.subfigures(1, 2, width_ratios=(1.5, 1))
    network(graph, generator, discriminator)
    ax = curves.subplots()
    error_curve(ax, discriminator_loss, per_epoch, DISCRIMINATOR, "discriminator")
    error_curve(ax, generator_loss, per_epoch, GENERATOR, "generator")
    for level in (math.log(2), 2 * math.log(2)):
        ax.axhline(level, color=QUIET, linestyle=":", linewidth=1)
    ax.set_ylabel("loss (nats); dotted: D undecided")
    ax.legend(fontsize=9, loc="center right")


def _reference(ax: Axes, level: float, label: str) -> None:
    ax.axhline(level, color=QUIET, linestyle=":", linewidth=1, label=label)
    ax.legend(fontsize=9, loc="lower right")


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
