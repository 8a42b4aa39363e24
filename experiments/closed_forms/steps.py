"""What methods make of the eigenvalues of a game of two numbers, in closed form.

The field's Jacobian at the equilibrium is [[0, a], [b, d]], with κ = -a b, so its eigenvalues λ are `pair(d, κ)`. A
transform of the field gives others, `FIELDS`, and a rule turns them into those of its step, `WAYS`. See
docs/results/dirac_gan.md#spectra and docs/results/bilinear.md.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from _methods import METHODS, SYNC_PERIOD

from slantgan_jax import fields
from slantgan_jax.fields import Transform

SLOW_STEP = 0.5
"""Of lookahead, in all rows."""

RUNGE_KUTTA = (1 / 24, 1 / 6, 1 / 2, 1, 0)
"""Taylor's polynomial of exp(ζ) - 1, by which a step of Runge-Kutta 4 moves."""

Field = tuple[Callable[[Any, Any], Transform], Callable[[Any, Any, Any], Any]]
"""A transform, of `(rate, strength)`, and what it makes of an eigenvalue of a Jacobian with JᵀJ = κ I, of `(λ, rate,
strength)`."""


def damped(value: Any, rate: Any, strength: Any) -> Any:
    """The eigenvalue λ + γ |λ|²: Jᵀξ and Aᵀξ are the same here."""
    return value + strength * np.abs(value) ** 2


def extrapolated(value: Any, rate: Any, multiple: Any) -> Any:
    return value - multiple * rate * value**2


FIELDS: dict[str, Field] = {
    name: (METHODS[name].field, eigenvalue)
    for name, eigenvalue in {
        "plain": lambda value, rate, strength: value,
        "extragradient": extrapolated,
        "consensus": damped,
        "sga": damped,
        "lola": lambda value, rate, ahead: damped(value, rate, 2 * ahead),
        "sos": damped,
        "cgd": lambda value, rate, _: value / (1 + rate * value),
        "heun": lambda value, rate, _: extrapolated(value, rate, 0.5),
        "rk4": lambda value, rate, _: -np.polyval(RUNGE_KUTTA, -rate * value) / rate,
    }.items()
} | {
    "sga, aligned": (lambda rate, strength: fields.sga(strength, align=True), damped),
    "extragradient of consensus": (
        lambda rate, strength: fields.extragradient(rate, inner=fields.consensus(strength)),
        lambda value, rate, strength: extrapolated(damped(value, rate, strength), rate, 1),
    ),
}
"""By the name in the catalog of methods, and two more."""


def pair(trace: Any, determinant: Any) -> np.ndarray:
    """The roots `[2, ...]` of λ² - trace λ + determinant, which are the eigenvalues of a 2 × 2 matrix."""
    half = np.asarray(trace, complex) / 2
    split = np.sqrt(half**2 - determinant)
    return np.stack([half + split, half - split])


def roots(*coefficients: Any) -> np.ndarray:
    """The roots `[degree, ...]` of polynomials whose coefficients are arrays; the highest power comes first."""
    rows = np.stack(np.broadcast_arrays(*coefficients), -1)
    return np.moveaxis(np.apply_along_axis(lambda row: np.roots(row).astype(complex), -1, rows), -1, 0)


def alternating(rate: Any, kappa: Any, damping: Any = 0.0) -> np.ndarray:
    """D's step, then G's, by gradients: μ² - (2 - η d - η² κ) μ + 1 - η d."""
    return pair(2 - rate * damping - rate**2 * kappa, 1 - rate * damping)


def alternating_alike(rate: Any, value: Any) -> np.ndarray:
    """The same by a field that turns both players by λ: μ² - (2 a - b²) μ + a², where 1 - η λ = a + i b."""
    step = 1 - rate * value
    return pair(2 * step.real - step.imag**2, step.real**2)


def alternating_momentum(rate: Any, kappa: float, beta: float) -> np.ndarray:
    """(μ - 1)² (μ - β)² + η² κ μ³."""
    quartic = np.poly([1, 1, beta, beta])
    return roots(quartic[0], quartic[1] + rate**2 * kappa, *quartic[2:])


def lookahead(values: Any) -> Any:
    """The eigenvalues 1 - α + α μᵏ of k steps, for eigenvalues μ of a step of the inner rule."""
    return 1 - SLOW_STEP + SLOW_STEP * values**SYNC_PERIOD


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "simultaneous": lambda rate, value: 1 - rate * value,
    "alternating": alternating_alike,
    "past extragradient": lambda rate, value: pair(1 - 2 * rate * value, -rate * value),
    "optimistic": lambda rate, value: pair(1 - 2 * rate * value, -rate * value),
    "lookahead": lambda rate, value: lookahead(1 - rate * value),
}
"""By the order of moves, or by the method: from the field's eigenvalue λ to those of a step."""
