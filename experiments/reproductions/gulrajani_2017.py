"""Gulrajani et al. 2017, "Improved training of Wasserstein GANs" (1704.00028), figure 1: critics of toy data.

Settings: their published gan_toy.py. G and D have three hidden layers of 512 ReLU, He uniform (the published last
layers have Glorot's); 2 normal latents. Or G is fixed: real points plus standard-normal noise. Five moves of D to one
of G; minibatches of 256; either weights are clipped to 0.01 with TensorFlow's RMSProp 5e-5, or there is the gradient
penalty with Adam 1e-4, β = (0.5, 0.9); 100,000 steps.

Code is not paper: λ is 0.1 in the toy code and 10 in the paper. Both are run. Their fixed G adds noise to the same
real points that D sees in the step; here it has points of its own.

By default this runs at a reduced size: networks of 64, 3,000 steps. `--full` has the published size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import optax
from _claims import Data, Figure, Seeds, SizedSettings, Steps, Way, median, played, surfaces, toy_experiment
from _options import check_known
from _toys import DESCENTS, TOY_METHODS, Toy, perceptron, shown
from figures import reproductions as figures
from scipy.interpolate import RegularGridInterpolator

from slantgan_jax import Distribution, Network, Players, datasets, distributions, losses, penalties, rules

CLAIM = "Clipped weights make critics that are too simple; the gradient penalty makes ones that follow the data."
DATA = {"ring": "ring-gulrajani", "grid": "grid25-gulrajani", "roll": "swiss-roll-gulrajani"}
ORDER = ("discriminator",) * 5 + ("generator",)
RMSPROP = DESCENTS["rmsprop"](5e-5)
CLIPPED = Players(RMSPROP, penalties.clipped(RMSPROP, 0.01))
ADAM = optax.adam(1e-4, b1=0.5, b2=0.9)
FULL_WIDTH, REDUCED_WIDTH = 512, 64


@dataclass(frozen=True)
class Settings(SizedSettings):
    """Does the gradient penalty make better critics than clipped weights?"""

    data: Annotated[str, partial(check_known, known=DATA)] = "ring"
    """The data set."""
    seeds: Seeds = 8
    steps: Steps = 3000

    @property
    def part(self) -> str:
        return f"{self.data}-{super().part}"


def toy_of(data: str, width: int, fixed: bool) -> Toy:
    points, hidden = datasets.DATASETS[DATA[data]](), (width,) * 3
    generator, latent = perceptron((2, *hidden, 2), init="He uniform"), distributions.normal((2,))
    if fixed:
        noise = distributions.normal((2,))
        latent = Distribution(lambda *at: points.sample(*at) + noise.sample(jax.random.fold_in(at[0], 1), *at[1:]))
        generator = Network(init=lambda key: (), apply=lambda nothing, point: point)
    return Toy(
        points, generator, perceptron((2, *hidden, 1), init="He uniform"), latent, 256, objective=losses.wasserstein
    )


def ways(settings: Settings) -> dict[str, Way]:
    found = {}
    for fixed in (True, False):
        toy = toy_of(settings.data, FULL_WIDTH if settings.full else REDUCED_WIDTH, fixed)
        name = "fixed G" if fixed else "trained G"
        found[f"{name}, clipped"] = Way(toy, toy.game(), rules.alternating(CLIPPED, order=ORDER))
        for strength in (0.1, 10.0):
            game = toy.game(TOY_METHODS["WGAN-GP"], strength)
            found[f"{name}, λ = {strength:g}"] = Way(toy, game, rules.alternating(ADAM, order=ORDER))
    return found


def compute(settings: Settings, out: Path) -> Data:
    data = played(ways(settings), settings, out)
    return data | surfaces(ways(settings), data)


def answer(data: Data) -> str:
    """How much D's logit stands out at the modes, and what G learns; of the swiss roll, how near G comes."""
    if data["modes"] is None:
        return ". ".join(f"{name}: {shown(way['summary'])}" for name, way in data["ways"].items() if "trained" in name)
    peaks = {
        name: median(np.array([peak(data, one) for one in found]), data["ways"][name])
        for name, found in data["surfaces"].items()
    }
    learned = {
        name: f"{way['summary']['modes'][1]:g} modes, {way['summary']['quality'][1]:.0%} of points within 3 σ"
        for name, way in data["ways"].items()
        if "trained" in name
    }
    return (
        f"D's logit at the modes above that around, in its deviations: {_listed(peaks, '{:.2f}')}.\n"
        f"The median seed of a trained G has: {_listed(learned, '{}')}."
    )


def peak(data: Data, logits: np.ndarray) -> float:
    """How far D's logit at a mode is above that around it, in deviations of the logit, as the mean over the modes.

    Around is a circle whose radius is half of the least distance of two modes. The deviation is that of `logits`
    `[n, n]`, on the square on which they are given.
    """
    modes, axis = data["modes"], data["axis"]
    halfway = min(np.linalg.norm(modes - np.roll(modes, shift, 0), axis=1).min() for shift in range(1, len(modes))) / 2
    angles = 2 * np.pi * np.arange(16) / 16
    around = modes[:, None] + halfway * np.stack([np.cos(angles), np.sin(angles)], -1)
    value = RegularGridInterpolator((axis, axis), logits)  # rows are y
    return float(value(modes[:, ::-1]).mean() - value(around[..., ::-1]).mean()) / float(logits.std())


def _listed(values: Mapping[str, Any], form: str) -> str:
    return "; ".join(f"{name} {form.format(value)}" for name, value in values.items())


EXPERIMENT = toy_experiment(
    "gulrajani_2017",
    Settings,
    compute,
    answer,
    CLAIM,
    "about 10 minutes",
    "9 minutes",
    {"critics.png": Figure(figures.critics, 11, 8.6)},
)

if __name__ == "__main__":
    EXPERIMENT.main()
