"""Which GAN training methods converge, on the Dirac-GAN: spectra in closed form and by autodiff, and runs.

Mescheder, Geiger & Nowozin 2018 (arXiv:1801.04406). The data is the point 0, the generator θ, the logit ψ x. With
h(ℓ) and g(ℓ) what G and D minimize of a generated image with logit ℓ, the field at the equilibrium (0, 0) has

    J = [[0, h'(0)], [g'(0), d]],   λ = d/2 ± √(d²/4 - κ),   κ = -h'(0) g'(0)

d = 0 without regularization, γ for R1 and R2, ς² E'' for instance noise, with E'' D's two second derivatives at 0.

The non-saturating game's flow has ½ d r²/dt = -ℓ tanh(ℓ/2), ℓ = ψ θ; over a turn that is -r⁴/16: r = √(8/t). A step of
simultaneous descent adds η² ‖ξ‖² = η² r²/4 to r², and the two balance at r = √(2 η), a limit cycle.
"""

import itertools
import math
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results

from slantgan_jax import (
    Game,
    Objective,
    Players,
    Rule,
    fields,
    games,
    lab_plots,
    losses,
    penalties,
    plots,
    rules,
    train,
)
from slantgan_jax.analysis import spectra
from slantgan_jax.fields import Transform
from slantgan_jax.penalties import Penalty
from slantgan_jax.training import DIVERGENCE_BOUND

STRENGTH = 0.5  # of R1, R2, consensus, symplectic adjustment, and the look-ahead of opponent shaping
ONE_CENTRED = 0.25  # λ of WGAN-GP and DRAGAN; from λ = √κ on they rest off the data, at θ = ±2 λ k / g'(0)
MOMENTUM = -0.5
UNROLLED = 3
PERIOD, FRACTION = 5, 0.5  # of lookahead
EMA = 0.999
EVERY = 5  # steps from record to record
FAR, NEAR = 60, 4  # runs that tell where a method goes, and runs that measure its factor at the equilibrium
NEAR_RADIUS = 1e-3
DRAWN = [15, 40, 59]  # of the FAR runs
FACTOR_WINDOW = 1e-14, 1e-2  # distances between which the factor is fitted
NEUTRAL = 1e-13  # a spectral radius this close to 1 is 1: rounding
SEEN = {"attracts": 12.0, "repels": 0.15, "undecided": math.inf}  # the least steps · |ln ρ| that shows in the runs
FACTOR_TOLERANCE = 0.01, 1e-7  # of 1 - factor, and beside it: the distance swings around the line that is fitted
REACHED = 1e-4  # a run that came so close, from 0.3 to 1.5, has converged linearly: by n^-½ it takes 1e9 steps
STEADY = 0.02  # a radius that changes by less than this between the last two fifths of a run is kept
SAME = 0.05  # radii from all starts that differ by less than this are one limit cycle
OBJECTIVES = {
    "least squares, targets ±1": losses.least_squares(1, -1, 1),
    "least squares, targets 0 and 1": losses.least_squares(),
    "hinge": losses.hinge,
    "relativistic": losses.relativistic,
    "KL-type": losses.kl,
    "one-sided smoothing": losses.smoothed(losses.non_saturating, 0.1),
}
LEAVING = "diverges", "stalls", "spirals out", "leaves"
GOOD, SLOW, BAD = plots.GENERATOR, plots.DISCRIMINATOR, plots.NEGATIVE


class Method(NamedTuple):
    """A row of the table.

    Attributes:
      group: the paper's methods, or what goes beyond it.
      game, adjustment, rule: what is played and how.
      flow: `[2]`, the eigenvalues of the field's Jacobian at (0, 0) in closed form; None where it has none.
      update: those of the update map over `steps` steps.
    """

    group: str
    game: Game
    adjustment: Transform
    rule: Rule
    flow: np.ndarray | None
    update: np.ndarray | None
    steps: int = 1


