"""How does the noise of the latents move a run along the equilibria? Measured on many runs, against theory.

All runs start at one equilibrium and differ only in their latents. See
docs/results/which_equilibrium.md#does-noise-move-it.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _experiment import Experiment, Figure, Quick, progress
from _flow import landing
from _methods import METHODS, OBJECTIVES, ORDERS
from _options import check_known, check_positive, check_whole
from _results import Data
from figures import which_equilibrium as figures

from slantgan_jax import Players, faces, networks, slanted_land, sweep, train
from slantgan_jax.analysis import diffusion, equilibria

START_WEIGHTS = (1.5, 1.0, -1.0, -1.5)
"""Of the equilibrium at which all runs start: about as large as those that the flow reaches."""

RECORDS = 50
SUBSTEPS = 4
"""Steps of the integration of the theory from record to record."""

MOST_STEPS = 100_000_000
ARTICLE_RATE, STEPS_PER_EPOCH = 0.01, len(faces.FACES)
HALVING = "epochs in which mean |w| halves at rate 0.01, as predicted"
AHEAD = "epochs at rate 0.01 that the theory was followed for"
GROWS = "mean |w| grows, as predicted"


class Case(NamedTuple):
    """A kind of noise; `shared_latent` and `discriminator_first` as in `diffusion.slow_diffusion`."""

    shared_latent: bool
    discriminator_first: bool
    order: str = "tutorial"
    objective: str = "non-saturating"


CASES = {
    "the tutorial: D has seen G's latent": Case(True, True),
    "G has a fresh latent": Case(False, True),
    "G moves first, same latent": Case(True, False, "alternating, G first"),
    "saturating loss, fresh latent": Case(False, True, objective="saturating"),
}


@dataclass(frozen=True)
class Settings:
    """How does the noise of the latents move a run along the equilibria?"""

    replicas: Annotated[int, partial(check_whole, least=2, most=1_000_000)] = 512
    """The number of runs for each case and each rate; they differ in their latents."""
    steps: Annotated[int, partial(check_whole, least=RECORDS, most=MOST_STEPS, multiple=RECORDS)] = 1_000_000
    """Of every run; a multiple of 50."""
    learning_rates: Annotated[tuple[float, ...], check_positive] = (0.01, 0.03, 0.1, 0.3)
    """Both players'."""
    cases: Annotated[tuple[str, ...], partial(check_known, known=CASES)] = tuple(CASES)
    """Which kinds of noise."""


def compute(settings: Settings, out: Path) -> Data:
    noise = {}
    for name in progress(settings.cases, "cases"):
        theory = jax.lax.map(partial(predicted, float(settings.steps), CASES[name]), np.array(settings.learning_rates))
        noise[name] = measured(CASES[name], settings)
        noise[name] |= {f"predicted_{key}": np.asarray(value) for key, value in theory.items()}
    return {"noise": noise, "summary": {name: summary(found, settings) for name, found in noise.items()}}


def noisy_run(key: jax.Array, learning_rate: jax.Array, start: Players, case: Case, steps: int) -> dict[str, jax.Array]:
    """`RECORDS` records of the players, `[RECORDS, 13]`, of a run that starts at an equilibrium."""
    game = slanted_land(objective=OBJECTIVES[case.objective], independent_latents=not case.shared_latent)
    rule = METHODS["plain"].rule(ORDERS[case.order], learning_rate)
    outcome = train(
        key, game, rule, steps, players=start,
        record=lambda info: networks.to_vector(info.players), record_every=steps // RECORDS,
    )  # fmt: skip
    return {"history": outcome.history}


