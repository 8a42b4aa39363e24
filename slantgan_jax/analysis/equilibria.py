"""Every equilibrium of slanted land, in closed form.

An equilibrium is here a stationary point of the *expected* game: the gradient of each player's expected loss by its
own parameters vanishes. With x = G(z), D = σ(ℓ), ℓ = u·x + c and m the mean image of the data they are exactly

    u = 0,   c = 0,   w any,   b_i = bias(w_i, m_i), the one bias with E σ(w_i z + b_i) = m_i

For the losses `non_saturating` and `saturating` these are **all** the finite ones:

1. By b_i the gradient of G's loss is u_i E[g x_i (1 - x_i)], with g = dL_G/dℓ_fake = -(1 - D), for the saturating loss
   -D. At finite parameters 0 < D < 1 and 0 < x_i < 1, so the expectation is not 0 and every u_i has to be. Where u = 0
   the rest of G's gradient is 0 too: G cannot move the logit.
2. With u = 0 the logit is c everywhere. By c the gradient of D's loss is σ(c) - (1 - σ(c)), so c = 0.
3. By u the gradient of D's loss is now ½ (E G(z) - m), which is 0 where the mean images agree, pixel by pixel.

Pixel by pixel that is one equation for two unknowns, solved by exactly one b_i for each w_i (E σ(w z + b) grows in b
from 0 to 1). So the equilibria are a smooth surface, the graph of a function of the generator's weights: as many
dimensions as there are pixels, 4 of the 13 parameters on 2×2 images. It is unbounded; D's loss is 2 ln 2 all over it.
It exists only where 0 < m_i < 1 for every pixel. The data enters by its mean image alone, as ℓ is affine in the image.

Other objectives. Step 1 needs dL_G/dℓ_fake to have one sign, step 2 is `undecided_logit`, step 3 needs dL_D/dℓ_fake ≠ 0
there. So for the Wasserstein loss (D: ℓ_fake - ℓ_real, G: -ℓ_fake) c is any number, for the hinge loss (D:
(1 - ℓ_real)⁺ + (1 + ℓ_fake)⁺, G: -ℓ_fake) any in [-1, 1]: the surface has one more dimension. For least squares (D:
½ (ℓ_real - 1)² + ½ ℓ_fake², G: ½ (ℓ_fake - 1)²) c = ½ and the points given here are stationary, but G's derivative
changes its sign at ℓ_fake = 1: step 1 fails, and there may be more.
"""

import math

import chex
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import distributions, losses
from slantgan_jax.analysis import distances
from slantgan_jax.losses import Objective
from slantgan_jax.networks import Discriminator, Generator
from slantgan_jax.numerics import as_float
from slantgan_jax.types import Image, Players

_SERIES = (1 / 6, -1 / 180, 1 / 2835, -1 / 37800, 1 / 467775, -691 / 3831077250, 2 / 127702575)
"""ln(sinh y / y) = y²/6 - y⁴/180 + ...; what is left out is below an ulp of the sum for |y| ≤ 1/4."""


def bias(weight: ArrayLike, mean: ArrayLike) -> jax.Array:
    """The b with E σ(w z + b) = m for z ~ U(0, 1), element by element.

        b = ln(e^{wm} - 1) - ln(e^w - e^{wm})
          = logit(m) - w/2 + Λ(w m / 2) - Λ(w (1 - m) / 2),   Λ(y) = ln(sinh y / y)

    From E σ(w z + b) = (s(w + b) - s(b)) / w with s(a) = ln(1 + eᵃ): that it is m says 1 + e^{w+b} = e^{wm} (1 + e^b),
    which is linear in e^b. The second line takes e^{wm/2} out of both differences. As Λ is smooth and even it holds for
    weights of both signs and for w = 0, where b = logit(m); reversing z, b(-w) = b(w) + w.

    Args:
      weight: w, any finite number; of the shape of `mean`, or a scalar.
      mean: m, in (0, 1). At 0 and 1 the bias is infinite, beyond it is NaN.

    Returns:
      b in the units of a logit, of absolute error a few ulps of max(1, |w|): E σ(w z + b) is m to 1e-15 for |w| up to
      1000. All its derivatives are right at w = 0 too. Some 20 flops and 3 logarithms.
    """
    w, m = as_float(weight), as_float(mean)
    return jnp.log(m) - jnp.log1p(-m) - w / 2 + _log_sinh_ratio(w * m / 2) - _log_sinh_ratio(w * (1 - m) / 2)


