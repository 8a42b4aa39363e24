"""Gidel et al. 2019, "A variational inequality perspective on generative adversarial networks" (arXiv:1802.10551).

Figure 1, as the notebook bilinear_wgan of their code draws it: min over θ, max over φ of θ φ, from (2, 0.5), 100 steps.
After every step φ is clipped to [-1, 1]. Rates: simultaneous and alternating descent 0.1, Adam 0.01 with β (0, 0.99),
averaging 2/√t, past extragradient 0.5, extragradient 0.6. The first field of past extragradient is that of the start.

Code and paper differ, and both are run:

    alternating       φ moves first in the code, θ in the paper (eq. 11)
    Adam              the code does not correct the second moment
    averaging         all points weigh the same in the code; in algorithm 1 of the paper their weights are the rates
    extragradient     the code does not project the point ahead, as eq. 14 does; that of past extragradient it does

The notebook has momentum, too, but draws none of it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _curves import Data, Experiment, Figure, Way, check_whole, path, verdict
from figures import curves as figures

from slantgan_jax import Players, State, fields, games, numerics, penalties, rules

CLAIM = "Only averaging, extrapolation and extrapolation from the past converge quickly to the solution."
ADVOCATED = "averaging", "past extragradient", "extragradient"
START = Players(2.0, 0.5)
BOUND = 1.0
CONVERGED_SHARE = 0.1  # of the distance at the start
GAME = games.bilinear()


@dataclass(frozen=True)
class Settings:
    """Do only averaging and extrapolation converge on the bilinear game with a clipped discriminator?"""

    steps: Annotated[int, partial(check_whole, least=20)] = 100
    """Of each method."""


def clipping(optimizer: optax.GradientTransformation) -> Players:
    """The optimizer for both players, whose steps end in [-1, 1] for D."""
    return Players(optimizer, penalties.clipped(optimizer, BOUND))


def clip(players: Players) -> Players:
    return players._replace(discriminator=jnp.clip(players.discriminator, -BOUND, BOUND))


def falling(count: Any) -> jax.Array:
    """The rate of averaging, 2/√t with t counted from 1."""
    return 2 / jnp.sqrt(numerics.as_float(count + 1))


def averaging(mean: optax.GradientTransformation) -> Way:
    """Descent with falling rates, whose start is part of the average."""

    def begin(state: State) -> State:
        _, moments = mean.update(state.players, mean.init(state.players))
        return state._replace(extra=(state.extra[0], moments, state.players))

    return Way(rules.averaged(rules.simultaneous(clipping(optax.sgd(falling))), mean), begin)


def ways() -> dict[str, dict[str, Way]]:
    """By "code" and "paper", and by method."""
    slow, past, far = clipping(optax.sgd(0.1)), clipping(optax.sgd(0.5)), clipping(optax.sgd(0.6))
    slope = fields.gradients(partial(games.total_losses, GAME, sample=()))
    code = {
        "simultaneous": Way(rules.simultaneous(slow)),
        "alternating": Way(rules.alternating(slow)),
        "Adam": Way(rules.simultaneous(clipping(optax.rmsprop(0.01, 0.99, eps_in_sqrt=False)))),
        "averaging": averaging(rules.running_mean()),
        "past extragradient": Way(
            rules.past_extragradient(past, 0.5, project=clip),
            lambda state: state._replace(extra=slope(state.players)),
        ),
        "extragradient": Way(rules.simultaneous(far, fields.extragradient(0.6))),
    }
    paper = {
        "alternating": Way(rules.alternating(slow, order=("generator", "discriminator"))),
        "Adam": Way(rules.simultaneous(clipping(optax.adam(0.01, 0.0, 0.99)))),
        "averaging": averaging(rules.running_mean(falling)),
        "extragradient": Way(rules.simultaneous(far, fields.extragradient(0.6, project=clip))),
    }
    return {"code": code, "paper": paper}


def compute(settings: Settings, out: Path) -> Data:
    paths = {
        source: {name: np.stack(path(GAME, way, settings.steps, START), -1) for name, way in own.items()}
        for source, own in ways().items()
    }
    distances = {source: {name: np.hypot(*points.T) for name, points in own.items()} for source, own in paths.items()}
    return {"claim": CLAIM, "paths": paths, "distances": distances, "bound": BOUND}


def answer(data: Data) -> str:
    code = data["distances"]["code"]
    paper = code | data["distances"]["paper"]
    holds = [
        (curve[-1] < CONVERGED_SHARE * curve[0]) == (name in ADVOCATED)
        for curves in (code, paper)
        for name, curve in curves.items()
    ]
    left = ", ".join(f"{code[name][-1]:.2g} with {name}" for name in ADVOCATED)
    others = [curve[-1] for name, curve in code.items() if name not in ADVOCATED]
    both = ", ".join(f"{name} {code[name][-1]:.2g} and {paper[name][-1]:.2g}" for name in data["distances"]["paper"])
    return (
        f"{verdict(holds)}: the distance from the equilibrium falls from {code['Adam'][0]:.2f} in "
        f"{data['settings']['steps']} steps to {left}; with the others to {min(others):.2f} to {max(others):.2f}.\n"
        f"Where code and paper differ, it falls to: {both}."
    )


def report(data: Data) -> None:
    print(f"Claim: {CLAIM}")
    for source, own in data["distances"].items():
        for name, curve in own.items():
            tenth = curve[len(curve) // 10]
            print(f"  {source:5} {name:18} {tenth:.3g} after a tenth of the steps, {curve[-1]:.3g} at last")


EXPERIMENT = Experiment(
    "reproductions/gidel_2019",
    Settings,
    compute,
    answer,
    {"curves.png": Figure(figures.gidel, 12, 5.6)},
    report,
    time="10 seconds",
)

if __name__ == "__main__":
    EXPERIMENT.main()
