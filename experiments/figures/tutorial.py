"""Figures of `tutorial.py`."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from _experiment import Figure, progress
from _methods import SCORED
from _results import Data
from _tutorial_advice import last_least
from _tutorial_text import DETECTOR, NON_FACE, PAINTER
from figures.panels import gif
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from slantgan_jax import Discriminator, Generator, generate, logit, plots
from slantgan_jax.plots import DISCRIMINATOR, GENERATOR, NEGATIVE, POSITIVE, QUIET, Panel

CURVES = {"generator_error": GENERATOR, "discriminator_error": QUIET, "discriminator_loss": DISCRIMINATOR}
"""The color of each curve."""

PAINTED_LATENT = 0.7
FLOW_LATENTS = (0.1, 0.7)
"""Of the generator made by hand: the article's latent, and two for the animation of both networks."""

WEIGHTS = {
    "generator weights": "G's weights: with z it gets\ndarker (blue) or lighter",
    "discriminator weights": "D's weights: it likes\ndark (blue) or light",
}
"""What their colors say in the animation."""

PLAYERS = {"discriminator_loss": "discriminator", "generator_error": "generator"}
UNDECIDED = 0.02
"""What D says is called undecided if it is nearer than this to what an undecided D says."""

LARGEST_ERROR = 1e30
"""Larger errors, of a run that diverges, are not drawn."""

OF_TRAINED = ("distance.png", "generated.png", "network.png", "overview.png", "verdicts.png")
"""The figures that there are not if the run diverged."""

STALE = ("discriminator_error.png", *OF_TRAINED)
"""The figures that not every run has."""


def of(data: Data) -> Mapping[str, Figure]:
    """The figures of a run."""
    figures = {
        "story.png": Figure(story, 9, 4.2),
        "faces.png": Figure(real_faces, 9, 2.4),
        "noise.png": Figure(noise, 7, 6.2),
        "detector.png": Figure(detector, 9, 6.4),
        "painter.png": Figure(painter, 7.4, 3.8),
        "error_functions.png": Figure(error_functions, 8, 3.6),
        "verdicts.png": Figure(verdicts, 7, 4),
        "distance.png": Figure(distance, 7, 4),
        "generator_error.png": Figure(generator_error, 7, 4),
        "discriminator_error.png": Figure(discriminator_error, 10, 4.2),
        "generated.png": Figure(generated, 8, 2.7),
        "network.png": Figure(network, 9, 6),
        "overview.png": Figure(overview, 11, 6),
    }
    left_out = OF_TRAINED if data["diverged"] else ()
    if data["settings"]["objective"] != "non-saturating":
        left_out = (*left_out, "discriminator_error.png")  # the article's mistake is one with that loss
    return {name: figure for name, figure in figures.items() if name not in left_out}


