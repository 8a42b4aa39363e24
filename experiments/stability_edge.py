"""How large may the learning rate be? The largest stable rate predicted by the spectrum, against runs.

Cells. Equilibria of slanted land along a line of its surface, w = s (1, -1, -1, 1), and some at random weights, each
with and without R1; the non-saturating game with expected losses in float64.

Predicted. Where the first eigenvalue of a step's Jacobian, the zero modes apart, leaves the unit circle
(`thresholds.largest_stable_rate`).

Measured. Runs start at a distance of 1e-7 from the rule's fixed point, in a random direction. Every ten steps what they
have moved along the surface of fixed points is taken out, and the rest is brought back to 1e-7: nothing overflows, and
nothing else than small deviations is seen. The logarithms of the factors add up to a height; its averages over the
second, third and last quarter of a run, with weights exp(-1 / s (1 - s)) that damp its waves, tell how fast it rises.
The edge is where it begins to rise: rates from 0.45 to 1.9 times the prediction, rates between the two where the
sign first changes, and so on; at last a straight line through the first two rates that rise, since another mode may
lead below the edge. The second and third quarter give an edge of their own; by how much it differs, or the distance of
the last rates where that is more, is the resolution.
"""

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

from slantgan_jax import (
    Players,
    Rule,
    distributions,
    faces,
    fields,
    games,
    penalties,
    rules,
    slanted_land,
    spectrum_plots,
)
from slantgan_jax.analysis import equilibria, spectra, thresholds
from slantgan_jax.cpu import use_every_core
from slantgan_jax.rules import State

IMAGES = faces.unstack(faces.FACES)
DIRECTION = np.array([1.0, -1.0, -1.0, 1.0])
SCALES = np.arange(0, 6.1, 2)
RANDOM = 2
STRENGTHS = (0.0, 0.1, 1.0)
NODES = 24  # rounding alone is left for |w| up to 6
AMPLITUDE = 1e-7
CHUNK = 10
BRACKET = 0.45, 1.9
"""Times the prediction, which so is none of the rates that are tried."""
RATES = 6
SECTIONS = 7
FOLLOWED = 30
"""Smaller rates by which a fixed point that depends on the rate is followed to a large one."""
STRENGTH = 10.0
"""Of consensus and sga, as in zoo.py."""
FILES = ("stability_edge.png", "data.json")


class Method(NamedTuple):
    """A rule as a function of the learning rate.

    Attributes:
      rule: `rate -> rule`.
      steps: of a run. Where modes of nearly the same pace cross the edge slowly it takes more to tell them apart;
        CGD, which solves linear equations in each, needs less, as its edge is sharp.
      period: steps after which its map is the same again.
      newton: iterations to its fixed point, 0 where that is the equilibrium.
      waves: what the averages leave of them, as a rise in a step: a rise by more is one. Below the edge of the
        tutorial's order, where modes hardly decay, up to 2e-5 was seen.
    """

    rule: Callable[[Any], Rule]
    steps: int = 20_000
    period: int = 1
    newton: int = 0
    waves: float = 1e-7


def sgd(rate: Any, momentum: float | None = None, ratio: float = 1.0) -> Players:
    return Players(optax.sgd(rate, momentum), optax.sgd(ratio * rate, momentum))


