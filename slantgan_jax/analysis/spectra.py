"""Spectra: how a game's flow and a rule's update map act near players at which nothing moves.

Near an equilibrium ω* the flow ω' = -ξ(ω) has modes exp(λ t), λ an eigenvalue of -J; a rule's step has modes μⁿ, μ an
eigenvalue of its Jacobian M, all that the rule carries (momenta, memories) included. A mode decays where Re λ < 0 or
|μ| < 1. For plain simultaneous descent μ = 1 + η λ, so that it is stable for η < min 2 |Re λ| / |λ|².
`thresholds` finds that edge for every rule.

Where equilibria form a surface, λ = 0 or μ = 1 along it: `tangents` of the surface tell which modes those are. Such
zero modes are taken out exactly, not by their size: as A = -J (or M - I) has A v = 0 for each tangent v, it acts on the
quotient of the space by the tangents, and has there the other eigenvalues. Rounding would otherwise move a zero mode by
1e-8 where it belongs to a Jordan block. What is found of it is returned as exactly 0 (or 1).

Everything is a pure function, may be mapped by `vmap`, and needs the scope of `jax.enable_x64`. Eigenvalues of matrices
that are not symmetric are LAPACK's, for a CPU.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import fields, games
from slantgan_jax.analysis import dynamics
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players

VERDICTS = ("stable", "marginal", "unstable", "no equilibrium")
"""All non-zero modes decay; some neither grow nor decay; some grow; the tangents given are none: no fixed point."""

NEUTRAL = 1e-11
"""A growth rate, Re λ or ln |μ|, so near to 0 counts as 0: rounding leaves 1e-15 of simple modes, more of merging."""

MERGED = 1e-7
"""An imaginary part so small, relative to the largest |λ| or |μ - 1|, counts as 0: where two real modes merge, rounding
of 1e-16 splits them by its root, 1e-8."""

LONGEST = 0.5
"""The longest step of Newton's method: in units of a parameter, far less than saturates a sigmoid."""


class Spectrum(NamedTuple):
    """What eigenvalues say.

    Attributes:
      eigenvalues: `[n]`, complex, as they were given.
      zero_modes: how many of them are exactly 0 (of a flow) or 1 (of a map).
      verdict: an index of `VERDICTS`, by the other ones.
      growth: of the slowest of these, ln of its factor in an epoch; negative where it decays.
      efold: 1 / |growth|, the epochs in which it decays (or grows) by e.
      period: the epochs of one turn of the oscillating mode that decays slowest; infinite if none oscillates.
    """

    eigenvalues: jax.Array
    zero_modes: jax.Array
    verdict: jax.Array
    growth: jax.Array
    efold: jax.Array
    period: jax.Array


def expected_field(game: Game, adjustment: Transform = fields.gradients) -> fields.Field:
    """The field of the expected losses, adjusted; `fields.gradients` is ξ itself.

    Cost of ξ on slanted land: 0.6 µs in a batch.
    """
    full = games.expected(game)
    return adjustment(lambda players: games.total_losses(full, players, ()))


def flow_eigenvalues(
    game: Game, players: Players, adjustment: Transform = fields.gradients, tangents: Players | None = None
) -> jax.Array:
    """Eigenvalues of -J of the expected, adjusted field, `[n]` complex: largest real part first, then imaginary.

    Args:
      game: any.
      players: where; an equilibrium, or the eigenvalues tell little.
      adjustment: of the field.
      tangents: directions of zero modes, `Players` with a leading axis (`equilibria.tangents`): their eigenvalues are
        exactly 0. If the field does change along them, all others are NaN.
    """
    values = modes(-fields.jacobian(expected_field(game, adjustment), players), tangents)
    return values[jnp.lexsort((-values.imag, -values.real))]


def update_map(
    rule: Rule, game: Game, players: Players | State, steps: int, in_turn: bool = False
) -> tuple[Callable[[jax.Array], jax.Array], jax.Array, Callable[[jax.Array], State]]:
    """`steps` steps of `rule` on the expected game as a function of numbers `[n]`, those of `update_jacobian`.

    With `in_turn` only what is random is integrated, and the data come in turn, from their first image on: as many
    steps as there are images are an epoch.

    Returns:
      The map; the numbers at `players`, or of a state that is given in their place; the state that numbers stand for.
    """
    over = [name for name in _drawn(game) if name != "real"] if in_turn else None
    full = games.expected(game, over)

    def advanced(state: State) -> State:
        for step in range(steps):
            state = rule.step(full, state, rule.sample(full, jax.random.key(0), step))  # neither game draws numbers
        return state

    state = players if isinstance(players, State) else advanced(rule.init(players))._replace(players=players)
    floats, joined = dynamics.carried(state)
    flat, unravel = ravel_pytree(floats)

    def state_of(numbers: jax.Array) -> State:
        return joined(unravel(numbers))

    def update(numbers: jax.Array) -> jax.Array:
        return ravel_pytree(dynamics.carried(advanced(state_of(numbers)))[0])[0]

    return update, flat, state_of


