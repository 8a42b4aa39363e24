import jax
import jax.numpy as jnp
import optax
import pytest

from slantgan_jax import Players, games, rules, train


@pytest.fixture(scope="session")
def circling():
    """Runs of the Dirac-GAN at the rate 0.1 from any two starts on the axis of θ, `[2, 20000]` for each player."""
    game, rule = games.expected(games.dirac()), rules.simultaneous(optax.sgd(0.1))

    def run(start):
        players = Players(start, jnp.zeros_like(start))
        return train(jax.random.key(0), game, rule, 20_000, players=players, record=lambda info: info.players).history

    return jax.jit(jax.vmap(run))
