"""Fields: the direction in which the players move, and its transforms from the literature.

A *field* maps players to `Players` of directions. A *transform* takes the losses of a game, as a function of the
players, to a field. Most transform any field, the one given as `inner`, so they nest:

    rules.simultaneous(optimizer, extragradient(0.1, inner=consensus(0.5)))

Strengths and step sizes may be traced. If one depends on the player, give `Players` of numbers. The symbols ξ, J, J_o
and A are those of docs/methods/index.md#conventions; docs/methods/adjustments.md compares all fields.

All functions raise `ValueError` for a strength or step size that is not finite, or that is negative (`sga` takes
negative ones), and for an `inner` that is no transform.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg
from jax.typing import ArrayLike

from slantgan_jax.checks import (
    check_count,
    check_flag,
    check_function,
    check_moving,
    check_names,
    check_number,
    check_players,
    check_rates,
    check_scalar,
    shown,
)
from slantgan_jax.games import SampleLosses
from slantgan_jax.numerics import as_float, power_of_two, rk4_slope, squared_norm
from slantgan_jax.types import Rates

Losses = Callable[[Any], Any]
"""`players -> losses`: for each player its own loss, a scalar."""

Field = Callable[[Any], Any]
"""`players -> directions`, with the structure of the parameters. A step goes against the direction."""

Transform = Callable[[Losses], Field]
"""From the losses of a game to the field that a rule descends."""


def gradients(losses: Losses) -> Field:
    """ξ = (∇_i L_i): each player's gradient of its own loss."""
    check_function("losses", losses, "players")
    return lambda players: _like(
        check_moving(players), (_slope(losses, players, of=i, by=i) for i in range(len(players)))
    )


def extragradient(
    step_size: Rates, inner: Transform = gradients, *, project: Callable[[Any], Any] | None = None
) -> Transform:
    """ξ(ω - η ξ(ω)): the field one step of size `step_size` η ahead, on the same sample.

    Korpelevich 1976, "The extragradient method for finding saddle points and other problems"; for GANs Gidel et al.
    2019 (arXiv:1802.10551), section 3.2. In the method itself η is the learning rate. Where players are constrained,
    `project`: `players -> players` takes the place ahead back into the constraints.
    """
    _check("the step size of extragradient", step_size, inner)

    def direction(field: Field, players: Any) -> Any:
        ahead = step_along(players, step_size, field(players))
        return field(ahead if project is None else project(ahead))

    return _of_field(inner, direction)


def consensus(strength: Rates, inner: Transform = gradients) -> Transform:
    """ξ + γ Jᵀξ = ξ + γ ∇ ½‖ξ‖². Mescheder, Nowozin & Geiger 2017 (arXiv:1705.10461), eq. 11."""
    _check("the strength of consensus", strength, inner)

    def direction(field: Field, players: Any) -> Any:
        xi, transposed = jax.vjp(field, players)
        return _sum(xi, _times(strength, transposed(xi)[0]))

    return _of_field(inner, direction)


def sga(strength: Rates, align: bool = False, inner: Transform = gradients) -> Transform:
    """ξ + λ Aᵀξ with A = ½ (J - Jᵀ): symplectic gradient adjustment. Balduzzi et al. 2018 (arXiv:1802.05642), eq. 4.

    With `align` λ has the sign of ⟨ξ, Jᵀξ⟩ ⟨Aᵀξ, Jᵀξ⟩ / d + 1/10, for d parameters (their section 3.5, algorithm 1).
    """
    _check("the strength of sga", strength, inner, -math.inf)
    check_flag("align", align)

    def direction(field: Field, players: Any) -> Any:
        xi, transposed = jax.vjp(field, players)
        hamiltonian = transposed(xi)[0]
        along = jax.jvp(field, (players,), (xi,))[1]
        turned = jax.tree.map(lambda a, b: (a - b) / 2, hamiltonian, along)
        sign: ArrayLike = 1
        if align:
            count = sum(leaf.size for leaf in jax.tree.leaves(xi))
            sign = jnp.sign(_inner(xi, hamiltonian) * _inner(turned, hamiltonian) / count + 0.1)
        return _sum(xi, _times(strength, _times(sign, turned)))

    return _of_field(inner, direction)


