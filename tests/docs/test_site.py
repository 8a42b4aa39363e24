"""The built site: formulas are typeset, nothing comes from elsewhere, links lead to files, the notebook is whole.

`.ci/run` builds the site and names its page to play on in PLAYGROUND; by hand:

    mkdocs build --strict --site-dir /tmp/site && PLAYGROUND=/tmp/site/app pytest -m slow tests/docs/test_site.py
"""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(os.environ.get("PLAYGROUND", "")).parent
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (SITE / "sitemap.xml").exists(), reason="no site was built")]
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Links(HTMLParser):
    """What a page loads, what it links, and how many formulas it has."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.formulas = [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.formulas += tag == "math"
        if tag in LOADS and attrs.get(LOADS[tag]) and attrs.get("rel") not in ("canonical", "alternate"):
            self.loads.append(attrs[LOADS[tag]])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])


@pytest.fixture(scope="module")
def pages():
    return {path: Links(path) for path in SITE.rglob("*.html") if "app" not in path.parts}


def test_nothing_is_loaded_from_elsewhere_and_every_link_leads_to_a_file(pages):
    assert len(pages) > 40
    for path, page in pages.items():
        assert not [load for load in page.loads if urlsplit(load).netloc]
        for link in page.loads + page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = SITE / parts.path.lstrip("/") if parts.path.startswith("/") else path.parent / unquote(parts.path)
            assert target.exists(), f"{path.relative_to(SITE)} links {link}"


def test_formulas_are_typeset(pages):
    assert pages[SITE / "lesson" / "derivatives.html"].formulas > 20
    assert pages[SITE / "theory" / "equilibria.html"].formulas > 30
    for path in pages:
        text = re.sub(r"<(pre|code|script|style).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\\\(|\\\[|\$\$|\\frac|\\sigma|<m[ion][^>]*>\\", text), path


def test_the_words_around_a_page_are_in_its_language(pages):
    for path in pages:
        language = "zh" if path.name.endswith(".zh.html") else "en"
        text = path.read_text(encoding="utf-8")
        assert f'<html lang="{language}"' in text[:200], path
        assert ("做实验" in text) == (language == "zh"), path  # a part of the navigation


def test_the_notebook_has_all_cells_and_names_the_package_beside_it():
    notebook = json.loads((SITE / "lesson" / "lesson.ipynb").read_text(encoding="utf-8"))
    (wheel,) = (SITE / "lesson").glob("*.whl")
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert any(wheel.name in source for source in sources)
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds.count("code") > 8
    assert kinds.count("markdown") > 7


def test_the_search_works_without_a_server_in_english_and_in_chinese(browser):
    page = browser.new_page()
    page.goto((SITE / "index.html").as_uri())
    for words, found in {"鉴定者": "forger.zh.html", "largest_stable_rate": "api/analysis.html"}.items():
        page.fill("input[name=query]", words)
        page.press("input[name=query]", "Shift")  # the page listens to keys
        page.wait_for_selector(f".md-search-result__link[href*='{found}']", state="attached", timeout=30_000)
