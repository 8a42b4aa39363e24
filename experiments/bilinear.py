"""Every rule and adjustment on min max x y: how fast does it contract, and up to which step size? Measured and exact.

The field ξ = (y, -x) is linear, and on x + i y it is multiplication by -i. So is the step of a rule that treats both
players alike: x + i y is multiplied by a number, whose modulus is the contraction factor. Where an adjustment makes
the field multiplication by p - i q, with a = 1 - η p and b = η q,

    simultaneous    x + i y ← (a + i b) (x + i y):                factor |a + i b|
    alternating     y ← a y + b x, then x ← a x - b y:            λ² - (2 a - b²) λ + a² = 0,
                    so |a| where b² < 4 a, else the larger root; first unstable where 1 + a = |b|, with a root of -1

and p - i q is

    gradients                     -i
    consensus γ, sga λ            γ - i, λ - i: Jᵀ ξ and Aᵀ ξ are the players themselves
    lola α, sos α                 2 α - i, α - i: for sos near the equilibrium, where its p → 0
    cgd                           -i / (1 - i η)
    extragradient                 η - i, and f (1 - η f) of another field that is multiplication by f
    heun                          η / 2 - i
    rk4                           -(z + z²/2 + z³/6 + z⁴/24) / η with z = i η

`unrolled` treats the players differently: L_G = x (y + k α x), so G's slope is y + 2 k α x. Rules that remember earlier
steps have characteristic polynomials of a higher degree, found by inserting λᵗ:

    momentum β, simultaneous      m' = g + β m, x' = x - η m':         λ² - (1 + β + i η) λ + β = 0
    momentum β, alternating       likewise, x sees y':                 (λ - 1)² (λ - β)² + η² λ³ = 0
    past extragradient            u' = u - 2 η ξ(u) + η ξ(u₋₁):        λ² - (1 + 2 i η) λ + i η = 0
      of a field that multiplies by f                                λ² - (1 - 2 η f) λ - η f = 0
    optimistic, simultaneous      the same, with x for u
    optimistic, alternating       y' = y + η (2 x - x₋₁), likewise x:  λ (λ - 1)² + η² (2 λ - 1)² = 0
    lookahead k, α                1 - α + α λᵏ in k steps, for each root λ of the rule within

The momentum polynomials are those of Gidel et al. 2019 (arXiv:1807.04740). Of |λ| = 1 only λ = -1 solves the
alternating ones, for η = 2 (1 + β) and 2/3: their thresholds, unless β > 0, where small steps are unstable, too.

Measured factors come from runs of the rule itself, not from matrices: `train`, where every step starts at the same
small distance from the equilibrium, in the direction that the step before has reached. (All carried numbers are scaled
alike, which a linear map does not notice, and nothing overflows.) After the first quarter of a run, when lesser modes
have died out, ‖ω_t‖² = ρ²ᵗ (A + B cos(2 θ t + φ)). Both halves of the rest, freed of a rough slope, are averaged with
the weights exp(-1 / s (1 - s)), 0 < s < 1, which damp waves faster than any power of the window (Das, Saiki, Sander &
Yorke 2017, arXiv:1601.06051), and what is left grows by ρ² a step exactly. With 8000 steps ρ is exact to
1e-11 or better; next to a double root or a resonance, where waves are long, to 1e-9.
Measured thresholds come from the spectral radius of the Jacobian of the rule's step, optimizer states and all.
"""

import itertools
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from closed_forms.bilinear import perturbed_energy
from numpy.polynomial import Polynomial

from slantgan_jax import Players, Rule, fields, games, lab_plots, rules, train
from slantgan_jax.analysis import spectra
from slantgan_jax.rules import State