def slope(weight: ArrayLike, mean: ArrayLike) -> jax.Array:
    """db/dw along the equilibria at one mean m, element by element: the surface's tangent at one pixel is (1, db/dw).

        db/dw = -½ + (m/2) Λ'(w m / 2) - ((1 - m)/2) Λ'(w (1 - m) / 2),   Λ'(y) = coth y - 1/y
              = -E[z σ'(w z + b)] / E[σ'(w z + b)]

    The second line, from E σ(w z + b) = m by the theorem on implicit functions, is minus a mean of z: it lies in
    (-1, 0). At w = 0 it is -½: the score at z = ½ stays. Arguments as of `bias`; absolute error below 1e-14.
    """
    w, m = as_float(weight), as_float(mean)
    _, derivative = jax.jvp(lambda w: bias(w, m), (w,), (jnp.ones_like(w),))
    return derivative


def undecided_logit(objective: Objective = losses.non_saturating) -> jax.Array:
    """The c at which a discriminator with u = 0 is stationary, a scalar: Σ over its terms of d L_D(c, c) / dc = 0.

    By Newton's method from c = 0: exactly 0 for the two losses of the tutorial, ½ for least squares. Where every c
    of an interval will do (Wasserstein, hinge, relativistic losses) there is no curvature and c = 0 remains. A loss
    that is not convex in c may have more zeros than the one found, or, NaN returned, none within reach.
    """

    def gradient(c):
        return jax.grad(lambda c: sum(term(c, c) for term in objective.discriminator))(c)

    def newton(_, c):
        value, curvature = jax.value_and_grad(gradient)(c)
        return jnp.where(curvature == 0, c, c - value / jnp.where(curvature == 0, 1, curvature))

    c = jax.lax.fori_loop(0, 30, newton, as_float(0.0))
    found = jnp.abs(gradient(c)) <= math.sqrt(jnp.finfo(c.dtype).eps)
    return jnp.where(found, c, jnp.nan)


def equilibrium(weights: Image, images: Image, objective: Objective = losses.non_saturating) -> Players:
    """The equilibrium whose generator has these weights: u = 0, c = `undecided_logit`, b = `bias(w, mean of images)`.

    Args:
      weights: w, an image: any numbers.
      images: the data set, the same with a leading axis.
      objective: what the players minimize.

    Returns:
      Players at which the expected gradient of each is 0 up to rounding: below 1e-14 for |w| up to 1000, in float64. A
      pixel that is 0 (or 1) in every image gets an infinite bias: there is no finite equilibrium.
    """
    means = jax.tree.map(lambda leaf: jnp.mean(as_float(leaf), axis=0), images)
    chex.assert_trees_all_equal_shapes(weights, means)
    weights = jax.tree.map(as_float, weights)
    return Players(
        Generator(weights, jax.tree.map(bias, weights, means)),
        Discriminator(jax.tree.map(jnp.zeros_like, weights), undecided_logit(objective)),
    )


def project(players: Players, images: Image, objective: Objective = losses.non_saturating) -> Players:
    """The equilibrium of the same generator weights: `players` moved in the other parameters only.

    Not the nearest in Euclidean distance, but a point on the surface for every starting point, in closed form. How far
    it is from `players` is the distance that the biases and the discriminator still have to go.
    """
    return equilibrium(players.generator.weights, images, objective)


