"""Spectra without the matrix: the leading eigenvalues of a flow or of a rule's step, for players of any size.

`spectra` makes the whole Jacobian. These functions only multiply it by vectors, `jax.jvp`, in the restarted Arnoldi
method of ARPACK (Lehoucq, Sorensen & Yang 1998, ARPACK Users' Guide), which scipy has. They run on the host, and
cannot be jitted or vmapped. Each call compiles its products anew. They raise `ValueError` outside of the scope of
`jax.enable_x64`.

Draws that cannot be integrated are replaced by one large sample, see `games.on_sample`.
docs/theory/stability.md#spectra-without-the-matrix says what converges, and what may be overlooked.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from slantgan_jax.analysis import spectra
from slantgan_jax.analysis.update_maps import Over, check_precision, update_map
from slantgan_jax.checks import check_count
from slantgan_jax.fields import Field
from slantgan_jax.games import Game
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Rule

BASIS = 40
"""The least number of vectors of the Krylov basis: twice ARPACK's usual 20 needs fewer products on networks."""

RANKS = {
    "LM": lambda values: -np.abs(values),
    "LR": lambda values: -values.real,
    "SR": lambda values: values.real,
    "LI": lambda values: -np.abs(values.imag),
}
"""What `which` may be, and the number that is smallest for the first eigenvalue: scipy's names."""


class Leading(NamedTuple):
    """Some eigenvalues, and how well each is one.

    Attributes:
      eigenvalues: `[count]`, complex, in the order of `which`; of a conjugate pair first the one with the positive
        imaginary part. NaN for those that did not converge, and for all if a product is not finite or if the field or
        the step jumps at the players.
      residuals: `[count]`, ‖A v - λ v‖ of the eigenvector v with ‖v‖ = 1. For a normal matrix it bounds the error of
        the eigenvalue; for others, to first order, this times the eigenvalue's condition number does.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray


def flow_eigenvalues(
    field: Field, players: Any, count: int = 6, which: str = "LR", *, basis: int | None = None, restarts: int = 300
) -> Leading:
    """The `count` leading eigenvalues of -J of a `field`, the modes of the flow ω' = -ξ(ω), as `Leading`.

    Args:
      field: the field ξ, for instance `spectra.expected_field(games.on_sample(game, sample))`.
      players: the point of linearization. Eigenvalues are meaningful only at an equilibrium.
      count: how many.
      which: "LR" for the largest real part, "SR" for the smallest, "LM" for the largest modulus, "LI" for the largest
        imaginary part. Modes that grow are found by "LR". It is slow, or fails, if many modes hardly decay.
      basis: the number of vectors of `players`' size in memory; by default 40, or 2 `count` + 3 if that is more. A
        larger one converges with fewer products, and overlooks less. Up to this size the whole Jacobian is made.
      restarts: the largest number of times that the basis is built anew, each time with at most `basis` products.

    Raises:
      ValueError: outside of float64, another `which`, or numbers that do not fit.
    """
    check_precision()
    flat, unravel = ravel_pytree(jax.tree.map(as_float, players))
    return _leading(lambda x: -ravel_pytree(field(unravel(x)))[0], flat, count, which, basis, restarts)


def update_eigenvalues(
    rule: Rule,
    game: Game,
    players: Any,
    steps: int = 1,
    over: Over = None,
    count: int = 6,
    which: str = "LM",
    *,
    basis: int | None = None,
    restarts: int = 300,
) -> Leading:
    """The `count` leading eigenvalues of `spectra.update_jacobian(rule, game, players, steps, over)`, as `Leading`.

    Args:
      rule, game, players, steps, over: as in `spectra.update_jacobian`; for instance `games.on_sample(game, sample)`.
      count, which, basis, restarts: as in `flow_eigenvalues`. The modes that decay slowest, or grow, are those of "LM".

    Raises:
      ValueError: as `flow_eigenvalues`, and what `games.expected` refuses.
    """
    update, flat, _ = update_map(rule, game, players, steps, over)
    return _leading(update, flat, count, which, basis, restarts)


def _leading(
    function: Callable[[jax.Array], jax.Array],
    place: jax.Array,
    count: int,
    which: str,
    basis: int | None,
    restarts: int,
) -> Leading:
    """The leading eigenvalues of the Jacobian A of a function of `[n]` numbers at a place, by products A v."""
    size = place.size
    if which not in RANKS:
        raise ValueError(f"which is {which!r}: give one of {', '.join(RANKS)}")
    count = check_count("count", count)
    if count > size:
        raise ValueError(f"count is {count}: there are {size} eigenvalues")
    basis = max(BASIS, 2 * count + 3) if basis is None else check_count("basis", basis, count + 3)
    restarts = check_count("restarts", restarts)
    function = jax.jit(function)  # traced once
    product = jax.jit(lambda vector: jax.jvp(function, (place,), (vector,))[1])
    found = Leading(np.full(count, np.nan, complex), np.full(count, np.nan))
    if spectra.jumps(lambda x: function(x) - x, place):  # as of a step; a field without its identity jumps as well
        return found
    values, vectors = _eigenpairs(product, size, count, which, basis, restarts)
    order = np.lexsort((-values.imag, RANKS[which](values)))[:count]
    for row, index in enumerate(order):
        vector = vectors[:, index] / np.linalg.norm(vectors[:, index])
        image = np.asarray(product(vector.real)) + 1j * np.asarray(product(vector.imag))
        found.eigenvalues[row] = values[index]
        found.residuals[row] = np.linalg.norm(image - values[index] * vector)
    return found


def _eigenpairs(
    product: Callable[[Any], jax.Array], size: int, count: int, which: str, basis: int, restarts: int
) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors, in no order: all of a small matrix, else those of `count` and one that converge.

    Of a pair at the end of `count` ARPACK keeps either one. One more eigenvalue makes the pair whole.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs  # a tenth of the time of all imports

    start = np.random.default_rng(0).normal(size=size)  # any will do; this one is the same for every call
    image = product(start)
    if not np.isfinite(image).all():  # neither LAPACK nor ARPACK has a defined answer then
        return np.zeros(0), np.zeros((size, 0))
    if not np.any(image):  # the matrix is 0, of which ARPACK makes nothing
        return np.zeros(count), np.eye(size, count)
    if size <= basis:
        return np.linalg.eig(np.stack([product(column) for column in np.eye(size)], axis=1))
    shape, matvec = (size, size), lambda v: np.asarray(product(v.ravel()))
    operator = LinearOperator(shape, matvec, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    try:
        pairs: Any = eigs(operator, count + 1, which=which, v0=start, ncv=basis, maxiter=restarts, rng=0)
        return pairs
    except ArpackNoConvergence as error:
        return error.eigenvalues, error.eigenvectors
