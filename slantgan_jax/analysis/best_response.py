"""How far players are from an equilibrium, in units of a loss: what each could still gain if it alone moved.

The best discriminator is a logistic regression between the faces and the generator's curve G(z), 0 ≤ z ≤ 1: convex,
so it is found to rounding. The best generator, one that knows the discriminator, is known in closed form. From the two:

- `duality_gap` and `nikaido_isoda_gap`, both ≥ 0, and 0 exactly at equilibria (see `equilibria`);
- `restricted_jensen_shannon`, the divergence of generated from real images that these discriminators can see.

Attained or not. A discriminator's infimum is 0 exactly where some plane has the faces on one side and the curve on the
other: scaled up, such a plane tells all apart, so nothing finite is best. Touching is no exception, as a plane meets a
curve that does not lie in it in finitely many points, which have no weight. The faces and the curve cannot be told
apart if their convex hulls share a point inside both, and that is what the regression itself proves: at its minimum
the images weighted by how much each is mistaken have one mean for both. Between the two is one more case, a curve
*inside* a plane that has some faces in it and the others on one side (a weight of exactly 0 and a bias that hits a
pixel of the data, say). Its infimum is positive and not attained; the loss returned is right, and u is large.

Numbers: `NODES` latents, Gauss-Legendre. The largest error of an expected loss seen over random players is 1e-13 where
the weights are |w| ≤ 50 and |u| ≤ 5, or |w| ≤ 5 and |u| ≤ 20; 1e-9 at |w| = 10, |u| = 50; 3e-7 at |w| = 50, |u| = 20;
and 1e-2 at |w| = 50, |u| = 500, where D as a function of z is as good as a step. The best discriminator of a nearly
separable generator is that steep. For |w| far above 50 it is G that is a step: gaps are 8e-5 where they should be 0, at
an equilibrium with |w| = 1000. More `nodes` help: 400 square these errors, roughly. Meant for float64.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import distributions, losses, networks
from slantgan_jax.analysis import _small_linalg, quadrature
from slantgan_jax.losses import Objective, softplus
from slantgan_jax.networks import Discriminator, Generator
from slantgan_jax.numerics import as_float
from slantgan_jax.types import Image, Players

NODES = 200
"""Latents of the quadrature in this module."""

MAX_STEPS = 100
"""Newton steps at most. Separable generators take 1 to 10, others 5 to 15, nearly touching ones up to 40."""

_STEP_SIZES = (64.0, 16.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 1e-3, 1e-4)
_FULL_STEP = _STEP_SIZES.index(1.0)


class BestDiscriminator(NamedTuple):
    """What `best_discriminator` found.

    Attributes:
      discriminator: the minimizer; where `separable`, a plane ℓ = 0 that separates, midway between the two sides.
      loss: the infimum of D's loss, a scalar in nats; exactly 0 where `separable` (and no ridge).
      separable: whether ℓ > 0 on all faces and ℓ < 0 on all of the curve, for this discriminator: proven by `margin`.
      attained: whether the infimum is a minimum: always with a ridge, else where `overlap` proves that no plane
        separates. Neither `separable` nor `attained`: undecided, and `loss` a guess; see `best_discriminator`.
      gradient_norm: ‖∇‖₂ of the loss at `discriminator`.
      margin: a lower bound of the distance of the two convex hulls, in units of pixels; not positive if none is known.
      overlap: an upper bound of that distance: that of two points of the hulls.
    """

    discriminator: Discriminator
    loss: jax.Array
    separable: jax.Array
    attained: jax.Array
    gradient_norm: jax.Array
    margin: jax.Array
    overlap: jax.Array


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
    done: jax.Array


def best_discriminator(
    generator: Generator, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES
) -> BestDiscriminator:
    """The discriminator that is best against a generator that stands still.

        minimize over ψ = (u, c)   E s(-(u·x + c)) + E s(u·G(z) + c) + ridge/2 (|u|² + c²),   s(a) = ln(1 + eᵃ)

    Newton's method: a full step once it moves no logit by more than ½, else the best of 12 step sizes. Without a ridge
    it ends early where its plane separates (the curve's highest point found by Newton's method too, between nodes).

    Tolerances, float64: `separable` asks for a distance of the hulls above 1e-12, `attained` for an overlap below
    2e-10. The regression knows the curve by its nodes, so neither may come out true where the hulls touch to within
    what the curve bulges between and beyond them, 1e-4 pixels at |w| = 5 and 4e-3 at 50, or where |u| grows beyond 1e5
    in 100 steps. That happened to 1 of 1500 random generators with |w| about 10 and less, 4 of 500 with |w| about 50.
    Do not trust the loss then: 0.26 was returned where it is 0, and 0 where it is 0.007. One generator takes 0.8 ms,
    each of a batch of 500 about 0.5 ms.

    The derivative of `loss` by generator and images is the exact one (that of the loss at ψ held still, as ∇_ψ = 0),
    in forward and reverse mode; other fields have none.

    Args:
      generator: w and b, images.
      images: the data set, with a leading axis; every image has the same probability.
      ridge: ≥ 0, may be traced; it holds the bias too.
      nodes: latents of the quadrature, static.

    Returns:
      `BestDiscriminator`. Where the minimizer is not unique (faces and curve in one plane), one of them.
    """
    image = jax.tree.map(lambda leaf: as_float(leaf)[0], images)
    chex.assert_trees_all_equal_shapes(generator.weights, generator.biases, image)
    _, unravel = ravel_pytree(image)
    problem = _regression(generator, images, as_float(ridge), nodes)
    still, (w, b) = jax.lax.stop_gradient((problem, quadrature.flat(generator)))
    knots = jnp.pad(distributions.uniform_quadrature(nodes)[0], 1, constant_values=(0, 1))
    psi, _, low, high, *_ = _newton(still, w, b, knots)
    size = jnp.linalg.norm(psi[:-1])
    margin = (low - high) / jnp.where(size > 0, size, 1.0)
    separable = margin > _tolerance(12)
    overlap = _overlap(still, psi)
    psi = psi.at[-1].add(jnp.where(separable & (still.ridge == 0), -(low + high) / 2, 0.0))
    return BestDiscriminator(
        discriminator=Discriminator(unravel(psi[:-1]), psi[-1]),
        loss=jnp.where(separable & (still.ridge == 0), 0.0, _loss(problem, psi)),
        separable=separable,
        attained=(still.ridge > 0) | (~separable & (overlap < _tolerance(20))),
        gradient_norm=jnp.linalg.norm(_gradient(still, psi)),
        margin=margin,
        overlap=overlap,
    )


def separable(generator: Generator, images: Image, *, nodes: int = NODES) -> jax.Array:
    """Whether some plane u·x + c = 0 has all images on one side and the whole curve G(z), 0 ≤ z ≤ 1, on the other.

    A boolean scalar, the field of `best_discriminator` with its tolerances, and its cost.
    """
    return best_discriminator(generator, images, nodes=nodes).separable


def best_image(discriminator: Discriminator) -> Image:
    """The image that a generator facing this discriminator tends to: 1 where u > 0, 0 where u < 0, ½ (any) where u = 0.

    It has the highest logit of all images in [0, 1]ⁿ. No finite generator draws it; large biases come close.
    """
    return jax.tree.map(lambda u: (jnp.sign(as_float(u)) + 1) / 2, discriminator.weights)


def best_generator_loss(discriminator: Discriminator, objective: Objective = losses.non_saturating) -> jax.Array:
    """The infimum of a generator's expected loss against a discriminator that stands still, a scalar in nats.

        non-saturating:  s(-ℓ*)     saturating:  -s(ℓ*)     ℓ* = Σ max(u_i, 0) + c = ℓ(`best_image`)

    Holds for every loss of G that falls in ℓ_fake and ignores ℓ_real. Not attained unless u = 0.
    """
    highest = networks.logit(jax.tree.map(as_float, discriminator), best_image(discriminator))
    return objective.generator(jnp.zeros_like(highest), highest)


def duality_gap(players: Players, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES) -> jax.Array:
    """The duality gap of the zero-sum game, a scalar in nats: ≥ 0 up to rounding (1e-15), 0 exactly at equilibria.

        max_ψ V(θ, ψ) - inf_θ V(θ, ψ),   V = -(E s(-ℓ_real) + E s(ℓ_fake)) = E ln D(x) + E ln(1 - D(G(z)))
        = -(least loss of D against θ) + E s(-ℓ_real) + s(Σ max(u_i, 0) + c)

    D maximizes V (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1), G minimizes it: each side is what one player gets
    if it alone may move. As a measure of GANs: Grnarova et al. 2019 (arXiv:1811.05512), whose M (eq. 1) is V/2.
    A strict measure: where a plane separates, max V is 0, the most there is. So it often is after training, too: the
    tutorial's faces lie in the plane Σ x = 2, and a generator that stays beside that plane stays separable.

    A `ridge` λ ≥ 0 is a way out: the gap of the game V - λ/2 (|u|² + c²), in which no D can be sure of itself. It has
    the same equilibria. Cost: that of `best_discriminator`; for untrained players, which mostly are separable, 0.1 ms
    of processor time each in a batch of 256.
    """
    best = best_discriminator(players.generator, images, ridge, nodes=nodes).loss
    least = best_generator_loss(players.discriminator, losses.saturating)
    return _real_loss(players.discriminator, images) - least + _ridge_loss(players.discriminator, ridge) - best


def nikaido_isoda_gap(players: Players, images: Image, ridge: ArrayLike = 0.0, *, nodes: int = NODES) -> jax.Array:
    """Σ over the players of (own expected non-saturating loss - the least it could be alone), a scalar in nats.

        [E s(-ℓ_real) + E s(ℓ_fake) - min_ψ] + [E s(-ℓ_fake) - s(-(Σ max(u_i, 0) + c))]

    ≥ 0 up to rounding (1e-15), 0 exactly at equilibria. The function of Nikaido and Isoda 1955 (Note on non-cooperative
    convex games, Pacific J. Math. 5) maximized over the players' replies: the duality gap of games not zero-sum. With a
    `ridge` λ ≥ 0 D's loss has λ/2 (|u|² + c²) more, as in `duality_gap`. Cost: as `duality_gap`.
    """
    latents, weights = distributions.uniform_quadrature(nodes)
    discriminator = jax.tree.map(as_float, players.discriminator)
    fake = jax.vmap(lambda z: networks.logit(discriminator, networks.generate(players.generator, z)))(latents)
    own_discriminator = _real_loss(discriminator, images) + weights @ softplus(fake) + _ridge_loss(discriminator, ridge)
    best = best_discriminator(players.generator, images, ridge, nodes=nodes).loss
    return own_discriminator - best + weights @ softplus(-fake) - best_generator_loss(discriminator)


def restricted_jensen_shannon(generator: Generator, images: Image, *, nodes: int = NODES) -> jax.Array:
    """The Jensen-Shannon divergence as far as discriminators with affine logits can see it, a scalar in nats.

        ln 2 + ½ max_ψ V(θ, ψ) = ln 2 - ½ (least loss of D)

    Over all discriminators this is the Jensen-Shannon divergence (Goodfellow et al. 2014, arXiv:1406.2661, eq. 5-6:
    the value is -ln 4 + 2 JS). Over affine logits it is a lower bound of it, in [0, ln 2]: 0 exactly where the mean
    images agree, ln 2 exactly where a plane separates. (For five atoms against a curve the divergence itself is ln 2.)
    Cost: as `duality_gap`.
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
    w, b = quadrature.flat(generator)
    fake = jax.nn.sigmoid(latents[:, None] * w[None] + b[None])
    real = jax.vmap(lambda image: ravel_pytree(image)[0])(jax.tree.map(as_float, images))
    count = real.shape[0]
    points = jnp.concatenate([-real, fake])
    sides = jnp.concatenate([jnp.full(count, -1.0, points.dtype), jnp.ones_like(weights)])
    weights = jnp.concatenate([jnp.full(count, 1 / count, points.dtype), weights])
    return _Regression(jnp.concatenate([points, sides[:, None]], axis=1), weights, ridge)


