"""Which equilibrium does training reach? The equilibria are a surface, one for each w of the generator.

Standard-normal starts follow the flow of the expected game to rest. Laws say which w that is, and other methods begin
at the same starts. See docs/results/which_equilibrium.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Experiment, Figure, Quick, progress
from _flow import (
    LATENT,
    LATER_TIME,
    MEAN,
    RECORD_EVERY,
    STEEPEST_LINE,
    FlowSettings,
    follow_flow,
    landings,
    laws,
    motion,
    residual,
)
from _methods import METHODS, OBJECTIVES, ORDERS
from _options import check_known, check_whole
from _results import Data
from figures import which_equilibrium as figures

from slantgan_jax import Generator, Players, Rule, games, networks, rules, train
from slantgan_jax.analysis import equilibria, steepest_lines

MOST_COMPARED = 64
"""The largest number of starts from which every method is run."""

DRAWN_RUNS, DRAWN_STEPS = 6, 600

PREDICTED = 0.95
"""From this R² on, a law is said to tell where training ends."""


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
ELSEWHERE = {"R1, γ = 0.1": "R1", "saturating loss": "saturating loss", "Adam, R1": "Adam"}
"""The runs that change the game or the direction of the steps, and by what. The others change only the rule and the
rate."""


@dataclass(frozen=True)
class Settings(FlowSettings):
    """Which equilibrium does training reach, from which start, and by which method?"""

    methods: Annotated[tuple[str, ...], partial(check_known, known=RUNS)] = tuple(RUNS)
    """Which methods run."""
    method_steps: Annotated[int | None, partial(check_whole, least=1, most=100_000_000)] = None
    """Of every method; by default as many as each needs to come to rest."""


def compute(settings: Settings, out: Path) -> Data:
    flow = flow_and_laws(settings)
    count = min(MOST_COMPARED, settings.starts)
    ends = {name: end_of(RUNS[name], count, settings) for name in progress(settings.methods, "methods")}
    return {"flow": flow, "methods": ends, "which": summary(flow, ends, settings)}


def flow_and_laws(settings: Settings) -> dict[str, np.ndarray]:
    """Where the flow starts and ends, `[starts, 13]`, where each law says that it ends, `[starts, 4]`, and drawings."""
    start, history = follow_flow(settings)
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
        **laws(start, history),
        "paths": np.concatenate(
            [start[:DRAWN_RUNS, None, :8], history[:DRAWN_RUNS, : DRAWN_STEPS // RECORD_EVERY, :8]], axis=1
        ),
    }


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
    found_by = {
        "w of the start": flow["start"][:, :4],
        "small-w law": flow["nearest"],
        STEEPEST_LINE: flow["steepest"],
        f"from time {min(LATER_TIME, settings.flow_steps)} on": flow["later"],
    }
    spread = rms(end - end.mean(0))
    count = min(MOST_COMPARED, settings.starts)
    return {
        "residual, most": flow["residual"].max(),
        "spread of w over starts": spread,
        "R² of laws": {name: 1 - (rms(law - end) / spread) ** 2 for name, law in found_by.items()},
        "rms of laws": {name: rms(law - end) for name, law in found_by.items()},
        "median |w| over the steepest law's": np.median(np.abs(end / flow["steepest"])),
        "methods": {
            name: {
                "from the flow's end, in spreads": rms(found["landing"] - end[:count]) / spread,
                "from the steepest law, in spreads": rms(found["landing"] - flow["steepest"][:count]) / spread,
                "residual": np.quantile(found["residual"], [0.25, 0.5, 0.75]),
                "elsewhere by": ELSEWHERE.get(name, ""),
            }
            for name, found in methods.items()
        },
    }


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def answer(data: Data) -> str:
    which, methods = data["which"], data["which"]["methods"]
    away = {name: row["from the flow's end, in spreads"] for name, row in methods.items()}
    shares = {name: away[name] for name in ELSEWHERE if name in away}
    if alike := [share for name, share in away.items() if name not in ELSEWHERE]:
        shares = {"the farthest of other rules and rates": max(alike)} | shares
    law, moving = which["R² of laws"][STEEPEST_LINE], motion(which["residual, most"])
    found = f"Each pixel's line of steepest mean predicts where the flow ends with R² = {law:.3f}."
    if law >= PREDICTED and not moving:
        found = f"Training ends where each pixel's line of steepest mean meets the equilibria (R² = {law:.3f})."
    restless = [f"{name} ({row['residual'][1]:.2g})" for name, row in methods.items() if not figures.rests(row)]
    note = f" Not at rest yet, and so far off an equilibrium at the median: {'; '.join(restless)}." if restless else ""
    return (
        f"{found}{moving}\nDistances of w from the flow's ends, in spreads over the starts: "
        f"{'; '.join(f'{name}: {share:.0%}' for name, share in shares.items())}.{note}"
    )


EXPERIMENT = Experiment(
    "which_equilibrium", Settings, compute, answer, {"which_equilibrium.png": Figure(figures.draw, 15, 5.6)},
    devices=None,
    time="about 2 minutes", quick=Quick({"starts": 64, "methods": ("R1, γ = 0.1",)}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
