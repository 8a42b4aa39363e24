"""Best responses: what each player could still gain if it alone moved, and so how far players are from an equilibrium.

The best discriminator is a logistic regression between the faces and the generator's curve G(z), 0 ≤ z ≤ 1. The best
generator has a closed form. All of this is meant for float64. The theorems and the accuracy are in
docs/theory/separability.md.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import distributions, losses, networks
from slantgan_jax.analysis import _small_linalg, quadrature
from slantgan_jax.checks import check_kind, check_number
from slantgan_jax.losses import Objective, softplus
from slantgan_jax.networks import Discriminator, Generator
from slantgan_jax.numerics import as_float
from slantgan_jax.types import Image, Players

LARGEST_LOGIT = 30.0
"""The largest logit at which `best_generator_loss` checks that G's loss does not increase."""

NODES = 200
"""The number of latents of the quadrature in this module."""

MAX_NEWTON_STEPS = 100
"""The largest number of Newton steps."""

SETTLED_LOGIT_CHANGE = 1e-3
"""If there is a minimum, Newton's last step changes no logit by more. Towards infinity a step changes one by 1."""

_STEP_SIZES = (64.0, 16.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 1e-3, 1e-4)
_FULL_STEP = _STEP_SIZES.index(1.0)


class BestDiscriminator(NamedTuple):
    """What `best_discriminator` returns. The *hulls* are the convex hulls of the faces and of the curve.

    Attributes:
      discriminator: a minimizer; if `separable` and without a ridge, the plane ℓ = 0 lies midway between the two sides.
      loss: the infimum of D's loss, a scalar in nats; exactly 0 if `separable` (without a ridge).
      separable: whether a plane u·x = const, with the u of `discriminator`, has all faces on one side and the whole
        curve on the other, proven by `hull_distance_lower` > 0. Without a ridge it is the plane ℓ = 0.
      attained: whether the infimum is a minimum: there is a ridge, or Newton's method has come to rest where the
        hulls meet to within the tolerance of `hull_distance_upper`.
      gradient_norm: ‖∇‖₂ of the loss at `discriminator`.
      hull_distance_lower, hull_distance_upper: bounds of the distance of the hulls, in units of pixels; the lower one
        is not positive if none is known.
    """

    discriminator: Discriminator
    loss: jax.Array
    separable: jax.Array
    attained: jax.Array
    gradient_norm: jax.Array
    hull_distance_lower: jax.Array
    hull_distance_upper: jax.Array


class _Regression(NamedTuple):
    """Σ weight s(row·ψ) + ridge/2 |ψ|²: `rows` `[atoms, pixels + 1]`, -(x, 1) for faces, (x, 1) for generated."""

    rows: jax.Array
    weights: jax.Array
    ridge: jax.Array


class _State(NamedTuple):
    psi: jax.Array
    loss: jax.Array
    low: jax.Array  # the lowest logit of a face
    high: jax.Array  # the highest on the whole curve
    step: jax.Array
    furthest: jax.Array  # by how much the last step changed a logit, at most
    done: jax.Array