METHODS = {
    "tutorial": Method(lambda rate: rules.tutorial(sgd(rate)), newton=12, waves=1e-3),
    "simultaneous": Method(lambda rate: rules.simultaneous(sgd(rate)), steps=320_000),
    "alternating, D first": Method(lambda rate: rules.alternating(sgd(rate))),
    "alternating, G first": Method(lambda rate: rules.alternating(sgd(rate), order=("generator", "discriminator"))),
    "alternating, D twice": Method(
        lambda rate: rules.alternating(sgd(rate), order=("discriminator", "discriminator", "generator"))
    ),
    "alternating, D four times as fast": Method(lambda rate: rules.alternating(sgd(rate, ratio=4.0))),
    "momentum -½, alternating": Method(lambda rate: rules.alternating(sgd(rate, -0.5))),
    "momentum -½, simultaneous": Method(lambda rate: rules.simultaneous(sgd(rate, -0.5))),
    "optimistic": Method(lambda rate: rules.simultaneous(optax.optimistic_gradient_descent(rate))),
    "past extragradient": Method(lambda rate: rules.past_extragradient(sgd(rate), rate)),
    "extragradient": Method(lambda rate: rules.simultaneous(sgd(rate), fields.extragradient(rate))),
    "consensus 10": Method(lambda rate: rules.simultaneous(sgd(rate), fields.consensus(STRENGTH))),
    "SGA 10": Method(lambda rate: rules.simultaneous(sgd(rate), fields.sga(STRENGTH))),
    "CGD": Method(lambda rate: rules.simultaneous(sgd(rate), fields.cgd(rate)), steps=2000),
    "Heun": Method(lambda rate: rules.simultaneous(sgd(rate), fields.heun(rate))),
    "Runge-Kutta 4": Method(lambda rate: rules.simultaneous(sgd(rate), fields.rk4(rate))),
    "lookahead 5, ½, simultaneous": Method(
        lambda rate: rules.lookahead(rules.simultaneous(sgd(rate)), 5, 0.5), period=5
    ),
}


