"""Spectra: how a game's flow and a rule's step act near players at which nothing moves.

    flow ω' = -ξ(ω)   modes exp(λ t), λ an eigenvalue of -J        decays if Re λ < 0
    step of a rule    modes μⁿ, μ an eigenvalue of its Jacobian M   decays if |μ| < 1

Along a surface of equilibria λ = 0 or μ = 1. These zero modes are divided out exactly, with the help of the surface's
`tangents`; without tangents they are found by the singular values. All functions can be vmapped and raise `ValueError`
outside of the scope of `jax.enable_x64`. Eigenvalues of matrices that are not symmetric are LAPACK's, for a CPU. See
docs/theory/stability.md.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import fields, games
from slantgan_jax.analysis.update_maps import Over, check_precision, update_map
from slantgan_jax.checks import check_count, check_function, check_number, check_players, is_numeric, shown
from slantgan_jax.fields import Transform
from slantgan_jax.games import Game, check_game
from slantgan_jax.numerics import as_float, at_least_single, native, plain, safe_norm
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players


class Stability(IntEnum):
    """What a `Spectrum` says of a place: see docs/theory/stability.md#modes-of-a-flow-and-of-a-step.

    `Stability(int(spectrum.verdict)).name` is the name of a verdict.
    """

    STABLE = 0
    MARGINAL = 1
    UNSTABLE = 2
    NO_EQUILIBRIUM = 3


GROWTH_TOLERANCE = 1e-11
"""A growth rate, Re λ or ln |μ|, of this size or less counts as 0."""

RELATIVE_GROWTH_TOLERANCE = 1e-12
"""So does Re λ of this size or less relative to the largest |λ|, whose rounding errors all eigenvalues have."""

IMAGINARY_TOLERANCE = 1e-7
"""An imaginary part of this size or less, relative to the largest |λ| or |μ - 1|, counts as 0."""

PROBE = 1e-8
"""How far from a place, in units of each number's own size or of 1, it is asked whether a field or a step jumps."""

MAX_NEWTON_STEP = 0.5
"""The longest step of Newton's method, in units of a parameter; it saturates no sigmoid."""


class FixedPoint(NamedTuple):
    """What `fixed_point` returns: a `state`, and the `residual`, the distance to which the steps move it."""

    state: State
    residual: jax.Array


class Spectrum(NamedTuple):
    """What eigenvalues say; all but the first two are of the modes that are not zero modes.

    Attributes:
      eigenvalues: `[n]`, complex, as they were given.
      zero_modes: how many of them are exactly 0 (of a flow) or 1 (of a map).
      verdict: the number of a `Stability`.
      growth: of the mode that decays slowest, or grows fastest: ln of its factor in an epoch.
      efold: 1 / |growth|, the epochs in which this mode decays or grows by a factor of e.
      period: the epochs of one turn of the oscillating mode that decays slowest, of several the one that turns fastest;
        infinite if none oscillates.
    """

    eigenvalues: jax.Array
    zero_modes: jax.Array
    verdict: jax.Array
    growth: jax.Array
    efold: jax.Array
    period: jax.Array


def expected_field(game: Game, transform: Transform = fields.gradients) -> fields.Field:
    """The field of the expected losses, transformed; by default ξ itself."""
    check_function("transform", transform, "losses", such_as="fields.extragradient(0.1)")
    return transform(games.SampleLosses(games.expected(game), ()))