def main(learning_rate: float = 0.1, steps: int = 40_000, out: Path = Path("results/dirac_gan")) -> None:
    """Which GAN training methods converge, on the Dirac-GAN: from spectra and from runs.

    Args:
        learning_rate: of both players' gradient descent, from 0.001 to 1.
        steps: of each run, a multiple of 100; slow methods need about 400 / learning_rate².
        out: folder for figures and data; an earlier result is replaced when the new one is complete.
    """
    if not 0.001 <= learning_rate <= 1:
        raise ValueError(f"--learning-rate is {learning_rate}: give a number from 0.001 to 1")
    if steps < 100 or steps % 100 or steps > 10_000_000:
        raise ValueError(f"--steps is {steps}: give a multiple of 100 from 100 to 10000000")
    with results.complete_folder(out) as folder, jax.enable_x64(True):
        print(HEADER)
        rows, portraits = {}, {}
        for name, method in methods(learning_rate).items():
            rows[name], portraits[name] = examine(method, steps)
            print(line(name, rows[name]), flush=True)
        penalty = critical_penalty(learning_rate)
        data = {
            "methods": rows,
            "critical penalty": penalty,
            "limit cycle": {
                "predicted": math.sqrt(2 * learning_rate),
                "measured": np.mean(rows["non-saturating, simultaneous"]["radius"]),
            },
            "settings": {"learning_rate": learning_rate, "steps": steps, "command": results.command()},
            "versions": results.record(),
        }
        results.write_json(folder / "data.json", data)
        np.savez(folder / "portraits.npz", allow_pickle=False, axis=AXIS, **flat(portraits))
        draw(folder, rows, portraits, penalty, learning_rate)
    print("* so near to 1 that runs of this length do not show it")
    disagreeing = [name for name, row in rows.items() if not row["agrees"]]
    print(f"\nRun and spectrum disagree for: {', '.join(disagreeing) or 'none'}.")
    cycle = data["limit cycle"]
    print(f"Non-saturating, simultaneous: a cycle of radius {cycle['measured']:.4f}; √(2η) = {cycle['predicted']:.4f}.")
    print(f"R1: the flow is fastest at γ = 2√κ = {penalty['flow']['best']:.4g}. Everything is in {out}/.")


# What is examined


