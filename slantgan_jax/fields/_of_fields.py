"""Transforms of any field: the field seen from elsewhere, and the field turned by its own derivatives."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from slantgan_jax.checks import check_flag, check_function, check_rates
from slantgan_jax.fields._arithmetic import each_rate, inner_product, like_players, times, total, with_player
from slantgan_jax.fields._field import Field, Transform, gradients, step_along
from slantgan_jax.numerics import rk4_slope
from slantgan_jax.types import Rates


def extragradient(
    step_size: Rates, inner: Transform = gradients, *, project: Callable[[Any], Any] | None = None
) -> Transform:
    """ξ(ω - η ξ(ω)): the field one step of size `step_size` η ahead, on the same sample.

    Korpelevich 1976, "The extragradient method for finding saddle points and other problems"; for GANs Gidel et al.
    2019 (arXiv:1802.10551), section 3.2. In the method itself η is the learning rate. Where players are constrained,
    `project`: `players -> players` takes the place ahead back into the constraints.
    """
    check_strength("the step size of extragradient", step_size, inner)

    def direction(field: Field, players: Any) -> Any:
        ahead = step_along(players, step_size, field(players))
        return field(ahead if project is None else project(ahead))

    return of_field(inner, direction)


def consensus(strength: Rates, inner: Transform = gradients) -> Transform:
    """ξ + γ Jᵀξ = ξ + γ ∇ ½‖ξ‖². Mescheder, Nowozin & Geiger 2017 (arXiv:1705.10461), eq. 11."""
    check_strength("the strength of consensus", strength, inner)

    def direction(field: Field, players: Any) -> Any:
        xi, transposed = jax.vjp(field, players)
        return total(xi, times(strength, transposed(xi)[0]))

    return of_field(inner, direction)


def sga(strength: Rates, align: bool = False, inner: Transform = gradients) -> Transform:
    """ξ + λ Aᵀξ with A = ½ (J - Jᵀ): symplectic gradient adjustment. Balduzzi et al. 2018 (arXiv:1802.05642), eq. 4.

    With `align` λ has the sign of ⟨ξ, Jᵀξ⟩ ⟨Aᵀξ, Jᵀξ⟩ / d + 1/10, for d parameters (their section 3.5, algorithm 1).
    """
    check_strength("the strength of sga", strength, inner, -math.inf)
    check_flag("align", align)

    def direction(field: Field, players: Any) -> Any:
        xi, transposed = jax.vjp(field, players)
        hamiltonian = transposed(xi)[0]
        along = jax.jvp(field, (players,), (xi,))[1]
        turned = jax.tree.map(lambda a, b: (a - b) / 2, hamiltonian, along)
        sign: ArrayLike = 1
        if align:
            count = sum(leaf.size for leaf in jax.tree.leaves(xi))
            sign = jnp.sign(inner_product(xi, hamiltonian) * inner_product(turned, hamiltonian) / count + 0.1)
        return total(xi, times(strength, times(sign, turned)))

    return of_field(inner, direction)


def heun(step_size: Rates, inner: Transform = gradients, *, frozen: bool = False) -> Transform:
    """½ (k₁ + k₂) with k₁ = ξ(ω), k₂ = ξ(ω - h k₁): Heun's step of ω' = -ξ(ω), h = `step_size` the learning rate.

    With `frozen` each player makes this step alone, against opponents that stand still in between. Qin et al. 2020
    (arXiv:2010.15040), section 3 ("RK2"), who integrate the joint field. Their published code has frozen opponents, and
    takes k₂ after half a step, which makes the method one of first order: `heun(h / 2, frozen=True)`.
    """
    check_strength("the step size of heun", step_size, inner)

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
    check_strength("the step size of rk4", step_size, inner)

    def step(field: Field, players: Any, rates: Rates) -> Any:
        def moved(players: Any, fraction: float, slope: Any) -> Any:
            return step_along(players, jax.tree.map(lambda h: fraction * h, rates), slope)

        return rk4_slope(field, players, moved)

    return _integrated(step, step_size, inner, frozen)


class _Alone(NamedTuple):
    """One player, as the players of a game of its own."""

    player: Any


def _integrated(
    step: Callable[[Field, Any, Rates], Any], step_size: Rates, inner: Transform, frozen: bool
) -> Transform:
    """The transform with the direction `step(field, players, step_size)`; with `frozen` each player steps alone."""
    check_flag("frozen", frozen)

    def alone(field: Field, players: Any, i: int, rate: ArrayLike) -> Any:
        own = step(lambda one: _Alone(field(with_player(players, i, one.player))[i]), _Alone(players[i]), rate)
        return own.player

    def direction(field: Field, players: Any) -> Any:
        if not frozen:
            return step(field, players, step_size)
        return like_players(
            players, (alone(field, players, i, rate) for i, rate in enumerate(each_rate(step_size, players)))
        )

    return of_field(inner, direction)


def of_field(inner: Transform, direction: Callable[[Field, Any], Any]) -> Transform:
    """The transform to the field `players -> direction(field, players)`, with the field that `inner` gives."""
    return lambda losses: partial(direction, inner(losses))


def check_strength(what: str, rates: Rates, inner: Transform, least: float = 0) -> None:
    """Raises `ValueError` unless these are strengths or step sizes, and a transform of the field."""
    if callable(rates):
        name = what.split()[-1]
        raise ValueError(f"{what} is a function: call fields.{name} first, as in fields.{name}(0.1)")
    check_rates(what, rates, least)
    check_function("inner", inner, "losses", such_as="fields.consensus(0.1)")