def story(figure: Panel, data: Data) -> None:
    """Sections 1 to 3: who shows what to whom, and what each learns; the forgery is a scribble."""
    ax = figure.subplots()
    ax.set(xlim=(0, 12), ylim=(0, 5.6), aspect="equal")
    ax.axis("off")
    pictures = ((data["faces"][0], 3.4, "a true picture x"), (data["noise"][1], 0.6, "a forgery G(z)"))
    for image, bottom, name in pictures:
        side = math.isqrt(np.size(image))
        extent = (5.1, 6.7, bottom, bottom + 1.6)
        ax.imshow(np.reshape(image, (side, side)), cmap="Greys", vmin=0, vmax=1, extent=extent, zorder=2)
        ax.add_patch(Rectangle((5.1, bottom), 1.6, 1.6, fill=False, edgecolor="black", zorder=3))
        ax.text(5.9, bottom + 1.7, name, ha="center", va="bottom", fontsize=10)
    boxes = ((3.2, 1.4, "G", "the forger", GENERATOR), (8.9, 2.8, "D", "the appraiser", DISCRIMINATOR))
    for x, y, letter, name, color in boxes:
        ax.add_patch(Rectangle((x - 0.9, y - 0.6), 1.8, 1.2, facecolor="white", edgecolor=color, linewidth=2))
        ax.text(x, y + 0.12, letter, ha="center", va="center", fontsize=15, color=color)
        ax.text(x, y - 0.36, name, ha="center", va="center", fontsize=9, color=color)
    ax.text(0.8, 1.4, "random z", ha="center", va="center", fontsize=10)
    ax.text(11.2, 2.8, "verdict:\nhow likely\nis it true?", ha="center", va="center", fontsize=10)
    for start, end in (((1.5, 1.4), (2.25, 1.4)), ((4.15, 1.4), (5.05, 1.4)), ((6.75, 1.6), (7.95, 2.5)),
                       ((6.75, 4.1), (7.95, 3.2)), ((9.85, 2.8), (10.5, 2.8))):  # fmt: skip
        ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black"})
    lessons = (
        ((11.2, 3.5), (8.9, 3.45), "arc3,rad=0.5", 10, 4.35, "learns to be right", DISCRIMINATOR),
        ((11.2, 2.1), (3.2, 0.75), "arc3,rad=-0.25", 10.2, 0.4, "learns to have its\nforgeries called true", GENERATOR),
    )
    for start, end, bend, x, y, text, color in lessons:
        arrow = {"arrowstyle": "->", "color": color, "linestyle": "--", "connectionstyle": bend}
        ax.annotate("", end, start, arrowprops=arrow)
        ax.text(x, y, text, ha="center", fontsize=10, color=color)
    ax.set_title("Both learn from the same verdict, and want opposite things of it", fontsize=11)


def real_faces(figure: Panel, data: Data, numbers: bool = True) -> None:
    plots.faces(figure, data["faces"], 5, title="The five faces of slanted land", numbers=numbers)


def noise(figure: Panel, data: Data) -> None:
    plots.faces(figure, data["noise"], 5, title="Twenty images that are no faces", numbers=False)


def generated(figure: Panel, data: Data, numbers: bool = True) -> None:
    labels = [f"z = {latent:.2f}" for latent in data["latents"]]
    plots.faces(figure, data["generated"], 4, labels, "What the trained generator draws", numbers)


def network(figure: Panel, data: Data, title: str = "The trained GAN") -> None:
    plots.network(figure, Generator(**data["generator"]), Discriminator(**data["discriminator"]), title)


def detector(figure: Panel, data: Data) -> None:
    """Section 6: the discriminator made by hand, on a face and on an image that is none."""
    for row, (image, name) in zip(
        figure.subfigures(2, 1, squeeze=False)[:, 0],
        ((data["faces"][0], "a face"), (NON_FACE, "not a face")),
        strict=True,
    ):
        left, right = row.subfigures(1, 2, width_ratios=(1, 3), squeeze=False)[0]
        plots.faces(left, np.asarray(image)[None], 1, [name])
        plots.network(right, discriminator=DETECTOR, image=image)
    figure.suptitle("Add the diagonal, subtract the rest, compare with 1", fontsize=11)


def painter(figure: Panel, data: Data) -> None:
    """Section 7: the generator made by hand, at z = 0.7."""
    left, right = figure.subfigures(1, 2, width_ratios=(2.6, 1), squeeze=False)[0]
    plots.network(left, PAINTER, latent=PAINTED_LATENT)
    plots.faces(right, np.stack(generate(PAINTER, PAINTED_LATENT))[None], 1, [f"z = {PAINTED_LATENT}"])
    figure.suptitle("Large scores on the diagonal make a face of any z from 0 to 1", fontsize=11)


