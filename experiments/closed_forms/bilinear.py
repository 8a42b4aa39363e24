"""What is known in closed form of every method on min max x y: the factor of a step and the largest stable step size.

On x + i y the field ξ = (y, -x) is multiplication by -i, and a transform makes it multiplication by another number f. A
simultaneous step multiplies x + i y by a + i b = 1 - η f, whose modulus is the factor. Other rules have characteristic
polynomials. See docs/results/bilinear.md for the derivations.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optax
from _methods import METHODS, ORDERS, SYNC_PERIOD
from scipy.optimize import root_scalar

from slantgan_jax import Players, Rule, fields, rules
from slantgan_jax.fields import Transform

SMALLEST_STEP, LARGEST_STEP = 0.0625, 6.0
"""The step sizes between which thresholds are searched."""

GAMMA, SGA_STRENGTH, OPPONENT_STEP, SLOW_STEP = 0.5, 1.0, 0.3, 0.5
MOMENTA = (-0.75, -0.5, -0.25, 0.5)
UNROLLED_STEPS = 2
AHEAD_BY = UNROLLED_STEPS * OPPONENT_STEP
RATE_RATIO = 4.0
D_STEPS, G_STEPS = 3, 2

Factor = Callable[[np.ndarray], np.ndarray]
"""From step sizes η to the factors of a step."""

Multiplier = Callable[[Any], Any]
"""From step sizes η to the numbers f by which a field multiplies x + i y."""

RuleOf = Callable[[Any], Rule]
"""From a step size to the rule."""


class ClosedForm(NamedTuple):
    """A method, and what is known of it on min max x y.

    Attributes:
      name: unique.
      group: the panel in which its factors are drawn; all of a family have the same color there.
      formula, bound: of the factor and of the threshold, for people.
      rule, factor: from step sizes to the rule, and to the factors of a step.
      threshold: the largest stable step size; 0 if every run grows, infinite if none does.
      period: the number of steps after which the rule's map is the same again.
    """

    name: str
    group: str
    family: str
    formula: str
    bound: str
    rule: RuleOf
    factor: Factor
    threshold: float
    period: int = 1


def roots(trace: Any, determinant: Any) -> np.ndarray:
    """Both roots of λ² - trace λ + determinant, `[2, step sizes]`."""
    half = np.asarray(trace, complex) / 2
    split = np.sqrt(half**2 - determinant)
    return np.stack([half + split, half - split])


def larger_root(trace: Any, determinant: Any) -> np.ndarray:
    """The larger modulus of the roots of λ² - trace λ + determinant."""
    return np.abs(roots(trace, determinant)).max(0)


def largest_root(*coefficients: Any) -> np.ndarray:
    """The largest modulus of the roots of polynomials, one for each step size; the highest power comes first."""
    return np.array([np.abs(np.roots(row)).max() for row in np.stack(np.broadcast_arrays(*coefficients), -1)])


def first_above_one(factor: Factor) -> float:
    """The smallest step size from which on `factor` exceeds 1; infinite if there is none up to `LARGEST_STEP`."""
    grid = np.linspace(SMALLEST_STEP, LARGEST_STEP, 400)
    above = np.flatnonzero(factor(grid) > 1)
    if not above.size:
        return math.inf
    bracket = grid[above[0] - 1], grid[above[0]]
    return root_scalar(lambda step: factor(np.array([step]))[0] - 1, bracket=bracket, xtol=1e-14).root


def perturbed_energy(players: Players, learning_rate: Any, *, discriminator_first: bool = True) -> Any:
    """x² + y² + η x y if D moves first, x² + y² - η x y if G does: conserved by alternating steps of `games.bilinear`.

    It is positive definite for η < 2. Orbits are then ellipses about a center, one for every start: they neither come
    nearer nor leave, and are not limit cycles. The proof is in docs/theory/invariants.md. Source: Bailey, Gidel &
    Piliouras 2020 (arXiv:1907.04392).
    """
    x, y = players
    return x**2 + y**2 + (1 if discriminator_first else -1) * learning_rate * x * y


def rotation(steps: Any) -> complex:
    """By what ξ itself multiplies x + i y."""
    return -1j


def simultaneous_factor(multiplier: Multiplier) -> Factor:
    """|1 - η f|."""
    return lambda steps: np.abs(1 - steps * multiplier(steps))


def alternating_factor(multiplier: Multiplier) -> Factor:
    """The larger root of λ² - (2 a - b²) λ + a², where 1 - η f = a + i b."""

    def factor(steps: np.ndarray) -> np.ndarray:
        step = 1 - steps * multiplier(steps)
        return larger_root(2 * step.real - step.imag**2, step.real**2)

    return factor


def past_extragradient_factor(multiplier: Multiplier) -> Factor:
    """The larger root of λ² - (1 - 2 η f) λ - η f."""
    return lambda steps: larger_root(1 - 2 * steps * multiplier(steps), -steps * multiplier(steps))


def alternating_momentum_factor(beta: float) -> Factor:
    """The largest root of (λ - 1)² (λ - β)² + η² λ³."""
    quartic = np.poly([1, 1, beta, beta])
    return lambda steps: largest_root(quartic[0], quartic[1] + steps**2, *quartic[2:])


def interpolated(powers: Any) -> np.ndarray:
    """|1 - α + α λᵏ|^(1/k), lookahead's factor of a step, from λᵏ of k steps of the inner rule."""
    return np.abs(1 - SLOW_STEP + SLOW_STEP * powers) ** (1 / SYNC_PERIOD)


