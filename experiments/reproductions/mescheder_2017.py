"""Mescheder, Nowozin & Geiger 2017, "The numerics of GANs" (arXiv:1705.10461), section 5: the ring of eight modes.

Settings: the notebook mog-eigval-dist of their published code. Perceptrons of four hidden layers of 16 ReLU, Xavier
uniform; 16 normal latents; 64 points of each mode in a minibatch of 512; one RMSProp over both players, 1e-4.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from _claims import TOY_FIGURES, Data, Experiment, ToySettings, Way, covering, played, table
from _toys import DESCENTS, TOY_METHODS, Toy, perceptron

from slantgan_jax import datasets, distributions, rules

CLAIM = (
    "Simultaneous gradient descent collapses or cycles between modes; consensus optimization with γ = 10 covers all "
    "eight."
)
TOY = Toy(
    datasets.DATASETS["ring-mescheder"](),
    perceptron((16, 16, 16, 16, 16, 2)),
    perceptron((2, 16, 16, 16, 16, 1)),
    distributions.normal((16,)),
    batch=512,
)
METHODS = {"simultaneous": ("plain", 0.0), "consensus": ("consensus", 10.0)}


@dataclass(frozen=True)
class Settings(ToySettings):
    """Does consensus optimization cover the ring where simultaneous descent does not?"""


def ways() -> dict[str, Way]:
    return {
        name: Way(TOY, TOY.game(), TOY_METHODS[method].rule(rules.simultaneous, 1e-4, strength, DESCENTS["rmsprop"]))
        for name, (method, strength) in METHODS.items()
    }


def compute(settings: Settings, out: Path) -> Data:
    return played(ways(), settings, out)


EXPERIMENT = Experiment(
    "reproductions/mescheder_2017", Settings, compute, partial(covering, better=("consensus",)), TOY_FIGURES,
    partial(table, CLAIM), x64=False, devices=None, fused=False,
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
