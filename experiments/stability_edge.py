"""How large may the learning rate be? The largest stable rate that the spectrum predicts, against runs.

The prediction is the rate at which the first eigenvalue of a step leaves the unit circle. It is made along equilibria
of slanted land, with and without R1, for the non-saturating game with expected losses. Runs that start next to the
fixed point of a rule tell at which rate a small deviation begins to grow. See docs/results/stability_edge.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Data, Experiment, Figure, check_known, check_whole, progress
from _methods import METHODS, ORDERS
from figures import stability_edge as figures

from slantgan_jax import Game, Players, Rule, distributions, faces, games, penalties, rules, slanted_land
from slantgan_jax.analysis import equilibria, growth, spectra, thresholds
from slantgan_jax.rules import State

IMAGES = faces.unstack(faces.FACES)
DIRECTION = np.array([1.0, -1.0, -1.0, 1.0])
LARGEST_SCALE = 6.0
NODES = 24
"""Nodes of the latent: for |w| up to `LARGEST_SCALE` they leave nothing but rounding."""
AMPLITUDE = 1e-7
"""The size of a deviation, to which it is brought back after every `CHUNK` steps."""
CHUNK = 10
BRACKET = 0.45, 1.9
"""The first rates lie between these multiples of the prediction, which so is none of them."""
RATES_PER_SECTION, SECTIONS = 6, 7
FOLLOWED_RATES = 30
"""How many smaller rates lead to the fixed point at a large rate, if it depends on the rate."""


class Case(NamedTuple):
    """A rule as a function of the learning rate.

    Attributes:
      rule: `rate -> rule`.
      steps: the length of a run. Modes of nearly the same pace that cross the edge slowly need more steps to be told
        apart; competitive gradient descent, which solves linear equations in each step, has a sharp edge.
      period: the number of steps after which the rule's map is the same again.
      newton: iterations to the fixed point, 0 if that is the equilibrium.
      waves: a growth in a step of this size or less may be what the averages leave of waves. Below the edge of the
        tutorial's order, where modes hardly decay, up to 2e-5 was seen.
    """

    rule: Callable[[Any], Rule]
    steps: int = 20_000
    period: int = 1
    newton: int = 0
    waves: float = 1e-7


def case(order: str, method: str = "plain", strength: float = 0.0, **numbers: Any) -> Case:
    """A method of the catalog."""
    chosen = METHODS[method]
    return Case(partial(chosen.rule, ORDERS[order], strength=strength), period=chosen.period, **numbers)


def four_times_as_fast(rate: Any) -> Rule:
    return rules.alternating(Players(optax.sgd(rate), optax.sgd(4 * rate)))


CASES = {
    "tutorial": case("tutorial", newton=12, waves=1e-3),
    "simultaneous": case("simultaneous", steps=320_000),
    "alternating, D first": case("alternating"),
    "alternating, G first": case("alternating, G first"),
    "alternating, D twice": case("alternating, D twice"),
    "alternating, D four times as fast": Case(four_times_as_fast),
    "momentum -½, alternating": case("alternating", "negative momentum", -0.5),
    "momentum -½, simultaneous": case("simultaneous", "negative momentum", -0.5),
    "optimistic": case("simultaneous", "optimistic"),
    "past extragradient": case("simultaneous", "past extragradient"),
    "extragradient": case("simultaneous", "extragradient", 1.0),
    "consensus 10": case("simultaneous", "consensus", 10.0),
    "SGA 10": case("simultaneous", "sga", 10.0),
    "CGD": case("simultaneous", "cgd", steps=2000),
    "Heun": case("simultaneous", "heun"),
    "Runge-Kutta 4": case("simultaneous", "rk4"),
    "lookahead 5, ½, simultaneous": case("simultaneous", "lookahead", 0.5),
}


@dataclass(frozen=True)
class Settings:
    """The largest stable learning rate of each rule along the equilibria: predicted, measured by runs, drawn."""

    methods: tuple[str, ...] = tuple(CASES)
    """The names of the rules."""
    scales: tuple[float, ...] = (0.0, 2.0, 4.0, 6.0)
    """s of the weights s (1, -1, -1, 1), from -6 to 6."""
    random: int = 2
    """The number of further equilibria, with standard-normal weights."""
    strengths: tuple[float, ...] = (0.0, 0.1, 1.0)
    """The strengths of R1."""
    steps: int | None = None
    """Steps of each run, a multiple of 40 from 400 up; by default 20000, for simultaneous 320000, for CGD 2000."""

    def check(self) -> None:
        check_known("--methods", self.methods, CASES)
        if not self.scales or not np.all(np.abs(self.scales) <= LARGEST_SCALE):
            raise ValueError(f"--scales are {self.scales}: give numbers from -{LARGEST_SCALE:g} to {LARGEST_SCALE:g}")
        if not self.strengths or not all(0 <= strength < np.inf for strength in self.strengths):
            raise ValueError(f"--strengths are {self.strengths}: give numbers from 0 up")
        check_whole("--random", self.random, 0)
        if self.steps is not None:
            check_whole("--steps", self.steps, 2 * growth.MIN_RECORDS * CHUNK, multiple=4 * CHUNK)


def compute(settings: Settings, out: Path) -> Data:
    drawn = np.random.default_rng(0).normal(size=(settings.random, 4)).clip(-LARGEST_SCALE, LARGEST_SCALE)
    weights = np.concatenate([np.outer(settings.scales, DIRECTION), drawn])
    rows = []
    for name in progress(settings.methods, "methods"):
        chosen = CASES[name]._replace(**({} if settings.steps is None else {"steps": settings.steps}))
        rows.append({"method": name, "steps": chosen.steps, **edges(chosen, weights, np.array(settings.strengths))})
    return {"rows": rows, "weights": weights, "nodes": NODES, "amplitude": AMPLITUDE}


def edges(case: Case, weights: np.ndarray, strengths: np.ndarray) -> dict[str, np.ndarray]:
    """`predicted` and `measured` rates `[weights, strengths]`, their relative `difference`, and the `resolution`.

    Rates are tried between the ends of `BRACKET`, then between the two at which the sign of the growth first changes,
    and so on. At last a straight line goes through the first two that grow, since another mode may lead below the edge.
    There is nothing to measure where the fixed point ceases to exist at the predicted rate: `lost`. The measured rate
    is NaN there, and where the sign does not change in the bracket.
    """
    cells = np.repeat(weights, len(strengths), axis=0), np.tile(strengths, len(weights))
    predicted, lost = map(np.asarray, jax.jit(jax.vmap(partial(predicted_edge, case)))(*cells))
    growths = jax.jit(jax.vmap(jax.vmap(partial(growth_rates, case), (None, None, 0)), (0, 0, 0)))
    known = (predicted > 0) & np.isfinite(predicted) & ~lost
    low, high = (np.where(known, factor * predicted, 1.0) for factor in BRACKET)
    every, above = np.arange(len(low)), np.ones(len(low), int)
    rises, beyond = np.full((len(low), RATES_PER_SECTION, 2), np.nan), high
    for _ in range(SECTIONS if known.any() else 1):
        exponents = np.arange(RATES_PER_SECTION) / (RATES_PER_SECTION - 2)  # the last rate is beyond `high`
        rates = low[:, None] * (high / low)[:, None] ** exponents
        rises = np.asarray(growths(*cells, rates))  # [cells, rates, 2]
        rises = np.where(np.isnan(rises), np.inf, rises)
        first = np.argmax(rises[:, :, 1] > case.waves, axis=1)
        known &= (first > 0) & (first < RATES_PER_SECTION - 1)
        above = np.clip(first, 1, RATES_PER_SECTION - 2)
        low, high, beyond = (rates[every, above + i] for i in (-1, 0, 1))
    upper, uppermost = (rises[every, above + i].T for i in (0, 1))  # [2, cells]
    with np.errstate(all="ignore"):  # in cells where nothing is known
        measured = high * (beyond / high) ** (-upper / (uppermost - upper))
        sharp = upper > 10 * case.waves  # then the edge is next to it, and the line may be a curve
        measured = np.where(known, np.where(sharp, np.clip(measured, low, high), measured), np.nan)
        resolution = np.maximum(high / low - 1, np.abs(measured[0] / measured[1] - 1))
        difference = np.where(lost, 0, np.abs(measured[1] / predicted - 1))
    found = {"predicted": predicted, "measured": measured[1], "difference": difference}
    found |= {"resolution": resolution, "lost": lost}
    return {name: values.reshape(len(weights), len(strengths)) for name, values in found.items()}


def predicted_edge(case: Case, weights: jax.Array, strength: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest stable rate, and whether the rule has no fixed point at a rate just above."""
    game, players, tangents = place(weights, strength)
    edge = thresholds.largest_stable_rate(
        case.rule, game, players, tangents, steps=case.period, fixed_point_iterations=case.newton,
        lowest=0.01, highest=1000.0, points=120,
    )  # fmt: skip
    if not case.newton:
        return edge, jnp.asarray(False)
    beyond = 1.001 * edge
    state = fixed_state(case, game, players, tangents, beyond)
    values = spectra.update_eigenvalues(case.rule(beyond), game, state, case.period, tangents)
    return edge, jnp.isnan(values).any()


