import atexit
import os
import shutil
import tempfile
import zlib

import jax
import pytest

from slantgan_jax.cpu import use_every_core

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # JAX has looked already: it is for the processes that tests start
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
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
    part, parts = map(int, config.getoption("part").split("/"))
    chosen = []
    for item in items:
        group = item.get_closest_marker("xdist_group")
        name = group.args[0] if group else item.nodeid
        if zlib.crc32(name.encode()) % parts == part:
            chosen.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


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