def flow_eigenvalues(
    game: Game, players: Players, transform: Transform = fields.gradients, tangents: Players | None = None
) -> jax.Array:
    """Eigenvalues of -J of the expected, transformed field, `[n]` complex: largest real part first, then imaginary.

    Args:
      game: any game that `games.expected` takes.
      players: the point of linearization. Eigenvalues are meaningful only at an equilibrium. Without tangents it is not
        checked that this is one: look at `expected_field(game, transform)(players)`. If the field jumps there, as with
        `penalties.wgan_gp` where D is constant, all are NaN.
      transform: the transform of the field, see `fields`.
      tangents: directions of zero modes, `Players` with a leading axis (`equilibria.tangents`). Their eigenvalues are
        exactly 0. If the field changes along them, all others are NaN, see `eigenvalues_modulo`.
    """
    check_precision()
    check_game(game)
    check_players(players, len(game.losses))
    players, field = jax.tree.map(as_float, players), expected_field(game, transform)
    flat, unravel = ravel_pytree(players)
    matrix = unless_it_jumps(fields.jacobian(field, players), lambda x: ravel_pytree(field(unravel(x)))[0], flat)
    values = eigenvalues_modulo(-matrix, tangents)
    return values[jnp.lexsort((-values.imag, -values.real))]


def update_jacobian(rule: Rule, game: Game, players: Players | State, steps: int = 1, over: Over = None) -> jax.Array:
    """The Jacobian of `steps` steps of `rule` on the expected game, `[n, n]`, at `players`.

    The n variables are the numbers that the rule carries from step to step and that players change, in this game or in
    another one. Counts have no derivative, and rates that an optimizer holds in its state are no part of the motion.

    Args:
      rule: its steps. Those of Adam have no derivative at an equilibrium, unless its `eps_root` is positive. Nor have
        those that use a sign, as `optax.lion`; what JAX declares for it is in the matrix, and the eigenvalues are NaN.
      game: any game that `games.expected` takes.
      players: the point of linearization. The optimizers have the states after `steps` steps that start there, and
        step counts are those of a long run, `LATE_STEPS`. Sums of floats are not: a `rules.running_mean` of given
        weights weighs the last players as after these few steps. A whole `State`, for instance of `fixed_point` or of
        `train`, may be given instead.
      steps: how many steps make the map, a multiple of `rule.period`, of the number of steps after which data in turn
        come to every move again, and of that after which the optimizer does the same again, as `optax.MultiSteps`.
      over: the names of the draws that are integrated, as in `games.expected`; by default all. The others must not be
        random. See docs/theory/stability.md#steps-and-epochs.
    """
    update, flat, _ = update_map(rule, game, players, steps, over)
    return jax.jacfwd(update)(flat)


def update_eigenvalues(
    rule: Rule,
    game: Game,
    players: Players | State,
    steps: int = 1,
    tangents: Players | None = None,
    over: Over = None,
) -> jax.Array:
    """Eigenvalues of `update_jacobian`, `[n]` complex: largest modulus first, then largest imaginary part.

    Args:
      rule, game, players, steps, over: as in `update_jacobian`. Without tangents it is not checked that nothing moves
        there: look at the residual of `fixed_point(..., iterations=0)`.
      tangents: directions of zero modes, as in `flow_eigenvalues`; their eigenvalues are exactly 1. If the fixed points
        only lie near the equilibria, tangents of the equilibria are enough, but `players` must be a `fixed_point`.
    """
    update, flat, _ = update_map(rule, game, players, steps, over)
    return multipliers(update, flat, tangents)


def multipliers(update: Callable[[jax.Array], jax.Array], place: jax.Array, tangents: Players | None) -> jax.Array:
    """`update_eigenvalues` of a map of `update_map` at the numbers `place` `[n]`."""
    matrix = jax.jacfwd(update)(place) - jnp.eye(place.size)
    values = 1 + eigenvalues_modulo(unless_it_jumps(matrix, lambda x: update(x) - x, place), tangents)
    return values[jnp.lexsort((-values.imag, -jnp.abs(values)))]


def unless_it_jumps(matrix: jax.Array, function: Callable[[jax.Array], jax.Array], place: jax.Array) -> jax.Array:
    """The Jacobian `matrix` `[n, n]` of a function of `[n]` numbers; NaN if the function jumps at the place.

    Some functions there have a derivative by declaration, which says nothing of what is near by: the sign, and the
    gradient of a norm at 0.
    """
    return jnp.where(jumps(function, place), jnp.nan, matrix)


