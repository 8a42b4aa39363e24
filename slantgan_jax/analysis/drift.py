"""How the noise of sampling moves a run along the equilibria: its mean velocity and its diffusion, to leading order.

Along the surface of equilibria (see `equilibria`) the field is 0: nothing holds the weights w in their place. Sampling
z makes D's step random, by -η f (G(z) - m) in u, and from there it comes to w. With the derivatives -a and -a' of L_G
and f of L_D in the logit of the generated image, at an undecided D (a = f = ½; a' = -¼ for the non-saturating loss, +¼
for the saturating one), σ'_i = x_i (1 - x_i) at pixel i, and

    ζ_i = E[z σ'_i] / E[σ'_i],   κ_i = 1 / (1 + ζ_i²),   C_ij = E[(z - ζ_i) σ'_i x_j],

G moves pixel i by η u_i (a + a' ℓ) σ'_i (z, 1) in (w_i, b_i). To first order in u that is, in the mean, along (ζ_i, 1),
across the surface, whose tangent is (1, -ζ_i): w comes back as u swings. What does not come back:

1. *The shared latent.* Where D has just stepped on the G(z) that G now learns from, u_i is lower by η f (x_i - m_i) for
   this very z. In the mean, w_i moves by -η² κ_i a f C_ii a step. C_ii has the sign of w_i: the generator collapses,
   for small w as dw_i/dn = -η² (m_i (1 - m_i))² w_i / 60.
2. *The slope in the logit.* a' ℓ adds η κ_i a' Σ_j C_ij E[u_i u_j] a step. Sampling keeps E[u uᵀ] = η X alive, with X
   from the Lyapunov equation of the linearized flow: η² again. For a' < 0 it shrinks |w|² at each of 600 random w
   (normal, of standard deviation 0.5 to 3), though one weight in ten grows, by 0.1 to 37 % of what 1 does; for a' > 0
   it is the opposite of that.
3. *Chance.* Products of the fluctuating u with G's random (z - ζ_i) σ'_i and with D's random step make w diffuse, of
   a variance of order η² E[u²] = O(η³) a step. To order η² nothing diffuses: at u = 0 no noise acts on G.

The method is the reduction of noisy dynamics to a manifold of equilibria (Katzenberger 1991, Ann. Probab. 19; for
stochastic gradient descent Li, Wang & Arora 2022, arXiv:2110.06914): the limit of the flow, Φ(ω) = W + ½ vᵀ K v in the
fast variables v, is what only noise changes. W is `equilibria.landing`. The derivation of K is in `along`.

The faces are no noise here: they come in turn, so that what one does to u the others undo within an epoch. (What they
leave of u, of order η, keeps a collapsed generator at w of a few thousandths at η = 0.3.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from slantgan_jax import losses
from slantgan_jax.analysis import equilibria, quadrature
from slantgan_jax.losses import Objective
from slantgan_jax.types import Image


class Motion(NamedTuple):
    """Motion of the weights w along the equilibria, by plain gradient descent at rate η; n counts steps.

    It holds once u fluctuates as it will, after a few times 1 / (2 η |Re λ|) steps, λ the flow's slowest eigenvalue but
    for the zeros: 1e4 steps at η = 0.1. As w itself swings with u, read it by `equilibria.landing`.

    Attributes:
      velocity: V `[pixels]`: d E[w] / dn = η² V.
      diffusion: D `[pixels, pixels]`, symmetric: d Cov[w] / dn = 2 η³ D, beside what the gradient of V does to Cov[w].
      fluctuation: X `[pixels, pixels]`, symmetric: Cov[u] = η X for the weights u of D.
      limit: K `[pixels, 2 pixels + 1, 2 pixels + 1]`, symmetric in the last two: without noise a run that starts at
        v ends at w_i + ½ vᵀ K_i v, v = (β, u, c) with the biases and weights at (b + β, w + ζ β), for small v.
    """

    velocity: jax.Array
    diffusion: jax.Array
    fluctuation: jax.Array
    limit: jax.Array


def along(
    weights: Image,
    images: Image,
    objective: Objective = losses.non_saturating,
    *,
    shared_latent: bool = True,
    discriminator_first: bool = True,
) -> Motion:
    """The motion of w at `equilibria.equilibrium(weights, images)` under sampled training, to leading order in η.

        V_i = -κ_i a f C_ii + κ_i a' Σ_j C_ij X_ij              (the first where D moves first and z is shared)
        A X + X Aᵀ + f² Cov[G(z)] = 0                           (Cov in the block of u)
        Aᵀ K_i + K_i A = -κ_i a' (e_i C_iᵀ + C_i e_iᵀ)          (in the block of u)
        2 D_ij = tr E[g_i g_jᵀ] X,   g_i = κ_i a (z' - ζ_i) σ'_i(z') e_i - f K_i (G(z) - m)

    with z' = z where it is shared, and A the Jacobian of the flow in v = (β, u, c):

        dβ/dt = a s u,   du/dt = -H u - h c - f s (1 + ζ²) β,   dc/dt = -h·u - h₀ c,   s = E σ'

    where H, h and h₀ are the means of D's curvature times x xᵀ, x and 1 over real and generated images. The symbols are
    those of the module's text.

    One latent and one image a step, in the order of `rules.tutorial`, `rules.alternating` or (`discriminator_first`
    False) `rules.simultaneous`. To leading order in η: what is left out is relatively of the order of η over the
    largest stable rate.

    Args:
      weights: w of the equilibrium, an image.
      images: the data set.
      objective: what the players minimize; D's loss needs curvature, else nothing damps the oscillation and all is NaN,
        infinite or without meaning.
      shared_latent: whether G's step has the latent of D's; False for `slanted_land(independent_latents=True)`.
      discriminator_first: whether G meets a D that has stepped on the same sample already.

    Returns:
      `Motion`, meant for float64. It costs linear systems in (2 pixels + 1)² unknowns: LAPACK, so not inside a `sweep`.
    """
    players = equilibria.equilibrium(weights, images, objective)
    generator = quadrature.flat(players.generator)
    data = quadrature.flat_images(generator, images)
    pixels = data.shape[1]
    latents, chances = (leaf.reshape(-1) for leaf in quadrature.panel_rule(quadrature.panel_edges(generator)))
    x = quadrature.generated(generator, latents)
    mean = jnp.mean(data, axis=0)
    steep = x * (1 - x)
    s = chances @ steep
    zeta = (chances * latents) @ steep / s
    kappa = 1 / (1 + zeta**2)
    beside = (latents[:, None] - zeta[None]) * steep
    mixed = (chances[:, None] * beside).T @ x  # C
    slopes = _slopes(objective, players.discriminator.bias)

    real, fake, both = slopes.curvatures
    curve = real * data.T @ data / len(data) + fake * (chances[:, None] * x).T @ x + both * jnp.outer(mean, mean)
    whole = real + fake + both
    b, u, c = slice(0, pixels), slice(pixels, 2 * pixels), 2 * pixels
    flow = jnp.zeros((2 * pixels + 1, 2 * pixels + 1), x.dtype)
    flow = flow.at[b, u].set(jnp.diag(slopes.pull * s)).at[u, b].set(-jnp.diag(slopes.push * s / kappa))
    flow = flow.at[u, u].set(-curve).at[u, c].set(-whole * mean).at[c, u].set(-whole * mean).at[c, c].set(-whole)

    noise = jnp.zeros((len(latents), len(flow)), x.dtype).at[:, u].set(-slopes.push * (x - mean[None]))
    alive = _lyapunov(flow, (chances[:, None] * noise).T @ noise)
    one = jnp.eye(pixels, dtype=x.dtype)
    rows = slopes.bend * kappa[:, None] * mixed
    halves = jnp.zeros((pixels, *flow.shape), x.dtype).at[:, u, u].set(one[:, :, None] * rows[:, None, :])
    limit = jax.vmap(lambda half: _lyapunov(flow.T, half + half.T))(halves)

    velocity = jnp.sum(rows * alive[u, u], axis=1)
    if shared_latent and discriminator_first:
        velocity = velocity - slopes.pull * slopes.push * kappa * jnp.diag(mixed)
    of_generator = jnp.zeros((len(latents), pixels, len(flow)), x.dtype)
    of_generator = of_generator.at[:, :, u].set(slopes.pull * one[None] * (kappa[None] * beside)[:, :, None])
    of_discriminator = jnp.einsum("na,iab->nib", noise, limit)
    moves = (of_generator + of_discriminator,) if shared_latent else (of_generator, of_discriminator)
    diffusion = sum(jnp.einsum("n,nia,njb,ab->ij", chances, move, move, alive) for move in moves) / 2
    return Motion(velocity, jnp.asarray(diffusion), alive[u, u], limit)


class _Slopes(NamedTuple):
    """Derivatives of an objective in the logits, at an undecided D: a, a', f, and those of L_D by (real, real),
    (fake, fake) and twice (real, fake)."""

    pull: jax.Array
    bend: jax.Array
    push: jax.Array
    curvatures: tuple[jax.Array, jax.Array, jax.Array]


def _slopes(objective: Objective, c: jax.Array) -> _Slopes:
    def of_discriminator(real, fake):
        return jnp.asarray(sum(term(real, fake) for term in objective.discriminator))

    (rr, rf), (_, ff) = jax.hessian(of_discriminator, (0, 1))(c, c)
    by_fake = jax.grad(objective.generator, 1)
    push = jax.grad(of_discriminator, 1)(c, c)
    return _Slopes(-by_fake(c, c), -jax.grad(by_fake, 1)(c, c), push, (rr, ff, 2 * rf))


def _lyapunov(matrix: jax.Array, source: jax.Array) -> jax.Array:
    """The symmetric X with M X + X Mᵀ + S = 0, `[n, n]`, from n² linear equations.

    `noise.stationary_covariance` is of steps, by eigenvectors, of which JAX has no derivatives; here X has them.
    """
    one = jnp.eye(len(matrix), dtype=matrix.dtype)
    both = jnp.kron(matrix, one) + jnp.kron(one, matrix)
    found = jnp.linalg.solve(both, -source.reshape(-1)).reshape(source.shape)
    return (found + found.T) / 2
