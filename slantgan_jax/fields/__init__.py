"""Fields: the direction in which the players move, and its transforms from the literature.

A *field* maps players to `Players` of directions. A *transform* takes the losses of a game, as a function of the
players, to a field. Most transform any field, the one given as `inner`, so they nest:

    rules.simultaneous(optimizer, extragradient(0.1, inner=consensus(0.5)))

Strengths and step sizes may be traced. If one depends on the player, give `Players` of numbers. The symbols ξ, J, J_o
and A are those of docs/methods/index.md#conventions; docs/methods/adjustments.md compares all fields.

All functions raise `ValueError` for a strength or step size that is not finite, or that is negative (`sga` takes
negative ones), and for an `inner` that is no transform.
"""

from slantgan_jax.fields._field import (
    Field,
    Losses,
    Transform,
    check_direction,
    direction_at,
    gradients,
    jacobian,
    step_along,
)
from slantgan_jax.fields._of_fields import consensus, extragradient, heun, rk4, sga
from slantgan_jax.fields._opponents import cgd, lola, opponent_penalty, sos, unrolled

__all__ = [
    "Field",
    "Losses",
    "Transform",
    "cgd",
    "check_direction",
    "consensus",
    "direction_at",
    "extragradient",
    "gradients",
    "heun",
    "jacobian",
    "lola",
    "opponent_penalty",
    "rk4",
    "sga",
    "sos",
    "step_along",
    "unrolled",
]
