"""Every equilibrium of slanted land, in closed form.

An equilibrium is a stationary point of the *expected* game. For the losses `non_saturating` and `saturating` the finite
equilibria are exactly

    u = 0,   c = 0,   w any,   b_i = bias(w_i, m_i), the one bias with E σ(w_i z + b_i) = m_i

where m is the mean image of the data. docs/theory/equilibria.md has the proof, and what changes for other objectives.
"""

import math

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import faces, losses
from slantgan_jax.checks import check_flag, check_kind
from slantgan_jax.losses import Objective
from slantgan_jax.networks import Discriminator, Generator
from slantgan_jax.numerics import as_float
from slantgan_jax.types import Image, Players

_SERIES = (1 / 6, -1 / 180, 1 / 2835, -1 / 37800, 1 / 467775, -691 / 3831077250, 2 / 127702575)
"""Coefficients of ln(sinh y / y) = y²/6 - y⁴/180 + ...; the rest is below an ulp of the sum for |y| ≤ 1/4."""


def bias(weight: ArrayLike, mean: ArrayLike) -> jax.Array:
    """The b with E σ(w z + b) = m for z ~ U(0, 1), element by element.

        b = ln(e^{wm} - 1) - ln(e^w - e^{wm})
          = logit(m) - w/2 + Λ(w m / 2) - Λ(w (1 - m) / 2),   Λ(y) = ln(sinh y / y)

    Args:
      weight: w, any finite number; of the shape of `mean`, or a scalar.
      mean: m, in (0, 1). At 0 and 1 the bias is infinite, and beyond them it is NaN.

    Returns:
      b in the units of a logit, with an absolute error of a few ulps of max(1, |w|, |b|). All derivatives are right at
      w = 0, too.
    """
    w, m = as_float(weight, "weight"), as_float(mean, "mean")
    try:
        jnp.broadcast_shapes(w.shape, m.shape)
    except ValueError:
        raise ValueError(f"weight has the shape {w.shape}, and mean {m.shape}: give the same shape") from None
    return jnp.log(m) - jnp.log1p(-m) - w / 2 + _log_sinh_ratio(w * m / 2) - _log_sinh_ratio(w * (1 - m) / 2)


def slope(weight: ArrayLike, mean: ArrayLike) -> jax.Array:
    """db/dw along the equilibria at one mean m, element by element: the surface's tangent at one pixel is (1, db/dw).

        db/dw = -E[z σ'(w z + b)] / E[σ'(w z + b)],   in (-1, 0)

    Arguments are those of `bias`.
    """
    w, m = as_float(weight, "weight"), as_float(mean, "mean")
    value, derivative = jax.jvp(lambda w: bias(w, m), (w,), (jnp.ones_like(w),))
    return jnp.where(jnp.isnan(value), jnp.nan, derivative)


def undecided_logit(objective: Objective = losses.non_saturating) -> jax.Array:
    """The c at which a discriminator with u = 0 is stationary, a scalar: Σ over its terms of d L_D(c, c) / dc = 0.

    Newton's method starts at c = 0 and stays there if there is no curvature. It finds one zero, or NaN if it finds
    none. See docs/theory/equilibria.md#other-objectives.
    """
    losses.check_objective(objective)
    loss = losses.of_discriminator(objective)

    def gradient(c):
        return jax.grad(lambda c: loss(c, c))(c)

    def newton(_, c):
        value, curvature = jax.value_and_grad(gradient)(c)
        return jnp.where(curvature == 0, c, c - value / jnp.where(curvature == 0, 1, curvature))

    @jax.jit  # one program, where each operation would be one
    def found(start):
        c = jax.lax.fori_loop(0, 30, newton, start)
        return jnp.where(jnp.abs(gradient(c)) <= math.sqrt(jnp.finfo(c.dtype).eps), c, jnp.nan)

    return found(as_float(0.0))


def equilibrium(weights: Image, images: Image, objective: Objective = losses.non_saturating) -> Players:
    """The equilibrium whose generator has these weights: u = 0, c = `undecided_logit`, b = `bias(w, mean of images)`.

    Args:
      weights: w, an image of any numbers.
      images: the data set: images with a leading axis.
      objective: what the players minimize.

    Returns:
      Players whose expected gradients are 0 up to rounding. A pixel that is 0 in every image, or 1, gets an infinite
      bias, as there is no finite equilibrium.
    """
    faces.check_images(images, weights)
    means = jax.tree.map(lambda leaf: jnp.mean(as_float(leaf), axis=0), images)
    weights = jax.tree.map(as_float, weights)
    return Players(
        Generator(weights, jax.tree.map(bias, weights, means)),
        Discriminator(jax.tree.map(jnp.zeros_like, weights), undecided_logit(objective)),
    )


def project(players: Players, images: Image, objective: Objective = losses.non_saturating) -> Players:
    """The equilibrium with the same generator weights: `players` moved in the other parameters only.

    It is not the nearest one, and not where training lands: see `steepest_lines.endpoint`.
    """
    check_kind("players", players, Players)
    return equilibrium(players.generator.weights, images, objective)


def tangents(weights: Image, images: Image, free_logit: bool = False) -> Players:
    """A basis of the equilibria's tangent space at `equilibrium(weights, images)`.

    The leaves of these `Players` have a leading axis `[pixels]`. Entry i is the derivative of the equilibrium by the
    weight of pixel i, in the order of `ravel_pytree`: dw_i = 1, db_i = `slope(w_i, m_i)`, all else 0. `free_logit`, for
    an objective for which `logit_is_free`, adds one more entry with dc = 1, all else 0.
    """
    faces.check_images(images, weights)
    check_flag("free_logit", free_logit)
    flat, unravel = ravel_pytree(jax.tree.map(as_float, weights))

    def derivative(direction):
        return jax.jvp(lambda flat: equilibrium(unravel(flat), images), (flat,), (direction,))[1]

    basis = jax.vmap(derivative)(jnp.eye(flat.size, dtype=flat.dtype))
    if not free_logit:
        return basis
    padded = jax.tree.map(lambda leaf: jnp.concatenate([leaf, jnp.zeros_like(leaf[:1])]), basis)
    last = padded.discriminator._replace(bias=padded.discriminator.bias.at[-1].set(1))
    return padded._replace(discriminator=last)


def logit_is_free(objective: Objective) -> bool:
    """Whether c may be any number near the undecided one, because L_D(c, c) has no curvature there, to the last bit.

    Call it outside of any trace.
    """
    with jax.ensure_compile_time_eval():
        c = undecided_logit(objective)
        loss = losses.of_discriminator(objective)
        curvature = jax.jit(jax.grad(jax.grad(lambda c: as_float(loss(c, c)))))(c)
        return bool(curvature == 0)


def _log_sinh_ratio(y: jax.Array) -> jax.Array:
    """Λ(y) = ln(sinh y / y), even, y²/6 near 0 and |y| - ln 2|y| far from it; its derivatives are right everywhere."""
    small = jnp.abs(y) < 0.25
    square = jnp.where(small, y, 0.0) ** 2
    series = jnp.zeros_like(y)
    for coefficient in reversed(_SERIES):
        series = (series + coefficient) * square
    size = jnp.abs(jnp.where(small, 1.0, y))
    return jnp.where(small, series, size + jnp.log(-jnp.expm1(-2 * size) / (2 * size)))
