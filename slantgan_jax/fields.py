"""Fields: the direction in which the players move, and its adjustments from the literature.

Conventions, once for all: each player minimizes its own loss; ξ = (∇_θ L_G, ∇_ψ L_D) is the game's own field;
J = ∂ξ is its Jacobian, with the diagonal blocks J_d and the interaction J_o; A = ½ (J - Jᵀ). A plain step is -η ξ, and

    extragradient   ξ(ω - η ξ(ω))                     = (I - η J) ξ + O(η²)
    consensus       ξ + γ Jᵀ ξ
    sga             ξ + λ Aᵀ ξ                        symplectic gradient adjustment
    cgd             (I + η J_o)⁻¹ ξ                   competitive gradient descent
    lola            (I - α J_o) ξ - α χ               learning with opponent-learning awareness
    sos             (I - α J_o) ξ - p α χ             stable opponent shaping
    unrolled        (∇_θ L_G(θ, ψ_k(θ)), ∇_ψ L_D)     G against a D that moves on by k steps
    heun, rk4       the mean slope of a Runge-Kutta step of ω' = -ξ

A *field* maps players to `Players` of directions. An *adjustment* takes the losses of a game, as a function of
the players, to a field; most adjust any field, the one given as `of`, so they nest:

    rules.simultaneous(optimizers, extragradient(0.1, of=consensus(0.5)))

Products with J and Jᵀ are `jax.jvp` and `jax.vjp`; no field makes the matrix.
Strengths and look-aheads may be traced; where one depends on the player, give `Players` of two.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg
from jax.typing import ArrayLike

from slantgan_jax.networks import Players

Losses = Callable[[Players], Players]
"""`players -> Players` of each one's own loss, scalars."""

Field = Callable[[Players], Players]
"""`players -> Players` of directions with the structure of the parameters; a step goes against it."""

Adjustment = Callable[[Losses], Field]
"""From the losses of a game to the field that a rule descends."""

Rates = ArrayLike | Players
"""One number for both players, or `Players` of one for each."""


def gradients(losses: Losses) -> Field:
    """ξ = (∇_θ L_G, ∇_ψ L_D): each player's gradient of its own loss."""
    return lambda players: Players(*(_slope(losses, players, of=i, by=i) for i in range(2)))


def extragradient(lookahead: Rates, of: Adjustment = gradients) -> Adjustment:
    """ξ(ω - η ξ(ω)): the field one step of size `lookahead` ahead, on the same sample.

    Korpelevich 1976, "The extragradient method for finding saddle points and other problems"; for GANs Gidel et al.
    2019 (arXiv:1802.10551), section 3.2. The method itself has η equal to the learning rate.
    """

    def adjusted(losses: Losses) -> Field:
        field = of(losses)
        return lambda players: field(descended(players, lookahead, field(players)))

    return adjusted


def consensus(strength: Rates, of: Adjustment = gradients) -> Adjustment:
    """ξ + γ Jᵀξ = ξ + γ ∇ ½‖ξ‖². Mescheder, Nowozin & Geiger 2017 (arXiv:1705.10461), eq. 11."""

    def adjusted(losses: Losses) -> Field:
        field = of(losses)

        def direction(players: Players) -> Players:
            xi, transposed = jax.vjp(field, players)
            return _sum(xi, _times(strength, transposed(xi)[0]))

        return direction

    return adjusted


def sga(strength: Rates, align: bool = False, of: Adjustment = gradients) -> Adjustment:
    """ξ + λ Aᵀξ with A = ½ (J - Jᵀ): symplectic gradient adjustment. Balduzzi et al. 2018 (arXiv:1802.05642), eq. 4.

    With `align` λ has the sign of ⟨ξ, Jᵀξ⟩ ⟨Aᵀξ, Jᵀξ⟩ / d + 1/10, for d parameters (their section 3.5, algorithm 1), so
    that it attracts to stable and repels from unstable fixed points. That depends on the scale of ξ.
    """

    def adjusted(losses: Losses) -> Field:
        field = of(losses)

        def direction(players: Players) -> Players:
            xi, transposed = jax.vjp(field, players)
            hamiltonian = transposed(xi)[0]
            along = jax.jvp(field, (players,), (xi,))[1]
            turned = jax.tree.map(lambda a, b: (a - b) / 2, hamiltonian, along)
            sign: ArrayLike = 1
            if align:
                count = sum(leaf.size for leaf in jax.tree.leaves(xi))
                sign = jnp.sign(_inner(xi, hamiltonian) * _inner(turned, hamiltonian) / count + 0.1)
            return _sum(xi, _times(strength, jax.tree.map(lambda a: sign * a, turned)))

        return direction

    return adjusted