def landing(generator: Generator, images: Image, steps: int = 64) -> Image:
    """The weights of the equilibrium that training comes to from `generator`, if D stays nearly undecided all the way.

    Pixel by pixel the end of the line of steepest ascent, or descent, of the pixel's mean M(w, b) = E σ(w z + b):

        d(w, b)/ds = ∇M M (1 - M) / ‖∇M‖²,   s = logit M, from the M of (w_i, b_i) to the mean m_i of `images`

    Because G moves (w_i, b_i) along u_i E[g σ'_i (z, 1)], g = -dL_G/dℓ. As long as g does not depend on z that is a
    multiple of ∇M, however u swings: a run stays on its line, crosses the surface again and again, and comes to rest
    where the two meet, at right angles. Any optimizer that is not a multiple of the gradient (Adam, say) leaves the
    line. Near w = 0, ∇M ∝ (½, 1), and the landing is the nearest point of the surface: w + (logit m - b - w/2) / 2.5.

    Args:
      generator: where the run starts, or is.
      images: the data set.
      steps: of Runge and Kutta along the line, four quadratures each; from near the surface 8 are plenty.

    Returns:
      w, an image; at an equilibrium the weights that are there. The error, in float64 with 64 steps against 256, is at
      most 2e-10 for 2000 pixels with standard-normal w and b, 2e-8 for twice as large ones, 1e-6 for four times. What
      the quadrature leaves out of it moves an equilibrium by 1e-10 at |w| = 10, 2e-5 at 20, 1e-3 at 30:
      `invariants.landing`, which needs none, is for those.
    """
    return jax.tree.map(
        lambda w, b, leaf: _landing(as_float(w), as_float(b), jnp.mean(as_float(leaf), axis=0), steps),
        *generator, images,
    )  # fmt: skip


def tangents(weights: Image, images: Image, free_logit: bool = False) -> Players:
    """A basis of the equilibria's tangent space at `equilibrium(weights, images)`.

    `Players` whose leaves have a leading axis `[pixels]`; entry i is the derivative of the equilibrium by the weight
    of pixel i (in the order of `ravel_pytree`): dw_i = 1, db_i = `slope(w_i, m_i)`, all else 0. Along these directions
    the expected field does not change, so its Jacobian has an eigenvalue 0 for each. With `free_logit`, for objectives
    of which `logit_is_free`, one more entry is dc = 1, all else 0.
    """
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
    """Whether c may be any number near the undecided one: L_D(c, c) has no curvature there, to the last bit.

    So it is for the Wasserstein, the hinge and the relativistic loss. Of a concrete objective, outside of any trace.
    """
    with jax.ensure_compile_time_eval():
        c = undecided_logit(objective)
        curvature = jax.grad(jax.grad(lambda c: as_float(sum(term(c, c) for term in objective.discriminator))))(c)
        return bool(curvature == 0)


