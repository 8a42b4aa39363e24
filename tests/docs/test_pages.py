"""The README and the pages of docs/: their Python runs as it stands, and their links lead somewhere."""

import re
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONTINUED = ["docs/faq.md"]
"""Pages whose blocks run one after the other, as they say; all other blocks run alone."""


def blocks_of(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


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
@pytest.mark.parametrize("page", CONTINUED)
def test_blocks_of_a_page_run_one_after_the_other(page, capsys):
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


def anchors(page):
    """The anchors of headings as Markdown renderers make them: lower case, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_fits_on_a_few_screens():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert max(len(line) for line in lines if not line.startswith("![")) <= 120
