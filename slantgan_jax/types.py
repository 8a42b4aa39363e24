"""The types that every module shares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.typing import ArrayLike

PRNGKey = jax.Array
"""One typed key, made by `jax.random.key(seed)`."""

Image = Any
"""An image as a pytree of pixels: a tuple of scalars, or one `[pixels]` array. A data set has the same structure, with
one more, leading axis on every leaf."""


class Players(NamedTuple):
    """One thing for each of the two players: parameters, losses, gradients, optimizers, optimizer states.

    A game of more players brings a NamedTuple of its own. Fields, rules and `train` work with any.
    """

    generator: Any
    discriminator: Any


Loss = Callable[[Any, Any], jax.Array]
"""`(players, sample) -> loss`, a scalar that one player minimizes. A sample has the fields of `Game.draws`."""

Rates = ArrayLike | tuple[ArrayLike, ...]
"""One number for all players, or `Players` with one number for each."""