def methods(rate: float) -> dict[str, Method]:
    """The rows of the table, for learning rate `rate`; to be called where 64-bit types are enabled.

    The minimax game's J is antisymmetric and JᵀJ = κ I: so Jᵀξ of consensus and Aᵀξ of SGA are the same here, and add
    γ κ to the eigenvalues.
    """
    sgd = descent(rate)
    minimax, usual, wgan = (dirac(loss) for loss in (losses.saturating, losses.non_saturating, losses.wasserstein))
    kappa, curvature = kappa_and_curvature(losses.saturating)
    free = pair(0, kappa)
    simultaneous, alternating = partial(simultaneously, rate), partial(alternately, rate)
    adjusted = partial(simultaneously, rate, "adjustments", minimax)
    ruled = partial(Method, "rules", minimax, fields.gradients)
    r1, r2 = (dirac(losses.saturating, penalty(STRENGTH)) for penalty in (penalties.r1, penalties.r2))
    clipped = rules.simultaneous(penalties.clipped(sgd, 1.0))
    turning = pair(2 - rate**2 * kappa, 1)  # alternating
    optimistic = np.concatenate([pair(1 - 2 * rate * z, -rate * z) for z in free])
    slow, past, inert = rate**2 * kappa, -rate * free, np.poly([1, MOMENTUM])
    heavy = descent(rate, MOMENTUM)
    return {
        "minimax, simultaneous": simultaneous("paper", minimax, free),
        "minimax, alternating": alternating("paper", minimax, kappa),
        "non-saturating, simultaneous": simultaneous("paper", usual, free),
        "non-saturating, alternating": alternating("paper", usual, kappa),
        "WGAN, simultaneous": simultaneous("paper", wgan, pair(0, 1)),
        "WGAN, alternating": alternating("paper", wgan, 1),
        "WGAN, clipped": simultaneous("paper", wgan, pair(0, 1))._replace(rule=clipped),
        "WGAN-GP": simultaneous("paper", dirac(losses.wasserstein, penalties.wgan_gp(ONE_CENTRED)), None),
        "DRAGAN": simultaneous("paper", dirac(losses.saturating, penalties.dragan(ONE_CENTRED)), None),
        "instance noise": simultaneous(
            "paper", games.expected(games.dirac(losses.saturating, noise=1.0)), pair(curvature, kappa)
        ),
        "consensus": simultaneous("paper", minimax, free + STRENGTH * kappa, fields.consensus(STRENGTH)),
        "R1": simultaneous("paper", r1, pair(STRENGTH, kappa)),
        "R1, alternating": alternating("paper", r1, kappa, STRENGTH),
        "R2": simultaneous("paper", r2, pair(STRENGTH, kappa)),
        "extragradient": adjusted(free - rate * free**2, fields.extragradient(rate)),
        "SGA": adjusted(free + STRENGTH * kappa, fields.sga(STRENGTH)),
        "SGA, aligned": adjusted(free + STRENGTH * kappa, fields.sga(STRENGTH, align=True)),
        "CGD": adjusted(free / (1 + rate * free), fields.cgd(rate)),
        "LOLA": adjusted(free + 2 * STRENGTH * kappa, fields.lola(STRENGTH)),
        "SOS": adjusted(free + STRENGTH * kappa, fields.sos(STRENGTH)),
        "unrolled": adjusted(pair(2 * UNROLLED * rate * kappa, kappa), fields.unrolled(UNROLLED, rate)),
        "Heun": adjusted(free - rate * free**2 / 2, fields.heun(rate)),
        "RK4": adjusted(-(past + past**2 / 2 + past**3 / 6 + past**4 / 24) / rate, fields.rk4(rate)),
        "tutorial's order": ruled(rules.tutorial(sgd), free, turning),
        "negative momentum, simultaneous": ruled(
            rules.simultaneous(heavy), free, np.concatenate([pair(1 + MOMENTUM - rate * z, MOMENTUM) for z in free])
        ),
        "negative momentum, alternating": ruled(  # (μ - 1)² (μ - β)² + η² κ μ³ = 0
            rules.alternating(heavy), free, np.roots(np.polyadd(np.polymul(inert, inert), [slow, 0, 0, 0]))
        ),
        "past extragradient": ruled(rules.past_extragradient(sgd, rate), free, optimistic),
        "optimistic": ruled(rules.simultaneous(optax.optimistic_gradient_descent(rate)), free, optimistic),
        "lookahead": ruled(  # the slow players are replaced: 0, 0
            rules.lookahead(rules.simultaneous(sgd), PERIOD, FRACTION),
            free,
            np.append(1 - FRACTION + FRACTION * (1 - rate * free) ** PERIOD, [0, 0]),
            PERIOD,
        ),
        "averaged, alternating": ruled(  # the moments decay, what is read is replaced
            rules.averaged(rules.alternating(sgd), optax.ema(EMA)), free, np.append(turning, [EMA, EMA, 0, 0])
        ),
        **{
            name: alternating("objectives", dirac(objective), kappa_and_curvature(objective)[0])
            for name, objective in OBJECTIVES.items()
        },
    }


def simultaneously(
    rate: float, group: str, game: Game, flow: np.ndarray | None, adjustment: Transform = fields.gradients
) -> Method:
    """Simultaneous descent, whose update map is 1 - η λ."""
    update = None if flow is None else 1 - rate * flow
    return Method(group, game, adjustment, rules.simultaneous(descent(rate), adjustment), flow, update)


def alternately(rate: float, group: str, game: Game, kappa: float, damping: float = 0.0) -> Method:
    """D's step, then G's: μ² - (2 - η d - η² κ) μ + 1 - η d = 0."""
    update = pair(2 - rate * damping - rate**2 * kappa, 1 - rate * damping)
    return Method(group, game, fields.gradients, rules.alternating(descent(rate)), pair(damping, kappa), update)