def lookahead_factor(multiplier: Multiplier) -> Factor:
    """|1 - α + α (1 - η f)ᵏ|^(1/k)."""
    return lambda steps: interpolated((1 - steps * multiplier(steps)) ** SYNC_PERIOD)


def field_of(method: str, strength: float = 0.0) -> Callable[[Any], Transform]:
    """From a step size to the field of a method of the catalog."""
    return lambda step: METHODS[method].field(step, strength)


def rule_of(method: str, order: str, strength: float = 0.0) -> RuleOf:
    """From a step size to the rule of a method of the catalog."""
    return lambda step: METHODS[method].rule(ORDERS[order], step, strength)


EXPONENTIAL = (1 / 24, 1 / 6, 1 / 2, 1, 1)
"""Taylor's polynomial of the exponential function, which is a step of Runge-Kutta 4."""

FIELDS: dict[str, tuple[Callable[[Any], Transform], Multiplier]] = {
    "gradients": (field_of("plain"), rotation),
    "extragradient": (field_of("extragradient", 1.0), lambda steps: steps - 1j),
    "extragradient of consensus 0.5": (
        lambda step: fields.extragradient(step, inner=fields.consensus(GAMMA)),
        lambda steps: (GAMMA - 1j) * (1 - steps * (GAMMA - 1j)),
    ),
    "consensus 0.5": (field_of("consensus", GAMMA), lambda steps: GAMMA - 1j),
    "SGA 1": (field_of("sga", SGA_STRENGTH), lambda steps: SGA_STRENGTH - 1j),
    "SGA 1 aligned": (lambda step: fields.sga(SGA_STRENGTH, align=True), lambda steps: SGA_STRENGTH - 1j),
    "CGD": (field_of("cgd"), lambda steps: -1j / (1 - 1j * steps)),
    "LOLA 0.3": (field_of("lola", OPPONENT_STEP), lambda steps: 2 * OPPONENT_STEP - 1j),
    "SOS 0.3": (field_of("sos", OPPONENT_STEP), lambda steps: OPPONENT_STEP - 1j),
    "Heun": (field_of("heun"), lambda steps: steps / 2 - 1j),
    "RK4": (field_of("rk4"), lambda steps: (1 - np.polyval(EXPONENTIAL, 1j * steps)) / steps),
}
"""By name: from a step size to the transform, and the number by which the transformed field multiplies x + i y."""


