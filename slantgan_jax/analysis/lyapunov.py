"""Lyapunov exponents: how fast neighboring runs part, along a run of any rule on any game.

Nothing here calls LAPACK, so exponents can be part of what a sweep runs. See
docs/theory/trajectories.md#lyapunov-exponents.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from slantgan_jax.analysis.growth import bump_weights
from slantgan_jax.analysis.update_maps import carried, moving_leaves
from slantgan_jax.checks import check_count, check_key, check_kind, check_players
from slantgan_jax.games import Game, check_game
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Rule, State
from slantgan_jax.types import Players


class Exponents(NamedTuple):
    """What `lyapunov_exponents` returns.

    Attributes:
      values: the exponents per step `[count]`, in the order of the Gram-Schmidt vectors. In the limit of many steps the
        largest comes first; in a finite run neighbors may be exchanged.
      end: the state in which the run ended.
    """

    values: jax.Array
    end: State


def lyapunov_exponents(
    key: chex.PRNGKey,
    game: Game,
    rule: Rule,
    steps: int,
    count: int,
    *,
    players: Players | None = None,
    orthonormalize_every: int = 10,
    transient: int = 0,
) -> Exponents:
    """The `count` leading Lyapunov exponents of the run `train(key, game, rule, transient + steps)`, per step.

        λ_1 + ... + λ_k = lim 1/t ln vol_k(DΦᵗ v_1, ..., DΦᵗ v_k),   Φ a step with its sample

    Sources: Benettin, Galgani, Giorgilli & Strelcyn 1980 (Meccanica 15); Shimada & Nagashima 1979 (Prog. Theor. Phys.
    61). See docs/theory/trajectories.md#lyapunov-exponents.

    Args:
      key: that of `train`.
      game, rule: what is played and how. The result is NaN if a step has no derivative, as that of Adam without
        `eps_root` where a gradient is 0.
      steps: how many steps count; static, a multiple of `orthonormalize_every`.
      count: static, from 1 to the number n of numbers of `spectra.update_jacobian`.
      players: where the run starts; by default at `game.init`.
      orthonormalize_every: static. exp((λ_1 - λ_count) `orthonormalize_every`) has to stay below the inverse of the
        precision.
      transient: steps before those that count, in which the tangents turn; a multiple of `orthonormalize_every`.

    Raises:
      ValueError: numbers of steps that do not fit, or a `count` that the rule does not carry.
    """
    check_key(key)
    check_game(game)
    check_kind("rule", rule, Rule)
    if players is not None:
        check_players(players, len(game.losses))
    every = check_count("orthonormalize_every", orthonormalize_every)
    steps = check_count("steps", steps)
    transient = check_count("transient", transient, 0)
    count = check_count("count", count)
    if steps % every or transient % every:
        raise ValueError(
            f"transient is {transient} and steps is {steps}: give multiples of orthonormalize_every, which is {every}"
        )
    with jax.threefry_partitionable(True):  # as in `train`, of whose run these are the exponents
        key_init, key_latent = jax.random.split(key)
        state = rule.init(game.init(key_init) if players is None else jax.tree.map(as_float, players))

        def step(state: State) -> State:
            return rule.step(game, state, rule.sample(game, key_latent, state.step))

        moving = moving_leaves(rule, game, state)
        flat, unravel = ravel_pytree(carried(state, moving)[0])
        if count > flat.size:
            raise ValueError(f"count is {count}, but the rule carries {flat.size} numbers: give 1 to {flat.size}")
        # Any orthonormal directions will do; these are the same for every run.
        first, _ = orthonormalized(as_float(np.random.default_rng(0).normal(size=(count, flat.size))))
        tangents = jax.vmap(unravel)(first.astype(flat.dtype))

        def advance(carry: tuple[State, Any], _: Any) -> tuple[tuple[State, Any], None]:
            state, tangents = carry
            floats, joined = carried(state, moving)

            def numbers(floats: list[jax.Array]) -> tuple[list[jax.Array], State]:
                after = step(joined(floats))
                return carried(after, moving)[0], after

            _, push, state = jax.linearize(numbers, floats, has_aux=True)
            return (state, jax.vmap(push)(tangents)), None

        def chunk(carry: tuple[State, Any], _: Any) -> tuple[tuple[State, Any], jax.Array]:
            (state, tangents), _ = jax.lax.scan(advance, carry, length=every)
            rows, lengths = orthonormalized(jax.vmap(lambda tangent: ravel_pytree(tangent)[0])(tangents))
            return (state, jax.vmap(unravel)(rows.astype(flat.dtype))), jnp.log(lengths)

        (state, _), growths = jax.lax.scan(chunk, (state, tangents), length=(transient + steps) // every)
        return Exponents(bump_weights(steps // every) @ growths[transient // every :] / every, state)


def orthonormalized(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Orthonormal rows `[count, n]` that span the same as `rows`, and the lengths `[count]` that were left of the rows.

    Gram-Schmidt: a row keeps what is orthogonal to the rows before it, at least the smallest normal number. Each
    projection is made twice, after which the rows are orthogonal to rounding.
    """
    done, lengths = [], []
    rows = as_float(rows, "rows", "count", "n")
    for row in rows:
        for _ in range(2 if done else 0):
            row = row - jnp.stack(done).T @ (jnp.stack(done) @ row)
        lengths.append(jnp.maximum(jnp.sqrt(row @ row), jnp.finfo(row.dtype).tiny))
        done.append(row / lengths[-1])
    return jnp.stack(done), jnp.stack(lengths)
