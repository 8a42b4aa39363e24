"""What mkdocs does beside its own work: the page to play on becomes a part of the site, which needs nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

WORKER = "https://unpkg.com/iframe-worker/shim"
"""What the theme would load, where a site is opened as files."""


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The text of a page, with our own script in the place of `WORKER`."""
    del config
    return output.replace(WORKER, "../" * page.url.count("/") + "javascripts/file_worker.js")


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same for 404.html."""
    del template_name, config
    return output_content.replace(WORKER, "javascripts/file_worker.js")


def on_post_build(config: Any) -> None:
    """Builds the page to play on into `app/`."""
    script = Path(config.docs_dir).parent / "experiments" / "playground.py"
    subprocess.run([sys.executable, script, "--out", Path(config.site_dir) / "app", "--no-open"], check=True)