ROOT = "root of factor=1"
WAYS: dict[str, tuple[Callable[[Any, Transform], Rule], Callable[[Multiplier], Factor], int]] = {
    "simultaneous": (lambda step, field: rules.simultaneous(optax.sgd(step), field), simultaneous_factor, 1),
    "alternating": (lambda step, field: rules.alternating(optax.sgd(step), field), alternating_factor, 1),
    "past extragradient": (
        lambda step, field: rules.past_extragradient(optax.sgd(step), step, field), past_extragradient_factor, 1
    ),
    "lookahead 5, 0.5": (
        lambda step, field: rules.lookahead(rules.simultaneous(optax.sgd(step), field), SYNC_PERIOD, SLOW_STEP),
        lookahead_factor, SYNC_PERIOD,
    ),
}  # fmt: skip
"""Ways to play a field: the rule, the factor for a field that is multiplication by a number, and the period."""


def played(
    field: str, way: str, group: str, formula: str, bound: str, threshold: float | None = None,
    *, name: str = "", family: str = "",
) -> ClosedForm:  # fmt: skip
    """One of the `FIELDS` in one of the `WAYS`; a threshold that is not given is found as the root of the factor."""
    (field_of_step, multiplier), (rule, factor_of, period) = FIELDS[field], WAYS[way]
    factor = factor_of(multiplier)
    threshold = first_above_one(factor) if threshold is None else threshold
    name, family = name or f"{field}, {way}", family or field
    return ClosedForm(
        name, group, family, formula, bound, lambda step: rule(step, field_of_step(step)), factor, threshold, period
    )


def with_damping(field: str, group: str, symbol: str, value: float, family: str = "") -> tuple[ClosedForm, ClosedForm]:
    """A field that multiplies by `value` - i at every step size; `symbol` stands for `value` in the formulas."""
    square = f"({symbol})²" if len(symbol) > 1 else f"{symbol}²"
    formulas = f"√((1-{symbol}η)²+η²)", f"|1-{symbol}η| while η²<4(1-{symbol}η)"
    bounds = f"2·{symbol}/(1+{square})", f"2/(1+{symbol})"
    return (
        played(field, "simultaneous", group, formulas[0], bounds[0], 2 * value / (1 + value**2), family=family),
        played(field, "alternating", group, formulas[1], bounds[1], 2 / (1 + value), family=family),
    )


PLAIN, MOMENTUM, AHEAD = "plain gradients", "momentum", "extrapolation"
JACOBIAN, OPPONENT, INTEGRATION = "adjusted by the Jacobian", "aware of the opponent", "Runge-Kutta and lookahead"
PAST, BACK = "past extragradient of adjusted fields", "lookahead over adjusted fields"
RATES, POPOV, UNROLLED = "rates η and 4η", "past extragradient = optimistic", "unrolled 2×0.3"
CONSENSUS_AHEAD, ALIGNED_OR_NOT = "extragradient of consensus 0.5", "SGA 1, aligned or not"
REMEMBERED = ("extragradient", "consensus 0.5", "SGA 1", "CGD", "LOLA 0.3", "SOS 0.3", "Heun", "RK4")
UNIT_ROOT = ((2 - SLOW_STEP) / SLOW_STEP) ** (1 / SYNC_PERIOD)
"""Lookahead over alternating steps with an odd period: the root -μ becomes 1 - α - α μᵏ, which is -1 at this μ."""

GRADIENTS, ALTERNATING_GRADIENTS, POPOV_STEP = (
    played("gradients", "simultaneous", PLAIN, "√(1+η²)", "", 0.0),
    played("gradients", "alternating", PLAIN, "1 up to η*; λ²-(2-η²)λ+1=0", "2", 2.0),
    played(
        "gradients", "past extragradient", AHEAD, "√((1+√(1-4η²))/2) up to ½; λ²-(1+2iη)λ+iη=0", "1/√3",
        1 / math.sqrt(3), name="past extragradient", family=POPOV,
    ),
)  # fmt: skip

