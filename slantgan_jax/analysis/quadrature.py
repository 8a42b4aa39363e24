"""Integrals over the latent z ~ U(0, 1) that stay exact when the generator is nearly a step.

The interval [0, 1] is cut into panels where a pixel's score w_i z + b_i passes one of `SCORES`. Each panel has the same
few Gauss-Legendre nodes. See docs/theory/distances.md#quadrature-for-steep-generators.

Here a generator has arrays `[pixels]`, and a data set is an array `[n, pixels]`: see `as_arrays`, `images_as_array`.
"""

import jax
import jax.numpy as jnp
from jax import lax

from slantgan_jax import distributions, faces
from slantgan_jax.checks import shown
from slantgan_jax.games import Game, check_game
from slantgan_jax.networks import Generator, check_generator, generate
from slantgan_jax.numerics import as_float, safe_norm
from slantgan_jax.types import Image

SCORES = (1.0, 2.5, 4.0, 6.0, 8.5, 12.0, 17.0, 25.0, 36.0)
"""Scores, and minus these, at which panels end. Past the last one σ is 0 or 1 to rounding."""

PANEL_NODES = 10
"""Gauss-Legendre nodes in a panel."""

KINK_DISTANCES = tuple(4.0**-level for level in range(1, 10))
"""Distances from a latent, on both sides, at which panels end around a place where the integrand may have a kink."""


def as_arrays(generator: Generator) -> Generator:
    """The same generator with weights and biases as arrays `[pixels]`, in the precision of the trace."""
    check_generator(generator)
    return Generator(*(as_float(faces.stack(leaf), "the generator", "pixels") for leaf in generator))


def images_as_array(generator: Generator, images: Image) -> jax.Array:
    """The data set as one array `[n, pixels]`, in the precision of the trace.

    Raises:
      ValueError: no images, no leading axis, or another number of pixels than `generator` has (one of `as_arrays`).
    """
    check_generator(generator)
    values = as_float(faces.stack(images))
    faces.check_images(values, faces.stack(generator.weights))
    return values


def images_at(generator: Generator, latents: jax.Array) -> jax.Array:
    """The generated images G(z) `[..., pixels]` for latents of any shape `[...]`."""
    generator, latents = as_arrays(generator), as_float(latents, "the latents")
    images = jax.vmap(lambda z: generate(generator, z))(latents.reshape(-1))
    return images.reshape(*latents.shape, -1)


def panel_edges(generator: Generator, *others: jax.Array) -> jax.Array:
    """The ends of the panels, ascending from 0 to 1: `[18 pixels + 2 + number of others]`.

        z = (s - b_i) / w_i   for all pixels i and all s in ±SCORES, clipped to [0, 1]

    and the latents in `others`. They have no derivative.
    """
    weights, biases = as_arrays(generator)
    scores = jnp.array([*SCORES, *(-s for s in SCORES)], weights.dtype)
    steps = (scores[None] - biases[:, None]) / jnp.where(weights == 0, 1, weights)[:, None]
    ends = jnp.array([0, 1], weights.dtype)
    edges = jnp.concatenate([ends, steps.reshape(-1), *(other.reshape(-1) for other in others)])
    return lax.stop_gradient(jnp.sort(jnp.clip(edges, 0, 1)))


def panel_rule(edges: jax.Array, nodes: int = PANEL_NODES) -> tuple[jax.Array, jax.Array]:
    """Latents and weights `[panels, nodes]` between `edges` `[panels + 1]`, with E f(z) = Σ weight f(z)."""
    points, weights = distributions.uniform_quadrature(nodes)
    edges = as_float(edges, "edges", "panels + 1")
    widths = jnp.diff(edges)[:, None]
    return edges[:-1, None] + widths * points[None], widths * weights[None]


def with_panels(game: Game, generator: Generator) -> Game:
    """A game of `games.slanted_land` whose expectations over the latent use the panels of `generator`.

    Its expected losses and field at this generator are exact to rounding for |w| up to 1000, unless D is nearly a step,
    too. See docs/theory/distances.md#quadrature-for-steep-generators.
    """
    check_game(game)
    latent = getattr(game.draws, "latent", None)
    if latent is None or latent.sample != distributions.uniform().sample:
        raise ValueError(
            f"the latent of the game is {shown(latent)}: give a game of slanted_land with a uniform one, before "
            "`expected` and `minibatch`"
        )
    generator = as_arrays(generator)
    edges = panel_edges(generator, jnp.linspace(0, 1, 33, dtype=generator.weights.dtype))
    latents, weights = (leaf.reshape(-1) for leaf in panel_rule(edges))

    draws = {
        name: draw._replace(nodes=lambda: (latents, weights))
        for name in ("latent", "generator_latent")
        if (draw := getattr(game.draws, name)) is not None
    }
    return game._replace(draws=game.draws._replace(**draws))


def nearest_latents(generator: Generator, images: jax.Array) -> jax.Array:
    """The latent `[n]` whose image G(z) is nearest to each of `images` `[n, pixels]`.

    It is accurate to 1e-7 unless the distance is flat there. It starts at the best node of the generator's panels and
    zooms in eight times, each time to the best of 17 points.
    """
    generator = as_arrays(generator)
    images = images_as_array(generator, images)
    latents = panel_rule(panel_edges(generator, jnp.linspace(0, 1, 17, dtype=images.dtype)))[0].reshape(-1)
    best = jnp.argmin(pairwise_distances(images_at(generator, latents), images), axis=0)
    low, high = latents[jnp.maximum(best - 1, 0)], latents[jnp.minimum(best + 1, len(latents) - 1)]
    low, high = jnp.where(best == 0, 0, low), jnp.where(best == len(latents) - 1, 1, high)

    def zoom(_, bracket):
        low, high = bracket
        grid = low[:, None] + (high - low)[:, None] * jnp.linspace(0, 1, 17, dtype=low.dtype)[None]
        best = jnp.argmin(jnp.sum((images_at(generator, grid) - images[:, None, :]) ** 2, axis=-1), axis=1)
        sides = jnp.clip(best[:, None] + jnp.array([[-1, 1]]), 0, 16)
        return tuple(jnp.take_along_axis(grid, sides, axis=1).T)

    low, high = lax.fori_loop(0, 8, zoom, (low, high))
    return lax.stop_gradient((low + high) / 2)


def kink_edges(latents: jax.Array) -> jax.Array:
    """Panel ends `[19 n]` that close in on each of `latents` `[n]`, where an integrand has a kink or nearly one."""
    latents = as_float(latents, "latents", "n")
    offsets = jnp.array([0, *KINK_DISTANCES, *(-distance for distance in KINK_DISTANCES)], latents.dtype)
    return (latents[:, None] + offsets[None]).reshape(-1)


def pairwise_distances(images: jax.Array, others: jax.Array) -> jax.Array:
    """|x - y| of all pairs of `images` `[..., pixels]` and `others` `[n, pixels]`: `[..., n]`."""
    images, others = as_float(images, "images"), as_float(others, "others", "n", "pixels")
    if images.shape[-1:] != others.shape[-1:]:
        raise ValueError(f"images of shape {images.shape} and {others.shape}: give both the same number of pixels")
    return safe_norm(images[..., None, :] - jnp.expand_dims(others, range(images.ndim - 1)), axis=-1)
