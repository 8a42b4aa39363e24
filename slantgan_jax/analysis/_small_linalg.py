"""Small dense linear algebra in plain array operations, in the place of the LAPACK that `jnp.linalg` calls on a CPU.

A metric is meant to be mapped with `jax.vmap`, under which LAPACK can stand still: see
docs/sweeps.md#what-a-run-may-contain.

When to remove this: as soon as the package requires jax >= 0.11.2 and Python >= 3.12, replace `solve_posdef` by
`jnp.linalg.solve`, `nuclear_norm_of_product` by the sum of `jnp.linalg.svd(a @ b.T, compute_uv=False)`, and
`lyapunov.orthonormalized` by `jnp.linalg.qr`. If the tests still pass, delete this module.
"""

import jax
import jax.numpy as jnp
from jax import lax

SWEEPS = 12
"""Sweeps of Jacobi's rotations, each of which turns all pairs of columns once; 6 are enough."""


def solve_posdef(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """The x `[n]` with `matrix` x = `vector`, for a symmetric positive definite matrix `[n, n]`.

    Gauss's elimination without pivots, which is as exact as with pivots for such matrices. The loop over n is unrolled,
    so n is meant to be small. A singular matrix gives numbers without meaning.
    """
    count = len(vector)
    rows = jnp.concatenate([matrix, vector[:, None]], axis=1)
    for k in range(count):
        below = jnp.arange(count) > k
        factors = jnp.where(below, rows[:, k] / rows[k, k], 0)
        rows = rows - factors[:, None] * rows[k][None]
    x = jnp.zeros_like(vector)
    for k in reversed(range(count)):
        x = x.at[k].set((rows[k, count] - rows[k, :count] @ x) / rows[k, k])
    return x


def nuclear_norm_of_product(one: jax.Array, other: jax.Array) -> jax.Array:
    """The sum of the singular values of `one` `[m, p]` times `other`ᵀ `[p, n]`, a scalar; meant for small p.

        ‖A Bᵀ‖* = tr Wᵀ A Bᵀ,   W = L (U Z)ᵀ   with B V = U S,  A V S Z = L R,  U and L with orthonormal columns

    V and Z are rotations of `one_sided_jacobi`. W, the derivative of the norm by A Bᵀ, is held constant. So the value
    and the first derivatives are right, except at a singular value of 0, where the norm has a kink.
    """
    a, b = lax.stop_gradient((one, other))
    columns, rotation = one_sided_jacobi(b)
    size = jnp.sqrt(jnp.sum(columns**2, axis=0))
    left, turn = one_sided_jacobi(a @ (rotation * size[None]))
    w = _normalized(left) @ (_normalized(columns) @ turn).T
    return jnp.sum((w.T @ one) * other)


def one_sided_jacobi(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`matrix` V with orthogonal columns, `[m, p]`, and the orthogonal V itself, `[p, p]`.

    The lengths of the columns are the singular values, in no order. Source: Hestenes 1958 (J. SIAM 6, 51). Each round
    of a sweep turns p/2 pairs at once. Between rounds all columns but the first move on, as in a tournament.
    """
    rows, count = matrix.shape
    even = count + count % 2
    start = jnp.pad(jnp.concatenate([matrix, jnp.eye(count, dtype=matrix.dtype)]).T, ((0, even - count), (0, 0)))

    def turn(_, lines):
        a, b = lines[: even // 2], lines[even // 2 :][::-1]
        aa, bb, ab = (jnp.sum(x[:, :rows] * y[:, :rows], axis=1) for x, y in ((a, a), (b, b), (a, b)))
        cotangent = (bb - aa) / (2 * jnp.where(ab == 0, 1, ab))
        tangent = jnp.where(cotangent < 0, -1, 1) / (jnp.abs(cotangent) + jnp.sqrt(1 + cotangent**2))
        tangent = jnp.where(ab == 0, 0, tangent)[:, None]
        cosine = 1 / jnp.sqrt(1 + tangent**2)
        a, b = cosine * (a - tangent * b), cosine * (tangent * a + b)
        lines = jnp.concatenate([a, b[::-1]])
        return jnp.concatenate([lines[:1], jnp.roll(lines[1:], 1, axis=0)])

    lines = lax.fori_loop(0, SWEEPS * (even - 1), turn, start)[:count]
    return lines[:, :rows].T, lines[:, rows:].T


def _normalized(columns: jax.Array) -> jax.Array:
    """The same columns with length 1; columns of length 0 stay as they are."""
    squares = jnp.sum(columns**2, axis=0)
    return columns / jnp.sqrt(jnp.where(squares == 0, 1, squares))[None]
