"""The README and the pages of docs/: their Python runs as it stands, and their links lead somewhere."""

import re
import runpy
import sys
import textwrap
from pathlib import Path

import figures.loss_vs_distance as loss_vs_distance
import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _tutorial_text import PUBLISHED
from PIL import Image

import slantgan_jax
from slantgan_jax import analysis, plots

pytestmark = pytest.mark.usefixtures("quick_compile")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONTINUED = ["docs/faq.md", "docs/compare_your_method.md"]
"""Pages whose blocks run one after the other, as they say; all other blocks run alone."""


def blocks_of(page):
    """Also those that are indented, in a folded solution; without those that are files of the project."""
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found if "--8<--" not in block]


BLOCKS = [
    pytest.param(
        block,
        id=f"{page.relative_to(ROOT)}, block {number}",
        marks=() if page.name == "README.md" else pytest.mark.slow,
    )
    for page in PAGES
    if str(page.relative_to(ROOT)) not in CONTINUED
    for number, block in enumerate(blocks_of(page), 1)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run_as_they_stand(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with jax.debug_key_reuse(False):  # read like a script, an example may use a key twice on purpose
        exec(block, {})
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_notebook_runs_as_a_program(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # without sliders each figure is drawn once
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()) or plt.close("all"))
    with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
        names = runpy.run_path(str(ROOT / "examples" / "lesson.py"))
    assert len(shown) == 7
    assert "(D moves the other way)" in capsys.readouterr().out
    for name, slope in names["by_hand"].items():
        np.testing.assert_allclose(slope, names["by_jax"][name], atol=1e-6, err_msg=name)  # of float32
    found = [names["images"], names["w"], names["b"], names["u"], names["c"]]
    for numbers, published in zip(found, PUBLISHED.values(), strict=True):
        np.testing.assert_allclose(numbers, published, atol=5e-9)  # half a unit of the last printed digit
    # The run of the notebook is that of the library: at epoch 1000 D says more of generated images than of faces.
    real, fake = names["says"][-1]
    assert real < fake


@pytest.mark.slow
@pytest.mark.parametrize("page", CONTINUED)
def test_blocks_of_a_page_run_one_after_the_other(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with jax.debug_key_reuse(False):
        for block in blocks_of(ROOT / page):
            exec(block, names)
            assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page if not path else page.parent / path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.slow
@pytest.mark.parametrize(
    ("picture", "colors"),
    [
        ("compare_methods_summary.png", plots.PALETTE),
        ("loss_vs_distance.png", loss_vs_distance.METHOD_COLORS),  # where pale dots lie upon each other
    ],
)
def test_pictures_have_every_color_of_their_legends(picture, colors):
    """A picture with few colors, to make its file small, may have merged two of them."""
    pixels = np.asarray(Image.open(ROOT / "docs" / "images" / picture).convert("RGB"), int).reshape(-1, 1, 3)
    legend = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors])
    apart = np.abs(legend - legend[:, None]).max(axis=-1)
    nearest = np.abs(np.unique(pixels, axis=0) - legend).max(axis=-1).min(axis=0)
    found = nearest < np.min(apart[apart > 0]) / 2
    assert found.all(), dict(zip(colors, found.tolist(), strict=True))


def anchors(page):
    """The anchors of headings as Markdown renderers make them: lower case, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_fits_on_a_few_screens():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert max(len(line) for line in lines if not line.startswith("![")) <= 120


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "theory").glob("*.md")), ids=lambda page: page.stem)
def test_functions_and_tests_that_a_page_of_theory_names_exist(page):
    checked = page.read_text().partition("## Computed and checked")[2]
    tests = "".join(
        path.read_text() for folder in ("theory", "experiments") for path in (ROOT / "tests" / folder).glob("*.py")
    )
    named = re.findall(r"`(test_\w+)`", checked)
    assert named
    for name in named:
        assert f"def {name}(" in tests, name
    for module, function in re.findall(r"`(\w+)\.(\w+)`", checked):
        if function != "py":
            place = getattr(analysis, module, None) or getattr(slantgan_jax, module)
            assert callable(getattr(place, function)), f"{module}.{function}"