def dirac(objective: Objective, *added: Penalty) -> Game:
    """The Dirac-GAN with penalties, without sampling: nothing in it is random."""
    return games.expected(games.penalized(games.dirac(objective), *added))


def descent(rate: float, momentum: float | None = None) -> optax.GradientTransformation:
    return optax.sgd(rate, momentum)


def kappa_and_curvature(objective: Objective) -> tuple[float, float]:
    """κ = -h'(0) g'(0), and D's second derivatives by ℓ_real and by ℓ_fake at 0, summed."""

    def discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
        return jnp.asarray(sum(term(real, fake) for term in objective.discriminator))

    slope = jax.grad(objective.generator, 1)(0.0, 0.0) * jax.grad(discriminator, 1)(0.0, 0.0)
    return -float(slope), float(sum(jax.grad(jax.grad(discriminator, i), i)(0.0, 0.0) for i in (0, 1)))


def pair(trace: complex, determinant: complex) -> np.ndarray:
    """The eigenvalues `[2]` of a 2 by 2 matrix: trace/2 ± √(trace²/4 - determinant)."""
    root = np.sqrt(np.asarray(trace**2 / 4 - determinant, complex))
    return np.array([trace / 2 + root, trace / 2 - root])


# How it is examined

AXIS = np.linspace(-2, 2, 17)