def verdicts(figure: Panel, data: Data) -> None:
    """Section 10: what D says of the faces and of what G draws, after each epoch; where D is undecided if that is
    known."""
    ax, level = figure.subplots(), data["undecided D says"]
    epochs = np.arange(len(data["verdicts"]["real"]))
    labels = ("faces: D raises it", "G(z): D lowers it, G raises it")
    if level == 0.5:
        labels = ("faces: D learns 1", "G(z): D learns 0, G 1")
    for name, color, label in zip(("real", "fake"), (DISCRIMINATOR, GENERATOR), labels, strict=True):
        ax.plot(epochs, data["verdicts"][name], color=color, label=label)
    if level is not None:
        ax.axhline(level, color=QUIET, linestyle=":", linewidth=1)
    ax.set(xlabel="epoch", xlim=(0, epochs[-1]))
    if data["settings"]["objective"] in SCORED:
        ax.set_ylabel("mean score of D, which is no probability")
    else:
        ax.set(ylabel="mean probability D", ylim=(-0.03, 1.03))
    ax.legend(fontsize=9)
    real, fake = (np.asarray(data["verdicts"][name])[-1] for name in ("real", "fake"))
    note = "any constant would be undecided" if level is None else "dotted: undecided"
    ax.set_title(f"In the end D says {real:.2f} of faces and {fake:.2f} of G's images ({note})", fontsize=10)


def distance(figure: Panel, data: Data) -> None:
    """How far the mean generated image is from the mean face, after each epoch."""
    ax, values = figure.subplots(), data["distance"]
    nearest = last_least(values)
    ax.plot(np.arange(len(values)), values, color=GENERATOR)
    ax.plot(nearest, values[nearest], "o", color="black", markersize=4)
    side = "right" if nearest > 0.7 * len(values) else "left"
    text = f"{values[nearest]:.3f}, epoch {nearest:,}"
    ax.annotate(text, (nearest, values[nearest]), (0, -16), ha=side, textcoords="offset points", fontsize=9)
    ax.set(
        xlabel="epoch", ylabel="‖mean image - mean face‖", xlim=(0, len(values) - 1), ylim=(-0.12 * max(values), None)
    )
    at_end = nearest == len(values) - 1
    course = "nearest to the mean face at the end" if at_end else "nearer to the mean face before the end than at it"
    ax.set_title(f"G's mean image is {course}", fontsize=10)


def flow(data: Data) -> bytes:
    """Section 9: z, G(z), D(G(z)) and both errors, one after the other, for two latents, as a GIF."""
    del data
    frames = [_flow_frame(latent, known) for latent in FLOW_LATENTS for known in range(1, 6)]
    return gif(frames, [900, 900, 900, 1200, 2800] * len(FLOW_LATENTS))


def _flow_frame(latent: float, known: int) -> np.ndarray:
    """A frame in which so many columns are known, as `[height, width, 3]` bytes; the fifth are the errors."""
    figure = plots.new_figure(8.4, 4.6, dpi=110)
    figure.set_layout_engine("none")  # one panel fills the figure
    plots.network(figure, PAINTER, DETECTOR, latent=latent, known=min(known, 4))
    probability = 1 / (1 + np.exp(-float(logit(DETECTOR, generate(PAINTER, latent)))))
    ax = figure.axes[0]
    ax.set_position((0.01, 0.01, 0.98, 0.93))
    ax.set_ylim(-1.9, 3.9)
    texts = ("draw z", "G paints four pixels", "D sees the image", "D says how likely it is a face", "both learn")
    ax.text(3.7, -1.2, texts[known - 1], ha="center", fontsize=11)
    if known == 5:
        errors = f"D should say 0: its error is $-\\ln(1 - {probability:.2f})$ = {-np.log(1 - probability):.2f}"
        wish = f"G wants 1: its error is $-\\ln({probability:.2f})$ = {-np.log(probability):.2f}"
        ax.text(3.7, -1.7, f"{errors}      {wish}", ha="center", fontsize=9)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def error_functions(figure: Panel, data: Data) -> None:
    """Section 8: the error -ln(p) where the label is 1, and -ln(1 - p) where it is 0."""
    predictions, shown = np.linspace(0.001, 0.999, 999), np.array([0.1, 0.9])
    axes = figure.subplots(1, 2, sharey=True)
    for ax, label, color, title in zip(
        axes, (1, 0), (POSITIVE, NEGATIVE), ("label 1: a face", "label 0: no face"), strict=True
    ):
        ax.plot(predictions, -np.log(predictions if label else 1 - predictions), color=color)
        for p, error, align in zip(shown, -np.log(shown if label else 1 - shown), ("left", "right"), strict=True):
            ax.plot([p], [error], "o", color="black", markersize=4)
            ax.annotate(f" p = {p}: {error:.2f} ", (p, error + 0.35), ha=align, fontsize=9)
        ax.text(
            0.5, 1.1, "-ln(p)" if label else "-ln(1 - p)", color=color, ha="left" if label else "right", fontsize=11
        )
        ax.set_title(title, fontsize=10)
        ax.set(xlim=(0, 1), ylim=(0, 5), xlabel="prediction p, a probability")
    axes[0].set_ylabel("error")
    figure.suptitle("The error is small where the prediction is right", fontsize=11)