def jumps(function: Callable[[jax.Array], jax.Array], place: jax.Array) -> jax.Array:
    """Whether a function of `[n]` numbers jumps at a place, or within `PROBE` of it.

    A tenth of the way changes a smooth function by a tenth, a root by a third, and one that jumps by as much. What is
    not a number on one side, as the root of a negative second moment, says nothing. Two directions are tried, because a
    function does not jump on the way along its kink.
    """
    ahead, across = np.random.default_rng(0).normal(size=(2, place.size))
    sizes = jnp.maximum(1, jnp.abs(place))
    directions = sizes[None] * jnp.array([abs(ahead), across])  # on the first way no second moment falls below 0
    ways = PROBE * jnp.array([0.1, 1.0, -0.1, -1.0])
    places = place[None, None] + ways[:, None, None] * directions[None]
    values = jax.vmap(function)(jnp.concatenate([place[None], places.reshape(-1, place.size)]))
    near, far, near_behind, far_behind = jnp.abs(values[1:] - values[:1]).reshape(places.shape)
    # Rounding is counted relative to the number that moves. The largest number may be another player's: only its last
    # digits count, because more would hide jumps of the others.
    rounding = jnp.maximum(1e-13 * sizes, 1e-15 * jnp.max(sizes))[None]

    def jumped(near: jax.Array, far: jax.Array) -> jax.Array:
        return ((near > 0.5 * far) & (near > rounding)).any()

    return jumped(near, far) | jumped(near_behind, far_behind)


def eigenvalues_modulo(matrix: jax.Array, tangents: Players | None = None) -> jax.Array:
    """Eigenvalues of B `[n, n]`, `[n]` complex and not sorted; first an exact 0 for each of the k `tangents`.

    The tangents' coordinates are the first of the n. The other eigenvalues are those of B on what is orthogonal to V of
    `neutral_directions`. They are NaN if B V is not 0 up to rounding.

    Without tangents, as many of the smallest eigenvalues are exactly 0 as B has singular values that are 0 up to
    rounding: one for each direction that B itself does not move. A Jordan block of zeros has more eigenvalues than such
    directions, and the others keep their errors. Of a complex pair neither is made 0 without the other. See
    docs/theory/stability.md#zero-modes.
    """
    if not is_numeric(matrix) or np.ndim(matrix) != 2 or len({*np.shape(matrix)}) != 1:
        raise ValueError(f"the matrix is {shown(matrix)}: give an array [n, n]")
    matrix = at_least_single(matrix)
    rounding = 4096 * jnp.finfo(matrix.dtype).eps * jnp.maximum(1, jnp.max(jnp.abs(matrix)))
    if tangents is None:
        values, singular = jnp.linalg.eigvals(matrix), jnp.linalg.svd(matrix, compute_uv=False)
        rank_of_size = jnp.argsort(jnp.argsort(jnp.abs(values)))
        zero = rank_of_size < jnp.sum(singular <= rounding)
        paired = (zero[None] & (jnp.conj(values)[:, None] == values[None])).any(1)
        return jnp.where(zero & paired, 0, values)
    neutral, _ = neutral_directions(matrix, tangents)
    count = neutral.shape[1]
    rest = jnp.linalg.qr(neutral, mode="complete")[0][:, count:]
    values = jnp.linalg.eigvals(rest.T @ matrix @ rest)
    annihilated = jnp.max(jnp.abs(matrix @ neutral)) <= rounding
    return jnp.concatenate([jnp.zeros(count, values.dtype), jnp.where(annihilated, values, jnp.nan)])


def neutral_directions(matrix: jax.Array, tangents: Players) -> tuple[jax.Array, jax.Array]:
    """V `[n, k]` and F `[k, n]` with B V = 0 in the least-squares sense, F V = I, and orthonormal rows of F.

    F spans the same as the `tangents`. See docs/theory/stability.md#zero-modes.
    """
    flat = _padded(tangents, len(matrix))
    frame = jnp.linalg.qr(flat.T)[0].T
    scale = jnp.max(jnp.abs(matrix))
    wanted = jnp.concatenate([jnp.zeros((len(matrix), len(flat))), scale * jnp.eye(len(flat))])
    return jnp.linalg.lstsq(jnp.concatenate([matrix, scale * frame]), wanted)[0], frame


