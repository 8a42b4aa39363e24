"""The page on which one plays with the tutorial's GAN: every movement of a slider trains it again from the beginning.

It is a folder without a server: programs that the library's own functions were printed as, and a page around them.
"""

import base64
import gzip
import json
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _experiment import start_jax
from _options import command_line, options_of
from _page import page_data
from _results import atomic_folder

SOURCES = Path(__file__).parent / "page"
FILES = ("index.html", "page.css", "texts.js", "engine.js", "page.js")


@dataclass(frozen=True)
class Settings:
    """Build the page and open it in a browser."""

    out: Path = Path("results/playground")
    """The folder of the page, whose first file is index.html."""
    open: bool = True
    """Open the page when it is built."""


def parse(arguments: list[str] | None = None) -> Path:
    """Builds the page that `arguments` ask for, by default those of this process. Returns the folder."""
    settings = options_of(Settings, arguments)
    with atomic_folder(settings.out) as folder:
        start_jax(1)
        for name in FILES:
            (folder / name).write_bytes((SOURCES / name).read_bytes())
        (folder / "programs.js").write_text(f'const PROGRAMS="{packed(page_data())}";\n', encoding="ascii")
    index = settings.out / "index.html"
    print(f"The page is {index}, {sum(file.stat().st_size for file in settings.out.iterdir()) / 1e6:.2f} MB in all.")
    if settings.open:
        webbrowser.open(index.resolve().as_uri())
    return settings.out


def packed(data: dict) -> str:
    """Data as JSON, compressed, in letters that a script may hold."""
    text = json.dumps(data, default=lambda value: np.asarray(value).tolist())
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


if __name__ == "__main__":
    command_line(parse)
