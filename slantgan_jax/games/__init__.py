"""Games: how the players start, what a step draws, and what each player minimizes.

A rule and a run know a game only through the fields of `Game`. Four functions make a game of a game, and they compose
in this order:

    on_sample(minibatch(expected(penalized(game, r1(0.1)), over="latent"), 5), sample)

See docs/bring_your_own.md.
"""

from slantgan_jax.games._builders import bilinear, dirac, gan, quadratic, slanted_land, two_player
from slantgan_jax.games._game import Game, Sample, SampleLosses, check_game, total_losses
from slantgan_jax.games._of_games import expected, expected_losses, minibatch, on_sample, penalized, quadrature_error

__all__ = [
    "Game",
    "Sample",
    "SampleLosses",
    "bilinear",
    "check_game",
    "dirac",
    "expected",
    "expected_losses",
    "gan",
    "minibatch",
    "on_sample",
    "penalized",
    "quadratic",
    "quadrature_error",
    "slanted_land",
    "total_losses",
    "two_player",
]
