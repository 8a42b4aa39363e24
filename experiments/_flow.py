"""The flow of the expected game from standard-normal starts, and the surface of equilibria on which it ends."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from _methods import METHODS, ORDERS
from _options import check_whole
from jax.typing import ArrayLike

from slantgan_jax import distributions, faces, games, networks, slanted_land, train
from slantgan_jax.analysis import diffusion, equilibria, steepest_lines

MEAN = faces.FACES.mean(0)
LATENT = distributions.uniform(nodes=8)
"""These nodes give E σ(w z + b) with an error of 1e-6 for |w| up to 5."""

AT_REST = 0.01
"""A flow that ends farther from an equilibrium has not come to rest."""

METHOD_AT_REST = 0.1
"""A method that ends farther from an equilibrium, at the median start, has not come to rest. The noise of sampling and
the bias of the tutorial's order make it 0.07. What is left moves the landing by its square."""

STEEPEST_LINE = "steepest line"
RECORD_EVERY = 10
LATER_TIME = 2000
"""The time at which the last law starts."""


FLOW_STEPS = partial(check_whole, least=RECORD_EVERY, most=10_000_000, multiple=RECORD_EVERY)


@dataclass(frozen=True)
class FlowSettings:
    starts: Annotated[int, partial(check_whole, least=2, most=1_000_000)] = 256
    """The number of starts."""
    flow_steps: Annotated[int, FLOW_STEPS] = 30_000
    """Of the flow, each of size 1; a multiple of 10."""


def follow_flow(settings: FlowSettings) -> tuple[np.ndarray, np.ndarray]:
    """The starts `[starts, 13]`, and from each the flow of the expected game, `[starts, steps / RECORD_EVERY, 13]`."""
    game = games.expected(slanted_land(latent=LATENT))
    rule = METHODS["rk4"].rule(ORDERS["simultaneous"], 1.0)

    def run(seed: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = game.init(jax.random.split(jax.random.key(seed))[0])
        history = train(
            jax.random.key(seed), game, rule, settings.flow_steps, players=start,
            record=lambda info: networks.to_vector(info.players), record_every=RECORD_EVERY,
        ).history  # fmt: skip
        return networks.to_vector(start), history

    start, history = jax.jit(jax.vmap(run))(jnp.arange(settings.starts))
    return np.asarray(start), np.asarray(history)


def landing(numbers: jax.Array, steps: int = steepest_lines.LINE_STEPS) -> jax.Array:
    """The weights `[4]` at which the steepest lines through G meet the equilibria, of players `[13]`."""
    generator = networks.from_vector(numbers, stacked=True).generator
    return steepest_lines.endpoint(generator, faces.FACES, steps).weights


def on_surface(weights: ArrayLike) -> jax.Array:
    """The biases of the equilibria with these weights, `[..., 4]`."""
    return equilibria.bias(weights, jnp.broadcast_to(MEAN, np.shape(weights)))


def residual(end: np.ndarray) -> np.ndarray:
    """How far players `[n, 13]` are from the equilibrium with the same w, `[n]`."""
    return np.linalg.norm(np.concatenate([end[:, 4:8] - on_surface(end[:, :4]), end[:, 8:]], axis=1), axis=1)


def motion(residuals: np.ndarray) -> str:
    """A sentence on a flow that has not come to rest from every start, by what is left, or no text."""
    most = float(np.max(residuals))
    return "" if most < AT_REST else f" The flow is not at rest yet: it is up to {most:.2g} off an equilibrium."


landings = jax.jit(jax.vmap(landing))


@jax.jit
@jax.vmap
def later_law(later: jax.Array) -> jax.Array:
    """The steepest line from where the run then is, and the quadratic correction ½ vᵀ K v of `diffusion`."""
    weights = landing(later)
    v = jnp.concatenate([later[4:8] - on_surface(weights), later[8:]])
    hessian = diffusion.slow_diffusion(weights, faces.FACES).limit_hessian
    return weights + jnp.einsum("iab,a,b->i", hessian, v, v) / 2


def laws(start: np.ndarray, history: np.ndarray) -> dict[str, np.ndarray]:
    """The weights `[starts, 4]` at which each law says that the flow from `start` ends."""
    return {
        "nearest": start[:, :4] + (np.log(MEAN / (1 - MEAN)) - start[:, 4:8] - start[:, :4] / 2) / 2.5,
        "steepest": np.asarray(landings(start)),
        "later": np.asarray(later_law(history[:, min(LATER_TIME // RECORD_EVERY, history.shape[1]) - 1])),
    }