def cgd(step_size: Rates, inner: Transform = gradients) -> Transform:
    """(I + η J_o)⁻¹ ξ: each player's best answer to the steps of the others, in the bilinear model of the losses.

    η is the learning rate. Schäfer & Anandkumar 2019 (arXiv:1905.12103), eq. 4. The system is solved by conjugate
    gradients of its normal equations. The relative error is at most six times the condition of I + η J_o times the
    precision, for bilinear games with a condition of up to 10 and η up to 1000. All is computed in the largest
    precision of the players, and in at least 32 bits.
    """
    _check("the step size of cgd", step_size, inner)

    def direction(field: Field, players: Any) -> Any:
        common = jnp.result_type(jnp.float32, *map(jnp.result_type, jax.tree.leaves(players)))
        wide = jax.tree.map(lambda x: jnp.asarray(x, common), players)
        return jax.tree.map(lambda x, y: x.astype(jnp.result_type(y)), _best_answer(step_size, field, wide), players)

    return _of_field(inner, direction)


def lola(opponent_step_size: Rates) -> Transform:
    """(I - α J_o) ξ - α χ, χ = diag(J_oᵀ ∇L): each player descends L_own - Σ_other α ⟨∇_other L_own, ∇_other L_other⟩.

    Foerster et al. 2018 (arXiv:1709.04326), section 4.2, in the form of Letcher et al. 2019 (arXiv:1811.08469), section
    2.2. α is the `opponent_step_size`.
    """
    check_rates("the opponent step size of lola", opponent_step_size, 0)

    return lambda losses: lambda players: _sum(*_shaping(losses, opponent_step_size, players)[1:])


def sos(opponent_step_size: Rates, a: jax.Array | float = 0.5, b: jax.Array | float = 0.1) -> Transform:
    """ξ₀ - p α χ with ξ₀ = (I - α J_o) ξ: `lola`, its shaping term scaled by p ∈ [0, 1].

        p₁ = 1 if ⟨-α χ, ξ₀⟩ ≥ 0, else min(1, -a ‖ξ₀‖² / ⟨-α χ, ξ₀⟩)
        p₂ = ‖ξ‖² if ‖ξ‖ < b, else 1,   p = min(p₁, p₂)

    Letcher et al. 2019 (arXiv:1811.08469), algorithm 1: stable opponent shaping.
    """
    check_rates("the opponent step size of sos", opponent_step_size, 0)
    check_number("a of sos", a, 0)
    check_number("b of sos", b, 0)

    def direction(losses: Losses, players: Any) -> Any:
        xi, ahead, shaping = _shaping(losses, opponent_step_size, players)
        agreement = _inner(shaping, ahead)
        opposed = agreement < 0
        p1 = jnp.where(opposed, jnp.minimum(1, -a * _inner(ahead, ahead) / jnp.where(opposed, agreement, 1)), 1)
        square = _inner(xi, xi)
        p2 = jnp.where(square < b**2, square, 1)
        return _sum(ahead, _times(jnp.minimum(p1, p2), shaping))

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
    check_count("the number of unrolled steps", steps, 0)
    check_number("the step size of unrolled", step_size, 0)
    check_flag("everyone", everyone)
    check_flag("through", through)

    def adjusted(losses: Losses) -> Field:
        field = jax.jit(lambda players: gradients(losses)(players))  # traced once, not once for each step

        def seen(players: Any, own: int) -> Any:
            ahead = players
            for _ in range(steps):
                ahead = _with(step_along(ahead, step_size, field(ahead)), own, players[own])
            return ahead

        def slope(players: Any, own: int) -> Any:
            if not everyone and own != 0:
                return _slope(losses, players, of=own, by=own)
            if not through:  # the place ahead moves with the players, but not with what the derivative is taken by
                return _slope(losses, seen(players, own), of=own, by=own)
            return _gradient(lambda players: _loss(losses, own, seen(players, own)), players, by=own)

        return lambda players: _like(check_players(players), (slope(players, i) for i in range(len(players))))

    return adjusted


