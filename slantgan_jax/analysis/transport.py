"""Optimal transport of the generator's curve of images onto a data set: Wasserstein distances with a certificate.

The generated images are a curve G(z); the data are n atoms y_j of mass 1/n. With c_j(z) = |G(z) - y_j|^order,

    least cost = min Σ_j ∫ π_j(z) c_j(z) dz                        over π ≥ 0, Σ_j π_j(z) = 1, ∫ π_j(z) dz = 1/n
               = max (1/n) Σ_j ψ_j + ∫ min_j (c_j(z) - ψ_j) dz     over potentials ψ

docs/theory/distances.md#wasserstein-distances has the algorithm and its accuracy.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from slantgan_jax import distributions
from slantgan_jax.analysis import _small_linalg, quadrature
from slantgan_jax.checks import check_count, shown
from slantgan_jax.networks import Generator
from slantgan_jax.types import Image

MIN_CELLS = 64
"""The number of equal cells that the latent interval is cut into at first."""

SPLIT = 8
"""The number of parts that a cell is cut into where atoms compete for it."""

TEMPERATURE_FACTOR = 4
"""The factor by which the temperature sinks from round to round; below `SPLIT`, so that the cells stay ahead of it."""

CELL_NODES = 6
"""Gauss-Legendre nodes in a cell."""

MAX_NEWTON_STEPS = 300
"""The largest number of Newton steps at one temperature. 6 are usual."""


class Transport(NamedTuple):
    """The numbers of an optimal plan.

    Attributes:
      cost: Σ_j ∫ π_j c_j of the plan, a scalar in units of a pixel's value to the power `order`. The least cost lies
        between `cost` - `gap` and `cost`.
      gap: `cost` minus the dual value of `potentials`, plus the greatest cost times what the plan lacks of its
        masses, a scalar.
      potentials: ψ `[n]`, of mean 0.
    """

    cost: jax.Array
    gap: jax.Array
    potentials: jax.Array


class _Cells(NamedTuple):
    """Intervals that cover [0, 1], in no order, some of length 0, and the costs in them.

    `starts` and `widths` are `[cells]`, `costs` at the nodes `[cells, CELL_NODES, n]`, their `means` `[cells, n]`.
    """

    starts: jax.Array
    widths: jax.Array
    costs: jax.Array
    means: jax.Array


def wasserstein(generator: Generator, images: Image, order: int, rounds: int | None = None) -> jax.Array:
    """The Wasserstein distance of order p from the generated to the data's distribution, in units of a pixel's value.

        W_p = (min over plans Σ_j ∫ π_j(z) |G(z) - y_j|^p dz)^(1/p)

    A scalar ≥ 0; `order` p is 1 or 2. See `solve` for `rounds`. First derivatives are exact, except where the distance
    is 0. Source: Mérigot & Thibert 2020 (arXiv:2003.00855), section 2.

    Raises:
      ValueError: another order, or images that do not fit the generator.
    """
    return solve(generator, images, order, rounds).cost ** (1 / order)


def solve(generator: Generator, images: Image, order: int, rounds: int | None = None) -> Transport:
    """The `Transport` of the generated onto the data's distribution with the least cost, for |G(z) - y|^`order`.

    See docs/theory/distances.md#wasserstein-distances for its accuracy. Under `vmap` all generators wait for the
    slowest.

    Args:
      generator, images: the two distributions.
      order: 1 or 2.
      rounds: how often cells are cut; by default 17 in float64 and 7 in float32. Fewer are faster and less exact.

    Returns:
      The plan's numbers. Only `cost` has meaningful derivatives: first derivatives by parameters and images, with the
      plan held constant, which is exact where the optimal plan is unique.

    Raises:
      ValueError: another order, or images that do not fit the generator.
    """
    if order not in (1, 2):
        raise ValueError(f"order is {shown(order)}: give 1 or 2")
    generator = quadrature.as_arrays(generator)
    images = quadrature.images_as_array(generator, images)
    if rounds is None:  # down to 6e-12 of the greatest cost in float64, 1e-5 in float32
        rounds = 17 if images.dtype == jnp.float64 else 7
    rounds = check_count("rounds", rounds)
    frozen = lax.stop_gradient((generator, images))
    points = [jnp.linspace(0, 1, MIN_CELLS + 1, dtype=images.dtype)]
    if order == 1:
        points.append(quadrature.kink_edges(quadrature.nearest_latents(*frozen)))
    edges = quadrature.panel_edges(frozen[0], *points)
    first = _cells(*frozen, order, edges[:-1], jnp.diff(edges))
    chosen = 2 * len(images)
    cells = jax.tree.map(lambda a: jnp.pad(a, [(0, rounds * chosen * SPLIT)] + [(0, 0)] * (a.ndim - 1)), first)
    greatest = jnp.max(first.means)
    temperature = 0.1 * jnp.where(greatest > 0, greatest, 1)
    refine = partial(_refine, *frozen, order, len(first.widths), chosen)
    start = cells, jnp.zeros_like(images[:, 0]), temperature
    cells, potentials, temperature = lax.fori_loop(0, rounds, refine, start)

    potentials, plan, error = _potentials(cells, potentials, temperature)
    cost = jnp.sum(plan * _cells(generator, images, order, cells.starts, cells.widths).means)
    dual = jnp.mean(potentials) + cells.widths @ _mean(jnp.min(_reduced_costs(potentials, cells.costs), axis=-1))
    return Transport(cost, cost - dual + error * greatest, potentials - jnp.mean(potentials))


def _refine(generator, images, order, count, chosen, index, state):
    """One round: the potentials at this temperature, cells cut where one plan is not exact, a lower temperature."""
    cells, potentials, temperature = state
    potentials, _, _ = _potentials(cells, potentials, temperature)
    # What is lost by giving a cell one plan: the soft minimum of means less the mean of soft minima, never negative.
    mean_cost, cost = (
        -temperature * jax.nn.logsumexp(-_reduced_costs(potentials, costs) / temperature, axis=-1)
        for costs in (cells.means, cells.costs)
    )
    _, worst = lax.top_k(cells.widths * (mean_cost - _mean(cost)), chosen)
    widths = jnp.repeat(cells.widths[worst] / SPLIT, SPLIT)
    starts = jnp.repeat(cells.starts[worst], SPLIT) + widths * jnp.tile(jnp.arange(SPLIT, dtype=widths.dtype), chosen)
    parts = _cells(generator, images, order, starts, widths)
    cells = cells._replace(widths=cells.widths.at[worst].set(0))
    place = count + index * chosen * SPLIT
    cells = jax.tree.map(lambda old, new: lax.dynamic_update_slice_in_dim(old, new, place, 0), cells, parts)
    return cells, potentials, temperature / TEMPERATURE_FACTOR


def _potentials(cells, potentials, temperature):
    """The ψ `[n]` of the transport of cells onto atoms that is softened by `temperature` times the plan's entropy.

    It maximizes (1/n) Σ_j ψ_j - temperature Σ_cells width ln Σ_j exp((ψ_j - mean c_j) / temperature), by damped Newton
    steps (Sun & Tran-Dinh 2019, arXiv:1703.04599). Returns ψ, the plan `[cells, n]` in masses, and the sum of what the
    atoms lack of their masses.
    """
    # In units of the temperature and relative to the cell's best atom, so that even ties are resolved to rounding.
    excess = _reduced_costs(potentials, cells.means)
    excess = (excess - jnp.min(excess, axis=1, keepdims=True)) / temperature
    tolerance = 500 * jnp.finfo(excess.dtype).eps
    start = 0, jnp.zeros_like(potentials), jnp.asarray(jnp.inf, excess.dtype)
    step = partial(_newton, excess, cells.widths)
    _, shift, _ = lax.while_loop(lambda state: (state[0] < MAX_NEWTON_STEPS) & (state[2] > tolerance), step, start)
    plan = cells.widths[:, None] * jax.nn.softmax(-_reduced_costs(shift, excess), axis=1)
    return potentials + temperature * shift, plan, jnp.sum(jnp.abs(1 / len(potentials) - jnp.sum(plan, axis=0)))


def _newton(excess, widths, state):
    """One step of `_potentials`. The state: its number, ψ in units of the temperature, what the atoms lacked before."""
    index, shift, _ = state
    shares = jax.nn.softmax(-_reduced_costs(shift, excess), axis=1)
    plan = widths[:, None] * shares
    count = len(shift)
    missing = 1 / count - jnp.sum(plan, axis=0)
    # A Laplacian, its diagonal summed without cancellation; the ones take away its null vector, the same shift of all.
    coupling = (shares.T @ plan) * (1 - jnp.eye(count, dtype=plan.dtype))
    floor = 50 * jnp.finfo(plan.dtype).eps
    hessian = jnp.diag(jnp.sum(coupling, axis=1) + floor) - coupling + 1 / count
    direction = _small_linalg.solve_posdef(hessian, missing)
    spread = jnp.ptp(direction)
    damped = jnp.where(spread > 0, jnp.log1p(spread) / jnp.where(spread > 0, spread, 1), 1)
    return index + 1, shift + damped * direction, jnp.sum(jnp.abs(missing))


def _cells(generator, images, order, starts, widths):
    latents = starts[:, None] + widths[:, None] * distributions.uniform_quadrature(CELL_NODES)[0][None]
    costs = quadrature.pairwise_distances(quadrature.images_at(generator, latents), images) ** order
    return _Cells(starts, widths, costs, _mean(costs))


def _mean(values):
    """The mean over each cell of values at its nodes, axis 1."""
    return jnp.tensordot(values, distributions.uniform_quadrature(CELL_NODES)[1], (1, 0))


def _reduced_costs(potentials, costs):
    """c_j - ψ_j, for costs `[..., n]`."""
    return costs - jnp.broadcast_to(potentials, costs.shape)