GAME = games.bilinear()
START = (1.0, 0.5)
SCALE = 2.0**-24
"""Distance from the equilibrium at which every measured step starts: SOS's p = ‖ξ‖² is 4e-15 there."""
POINTS, HIGHEST, LOWEST = 24, 6.0, 0.0625
TOLERANCE = 1e-12
"""By which a spectral radius must exceed 1 to count as unstable: rounding leaves 1e-15 of a modulus of exactly 1."""
MARGIN = 1e-3
"""Relative distance from a threshold of the runs that confirm it."""
DRAWN_STEP, DRAWN_STEPS = 0.3, 60
FILES = ("factors.png", "trajectories.png", "trajectories.npz", "data.json")
GAMMA, SGA, PERIOD, FRACTION = 0.5, 1.0, 5, 0.5
MOMENTA = (-0.75, -0.5, -0.25, 0.5)
LEAST_STEPS = 3000
"""Waves are damped to 1e-9 by then where they are longest, with the smallest step size."""
ALPHA, UNROLLED = 0.3, 2
AHEAD_BY = UNROLLED * ALPHA
RATIO, TURNS = 4.0, (3, 2)


class Method(NamedTuple):
    """A way to play, and what is known of it on the bilinear game.

    Attributes:
      group: the panel that it is drawn in; what has the same `family` has one color there.
      formula: of the factor per step, for people; likewise `bound`, of the threshold.
      rule: `step size -> Rule`.
      factor: `step sizes -> factors`, the closed form.
      threshold: the step size up to which no run grows: 0 where all grow, infinite where none does.
      period: steps after which the rule's map is the same again.
    """

    group: str
    family: str
    name: str
    formula: str
    bound: str
    rule: Callable[[Any], Rule]
    factor: Callable[[np.ndarray], np.ndarray]
    threshold: float
    period: int = 1


class Measured(NamedTuple):
    """What runs and Jacobians say of a method.

    Attributes:
      step_sizes: `[points]`, and the `factors` of runs with them.
      threshold: as in `Method`.
      below: the factor of a run just below the threshold, `above` that just above it; of the first and the last step
        size where there is no threshold.
      path: `[DRAWN_STEPS + 1, 2]`, the run with `DRAWN_STEP`, enlarged to begin at `START`.
    """

    step_sizes: np.ndarray
    factors: np.ndarray
    threshold: float
    below: float
    above: float
    path: np.ndarray


def sgd(step_size: Any, momentum: float | None = None, ratio: float = 1.0) -> Players:
    return Players(optax.sgd(step_size, momentum), optax.sgd(ratio * step_size, momentum))


def optimistic(step_size: Any) -> optax.GradientTransformation:
    return optax.optimistic_gradient_descent(step_size)


def larger_root(trace: Any, determinant: Any) -> np.ndarray:
    """The larger modulus of the roots of λ² - trace λ + determinant."""
    half = np.asarray(trace, complex) / 2
    split = np.sqrt(half**2 - determinant)
    return np.maximum(np.abs(half + split), np.abs(half - split))


def largest_root(*coefficients: Any) -> np.ndarray:
    """The largest modulus of the roots of polynomials, one for each step size, highest power first."""
    return np.array([np.abs(np.roots(row)).max() for row in np.stack(np.broadcast_arrays(*coefficients), -1)])


def first_above_one(radius: Callable[[np.ndarray], np.ndarray]) -> float:
    """The step size between `LOWEST` and `HIGHEST` from which on `radius` exceeds 1; 0 if it always does, infinite if
    never. By dividing into 63 parts again and again."""
    grid = np.linspace(LOWEST, HIGHEST, 64)
    while True:
        unstable = radius(grid) > 1 + TOLERANCE
        if not unstable.any():
            return math.inf
        first = int(np.argmax(unstable))
        if first == 0:
            return 0.0
        low, high = grid[first - 1], grid[first]
        if high - low < 1e-13:
            return float(high)
        grid = np.linspace(low, high, 64)


def first_root(polynomial: Polynomial) -> float:
    """The smallest positive real root."""
    roots = polynomial.roots()
    return float(min(roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 1e-6)]))


def alternating_factor(multiplied: np.ndarray) -> np.ndarray:
    """Of the alternating step, where the simultaneous one multiplies by `multiplied` a + i b."""
    a, b = np.real(multiplied), np.imag(multiplied)
    return larger_root(2 * a - b**2, a**2)


