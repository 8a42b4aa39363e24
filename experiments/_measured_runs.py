"""Runs of several methods at several rates: their losses as they are plotted, and their true distances from the faces.

A run is looked at after some numbers of epochs. `plotted_*_loss` are the losses of the samples that training drew,
averaged over the last epoch; the other losses are expected. `off_undecided` is how far both are from their values at
equilibrium, as a share.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from _experiment import progress
from _methods import METHODS, ORDERS
from _results import Data

from slantgan_jax import Game, Rule, distributions, faces, games, slanted_land, sweep, train
from slantgan_jax.analysis import best_response, distances, transport
from slantgan_jax.networks import from_vector, to_vector
from slantgan_jax.training import StepInfo

EPOCHS = (100, 1000, 10_000)
"""Each run is looked at after these numbers of epochs."""

STEPS_PER_EPOCH = len(faces.FACES)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
COMPARED = {
    "tutorial": ("plain", "tutorial", 0.0),
    "R1": ("R1", "alternating", 0.1),
    "optimistic": ("optimistic", "alternating", 0.0),
    "Adam": ("Adam", "alternating", 0.5),
}
"""The names in `METHODS` and in `ORDERS`, and the strength of the method."""

UNDECIDED = {"generator_loss": np.log(2), "discriminator_loss": 2 * np.log(2)}
"""Both losses at every equilibrium."""

RIDGE = 0.01
NODES = 50
"""Nodes of the latent for losses and gaps; their error is 1e-6 for weights up to 10."""

BATCH = 64


def trained(seeds: int) -> xr.Dataset:
    """Every method at every rate from every seed: `players`, `plotted` losses and `finite` at each of `EPOCHS`."""
    dims = {"players": ("epochs", "parameter"), "plotted": ("epochs", "player"), "finite": ("epochs",)}
    axes = {"seed": np.arange(seeds), "learning_rate": RATES}
    runs = [sweep(partial(run, method=name), axes, dims=dims) for name in progress(COMPARED, "methods")]
    return xr.concat(runs, "method").transpose("method", "learning_rate", "seed", "epochs", ...)


def game_and_rule(name: str, rate: Any) -> tuple[Game, Rule]:
    method, order, strength = COMPARED[name]
    return METHODS[method].game(strength=strength), METHODS[method].rule(ORDERS[order], rate, strength)


def run(key: jax.Array, learning_rate: jax.Array, method: str) -> dict[str, jax.Array]:
    """One run, looked at after each of `EPOCHS`: players `[looks, 13]`, mean losses of the last epoch `[looks, 2]`."""
    game, rule = game_and_rule(method, learning_rate)
    state, looks, done = None, [], 0
    for epochs in EPOCHS:
        # All parts of a run have the same key; a clone says that this is meant.
        if epochs > done + 1:  # up to the last epoch, which is recorded
            first = (epochs - 1 - done) * STEPS_PER_EPOCH
            state = train(jax.random.clone(key), game, rule, first, state=state).state
        result = train(jax.random.clone(key), game, rule, STEPS_PER_EPOCH, state=state, record=partial(plotted, rule))
        mean = jnp.mean(result.history, axis=0)
        looks.append({"players": to_vector(result.players), "plotted": mean, "finite": result.finite})
        state, done = result.state, epochs
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *looks)


@partial(jax.jit, static_argnames="method")
def curves(key: jax.Array, learning_rate: jax.Array | float, method: str) -> jax.Array:
    """The losses of G and D as they are plotted, means over each epoch: `[epochs, 2]`; the run is that of `run`."""
    game, rule = game_and_rule(method, learning_rate)
    history = train(key, game, rule, EPOCHS[-1] * STEPS_PER_EPOCH, record=partial(plotted, rule)).history
    return jnp.mean(history.reshape(-1, STEPS_PER_EPOCH, 2), axis=1)


def plotted(rule: Rule, info: StepInfo) -> jax.Array:
    """The losses on what a step sees, before it moves: `[2]`. Without penalties, so that methods can be compared."""
    return jnp.stack([*games.total_losses(slanted_land(), rule.players(info.before), info.sample)])


def measured(runs: xr.Dataset, transported: int) -> Data:
    """Every indicator and truth as an array `[method, rate, seed, look]`, NaN after divergence.

    Truths that take long are NaN, too, for the runs that were not chosen to have them.
    """
    players, finite = runs.players.values, runs.finite.values
    data = {"methods": list(COMPARED), "rates": RATES, "epochs": EPOCHS, "ridge": RIDGE, "equilibrium": UNDECIDED}
    data |= {"players": players, "finite": finite}
    for i, name in enumerate(UNDECIDED):
        data[f"plotted_{name}"] = np.where(finite, runs.plotted.values[..., i], np.nan)
    chosen = np.zeros(finite[..., 0].size, bool)
    chosen[np.random.default_rng(0).permutation(chosen.size)[:transported]] = True
    chosen = finite & chosen.reshape(finite.shape[:-1])[..., None]
    with jax.enable_x64(True):
        for where, function in ((finite, measures), (chosen, transports)):
            for name, values in in_batches(function, players[where]).items():
                data[name] = np.full(finite.shape, np.nan)
                data[name][where] = values
    return data | {"off_undecided": np.maximum(*(np.abs(data[name] / at - 1) for name, at in UNDECIDED.items()))}


def measures(vector: jax.Array) -> dict[str, jax.Array]:
    """The losses, the gaps and the distance of the mean images of players `[13]`."""
    players, images = from_vector(vector), faces.unstack(faces.FACES)
    expected = games.expected_losses(slanted_land(latent=distributions.uniform(nodes=NODES)), players)
    best = best_response.best_discriminator(players.generator, images, RIDGE, nodes=NODES)
    ridges = jnp.array([0, RIDGE])
    duality = jax.vmap(lambda ridge: best_response.duality_gap(players, images, ridge, nodes=NODES))(ridges)
    nikaido_isoda = jax.vmap(lambda ridge: best_response.nikaido_isoda_gap(players, images, ridge, nodes=NODES))(ridges)
    return {
        "generator_loss": expected.generator,
        "discriminator_loss": expected.discriminator,
        "duality_gap": duality[0],
        "nikaido_isoda_gap": nikaido_isoda[0],
        "duality_gap_ridge": duality[1],
        "nikaido_isoda_gap_ridge": nikaido_isoda[1],
        "best_discriminator_ridge": 2 * jnp.log(2.0) - best.loss,
        "mean_gap": distances.mean_gap(players.generator, images),
    }


def transports(vector: jax.Array) -> dict[str, jax.Array]:
    """The true distances of players `[13]` that take long."""
    generator, images = from_vector(vector).generator, faces.unstack(faces.FACES)
    found = {f"wasserstein_{order}": transport.wasserstein(generator, images, order) for order in (1, 2)}
    return found | {"energy_distance": distances.energy_distance(generator, images)}


def in_batches(function: Callable[[jax.Array], dict[str, jax.Array]], players: np.ndarray) -> dict[str, np.ndarray]:
    """`function` of each of `players` `[n, 13]`. Batches are small, as in a batch all wait for the slowest."""
    batch = jax.jit(jax.vmap(function))
    padded = np.pad(players.astype(np.float64), ((0, -len(players) % BATCH), (0, 0)), mode="edge")
    starts = progress(range(0, len(padded), BATCH), function.__name__)
    parts = [batch(padded[first : first + BATCH]) for first in starts]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(players)], *parts)
