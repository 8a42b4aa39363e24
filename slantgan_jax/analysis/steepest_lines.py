"""Where training lands on the surface of equilibria, and the energy along the way.

As long as D is nearly undecided, a pixel's weight w and bias b stay on one line of steepest ascent of the pixel's mean
M(w, b) = E σ(w z + b). See docs/theory/equilibria.md#where-training-lands and docs/theory/invariants.md.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from slantgan_jax import networks
from slantgan_jax.analysis import distances
from slantgan_jax.checks import check_count, check_kind
from slantgan_jax.networks import Generator
from slantgan_jax.numerics import as_float, rk4_slope
from slantgan_jax.types import Image, Players

LINE_STEPS = 64
"""Runge-Kutta steps along a line; each costs four means and their slopes. Near the surface 8 are plenty."""


def endpoint(generator: Generator, images: Image, steps: int = LINE_STEPS) -> Generator:
    """The generator at which the steepest lines through `generator` meet the surface of equilibria.

        d(w, b)/dτ = ∇M M (1 - M) / ‖∇M‖²,   τ = logit M from M(w, b) to the logit of the mean m of `images`

    Args:
      generator: the players' generator at the start of a run, or on its way.
      images: the data set, with a leading axis; its mean image has to lie inside (0, 1).
      steps: the number of Runge-Kutta steps.

    Returns:
      The generator of an equilibrium, NaN where M rounds to 0 or 1. An equilibrium is its own endpoint.
    """
    return _ends(generator, images, steps)[0]


def energies(players: Players, images: Image, steps: int = LINE_STEPS) -> Image:
    """½ u² + ∫ (M - m) / ‖∇M‖² dM along the steepest line from the equilibrium to the generator, an image.

    The flow of the expected Wasserstein losses conserves it. Arguments are those of `endpoint`. Source: Flokas,
    Vlatakis-Gkaragkounis & Piliouras 2019 (arXiv:1910.13010). See docs/theory/invariants.md.
    """
    check_kind("players", players, Players)
    _, potential = _ends(players.generator, images, steps)
    return jax.tree.map(lambda u, potential: as_float(u) ** 2 / 2 + potential, players.discriminator.weights, potential)


def _ends(generator: Generator, images: Image, steps: int) -> tuple[Generator, Image]:
    networks.check_generator(generator, images)
    steps = check_count("steps", steps)
    mean, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.mean(as_float(leaf), axis=0), images))
    w, b = (ravel_pytree(jax.tree.map(as_float, leaf))[0] for leaf in generator)
    w, b, potential = map(unravel, jax.vmap(partial(_line_end, steps))(w, b, mean))
    return Generator(w, b), potential


def _line_end(steps: int, w: jax.Array, b: jax.Array, mean: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The w and b at which the line through one pixel has M = `mean`, and the integral from there to the start."""

    def pixel_mean(w: jax.Array, b: jax.Array) -> jax.Array:
        return distances.mean_image(Generator(w, b))

    def slope(place: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        value, (by_w, by_b) = jax.value_and_grad(pixel_mean, (0, 1))(*place[:2])
        pace = value * (1 - value) / (by_w**2 + by_b**2)
        return pace * by_w, pace * by_b, pace * (mean - value)

    def moved(place: tuple[jax.Array, ...], fraction: float, slope: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        return jax.tree.map(lambda x, k: x + fraction * step * k, place, slope)

    start = pixel_mean(w, b)
    step = (jnp.log(mean) - jnp.log1p(-mean) - jnp.log(start) + jnp.log1p(-start)) / steps
    return jax.lax.fori_loop(
        0, steps, lambda _, place: moved(place, 1.0, rk4_slope(slope, place, moved)), (w, b, jnp.zeros_like(w))
    )