def alternating_momentum(beta: float, step_sizes: np.ndarray) -> np.ndarray:
    quartic = np.polymul(np.polymul([1, -1], [1, -1]), np.polymul([1, -beta], [1, -beta])).astype(float)
    return largest_root(quartic[0], quartic[1] + step_sizes**2, *quartic[2:])


def interpolated_alternating(step_sizes: np.ndarray) -> np.ndarray:
    half = 1 - step_sizes**2 / 2 + 0j
    split = np.sqrt(half**2 - 1)
    powers = np.stack([half + split, half - split]) ** PERIOD
    return np.abs(1 - FRACTION + FRACTION * powers).max(0) ** (1 / PERIOD)


def taylor(z: Any) -> Any:
    return 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24


def both_orders(
    group: str,
    family: str,
    name: str,
    adjustment: Callable[[Any], fields.Transform],
    multiplier: Callable[[np.ndarray], np.ndarray],
    formulas: tuple[str, str],
    bounds: tuple[str, str],
    thresholds: tuple[float, float],
) -> tuple[Method, Method]:
    """A field that is multiplication by `multiplier` p - i q, played simultaneously and alternating."""
    return (
        Method(
            group, family, f"{name}, simultaneous", formulas[0], bounds[0],
            lambda step: rules.simultaneous(sgd(step), adjustment(step)),
            lambda steps: np.abs(1 - steps * multiplier(steps)),
            thresholds[0],
        ),
        Method(
            group, family, f"{name}, alternating", formulas[1], bounds[1],
            lambda step: rules.alternating(sgd(step), adjustment(step)),
            lambda steps: alternating_factor(1 - steps * multiplier(steps)),
            thresholds[1],
        ),
    )  # fmt: skip


def with_strength(
    group: str, family: str, name: str, symbol: str, value: float, adjustment: fields.Transform
) -> tuple[Method, Method]:
    """An adjustment that makes the field multiplication by `value` - i, whatever the step size."""
    square = f"({symbol})²" if len(symbol) > 1 else f"{symbol}²"
    return both_orders(
        group, family, name, lambda step: adjustment, lambda steps: value - 1j + 0 * steps,
        (f"√((1-{symbol}η)²+η²)", f"|1-{symbol}η| while η²<4(1-{symbol}η)"),
        (f"2·{symbol}/(1+{square})", f"2/(1+{symbol})"),
        (2 * value / (1 + value**2), 2 / (1 + value)),
    )  # fmt: skip


def modulus_squared(polynomial: Polynomial) -> Polynomial:
    """|`polynomial`|² of a real variable, as a polynomial."""
    return Polynomial((polynomial * Polynomial(polynomial.coef.conj())).coef.real)


PLAIN, MOMENTUM, AHEAD = "plain gradients", "momentum", "extrapolation"
JACOBIAN, OPPONENT, INTEGRATION = "adjusted by the Jacobian", "aware of the opponent", "Runge-Kutta and lookahead"
POPOV = "past extragradient = optimistic"
PAST, BACK = "past extragradient of adjusted fields", "lookahead over adjusted fields"
AHEAD_OF_CONSENSUS = Polynomial([0, GAMMA - 1j])
INTERPOLATED = 1 - FRACTION + FRACTION * Polynomial([1, 1j]) ** PERIOD
MU = ((2 - FRACTION) / FRACTION) ** (1 / PERIOD)
"""Lookahead over alternating, with an odd period: the root -μ becomes 1 - α - α μᵏ, which is -1 at this μ."""

