"""Transforms that reckon with what the opponents do: their answers, their next steps, their slopes."""

import functools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_flag, check_number, check_players, check_rates
from slantgan_jax.fields._arithmetic import each_rate, inner_product, like_players, times, total, with_player
from slantgan_jax.fields._field import Field, Losses, Transform, gradient_by, gradients, loss_of, slope_of, step_along
from slantgan_jax.fields._of_fields import check_strength, of_field
from slantgan_jax.numerics import plain, power_of_two, squared_norm
from slantgan_jax.types import Rates


def cgd(step_size: Rates, inner: Transform = gradients) -> Transform:
    """(I + η J_o)⁻¹ ξ: each player's best answer to the steps of the others, in the bilinear model of the losses.

    η is the learning rate. Schäfer & Anandkumar 2019 (arXiv:1905.12103), eq. 4. The system is solved by conjugate
    gradients of its normal equations. The relative error is at most six times the condition of I + η J_o times the
    precision, for bilinear games with a condition of up to 10 and η up to 1000. All is computed in the largest
    precision of the players, and in at least 32 bits.
    """
    check_strength("the step size of cgd", step_size, inner)

    def direction(field: Field, players: Any) -> Any:
        common = jnp.result_type(jnp.float32, *map(jnp.result_type, jax.tree.leaves(players)))
        wide = jax.tree.map(lambda x: jnp.asarray(x, common), players)
        return jax.tree.map(lambda x, y: x.astype(jnp.result_type(y)), _best_answer(step_size, field, wide), players)

    return of_field(inner, direction)


def lola(opponent_step_size: Rates) -> Transform:
    """(I - α J_o) ξ - α χ, χ = diag(J_oᵀ ∇L): each player descends L_own - Σ_other α ⟨∇_other L_own, ∇_other L_other⟩.

    Foerster et al. 2018 (arXiv:1709.04326), section 4.2, in the form of Letcher et al. 2019 (arXiv:1811.08469), section
    2.2. α is the `opponent_step_size`.
    """
    check_rates("the opponent step size of lola", opponent_step_size, 0)

    return lambda losses: lambda players: total(*_shaping(losses, opponent_step_size, players)[1:])


def sos(opponent_step_size: Rates, a: jax.Array | float = 0.5, b: jax.Array | float = 0.1) -> Transform:
    """ξ₀ - p α χ with ξ₀ = (I - α J_o) ξ: `lola`, its shaping term scaled by p ∈ [0, 1].

        p₁ = 1 if ⟨-α χ, ξ₀⟩ ≥ 0, else min(1, -a ‖ξ₀‖² / ⟨-α χ, ξ₀⟩)
        p₂ = ‖ξ‖² if ‖ξ‖ < b, else 1,   p = min(p₁, p₂)

    Letcher et al. 2019 (arXiv:1811.08469), algorithm 1: stable opponent shaping.
    """
    check_rates("the opponent step size of sos", opponent_step_size, 0)
    check_number("a of sos", a, 0)
    check_number("b of sos", b, 0)
    a, b = plain(a), plain(b)

    def direction(losses: Losses, players: Any) -> Any:
        xi, ahead, shaping = _shaping(losses, opponent_step_size, players)
        agreement = inner_product(shaping, ahead)
        opposed = agreement < 0
        p1 = jnp.where(opposed, jnp.minimum(1, a * inner_product(ahead, ahead) / jnp.where(opposed, -agreement, 1)), 1)
        square = inner_product(xi, xi)
        p2 = jnp.where(square < b**2, square, 1)
        return total(ahead, times(jnp.minimum(p1, p2), shaping))

    return lambda losses: partial(direction, losses)


def unrolled(steps: int, step_size: ArrayLike, *, everyone: bool = False, through: bool = True) -> Transform:
    """(∇_θ L_G(θ, ψ_k(θ)), ∇_ψ L_D): G sees D after k `steps` of gradient descent, and differentiates through them.

        ψ_0 = ψ,   ψ_{i+1} = ψ_i - η ∇_ψ L_D(θ, ψ_i),   η = `step_size`, k static

    In a game of more players the first one is G, and all others move on together. Metz et al. 2017 (arXiv:1611.02163),
    section 2.2.

    Args:
      steps, step_size: k and η.
      everyone: whether all players, and not only the first one, see the others so.
      through: whether the derivative is taken through the steps. Without, ψ_k counts as constant, as in the published
        code of Chavdarova et al. 2021 (arXiv:2006.14567) and in several others.

    Raises:
      ValueError: `steps` is not a whole number of at least 0.
    """
    steps = check_count("the number of unrolled steps", steps, 0)
    check_number("the step size of unrolled", step_size, 0)
    check_flag("everyone", everyone)
    check_flag("through", through)

    def adjusted(losses: Losses) -> Field:
        field = jax.jit(lambda players: gradients(losses)(players))  # traced once, not once for each step

        def seen(players: Any, own: int) -> Any:
            ahead = players
            for _ in range(steps):
                ahead = with_player(step_along(ahead, step_size, field(ahead)), own, players[own])
            return ahead

        def slope(players: Any, own: int) -> Any:
            if not everyone and own != 0:
                return slope_of(losses, players, of=own, by=own)
            if not through:  # the place ahead moves with the players, but not with what the derivative is taken by
                return slope_of(losses, seen(players, own), of=own, by=own)
            return gradient_by(lambda players: loss_of(losses, own, seen(players, own)), players, by=own)

        return lambda players: like_players(check_players(players), (slope(players, i) for i in range(len(players))))

    return adjusted


