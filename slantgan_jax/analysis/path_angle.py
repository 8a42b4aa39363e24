"""The path angle: how a game's field points along the line from where a run started to where it ended.

Berard et al. 2020 (arXiv:1906.04848). With ω(α) = start + α (end - start) and a field ξ,

    path angle   ⟨ξ(ω(α)), end - start⟩ / (‖ξ(ω(α))‖ ‖end - start‖)
    path norm    ‖ξ(ω(α))‖

A rule descends ξ. Where players are attracted to the end, the angle jumps from -1 to 1 at α = 1; where they rotate
around it, the angle is a bump that does not change its sign. The published code takes the line from end to start, so
that its angle has the other sign, and its norm is the square. See docs/methods/metrics.md.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import fields
from slantgan_jax.checks import shown
from slantgan_jax.fields import Field
from slantgan_jax.numerics import as_float

SHARES = np.linspace(-0.1, 1.1, 100)
"""The published code's places on the line, as shares of its length."""


class PathAngle(NamedTuple):
    """What `path_angle` returns, at each share α.

    Attributes:
      cosines: `[shares]`, the path angle; NaN where the field is 0.
      norms: `[shares]`, the path norm.
    """

    cosines: jax.Array
    norms: jax.Array


def path_angle(field: Field, start: Any, end: Any, shares: ArrayLike = SHARES) -> PathAngle:
    """The cosine of the angle between a field and the line from `start` to `end`, and the field's norm, on that line.

    It can be jitted and vmapped, and costs one evaluation of the field for each share.

    Args:
      field: ξ, for instance `spectra.expected_field(games.on_sample(game, sample))`: the same sample all along.
      start, end: players of one structure. If they are equal, the cosines are NaN.
      shares: α `[shares]`; 0 is the start, 1 the end.

    Raises:
      ValueError: `start`, `end` and what the field gives have different structures or shapes; shares that are no list.
    """
    start, end = (jax.tree.map(as_float, players) for players in (start, end))
    shapes, others = ([leaf.shape for leaf in jax.tree.leaves(players)] for players in (start, end))
    if jax.tree.structure(start) != jax.tree.structure(end) or shapes != others:
        raise ValueError(f"end is {shown(end)}: give players of the same structure as the start, {shown(start)}")
    first, unravel = ravel_pytree(start)
    way = ravel_pytree(end)[0] - first
    line, _ = _direction(way)

    def at(share: jax.Array) -> PathAngle:
        here = unravel(first + share * way)
        unit, norm = _direction(ravel_pytree(fields.check_direction(field(here), here))[0])
        return PathAngle(jnp.sum(unit * line), norm)

    return lax.map(at, as_float(shares, "shares", "shares"))


def _direction(vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`vector` divided by its length, and the length; NaN and 0 if it is 0. No square overflows or underflows."""
    size = jnp.max(jnp.abs(vector))
    scaled = vector / size
    length = jnp.linalg.norm(scaled)
    return scaled / length, jnp.where(size == 0, 0, size * length)