def generator_error(figure: Panel, data: Data) -> None:
    objective = data["settings"]["objective"]
    formula = "-ln D(G(z))" if objective == "non-saturating" else f"G's {objective} loss"
    error_curve(figure.subplots(), data, "generator_error", "Generator error function", formula)


def discriminator_error(figure: Panel, data: Data) -> None:
    """The discriminator's curve as the article draws it, and beside it the loss that it minimizes."""
    left, right = figure.subplots(1, 2)
    formula = r"$\sum_i\,[-\ln D(x) - \ln(1 - \sigma(u_i z + c))]$"
    error_curve(left, data, "discriminator_error", "as published, four values summed", formula)
    error_curve(right, data, "discriminator_loss", "true loss", "-ln D(x) - ln(1 - D(G(z)))")
    figure.suptitle("Discriminator error function: the published curve is not D's loss", fontsize=11)
    figure.supxlabel(
        "The published curve feeds the number z itself, not the image G(z), to the discriminator.",
        fontsize=9,
    )


def overview(figure: Panel, data: Data) -> None:
    """The whole tutorial in one picture: data, trained networks, losses, what the generator draws."""
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2.2), squeeze=False)[:, 0]
    left, right = top.subfigures(1, 2, width_ratios=(5, 4))
    real_faces(left, data, numbers=False)
    generated(right, data, numbers=False)
    graph, panel = bottom.subfigures(1, 2, width_ratios=(1.5, 1))
    network(graph, data, title="")
    ax = panel.subplots()
    for name in PLAYERS:
        error_curve(ax, data, name)
    ax.set_ylabel("loss; dotted: D undecided")
    ax.legend(ax.lines[1::3], PLAYERS.values(), fontsize=9, loc="center right")


def error_curve(ax: Axes, data: Data, name: str, title: str = "", formula: str = "") -> None:
    """One error curve against epochs: every step faint, the mean of each epoch on top; with a title, what it is."""
    errors, count, color = data["curves"][name], len(data["faces"]), CURVES[name]
    level = data.get("undecided", {}).get(name)
    errors = np.where(np.abs(errors) < LARGEST_ERROR, errors, np.nan)
    means = errors.reshape(-1, count).mean(1)
    ax.plot((np.arange(errors.size) + 1) / count, errors, color=color, alpha=0.25, linewidth=0.5)
    ax.plot(np.arange(means.size) + 1, means, color=color, linewidth=1.5)
    ax.set(xlabel="epoch (pale: every step; line: mean of its epoch)", xlim=(0, means.size), ylabel=formula)
    ax.margins(y=0.05)
    if level is not None:
        ax.axhline(level, color=QUIET, linestyle=":", linewidth=1)
    if title:
        title += f": {means[-1]:.2f} at the end" if np.isfinite(means[-1]) else ""
        notes = [*(["dotted: D undecided"] if level is not None else []), *(["diverged"] if data["diverged"] else [])]
        ax.set_title(f"{title} ({', '.join(notes)})" if notes else title, fontsize=10)


def animation(data: Data) -> bytes | None:
    """The training animation as a GIF; None for a run that diverged."""
    if data["diverged"]:
        return None
    count = len(data["frames"]["epochs"])
    return gif(list(progress(animation_frames(data), "animation", count)), [600, *[110] * (count - 2), 2500])