def examine(method: Method, steps: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A row's numbers, and the arrays of its portrait."""
    jacobian, jump, arrows = _field_at(method.game, method.adjustment)
    update, history, finite = jax.tree.map(np.asarray, _played(method, steps))
    places = np.stack(history)
    with np.errstate(over="ignore"):  # of runs that diverge
        radii = np.hypot(*places)
    row: dict[str, Any] = {"group": method.group, "jump": jump}
    if method.flow is None or method.update is None:
        verdicts = dict.fromkeys(("flow verdict", "spectral verdict"), "no equilibrium")
        row |= {"spectral radius": None, "measured factor": None, "seen": False, **verdicts}
    else:
        values = np.linalg.eigvals(update)
        radius = float(np.abs(values).max() ** (1 / method.steps))
        merged = np.abs(np.subtract(*method.flow)) < 1e-6  # they grow by a power of n, too: no line in ln r
        row |= {
            "flow": compared(method.flow, np.linalg.eigvals(jacobian)),
            "update": compared(method.update, values),
            "spectral radius": radius,
            "measured factor": None if merged else measured_factor(radii[FAR:]),
            "seen": steps * abs(math.log(radius)) > SEEN[verdict(radius - 1)],
            "flow verdict": verdict(-np.real(method.flow).min()),
            "spectral verdict": verdict(radius - 1),
        }
    row |= run_verdict(radii[:FAR], places[:, :FAR], finite[:FAR])
    row["agrees"] = agrees(row)
    drawn = np.moveaxis(places, 0, -1)[DRAWN]
    return row, {"arrows": arrows, "paths": drawn[:, :300], "ends": drawn[:, -60:]}


@cache
def _field_at(game: Game, adjustment: Transform) -> tuple[np.ndarray, Any, np.ndarray]:
    """At (0, 0) J, and how far ξ jumps across ψ = 0; -ξ on the grid. Many rows have the same field."""
    field = spectra.expected_field(game, adjustment)
    grid, sides = np.meshgrid(AXIS, AXIS), ([0, 0], [1e-12, -1e-12])
    points = Players(*(np.append(*numbers) for numbers in zip(grid, sides, strict=True)))

    def everything(origin: Players, points: Players) -> tuple[Any, ...]:
        return fields.jacobian(field, origin), jax.vmap(field)(points)

    jacobian, values = jax.jit(everything)(Players(0.0, 0.0), points)
    values = np.stack(values, -1)
    return np.asarray(jacobian), np.linalg.norm(values[-2] - values[-1]), -values[:-2].reshape(*grid[0].shape, 2)


def _played(method: Method, steps: int) -> tuple[Any, ...]:
    """The Jacobian of the update map at (0, 0), and runs from everywhere."""
    turns = np.arange(FAR + NEAR) * np.pi * (3 - np.sqrt(5))  # the golden angle: no two alike
    radii = np.append(np.linspace(0.3, 1.5, FAR), np.full(NEAR, NEAR_RADIUS))

    def everything(starts: Players, origin: Players) -> tuple[Any, ...]:
        run = jax.vmap(lambda start: play(method.game, method.rule, start, steps))(starts)
        return spectra.update_jacobian(method.rule, method.game, origin, method.steps), run.history, run.finite

    starts = Players(radii * np.cos(turns), radii * np.sin(turns))
    return jax.jit(everything)(starts, Players(0.0, 0.0))


def play(game: Game, rule: Rule, start: Players, steps: int) -> Any:
    """The run of `rule` on `game`, which has no randomness, from `start`."""
    game = game._replace(init=lambda key: start)
    return train(jax.random.key(0), game, rule, steps, record=lambda info: info.players, record_every=EVERY)


def compared(closed: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Eigenvalues in closed form and by autodiff, in the order in which they are closest."""
    orders = (np.array(order) for order in itertools.permutations(found, len(closed)))
    best = min(orders, key=lambda order: np.abs(order - closed).max())
    return {
        "closed": np.stack([np.real(closed), np.imag(closed)], -1),
        "autodiff": np.stack([np.real(best), np.imag(best)], -1),
        "difference": np.abs(best - closed).max(),
    }


def verdict(excess: float) -> str:
    """Of a spectral radius less 1, or of a flow's growth rate."""
    return "undecided" if abs(excess) < NEUTRAL else "attracts" if excess < 0 else "repels"


def measured_factor(radii: np.ndarray, window: tuple[float, float] = FACTOR_WINDOW) -> float:
    """The factor of the distance in a step: the mean over runs of the slope of ln r, in the later half of the time that
    r is in the window."""
    slopes = []
    for r in radii:
        outside = ~((r > window[0]) & (r < window[1]))
        count = int(outside.argmax()) if outside.any() else len(r)
        late = np.arange(count // 2, count)
        slopes.append(np.polyfit(EVERY * late, np.log(r[late]), 1)[0] if count > 4 else np.nan)
    return float(np.exp(np.mean(slopes)))


def run_verdict(radii: np.ndarray, places: np.ndarray, finite: np.ndarray) -> dict[str, Any]:
    """What becomes of runs with distances `radii` `[runs, records]` and `places` `[2, runs, records]`.

        diverges       a parameter beyond `DIVERGENCE_BOUND`
        linear         closer than `REACHED` in the last fifth of the run
        sublinear      r ~ n^p with the same p < -0.1, within 20 %, in the second quarter and the second half
                       (of an exponential it doubles)
        stalls         does not visit all quadrants in the last fifth, and is still away
        spirals out    farther in the last fifth than in the one before, by `STEADY` or more
        cycle          the distance is kept, to `STEADY`; from all starts the same, to `SAME`: "limit cycle"; each
                       its own: "closed orbits"
        still moving   none of these

    The first that applies; "leaves" where runs differ in how they do not stay, "mixed" where they differ otherwise.
    """
    tail = radii.shape[1] // 5
    first, second = power(radii, 0.25, 0.5), power(radii, 0.5, 1)
    quadrants = 2 * (places[0, :, -tail:] > 0) + (places[1, :, -tail:] > 0)
    last, before = radii[:, -tail:].max(1), radii[:, -2 * tail : -tail].max(1)
    tests = {
        "diverges": ~finite,
        "linear": last < REACHED,
        "sublinear": (second < -0.1) & (np.abs(second - first) < 0.2 * np.abs(second)),
        "stalls": np.array([len(np.unique(visited)) < 4 for visited in quadrants]),
        "spirals out": last > before * (1 + STEADY),
        "cycle": last > before * (1 - STEADY),
        "still moving": np.full(len(radii), True),
    }
    classes = [next(name for name, applies in tests.items() if applies[i]) for i in range(len(radii))]
    kind = classes[0] if len(set(classes)) == 1 else "leaves" if set(classes) <= set(LEAVING) else "mixed"
    if kind == "cycle":
        kind = "limit cycle" if last.max() < last.min() * (1 + SAME) else "closed orbits"
    return {
        "run verdict": kind,
        "runs": {name: classes.count(name) for name in dict.fromkeys(classes)},
        "radius": [radii[:, -tail:].min(), radii[:, -tail:].max()],
        "share": [(last / radii[:, 0]).min(), (last / radii[:, 0]).max()],
        "exponent": second.mean() if kind == "sublinear" else None,
    }


def power(radii: np.ndarray, start: float, end: float) -> np.ndarray:
    """p of r ~ n^p, fitted between two fractions of the run, `[runs]`."""
    count = radii.shape[1]
    chosen = np.arange(int(start * count), int(end * count))
    safe = np.clip(radii[:, chosen], 1e-300, DIVERGENCE_BOUND)
    return np.polyfit(np.log(EVERY * (chosen + 1)), np.log(safe).T, 1)[0]


def agrees(row: dict[str, Any]) -> bool:
    """Whether runs did what the spectrum says: their kind, and the factor measured at the equilibrium.

    A spectral radius of 1, or too near to it to be seen in so many steps, leaves the kind to the runs; then they are
    not to converge linearly, nor to converge at all without an equilibrium.
    """
    radius, factor, kind = row["spectral radius"], row["measured factor"], row["run verdict"]
    if radius is None:
        return kind not in ("linear", "sublinear")
    if not row["seen"]:
        same = kind != "linear"
    elif row["spectral verdict"] == "attracts":
        same = kind == "linear"
    else:
        same = kind in (*LEAVING, "limit cycle")
    relative, absolute = FACTOR_TOLERANCE
    return same and (factor is None or abs(factor - radius) < relative * abs(radius - 1) + absolute)


def critical_penalty(rate: float) -> dict[str, Any]:
    """R1 on the minimax game over its strength γ: rates of decay in closed form, and from runs at every tenth γ.

    The flow's eigenvalues γ/2 ± √(γ²/4 - κ) meet at γ = 2√κ, where the smaller real part is largest: √κ. Those of
    simultaneous descent, 1 - η λ, meet there too, those of alternating at γ = 2√κ - ηκ, all at 1 - η√κ.
    """
    kappa = kappa_and_curvature(losses.saturating)[0]
    critical = 2 * math.sqrt(kappa)
    strengths = np.linspace(0.01, 3, 300) * critical
    flow = np.array([pair(strength, kappa) for strength in strengths])
    turning = np.array([pair(2 - rate * s - rate**2 * kappa, 1 - rate * s) for s in strengths])
    sgd = descent(rate)
    # A step of fourth order stands for the flow.
    measured = [
        _decay(rule, strengths[9::10], EVERY * math.ceil(600 / rate / EVERY))
        for rule in (rules.simultaneous(sgd, fields.rk4(rate)), rules.simultaneous(sgd), rules.alternating(sgd))
    ]
    return {
        "strengths": strengths,
        "kappa": kappa,
        "flow": {"closed": np.real(flow).min(1), "measured": -np.log(measured[0]) / rate, "best": critical},
        "simultaneous": {"closed": np.abs(1 - rate * flow).max(1), "measured": measured[1], "best": critical},
        "alternating": {"closed": np.abs(turning).max(1), "measured": measured[2], "best": critical - rate * kappa},
    }


def _decay(rule: Rule, strengths: np.ndarray, steps: int) -> np.ndarray:
    """The measured factor for each strength of R1."""

    def run(strength: jax.Array, start: Players) -> Players:
        return play(dirac(losses.saturating, penalties.r1(strength)), rule, start, steps).history

    turns = np.arange(NEAR) * np.pi / NEAR
    starts = Players(NEAR_RADIUS * np.cos(turns), NEAR_RADIUS * np.sin(turns))
    history = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(strengths, starts)
    # Where eigenvalues meet the decay is that of n ρⁿ: the lower the window ends, the less n matters.
    window = 1e-140, FACTOR_WINDOW[1]
    return np.array([measured_factor(radii, window) for radii in np.hypot(*map(np.asarray, history))])


# How it is shown

COLUMNS = "{:32} {:>18} {:>12} {:>12}  {:15} {}"
HEADER = COLUMNS.format("method", "field's λ", "update's ρ", "measured", "spectrum", "runs")


def line(name: str, row: dict[str, Any]) -> str:
    spectrum, measured = row["spectral verdict"], row["measured factor"]
    if row["spectral radius"] is None:
        return COLUMNS.format(name, *["none"] * 3, spectrum, outcome(row))
    unseen = "" if row["seen"] or spectrum == "undecided" else " *"
    factor = "none" if measured is None else f"{measured:.8f}"
    values = eigenvalues(row["flow"]["closed"])
    return COLUMNS.format(name, values, f"{row['spectral radius']:.8f}", factor, spectrum + unseen, outcome(row))


def eigenvalues(values: np.ndarray) -> str:
    (first, second), (imaginary, _) = values.T
    if abs(imaginary) > 1e-12:
        return f"{first + 0:.4g} ± {abs(imaginary):.4g}i"
    return f"{first + 0:.4g}, {second + 0:.4g}"


def outcome(row: dict[str, Any]) -> str:
    """What the runs did, in words."""
    (low, high), (least, most) = row["radius"], row["share"]
    kind: str = row["run verdict"]
    words = {
        "linear": f"converges, factor {row['measured factor'] or math.nan:.4f} a step",
        "sublinear": f"converges sublinearly, n^{row['exponent'] or math.nan:.2f}",
        "limit cycle": f"limit cycle, radius {low:.2g} to {high:.2g}",
        "closed orbits": f"orbits, {least:.2f} to {most:.2f} of the start",
        "stalls": f"stalls at distance {low:.2g} to {high:.2g}",
        "leaves": f"leaves, to distance {low:.2g} to {high:.2g}",
        "spirals out": f"spirals out, by {least:.2g} to {most:.2g}",
    }
    return words.get(kind, kind)


def flat(portraits: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{name}: {part}": values for name, arrays in portraits.items() for part, values in arrays.items()}


def draw(folder: Path, rows: dict[str, Any], portraits: dict[str, Any], penalty: dict[str, Any], rate: float) -> None:
    colors = {"linear": GOOD, "sublinear": SLOW}
    sheet = [
        lab_plots.Portrait(f"{name}\n{outcome(row)}", colors.get(row["run verdict"], BAD), AXIS, **portraits[name])
        for name, row in rows.items()
    ]
    kinds = [row["run verdict"] for row in rows.values()]
    title = (
        f"The Dirac-GAN at rate {rate:g}: of {len(rows)} methods {kinds.count('linear')} converge linearly and "
        f"{kinds.count('sublinear')} sublinearly, the others not"
    )
    first, last = 300 * EVERY, 60 * EVERY
    caption = (
        f"+: the equilibrium. Dots and thin lines: starts and the first {first} steps. Thick: the last {last}. "
        "Gray: against the field. Titles: green, linear convergence; brown, sublinear; red, none."
    )
    results.save_figure(folder / "portraits.png", lab_plots.phase_portraits, 16, 19.3, sheet, 6, title, caption)
    curves = [
        lab_plots.Sweep(name, color, **penalty[name])
        for name, color in (("flow", GOOD), ("simultaneous", plots.POSITIVE), ("alternating", SLOW))
    ]
    title = f"R1 on the Dirac-GAN is best at a critical strength, γ = 2√κ = {penalty['flow']['best']:g}"
    arguments = penalty["strengths"], curves[0], curves[1:], f"{title}; rate {rate:g}"
    results.save_figure(folder / "critical_penalty.png", lab_plots.critical_penalty, 11, 4.6, *arguments)


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(main)