def cgd(lookahead: Rates, of: Adjustment = gradients) -> Adjustment:
    """(I + η J_o)⁻¹ ξ: each player's best answer to the other's, in the bilinear model of the losses.

        Δθ = -η (I - η² D_θψL_G D_ψθL_D)⁻¹ (∇_θL_G - η D_θψL_G ∇_ψL_D),   likewise Δψ,   η the learning rate

    Schäfer & Anandkumar 2019 (arXiv:1905.12103), eq. 4. The linear system is solved to rounding by
    conjugate gradients on its normal equations, in at most twice as many iterations as there are parameters.
    """

    def adjusted(losses: Losses) -> Field:
        field = of(losses)

        def direction(players: Players) -> Players:
            xi, along = jax.linearize(field, players)
            nothing = jax.tree.map(jnp.zeros_like, xi)

            def model(v: Players) -> Players:
                """(I + η J_o) v: a player's answer is to the other's step, which has the other's rate."""
                steps = _times(lookahead, v)
                to_discriminator = along(nothing._replace(discriminator=steps.discriminator)).generator
                to_generator = along(nothing._replace(generator=steps.generator)).discriminator
                return _sum(v, Players(to_discriminator, to_generator))

            transposed = jax.linear_transpose(model, xi)
            count = sum(leaf.size for leaf in jax.tree.leaves(xi))
            return cg(
                lambda v: transposed(model(v))[0], transposed(xi)[0], x0=xi, tol=_rounding(xi), maxiter=2 * count
            )[0]

        return direction

    return adjusted


def lola(lookahead: Rates) -> Adjustment:
    """(I - α J_o) ξ - α χ: each descends L_own - α ⟨∇_other L_own, ∇_other L_other⟩, α the other's `lookahead`.

    χ = diag(J_oᵀ ∇L). Foerster et al. 2018 (arXiv:1709.04326), section 4.2, in the form of Letcher et al. 2019
    (arXiv:1811.08469), section 2.2, which keeps the derivative of the whole first-order term.
    """

    def adjusted(losses: Losses) -> Field:
        def direction(players: Players) -> Players:
            return _sum(*_shaping(losses, lookahead, players)[1:])

        return direction

    return adjusted


def sos(lookahead: Rates, a: jax.Array | float = 0.5, b: jax.Array | float = 0.1) -> Adjustment:
    """ξ₀ - p α χ with ξ₀ = (I - α J_o) ξ: `lola`, its shaping term scaled by p ∈ [0, 1].

        p₁ = 1 if ⟨-α χ, ξ₀⟩ ≥ 0, else min(1, -a ‖ξ₀‖² / ⟨-α χ, ξ₀⟩)
        p₂ = ‖ξ‖² if ‖ξ‖ < b, else 1,   p = min(p₁, p₂)

    Letcher et al. 2019 (arXiv:1811.08469), algorithm 1: stable opponent shaping. With p = 0 it is their LookAhead.
    """

    def adjusted(losses: Losses) -> Field:
        def direction(players: Players) -> Players:
            xi, ahead, shaping = _shaping(losses, lookahead, players)
            agreement = _inner(shaping, ahead)
            opposed = agreement < 0
            p1 = jnp.where(opposed, jnp.minimum(1, -a * _inner(ahead, ahead) / jnp.where(opposed, agreement, 1)), 1)
            square = _inner(xi, xi)
            p2 = jnp.where(square < b**2, square, 1)
            return _sum(ahead, _times(jnp.minimum(p1, p2), shaping))

        return direction

    return adjusted


def unrolled(steps: int, lookahead: ArrayLike) -> Adjustment:
    """(∇_θ L_G(θ, ψ_k(θ)), ∇_ψ L_D): G sees D after k `steps` of gradient descent, and differentiates through them.

        ψ_0 = ψ,   ψ_{i+1} = ψ_i - η ∇_ψ L_D(θ, ψ_i)

    Metz et al. 2017 (arXiv:1611.02163), section 2.2; η is `lookahead`, k is static. D's own step is the plain one.

    Raises:
      ValueError: `steps` is negative.
    """
    if steps < 0:
        raise ValueError(f"unrolled by {steps} steps: give 0 or more")

    def adjusted(losses: Losses) -> Field:
        def surrogate(players: Players) -> Players:
            ahead = players
            for _ in range(steps):
                ahead = ahead._replace(
                    discriminator=descended(ahead, lookahead, gradients(losses)(ahead)).discriminator
                )
            return Players(losses(ahead).generator, losses(players).discriminator)

        return gradients(surrogate)

    return adjusted


