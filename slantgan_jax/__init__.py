"""The smallest GAN there is, as pure functions in JAX.

Six concepts, in the order in which a reader needs them: `Players`, `Distribution`, `Game`, field (`fields`), `Rule`,
`train`; and `sweep`, which is imported when it is first used, since it needs xarray and zarr.
"""

from typing import TYPE_CHECKING, Any

from slantgan_jax import (
    cpu,
    datasets,
    distributions,
    faces,
    fields,
    games,
    losses,
    metrics,
    networks,
    numerics,
    penalties,
    rules,
)
from slantgan_jax.distributions import Distribution
from slantgan_jax.games import Game, expected, gan, minibatch, penalized, slanted_land
from slantgan_jax.losses import Objective
from slantgan_jax.networks import Discriminator, Generator, Network, generate, logit, mlp
from slantgan_jax.rules import Rule, State
from slantgan_jax.training import StepInfo, TrainResult, train
from slantgan_jax.types import Players

if TYPE_CHECKING:
    from slantgan_jax.sweeps import sweep

__all__ = [
    "Discriminator",
    "Distribution",
    "Game",
    "Generator",
    "Network",
    "Objective",
    "Players",
    "Rule",
    "State",
    "StepInfo",
    "TrainResult",
    "cpu",
    "datasets",
    "distributions",
    "expected",
    "faces",
    "fields",
    "games",
    "gan",
    "generate",
    "logit",
    "losses",
    "metrics",
    "minibatch",
    "mlp",
    "networks",
    "numerics",
    "penalized",
    "penalties",
    "rules",
    "slanted_land",
    "sweep",
    "train",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "sweep":
        from slantgan_jax.sweeps import sweep

        return sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
