"""Thanh-Tung, Tran & Venkatesh 2019, "Improving generalization and stability of GANs" (1902.03984): 0-GP and 1-GP.

Settings: a ring of radius √2; perceptrons of two hidden layers of 64 ReLU, Xavier uniform; 2 normal latents; the
non-saturating loss; gradient descent with 3e-3; minibatches of 128; a penalty of strength 10 between real and generated
points; 20,000 steps. With `--published` the networks, their start, the ring and the latents are those of the published
code, by its defaults: three hidden layers, PyTorch's start, a radius of 10 / 1.414, and latents of G's own.

Code is not paper: in the code the penalty is on the gradient of D's probability, in the paper on that of D. Here both
the probability and the logit are tried.

By default this runs with 16 seeds. A run has settled if, in the second half of its records, less than 1 % of the points
go to another mode from one record to the next. So one that no longer moves has settled, wherever its points are.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
from _claims import Data, Seeds, Steps, ToySettings, Way, compared, median, played, toy_experiment
from _toys import Toy, perceptron, share

from slantgan_jax import datasets, distributions, games, penalties, rules
from slantgan_jax.penalties import Penalty

CLAIM = "With the penalty to norm 1 training does not converge; with the penalty to norm 0 it does."
STRENGTH, SETTLED = 10.0, 0.01
TOY = Toy(
    datasets.DATASETS["ring-gulrajani"](),
    perceptron((2, 64, 64, 2)),
    perceptron((2, 64, 64, 1)),
    distributions.normal((2,)),
    batch=128,
)
PUBLISHED = TOY._replace(
    data=datasets.ring(8, 10 / 1.414, 0.02 / 1.414),
    generator=perceptron((2, 64, 64, 64, 2), init="PyTorch"),
    discriminator=perceptron((2, 64, 64, 64, 1), init="PyTorch"),
)


@dataclass(frozen=True)
class Settings(ToySettings):
    """Does training converge with a gradient penalty to norm 0, and not with one to norm 1?"""

    seeds: Seeds = 16
    steps: Steps = 20_000
    published: bool = False
    """Take the networks, their start, the ring and the latents of the published code."""

    @property
    def part(self) -> str:
        return "published-" if self.published else ""


def on_probability(penalty: Penalty) -> Penalty:
    """The penalty of σ(ℓ) in the place of ℓ."""
    return Penalty(
        lambda logit, inputs: penalty(lambda image: jax.nn.sigmoid(logit(image)), inputs), draws=penalty.draws
    )


def ways(published: bool = False) -> dict[str, Way]:
    toy = PUBLISHED if published else TOY
    whole = games.gan(toy.init, toy.generator.apply, toy.logit, toy.data, toy.latent, toy.objective)
    rule = rules.alternating(optax.sgd(3e-3), fresh=published)
    added = {"0-GP": penalties.zero_centered(STRENGTH), "1-GP": penalties.wgan_gp(STRENGTH)}
    tried = {"none": ()} | {f"{name} of ℓ": (one,) for name, one in added.items()}
    tried |= {f"{name} of σ(ℓ)": (on_probability(one),) for name, one in added.items()}
    return {
        name: Way(toy, games.minibatch(games.penalized(whole, *those), toy.batch), rule)
        for name, those in tried.items()
    }


def compute(settings: Settings, out: Path) -> Data:
    return played(ways(settings.published), settings, out)


def answer(data: Data) -> str:
    """Whether the ways with the penalty to norm 0 settle, and those with the penalty to norm 1 do not.

    A run that diverged does not settle: its points, which are no numbers, are counted at no mode, and so do not move.
    """
    moved = {name: movement(way["runs"]["histogram"]) for name, way in data["ways"].items()}
    settled = {name: (moved[name] < SETTLED) & way["finite"] for name, way in data["ways"].items()}
    shares = {name: share(hits) for name, hits in settled.items() if name != "none"}
    verdict = compared(shares, [name for name in shares if name.startswith("0-GP")], data, "settle")
    return f"{verdict}\nOf points that change their mode between records, median seed: " + ", ".join(
        f"{name} {median(one, data['ways'][name]):.1%}" for name, one in moved.items()
    )


def movement(histogram: np.ndarray) -> np.ndarray:
    """½ Σ |h_t - h_{t-1}|, the mean over the second half of the records, for each run, of `[runs, records, modes]`."""
    late = histogram[:, histogram.shape[1] // 2 :]
    return np.abs(np.diff(late, axis=1)).sum(-1).mean(1) / 2


EXPERIMENT = toy_experiment("thanh_tung_2019", Settings, compute, answer, CLAIM, "about 6 minutes", "2 minutes")

if __name__ == "__main__":
    EXPERIMENT.main()