def opponent_penalty(strength: Rates, inner: Transform = gradients) -> Transform:
    """ξ_i + γ_i ∇_i Σ_{j ≠ i} ‖∇_j L_j‖²: each player also minimizes the slopes that the others have.

    `inner` is the field to which the penalty is added; inside `rk4(h, inner=opponent_penalty(γ))` the penalty takes
    part in the stages. With `Players(γ, 0)`, G has the penalty γ ‖∇_D V‖² of Nagarajan & Kolter 2017
    (arXiv:1706.04156), section 4; with `Players(0, γ)`, D has the penalty γ ‖∇_G L_G‖² of Qin et al. 2020
    (arXiv:2010.15040), section 3.3.
    """
    _check("the strength of opponent_penalty", strength, inner)

    def slopes(losses: Losses, players: Any, own: int, parameters: Any) -> jax.Array:
        moved = _with(players, own, parameters)
        others = (j for j in range(len(players)) if j != own)
        return functools.reduce(jnp.add, (squared_norm(_slope(losses, moved, of=j, by=j)) for j in others))

    def direction(losses: Losses, field: Field, players: Any) -> Any:
        added = [
            jax.tree.map(jnp.zeros_like, own)
            if len(players) == 1 or (isinstance(rate, int | float) and rate == 0)
            else jax.grad(partial(slopes, losses, players, i))(own)
            for i, (own, rate) in enumerate(zip(players, _each(strength, players), strict=True))
        ]
        return _sum(field(players), _times(strength, _like(players, added)))

    return lambda losses: partial(direction, losses, inner(losses))


def heun(step_size: Rates, inner: Transform = gradients, *, frozen: bool = False) -> Transform:
    """½ (k₁ + k₂) with k₁ = ξ(ω), k₂ = ξ(ω - h k₁): Heun's step of ω' = -ξ(ω), h = `step_size` the learning rate.

    With `frozen` each player makes this step alone, against opponents that stand still in between. Qin et al. 2020
    (arXiv:2010.15040), section 3 ("RK2"), who integrate the joint field. Their published code has frozen opponents, and
    takes k₂ after half a step, which makes the method one of first order: `heun(h / 2, frozen=True)`.
    """
    _check("the step size of heun", step_size, inner)

    def step(field: Field, players: Any, rates: Rates) -> Any:
        k1 = field(players)
        k2 = field(step_along(players, rates, k1))
        return jax.tree.map(lambda a, b: a + (b - a) / 2, k1, k2)

    return _integrated(step, step_size, inner, frozen)


def rk4(step_size: Rates, inner: Transform = gradients, *, frozen: bool = False) -> Transform:
    """(k₁ + 2 k₂ + 2 k₃ + k₄) / 6: the classical Runge-Kutta step of ω' = -ξ(ω), h = `step_size` the learning rate.

    k₁ = ξ(ω), k₂ = ξ(ω - ½ h k₁), k₃ = ξ(ω - ½ h k₂), k₄ = ξ(ω - h k₃). Source and `frozen` are those of `heun`; with
    `frozen` it is the step of the published code.
    """
    _check("the step size of rk4", step_size, inner)

    def step(field: Field, players: Any, rates: Rates) -> Any:
        def moved(players: Any, fraction: float, slope: Any) -> Any:
            return step_along(players, jax.tree.map(lambda h: fraction * h, rates), slope)

        return rk4_slope(field, players, moved)

    return _integrated(step, step_size, inner, frozen)


def jacobian(field: Field, players: Any) -> jax.Array:
    """J = ∂`field` at `players`, `[n, n]`, rows and columns in the order of the leaves: G's parameters, then D's."""
    check_function("field", field, "players")
    check_players(players)
    floats = jax.tree.map(lambda x: x if jnp.issubdtype(jnp.result_type(x), jnp.floating) else as_float(x), players)
    flat, unravel = ravel_pytree(floats)
    return jax.jacfwd(lambda x: ravel_pytree(check_direction(field(unravel(x)), players))[0])(flat)


