"""How good are the equilibria that training reaches? Their distances from the faces, over the least of the family.

See docs/results/which_equilibrium.md#how-good-is-it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Experiment, Figure, Quick, progress
from _flow import MEAN, FlowSettings, follow_flow, motion, on_surface, residual
from _methods import METHODS, ORDERS
from _options import check_whole
from _results import Data
from figures import which_equilibrium as figures

from slantgan_jax import Generator, distributions, faces, networks, slanted_land, sweep, train
from slantgan_jax.analysis import distances, transport

ORDERS_OF_DISTANCE = {0: "energy", 1: "W₁", 2: "W₂"}
TRANSPORT_ROUNDS = 8
"""These rounds give errors of 1e-9 for weights of this size, in half the time of the default."""

SCREENED, DESCENTS = 128, 8
"""So many random generators, of which L-BFGS starts at the best."""

DESCENT_STEPS, LONGEST_STEP = 45, 0.5
ENERGY_NODES = 48
REACHED = "equilibria that training reaches"
ARTICLE_RATE, ARTICLE_STEPS = 0.01, 1000 * len(faces.FACES)


@dataclass(frozen=True)
class Settings(FlowSettings):
    """How good are the equilibria that training reaches?"""

    orders: Annotated[tuple[int, ...], partial(check_whole, least=0, most=2)] = (1, 2, 0)
    """Of the Wasserstein distances; 0 stands for the energy distance."""


def compute(settings: Settings, out: Path) -> Data:
    _, history = follow_flow(settings)
    runs = tutorial_runs(settings.starts)
    quality = {
        ORDERS_OF_DISTANCE[order]: quality_of(order, history[:, -1, :8], runs)
        for order in progress(settings.orders, "distances")
    }
    return {
        "quality": quality,
        "how good": {name: summary(found) for name, found in quality.items()},
        "residual": residual(history[:, -1]),
    }


def tutorial_runs(count: int) -> np.ndarray:
    """w and b of the generators that the tutorial trains, `[count, 8]`."""
    rule = METHODS["plain"].rule(ORDERS["tutorial"], ARTICLE_RATE)

    def run(key: jax.Array) -> dict[str, jax.Array]:
        players = train(key, slanted_land(), rule, ARTICLE_STEPS).players
        return {"generator": networks.to_vector(players)[:8]}

    with jax.enable_x64(False):
        runs = sweep(run, {"seed": np.arange(count)}, dims={"generator": ("number",)})
    return runs.generator.values.astype(float)


def quality_of(order: int, reached: np.ndarray, runs: np.ndarray) -> dict[str, np.ndarray]:
    """The distance of the `equilibria` reached, of the `runs`, of a `constant` image, and the least there is.

    `best` is over all generators and `surface` over those whose mean image is the mean face: `[DESCENTS]` each,
    ascending, where L-BFGS ends from the best of random generators. `arguments` `[2, 8]` has w and b of the first ones.
    """
    screened = random_generators()
    constant = np.concatenate([np.zeros(4), np.log(MEAN / (1 - MEAN))])[None]
    rows = np.concatenate([*screened, reached, runs, constant])
    values = np.asarray(jax.jit(partial(jax.lax.map, partial(distance, order), batch_size=32))(rows))
    ends = np.cumsum([2 * SCREENED, len(reached), len(runs)])
    of_screened, of_reached, of_runs, of_constant = np.split(values, ends)
    chosen = np.argsort(of_screened.reshape(2, -1), axis=1)[:, :DESCENTS]
    starts = np.take_along_axis(screened, chosen[..., None], axis=1)
    least, arguments = map(np.asarray, descended(order, starts))
    ranks = np.argsort(least, axis=1)
    best, surface = np.take_along_axis(least, ranks, axis=1)
    return {
        "equilibria": of_reached,
        "runs": of_runs,
        "constant": of_constant[0],
        "best": best,
        "surface": surface,
        "arguments": np.stack([arguments[0, ranks[0, 0]], arguments[1, ranks[1, 0]]]),
    }


def random_generators() -> np.ndarray:
    """w and b of random generators `[2, SCREENED, 8]`, first with any biases, then on the surface of equilibria."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(SCREENED, 4)) * random.choice([0.5, 1.0, 2.0, 4.0, 8.0], (SCREENED, 1))
    biases = np.asarray(on_surface(weights))
    free = np.concatenate([weights, biases + random.normal(size=biases.shape) / 2], axis=1)
    return np.stack([free, np.concatenate([weights, biases], axis=1)])