def summarize_flow(eigenvalues: jax.Array, epoch: ArrayLike = 1.0) -> Spectrum:
    """The `Spectrum` of a flow's eigenvalues λ; `epoch` is the flow's time in one epoch: 5 η for five faces, rate η.

        growth = max Re λ · epoch,   period = 2π / (|Im λ| epoch)       (without λ = 0)

    The verdict is MARGINAL if |max Re λ| is at most `GROWTH_TOLERANCE` or `RELATIVE_GROWTH_TOLERANCE` · max |λ|.
    """
    eigenvalues = _checked(eigenvalues, epoch)
    growth, angle, largest = eigenvalues.real, eigenvalues.imag, jnp.max(jnp.abs(eigenvalues))
    tolerance = jnp.maximum(GROWTH_TOLERANCE, jnp.where(jnp.isinf(largest), 0, RELATIVE_GROWTH_TOLERANCE * largest))
    return _summary(eigenvalues, eigenvalues == 0, oscillates(eigenvalues), growth, angle, plain(epoch), tolerance)


def summarize_map(eigenvalues: jax.Array, epochs: ArrayLike = 1.0) -> Spectrum:
    """The `Spectrum` of a map's eigenvalues μ; `epochs` is how many epochs the map spans: steps / 5 for five faces.

        growth = max ln |μ| / epochs,   period = 2π epochs / |arg μ|       (without μ = 1)

    A negative μ oscillates, too, with a period of two steps of the map. The verdict is MARGINAL if the largest ln |μ|
    is of the size of `GROWTH_TOLERANCE` or less.
    """
    eigenvalues = _checked(eigenvalues, epochs)
    turning = oscillates(eigenvalues - 1) | (eigenvalues.real < -IMAGINARY_TOLERANCE)
    dead = eigenvalues == 0  # where the logarithm and the angle have no derivative
    alive = jnp.where(dead, 1, eigenvalues)
    growth = jnp.where(dead, -jnp.inf, jnp.log(jnp.abs(alive)))
    return _summary(
        eigenvalues, eigenvalues == 1, turning, growth, jnp.angle(alive), 1 / plain(epochs), GROWTH_TOLERANCE
    )


def oscillates(eigenvalues: jax.Array) -> jax.Array:
    """Which of `eigenvalues` `[n]` have an imaginary part that is more than rounding: booleans `[n]`."""
    eigenvalues = _checked(eigenvalues)
    return jnp.abs(eigenvalues.imag) > IMAGINARY_TOLERANCE * jnp.max(jnp.abs(eigenvalues))


def fixed_point(
    rule: Rule,
    game: Game,
    players: Players | State,
    steps: int = 1,
    tangents: Players | None = None,
    iterations: int = 10,
    over: Over = None,
) -> FixedPoint:
    """The state that `steps` steps of `rule` on the expected game leave unchanged, by Newton's method from `players`.

    An equilibrium is a fixed point of most rules, but not of the tutorial's order: see
    docs/theory/stability.md#the-fixed-point-of-the-tutorials-order.

    Args:
      rule, game, steps, over: as in `update_jacobian`.
      players: a place near a fixed point, or a whole state.
      tangents: of a surface of fixed points, as in `update_eigenvalues`. The result is then the fixed point to which
        `players` come without moving along them. Without tangents the fixed point has to be isolated.
      iterations: of Newton's method, each as costly as `update_jacobian`. From a place nearby 5 are enough.

    Returns:
      The whole state, and how far the steps still move it. If Newton's method does not converge, or the map is
      singular, it is the state of the last iteration, and the residual is not near 0.
    """
    update, flat, state_of = update_map(rule, game, players, steps, over)
    iterations = check_count("iterations", iterations, 0)
    found = fixed_point_of_map(update, flat, tangents, iterations)
    return FixedPoint(state_of(found), safe_norm(update(found) - found))


