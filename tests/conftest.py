import atexit
import gc
import math
import os
import shutil
import tempfile
import time
import zlib

import jax
import pytest

from slantgan_jax.cpu import use_every_core

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # JAX has looked already: the processes that this one starts, workers and commands, compile nothing twice.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
gc.set_threshold(200_000, 20, 100)  # tracing makes much that lives: looking through it again took 6 % of the time
pytest.register_assert_rewrite("tests.answers")
use_every_core(4)
jax.config.update("jax_numpy_rank_promotion", "raise")
if "JAX_DEBUG_KEY_REUSE" not in os.environ:
    jax.config.update("jax_debug_key_reuse", True)


def pytest_addoption(parser):
    parser.addoption("--order-by", metavar="TEXT", help="draw the order of modules and groups of tests by this text")
    parser.addoption("--until", metavar="T", type=float, help="skip what has not begun T seconds after 1970 began")


def pytest_collection_modifyitems(config, items):
    """Draws the order, in which the tests of a module or group stay together, since they share what they make."""
    if text := config.getoption("order_by"):

        def place(item):
            group = item.get_closest_marker("xdist_group")
            return zlib.crc32(f"{text} {group.args[0] if group else item.nodeid.partition('::')[0]}".encode())

        items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if time.time() > (item.config.getoption("until") or math.inf):
        pytest.skip("the time is over")


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