def distance(order: int, numbers: jax.Array) -> jax.Array:
    """The distance from the faces of the generator with the w and b in `numbers` `[8]`."""
    generator = Generator(numbers[:4], numbers[4:])
    if order == 0:
        return distances.energy_distance(generator, faces.FACES)
    return transport.wasserstein(generator, faces.FACES, order, TRANSPORT_ROUNDS)


def smooth_energy(numbers: jax.Array) -> jax.Array:
    """The energy distance by fewer nodes, for generators that are not steep: |G(z) - G(z')| is smooth for z' < z."""
    z, chances = distributions.uniform_quadrature(ENERGY_NODES)
    x = jax.nn.sigmoid(z[:, None] * numbers[None, :4] + numbers[None, 4:])
    below = jax.nn.sigmoid(jnp.outer(z, z)[..., None] * numbers[None, None, :4] + numbers[None, None, 4:])
    between = jnp.linalg.norm(x[:, None] - faces.FACES[None], axis=-1).mean(1)
    within = jnp.linalg.norm(faces.FACES[:, None] - faces.FACES[None], axis=-1).mean()
    lengths = jnp.sqrt(jnp.sum((x[:, None] - below) ** 2, axis=-1) + 1e-30)
    return 2 * chances @ between - 2 * (chances * z) @ lengths @ chances - within


@partial(jax.jit, static_argnums=0)
def descended(order: int, starts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The distances `[2, n]` and generators `[2, n, 8]` at which L-BFGS from `starts` ends: first free, then kept on
    the surface, where b follows from w."""
    value = smooth_energy if order == 0 else partial(distance, order)
    solver = optax.lbfgs(1.0, memory_size=20, linesearch=None)

    def placed(surface, numbers):
        return jnp.where(surface, jnp.concatenate([numbers[:4], on_surface(numbers[:4])]), numbers)

    def step(surface, carry, _):
        numbers, memory = carry
        slope = jax.grad(lambda numbers: value(placed(surface, numbers)))(numbers)
        move, memory = solver.update(slope, memory, numbers)
        move = jnp.asarray(move)
        move = move * (LONGEST_STEP / jnp.maximum(jnp.linalg.norm(move), LONGEST_STEP))
        return (numbers + move, memory), None

    def end(surface, start):
        (numbers, _), _ = jax.lax.scan(partial(step, surface), (start, solver.init(start)), length=DESCENT_STEPS)
        numbers = placed(surface, numbers)
        return value(numbers), numbers

    return jax.vmap(jax.vmap(end, (None, 0)))(jnp.array([False, True]), starts)


def summary(found: dict[str, np.ndarray]) -> Data:
    quartiles = [0.25, 0.5, 0.75]
    return {
        "best of the family": found["best"],
        "best on the surface": found["surface"],
        "their w and b": found["arguments"],
        "constant mean face": float(found["constant"]),
        "equilibria, quartiles": np.quantile(found["equilibria"], quartiles),
        "tutorial runs, quartiles": np.quantile(found["runs"], quartiles),
        "tutorial run of seed 0": float(found["runs"][0]),
        "equilibria better than the constant": float((found["equilibria"] < found["constant"]).mean()),
    }


def answer(data: Data) -> str:
    rows = data["how good"].values()
    median = ", ".join(f"{row['equilibria, quartiles'][1] / row['best of the family'][0]:.2f}" for row in rows)
    constant = ", ".join(f"{row['constant mean face'] / row['best of the family'][0]:.2f}" for row in rows)
    moving = motion(data["residual"])
    places = f"where the flow is after {data['settings']['flow_steps']} steps" if moving else REACHED
    return (
        f"Distances from the faces over the least of the family ({', '.join(data['how good'])}):\n"
        f"{places}, median {median}; a generator that has collapsed {constant}.{moving}"
    )


EXPERIMENT = Experiment(
    "quality_of_equilibria", Settings, compute, answer, {"quality_of_equilibria.png": Figure(figures.quality, 8, 5.5)},
    devices=None,
    time="about 2 minutes", quick=Quick({"starts": 32, "orders": (1,)}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