def best_discriminator(
    generator: Generator, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES
) -> BestDiscriminator:
    """The discriminator that is best against a generator, as a `BestDiscriminator`.

        minimize over ψ = (u, c)   E s(-(u·x + c)) + E s(u·G(z) + c) + ridge/2 (|u|² + c²),   s(a) = ln(1 + eᵃ)

    If the result is neither `separable` nor `attained`, the hulls touch or nearly touch, the infimum may be attained
    or not, and `loss` may be wrong. Only `loss` has derivatives, the first and the second, by generator, images and
    ridge. See docs/theory/separability.md#accuracy.

    Args:
      generator: w and b, images.
      images: the data set, with a leading axis; every image has the same probability.
      ridge: a number ≥ 0, may be traced; it penalizes the bias, too.
      nodes: the number of latents of the quadrature, static.
    """
    networks.check_generator(generator, images)
    check_number("ridge", ridge, 0)
    image = jax.tree.map(lambda leaf: as_float(leaf)[0], images)
    _, unravel = ravel_pytree(image)
    problem = _regression(generator, images, as_float(ridge), nodes)
    still, (w, b) = jax.lax.stop_gradient((problem, quadrature.as_arrays(generator)))
    knots = jnp.pad(distributions.uniform_quadrature(nodes)[0], 1, constant_values=(0, 1))
    psi, _, low, high, _, furthest, _ = _newton(still, w, b, knots)
    size = jnp.linalg.norm(psi[:-1])
    lower, upper = (low - high) / jnp.where(size > 0, size, 1.0), _distance_of_means(still, psi)
    separable = lower > _tolerance(12)
    unbounded = separable & (still.ridge == 0)
    psi = psi.at[-1].add(jnp.where(unbounded, -(low + high) / 2, 0.0))
    # Without a minimizer the loss is 0, and what would be its derivatives may be infinite.
    problem = jax.tree.map(lambda own, constant: jnp.where(unbounded, constant, own), problem, still)
    return BestDiscriminator(
        discriminator=Discriminator(unravel(psi[:-1]), psi[-1]),
        loss=jnp.where(unbounded, 0.0, _least_loss(problem, still, psi)),
        separable=separable,
        attained=(still.ridge > 0) | (~separable & (upper < _tolerance(20)) & (furthest < SETTLED_LOGIT_CHANGE)),
        gradient_norm=jnp.linalg.norm(_gradient(still, psi)),
        hull_distance_lower=lower,
        hull_distance_upper=upper,
    )


def separable(generator: Generator, images: Image, *, nodes: int = NODES) -> jax.Array:
    """Whether some plane u·x + c = 0 has all images on one side and the whole curve G(z), 0 ≤ z ≤ 1, on the other.

    A boolean scalar: the field of `best_discriminator`, with its tolerances.
    """
    return best_discriminator(generator, images, nodes=nodes).separable


def best_response_image(discriminator: Discriminator) -> Image:
    """The image that the best generator against this discriminator tends to: 1 if u > 0, 0 if u < 0, ½ if u = 0."""
    check_kind("discriminator", discriminator, Discriminator)
    return jax.tree.map(lambda u: (jnp.sign(as_float(u)) + 1) / 2, discriminator.weights)


def best_generator_loss(discriminator: Discriminator, objective: Objective = losses.non_saturating) -> jax.Array:
    """The infimum of the generator's expected loss against a discriminator, a scalar in nats.

        non-saturating:  s(-ℓ*)     saturating:  -s(ℓ*)     ℓ* = Σ max(u_i, 0) + c = ℓ(`best_response_image`)

    It holds for every loss of G that decreases in ℓ_fake and ignores ℓ_real.

    Raises:
      ValueError: a loss of G that grows somewhere, or depends on ℓ_real.
    """
    losses.check_objective(objective)
    with jax.ensure_compile_time_eval():
        logits = jnp.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, 401)
        here, there = (objective.generator(jnp.full_like(logits, real), logits) for real in (0.0, 1.0))
        fits = bool((jnp.diff(here) <= 0).all() & (here == there).all())
    if not fits:
        raise ValueError(
            "G's loss does not decrease in the logit of the fake alone: give an objective of which it does"
        )
    highest = networks.logit(jax.tree.map(as_float, discriminator), best_response_image(discriminator))
    return objective.generator(jnp.zeros_like(highest), highest)


def duality_gap(players: Players, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES) -> jax.Array:
    """The duality gap of the zero-sum game, a scalar in nats: ≥ 0, and 0 exactly at equilibria.

        max_ψ V(θ, ψ) - inf_θ V(θ, ψ),   V = E ln D(x) + E ln(1 - D(G(z))) - ridge/2 (|u|² + c²)

    D maximizes V (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1) and G minimizes it. As a measure of GANs: Grnarova et
    al. 2019 (arXiv:1811.05512), whose M (eq. 1) is V/2. See docs/theory/separability.md#gaps.
    """
    check_kind("players", players, Players)
    best = best_discriminator(players.generator, images, ridge, nodes=nodes).loss
    least = best_generator_loss(players.discriminator, losses.saturating)
    return _real_loss(players.discriminator, images) - least + _ridge_loss(players.discriminator, ridge) - best


