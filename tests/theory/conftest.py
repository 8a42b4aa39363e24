from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import pytest

from slantgan_jax import Players, games, rules, train


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """One process runs all tests of a module here, since they share what they compile."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compile):
    """Everything here runs briefly."""


@pytest.fixture(scope="session")
def circling():
    """Runs of the Dirac-GAN at the rate 0.1 from any two starts on the axis of θ, `[2, 20000]` for each player."""
    game, rule = games.expected(games.dirac()), rules.simultaneous(optax.sgd(0.1))

    def run(start):
        players = Players(start, jnp.zeros_like(start))
        return train(jax.random.key(0), game, rule, 20_000, players=players, record=lambda info: info.players).history

    return jax.jit(jax.vmap(run))