MULTIPLIERS: dict[str, tuple[Callable[[Any], fields.Transform], Callable[[np.ndarray], np.ndarray]]] = {
    "extragradient": (fields.extragradient, lambda steps: steps - 1j),
    "consensus 0.5": (lambda step: fields.consensus(GAMMA), lambda steps: GAMMA - 1j + 0 * steps),
    "SGA 1": (lambda step: fields.sga(SGA), lambda steps: SGA - 1j + 0 * steps),
    "CGD": (fields.cgd, lambda steps: -1j / (1 - 1j * steps)),
    "LOLA 0.3": (lambda step: fields.lola(ALPHA), lambda steps: 2 * ALPHA - 1j + 0 * steps),
    "SOS 0.3": (lambda step: fields.sos(ALPHA), lambda steps: ALPHA - 1j + 0 * steps),
    "Heun": (fields.heun, lambda steps: steps / 2 - 1j),
    "RK4": (fields.rk4, lambda steps: (1 - taylor(1j * steps)) / steps),
}
"""Adjustments by name: of a step size the adjustment, and the number by which it makes the field multiplication."""


def crossed(name: str) -> tuple[Method, Method]:
    """Past extragradient and lookahead over an adjusted field."""
    adjustment, multiplier = MULTIPLIERS[name]

    def past(steps: np.ndarray) -> np.ndarray:
        return larger_root(1 - 2 * steps * multiplier(steps), -steps * multiplier(steps))

    def interpolated(steps: np.ndarray) -> np.ndarray:
        return np.abs(1 - FRACTION + FRACTION * (1 - steps * multiplier(steps)) ** PERIOD) ** (1 / PERIOD)

    return (
        Method(
            PAST, name, f"past extragradient of {name}", "λ²-(1-2ηf)λ-ηf=0", "root of factor=1",
            lambda step: rules.past_extragradient(sgd(step), step, adjustment(step)), past, first_above_one(past),
        ),
        Method(
            BACK, name, f"lookahead 5, 0.5 of {name}", "|1-α+α(1-ηf)ᵏ|^(1/k)", "root of factor=1",
            lambda step: rules.lookahead(rules.simultaneous(sgd(step), adjustment(step)), PERIOD, FRACTION),
            interpolated, first_above_one(interpolated), PERIOD,
        ),
    )  # fmt: skip


