"""What mkdocs does beside its own work, so that the site needs nothing else: formulas become MathML, and the page to
play on, the notebook of the lesson, and the package that it installs become parts of the site."""

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]

WORKER = "https://unpkg.com/iframe-worker/shim"
"""What the theme would load, where a site is opened as files."""

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
"""What the Markdown extension makes of $...$ and $$...$$."""

SECTIONS = {
    "Play": "试一试",
    "Learn": "学习",
    "Experiment": "做实验",
    "Methods": "方法",
    "Answers": "实验结果",
    "Theory": "理论",
    "Reference": "参考",
}
"""The parts of the site in the navigation: their names on English and on Chinese pages."""


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """The text of a page with its formulas as MathML, which browsers typeset themselves."""
    del page, config, files
    return FORMULA.sub(lambda found: mathml(html.unescape(found[2]), found[1] == "div"), content)


def mathml(formula: str, block: bool) -> str:
    """A formula of LaTeX as MathML."""
    return convert(formula.strip(), display="block" if block else "inline")


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> None:
    """The words around a page, in the language of the page."""
    del context
    language = "zh" if page.file.src_uri.endswith(".zh.md") else "en"
    config.theme["language"] = language
    names = SECTIONS if language == "zh" else {chinese: english for english, chinese in SECTIONS.items()}
    for part in nav.items:
        part.title = names.get(part.title, part.title)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The text of a page, with our own script in the place of `WORKER`."""
    del config
    return output.replace(WORKER, "../" * page.url.count("/") + "javascripts/file_worker.js")


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same for 404.html."""
    del template_name, config
    return output_content.replace(WORKER, "javascripts/file_worker.js")


def on_post_build(config: Any) -> None:
    """Builds the page to play on into `app/`, the notebook and the package into `lesson/`."""
    script = ROOT / "experiments" / "playground.py"
    subprocess.run([sys.executable, script, "--out", Path(config.site_dir) / "app", "--no-open"], check=True)
    lesson = Path(config.site_dir) / "lesson"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", lesson, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = lesson.glob("*.whl")
    source = (ROOT / "examples" / "lesson.py").read_text(encoding="utf-8").replace("slantgan_jax.whl", wheel.name)
    jupytext.write(jupytext.reads(source, fmt="py:percent"), lesson / "lesson.ipynb")