def heun(step: Rates, of: Adjustment = gradients) -> Adjustment:
    """½ (k₁ + k₂) with k₁ = ξ(ω), k₂ = ξ(ω - h k₁): Heun's step of ω' = -ξ(ω), for a learning rate of h = `step`.

    Qin et al. 2020 (arXiv:2010.15040), section 3 ("RK2").
    """

    def adjusted(losses: Losses) -> Field:
        field = of(losses)

        def direction(players: Players) -> Players:
            k1 = field(players)
            k2 = field(descended(players, step, k1))
            return jax.tree.map(lambda a, b: a + (b - a) / 2, k1, k2)

        return direction

    return adjusted


def rk4(step: Rates, of: Adjustment = gradients) -> Adjustment:
    """(k₁ + 2 k₂ + 2 k₃ + k₄) / 6: the classical Runge-Kutta step of ω' = -ξ(ω), for a learning rate of h = `step`.

    k₁ = ξ(ω), k₂ = ξ(ω - ½ h k₁), k₃ = ξ(ω - ½ h k₂), k₄ = ξ(ω - h k₃). Qin et al. 2020
    (arXiv:2010.15040), section 3.
    """

    def adjusted(losses: Losses) -> Field:
        field = of(losses)

        def direction(players: Players) -> Players:
            half = Players(*(h / 2 for h in _each(step)))
            k1 = field(players)
            k2 = field(descended(players, half, k1))
            k3 = field(descended(players, half, k2))
            k4 = field(descended(players, step, k3))
            # As differences from k1, which are exactly 0 for a step of 0.
            return jax.tree.map(lambda a, b, c, d: a + (2 * (b - a) + 2 * (c - a) + (d - a)) / 6, k1, k2, k3, k4)

        return direction

    return adjusted


def jacobian(field: Field, players: Players) -> jax.Array:
    """J = ∂`field` at `players`, `[n, n]`, rows and columns in the order of the leaves: G's parameters, then D's."""
    flat, unravel = ravel_pytree(players)
    return jax.jacfwd(lambda x: ravel_pytree(field(unravel(x)))[0])(flat)


def descended(players: Players, rates: Rates, direction: Players) -> Players:
    """`players` - rate · `direction`, with each player's own rate."""
    return Players(
        *(
            jax.tree.map(lambda p, d, rate=rate: p - rate * d, own, way)
            for own, rate, way in zip(players, _each(rates), direction, strict=True)
        )
    )


def _slope(losses: Losses, players: Players, of: int, by: int) -> Any:
    """The gradient of loss number `of` by the parameters of player `by`."""
    return jax.grad(lambda own: losses(_with(players, by, own))[of])(players[by])


def _shaping(losses: Losses, lookahead: Rates, players: Players) -> tuple[Players, Players, Players]:
    """ξ, ξ₀ = (I - α J_o) ξ and -α χ, from one vector-Jacobian product each for each player."""
    xi, ahead, shaping = gradients(losses)(players), [], []
    for own, other in ((0, 1), (1, 0)):
        (cross, theirs), pullback = jax.vjp(
            lambda parameters, own=own, other=other: tuple(
                _slope(losses, _with(players, own, parameters), of=loss, by=other) for loss in (own, other)
            ),
            players[own],
        )
        rate, nothing = _each(lookahead)[other], jax.tree.map(jnp.zeros_like, cross)
        ahead.append(jax.tree.map(lambda a, b, rate=rate: a - rate * b, xi[own], pullback((theirs, nothing))[0]))
        shaping.append(jax.tree.map(lambda a, rate=rate: -rate * a, pullback((nothing, cross))[0]))
    return xi, Players(*ahead), Players(*shaping)


def _with(players: Players, index: int, parameters: Any) -> Players:
    return Players(*(parameters if i == index else players[i] for i in range(2)))


def _each(rates: Rates) -> Players:
    return rates if isinstance(rates, Players) else Players(rates, rates)


def _times(rates: Rates, tree: Players) -> Players:
    return Players(
        *(jax.tree.map(lambda x, rate=rate: rate * x, own) for rate, own in zip(_each(rates), tree, strict=True))
    )


def _rounding(tree: Any) -> float:
    """A relative residual near the precision of `tree`."""
    return 4 * float(jnp.finfo(jnp.result_type(*jax.tree.leaves(tree))).eps)


def _sum(one: Players, other: Players) -> Players:
    return jax.tree.map(jnp.add, one, other)


def _inner(one: Players, other: Players) -> jax.Array:
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda a, b: jnp.sum(a * b), one, other))