def animation_frames(data: Data) -> Iterator[np.ndarray]:
    """The frames of the animation as `[height, width, 3]` bytes."""
    frames, mean_face = data["frames"], np.mean(data["faces"], 0)
    side = math.isqrt(frames["images"].shape[2])
    figure = plots.new_figure(9, 5.6, dpi=100)
    canvas = FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1), squeeze=False)[:, 0]
    columns = top.subplots(1, len(frames["latents"]) + 1)
    titles = ["mean face, real", *(f"G(z), z = {latent:.2f}" for latent in frames["latents"])]
    pictures, verdicts = [], []
    for ax, name in zip(columns, titles, strict=True):
        pictures.append(ax.imshow(np.zeros((side, side)), cmap="Greys", vmin=0, vmax=1))
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(" \n ", fontsize=9)  # room for the verdict
        ax.set_title(name, fontsize=9)
        verdicts.append(ax.text(0.5, -0.04, "", fontsize=9, ha="center", va="top", transform=ax.transAxes))
    title = top.suptitle(" ", fontsize=12)
    left, *others = bottom.subfigures(1, 3, width_ratios=(2.2, 1, 1), squeeze=False)[0]
    ax, lines = left.subplots(), []
    for curve, label in PLAYERS.items():
        loss = data["curves"][curve].reshape(-1, len(data["faces"])).mean(1)
        epochs, color = np.arange(loss.size) + 1, CURVES[curve]
        ax.plot(epochs, loss, color=color, alpha=0.2, linewidth=1)
        lines.append((ax.plot([], [], color=color, linewidth=1.6, label=label)[0], epochs, loss))
        ax.set(xlim=(0, loss.size), xlabel="epoch", ylabel="loss")
    cursor = ax.axvline(0, color=QUIET, linewidth=0.8)
    ax.legend(loc="center right", fontsize=9)
    maps = {}  # by the name of the weights: the squares, and the numbers on them
    for panel, (name, about) in zip(others, WEIGHTS.items(), strict=True):
        axes, largest = panel.subplots(), 1.6 * float(np.max(np.abs(frames[name])))  # light enough for numbers
        squares = axes.imshow(np.zeros((side, side)), cmap="RdBu", vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[])
        axes.set_title(about, fontsize=9)
        texts = [axes.text(i % side, i // side, "", ha="center", va="center", fontsize=9) for i in range(side * side)]
        maps[name] = squares, texts
    # Laid out and drawn once; of each frame only what changes is drawn anew, with the frames around the images.
    images = [*pictures, *(squares for squares, _ in maps.values())]
    numbers = [text for _, texts in maps.values() for text in texts]
    spines = [spine for image in images for spine in image.axes.spines.values()]
    moving = [title, *images, *verdicts, *numbers, *(line for line, *_ in lines), cursor]
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    figure.set_layout_engine("none")
    background = canvas.copy_from_bbox(figure.bbox)
    for i, epoch in enumerate(frames["epochs"]):
        title.set_text(f"epoch {epoch}")
        of_mean_face = frames["of the mean face"][i]
        for picture, image in zip(pictures, [mean_face, *frames["images"][i]], strict=True):
            picture.set_data(image.reshape(side, side))
        for text, says in zip(verdicts, [of_mean_face, *frames["verdicts"][i]], strict=True):
            verdict, color = verdict_of(says, data["undecided D says"], of_mean_face)
            text.set(text=f"D: {says:.2f}\n{verdict}", color=color)
        for name, (squares, texts) in maps.items():
            squares.set_data(frames[name][i].reshape(side, side))
            for text, value in zip(texts, frames[name][i], strict=True):
                text.set_text(f"{value:+.2f}")
        for line, epochs, loss in lines:
            line.set_data(epochs[:epoch], loss[:epoch])
        cursor.set_xdata([epoch, epoch])
        canvas.restore_region(background)
        for artist in (*moving, *spines):
            figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def verdict_of(says: float, undecided: float | None, of_mean_face: float) -> tuple[str, str]:
    """What D says in words, and their color. Where any constant is `undecided`, only the mean face is there to compare
    with."""
    level, words = undecided, ("undecided", "a face", "no face")
    if level is None:
        level, words = of_mean_face, ("as the mean face", "above the mean face", "below the mean face")
    if abs(says - level) < UNDECIDED:
        return words[0], QUIET
    return (words[1], POSITIVE) if says > level else (words[2], NEGATIVE)
