"""Metz et al. 2017, "Unrolled generative adversarial networks" (1611.02163), and Nagarajan & Kolter 2017 (1706.04156).

Settings: the published code of the latter, gaussian-toy.py and unrolled.py, which has those of Metz' paper. A ring of
radius 2; G of two, D of one hidden layer of 128 ReLU, orthogonal with gain 0.8; D reads x / 4; 256 normal latents; the
saddle loss; Adam 1e-4 with β₁ = 0.5; D, then G, on minibatches of 512 of their own; 100,000 steps. Unrolling goes
through Adam; the penalty of G is 0.5 ‖∇_D V‖².

Code is not paper: the notebook of Metz' authors has a ring of seven modes, tanh, a rate of 1e-3 for G and 25,000 steps.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optax
from _claims import Data, Seeds, Steps, ToySettings, Way, covering, played, toy_experiment
from _toys import Toy, perceptron

from slantgan_jax import Players, datasets, distributions, fields, losses, rules

CLAIM = "Plain training collapses to few modes; unrolling D, or a penalty on its slope for G, covers all eight."
TOY = Toy(
    datasets.DATASETS["ring-metz-paper"](),
    perceptron((256, 128, 128, 2), init="orthogonal, gain 0.8"),
    perceptron((2, 128, 1), init="orthogonal, gain 0.8"),
    distributions.normal((256,)),
    batch=512,
    objective=losses.saturating,
    reading=lambda image: image / 4,
)
ADAM = optax.adam(1e-4, b1=0.5)


@dataclass(frozen=True)
class Settings(ToySettings):
    """Do unrolling and the penalty of Nagarajan & Kolter cover the ring where plain training collapses?"""

    seeds: Seeds = 2
    steps: Steps = 100_000


def ways() -> dict[str, Way]:
    played_by = {
        "plain": rules.alternating(ADAM, fresh=True),
        "penalty": rules.alternating(ADAM, fields.opponent_penalty(Players(0.5, 0)), fresh=True),
        "unrolled 5": rules.unrolled(ADAM, 5, fresh=True),
        "unrolled 10": rules.unrolled(ADAM, 10, fresh=True),
    }
    return {name: Way(TOY, TOY.game(), rule) for name, rule in played_by.items()}


def compute(settings: Settings, out: Path) -> Data:
    return played(ways(), settings, out)


EXPERIMENT = toy_experiment(
    "metz_2017",
    Settings,
    compute,
    partial(covering, better=("unrolled 5", "unrolled 10", "penalty")),
    CLAIM,
    "many hours",
    "9 minutes",
)

if __name__ == "__main__":
    EXPERIMENT.main()