CLOSED_FORMS: tuple[ClosedForm, ...] = (
    GRADIENTS,
    ALTERNATING_GRADIENTS,
    ALTERNATING_GRADIENTS._replace(
        name="gradients, alternating, G first", rule=rule_of("plain", "alternating, G first")
    ),
    ClosedForm(
        "gradients, alternating 3 D, 2 G", PLAIN, "3 D-steps, 2 G-steps", "1 up to η*; λ²-(2-mnη²)λ+1=0", "2/√(mn)",
        lambda step: rules.alternating(optax.sgd(step), order=("discriminator",) * D_STEPS + ("generator",) * G_STEPS),
        lambda steps: larger_root(2 - D_STEPS * G_STEPS * steps**2, 1), 2 / math.sqrt(D_STEPS * G_STEPS),
    ),
    ClosedForm(
        f"{RATES}, simultaneous", PLAIN, RATES, "√(1+cη²)", "",
        lambda step: rules.simultaneous(Players(optax.sgd(step), optax.sgd(RATE_RATIO * step))),
        lambda steps: np.sqrt(1 + RATE_RATIO * steps**2), 0.0,
    ),
    ClosedForm(
        f"{RATES}, alternating", PLAIN, RATES, "1 up to η*; λ²-(2-cη²)λ+1=0", "2/√c",
        lambda step: rules.alternating(Players(optax.sgd(step), optax.sgd(RATE_RATIO * step))),
        lambda steps: larger_root(2 - RATE_RATIO * steps**2, 1), 2 / math.sqrt(RATE_RATIO),
    ),
    *(
        ClosedForm(
            f"momentum {beta}, simultaneous", MOMENTUM, f"momentum {beta}", "λ²-(1+β+iη)λ+β=0", "",
            rule_of("momentum", "simultaneous", beta),
            lambda steps, beta=beta: larger_root(1 + beta + 1j * steps, beta), 0.0,
        )
        for beta in MOMENTA
    ),
    *(
        ClosedForm(
            f"momentum {beta}, alternating", MOMENTUM, f"momentum {beta}", "(λ-1)²(λ-β)²+η²λ³=0",
            "2(1+β)" if beta < 0 else "", rule_of("momentum", "alternating", beta),
            alternating_momentum_factor(beta), 2 * (1 + beta) if beta < 0 else 0.0,
        )
        for beta in MOMENTA
    ),
    played("extragradient", "simultaneous", AHEAD, "√(1-η²+η⁴)", "1", 1.0),
    played("extragradient", "alternating", AHEAD, "|1-η²| while η²<4(1-η²)", "1", 1.0),
    POPOV_STEP,
    POPOV_STEP._replace(
        name="optimistic, simultaneous", formula="the same: λ²-(1+2iη)λ+iη=0",
        rule=rule_of("optimistic", "simultaneous"),
    ),
    ClosedForm(
        "optimistic, alternating", AHEAD, POPOV, "λ(λ-1)²+η²(2λ-1)²=0", "2/3", rule_of("optimistic", "alternating"),
        lambda steps: largest_root(1, 4 * steps**2 - 2, 1 - 4 * steps**2, steps**2), 2 / 3,
    ),
    played(CONSENSUS_AHEAD, "simultaneous", AHEAD, "|1-ηf+η²f²|, f=γ-i", "root of |1-ηf+η²f²|=1"),
    played(
        CONSENSUS_AHEAD, "alternating", AHEAD, "a=1-γη-(1-γ²)η², b=η-2γη²: λ²-(2a-b²)λ+a²=0", "(1+√57)/7 for γ=½",
        (1 + math.sqrt(57)) / 7,
    ),
    *with_damping("consensus 0.5", JACOBIAN, "γ", GAMMA),
    *with_damping("SGA 1", JACOBIAN, "λ", SGA_STRENGTH, ALIGNED_OR_NOT),
    *with_damping("SGA 1 aligned", JACOBIAN, "λ", SGA_STRENGTH, ALIGNED_OR_NOT),
    played("CGD", "simultaneous", JACOBIAN, "1/√(1+η²)", "∞", math.inf),
    played("CGD", "alternating", JACOBIAN, "1/(1+η²)", "∞", math.inf),
    *with_damping("LOLA 0.3", OPPONENT, "2α", 2 * OPPONENT_STEP),
    *with_damping("SOS 0.3", OPPONENT, "α", OPPONENT_STEP),
    ClosedForm(
        f"{UNROLLED}, simultaneous", OPPONENT, UNROLLED, "c=kαη: λ²-(2-2c)λ+1-2c+η²=0", "2kα if kα≤1",
        lambda step: rules.simultaneous(optax.sgd(step), fields.unrolled(UNROLLED_STEPS, OPPONENT_STEP)),
        lambda steps: larger_root(2 - 2 * AHEAD_BY * steps, 1 - 2 * AHEAD_BY * steps + steps**2), 2 * AHEAD_BY,
    ),
    ClosedForm(
        f"{UNROLLED}, alternating", OPPONENT, UNROLLED, "c=kαη: λ²-(2-2c-η²)λ+1-2c=0", "2√(1+k²α²)-2kα",
        lambda step: rules.alternating(optax.sgd(step), fields.unrolled(UNROLLED_STEPS, OPPONENT_STEP)),
        lambda steps: larger_root(2 - 2 * AHEAD_BY * steps - steps**2, 1 - 2 * AHEAD_BY * steps),
        2 * math.sqrt(1 + AHEAD_BY**2) - 2 * AHEAD_BY,
    ),
    played("Heun", "simultaneous", INTEGRATION, "√(1+η⁴/4)", "", 0.0),
    played("Heun", "alternating", INTEGRATION, "|1-η²/2| while η²<4-2η²", "√5-1", math.sqrt(5) - 1),
    played("RK4", "simultaneous", INTEGRATION, "√(1-η⁶/72+η⁸/576)", "√8", math.sqrt(8)),
    played(
        "RK4", "alternating", INTEGRATION, "a=1-η²/2+η⁴/24, b=η-η³/6: λ²-(2a-b²)λ+a²=0", "4cos(20°)-2",
        4 * math.cos(math.pi / 9) - 2,
    ),
    played(
        "gradients", "lookahead 5, 0.5", INTEGRATION, "|1-α+α(1+iη)ᵏ|^(1/k)", ROOT,
        name="lookahead 5, 0.5, simultaneous", family="lookahead 5, 0.5",
    ),
    ClosedForm(
        "lookahead 5, 0.5, alternating", INTEGRATION, "lookahead 5, 0.5", "|1-α+αλᵏ|^(1/k), λ²-(2-η²)λ+1=0",
        "√μ+1/√μ, μᵏ=2/α-1", rule_of("lookahead", "alternating", SLOW_STEP),
        lambda steps: interpolated(roots(2 - steps**2, 1) ** SYNC_PERIOD).max(0),
        math.sqrt(UNIT_ROOT) + 1 / math.sqrt(UNIT_ROOT), SYNC_PERIOD,
    ),
    *(
        played(field, way, group, formula, ROOT, name=f"{way} of {field}")
        for field in REMEMBERED
        for way, group, formula in (
            ("past extragradient", PAST, "λ²-(1-2ηf)λ-ηf=0"),
            ("lookahead 5, 0.5", BACK, "|1-α+α(1-ηf)ᵏ|^(1/k)"),
        )
    ),
)  # fmt: skip
"""Every method, in the order of the table that `bilinear.py` prints."""
