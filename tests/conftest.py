import atexit
import os
import shutil
import tempfile

import jax
import pytest

from slantgan_jax.cpu import use_every_core

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # JAX has looked already: it is for the processes that tests start
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
pytest.register_assert_rewrite("tests.answers")
use_every_core(4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


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
