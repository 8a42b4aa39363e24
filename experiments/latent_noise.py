"""How does the noise of the latents move a run along the equilibria? Measured on many runs, against theory.

All runs start at one equilibrium and differ only in their latents. See
docs/results/which_equilibrium.md#does-noise-move-it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _experiment import Experiment, Figure, Quick, progress
from _flow import landing
from _methods import METHODS, OBJECTIVES, ORDERS
from _options import check_known, check_positive, check_whole
from _results import Data, counted
from figures import which_equilibrium as figures
from figures.which_equilibrium import GROWS, HALVING, SEEN
from scipy.integrate import solve_ivp
from scipy.linalg import block_diag

from slantgan_jax import Players, faces, networks, slanted_land, sweep, train
from slantgan_jax.analysis import diffusion, equilibria

START_WEIGHTS = (1.5, 1.0, -1.0, -1.5)
"""Of the equilibrium at which all runs start: about as large as those that the flow reaches."""

RECORDS = 50
RELATIVE_ERROR, ABSOLUTE_ERROR = 1e-8, 1e-12
"""Of each step by which the theory is solved."""

MOST_STEPS = 100_000_000
TIME_OF_EPOCH = 0.01**2 * len(faces.FACES)
"""Of the theory, at the article's rate."""

FOLLOWED_EPOCHS = 1e9
"""For so long it is asked whether |w| halves."""

LONGEST_TIME = 1e10
"""After it the theory is not solved. Where |w| grows, it is beyond 1000 by then."""

AHEAD = "epochs at rate 0.01 that the theory was followed for"


Motion = Callable[[float, np.ndarray], Any]
Theory = Callable[[np.ndarray], tuple[np.ndarray, ...]]


class Case(NamedTuple):
    """A kind of noise; `shared_latent` and `discriminator_first` as in `diffusion.slow_diffusion`."""

    shared_latent: bool
    discriminator_first: bool
    order: str = "tutorial"
    objective: str = "non-saturating"


CASES = {
    SEEN: Case(True, True),
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

    def check(self) -> None:
        if len(self.learning_rates) > figures.MOST_RATES:
            raise ValueError(
                f"--learning-rates has {len(self.learning_rates)} numbers: give at most {figures.MOST_RATES}, as many "
                "as the figure has colors"
            )


def compute(settings: Settings, out: Path) -> Data:
    noise, summaries = {}, {}
    for name in progress(settings.cases, "cases"):
        at = theory(CASES[name])
        noise[name] = measured(CASES[name], settings)
        noise[name] |= {f"predicted_{key}": values for key, values in predicted(at, settings).items()}
        summaries[name] = summary(noise[name], settings) | outlook(at)
    return {"noise": noise, "summary": summaries}


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
    """Mean and standard deviation over replicas of where on the surface they are, `[rates, 1 + RECORDS, 4]`, the
    variance of D's u over replicas and the later half of the records, `[rates, 4]`, and how many replicas `diverged`,
    `[rates]`. From then on all others are NaN."""
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
        "diverged": (~np.isfinite(places).all((1, 3))).sum(1),
    }


def theory(case: Case) -> Theory:
    """V, V', D and the diagonal of X at weights `[4]`, as `diffusion.slow_diffusion` names them."""

    def slow(weights: jax.Array) -> diffusion.SlowDiffusion:
        return diffusion.slow_diffusion(
            weights, faces.FACES, OBJECTIVES[case.objective],
            shared_latent=case.shared_latent, discriminator_first=case.discriminator_first,
        )  # fmt: skip

    @jax.jit
    def at(weights: jax.Array) -> tuple[jax.Array, ...]:
        here, turn = slow(weights), jax.jacfwd(lambda weights: slow(weights).drift)(weights)
        return here.drift, turn, here.diffusion, jnp.diag(here.fast_covariance)

    return lambda weights: tuple(map(np.asarray, at(weights)))