def fixed_point_of_map(
    update: Callable[[jax.Array], jax.Array], place: jax.Array, tangents: Players | None, iterations: int
) -> jax.Array:
    """The numbers `[n]` of `fixed_point`, of a map of `update_map`, by Newton's method from the numbers `place`."""
    known = jnp.zeros((0, place.size)) if tangents is None else _padded(tangents, place.size)

    def newton(_: Any, x: jax.Array) -> jax.Array:
        matrix = jax.jacfwd(update)(x) - jnp.eye(place.size)
        scale = jnp.max(jnp.abs(matrix))
        wanted = jnp.concatenate([x - update(x), jnp.zeros(len(known))])
        step = jnp.linalg.lstsq(jnp.concatenate([matrix, scale * known]), wanted)[0]
        return x + step * jnp.minimum(1, MAX_NEWTON_STEP / jnp.maximum(safe_norm(step), MAX_NEWTON_STEP))

    return jax.lax.fori_loop(0, iterations, newton, place)


def _checked(eigenvalues: Any, epoch: Any = 1.0) -> jax.Array:
    """`eigenvalues` as an array. Raises `ValueError` unless they are numbers `[n]`, and `epoch` is positive."""
    if not isinstance(eigenvalues, np.ndarray | jax.Array) or eigenvalues.ndim != 1 or not eigenvalues.size:
        raise ValueError(f"eigenvalues are {shown(eigenvalues)}: give an array [n] of at least one number")
    check_number("epoch", epoch, positive=True)
    eigenvalues = native(eigenvalues)
    return jnp.asarray(eigenvalues) if jnp.iscomplexobj(eigenvalues) else at_least_single(eigenvalues)


def _padded(tangents: Players, size: int) -> jax.Array:
    """The tangents as rows `[k, size]`: players come first, and the rest of a state stands still."""
    leaves = jax.tree.leaves(tangents)
    if len({np.shape(leaf)[:1] for leaf in leaves}) != 1 or not all(map(is_numeric, leaves)) or not np.ndim(leaves[0]):
        raise ValueError(
            f"tangents are {shown(tangents)}: give Players with a leading axis, as equilibria.tangents does"
        )
    flat = jax.vmap(lambda tangent: ravel_pytree(tangent)[0])(tangents)
    if flat.shape[1] > size:
        raise ValueError(f"tangents have {flat.shape[1]} coordinates: give at most {size}, as the matrix has")
    return jnp.pad(flat, ((0, 0), (0, size - flat.shape[1])))


def _summary(
    eigenvalues: jax.Array,
    zero: jax.Array,
    turning: jax.Array,
    growth: jax.Array,
    angle: jax.Array,
    epoch: ArrayLike,
    tolerance: ArrayLike,
) -> Spectrum:
    largest = jnp.max(jnp.where(zero, -jnp.inf, growth))  # NaN if one is
    largest = jnp.where(zero.all(), 0, largest)  # of zero modes alone nothing is known
    slowness = jnp.where(turning & ~zero, growth, -jnp.inf)
    equally = slowness >= jnp.max(slowness) - tolerance  # rounding would choose one of them
    slow = jnp.argmax(jnp.where(equally, jnp.abs(angle), -jnp.inf))
    period = jnp.where(jnp.any(turning & ~zero), 2 * jnp.pi / jnp.abs(jnp.where(turning, angle, 1)[slow]), jnp.inf)
    verdict = jnp.where(largest < 0, int(Stability.STABLE), int(Stability.UNSTABLE))
    verdict = jnp.where(jnp.abs(largest) <= tolerance, int(Stability.MARGINAL), verdict)
    verdict = jnp.where(jnp.isnan(largest), int(Stability.NO_EQUILIBRIUM), verdict)
    efold = jnp.where(verdict == Stability.MARGINAL, jnp.inf, 1 / jnp.abs(largest * epoch))
    return Spectrum(eigenvalues, jnp.sum(zero), verdict, largest * epoch, efold, period / epoch)
