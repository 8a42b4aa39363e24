"""What a result was made with."""

import functools
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("slantgan-jax", "jax", "jaxlib", "optax", "chex", "numpy")


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that a number can depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


@functools.cache
def revision() -> str | None:
    """The git revision of this package's source, "-dirty" if it was changed since; None where git does not know."""
    git = ["git", "-C", str(Path(__file__).parent)]
    tracked = [*git, "ls-files", "--error-unmatch", __file__]
    describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        subprocess.run(tracked, capture_output=True, check=True)  # it may lie in somebody else's repository
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