def predicted(at: Theory, settings: Settings) -> dict[str, np.ndarray]:
    """What `measured` gives, and the drift at the start; NaN at times to which the theory is not solved.

    dw/dτ = V(w) and dQ/dτ = 2 D(w) + V' Q + Q V'ᵀ in the time τ = η² n of n steps, with Q = P / η for the covariance P
    of w. So all rates are on one solution.
    """

    def motion(_: float, state: np.ndarray) -> np.ndarray:
        drift, turn, spreading = at(state[:4])[:3]
        turned = turn @ state[4:].reshape(4, 4)
        return np.append(drift, 2 * spreading + turned + turned.T)

    def slope(_: float, state: np.ndarray) -> Any:
        """Of `motion`, but for how dQ/dτ depends on w: that does not matter for which steps are stable."""
        turn, one = at(state[:4])[1], np.eye(4)
        return block_diag(turn, np.kron(turn, one) + np.kron(one, turn))

    rates = np.array(settings.learning_rates)[:, None]
    times = rates**2 * np.linspace(0, settings.steps, 1 + RECORDS)
    states = solved(motion, slope, np.append(START_WEIGHTS, np.zeros(16)), times)  # [rates, 1 + RECORDS, 20]
    mean, variances = states[..., :4], states[..., 4::5]
    fluctuations = [[at(weights)[3] for weights in records] for records in mean[:, 1 + RECORDS // 2 :]]
    return {
        "mean": mean,
        "deviation": np.sqrt(rates[..., None] * np.maximum(variances, 0)),
        "fluctuation": rates * np.mean(fluctuations, axis=1),
        "velocity": np.tile(at(np.array(START_WEIGHTS))[0], (len(rates), 1)),
    }


def solved(motion: Motion, slope: Motion, start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The states `[..., n]` at all `times` `[...]` of dx/dτ = motion(τ, x), whose Jacobian is `slope`.

    They are NaN after `LONGEST_TIME`, and after the time at which the solver gives up. The solver chooses its steps by
    the error, and it is implicit where an explicit step would have to be small to be stable.
    """
    known, places = np.unique(times, return_inverse=True)
    end, states = min(float(known[-1]), LONGEST_TIME), np.full((len(known), len(start)), np.nan)
    found = solve_ivp(
        motion, (0, end), start, "LSODA", known[known <= end], jac=slope, rtol=RELATIVE_ERROR, atol=ABSOLUTE_ERROR
    )
    states[: len(found.t)] = found.y.T
    return states[places.reshape(times.shape)]


def outlook(at: Theory) -> Data:
    """When the mean |w| has halved at the article's rate, whatever the rates and the steps of the runs are."""
    epochs = np.append(0, np.geomspace(1e-6, 1, 1000)) * FOLLOWED_EPOCHS
    motion, slope = (lambda _, weights, i=i: at(weights)[i] for i in (0, 1))
    weights = solved(motion, slope, np.array(START_WEIGHTS), epochs * TIME_OF_EPOCH)
    reached = np.isfinite(weights).all(1)
    epochs, sizes = epochs[reached], (weights[reached] * np.sign(START_WEIGHTS)).mean(1)
    return {HALVING: time_to_half(epochs, sizes), AHEAD: epochs[-1], GROWS: bool(sizes[-1] > sizes[0])}


def summary(found: dict[str, np.ndarray], settings: Settings) -> Data:
    """For each rate what moved."""
    signs = np.sign(START_WEIGHTS)
    return {
        repr(float(rate)): {
            "mean |w| moves by": ((found["mean"][i, -1] - START_WEIGHTS) * signs).mean(),
            "predicted": ((found["predicted_mean"][i, -1] - START_WEIGHTS) * signs).mean(),
            "deviation": found["deviation"][i, -1].mean(),
            "predicted deviation": found["predicted_deviation"][i, -1].mean(),
            "runs that diverged": found["diverged"][i],
            "variance of u over predicted": (found["fluctuation"] / found["predicted_fluctuation"])[i].mean(),
        }
        for i, rate in enumerate(settings.learning_rates)
    }


def time_to_half(times: np.ndarray, sizes: np.ndarray) -> float:
    """When `sizes` are first half of the first, linearly between `times`; infinite if they are not."""
    below = np.flatnonzero(sizes <= sizes[0] / 2)
    return float(np.interp(sizes[0] / 2, sizes[below[0] :: -1], times[below[0] :: -1])) if below.size else math.inf


def answer(data: Data) -> str:
    """The first two cases, which differ in the latent that G has, and which runs diverged."""
    found = []
    for name, row in list(data["summary"].items())[:2]:
        halving, ahead = row[HALVING] / 1e6, f"within {row[AHEAD] / 1e6:.4g}"
        if row[GROWS]:
            what = f"makes |w| grow {ahead}"
        else:
            what = f"halves |w| in {halving:.0f}" if np.isfinite(halving) else f"does not halve |w| {ahead}"
        found.append(f"{what} million epochs ({name})")
    settings = data["settings"]
    lost = [
        f"{count} of {counted(settings['replicas'], 'run')} at the rate {rate:g} ({name})"
        for name, case in data["noise"].items()
        for rate, count in zip(settings["learning_rates"], case["diverged"], strict=True)
        if count
    ]
    note = f"\nDiverged: {'; '.join(lost)}." if lost else ""
    return f"At the rate 0.01, theory says, noise\n{', and '.join(found)}.{note}"


EXPERIMENT = Experiment(
    "latent_noise",
    Settings,
    compute,
    answer,
    {"latent_noise.png": Figure(figures.noise, 11.5, 5.3)},
    devices=None,
    time="about 3 minutes",
    quick=Quick({"replicas": 64, "steps": 50_000, "learning_rates": (0.1, 0.3)}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