def _loss(problem: _Regression, psi: jax.Array) -> jax.Array:
    return problem.weights @ softplus(problem.rows @ psi) + problem.ridge / 2 * (psi @ psi)


def _gradient(problem: _Regression, psi: jax.Array) -> jax.Array:
    return (problem.weights * jax.nn.sigmoid(problem.rows @ psi)) @ problem.rows + problem.ridge * psi


@jax.jit
def _newton(problem: _Regression, w: jax.Array, b: jax.Array, knots: jax.Array) -> _State:
    """The minimizer ψ of `problem`, or without a ridge the first ψ met that separates the faces from the curve."""
    identity = jnp.eye(w.size + 1, dtype=w.dtype)
    sizes = as_float(_STEP_SIZES)

    def step(state):
        psi = state.psi
        scores = problem.rows @ psi
        curvature = problem.weights * jax.nn.sigmoid(scores) * jax.nn.sigmoid(-scores)
        hessian = (problem.rows * curvature[:, None]).T @ problem.rows + problem.ridge * identity
        # A rounding error's worth of damping is felt only by directions in which all logits stand still.
        scale = jnp.trace(hessian)
        direction = -_small_linalg.solve(hessian / scale + _tolerance(3) * identity, _gradient(problem, psi) / scale)
        furthest = jnp.max(jnp.abs(problem.rows @ direction))
        tried = psi[None] + sizes[:, None] * direction[None]
        values = jax.vmap(lambda psi: _loss(problem, psi))(tried)
        near = furthest <= 0.5
        best = jnp.where(near, _FULL_STEP, jnp.nanargmin(values))
        # Near the minimum the loss stops falling a step before the gradient does: that step is still taken.
        lower = values[best] < state.loss
        psi, loss = jnp.where(near | lower, tried[best], psi), jnp.where(near | lower, values[best], state.loss)
        low = jnp.min(jnp.where(problem.rows[:, -1] < 0, -problem.rows @ psi, jnp.inf))
        high = _highest(psi[:-1], w, b, knots) + psi[-1]
        separated = low - high > _tolerance(12) * jnp.linalg.norm(psi[:-1])
        early = (problem.ridge == 0) & (separated | (loss < _tolerance(0)))
        # A full step that moves no logit by more than √ε leaves an error of ε, Newton's method being quadratic.
        return _State(psi, loss, low, high, state.step + 1, early | ~lower | (furthest <= jnp.sqrt(_tolerance(0))))

    zero = jnp.zeros_like(problem.rows[0])
    start = _State(zero, _loss(problem, zero), zero[0], zero[0], jnp.zeros((), int), jnp.zeros((), bool))
    return jax.lax.while_loop(lambda state: ~state.done & (state.step < MAX_STEPS), step, start)


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


def _overlap(problem: _Regression, psi: jax.Array) -> jax.Array:
    """The distance of two points, one of either hull: the means of the faces and of the generated images, each image
    weighted by the probability that it is mistaken. The gradient at a minimum is their difference, so 0."""
    mistaken = jnp.log(problem.weights) - softplus(-problem.rows @ psi)
    real = problem.rows[:, -1] < 0
    points = jnp.abs(problem.rows[:, :-1])
    means = [jax.nn.softmax(jnp.where(side, mistaken, -jnp.inf)) @ points for side in (real, ~real)]
    return jnp.linalg.norm(means[0] - means[1])


def _tolerance(bits: int) -> jax.Array:
    """2^bits times the rounding unit of the precision at hand."""
    return as_float(2.0**bits * jnp.finfo(jnp.result_type(float)).eps)
