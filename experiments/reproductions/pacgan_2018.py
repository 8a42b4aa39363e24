"""Two tables on one baseline: PacGAN (Lin et al. 2018, 1712.04086), table 1, and VEEGAN (Srivastava et al. 2017,
1705.07761), table 1. On the ring of eight modes the plain GAN has 6.3 modes in one and 1 mode in the other.

Settings of PacGAN's code: 100,000 fixed points; G of four hidden layers of 400 ReLU with batch normalization, D of
three maxout layers of 200; 2 normal latents; weights N(0, 0.02²); Adam 1e-4 with β₁ = 0.8; minibatches of 100; 400,000
steps.

This is a smaller version, for two cores: two hidden layers of 64 ReLU in both networks, Adam 1e-3, 10,000 steps, in
which D moves before G; in their code both move at once. The suspects are changed one at a time: the length of training,
the normalization, the starting weights, the capacity, and whether the data are a fixed sample.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optax
from _claims import Data, Seeds, Steps, ToySettings, Way, played, toy_experiment
from _toys import Toy, perceptron

from slantgan_jax import datasets, distributions, rules

CLAIM = "On the ring of eight modes a plain GAN captures one mode (VEEGAN), or six (PacGAN)."
RULE = rules.alternating(optax.adam(1e-3, b1=0.8))


@dataclass(frozen=True)
class Settings(ToySettings):
    """Which of their settings turns one captured mode into six?"""

    seeds: Seeds = 32
    steps: Steps = 10_000


def toy(
    data: str = "ring-veegan", batch_norm: bool = True, init: str = "normal, deviation 0.02", width: int = 64
) -> Toy:
    return Toy(
        datasets.DATASETS[data]() if data in datasets.DATASETS else datasets.ring(8, 1.0, 0.01),
        perceptron((2, width, width, 2), init=init, batch_norm=batch_norm),
        perceptron((2, width, width, 1), init=init),
        distributions.normal((2,)),
        batch=100,
    )


def ways() -> dict[str, Way]:
    tried = {
        "as PacGAN": toy(),
        "Xavier start": toy(init="Xavier uniform"),
        "no normalization": toy(batch_norm=False),
        "no normalization, Xavier start": toy(batch_norm=False, init="Xavier uniform"),
        "a quarter of the width": toy(width=16),
        "twice the width": toy(width=128),
        "fresh points": toy(data="fresh"),
    }
    return {name: Way(one, one.game(), RULE) for name, one in tried.items()}


def compute(settings: Settings, out: Path) -> Data:
    return played(ways(), settings, out)


def answer(data: Data) -> str:
    medians = {name: way["summary"]["modes"][1] for name, way in data["ways"].items()}
    modes = np.median(data["ways"]["as PacGAN"]["runs"]["modes"], axis=0)
    early = len(modes) // 10
    return (
        f"Modes captured at the median seed: {'; '.join(f'{name} {count:g}' for name, count in medians.items())}.\n"
        f"Length, as PacGAN: {modes[0]:g} after the first {data['record'][0]} steps, {modes[early]:g} after "
        f"{data['record'][early]}."
    )


EXPERIMENT = toy_experiment("pacgan_2018", Settings, compute, answer, CLAIM, "about 9 minutes", "4 minutes")

if __name__ == "__main__":
    EXPERIMENT.main()