METHODS: tuple[Method, ...] = (
    *both_orders(
        PLAIN, "gradients", "gradients", lambda step: fields.gradients, lambda steps: -1j + 0 * steps,
        ("√(1+η²)", "1 up to η*; λ²-(2-η²)λ+1=0"), ("", "2"), (0.0, 2.0),
    ),
    Method(
        PLAIN, "gradients", "gradients, alternating, G first", "1 up to η*; λ²-(2-η²)λ+1=0", "2",
        lambda step: rules.alternating(sgd(step), order=("generator", "discriminator")),
        lambda steps: larger_root(2 - steps**2, 1), 2.0,
    ),
    Method(
        PLAIN, "3 D-steps, 2 G-steps", "gradients, alternating 3 D, 2 G", "1 up to η*; λ²-(2-mnη²)λ+1=0", "2/√(mn)",
        lambda step: rules.alternating(sgd(step), order=("discriminator",) * TURNS[0] + ("generator",) * TURNS[1]),
        lambda steps: larger_root(2 - TURNS[0] * TURNS[1] * steps**2, 1), 2 / math.sqrt(TURNS[0] * TURNS[1]),
    ),
    Method(
        PLAIN, "rates η and 4η", "rates η and 4η, simultaneous", "√(1+cη²)", "",
        lambda step: rules.simultaneous(sgd(step, ratio=RATIO)),
        lambda steps: np.sqrt(1 + RATIO * steps**2), 0.0,
    ),
    Method(
        PLAIN, "rates η and 4η", "rates η and 4η, alternating", "1 up to η*; λ²-(2-cη²)λ+1=0", "2/√c",
        lambda step: rules.alternating(sgd(step, ratio=RATIO)),
        lambda steps: larger_root(2 - RATIO * steps**2, 1), 2 / math.sqrt(RATIO),
    ),
    *(
        Method(
            MOMENTUM, f"momentum {beta}", f"momentum {beta}, simultaneous", "λ²-(1+β+iη)λ+β=0", "",
            lambda step, beta=beta: rules.simultaneous(sgd(step, beta)),
            lambda steps, beta=beta: larger_root(1 + beta + 1j * steps, beta), 0.0,
        )
        for beta in MOMENTA
    ),
    *(
        Method(
            MOMENTUM, f"momentum {beta}", f"momentum {beta}, alternating", "(λ-1)²(λ-β)²+η²λ³=0",
            "2(1+β)" if beta < 0 else "",
            lambda step, beta=beta: rules.alternating(sgd(step, beta)),
            partial(alternating_momentum, beta), 2 * (1 + beta) if beta < 0 else 0.0,
        )
        for beta in MOMENTA
    ),
    *both_orders(
        AHEAD, "extragradient", "extragradient", fields.extragradient, lambda steps: steps - 1j,
        ("√(1-η²+η⁴)", "|1-η²| while η²<4(1-η²)"), ("1", "1"), (1.0, 1.0),
    ),
    Method(
        AHEAD, POPOV, "past extragradient", "√((1+√(1-4η²))/2) up to ½; λ²-(1+2iη)λ+iη=0", "1/√3",
        lambda step: rules.past_extragradient(sgd(step), step),
        lambda steps: larger_root(1 + 2j * steps, 1j * steps), 1 / math.sqrt(3),
    ),
    Method(
        AHEAD, POPOV, "optimistic, simultaneous", "the same: λ²-(1+2iη)λ+iη=0", "1/√3",
        lambda step: rules.simultaneous(optimistic(step)),
        lambda steps: larger_root(1 + 2j * steps, 1j * steps), 1 / math.sqrt(3),
    ),
    Method(
        AHEAD, POPOV, "optimistic, alternating", "λ(λ-1)²+η²(2λ-1)²=0", "2/3",
        lambda step: rules.alternating(optimistic(step)),
        lambda steps: largest_root(1, 4 * steps**2 - 2, 1 - 4 * steps**2, steps**2), 2 / 3,
    ),
    *both_orders(
        AHEAD, "extragradient of consensus 0.5", "extragradient of consensus 0.5",
        lambda step: fields.extragradient(step, inner=fields.consensus(GAMMA)),
        lambda steps: (GAMMA - 1j) * (1 - steps * (GAMMA - 1j)),
        ("|1-ηf+η²f²|, f=γ-i", "a=1-γη-(1-γ²)η², b=η-2γη²: λ²-(2a-b²)λ+a²=0"),
        ("root of |1-ηf+η²f²|=1", "(1+√57)/7 for γ=½"),
        (first_root(modulus_squared(1 - AHEAD_OF_CONSENSUS + AHEAD_OF_CONSENSUS**2) - 1), (1 + math.sqrt(57)) / 7),
    ),
    *with_strength(JACOBIAN, "consensus 0.5", "consensus 0.5", "γ", GAMMA, fields.consensus(GAMMA)),
    *with_strength(JACOBIAN, "SGA 1, aligned or not", "SGA 1", "λ", SGA, fields.sga(SGA)),
    *with_strength(JACOBIAN, "SGA 1, aligned or not", "SGA 1 aligned", "λ", SGA, fields.sga(SGA, align=True)),
    *both_orders(
        JACOBIAN, "CGD", "CGD", fields.cgd, lambda steps: -1j / (1 - 1j * steps),
        ("1/√(1+η²)", "1/(1+η²)"), ("∞", "∞"), (math.inf, math.inf),
    ),
    *with_strength(OPPONENT, "LOLA 0.3", "LOLA 0.3", "2α", 2 * ALPHA, fields.lola(ALPHA)),
    *with_strength(OPPONENT, "SOS 0.3", "SOS 0.3", "α", ALPHA, fields.sos(ALPHA)),
    Method(
        OPPONENT, "unrolled 2×0.3", "unrolled 2×0.3, simultaneous", "c=kαη: λ²-(2-2c)λ+1-2c+η²=0", "2kα if kα≤1",
        lambda step: rules.simultaneous(sgd(step), fields.unrolled(UNROLLED, ALPHA)),
        lambda steps: larger_root(2 - 2 * AHEAD_BY * steps, 1 - 2 * AHEAD_BY * steps + steps**2), 2 * AHEAD_BY,
    ),
    Method(
        OPPONENT, "unrolled 2×0.3", "unrolled 2×0.3, alternating", "c=kαη: λ²-(2-2c-η²)λ+1-2c=0", "2√(1+k²α²)-2kα",
        lambda step: rules.alternating(sgd(step), fields.unrolled(UNROLLED, ALPHA)),
        lambda steps: larger_root(2 - 2 * AHEAD_BY * steps - steps**2, 1 - 2 * AHEAD_BY * steps),
        2 * math.sqrt(1 + AHEAD_BY**2) - 2 * AHEAD_BY,
    ),
    *both_orders(
        INTEGRATION, "Heun", "Heun", fields.heun, lambda steps: steps / 2 - 1j,
        ("√(1+η⁴/4)", "|1-η²/2| while η²<4-2η²"), ("", "√5-1"), (0.0, math.sqrt(5) - 1),
    ),
    *both_orders(
        INTEGRATION, "RK4", "RK4", fields.rk4, lambda steps: (1 - taylor(1j * steps)) / steps,
        ("√(1-η⁶/72+η⁸/576)", "a=1-η²/2+η⁴/24, b=η-η³/6: λ²-(2a-b²)λ+a²=0"), ("√8", "4cos(20°)-2"),
        (math.sqrt(8), 4 * math.cos(math.pi / 9) - 2),
    ),
    Method(
        INTEGRATION, "lookahead 5, 0.5", "lookahead 5, 0.5, simultaneous", "|1-α+α(1+iη)ᵏ|^(1/k)", "root of factor=1",
        lambda step: rules.lookahead(rules.simultaneous(sgd(step)), PERIOD, FRACTION),
        lambda steps: np.abs(INTERPOLATED(steps)) ** (1 / PERIOD), first_root(modulus_squared(INTERPOLATED) - 1),
        PERIOD,
    ),
    Method(
        INTEGRATION, "lookahead 5, 0.5", "lookahead 5, 0.5, alternating", "|1-α+αλᵏ|^(1/k), λ²-(2-η²)λ+1=0",
        "√μ+1/√μ, μᵏ=2/α-1",
        lambda step: rules.lookahead(rules.alternating(sgd(step)), PERIOD, FRACTION),
        interpolated_alternating, math.sqrt(MU) + 1 / math.sqrt(MU), PERIOD,
    ),
    *itertools.chain.from_iterable(map(crossed, MULTIPLIERS)),
)  # fmt: skip