def stability_edge(
    methods: tuple[str, ...] = tuple(METHODS),
    scales: tuple[float, ...] = tuple(SCALES.tolist()),
    random: int = RANDOM,
    strengths: tuple[float, ...] = STRENGTHS,
    steps: int | None = None,
    out: Path = Path("results/stability_edge"),
) -> None:
    """The largest stable learning rate of each rule along the equilibria: predicted, measured by runs, drawn.

    Args:
        methods: which rules, by name.
        scales: s of the weights s (1, -1, -1, 1), up to 6.
        random: how many equilibria with standard-normal weights, too.
        strengths: of R1.
        steps: of each run, a multiple of 40; by default 20000, of simultaneous descent 320000, of CGD 2000.
        out: folder for data.json and stability_edge.png.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise ValueError(f"--methods has {unknown[0]!r}: choose from {', '.join(map(repr, METHODS))}")
    if not methods:
        raise ValueError("--methods names none: give one at least")
    if not scales or not np.all(np.abs(scales) <= SCALES[-1]):
        raise ValueError(f"--scales are {scales}: give numbers from -{SCALES[-1]:g} to {SCALES[-1]:g}")
    if not strengths or not np.all((np.array(strengths) >= 0) & np.isfinite(strengths)):
        raise ValueError(f"--strengths are {strengths}: give numbers from 0 up")
    if random < 0:
        raise ValueError(f"--random is {random}: give a number from 0 up")
    if steps is not None and (steps < 4 * CHUNK or steps % (4 * CHUNK)):
        raise ValueError(f"--steps is {steps}: give a positive multiple of {4 * CHUNK}")
    drawn = np.clip(np.random.default_rng(0).normal(size=(random, 4)), -SCALES[-1], SCALES[-1])
    weights = np.concatenate([np.outer(scales, DIRECTION), drawn])
    with results.complete_folder(out, FILES) as folder, jax.enable_x64(True):
        rows = []
        print(f"{'':36} {'predicted, lowest to highest':>30}   {'difference':>10} {'resolution':>10}")
        for name in methods:
            method = METHODS[name] if steps is None else METHODS[name]._replace(steps=steps)
            rows.append({"method": name, "steps": method.steps, **edges(method, weights, np.array(strengths))})
            print(line(rows[-1]), flush=True)
        settings = {"weights": weights, "scales": scales, "strengths": strengths, "nodes": NODES}
        settings |= {"amplitude": AMPLITUDE, "command": results.command()}
        results.write_json(folder / "data.json", {"rows": rows, "settings": settings, "versions": results.record()})
        results.save_figure(
            folder / "stability_edge.png", spectrum_plots.edges, 17, 9.5, rows, np.array(scales), strengths,
            answer(rows, strengths),
        )  # fmt: skip
    print(answer(rows, strengths))
    print(f"Written to {out}/.")


def edges(method: Method, weights: np.ndarray, strengths: np.ndarray) -> dict[str, np.ndarray]:
    """`predicted` and `measured` rates, each `[weights, strengths]`, and the relative `resolution` of the latter.

    Where the prediction is that the fixed point ceases to exist there is nothing to measure: `lost`. NaN is measured
    there, and where the growth has no change of sign within `BRACKET`.
    """
    cells = np.repeat(weights, len(strengths), axis=0), np.tile(strengths, len(weights))
    predicted, lost = map(np.asarray, jax.jit(jax.vmap(partial(predicted_edge, method)))(*cells))
    growths = jax.jit(jax.vmap(jax.vmap(partial(growth, method), (None, None, 0)), (0, 0, 0)))
    known = (predicted > 0) & np.isfinite(predicted) & ~lost
    low, high = (np.where(known, factor * predicted, 1.0) for factor in BRACKET)
    everyone, above = np.arange(len(low)), np.ones(len(low), int)
    rises, beyond = np.full((len(low), RATES, 2), np.nan), high
    for _ in range(SECTIONS if known.any() else 1):
        rates = low[:, None] * (high / low)[:, None] ** (np.arange(RATES) / (RATES - 2))  # the last one beyond `high`
        rises = np.asarray(growths(*cells, rates))  # [cells, rates, 2]
        rises = np.where(np.isnan(rises), np.inf, rises)
        first = np.argmax(rises[:, :, 1] > method.waves, axis=1)
        known &= (first > 0) & (first < RATES - 1)
        above = np.clip(first, 1, RATES - 2)
        low, high, beyond = (rates[everyone, above + i] for i in (-1, 0, 1))
    upper, uppermost = (rises[everyone, above + i].T for i in (0, 1))  # [2, cells]
    with np.errstate(all="ignore"):  # of cells where nothing is known
        found = high * (beyond / high) ** (-upper / (uppermost - upper))
        sharp = upper > 10 * method.waves  # then the edge is next to it, and the line may be a curve
        found = np.where(known, np.where(sharp, np.clip(found, low, high), found), np.nan)
        resolution = np.maximum(high / low - 1, np.abs(found[0] / found[1] - 1))
    named = {"predicted": predicted, "measured": found[1], "resolution": resolution, "lost": lost}
    return {name: values.reshape(len(weights), len(strengths)) for name, values in named.items()}


def predicted_edge(method: Method, weights: jax.Array, strength: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest stable rate, and whether the rule has no fixed point at a rate just above."""
    game, players, tangents = place(weights, strength)
    edge = thresholds.largest_stable_rate(
        method.rule, game, players, tangents, steps=method.period, fixed_point_iterations=method.newton,
        lowest=0.01, highest=1000.0, points=120,
    )  # fmt: skip
    if not method.newton:
        return edge, jnp.asarray(False)
    beyond = 1.001 * edge
    state = held(method, game, players, tangents, beyond)
    values = spectra.update_eigenvalues(method.rule(beyond), game, state, method.period, tangents)
    return edge, jnp.isnan(values).any()