def nikaido_isoda_gap(players: Players, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES) -> jax.Array:
    """Σ over the players of (own expected non-saturating loss - the least it could be if it alone moved), in nats.

        [E s(-ℓ_real) + E s(ℓ_fake) - min_ψ] + [E s(-ℓ_fake) - s(-(Σ max(u_i, 0) + c))]

    A scalar ≥ 0, and 0 exactly at equilibria. `ridge` penalizes D as in `duality_gap`. Source: Nikaido & Isoda 1955
    (Pacific J. Math. 5). See docs/theory/separability.md#gaps.
    """
    check_kind("players", players, Players)
    latents, weights = distributions.uniform_quadrature(nodes)
    discriminator = jax.tree.map(as_float, players.discriminator)
    fake = jax.vmap(lambda z: networks.logit(discriminator, networks.generate(players.generator, z)))(latents)
    own_discriminator = _real_loss(discriminator, images) + weights @ softplus(fake) + _ridge_loss(discriminator, ridge)
    best = best_discriminator(players.generator, images, ridge, nodes=nodes).loss
    return own_discriminator - best + weights @ softplus(-fake) - best_generator_loss(discriminator)


def restricted_jensen_shannon(generator: Generator, images: Image, *, nodes: int = NODES) -> jax.Array:
    """The part of the Jensen-Shannon divergence that discriminators with affine logits can see, a scalar in nats.

        ln 2 + ½ max_ψ V(θ, ψ) = ln 2 - ½ (least loss of D)

    It is in [0, ln 2]: 0 exactly if the mean images agree, and ln 2 exactly if a plane separates. Source: Goodfellow et
    al. 2014 (arXiv:1406.2661), eqs. 5 and 6. See docs/theory/separability.md#gaps.
    """
    return jnp.log(2.0) - best_discriminator(generator, images, nodes=nodes).loss / 2


def _real_loss(discriminator: Discriminator, images: Image) -> jax.Array:
    discriminator, images = jax.tree.map(as_float, (discriminator, images))
    return jnp.mean(softplus(-jax.vmap(lambda image: networks.logit(discriminator, image))(images)))


def _ridge_loss(discriminator: Discriminator, ridge: ArrayLike) -> jax.Array:
    psi, _ = ravel_pytree(jax.tree.map(as_float, discriminator))
    return as_float(ridge) / 2 * jnp.sum(psi**2)


def _regression(generator: Generator, images: Image, ridge: jax.Array, nodes: int) -> _Regression:
    latents, weights = distributions.uniform_quadrature(nodes)
    w, b = quadrature.as_arrays(generator)
    fake = jax.nn.sigmoid(latents[:, None] * w[None] + b[None])
    real = jax.vmap(lambda image: ravel_pytree(image)[0])(jax.tree.map(as_float, images))
    count = real.shape[0]
    points = jnp.concatenate([-real, fake])
    sides = jnp.concatenate([jnp.full(count, -1.0, points.dtype), jnp.ones_like(weights)])
    weights = jnp.concatenate([jnp.full(count, 1 / count, points.dtype), weights])
    return _Regression(jnp.concatenate([points, sides[:, None]], axis=1), weights, ridge)


def _loss(problem: _Regression, psi: jax.Array) -> jax.Array:
    return problem.weights @ softplus(problem.rows @ psi) + problem.ridge / 2 * (psi @ psi)


def _least_loss(problem: _Regression, still: _Regression, psi: jax.Array) -> jax.Array:
    """The loss at the minimizer ψ of `still`, the same problem without derivatives.

    ψ is constant here. How it moves with the problem, -H⁻¹ d∇L, changes the loss by -½ d∇Lᵀ H⁻¹ d∇L, in second order.
    """
    moved = _gradient(problem, psi) - _gradient(still, psi)  # 0, but its derivative is not
    return _loss(problem, psi) + moved @ _newton_direction(still, psi, moved) / 2


def _gradient(problem: _Regression, psi: jax.Array) -> jax.Array:
    return (problem.weights * jax.nn.sigmoid(problem.rows @ psi)) @ problem.rows + problem.ridge * psi


