"""Qin et al. 2020, "Training generative adversarial networks by solving ordinary differential equations" (2010.15040).

Settings: their published notebook odegan_mog16. Sixteen modes on a grid, 32 of each in a minibatch of 512; perceptrons
of two hidden layers of 25 ReLU that start as Haiku's; 32 normal latents; the non-saturating loss with the labels
exchanged, which is the same game with D's sign reversed; steps of length 0.1, 30,000 of them; D also descends
0.07 ‖∇_G L_G‖² by an Euler step.

Code is not paper: the paper integrates the joint field, the code freezes the opponent through the stages of a step.
The second slope of Heun's step is taken after a whole step in the paper, and after half a step in the code, which makes
its method one of first order.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optax
from _claims import Data, Seeds, Steps, ToySettings, Way, covering, played, toy_experiment
from _toys import Toy, perceptron

from slantgan_jax import Players, datasets, distributions, fields, rules

CLAIM = "With a penalty on the slope of G, steps of Runge-Kutta cover all sixteen modes, and better than Euler's."
STEP, STRENGTH = 0.1, 0.07
TOY = Toy(
    datasets.DATASETS["grid16-balduzzi"](),
    perceptron((32, 25, 25, 2), init="Haiku"),
    perceptron((2, 25, 25, 1), init="Haiku"),
    distributions.normal((32,)),
    batch=512,
)
SOLVERS = {
    "Euler": fields.gradients,
    "Heun, as coded": fields.heun(STEP / 2, frozen=True),  # the optimizer makes a whole step along the mean slope
    "Heun, as written": fields.heun(STEP),
    "RK4, as coded": fields.rk4(STEP, frozen=True),
    "RK4, as written": fields.rk4(STEP),
}


@dataclass(frozen=True)
class Settings(ToySettings):
    """Do steps of Runge-Kutta cover the grid of sixteen modes, with opponents that are frozen and that move?"""

    seeds: Seeds = 16
    steps: Steps = 30_000


def ways() -> dict[str, Way]:
    fields_of = {
        name: fields.opponent_penalty(Players(0, STRENGTH), inner=solver) for name, solver in SOLVERS.items()
    } | {"RK4, as written, no penalty": SOLVERS["RK4, as written"]}
    return {name: Way(TOY, TOY.game(), rules.simultaneous(optax.sgd(STEP), field)) for name, field in fields_of.items()}


def compute(settings: Settings, out: Path) -> Data:
    return played(ways(), settings, out)


EXPERIMENT = toy_experiment(
    "qin_2020",
    Settings,
    compute,
    partial(covering, better=[name for name in SOLVERS if name != "Euler"]),
    CLAIM,
    "about 1 hour",
    "4 minutes",
)

if __name__ == "__main__":
    EXPERIMENT.main()