def opponent_penalty(strength: Rates, inner: Transform = gradients) -> Transform:
    """ξ_i + γ_i ∇_i Σ_{j ≠ i} ‖∇_j L_j‖²: each player also minimizes the slopes that the others have.

    `inner` is the field to which the penalty is added; inside `rk4(h, inner=opponent_penalty(γ))` the penalty takes
    part in the stages. With `Players(γ, 0)`, G has the penalty γ ‖∇_D V‖² of Nagarajan & Kolter 2017
    (arXiv:1706.04156), section 4; with `Players(0, γ)`, D has the penalty γ ‖∇_G L_G‖² of Qin et al. 2020
    (arXiv:2010.15040), section 3.3.
    """
    check_strength("the strength of opponent_penalty", strength, inner)

    def slopes(losses: Losses, players: Any, own: int, parameters: Any) -> jax.Array:
        moved = with_player(players, own, parameters)
        others = (j for j in range(len(players)) if j != own)
        return functools.reduce(jnp.add, (squared_norm(slope_of(losses, moved, of=j, by=j)) for j in others))

    def direction(losses: Losses, field: Field, players: Any) -> Any:
        added = [
            jax.tree.map(jnp.zeros_like, own)
            if len(players) == 1 or (isinstance(rate, int | float) and rate == 0)
            else jax.grad(partial(slopes, losses, players, i))(own)
            for i, (own, rate) in enumerate(zip(players, each_rate(strength, players), strict=True))
        ]
        return total(field(players), times(strength, like_players(players, added)))

    return lambda losses: partial(direction, losses, inner(losses))


def _best_answer(step_size: Rates, field: Field, players: Any) -> Any:
    """The v with (I + η J_o) v = ξ, of `cgd`."""
    xi, along = jax.linearize(field, players)
    scale = power_of_two(xi)  # the squares of small or large numbers are no normal numbers
    xi = jax.tree.map(lambda x: x / scale, xi)
    still = jax.tree.map(jnp.zeros_like, xi)

    def model(v: Any) -> Any:
        """(I + η J_o) v: a player answers the steps of the others, each with the rate of its own."""
        steps = times(step_size, v)
        felt = [along(with_player(still, j, steps[j])) for j in range(len(v))]
        return like_players(v, (total(v[i], *(felt[j][i] for j in range(len(v)) if j != i)) for i in range(len(v))))

    transposed = jax.linear_transpose(model, xi)
    count = sum(leaf.size for leaf in jax.tree.leaves(xi))
    # Of the multiples of ξ the best one to start from. From ξ itself, large steps would lose digits.
    image = model(xi)
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(xi)))
    share = inner_product(xi, image) / jnp.maximum(inner_product(image, image), float(precision.tiny))
    start = jax.tree.map(lambda x: share.astype(x.dtype) * x, xi)
    tolerance = 4 * float(precision.eps)  # a relative residual near rounding
    normal, right = lambda v: transposed(model(v))[0], transposed(xi)[0]
    right, start = jax.tree.map(_mapped_first, (right, start))
    solved = cg(normal, right, x0=start, tol=tolerance, maxiter=2 * count)[0]
    return jax.tree.map(lambda x: x * scale, solved)


def _mapped_first(x: jax.Array) -> jax.Array:
    """`x`; where a derivative or `vmap` maps it, the mapped axis becomes the first, as `cg` needs it of all arrays."""
    return jnp.squeeze(x[None], 0) if jnp.ndim(x) else x


def _shaping(losses: Losses, step_size: Rates, players: Any) -> tuple[Any, Any, Any]:
    """ξ, ξ₀ = (I - α J_o) ξ and -α χ, from vector-Jacobian products of each player with each other."""
    xi, rates = gradients(losses)(players), each_rate(step_size, players)
    ahead, shaping = [], []
    for own in range(len(players)):
        plain, shaped = xi[own], None
        for other in range(len(players)):
            if other == own:
                continue
            (cross, theirs), pullback = jax.vjp(
                lambda parameters, own=own, other=other: tuple(
                    slope_of(losses, with_player(players, own, parameters), of=loss, by=other) for loss in (own, other)
                ),
                players[own],
            )
            rate, zero = rates[other], jax.tree.map(jnp.zeros_like, cross)
            plain = jax.tree.map(lambda a, b, rate=rate: a - rate * b, plain, pullback((theirs, zero))[0])
            term = jax.tree.map(lambda a, rate=rate: -(rate * a), pullback((zero, cross))[0])
            shaped = term if shaped is None else total(shaped, term)
        ahead.append(plain)
        shaping.append(jax.tree.map(jnp.zeros_like, plain) if shaped is None else shaped)
    return xi, like_players(players, ahead), like_players(players, shaping)