def update_jacobian(
    rule: Rule, game: Game, players: Players | State, steps: int = 1, in_turn: bool = False
) -> jax.Array:
    """The Jacobian of `steps` steps of `rule` on the expected game, `[n, n]`, at `players`.

    With `in_turn` each step sees one image of the data, in their order, and the expectation over the rest: five such
    steps are an epoch of the tutorial without the noise of its latents, and do not commute as five mean steps do.

    The n variables are the numbers that the rule carries from step to step, counts apart: players, momenta, memories.
    The optimizer state is the one after `steps` steps of standing at `players`; so at an equilibrium it is a fixed
    point, and the eigenvalues of largest modulus tell whether the rule converges to it, and how fast. In the place of
    `players` a whole state may be given, of a `fixed_point`.
    """
    update, flat, _ = update_map(rule, game, players, steps, in_turn)
    return jax.jacfwd(update)(flat)


def update_eigenvalues(
    rule: Rule,
    game: Game,
    players: Players | State,
    steps: int = 1,
    tangents: Players | None = None,
    in_turn: bool = False,
) -> jax.Array:
    """Eigenvalues of `update_jacobian`, `[n]` complex: largest modulus first, then largest imaginary part.

    Arguments as there; `tangents` are directions of zero modes as in `flow_eigenvalues`, whose eigenvalues are exactly
    1. What the rest of the state does along them is found. Where the surface of fixed points is not exactly that of
    the equilibria, as in the tutorial's order, they need be near it only, but `players` must be a `fixed_point`.
    Five steps are an epoch of the tutorial. Of `rules.lookahead` take as many steps as its period.

    Adam has no derivative at an equilibrium (√v at v = 0), unless its `eps_root` is positive.
    """
    jacobian = update_jacobian(rule, game, players, steps, in_turn)
    values = 1 + modes(jacobian - jnp.eye(len(jacobian)), tangents)
    return values[jnp.lexsort((-values.imag, -jnp.abs(values)))]


def modes(matrix: jax.Array, tangents: Players | None = None) -> jax.Array:
    """Eigenvalues of A `[n, n]`, `[n]` complex, first an exact 0 for each of the k `tangents`; not sorted.

    The tangents' coordinates are the first of the n. The vectors v with A v = 0 near them (`neutral_directions`) are
    divided out: A is restricted to what is orthogonal to them. If there are none (an element of A v above 1e-12, or
    above 1e-12 of A's largest if that is more than 1), the other eigenvalues are NaN.
    """
    if tangents is None:
        return jnp.linalg.eigvals(matrix)
    neutral, _ = neutral_directions(matrix, tangents)
    count = neutral.shape[1]
    rest = jnp.linalg.qr(neutral, mode="complete")[0][:, count:]
    values = jnp.linalg.eigvals(rest.T @ matrix @ rest)
    rounding = 4096 * jnp.finfo(matrix.dtype).eps * jnp.maximum(1, jnp.max(jnp.abs(matrix)))
    annihilated = jnp.max(jnp.abs(matrix @ neutral)) <= rounding
    return jnp.concatenate([jnp.zeros(count, values.dtype), jnp.where(annihilated, values, jnp.nan)])


def neutral_directions(matrix: jax.Array, tangents: Players) -> tuple[jax.Array, jax.Array]:
    """V `[n, k]` and F `[k, n]` with A V = 0 (as nearly as there is such), F V = I and F orthonormal: I - V F takes
    what lies along the zero modes out of a vector, and leaves nothing of it along the `tangents`, the rows' span."""
    flat = jax.vmap(lambda tangent: ravel_pytree(tangent)[0])(tangents)
    (count, known), size = flat.shape, len(matrix)
    frame = jnp.linalg.qr(jnp.pad(flat, ((0, 0), (0, size - known))).T)[0].T
    scale = jnp.max(jnp.abs(matrix))
    wanted = jnp.concatenate([jnp.zeros((size, count)), scale * jnp.eye(count)])
    return jnp.linalg.lstsq(jnp.concatenate([matrix, scale * frame]), wanted)[0], frame


