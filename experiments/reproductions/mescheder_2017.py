"""Mescheder, Nowozin & Geiger 2017, "The numerics of GANs" (arXiv:1705.10461), section 5: the ring of eight modes.

Settings: the notebook mog-eigval-dist of their published code. Perceptrons of four hidden layers of 16 ReLU, Xavier
uniform; 16 normal latents; 64 points of each mode in a minibatch of 512; one RMSProp over both players, 1e-4.

At the end of some runs of each kind, the leading eigenvalues of both fields show what consensus does to the flow.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
from _claims import Data, Figure, ToySettings, Way, covering, median, played, toy_experiment
from _toys import DESCENTS, TOY_METHODS, Toy, perceptron
from figures import reproductions as figures

from slantgan_jax import datasets, distributions, fields, games, rules
from slantgan_jax.analysis import matrix_free

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
FIELDS = {"gradients": fields.gradients, "consensus": fields.consensus(10.0)}
SPECTRUM_POINTS, EIGENVALUES = 4096, 20
"""Points of the minibatch on which the fields are linearized, and eigenvalues of each."""


@dataclass(frozen=True)
class Settings(ToySettings):
    """Does consensus optimization cover the ring where simultaneous descent does not?"""


def ways() -> dict[str, Way]:
    return {
        name: Way(TOY, TOY.game(), TOY_METHODS[method].rule(rules.simultaneous, 1e-4, strength, DESCENTS["rmsprop"]))
        for name, (method, strength) in METHODS.items()
    }


def compute(settings: Settings, out: Path) -> Data:
    data = played(ways(), settings, out)
    for name, way in ways().items():
        found = [spectra(way, numbers) for numbers in data["ways"][name]["players"]]
        data["ways"][name]["spectra"] = {field: np.stack([one[field] for one in found]) for field in FIELDS}
    return data


def spectra(way: Way, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """The eigenvalues of -J of both fields that are largest in modulus, `[EIGENVALUES, 2]`, at the end of a run."""
    game = TOY._replace(batch=SPECTRUM_POINTS).game()
    end = way.toy.players_of(numbers)
    with jax.enable_x64(True):
        total = partial(games.total_losses, games.on_sample(game, game.sample(jax.random.key(0), 0)), sample=())
        found = {name: matrix_free.flow_eigenvalues(of(total), end, EIGENVALUES, "LM") for name, of in FIELDS.items()}
    return {name: np.stack([np.real(one.eigenvalues), np.imag(one.eigenvalues)], -1) for name, one in found.items()}


def answer(data: Data) -> str:
    largest = [
        f"{median(numbers[..., 0].max(axis=1), way):.2g} for {field} after training with {name}"
        for name, way in data["ways"].items()
        for field, numbers in way["spectra"].items()
    ]
    verdict = covering(data, better=("consensus",))
    return f"{verdict}\nLargest real part of the leading eigenvalues, median of some runs: {'; '.join(largest)}."


EXPERIMENT = toy_experiment(
    "mescheder_2017",
    Settings,
    compute,
    answer,
    CLAIM,
    "some hours",
    "some minutes",
    {"spectra.png": Figure(figures.spectra, size=figures.size)},
)

if __name__ == "__main__":
    EXPERIMENT.main()
