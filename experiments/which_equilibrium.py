"""Which equilibrium does training reach? The equilibria are a surface, one for each w of the generator.

Standard-normal starts follow the flow of the expected game to rest, by Runge-Kutta steps of size 1 in float64. Four
laws say from the start, or from where the run is a little later, which w that is. Other rules, rates, penalties,
objectives and optimizers begin at some of the same starts, and their ends are compared. See
docs/results/which_equilibrium.md; latent_noise.py and quality_of_equilibria.py go on from here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Data, Experiment, Figure, check_known, check_whole, progress
from _methods import METHODS, OBJECTIVES, ORDERS
from figures import which_equilibrium as figures
from jax.typing import ArrayLike

from slantgan_jax import Generator, Players, Rule, distributions, faces, games, networks, rules, slanted_land, train
from slantgan_jax.analysis import diffusion, equilibria, steepest_lines

MEAN = faces.FACES.mean(0)
LATENT = distributions.uniform(nodes=8)
"""These nodes give E σ(w z + b) with an error of 1e-6 for |w| up to 5."""

RECORD_EVERY = 10
LATER_TIME = 2000
"""The time at which the last law starts."""

MOST_COMPARED = 64
"""At so many of the starts, or at all if there are fewer, every method begins."""

DRAWN_RUNS, DRAWN_STEPS = 6, 600
STEEPEST_LINE = "steepest line"


class Run(NamedTuple):
    """A way to train: so many steps of a rule, with R1 of strength `gamma`, on the expected or on the sampled game."""

    steps: int
    rule: Rule
    objective: str = "non-saturating"
    gamma: float = 0.0
    sampled: bool = False


def plain(order: str, rate: float, method: str = "plain", strength: float = 0.0) -> Rule:
    return METHODS[method].rule(ORDERS[order], rate, strength)


RUNS = {
    "alternating, η = 0.1": Run(80_000, plain("alternating", 0.1)),
    "alternating, η = 1": Run(12_000, plain("alternating", 1.0)),
    "simultaneous, η = 0.1": Run(80_000, plain("simultaneous", 0.1)),
    "tutorial's order, η = 0.1": Run(80_000, plain("tutorial", 0.1)),
    "tutorial, sampled, η = 0.01": Run(1_000_000, plain("tutorial", 0.01), sampled=True),
    "extragradient, η = 0.3": Run(24_000, plain("simultaneous", 0.3, "extragradient", 1.0)),
    "optimistic, η = 0.3": Run(24_000, plain("simultaneous", 0.3, "optimistic")),
    "D ten times as fast": Run(24_000, rules.alternating(Players(optax.sgd(0.1), optax.sgd(1.0)))),
    "R1, γ = 0.1": Run(3000, plain("alternating", 1.0), gamma=0.1),
    "saturating loss": Run(12_000, plain("alternating", 1.0), "saturating"),
    "Adam, R1": Run(30_000, plain("alternating", 0.01, "Adam", 0.5), gamma=0.1),
}
ELSEWHERE = ("R1, γ = 0.1", "saturating loss", "Adam, R1")
"""The runs that change the game or the direction of the steps. The others change only the rule and the rate."""


@dataclass(frozen=True)
class Settings:
    """Which equilibrium does training reach, from which start, and by which method?

    Attributes:
        starts: the number of starts of the flow.
        flow_steps: of the flow, each of size 1; a multiple of 10.
        methods: which methods run.
        method_steps: of every method; by default as many as each needs to come to rest.
    """

    starts: int = 256
    flow_steps: int = 30_000
    methods: tuple[str, ...] = tuple(RUNS)
    method_steps: int | None = None

    def check(self) -> None:
        check_whole("--starts", self.starts, 2)
        check_whole("--flow-steps", self.flow_steps, RECORD_EVERY, multiple=RECORD_EVERY)
        check_known("--methods", self.methods, RUNS)
        check_whole("--method-steps", 1 if self.method_steps is None else self.method_steps, 1)


def compute(settings: Settings, out: Path) -> Data:
    flow = flow_and_laws(settings)
    count = min(MOST_COMPARED, settings.starts)
    ends = {name: end_of(RUNS[name], count, settings) for name in progress(settings.methods, "methods")}
    return {"flow": flow, "methods": ends, "which": summary(flow, ends, settings)}


def follow_flow(starts: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The starts `[starts, 13]`, and from each the flow of the expected game, `[starts, steps / RECORD_EVERY, 13]`."""
    game = games.expected(slanted_land(latent=LATENT))
    rule = METHODS["rk4"].rule(ORDERS["simultaneous"], 1.0)

    def run(seed: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = game.init(jax.random.split(jax.random.key(seed))[0])
        history = train(
            jax.random.key(seed), game, rule, steps, players=start,
            record=lambda info: networks.to_vector(info.players), record_every=RECORD_EVERY,
        ).history  # fmt: skip
        return networks.to_vector(start), history

    start, history = jax.jit(jax.vmap(run))(jnp.arange(starts))
    return np.asarray(start), np.asarray(history)


def flow_and_laws(settings: Settings) -> dict[str, np.ndarray]:
    """Where the flow starts and ends, `[starts, 13]`, where each law says that it ends, `[starts, 4]`, and drawings."""
    start, history = follow_flow(settings.starts, settings.flow_steps)

    @jax.jit
    @jax.vmap
    def later_law(later: jax.Array) -> jax.Array:
        """The steepest line from where the run then is, and the quadratic correction ½ vᵀ K v of `diffusion`."""
        weights = landing(later)
        v = jnp.concatenate([later[4:8] - on_surface(weights), later[8:]])
        hessian = diffusion.slow_diffusion(weights, faces.FACES).limit_hessian
        return weights + jnp.einsum("iab,a,b->i", hessian, v, v) / 2

    w, b = np.linspace(-3, 3.5, 66), np.linspace(-2.5, 4.5, 71)
    plane = Generator(*(np.broadcast_to(axis, (71, 66)) for axis in np.meshgrid(w, b)))
    return {
        "grid_w": w,
        "grid_b": b,
        "lines": np.asarray(jax.jit(steepest_lines.endpoint)(plane, jnp.full((1, 71, 66), MEAN[0])).weights),
        "surface": np.asarray(equilibria.bias(w, jnp.full(66, MEAN[0]))),
        "start": start,
        "end": history[:, -1],
        "residual": residual(history[:, -1]),
        "nearest": start[:, :4] + (np.log(MEAN / (1 - MEAN)) - start[:, 4:8] - start[:, :4] / 2) / 2.5,
        "steepest": np.asarray(landings(start)),
        "later": np.asarray(later_law(history[:, min(LATER_TIME, settings.flow_steps) // RECORD_EVERY - 1])),
        "paths": np.concatenate(
            [start[:DRAWN_RUNS, None, :8], history[:DRAWN_RUNS, : DRAWN_STEPS // RECORD_EVERY, :8]], axis=1
        ),
    }


def landing(numbers: jax.Array) -> jax.Array:
    """The weights `[4]` at which the steepest lines through G meet the equilibria, of players `[13]`."""
    return steepest_lines.endpoint(networks.from_vector(numbers, stacked=True).generator, faces.FACES).weights


landings = jax.jit(jax.vmap(landing))


def on_surface(weights: ArrayLike) -> jax.Array:
    """The biases of the equilibria with these weights, `[..., 4]`."""
    return equilibria.bias(weights, jnp.broadcast_to(MEAN, np.shape(weights)))


def residual(end: np.ndarray) -> np.ndarray:
    """How far players `[n, 13]` are from the equilibrium with the same w, `[n]`."""
    return np.linalg.norm(np.concatenate([end[:, 4:8] - on_surface(end[:, :4]), end[:, 8:]], axis=1), axis=1)


def end_of(run: Run, count: int, settings: Settings) -> dict[str, np.ndarray]:
    """The `landing` `[count, 4]` of where a run ends from each start, and how far that is from the surface, `[count]`.
    The landing takes away what is left of the swings, to their square."""
    game = METHODS["R1" if run.gamma else "plain"].game(OBJECTIVES[run.objective], run.gamma, latent=LATENT)
    game = game if run.sampled else games.expected(game)
    steps = settings.method_steps or run.steps

    def end(seed: jax.Array) -> jax.Array:
        return networks.to_vector(train(jax.random.key(seed), game, run.rule, steps).players)

    ends = jax.jit(jax.vmap(end))(jnp.arange(count))
    return {"landing": np.asarray(landings(ends)), "residual": residual(np.asarray(ends))}


def summary(flow: dict[str, np.ndarray], methods: dict[str, dict[str, np.ndarray]], settings: Settings) -> Data:
    end = flow["end"][:, :4]
    laws = {"w of the start": flow["start"][:, :4], "small-w law": flow["nearest"], STEEPEST_LINE: flow["steepest"],
            f"from time {min(LATER_TIME, settings.flow_steps)} on": flow["later"]}  # fmt: skip
    spread = rms(end - end.mean(0))
    count = min(MOST_COMPARED, settings.starts)
    return {
        "residual, most": flow["residual"].max(),
        "spread of w over starts": spread,
        "R² of laws": {name: 1 - (rms(law - end) / spread) ** 2 for name, law in laws.items()},
        "rms of laws": {name: rms(law - end) for name, law in laws.items()},
        "median |w| over the steepest law's": np.median(np.abs(end / flow["steepest"])),
        "methods": {
            name: {
                "from the flow's end, in spreads": rms(found["landing"] - end[:count]) / spread,
                "from the steepest law, in spreads": rms(found["landing"] - flow["steepest"][:count]) / spread,
                "residual": np.quantile(found["residual"], [0.25, 0.5, 0.75]),
            }
            for name, found in methods.items()
        },
    }


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def answer(data: Data) -> str:
    away = {name: row["from the flow's end, in spreads"] for name, row in data["which"]["methods"].items()}
    shares = {name: away[name] for name in ELSEWHERE if name in away}
    if alike := [share for name, share in away.items() if name not in ELSEWHERE]:
        shares = {"the farthest of other rules and rates": max(alike)} | shares
    return (
        "Training ends where each pixel's line of steepest mean meets the equilibria (R² = "
        f"{data['which']['R² of laws'][STEEPEST_LINE]:.3f}).\nDistances of w from the flow's ends, in spreads over the "
        f"starts: {'; '.join(f'{name}: {share:.0%}' for name, share in shares.items())}."
    )


EXPERIMENT = Experiment(
    "which_equilibrium", Settings, compute, answer, {"which_equilibrium.png": Figure(figures.draw, 16, 5.3)},
    devices=None,
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