def growth_rates(case: Case, weights: jax.Array, strength: jax.Array, rate: jax.Array) -> jax.Array:
    """How fast the logarithm of a deviation rises in a step, `[2]`: in the middle half of a run, and in its last half.

    After every chunk of steps what a run has moved along the surface of fixed points is taken out.
    """
    game, players, tangents = place(weights, strength)
    rule = case.rule(rate)
    state = fixed_state(case, game, players, tangents, rate)
    jacobian = spectra.update_jacobian(rule, game, state, case.period)
    neutral, frame = spectra.neutral_directions(jacobian - jnp.eye(len(jacobian)), tangents)
    update, fixed, _ = spectra.update_map(rule, game, state, case.period)
    chunks = case.steps // CHUNK

    def off_surface(deviation: jax.Array) -> jax.Array:
        return deviation - neutral @ (frame @ deviation)

    def chunk(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        deviation, height = carry
        moved = jax.lax.fori_loop(0, CHUNK // case.period, lambda _, x: update(x), fixed + deviation)
        moved = off_surface(moved - fixed)
        size = jnp.linalg.norm(moved)
        height = height + jnp.log(size / AMPLITUDE)
        return (moved * (AMPLITUDE / size), height), height

    start = off_surface(jax.random.normal(jax.random.key(1), fixed.shape))
    carry = AMPLITUDE * start / jnp.linalg.norm(start), jnp.zeros(())
    _, heights = jax.lax.scan(chunk, carry, length=chunks)
    quarter = chunks // 4
    halves = [growth.growth_rate(heights, i * quarter, (i + 2) * quarter) for i in (1, 2)]
    return jnp.stack(halves) / CHUNK


def fixed_state(case: Case, game: Game, players: Players, tangents: Players, rate: jax.Array) -> State:
    """The state that the rule leaves as it is: followed from small rates up to this one."""
    _, flat, state_of = spectra.update_map(case.rule(rate), game, players, case.period)
    if not case.newton:
        return state_of(flat)

    def follow(i: Any, state: State) -> State:
        rule = case.rule(rate * (i + 1) / FOLLOWED_RATES)
        return spectra.fixed_point(rule, game, state, case.period, tangents, case.newton)

    return jax.lax.fori_loop(0, FOLLOWED_RATES, follow, state_of(flat))


def place(weights: jax.Array, strength: jax.Array) -> tuple[Game, Players, Players]:
    """The game, its equilibrium with these weights, and the tangents there."""
    pixels = faces.unstack(weights)
    game = games.penalized(slanted_land(latent=distributions.uniform(nodes=NODES)), penalties.r1(strength))
    return game, equilibria.equilibrium(pixels, IMAGES), equilibria.tangents(pixels, IMAGES)


def report(data: Data) -> None:
    print(f"{'':36} {'predicted, lowest to highest':>30}   {'difference':>10} {'resolution':>10}")
    for row in data["rows"]:
        low, high = row["predicted"].min(), row["predicted"].max()
        lost = f"   no fixed point above, in {row['lost'].sum()}" if row["lost"].any() else ""
        worst, resolution = row["difference"].max(), np.nanmax(row["resolution"])
        print(f"{row['method']:36} {low:14.6g} to {high:12.6g}   {worst:10.1e} {resolution:10.1e}{lost}")


def answer(data: Data) -> str:
    rows, strengths = data["rows"], data["settings"]["strengths"]
    names = [row["method"] for row in rows]
    worst = np.max([row["difference"].max() for row in rows])  # NaN if one is, which Python's max may drop
    resolution = np.nanmax([row["resolution"] for row in rows])
    cells = sum(int((~row["lost"]).sum()) for row in rows)
    edge, *penalized = np.median([row["predicted"] for row in rows], axis=1).T
    least, most = edge.argmin(), edge.argmax()
    text = (
        f"The spectrum predicts the largest stable learning rate of {len(rows)} rules: runs differ by at most "
        f"{worst:.1g} in {cells} cells, and resolve {resolution:.1g} or less.\n"
        f"At γ = {strengths[0]:g} its median over the equilibria goes from {edge[least]:.2g} ({names[least]}) to "
        f"{edge[most]:.3g} ({names[most]})"
    )
    if penalized:
        raised, helped = penalized[0] > edge, np.argmax(penalized[0] / edge)
        text += f"; R1 with γ = {strengths[1]:g} raises it for {raised.sum()} of {len(rows)} rules"
        if raised.any():
            text += f", most for {names[helped]}: from {edge[helped]:.2g} to {penalized[0][helped]:.3g}"
    return f"{text}."


EXPERIMENT = Experiment(
    "stability_edge", Settings, compute, answer, {"stability_edge.png": Figure(figures.draw, 17, 9.5)}, report
)

if __name__ == "__main__":
    EXPERIMENT.main()
