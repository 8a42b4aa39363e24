"""What is known in closed form of every method on min max x y: the factor of a step and the largest stable step size.

On x + i y the field ξ = (y, -x) is multiplication by -i, so κ = 1. See docs/results/bilinear.md for the derivations.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optax
from _methods import METHODS, ORDERS
from scipy.optimize import root_scalar

from closed_forms import steps
from slantgan_jax import Players, Rule, fields, rules

SMALLEST_STEP, LARGEST_STEP = 0.0625, 6.0
"""The step sizes between which thresholds are searched."""
ROTATION = -1j


class ClosedForm(NamedTuple):
    """A method, and what is known of it on min max x y.

    Attributes:
      name: unique.
      group: the panel in which its factors are drawn; all of a family have the same color there.
      formula, bound: of the factor and of the threshold, for people.
      threshold: the largest stable step size; 0 if every run grows, infinite if none does.
      rule, eigenvalues: from step sizes to the rule, and to the eigenvalues `[n, step sizes]` of `period` steps.
      period: the number of steps after which the rule's map is the same again.
    """

    name: str
    group: str
    family: str
    formula: str
    bound: str
    threshold: float
    rule: Callable[[Any], Rule]
    eigenvalues: Callable[[np.ndarray], np.ndarray]
    period: int = 1

    def factor(self, step_sizes: np.ndarray) -> np.ndarray:
        """The factor of a step."""
        return np.abs(np.atleast_2d(self.eigenvalues(step_sizes))).max(0) ** (1 / self.period)


def first_above_one(form: ClosedForm) -> float:
    """The smallest step size from which on the factor exceeds 1; infinite if there is none up to `LARGEST_STEP`."""
    grid = np.linspace(SMALLEST_STEP, LARGEST_STEP, 400)
    above = np.flatnonzero(form.factor(grid) > 1)
    if not above.size:
        return math.inf
    bracket = grid[above[0] - 1], grid[above[0]]
    return root_scalar(lambda step: form.factor(np.array([step]))[0] - 1, bracket=bracket, xtol=1e-14).root


def perturbed_energy(players: Players, learning_rate: Any, *, discriminator_first: bool = True) -> Any:
    """x² + y² + η x y if D moves first, x² + y² - η x y if G does: conserved by alternating steps of `games.bilinear`.

    See docs/theory/invariants.md. Source: Bailey, Gidel & Piliouras 2020 (arXiv:1907.04392).
    """
    x, y = players
    return x**2 + y**2 + (1 if discriminator_first else -1) * learning_rate * x * y


FIELDS = {
    "gradients": ("plain", 0.0),
    "extragradient": ("extragradient", 1.0),
    "extragradient of consensus 0.5": ("extragradient of consensus", 0.5),
    "consensus 0.5": ("consensus", 0.5),
    "SGA 1": ("sga", 1.0),
    "SGA 1 aligned": ("sga, aligned", 1.0),
    "CGD": ("cgd", 0.0),
    "LOLA 0.3": ("lola", 0.3),
    "SOS 0.3": ("sos", 0.3),
    "Heun": ("heun", 0.0),
    "RK4": ("rk4", 0.0),
}
"""By name: the entry of `steps.FIELDS` and its strength."""


def form(
    name: str, group: str, formula: str, bound: str, threshold: float | None,
    eigenvalues: Callable[[np.ndarray], np.ndarray] | None = None,
    *, method: str = "plain", strength: float = steps.SLOW_STEP, transform: str = "", family: str = "", **replaced: Any,
) -> ClosedForm:  # fmt: skip
    """A method of the catalog, with what is replaced of it, in the order of moves at the end of its name.

    What comes before the order is the family, and the field if it is one of the `FIELDS`. A threshold of None is found
    as the root of the factor, and eigenvalues that are not given by `steps.WAYS`.
    """
    order = next((order for order in ORDERS if name.endswith(f", {order}")), "simultaneous")
    stem = name.removesuffix(f", {order}")
    known, size = FIELDS.get(transform or stem, FIELDS["gradients"])
    field, eigenvalue = steps.FIELDS[known]
    way = steps.WAYS.get(method) or steps.WAYS[order.partition(",")[0]]
    chosen = METHODS[method]._replace(**{"field": lambda rate, _: field(rate, size)} | replaced)
    found = ClosedForm(
        name, group, family or transform or stem, formula, bound, threshold or 0.0,
        lambda step: chosen.rule(ORDERS[order], step, strength),
        eigenvalues or (lambda sizes: way(sizes, eigenvalue(ROTATION, sizes, size))), chosen.period,
    )  # fmt: skip
    return found if threshold is not None else found._replace(threshold=first_above_one(found))


def damped(field: str, group: str, symbol: str, value: float, family: str = "") -> tuple[ClosedForm, ClosedForm]:
    """A field that multiplies by `value` - i at every step size; `symbol` stands for `value` in the formulas."""
    square = f"({symbol})²" if len(symbol) > 1 else f"{symbol}²"
    formulas = f"√((1-{symbol}η)²+η²)", f"|1-{symbol}η| while η²<4(1-{symbol}η)"
    bounds = f"2·{symbol}/(1+{square})", f"2/(1+{symbol})"
    return (
        form(f"{field}, simultaneous", group, formulas[0], bounds[0], 2 * value / (1 + value**2), family=family),
        form(f"{field}, alternating", group, formulas[1], bounds[1], 2 / (1 + value), family=family),
    )


PLAIN, MOMENTUM, AHEAD = "plain gradients", "momentum", "extrapolation"
JACOBIAN, OPPONENT, INTEGRATION = "adjusted by the Jacobian", "aware of the opponent", "Runge-Kutta and lookahead"
CIRCLES, ROOT = "1 up to η*; λ²-(2-η²)λ+1=0", "root of factor=1"
POPOV: dict[str, Any] = {"family": "past extragradient = optimistic"}
TWO_RATES: dict[str, Any] = {"optimizer": lambda rate, *_: Players(optax.sgd(rate), optax.sgd(4 * rate))}
AHEAD_BY = 2 * 0.3
UNROLLED: dict[str, Any] = {"field": lambda *_: fields.unrolled(2, 0.3)}
D_STEPS, G_STEPS = 3, 2
THREE_AND_TWO = ("discriminator",) * D_STEPS + ("generator",) * G_STEPS
UNIT_ROOT = ((2 - steps.SLOW_STEP) / steps.SLOW_STEP) ** (1 / steps.SYNC_PERIOD)
"""Lookahead over alternating steps with an odd period: the root -μ becomes 1 - α - α μᵏ, which is -1 at this μ."""

CLOSED_FORMS: tuple[ClosedForm, ...] = (
    form("gradients, simultaneous", PLAIN, "√(1+η²)", "", 0.0),
    form("gradients, alternating", PLAIN, CIRCLES, "2", 2.0),
    form("gradients, alternating, G first", PLAIN, CIRCLES, "2", 2.0),
    form(
        "gradients, alternating 3 D, 2 G", PLAIN, "1 up to η*; λ²-(2-mnη²)λ+1=0", "2/√(mn)",
        2 / math.sqrt(D_STEPS * G_STEPS), partial(steps.alternating, kappa=D_STEPS * G_STEPS),
        family="3 D-steps, 2 G-steps",
        whole_rule=lambda optimizer, *_: rules.alternating(optimizer, order=THREE_AND_TWO),
    ),
    form(
        "rates η and 4η, simultaneous", PLAIN, "√(1+cη²)", "", 0.0, lambda sizes: 1 - 2 * sizes * ROTATION,
        **TWO_RATES,
    ),
    form(
        "rates η and 4η, alternating", PLAIN, "1 up to η*; λ²-(2-cη²)λ+1=0", "2/√c", 1.0,
        partial(steps.alternating, kappa=4.0), **TWO_RATES,
    ),
    *(
        form(
            f"momentum {beta}, {order}", MOMENTUM, formula, bound if beta < 0 else "",
            2 * (1 + beta) if bound and beta < 0 else 0.0, partial(eigenvalues, beta=beta),
            method="momentum", strength=beta,
        )
        for order, formula, bound, eigenvalues in (
            ("simultaneous", "λ²-(1+β+iη)λ+β=0", "", lambda sizes, beta: steps.pair(1 + beta - sizes * ROTATION, beta)),
            ("alternating", "(λ-1)²(λ-β)²+η²λ³=0", "2(1+β)", partial(steps.alternating_momentum, kappa=1.0)),
        )
        for beta in (-0.75, -0.5, -0.25, 0.5)
    ),
    form("extragradient, simultaneous", AHEAD, "√(1-η²+η⁴)", "1", 1.0),
    form("extragradient, alternating", AHEAD, "|1-η²| while η²<4(1-η²)", "1", 1.0),
    form(
        "past extragradient", AHEAD, "√((1+√(1-4η²))/2) up to ½; λ²-(1+2iη)λ+iη=0", "1/√3", 1 / math.sqrt(3),
        method="past extragradient", **POPOV,
    ),
    form(
        "optimistic, simultaneous", AHEAD, "the same: λ²-(1+2iη)λ+iη=0", "1/√3", 1 / math.sqrt(3),
        method="optimistic", **POPOV,
    ),
    form(
        "optimistic, alternating", AHEAD, "λ(λ-1)²+η²(2λ-1)²=0", "2/3", 2 / 3,
        lambda sizes: steps.roots(1, 4 * sizes**2 - 2, 1 - 4 * sizes**2, sizes**2), method="optimistic", **POPOV,
    ),
    form("extragradient of consensus 0.5, simultaneous", AHEAD, "|1-ηf+η²f²|, f=γ-i", "root of |1-ηf+η²f²|=1", None),
    form(
        "extragradient of consensus 0.5, alternating", AHEAD, "a=1-γη-(1-γ²)η², b=η-2γη²: λ²-(2a-b²)λ+a²=0",
        "(1+√57)/7 for γ=½", (1 + math.sqrt(57)) / 7,
    ),
    *damped("consensus 0.5", JACOBIAN, "γ", 0.5),
    *damped("SGA 1", JACOBIAN, "λ", 1.0, "SGA 1, aligned or not"),
    *damped("SGA 1 aligned", JACOBIAN, "λ", 1.0, "SGA 1, aligned or not"),
    form("CGD, simultaneous", JACOBIAN, "1/√(1+η²)", "∞", math.inf),
    form("CGD, alternating", JACOBIAN, "1/(1+η²)", "∞", math.inf),
    *damped("LOLA 0.3", OPPONENT, "2α", 2 * 0.3),
    *damped("SOS 0.3", OPPONENT, "α", 0.3),
    form(
        "unrolled 2×0.3, simultaneous", OPPONENT, "c=kαη: λ²-(2-2c)λ+1-2c+η²=0", "2kα if kα≤1", 2 * AHEAD_BY,
        lambda sizes: 1 - sizes * steps.pair(2 * AHEAD_BY, 1)[:, None], **UNROLLED,
    ),
    form(
        "unrolled 2×0.3, alternating", OPPONENT, "c=kαη: λ²-(2-2c-η²)λ+1-2c=0", "2√(1+k²α²)-2kα",
        2 * math.sqrt(1 + AHEAD_BY**2) - 2 * AHEAD_BY,
        partial(steps.alternating, kappa=1.0, damping=2 * AHEAD_BY), **UNROLLED,
    ),
    form("Heun, simultaneous", INTEGRATION, "√(1+η⁴/4)", "", 0.0),
    form("Heun, alternating", INTEGRATION, "|1-η²/2| while η²<4-2η²", "√5-1", math.sqrt(5) - 1),
    form("RK4, simultaneous", INTEGRATION, "√(1-η⁶/72+η⁸/576)", "√8", math.sqrt(8)),
    form(
        "RK4, alternating", INTEGRATION, "a=1-η²/2+η⁴/24, b=η-η³/6: λ²-(2a-b²)λ+a²=0", "4cos(20°)-2",
        4 * math.cos(math.pi / 9) - 2,
    ),
    form(
        "lookahead 5, 0.5, simultaneous", INTEGRATION, "|1-α+α(1+iη)ᵏ|^(1/k)", ROOT, None, method="lookahead",
    ),
    form(
        "lookahead 5, 0.5, alternating", INTEGRATION, "|1-α+αλᵏ|^(1/k), λ²-(2-η²)λ+1=0", "√μ+1/√μ, μᵏ=2/α-1",
        math.sqrt(UNIT_ROOT) + 1 / math.sqrt(UNIT_ROOT),
        lambda sizes: steps.lookahead(steps.alternating(sizes, 1)), method="lookahead",
    ),
    *(
        form(f"{way} of {field}", group, formula, ROOT, None, method=method, transform=field)
        for field in ("extragradient", "consensus 0.5", "SGA 1", "CGD", "LOLA 0.3", "SOS 0.3", "Heun", "RK4")
        for way, group, formula, method in (
            ("past extragradient", "past extragradient of adjusted fields", "λ²-(1-2ηf)λ-ηf=0", "past extragradient"),
            ("lookahead 5, 0.5", "lookahead over adjusted fields", "|1-α+α(1-ηf)ᵏ|^(1/k)", "lookahead"),
        )
    ),
)  # fmt: skip
"""Every method, in the order of the table that `bilinear.py` prints."""
