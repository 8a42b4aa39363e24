"""Sheets of panels, and animations."""

import io
import itertools
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from slantgan_jax.plots import PALETTE, Panel

LETTERS_PER_INCH = 11.5
"""Of a title."""

MARKERS = "o^sDvP"


def grid(panel: Panel, count: int, columns: int, **options: Any) -> np.ndarray:
    """`count` axes, row by row; what is left of the last row stays empty."""
    axes = panel.subplots(math.ceil(count / columns), columns, squeeze=False, **options).ravel()
    for ax in axes[count:]:
        ax.set_visible(False)
    return axes[:count]


def marker_of(number: int) -> Any:
    """The marker of one of any number of things: after the `MARKERS` come stars of 5, 6, 7, ... points."""
    return MARKERS[number] if number < len(MARKERS) else (number - 1, 1, 0)


def told_apart(count: int, first: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """A color and a marker for each of `count` things, no two alike: the colors in `first` and those of the palette,
    then the same colors with the next marker."""
    colors = list(dict.fromkeys((*first, *PALETTE)))
    pairs = ((color, marker_of(number)) for number in itertools.count() for color in colors)
    return list(itertools.islice(pairs, count))


def title(figure: Panel, text: str) -> None:
    """An answer above a figure, in as many lines as it needs."""
    letters = int(LETTERS_PER_INCH * figure.bbox.width / figure.dpi)
    figure.suptitle("\n".join(textwrap.fill(line, letters) for line in text.splitlines()), fontsize=11)


def gif(frames: Sequence[np.ndarray], milliseconds: Sequence[int]) -> bytes:
    """Frames `[height, width, 3]` of bytes as a GIF that shows each for so long, again and again.

    The palette has 160 colors of the first, middle and last frame, and 86 grays, so that grays stay gray.
    """
    colors = Image.fromarray(np.vstack([frames[0], frames[len(frames) // 2], frames[-1]])).quantize(160).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(colors or [])[: 3 * 160], *np.repeat(np.arange(0, 256, 3), 3).tolist()])
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, loop=0, duration=list(milliseconds))
    return file.getvalue()
