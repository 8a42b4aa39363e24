"""Thresholds: the rate at which a rule ceases to be stable, and the penalties at which motion changes its kind.

All functions are pure and can be vmapped; what `spectra` says of precision, zero modes and LAPACK holds here, too. See
docs/theory/stability.md#thresholds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import fields
from slantgan_jax.analysis import spectra
from slantgan_jax.analysis.update_maps import update_map
from slantgan_jax.checks import check_count, check_function, check_number
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float, plain
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players

FIXED_POINT_TOLERANCE = 1e-6
"""Players that a step moves by more than this multiple of the rate are no fixed point."""


class CriticalStrength(NamedTuple):
    """Strengths of a penalty at which the kind of motion changes. 0 means at every strength, infinite means at none.

    Attributes:
      stabilizing: the least strength with which all non-zero modes decay.
      first: where the first oscillating pair merges into real modes, so fewer modes oscillate than without penalty.
      last: the least strength with which no mode oscillates: critical damping.
    """

    stabilizing: jax.Array
    first: jax.Array
    last: jax.Array


def largest_stable_rate(
    rule_of_rate: Callable[[jax.Array], Rule],
    game: Game,
    players: Players | State,
    tangents: Players | None = None,
    *,
    steps: int = 1,
    fixed_point_iterations: int = 0,
    lowest: float = 1e-4,
    highest: float = 1e4,
    points: int = 200,
    tolerance: float = spectra.GROWTH_TOLERANCE,
) -> jax.Array:
    """The largest learning rate up to which no mode of the update map grows, a scalar.

    It is the first crossing of ln |μ| = 0 above `lowest`. A window of instability that is narrower than the ratio of
    two rates that are tried, (highest / lowest)^(1 / points), may be missed.

    Args:
      rule_of_rate: `rate -> rule`; penalties are in the game, transforms of the field in the rule.
      game, players, tangents, steps: as in `spectra.update_eigenvalues`. Of a `State` only the players count: the
        optimizers' states belong to one rate, and at each rate they are those of a rule that starts at the players.
      fixed_point_iterations: of `spectra.fixed_point` at each rate; 0 if `players` are a fixed point at every rate. The
        tutorial's order needs about 6.
      lowest, highest, points: the rates to look among, and how many are tried. Give a `lowest` below every
        rate of interest: if a mode grows there already, the result is 0.
      tolerance: the largest ln |μ| that does not count as growth.

    Returns:
      The rate; 0 if some mode grows at `lowest` or, within the tolerance, from there on, as a power of the rate up to
      the fourth; infinite if none grows up to `highest`. A fixed point that is lost at a higher rate counts as growth.
      NaN if at `lowest` there is no spectrum, or if `players` are no fixed point there: a step moves them by more than
      1e-6 of the rate. Its derivative is that of the equation max ln |μ| = `tolerance` that it solves.
    """
    check_function("rule_of_rate", rule_of_rate, "rate")
    fixed_point_iterations = check_count("fixed_point_iterations", fixed_point_iterations, 0)
    check_number("tolerance", tolerance, 0)

    @jax.jit  # traced once, not once for each use
    def growth_at(rate: jax.Array, near: Any) -> tuple[jax.Array, Any]:
        update, place, state_of = update_map(rule_of_rate(rate), game, near, steps)
        if fixed_point_iterations:
            place = spectra.fixed_point_of_map(update, place, tangents, fixed_point_iterations)
        growth = spectra.summarize_map(spectra.multipliers(update, place, tangents)).growth
        return growth, state_of(place).players

    limit = jax.lax.stop_gradient(as_float(tolerance))

    def grows(rate: jax.Array, kept: tuple[Any, jax.Array]) -> tuple[jax.Array, Any, jax.Array]:
        growth, players = jax.lax.stop_gradient(growth_at(rate, kept[0]))
        least = jnp.minimum(kept[1], (growth + limit / 100) / rate**4)  # less than that is rounding
        return ~(growth <= limit), (players, least), jnp.isnan(growth)

    place = players.players if isinstance(players, State) else players
    update, flat, state_of = update_map(rule_of_rate(as_float(lowest)), game, place, steps)
    start = state_of(flat).players
    found, (near, least) = _first(grows, lowest, highest, points, jax.lax.stop_gradient((start, as_float(jnp.inf))))
    near = near if fixed_point_iterations else start
    found = _with_derivative(found, lambda rate: growth_at(rate, near)[0] - tolerance)
    # A marginal flow grows as η^p, p ≤ 4: within the tolerance first, and then beyond it. So at lower rates it grows by
    # a fourth power or more, of which half leaves room for errors. No rate is stable then.
    found = jnp.where(jnp.isfinite(found) & (least > limit / 2 / found**4), 0, found)
    if fixed_point_iterations:
        return found
    moved = (update(flat) - flat)[: ravel_pytree(start)[0].size]  # an average still comes to players that stand still
    return jnp.where(jnp.linalg.norm(moved) <= FIXED_POINT_TOLERANCE * lowest, found, jnp.nan)


def critical_strength(
    game_of_strength: Callable[[jax.Array], Game],
    players: Players,
    transform: Transform = fields.gradients,
    tangents: Players | None = None,
    *,
    lowest: float = 1e-5,
    highest: float = 1e3,
    points: int = 200,
) -> CriticalStrength:
    """The strengths of a penalty that change how the flow moves near `players`.

    Args:
      game_of_strength: `strength -> game`, also for 0; `players` are an equilibrium at every strength.
      players, transform, tangents: as in `spectra.flow_eigenvalues`.
      lowest, highest, points: as in `largest_stable_rate`. A result of 0 stands for any strength up to `lowest`.

    The derivative of `stabilizing` is that of the equation max Re λ = 0 that it solves. Those of `first` and `last` are
    NaN, for eigenvalues that merge have none.
    """
    check_function("game_of_strength", game_of_strength, "strength")

    def motion(strength: ArrayLike) -> tuple[jax.Array, spectra.Spectrum]:
        values = spectra.flow_eigenvalues(game_of_strength(as_float(strength)), players, transform, tangents)
        return jnp.sum(spectra.oscillates(values)), spectra.summarize_flow(values)

    @jax.jit  # traced once, not once for each strength
    def growth(strength: jax.Array) -> jax.Array:
        return motion(strength)[1].growth

    without = motion(0.0)[0]

    def tests(strength: jax.Array) -> tuple[jax.Array, jax.Array]:
        turning, spectrum = motion(strength)
        decays = spectrum.verdict == spectra.Stability.STABLE
        return jnp.stack([decays, turning < without, turning == 0]), jnp.isnan(spectrum.growth)

    def strength(number: jax.Array) -> jax.Array:
        def passes(strength: jax.Array, nothing: None) -> tuple[jax.Array, None, jax.Array]:
            passed, undefined = tests(strength)
            return passed[number], None, undefined

        return _first(passes, lowest, highest, points)[0]

    stabilizing, *others = jax.vmap(strength)(jnp.arange(3))
    return CriticalStrength(
        _with_derivative(stabilizing, growth),
        *(_with_derivative(other, lambda strength: growth(strength) * jnp.nan) for other in others),
    )


def _with_derivative(found: jax.Array, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """`found`, with the derivative of a number x at which `function(x)` keeps its value; 0 if it is 0 or infinite."""
    inside = (found > 0) & jnp.isfinite(found)
    solved = jax.lax.custom_root(
        function, jnp.where(inside, found, 1), lambda _, x: x, lambda linear, value: value / linear(1.0)
    )
    return jnp.where(inside, solved, found)


def _first(
    test: Callable[[jax.Array, Any], tuple[jax.Array, Any, jax.Array]],
    lowest: float,
    highest: float,
    points: int,
    start: Any = None,
) -> tuple[jax.Array, Any]:
    """The first number from `lowest` to `highest` at which `test` turns true; 0 at the lowest, infinite at none.

    `test(number, carry)` returns `(truth, new_carry, undefined)`. `carry` is what it returned at the largest number for
    which it was still false, initially `start`. If it is undefined at the lowest number, the result is NaN.
    The second result is the carry at the end.
    """
    points = check_count("points", points)
    check_number("lowest", lowest, positive=True)
    check_number("highest", highest, lowest, positive=True)
    lowest, highest = plain(lowest), plain(highest)
    ratio = (highest / lowest) ** (1 / points)

    def closer(i: jax.Array, bracket: tuple[jax.Array, jax.Array, jax.Array, jax.Array, Any]) -> tuple[Any, ...]:
        below, above, lost, at_once, kept = bracket
        middle = jnp.where(jnp.isfinite(above), jnp.sqrt(below) * jnp.sqrt(above), jnp.minimum(below * ratio, highest))
        passed, new, undefined = test(middle, kept)
        kept = jax.tree.map(lambda old, new: jnp.where(passed, old, new), kept, new)
        lost |= (i == 0) & undefined
        at_once |= (i == 0) & passed
        below, above = jnp.where(passed, below, middle), jnp.where(passed, middle, above)
        return below, above, lost, at_once, kept

    # After the last of the points 50 bisections are left, enough for the last bit.
    no = jnp.zeros((), bool)
    bracket = as_float(lowest / ratio), as_float(jnp.inf), no, no, start
    below, above, lost, at_once, kept = jax.lax.fori_loop(0, points + 51, closer, bracket)
    found = jnp.where(at_once, 0, jnp.where(jnp.isfinite(above), (below + above) / 2, jnp.inf))
    return jnp.where(lost, jnp.nan, found), kept
