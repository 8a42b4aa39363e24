"""What a game is: how the players start, what a step draws, and what each player minimizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from slantgan_jax.checks import check_function, check_kind, check_players, check_scalar, shown
from slantgan_jax.distributions import Distribution
from slantgan_jax.numerics import native
from slantgan_jax.penalties import PenaltyInputs
from slantgan_jax.types import Image, PRNGKey


class Game(NamedTuple):
    """A game, as pure functions and distributions.

    Attributes:
      init: `key -> players`, the starting parameters.
      draws: what a step draws, a NamedTuple of `Distribution`s, or () if it draws nothing. A sample is the same
        NamedTuple with the draws in the places of the distributions, and None where there is no distribution.
      losses: for each player the tuple of losses whose sum it minimizes. `rules.tutorial` steps once for each of D's.
      discriminate: `(players, sample) -> (logit, inputs)`, for penalties: D's logit as a function of one image, and the
        `PenaltyInputs` of a step. None if the players judge no images.
    """

    init: Callable[[PRNGKey], Any]
    draws: Any
    losses: Any
    discriminate: Callable[[Any, Any], tuple[Callable[[Image], jax.Array], PenaltyInputs]] | None = None

    def sample(self, key: PRNGKey, step: ArrayLike) -> Any:
        """What step number `step` sees. Draw number i has the stream i; only draws with a distribution are made."""
        values = [draw and draw.sample(key, step, stream) for stream, draw in enumerate(self.draws)]
        return self.draws._make(values) if values else ()

    def named_draws(self) -> dict[str, Distribution]:
        """The distributions that a step draws from, by their names."""
        names = self.draws._fields if self.draws else ()
        return {name: draw for name, draw in zip(names, self.draws, strict=True) if draw is not None}


class Sample(NamedTuple):
    """What one step of a GAN sees, and in `Game.draws` the distributions of it. What a game does not use is None.

    Attributes:
      latent: z of the generated image.
      generator_latent: another z, for G's own loss, in games with independent latents.
      epsilon: ε ~ U(0, 1), for penalties between a real and a generated image.
      real: a real image.
      real_noise, fake_noise: standard-normal images, the instance noise of the real and of the generated image.
      penalty_noise: a standard-normal image, for penalties near a real image.
    """

    latent: Any = None
    generator_latent: Any = None
    epsilon: Any = None
    real: Any = None
    real_noise: Any = None
    fake_noise: Any = None
    penalty_noise: Any = None


def check_game(game: Any) -> None:
    """Raises `ValueError` unless `game` is a `Game` whose fields are what its docstring says."""
    check_kind("game", game, Game)
    check_function("game.init", game.init, "key")
    named = game.draws == () or (isinstance(game.draws, tuple) and hasattr(game.draws, "_fields"))
    if not named or not all(isinstance(draw, Distribution | None) for draw in game.draws):
        raise ValueError(f"game.draws is {shown(game.draws)}: give a NamedTuple of Distributions, or ()")
    if not all(isinstance(own, tuple) and all(map(callable, own)) for own in check_players(game.losses)):
        raise ValueError(f"game.losses is {shown(game.losses)}: give Players of tuples of functions")


@dataclass(frozen=True)
class SampleLosses:
    """The losses of `game` on one `sample`, as a function of the players.

    `losses(players)` are all of them: `Players` of scalars. `losses.of(i, players)` is the loss of player number i
    alone: a program that needs no other is traced in a fraction of the time.

    Raises:
      ValueError: `game` is none, or `sample` is not of the kind that it draws.
    """

    game: Game
    sample: Any

    def __post_init__(self) -> None:
        check_kind("game", self.game, Game)
        if self.game.draws:
            check_kind("sample", self.sample, type(self.game.draws))

    def __call__(self, players: Any) -> Any:
        """The loss of each player: the sum of its `Game.losses`."""
        check_players(players, len(self.game.losses))
        return type(self.game.losses)(*(self.of(number, players) for number in range(len(players))))

    def of(self, number: int, players: Any) -> Any:
        """The loss of player number `number`, a scalar."""
        players = jax.tree.map(native, check_players(players, len(self.game.losses)))
        total = sum(check_scalar("a loss", loss(players, self.sample)) for loss in self.game.losses[number])
        if not jnp.issubdtype(jnp.result_type(total), jnp.floating):
            raise ValueError(f"the loss of player number {number} is {shown(total)}: give a loss that returns a float")
        return total


def total_losses(game: Game, players: Any, sample: Any) -> Any:
    """The loss of each player on one sample, `Players` of scalars: the sum of its `Game.losses`."""
    return SampleLosses(game, sample)(players)
