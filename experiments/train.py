"""One cell of a sweep, trained alone.

It is written as a run.json, the format that `analyze.py` reads.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from _experiment import Experiment
from _options import check_positive, check_whole
from _results import Data, counted

from slantgan_jax import sweep
from slantgan_jax.runs import DIMS, MAX_EPOCHS, SCALARS, one_rate
from slantgan_jax.training import DIVERGENCE_BOUND


@dataclass(frozen=True)
class Settings:
    """Train the tutorial GAN once and write run.json: bit for bit what experiments/sweep.py has in that cell."""

    seed: Annotated[int, partial(check_whole, least=0, most=2**32 - 1)] = 0
    """S of the run's key, jax.random.key(S)."""
    learning_rate: Annotated[float, check_positive] = 0.01
    """The learning rate of both players' gradient descent."""
    epochs: Annotated[int, partial(check_whole, least=1, most=MAX_EPOCHS)] = 1000
    """Passes over the five faces."""


def compute(settings: Settings, out: Path) -> Data:
    axes = {"seed": [settings.seed], "learning_rate": [settings.learning_rate]}
    cell = sweep(partial(one_rate, epochs=settings.epochs), axes, dims=DIMS).squeeze()
    return {
        "generator": {"weights": cell.generator_weights.values, "biases": cell.generator_biases.values},
        "discriminator": {"weights": cell.discriminator_weights.values, "bias": cell.discriminator_bias.values},
        **{name: cell[name].values for name in SCALARS},
    }


def run_json(data: Data) -> Data:
    """The run as `analyze.py` reads it."""
    precision = str(np.asarray(data["generator"]["weights"]).dtype)
    return data | {"settings": data["settings"] | {"command": data["command"], "source": "jax", "precision": precision}}


def answer(data: Data) -> str:
    after = f"After {counted(data['settings']['epochs'], 'epoch')}"
    if not data["finite"]:
        return f"{after} the run has diverged: a parameter is infinite, NaN or larger than {DIVERGENCE_BOUND:g}."
    return f"{after} the mean generated image is {float(data['mean_gap']):.3g} from the mean face."


EXPERIMENT = Experiment(
    "train", Settings, compute, answer, exports={"run.json": run_json}, x64=False, stale=("analysis.json",)
)

if __name__ == "__main__":
    EXPERIMENT.main()