def growth(method: Method, weights: jax.Array, strength: jax.Array, rate: jax.Array) -> jax.Array:
    """How fast the logarithm of a deviation rises in a step, `[2]`: from quarter to quarter."""
    game, players, tangents = place(weights, strength)
    rule = method.rule(rate)
    state = held(method, game, players, tangents, rate)
    jacobian = spectra.update_jacobian(rule, game, state, method.period)
    neutral, frame = spectra.neutral_directions(jacobian - jnp.eye(len(jacobian)), tangents)
    update, fixed, _ = spectra.update_map(rule, game, state, method.period)
    chunks = method.steps // CHUNK

    def off(deviation: jax.Array) -> jax.Array:
        return deviation - neutral @ (frame @ deviation)

    def chunk(carry: tuple[jax.Array, ...], weight: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
        deviation, height, averages = carry
        moved = jax.lax.fori_loop(0, CHUNK // method.period, lambda _, x: update(x), fixed + deviation)
        moved = off(moved - fixed)
        size = jnp.linalg.norm(moved)
        height = height + jnp.log(size / AMPLITUDE)
        return (moved * (AMPLITUDE / size), height, averages + weight * height), None

    start = off(jax.random.normal(jax.random.key(1), fixed.shape))
    carry = AMPLITUDE * start / jnp.linalg.norm(start), jnp.zeros(()), jnp.zeros(3)
    (_, _, averages), _ = jax.lax.scan(chunk, carry, jnp.asarray(windows(chunks)))
    return jnp.diff(averages) / (chunks // 4 * CHUNK)


def held(method: Method, game: games.Game, players: Players, tangents: Players, rate: jax.Array) -> State:
    """The state in which the rule stands still: followed from small rates up to this one."""
    _, flat, state_of = spectra.update_map(method.rule(rate), game, players, method.period)
    if not method.newton:
        return state_of(flat)

    def follow(i: Any, state: State) -> State:
        rule = method.rule(rate * (i + 1) / FOLLOWED)
        return spectra.fixed_point(rule, game, state, method.period, tangents, method.newton)

    return jax.lax.fori_loop(0, FOLLOWED, follow, state_of(flat))


def windows(chunks: int) -> np.ndarray:
    """The weights of averages over the second, third and last quarter, `[chunks, 3]`."""
    quarter = chunks // 4
    s = np.arange(1, quarter + 1) / (quarter + 1)
    bump = np.exp(-1 / (s * (1 - s)))
    weights = np.zeros((chunks, 3))
    for i in range(3):
        weights[(i + 1) * quarter : (i + 2) * quarter, i] = bump / bump.sum()
    return weights


def place(weights: jax.Array, strength: jax.Array) -> tuple[games.Game, Players, Players]:
    """The game, its equilibrium, and the tangents there."""
    pixels = faces.unstack(weights)
    game = games.penalized(slanted_land(latent=distributions.uniform(nodes=NODES)), penalties.r1(strength))
    return game, equilibria.equilibrium(pixels, IMAGES), equilibria.tangents(pixels, IMAGES)


def differences(row: dict[str, Any]) -> np.ndarray:
    """Of measured from predicted rates, relative; 0 where nothing is to be measured."""
    return np.where(row["lost"], 0, np.abs(row["measured"] / row["predicted"] - 1))


def line(row: dict[str, Any]) -> str:
    low, high = row["predicted"].min(), row["predicted"].max()
    lost = f"   no fixed point above, in {row['lost'].sum()}" if row["lost"].any() else ""
    worst, resolution = differences(row).max(), np.nanmax(row["resolution"])
    return f"{row['method']:36} {low:14.6g} to {high:12.6g}   {worst:10.1e} {resolution:10.1e}{lost}"


def answer(rows: list[dict[str, Any]], strengths: tuple[float, ...]) -> str:
    """The figure's caption, from the data."""
    worst = np.max([differences(row).max() for row in rows])  # NaN if there is one, which Python's max may drop
    resolution = np.nanmax([row["resolution"] for row in rows])
    cells = sum(int((~row["lost"]).sum()) for row in rows)
    medians = {row["method"]: np.median(row["predicted"], axis=0) for row in rows}
    least, *_, most = sorted(medians, key=lambda name: medians[name][0]) * 2
    lines = [
        f"The spectrum predicts the largest stable learning rate of {len(rows)} rules: runs differ by at most "
        f"{worst:.1g} in {cells} cells, and resolve {resolution:.1g} or less",
        f"At γ = {strengths[0]:g} its median over the equilibria goes from {medians[least][0]:.2g} ({least}) to "
        f"{medians[most][0]:.3g} ({most})",
    ]
    if len(strengths) > 1:
        helped = max(medians, key=lambda name: medians[name][1] / medians[name][0])
        before, after, *_ = medians[helped]
        raised = sum(values[1] > values[0] for values in medians.values())
        lines[1] += f"; R1 with γ = {strengths[1]:g} raises it for {raised} of {len(rows)} rules"
        lines[1] += f", most for {helped}: from {before:.2g} to {after:.3g}" if raised else ""
    return "\n".join(lines)


if __name__ == "__main__":
    matplotlib.use("agg")
    use_every_core(1)
    results.command_line(stability_edge)