def jacobian(weights: Image, images: Image, objective: Objective = losses.non_saturating) -> jax.Array:
    """J of the expected field at `equilibrium(weights, images, objective)` from second moments, `[n, n]`, no autodiff.

    In the order of the leaves, w, b | u, c, with x̃ = (x, 1), m the mean image, C the covariance of G(z) and
    g = dL_G/dℓ_fake, d_r, d_f, d_rr, ... the derivatives of L_D by ℓ_real, ℓ_fake, all at ℓ_real = ℓ_fake = c:

        J_GG = 0        as G's loss is the same everywhere where u = 0
        J_GD            ∂²L_G/∂w_i∂u_i = g α_i,  ∂²L_G/∂b_i∂u_i = g β_i,  else 0
        J_DG            ∂²L_D/∂u_i∂w_i = d_f α_i,  ∂²L_D/∂u_i∂b_i = d_f β_i,  else 0
        J_DD            d_rr E[x̃ x̃ᵀ] + d_ff E[G̃ G̃ᵀ] + 2 d_rf m̃ m̃ᵀ

        β_i = E σ'(w_i z + b_i) = m_i (1 - m_i) - C_ii,   α_i = E z σ'(w_i z + b_i) = -slope(w_i, m_i) β_i

    since σ' = σ (1 - σ). So u_i meets of G only the direction (α_i, β_i) of (w_i, b_i), along which the pixel's mean
    moves: with g d_f < 0 they turn about each other, with the squared frequency -g d_f (α_i² + β_i²) were it not for
    J_DD, which damps. For the tutorial's losses d_rr = d_ff = d_f² = g² = ¼, d_rf = 0. Exact to 1e-14, as
    `distances.covariance`.
    """
    players = equilibrium(weights, images, objective)
    c = players.discriminator.bias

    def of_discriminator(logits):
        return sum(term(logits[0], logits[1]) for term in objective.discriminator)

    logits = jnp.stack([c, c])
    (_, d_fake), curvature = jax.grad(of_discriminator)(logits), jax.hessian(of_discriminator)(logits)
    g = jax.grad(objective.generator, 1)(c, c)
    real = jax.vmap(lambda image: ravel_pytree(image)[0])(jax.tree.map(as_float, images))
    mean = jnp.mean(real, axis=0)
    covariance = distances.covariance(players.generator)
    beta = mean * (1 - mean) - jnp.diag(covariance)
    alpha = -slope(ravel_pytree(players.generator.weights)[0], mean) * beta
    real, mean = (jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1))], axis=-1) for x in (real, mean))
    felt = jnp.pad(jnp.concatenate([jnp.diag(alpha), jnp.diag(beta)]), ((0, 0), (0, 1)))  # [2 pixels, pixels + 1]
    both = jnp.outer(mean, mean)
    generated = jnp.pad(covariance, ((0, 1), (0, 1))) + both
    seen = curvature[0, 0] * real.T @ real / len(real) + curvature[1, 1] * generated + 2 * curvature[0, 1] * both
    return jnp.block([[jnp.zeros((len(felt), len(felt))), g * felt], [d_fake * felt.T, seen]])


def _landing(w: jax.Array, b: jax.Array, mean: jax.Array, steps: int) -> jax.Array:
    def velocity(w, b):
        value, by_w, by_b = _mean_and_slopes(w, b)
        scale = value * (1 - value) / (by_w**2 + by_b**2)
        return by_w * scale, by_b * scale

    def step(_, place):
        w, b = place
        w1, b1 = velocity(w, b)
        w2, b2 = velocity(w + size / 2 * w1, b + size / 2 * b1)
        w3, b3 = velocity(w + size / 2 * w2, b + size / 2 * b2)
        w4, b4 = velocity(w + size * w3, b + size * b3)
        return w + size / 6 * (w1 + 2 * w2 + 2 * w3 + w4), b + size / 6 * (b1 + 2 * b2 + 2 * b3 + b4)

    start = _mean_and_slopes(w, b)[0]
    size = (jnp.log(mean) - jnp.log1p(-mean) - jnp.log(start) + jnp.log1p(-start)) / steps
    return jax.lax.fori_loop(0, steps, step, (w, b))[0]


def _mean_and_slopes(w: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """E σ, E z σ' and E σ' at the score w z + b."""

    def at(z, chance):
        value = jax.nn.sigmoid(w * z + b)
        slope = chance * value * (1 - value)
        return chance * value, z * slope, slope

    return jax.tree.map(lambda parts: jnp.sum(parts, axis=0), jax.vmap(at)(*distributions.uniform_quadrature()))


def _log_sinh_ratio(y: jax.Array) -> jax.Array:
    """Λ(y) = ln(sinh y / y): even, y²/6 at 0, |y| - ln 2|y| far out; with its derivatives right everywhere."""
    small = jnp.abs(y) < 0.25
    square = jnp.where(small, y, 0.0) ** 2
    series = jnp.zeros_like(y)
    for coefficient in reversed(_SERIES):
        series = (series + coefficient) * square
    size = jnp.abs(jnp.where(small, 1.0, y))
    return jnp.where(small, series, size + jnp.log(-jnp.expm1(-2 * size) / (2 * size)))
