import jax
import pytest

from slantgan_jax.devices import use_every_core

use_every_core(4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