def bilinear(steps: int = 8000, out: Path = Path("results/bilinear")) -> None:
    """Every rule and adjustment on min max x y: its contraction factor and its largest step size, measured and exact.

    Args:
        steps: of each run; the more, the more exact are the measured factors.
        out: folder for figures and data; an earlier result is replaced when the new one is complete.
    """
    if not LEAST_STEPS <= steps <= 1_000_000:
        raise ValueError(f"--steps is {steps}: give a whole number from {LEAST_STEPS} to 1000000")
    with results.complete_folder(out, FILES) as folder, jax.enable_x64(True):
        print(f"{'':43} {'factor: largest':>15}   {'unstable above η*':^27}")
        print(f"{'':43} {'difference':>15}   {'closed form':>13} {'measured':>13}   factor per step")
        measured = []
        for method in METHODS:
            measured.append(measure(method, steps))
            print(line(method, measured[-1]))
        drifts = {order: drift(order == "D first", steps) for order in ("D first", "G first")}
        print(f"\nAlternating keeps x² + y² ± η x y (+: D first) in {steps} steps, but for rounding:", end=" ")
        print(", ".join(f"{order} {value:.0e}" for order, value in drifts.items()))
        worst = max(difference(*pair) for pair in zip(METHODS, measured, strict=True))
        pairs = [(method.threshold, m.threshold) for method, m in zip(METHODS, measured, strict=True)]
        apart = max(0.0 if closed == found else abs(closed - found) for closed, found in pairs)
        print(f"Largest difference of {sum(len(m.factors) for m in measured)} factors: {worst:.1e};", end=" ")
        print(f"of the {len(pairs)} thresholds: {apart:.1e}.")
        save(folder, measured, drifts, {"steps": steps, "command": results.command()})
        draw(folder, measured)
    print(f"\nEverything is in {out}/.")


