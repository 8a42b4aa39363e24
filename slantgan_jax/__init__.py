"""The smallest GAN there is, as pure functions in JAX: faces → networks → losses → games → fields → rules → train."""

from slantgan_jax import faces, fields, games, gans, losses, networks, penalties, rules, streams
from slantgan_jax.games import Game
from slantgan_jax.gans import slanted_land
from slantgan_jax.losses import Objective
from slantgan_jax.networks import Discriminator, Generator, Players, generate, logit
from slantgan_jax.rules import Rule
from slantgan_jax.sweeps import sweep
from slantgan_jax.train import Run, train

__all__ = [
    "Discriminator",
    "Game",
    "Generator",
    "Objective",
    "Players",
    "Rule",
    "Run",
    "faces",
    "fields",
    "games",
    "gans",
    "generate",
    "logit",
    "losses",
    "networks",
    "penalties",
    "rules",
    "slanted_land",
    "streams",
    "sweep",
    "train",
]
__version__ = "0.1.0"
