"""What a result was made with."""

import functools
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import slantgan_jax

LIBRARIES = ("jax", "jaxlib", "optax", "chex", "numpy", "scipy")

GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
"""A repository's configuration may name programs that git starts. These calls start none: they compare no contents."""

GIT_SECONDS = 5.0
"""After this time git is not waited for any longer."""


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python, of this package, and of the libraries that a number can depend on."""
    own = slantgan_jax.__version__  # a checkout that is only on the path is not known to Python as a package
    return {"python": platform.python_version(), "slantgan-jax": own, **{name: version(name) for name in LIBRARIES}}


@functools.cache
def revision() -> str | None:
    """The git revision of this package's source, "-dirty" if it was changed since; None where git does not know.

    Changed means that a tracked Python file is not the one of the index.
    """
    try:
        _git("ls-files", "--error-unmatch", __file__)  # it may lie in somebody else's repository
        root = Path(_git("rev-parse", "--show-toplevel").strip())
        tracked = _git("ls-files", "--stage", "-z", "--", ":(top)*.py", directory=root).split("\0")
        dirty = any(_is_changed(root, line) for line in tracked if line)
        return _git("rev-parse", "HEAD").strip() + ("-dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _git(*arguments: str, directory: Path = Path(__file__).parent) -> str:
    command = [*GIT, "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS).stdout


def _is_changed(root: Path, line: str) -> bool:
    """Whether a file is not as a line of the index, "mode digest stage<tab>path", says."""
    about, _, path = line.partition("\t")
    digest = about.split()[1]
    data = (root / path).read_bytes()
    algorithm = hashlib.sha1 if len(digest) == 40 else hashlib.sha256
    return algorithm(b"blob %d\0" % len(data) + data).hexdigest() != digest