def of_flow(eigenvalues: jax.Array, epoch: ArrayLike = 1.0) -> Spectrum:
    """The `Spectrum` of a flow's eigenvalues λ; `epoch` is the flow's time in one: 5 η for five steps with rate η.

    growth = max Re λ · epoch,   period = 2π / (|Im λ| epoch)       (λ = 0 left out)
    """
    size = jnp.max(jnp.abs(eigenvalues))
    turning = jnp.abs(eigenvalues.imag) > MERGED * size
    return _spectrum(eigenvalues, eigenvalues == 0, turning, eigenvalues.real, eigenvalues.imag, epoch)


def of_update(eigenvalues: jax.Array, epochs: ArrayLike = 1.0) -> Spectrum:
    """The `Spectrum` of an update map's eigenvalues μ; `epochs` are those that the map spans: steps / 5.

        growth = max ln |μ| / epochs,   period = 2π epochs / |arg μ|       (μ = 1 left out)

    A μ < 0 oscillates, too, with a period of two steps of the map.
    """
    size = jnp.max(jnp.abs(eigenvalues - 1))
    turning = (jnp.abs(eigenvalues.imag) > MERGED * size) | (eigenvalues.real < -MERGED)
    growth = jnp.log(jnp.abs(eigenvalues))
    return _spectrum(eigenvalues, eigenvalues == 1, turning, growth, jnp.angle(eigenvalues), 1 / epochs)


def fixed_point(
    rule: Rule,
    game: Game,
    players: Players | State,
    steps: int = 1,
    tangents: Players | None = None,
    iterations: int = 10,
    in_turn: bool = False,
) -> State:
    """The state that `steps` steps of `rule` on the expected game leave as it is, by Newton's method from `players`.

    An equilibrium is one of most rules, but not of the tutorial's order: D's moves on real and on fake images undo each
    other to first order only. To first order in the rate η, on slanted land with the logistic losses,

        u = 0,   c = -η/4 (1 + |m|²),   E G(z) = m - η/4 C m

    with m the mean image of the data and C the covariance of the generator's.

    Args:
      rule, game, steps, in_turn: as in `update_jacobian`.
      players: near a fixed point; or a whole state.
      tangents: of a surface of fixed points, as in `update_eigenvalues`; the one found is where `players` would come
        to without moving along them. Without them an isolated one is looked for.
      iterations: of Newton's method, each as costly as `update_jacobian`; near to `players` 5 are enough.

    Returns:
      The whole state; `.players` of it are the players. Not converged, or singular: what the last iteration made.
    """
    update, flat, state_of = update_map(rule, game, players, steps, in_turn)
    eye = jnp.eye(flat.size)
    known = jnp.zeros((0, flat.size))
    if tangents is not None:
        known = jax.vmap(lambda tangent: ravel_pytree(tangent)[0])(tangents)
        known = jnp.pad(known, ((0, 0), (0, flat.size - known.shape[1])))

    def newton(_: Any, x: jax.Array) -> jax.Array:
        matrix = jax.jacfwd(update)(x) - eye
        scale = jnp.max(jnp.abs(matrix))
        wanted = jnp.concatenate([x - update(x), jnp.zeros(len(known))])
        way = jnp.linalg.lstsq(jnp.concatenate([matrix, scale * known]), wanted)[0]
        return x + way * jnp.minimum(1, LONGEST / jnp.maximum(jnp.linalg.norm(way), LONGEST))

    return state_of(jax.lax.fori_loop(0, iterations, newton, flat))


def _spectrum(
    eigenvalues: jax.Array, zero: jax.Array, turning: jax.Array, growth: jax.Array, angle: jax.Array, epoch: ArrayLike
) -> Spectrum:
    largest = jnp.max(jnp.where(zero, -jnp.inf, growth))  # NaN if one is
    slow = jnp.argmax(jnp.where(turning & ~zero, growth, -jnp.inf))
    period = jnp.where(jnp.any(turning & ~zero), 2 * jnp.pi / jnp.abs(jnp.where(turning, angle, 1)[slow]), jnp.inf)
    verdict = jnp.where(jnp.isnan(largest), 3, jnp.where(jnp.abs(largest) <= NEUTRAL, 1, jnp.where(largest < 0, 0, 2)))
    pace = largest * epoch
    efold = jnp.where(verdict == 1, jnp.inf, 1 / jnp.abs(pace))
    return Spectrum(eigenvalues, jnp.sum(zero), verdict, pace, efold, period / epoch)


def _drawn(game: Game) -> list[str]:
    return [name for name in getattr(game.draws, "_fields", ()) if getattr(game.draws, name) is not None]