def direction_at(players: Any, transform: Transform, losses: Losses, moving: Sequence[int]) -> Mapping[int, Any]:
    """What `transform` gives at `players` for those that move, by their numbers.

    Raises:
      ValueError: it has not the structure of the players.
    """
    field = transform(losses)
    check_function("what the transform of the field returns", field, "players")
    if transform is gradients:  # those of the others would be traced in vain
        check_players(players)
        return {i: _slope(losses, players, of=i, by=i) for i in moving}
    try:
        direction = field(players)
    except TypeError as error:
        if "scalar-output" not in str(error):
            raise
        raise ValueError(
            "the transform takes the gradient of all losses at once: losses(players) has one for each player, and "
            "fields.gradients(losses) is the gradient of each by its own player"
        ) from error
    check_direction(direction, players)
    return {i: direction[i] for i in moving}


def check_direction(direction: Any, players: Any) -> Any:
    """`direction` itself. Raises `ValueError` unless it, which a field has given, has the structure and the shapes of
    `players`."""
    if jax.tree.structure(direction) != jax.tree.structure(players):
        raise ValueError(
            f"the field gives {shown(direction)}, which has not the structure of the players: give a transform of the "
            "field, and call the function that makes one, as in fields.sga(0.1)"
        )
    for (path, one), other in zip(jax.tree.leaves_with_path(direction), jax.tree.leaves(players), strict=True):
        if jnp.shape(one) != jnp.shape(other):
            raise ValueError(
                f"the field gives {jnp.shape(one)} for the shape {jnp.shape(other)} of players"
                f"{jax.tree_util.keystr(path)}: give each number its own"
            )
    return direction


def step_along(players: Any, rates: Rates, direction: Any) -> Any:
    """`players` - rate · `direction`, with each player's own rate."""
    check_players(players)
    check_direction(direction, players)
    check_rates("the rate", rates)
    return jax.tree.map(jnp.subtract, players, _times(rates, direction))


class _Alone(NamedTuple):
    """One player, as the players of a game of its own."""

    player: Any


def _integrated(
    step: Callable[[Field, Any, Rates], Any], step_size: Rates, inner: Transform, frozen: bool
) -> Transform:
    """The transform with the direction `step(field, players, step_size)`; with `frozen` each player steps alone."""
    check_flag("frozen", frozen)

    def alone(field: Field, players: Any, i: int, rate: ArrayLike) -> Any:
        own = step(lambda one: _Alone(field(_with(players, i, one.player))[i]), _Alone(players[i]), rate)
        return own.player

    def direction(field: Field, players: Any) -> Any:
        if not frozen:
            return step(field, players, step_size)
        return _like(players, (alone(field, players, i, rate) for i, rate in enumerate(_each(step_size, players))))

    return _of_field(inner, direction)


def _of_field(inner: Transform, direction: Callable[[Field, Any], Any]) -> Transform:
    """The transform to the field `players -> direction(field, players)`, with the field that `inner` gives."""
    return lambda losses: partial(direction, inner(losses))


def _best_answer(step_size: Rates, field: Field, players: Any) -> Any:
    """The v with (I + η J_o) v = ξ, of `cgd`."""
    xi, along = jax.linearize(field, players)
    scale = power_of_two(xi)  # the squares of small or large numbers are no normal numbers
    xi = jax.tree.map(lambda x: x / scale, xi)
    still = jax.tree.map(jnp.zeros_like, xi)

    def model(v: Any) -> Any:
        """(I + η J_o) v: a player answers the steps of the others, each with the rate of its own."""
        steps = _times(step_size, v)
        felt = [along(_with(still, j, steps[j])) for j in range(len(v))]
        return _like(v, (_sum(v[i], *(felt[j][i] for j in range(len(v)) if j != i)) for i in range(len(v))))

    transposed = jax.linear_transpose(model, xi)
    count = sum(leaf.size for leaf in jax.tree.leaves(xi))
    # Of the multiples of ξ the best one to start from. From ξ itself, large steps would lose digits.
    image = model(xi)
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(xi)))
    share = _inner(xi, image) / jnp.maximum(_inner(image, image), float(precision.tiny))
    start = jax.tree.map(lambda x: share.astype(x.dtype) * x, xi)
    tolerance = 4 * float(precision.eps)  # a relative residual near rounding
    normal, right = lambda v: transposed(model(v))[0], transposed(xi)[0]
    right, start = jax.tree.map(_mapped_first, (right, start))
    solved = cg(normal, right, x0=start, tol=tolerance, maxiter=2 * count)[0]
    return jax.tree.map(lambda x: x * scale, solved)


