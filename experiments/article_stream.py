"""The random numbers of the article's program, replayed: a game and players from NumPy's legacy generator."""

from typing import Any, NamedTuple

import chex
import numpy as np

from slantgan_jax import Discriminator, Game, Generator, Players, distributions, faces, slanted_land


class ArticleStream(NamedTuple):
    """What the article's program draws from NumPy's legacy generator, in its order, as float64 arrays.

    `parameters` `[13]` (u, c, w, b) are standard normal; `latents` `[steps]` and `shown` `[4]` are uniform.
    """

    parameters: np.ndarray
    latents: np.ndarray
    shown: np.ndarray


def article_stream(seed: int, steps: int) -> ArticleStream:
    """The random numbers of the article's program: 13 normals, then a uniform for each step, then four uniforms.

    Raises:
      ValueError: `seed` outside [0, 2³²), which the legacy generator does not take, or `steps` below 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}: give a whole number from 0 to 2**32 - 1, as NumPy's legacy generator takes")
    if steps < 1:
        raise ValueError(f"steps is {steps}: give at least one")
    legacy = np.random.RandomState(seed)
    return ArticleStream(legacy.normal(size=13), legacy.uniform(size=steps), legacy.uniform(size=4))


def article_players(stream: ArticleStream) -> Players:
    """The article's starting parameters, with scalar leaves."""
    u, c, w, b = np.split(stream.parameters, [4, 5, 9])
    return Players(Generator(faces.unstack(w), faces.unstack(b)), Discriminator(faces.unstack(u), c[0]))


def replayed(latents: chex.Array, **options: Any) -> Game:
    """Slanted land with these options, whose step t sees the latent `latents[t]`."""
    return slanted_land(latent=distributions.sequence(latents), **options)
