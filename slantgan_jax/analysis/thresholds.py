"""Thresholds: the rate at which a rule ceases to be stable, the penalties at which motion changes its kind.

Both look along one number, a rate or a strength, for the first at which the eigenvalues of `spectra` pass a test: tried
upwards in equal ratios, then bisected to rounding. Pure functions, which map by `vmap`; what is said in `spectra` of
precision, zero modes and LAPACK holds for them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from slantgan_jax import fields
from slantgan_jax.analysis import spectra
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players


class CriticalStrength(NamedTuple):
    """Strengths of a penalty at which the kind of motion changes; 0: at every strength, infinite: at none.

    Attributes:
      stabilizing: the least with which all non-zero modes decay.
      first: where the first oscillating pair merges into real modes, so fewer modes oscillate than without penalty.
      last: the least with which no mode oscillates: critical damping.
    """

    stabilizing: jax.Array
    first: jax.Array
    last: jax.Array


def largest_stable_rate(
    rule_of_rate: Callable[[jax.Array], Rule],
    game: Game,
    players: Players,
    tangents: Players | None = None,
    *,
    steps: int = 1,
    newton: int = 0,
    lowest: float = 1e-4,
    highest: float = 1e4,
    points: int = 200,
) -> jax.Array:
    """The largest learning rate up to which no mode of the update map grows, a scalar.

    Rates are tried upwards from `lowest`, so it is the first crossing of ln |μ| = 0, which is then bisected to
    rounding. A window of instability narrower than (highest / lowest)^(1 / points), 10 % by default, may be missed.

    Args:
      rule_of_rate: `rate -> rule`; penalties are in the game, adjustments in the rule.
      game, players, tangents, steps: as in `spectra.update_eigenvalues`.
      newton: iterations of `spectra.fixed_point` at each rate, from that of the largest rate known to be stable; 0
        where `players` are one at every rate. The tutorial's order needs about 6.
      lowest, highest: the rates to look among.
      points: rates tried between them.

    Returns:
      The rate; 0 if some mode grows at `lowest`, infinite if none does up to `highest`. Where the fixed point is lost
      counts as growing.
    """

    def grows(rate: jax.Array, near: State) -> tuple[jax.Array, State]:
        rule = rule_of_rate(rate)
        state = spectra.fixed_point(rule, game, near, steps, tangents, newton) if newton else near
        found = spectra.of_update(spectra.update_eigenvalues(rule, game, state, steps, tangents))
        return ~(found.growth <= spectra.NEUTRAL), state

    _, flat, state_of = spectra.update_map(rule_of_rate(as_float(lowest)), game, players, steps)
    return _first(grows, lowest, highest, points, state_of(flat))


def critical_strength(
    game_of_strength: Callable[[jax.Array], Game],
    players: Players,
    adjustment: Transform = fields.gradients,
    tangents: Players | None = None,
    *,
    lowest: float = 1e-5,
    highest: float = 1e3,
    points: int = 200,
) -> CriticalStrength:
    """The strengths of a penalty that change how the flow moves near `players`.

    On the Dirac-GAN with R1, where λ = -γ/2 ± √(γ²/4 - κ), pairs merge at γ = 2 √κ (`first` and `last`), and every
    strength is stabilizing: 0.

    Args:
      game_of_strength: `strength -> game`; `players` are an equilibrium at every strength.
      players, adjustment, tangents: as in `spectra.flow_eigenvalues`.
      lowest, highest, points: as in `largest_stable_rate`. A strength of 0 stands for one up to `lowest`.
    """

    def motion(strength: ArrayLike) -> tuple[jax.Array, jax.Array]:
        values = spectra.flow_eigenvalues(game_of_strength(as_float(strength)), players, adjustment, tangents)
        turning = jnp.abs(values.imag) > spectra.MERGED * jnp.max(jnp.abs(values))
        return jnp.sum(turning), spectra.of_flow(values).growth

    at_lowest = motion(lowest)[0]

    def tests(strength: jax.Array) -> jax.Array:
        turning, growth = motion(strength)
        return jnp.stack([growth < -spectra.NEUTRAL, turning < at_lowest, turning == 0])

    def strength(number: jax.Array) -> jax.Array:
        return _first(lambda strength, _: (tests(strength)[number], None), lowest, highest, points)

    return CriticalStrength(*jax.vmap(strength)(jnp.arange(3)))


def _first(
    test: Callable[[jax.Array, Any], tuple[jax.Array, Any]],
    lowest: float,
    highest: float,
    points: int,
    start: Any = None,
) -> jax.Array:
    """The first number from `lowest` to `highest` at which `test` turns true; 0 at the lowest, infinite at none.

    `test` gets besides what it returned, besides its truth, at the largest number at which it was false; at first
    `start`.
    """
    ratio = (highest / lowest) ** (1 / points)

    def closer(_: Any, bracket: tuple[jax.Array, jax.Array, Any]) -> tuple[jax.Array, jax.Array, Any]:
        below, above, kept = bracket
        middle = jnp.where(jnp.isfinite(above), jnp.sqrt(below) * jnp.sqrt(above), jnp.minimum(below * ratio, highest))
        found, other = test(middle, kept)
        kept = jax.tree.map(lambda one, two: jnp.where(found, one, two), kept, other)
        return jnp.where(found, below, middle), jnp.where(found, middle, above), kept

    # After the last of the points 50 bisections are left, enough for the last bit.
    bracket = as_float(lowest / ratio), as_float(jnp.inf), start
    below, above, _ = jax.lax.fori_loop(0, points + 51, closer, bracket)
    return jnp.where(above < lowest * ratio**0.01, 0, jnp.where(jnp.isfinite(above), (below + above) / 2, jnp.inf))