def _slope(losses: Losses, players: Any, of: int, by: int) -> Any:
    """The gradient of the loss of player number `of` by the parameters of player number `by`."""
    return _gradient(partial(_loss, losses, of), players, by)


def _gradient(loss: Callable[[Any], jax.Array], players: Any, by: int) -> Any:
    return jax.grad(lambda own: loss(_with(players, by, own)))(players[by])


def _loss(losses: Losses, of: int, players: Any) -> jax.Array:
    """The loss of player number `of`, without those of the others where they can be left out."""
    if isinstance(losses, SampleLosses):
        return losses.of(of, players)
    return check_scalar("a loss", losses(players)[of])


def _shaping(losses: Losses, step_size: Rates, players: Any) -> tuple[Any, Any, Any]:
    """ξ, ξ₀ = (I - α J_o) ξ and -α χ, from vector-Jacobian products of each player with each other."""
    xi, rates = gradients(losses)(players), _each(step_size, players)
    ahead, shaping = [], []
    for own in range(len(players)):
        plain, shaped = xi[own], None
        for other in range(len(players)):
            if other == own:
                continue
            (cross, theirs), pullback = jax.vjp(
                lambda parameters, own=own, other=other: tuple(
                    _slope(losses, _with(players, own, parameters), of=loss, by=other) for loss in (own, other)
                ),
                players[own],
            )
            rate, zero = rates[other], jax.tree.map(jnp.zeros_like, cross)
            plain = jax.tree.map(lambda a, b, rate=rate: a - rate * b, plain, pullback((theirs, zero))[0])
            term = jax.tree.map(lambda a, rate=rate: -rate * a, pullback((zero, cross))[0])
            shaped = term if shaped is None else _sum(shaped, term)
        ahead.append(plain)
        shaping.append(jax.tree.map(jnp.zeros_like, plain) if shaped is None else shaped)
    return xi, _like(players, ahead), _like(players, shaping)


def _mapped_first(x: jax.Array) -> jax.Array:
    """`x`; where a derivative or `vmap` maps it, the mapped axis becomes the first, as `cg` needs it of all arrays."""
    return jnp.squeeze(x[None], 0) if jnp.ndim(x) else x


def _like(players: Any, values: Iterable[Any]) -> Any:
    return type(players)(*values)


def _with(players: Any, index: int, parameters: Any) -> Any:
    return _like(players, (parameters if i == index else own for i, own in enumerate(players)))


def _check(what: str, rates: Rates, inner: Transform, least: float = 0) -> None:
    if callable(rates):
        name = what.split()[-1]
        raise ValueError(f"{what} is a function: call fields.{name} first, as in fields.{name}(0.1)")
    check_rates(what, rates, least)
    check_function("inner", inner, "losses", such_as="fields.consensus(0.1)")


def _each(rates: Rates, players: Any) -> tuple[Any, ...]:
    each = rates if isinstance(rates, tuple) else (rates,) * len(players)
    if len(each) != len(players):
        raise ValueError(f"there are {len(each)} rates for {len(players)} players: give one for all, or one for each")
    check_names("rates", each, players)
    return each


def _times(rates: Rates, tree: Any) -> Any:
    """Each player's part of `tree` times its own rate, in the precision of the part."""
    pairs = zip(_each(rates, tree), tree, strict=True)
    return _like(tree, (jax.tree.map(lambda x, rate=rate: (rate * x).astype(x.dtype), own) for rate, own in pairs))


def _sum(*trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: functools.reduce(jnp.add, leaves), *trees)


# Not optax.tree.vdot: a sweep whose program has a product of vectors depends on the number of threads.
def _inner(one: Any, other: Any) -> jax.Array:
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda a, b: jnp.sum(a * b), one, other))