def measure(method: Method, steps: int, points: int = POINTS) -> Measured:
    """Runs `method` at `points` step sizes and on both sides of its threshold."""
    sizes = step_sizes(method, points)
    threshold = measured_threshold(method)
    sides = method.threshold * np.array([1 - MARGIN, 1 + MARGIN])
    if not 0 < method.threshold < math.inf:
        sides = sizes[[0, -1]]
    runs = np.asarray(_runs(method.rule, jnp.asarray([*sizes, *sides, DRAWN_STEP]), steps))
    growths = np.log(np.hypot(*runs) / SCALE)
    *factors, below, above, _ = np.exp(rates_of_growth(growths))
    distances = math.hypot(*START) * np.exp(np.cumsum(growths[-1, :DRAWN_STEPS]))
    directions = runs[:, -1, :DRAWN_STEPS] / np.hypot(*runs[:, -1, :DRAWN_STEPS])
    path = np.stack([START, *(distances * directions).T])
    return Measured(sizes, np.array(factors), threshold, float(below), float(above), path)


def step_sizes(method: Method, points: int) -> np.ndarray:
    """Evenly spaced step sizes, up to beyond the threshold; their odd spacing keeps them off double roots."""
    known = 0 < method.threshold < math.inf
    return np.linspace(LOWEST, 1.287 * method.threshold if known else 1.73, points)


def rescaled(rule: Rule) -> Rule:
    """`rule`, whose every step starts `SCALE` from the origin, where the step before was in that direction."""
    return rule._replace(moves=lambda game: (_scale, *rule.moves(game)))


def _scale(state: State, sample: Any) -> State:
    x, y = state.players
    factor = SCALE / jnp.sqrt(x**2 + y**2)
    return jax.tree.map(lambda leaf: factor * leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state)


@partial(jax.jit, static_argnames=("rule", "steps"))
def _runs(rule: Callable[[Any], Rule], step_sizes: jax.Array, steps: int) -> jax.Array:
    """Where each step leads that starts at the distance `SCALE`: `[2, step sizes, steps]`, x and y."""
    key = jax.random.key(0)  # not used: the start is given, and the game draws nothing
    game = GAME._replace(init=lambda key: Players(*map(jnp.asarray, START)))
    return jnp.stack(
        jax.vmap(lambda step: train(key, game, rescaled(rule(step)), steps, record=lambda info: info.players).history)(
            step_sizes
        )
    )


