import atexit
import os
import shutil
import tempfile
import zlib

import jax
import pytest

from slantgan_jax.cpu import use_every_core

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # JAX has looked already: the processes that this one starts, workers and commands, compile nothing twice.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
pytest.register_assert_rewrite("tests.answers")
use_every_core(4)
jax.config.update("jax_numpy_rank_promotion", "raise")
if "JAX_DEBUG_KEY_REUSE" not in os.environ:
    jax.config.update("jax_debug_key_reuse", True)


def pytest_addoption(parser):
    parser.addoption("--part", help="I/N: the I-th of N parts, from 0, into which all selected tests fall")


def pytest_collection_modifyitems(config, items):
    """Leaves the tests of one part; tests of one group stay together."""
    if not config.getoption("part"):
        return
    part, _, parts = config.getoption("part").partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise pytest.UsageError(f"--part is {config.getoption('part')!r}: give I/N with I from 0 to N - 1, as in 0/3")

    def is_chosen(item):
        group = item.get_closest_marker("xdist_group")
        name = group.args[0] if group else item.nodeid
        return zlib.crc32(name.encode()) % int(parts) == int(part)

    config.hook.pytest_deselected(items=[item for item in items if not is_chosen(item)])
    items[:] = filter(is_chosen, items)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compile():
    """For modules whose programs run briefly: XLA leaves out what takes it longest, about half of the time to compile.

    Not for what is about speed, or about bits that other processes make, too."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as library:
        found = library.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()
