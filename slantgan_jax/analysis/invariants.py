"""What runs conserve, where they conserve something.

    alternating_form    bilinear game, alternating steps: a quadratic form, exactly, step by step
    landing, energies   slanted land, the flow ω' = -ξ of expected Wasserstein losses: two numbers a pixel

With the Wasserstein losses (L_D = E ℓ_fake - E ℓ_real, L_G = -E ℓ_fake) and m_i(w, b) = E σ(w z + b) the flow is

    u_i' = mean_i - m_i(w_i, b_i),   (w_i, b_i)' = u_i ∇m_i(w_i, b_i),   c' = 0

so pixels do not see each other, (w_i, b_i) moves to and fro on one line of steepest ascent of m_i, and, since m_i' is
u_i |∇m_i|², ½ u_i² + ∫ (m - mean_i) / |∇m_i|² dm, along that line from mean_i to m_i, is constant. Every orbit turns
about the point of its line where m_i = mean_i, an equilibrium; none comes nearer. Zero-sum games that are bilinear in
what the players bring about have such integrals: Flokas, Vlatakis-Gkaragkounis & Piliouras 2019 (arXiv:1910.13010).

With the logistic losses each pixel still has u_i' and u_i ∇m_i to first order about an undecided D, but D's curvature
takes energy out, and as G's slope dL_G/dℓ varies over the curve the line is kept only roughly: nothing is conserved
exactly. `landing` is then a first guess where a run will end.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax.analysis import distances
from slantgan_jax.networks import Discriminator, Generator
from slantgan_jax.numerics import as_float
from slantgan_jax.types import Image, Players

LINE_STEPS = 64
"""Runge-Kutta steps along a line: in the units of a logit a step is short, and what is left out 1e-9 or less."""


def alternating_form(players: Players, learning_rate: ArrayLike, *, discriminator_first: bool = True) -> jax.Array:
    """x² + y² + η x y if D moves first, x² + y² - η x y if G does: kept by each alternating step of `games.bilinear`.

    Positive definite for η < 2: orbits are ellipses, neither in nor out, about a center; not limit cycles, as there is
    one for every start.
    """
    x, y = players
    return x**2 + y**2 + (1 if discriminator_first else -1) * learning_rate * x * y


def landing(generator: Generator, images: Image) -> Generator:
    """The equilibrium's generator on the lines of steepest ascent of the mean image through `generator`.

    Each pixel's (w, b) moves along ±∇m(w, b) until m = mean of `images`; all means are to be inside (0, 1). The place
    is that of `equilibria.landing`, with m in closed form in place of a quadrature, which steep generators need: an
    equilibrium with w = 30 is its own landing here, and moves by 1e-3 there.
    """
    return _lines(generator, images)[0]


def energies(players: Players, images: Image) -> Image:
    """½ u² + ∫ (m - mean) / |∇m|² dm from the equilibrium to the generator, along its line, an image; ≥ 0.

    0 exactly where the pixel rests: u = 0 and m = mean.
    """
    _, potential = _lines(players.generator, images)
    discriminator: Discriminator = players.discriminator
    return jax.tree.map(lambda u, potential: u**2 / 2 + potential, discriminator.weights, potential)


def _lines(generator: Generator, images: Image) -> tuple[Generator, Image]:
    means = jax.tree.map(lambda leaf: jnp.mean(as_float(leaf), axis=0), images)
    mean, unravel = ravel_pytree(means)
    w, b = (ravel_pytree(jax.tree.map(as_float, leaf))[0] for leaf in generator)
    w, b, potential = jax.vmap(_line)(w, b, mean)
    return Generator(unravel(w), unravel(b)), unravel(potential)


def _line(w: jax.Array, b: jax.Array, mean: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """From (w, b) along the line to m = `mean`: the w and b there, and the integral from there to the start.

    The line is followed by logit m, in which all of it is smooth: dm = m (1 - m) d logit m.
    """
    start = _logit(distances.mean_image(Generator(w, b)))
    end = _logit(mean)
    h = (end - start) / LINE_STEPS

    def slope(place: tuple[jax.Array, ...], level: jax.Array) -> tuple[jax.Array, ...]:
        w, b, _ = place
        across = jax.grad(lambda w, b: distances.mean_image(Generator(w, b)), (0, 1))(w, b)
        m = jax.nn.sigmoid(level)
        rate = m * (1 - m) / (across[0] ** 2 + across[1] ** 2)
        return rate * across[0], rate * across[1], -(m - mean) * rate

    def step(i: Any, place: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        level = start + i * h
        k1 = slope(place, level)
        k2 = slope(_ahead(place, h / 2, k1), level + h / 2)
        k3 = slope(_ahead(place, h / 2, k2), level + h / 2)
        k4 = slope(_ahead(place, h, k3), level + h)
        mixed = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        return _ahead(place, h, mixed)

    return jax.lax.fori_loop(0, LINE_STEPS, step, (w, b, jnp.zeros_like(w)))


def _ahead(place: tuple[jax.Array, ...], h: jax.Array, slope: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    return tuple(x + h * k for x, k in zip(place, slope, strict=True))


def _logit(m: jax.Array) -> jax.Array:
    return jnp.log(m) - jnp.log1p(-m)