def rates_of_growth(growths: np.ndarray) -> np.ndarray:
    """The logarithm of the factor per step `[n]`, from log ‖ω_{t+1}‖ - log ‖ω_t‖ `[n, steps]`, as described above."""
    heights = np.cumsum(growths, axis=1)[:, growths.shape[1] // 4 :]
    window = heights.shape[1] // 2
    roughly = (heights[:, -1:] - heights[:, :1]) / (heights.shape[1] - 1)
    energies = np.exp(2 * (heights - heights[:, :1] - roughly * np.arange(heights.shape[1])))
    s = np.arange(1, window + 1) / (window + 1)
    bump = np.exp(-1 / (s * (1 - s)))
    return roughly[:, 0] + np.log(energies[:, window : 2 * window] @ bump / (energies[:, :window] @ bump)) / (
        2 * window
    )


def measured_threshold(method: Method) -> float:
    """The step size from which on the spectral radius of the rule's Jacobian at the equilibrium exceeds 1."""

    def radius(step_sizes: np.ndarray) -> np.ndarray:
        return np.abs(np.linalg.eigvals(_jacobians(method.rule, jnp.asarray(step_sizes), method.period))).max(-1)

    return first_above_one(radius)


@partial(jax.jit, static_argnames=("rule", "period"))
def _jacobians(rule: Callable[[Any], Rule], step_sizes: jax.Array, period: int) -> jax.Array:
    equilibrium = Players(jnp.zeros(()), jnp.zeros(()))
    return jax.vmap(lambda step: spectra.update_jacobian(rule(step), GAME, equilibrium, period))(step_sizes)


ORDERS = ("generator", "discriminator"), ("discriminator", "generator")


def drift(discriminator_first: bool, steps: int, step_size: float = 0.7) -> float:
    """The largest relative change of x² + y² ± η x y along a run of the alternating rule."""
    game = GAME._replace(init=lambda key: Players(*map(jnp.asarray, START)))
    rule = rules.alternating(sgd(step_size), order=ORDERS[discriminator_first])
    paths = train(jax.random.key(0), game, rule, steps, record=lambda info: info.players).history
    kept = partial(perturbed_energy, learning_rate=step_size, discriminator_first=discriminator_first)
    return float(jnp.abs(kept(paths) / kept(Players(*START)) - 1).max())


def difference(method: Method, measured: Measured) -> float:
    return float(np.abs(measured.factors - method.factor(measured.step_sizes)).max())


def line(method: Method, measured: Measured) -> str:
    shown = [
        "never stable" if value == 0 else "always stable" if value == math.inf else f"{value:.10f}"
        for value in (method.threshold, measured.threshold)
    ]
    bound = f"   η* = {method.bound}" if 0 < method.threshold < math.inf else ""
    gap = difference(method, measured)
    return f"{method.name:43} {gap:15.1e}   {shown[0]:>13} {shown[1]:>13}   {method.formula}{bound}"


def save(folder: Path, measured: list[Measured], drifts: dict[str, float], settings: dict[str, Any]) -> None:
    rows = [
        {
            "method": method.name,
            "group": method.group,
            "formula": method.formula,
            "step_sizes": m.step_sizes,
            "closed": method.factor(m.step_sizes),
            "measured": m.factors,
            "largest_difference": difference(method, m),
            # 0: no step size is stable; null: every one is.
            "threshold": {"closed": method.threshold, "measured": m.threshold, "formula": method.bound},
            "factors_beside_threshold": [m.below, m.above] if 0 < method.threshold < math.inf else None,
        }
        for method, m in zip(METHODS, measured, strict=True)
    ]
    np.savez(folder / "trajectories.npz", names=[method.name for method in METHODS], paths=[m.path for m in measured])
    data = {"methods": rows, "drift_of_conserved": drifts, "settings": settings, "versions": results.record()}
    results.write_json(folder / "data.json", data)


def draw(folder: Path, measured: list[Measured]) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    families: dict[str, list[str]] = {}
    for method, m in zip(METHODS, measured, strict=True):
        colors = families.setdefault(method.group, [])
        if method.family not in colors:
            colors.append(method.family)
        fine = np.linspace(1e-3, m.step_sizes[-1], 600)
        groups.setdefault(method.group, []).append({
            "label": method.family,
            "color": colors.index(method.family),
            "dashed": "alternating" in method.name,
            "line": (fine, method.factor(fine)),
            "dots": (m.step_sizes, m.factors),
            "threshold": method.threshold,
        })  # fmt: skip
    results.save_figure(
        folder / "factors.png", lab_plots.contraction_factors, 15, 10.5, groups,
        "On min max x y plain gradients never contract; alternation with negative momentum, extrapolation, the "
        "Jacobian and lookahead do, up to a step size (bars)\n"
        "lines: closed form, dots: runs; solid: simultaneous, dashed: alternating",
    )  # fmt: skip
    factors = np.array([float(method.factor(np.array([DRAWN_STEP]))[0]) for method in METHODS])
    results.save_figure(
        folder / "trajectories.png", lab_plots.trajectories, 16, 15, np.stack([m.path for m in measured]),
        [re.sub(r", (?=simultaneous|alternating)| (?=of )", "\n", method.name) for method in METHODS], factors,
        f"min max x y at η = {DRAWN_STEP}, {DRAWN_STEPS} steps: blue comes to the equilibrium, gray circles it, "
        "red leaves it (below the name: factor per step)",
    )  # fmt: skip


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(bilinear)
