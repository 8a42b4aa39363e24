"""Where a small deviation from a rule's fixed point begins to grow: by the spectrum, and by runs.

See docs/results/stability_edge.md#how-it-was-done for the measurement.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from slantgan_jax import Game, Players, Rule, distributions, faces, games, penalties, slanted_land
from slantgan_jax.analysis import equilibria, growth, spectra, thresholds
from slantgan_jax.analysis.update_maps import update_map
from slantgan_jax.rules import State

NODES = 24
"""Nodes of the latent: for |w| up to 6 they leave nothing but rounding."""
AMPLITUDE = 1e-7
"""The size of a deviation, to which it is brought back after every `CHUNK` steps."""
CHUNK = 10
BRACKET = 0.45, 1.9
"""The first rates lie between these multiples of the prediction, which so is none of them."""
RATES_PER_SECTION, SECTIONS = 6, 7
LOWEST, HIGHEST, POINTS_PER_DECADE = 0.01, 1000.0, 24
"""The rates among which a predicted edge is looked for. With R1 of a strength γ above 1 they begin at `LOWEST` / γ²:
no edge falls faster, and that of consensus falls so."""
FOLLOWED_RATES = 30
"""How many smaller rates lead to the fixed point at a large rate, if it depends on the rate."""


class Case(NamedTuple):
    """A rule as a function of the learning rate.

    Attributes:
      rule: `rate -> rule`.
      steps: the length of a run. Modes of nearly the same pace that cross the edge slowly need more steps to be told
        apart.
      period: the number of steps after which the rule's map is the same again.
      newton: iterations to the fixed point, 0 if that is the equilibrium.
      waves: a growth in a step of this size or less may be what the averages leave of waves.
    """

    rule: Callable[[Any], Rule]
    steps: int = 20_000
    period: int = 1
    newton: int = 0
    waves: float = 1e-7


def edges(case: Case, weights: np.ndarray, strengths: np.ndarray) -> dict[str, np.ndarray]:
    """`predicted` and `measured` rates `[weights, strengths]`, their relative `difference`, and the `resolution`.

    There is nothing to measure where the fixed point ceases to exist at the predicted rate: `lost`. The measured rate
    is NaN there, and where the sign of the growth does not change in the bracket.
    """
    cells = np.repeat(weights, len(strengths), axis=0), np.tile(strengths, len(weights))
    # What needs Jacobians is mapped one after the other, and so compiles in half of the time.
    lowest = LOWEST / max(1.0, strengths.max()) ** 2
    predicted, lost = map(np.asarray, jax.jit(one_by_one(partial(predicted_edge, case, lowest)))(*cells))
    around = jax.jit(one_by_one(partial(surroundings, case)))
    growths = jax.jit(jax.vmap(partial(growth_rates, case)))
    of_rates = [np.repeat(values, RATES_PER_SECTION, axis=0) for values in cells]
    known = (predicted > 0) & np.isfinite(predicted) & ~lost
    low, high = (np.where(known, factor * predicted, 1.0) for factor in BRACKET)
    every, above = np.arange(len(low)), np.ones(len(low), int)
    rises, beyond = np.full((len(low), RATES_PER_SECTION, 2), np.nan), high
    for _ in range(SECTIONS if known.any() else 1):
        exponents = np.arange(RATES_PER_SECTION) / (RATES_PER_SECTION - 2)  # the last rate is beyond `high`
        rates = low[:, None] * (high / low)[:, None] ** exponents
        every_rate = *of_rates, rates.ravel()
        rises = np.asarray(growths(*every_rate, around(*every_rate))).reshape(*rates.shape, 2)
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


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vmap(function)`, computed without vectors."""
    return lambda *arguments: jax.lax.map(lambda values: function(*values), arguments)


def predicted_edge(case: Case, lowest: float, weights: jax.Array, strength: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest stable rate above `lowest`, and whether the rule has no fixed point at a rate just above it."""
    game, players, tangents = place(weights, strength, jnp.asarray)
    edge = thresholds.largest_stable_rate(
        case.rule, game, players, tangents, steps=case.period, fixed_point_iterations=case.newton,
        lowest=lowest, highest=HIGHEST, points=math.ceil(POINTS_PER_DECADE * math.log10(HIGHEST / lowest)),
    )  # fmt: skip
    if not case.newton:
        return edge, jnp.asarray(False)
    beyond = 1.001 * edge
    state = fixed_state(case, game, players, tangents, beyond)
    values = spectra.update_eigenvalues(case.rule(beyond), game, state, case.period, tangents)
    return edge, jnp.isnan(values).any()


def surroundings(case: Case, weights: jax.Array, strength: jax.Array, rate: jax.Array) -> tuple[jax.Array, ...]:
    """The rule's fixed point as numbers `[n]`, and the directions of no motion there: see `neutral_directions`."""
    game, players, tangents = place(weights, strength, jnp.asarray)
    rule = case.rule(rate)
    state = fixed_state(case, game, players, tangents, rate)
    update, fixed, _ = update_map(rule, game, state, case.period)
    return fixed, *spectra.neutral_directions(jax.jacfwd(update)(fixed) - jnp.eye(fixed.size), tangents)


def growth_rates(
    case: Case, weights: jax.Array, strength: jax.Array, rate: jax.Array, near: tuple[jax.Array, ...]
) -> jax.Array:
    """How fast the logarithm of a deviation rises in a step, `[2]`: in the middle half of a run, and in its last half.

    After every chunk of steps what a run has moved along the surface of fixed points is taken out; `near` are the
    `surroundings` of the fixed point.
    """
    game, players, _ = place(weights, strength, faces.unstack)
    update, _, _ = update_map(case.rule(rate), game, players, case.period)
    fixed, neutral, frame = near
    chunks = case.steps // CHUNK
    quarter = chunks // 4

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
    halves = [growth.growth_rate(heights, i * quarter, (i + 2) * quarter) for i in (1, 2)]
    return jnp.stack(halves) / CHUNK


def fixed_state(case: Case, game: Game, players: Players, tangents: Players, rate: jax.Array) -> State:
    """The state that the rule leaves as it is: followed from small rates up to this one."""
    _, flat, state_of = update_map(case.rule(rate), game, players, case.period)
    if not case.newton:
        return state_of(flat)

    def follow(i: Any, state: State) -> State:
        rule = case.rule(rate * (i + 1) / FOLLOWED_RATES)
        return spectra.fixed_point(rule, game, state, case.period, tangents, case.newton).state

    return jax.lax.fori_loop(0, FOLLOWED_RATES, follow, state_of(flat))


def place(weights: jax.Array, strength: jax.Array, form: Callable[[Any], Any]) -> tuple[Game, Players, Players]:
    """The game, its equilibrium with these weights, and the tangents there.

    Pixels have the `form` of an array, with which spectra compile in half of the time, or are numbers: then runs take a
    third of the time.
    """
    pixels, images = form(weights), form(faces.FACES)
    game = games.penalized(slanted_land(images, latent=distributions.uniform(nodes=NODES)), penalties.r1(strength))
    return game, equilibria.equilibrium(pixels, images), equilibria.tangents(pixels, images)