def _newton_direction(problem: _Regression, psi: jax.Array, gradient: jax.Array) -> jax.Array:
    """-H⁻¹ `gradient`, with the Hessian H of the loss."""
    scores = problem.rows @ psi
    identity = jnp.eye(psi.size, dtype=psi.dtype)
    curvature = problem.weights * jax.nn.sigmoid(scores) * jax.nn.sigmoid(-scores)
    hessian = (problem.rows * curvature[:, None]).T @ problem.rows + problem.ridge * identity
    # Damping by a rounding error affects only directions in which no logit changes.
    scale = jnp.maximum(jnp.trace(hessian), jnp.finfo(psi.dtype).tiny)
    return -_small_linalg.solve_posdef(hessian / scale + _tolerance(3) * identity, gradient / scale)


@jax.jit
def _newton(problem: _Regression, w: jax.Array, b: jax.Array, knots: jax.Array) -> _State:
    """The minimizer ψ of `problem`, or without a ridge the first ψ that separates the faces from the curve."""
    sizes = as_float(_STEP_SIZES)

    def step(state):
        psi = state.psi
        direction = _newton_direction(problem, psi, _gradient(problem, psi))
        furthest = jnp.max(jnp.abs(problem.rows @ direction))
        tried = psi[None] + sizes[:, None] * direction[None]
        values = jax.vmap(lambda psi: _loss(problem, psi))(tried)
        near = furthest <= 0.5
        best = jnp.where(near, _FULL_STEP, jnp.nanargmin(values))
        # Near the minimum the loss stops decreasing one step before the gradient does; that step is still taken.
        lower = values[best] < state.loss
        psi, loss = jnp.where(near | lower, tried[best], psi), jnp.where(near | lower, values[best], state.loss)
        low = jnp.min(jnp.where(problem.rows[:, -1] < 0, -problem.rows @ psi, jnp.inf))
        high = _highest(psi[:-1], w, b, knots) + psi[-1]
        separated = low - high > _tolerance(12) * jnp.linalg.norm(psi[:-1])
        early = (problem.ridge == 0) & (separated | (loss < _tolerance(0)))
        # A full step that moves no logit by more than √ε leaves an error of ε, as Newton's method is quadratic.
        done = early | ~lower | (furthest <= jnp.sqrt(_tolerance(0)))
        return _State(psi, loss, low, high, state.step + 1, furthest, done)

    zero = jnp.zeros_like(problem.rows[0])
    start = _State(
        zero, _loss(problem, zero), zero[0], zero[0], jnp.zeros((), int), as_float(jnp.inf), jnp.zeros((), bool)
    )
    return jax.lax.while_loop(lambda state: ~state.done & (state.step < MAX_NEWTON_STEPS), step, start)


def _highest(u: jax.Array, w: jax.Array, b: jax.Array, knots: jax.Array) -> jax.Array:
    """max of f(z) = u·σ(w z + b) over 0 ≤ z ≤ 1: the best knot, and Newton's method for f' = 0 from every knot."""
    before, after = jnp.pad(knots[:-1], (1, 0)), jnp.pad(knots[1:], (0, 1), constant_values=1)

    def newton(_, state):
        z, best = state
        x = jax.nn.sigmoid(z[:, None] * w[None] + b[None])
        slopes = x * (1 - x) * w[None]
        first, second = slopes @ u, (slopes * (1 - 2 * x) * w[None]) @ u
        ahead = jnp.where(second < 0, z - first / jnp.where(second < 0, second, 1.0), z)
        return jnp.clip(ahead, before, after), jnp.maximum(best, jnp.max(x @ u))

    return jax.lax.fori_loop(0, 4, newton, (knots, as_float(-jnp.inf)))[1]


def _distance_of_means(problem: _Regression, psi: jax.Array) -> jax.Array:
    """The distance of two points, one in each hull: the means of the faces and of the generated images, each image
    weighted by the probability that it is mistaken. At a minimum the gradient is their difference, so it is 0."""
    mistaken = jnp.log(problem.weights) - softplus(-problem.rows @ psi)
    real = problem.rows[:, -1] < 0
    points = jnp.where(real[:, None], -1, 1) * problem.rows[:, :-1]
    means = [jax.nn.softmax(jnp.where(side, mistaken, -jnp.inf)) @ points for side in (real, ~real)]
    return jnp.linalg.norm(means[0] - means[1])


def _tolerance(bits: int) -> jax.Array:
    """2^bits times the rounding unit of the precision at hand."""
    return as_float(2.0**bits * jnp.finfo(jnp.result_type(float)).eps)