def measured(case: Case, settings: Settings) -> dict[str, np.ndarray]:
    """Mean and standard deviation over replicas of where on the surface they are, `[rates, 1 + RECORDS, 4]`, and the
    variance of D's u over replicas and the later half of the records, `[rates, 4]`."""
    rates = settings.learning_rates
    start = equilibria.equilibrium(faces.unstack(np.array(START_WEIGHTS)), faces.unstack(faces.FACES))
    start = jax.tree.map(np.float32, start)
    with jax.enable_x64(False):
        runs = sweep(
            partial(noisy_run, start=start, case=case, steps=settings.steps),
            {"seed": np.arange(settings.replicas), "learning_rate": list(rates)},
            dims={"history": ("record", "number")},
        )
    history = runs.history.transpose("learning_rate", "record", "seed", "number").values.astype(float)
    near = partial(landing, steps=8)
    places = np.asarray(jax.lax.map(near, history.reshape(-1, 13), batch_size=8192)).reshape(*history.shape[:3], 4)
    at_start = np.broadcast_to(np.array(START_WEIGHTS), (len(rates), 1, 4))
    return {
        "mean": np.concatenate([at_start, places.mean(2)], axis=1),
        "deviation": np.concatenate([0 * at_start, places.std(2, ddof=1)], axis=1),
        "fluctuation": history[:, RECORDS // 2 :, :, 8:12].var(axis=(1, 2)),
    }


@partial(jax.jit, static_argnames=("steps", "case"))
def predicted(steps: float, case: Case, rate: jax.Array) -> dict[str, jax.Array]:
    """What `measured` gives for one rate, and the drift at the start: dw/dτ = V(w) and dP/dτ = 2 η D(w) + V' P + P V'ᵀ
    in the time τ = η² n of n steps, solved by the method of Adams and Bashforth of order two."""

    def slow(weights: jax.Array) -> diffusion.SlowDiffusion:
        return diffusion.slow_diffusion(
            weights, faces.FACES, OBJECTIVES[case.objective],
            shared_latent=case.shared_latent, discriminator_first=case.discriminator_first,
        )  # fmt: skip

    def step(carry, number):
        (weights, covariance), before = carry
        here, turn = slow(weights), jax.jacfwd(lambda weights: slow(weights).drift)(weights)
        now = here.drift, 2 * rate * here.diffusion + turn @ covariance + covariance @ turn.T
        before = jax.tree.map(partial(jnp.where, number == 0), now, before)
        after = jax.tree.map(lambda x, a, b: x + size * (1.5 * a - 0.5 * b), carry[0], now, before)
        return (after, now), (weights, jnp.diag(covariance), jnp.diag(here.fast_covariance), here.drift)

    size = rate**2 * steps / (RECORDS * SUBSTEPS)
    start = jnp.array(START_WEIGHTS), jnp.zeros((4, 4))
    numbers = jnp.arange(RECORDS * SUBSTEPS + 1)
    _, (mean, variance, fluctuation, velocity) = jax.lax.scan(step, (start, start), numbers)
    return {
        "mean": mean[::SUBSTEPS],
        "deviation": jnp.sqrt(variance)[::SUBSTEPS],
        "fluctuation": rate * fluctuation[len(numbers) // 2 : -1].mean(0),
        "velocity": velocity[0],
    }


def summary(found: dict[str, np.ndarray], settings: Settings) -> Data:
    """For each rate what moved, and the epochs in which the mean |w| halves at the article's rate, by theory."""
    signs, fastest = np.sign(START_WEIGHTS), int(np.argmax(settings.learning_rates))
    time = max(settings.learning_rates) ** 2 * settings.steps / RECORDS * np.arange(1 + RECORDS)
    rows = {
        f"{rate:g}": {
            "mean |w| moves by": ((found["mean"][i, -1] - START_WEIGHTS) * signs).mean(),
            "predicted": ((found["predicted_mean"][i, -1] - START_WEIGHTS) * signs).mean(),
            "deviation": found["deviation"][i, -1].mean(),
            "predicted deviation": found["predicted_deviation"][i, -1].mean(),
            "variance of u over predicted": (found["fluctuation"] / found["predicted_fluctuation"])[i].mean(),
        }
        for i, rate in enumerate(settings.learning_rates)
    }
    sizes = (found["predicted_mean"][fastest] * signs).mean(1)
    epoch = ARTICLE_RATE**2 * STEPS_PER_EPOCH
    return rows | {
        HALVING: time_to_half(time, sizes) / epoch,
        AHEAD: time[-1] / epoch,
        GROWS: bool(sizes[-1] > sizes[0]),
    }


def time_to_half(times: np.ndarray, sizes: np.ndarray) -> float:
    """When `sizes` are first half of the first, linearly between `times`; infinite if they are not."""
    below = np.flatnonzero(sizes <= sizes[0] / 2)
    return float(np.interp(sizes[0] / 2, sizes[below[0] :: -1], times[below[0] :: -1])) if below.size else math.inf


def answer(data: Data) -> str:
    """The first two cases, which differ in the latent that G has."""
    found = []
    for name, row in list(data["summary"].items())[:2]:
        halving, ahead = row[HALVING] / 1e6, f"within {row[AHEAD] / 1e6:.2g}"
        if row[GROWS]:
            what = f"makes |w| grow {ahead}"
        else:
            what = f"halves |w| in {halving:.0f}" if np.isfinite(halving) else f"does not halve |w| {ahead}"
        found.append(f"{what} million epochs ({name})")
    return f"At the rate 0.01, theory says, noise\n{', and '.join(found)}."


EXPERIMENT = Experiment(
    "latent_noise",
    Settings,
    compute,
    answer,
    {"latent_noise.png": Figure(figures.noise, 11, 5.3)},
    devices=None,
    time="about 3 minutes",
    quick=Quick({"replicas": 64, "steps": 50_000, "learning_rates": (0.1, 0.3)}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
