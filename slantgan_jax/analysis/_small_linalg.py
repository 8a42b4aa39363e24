"""Small dense linear algebra in plain array operations, without the LAPACK that `jnp.linalg` calls on a CPU.

Why. The library's batched LAPACK calls (jaxlib 0.10: `ParallelBatchMap` in its CPU kernels) hand the matrices of a
batch to the pool of threads that also runs the devices, and wait. With as many devices as threads, which is what
`devices.use_every_core` makes, every thread may come to wait in such a call, and none is left to do the work: a `sweep`
whose run called `jnp.linalg.svd` stood still, and so said the stacks of its threads. A metric of a run must not.
"""

import jax
import jax.numpy as jnp
from jax import lax

SWEEPS = 12
"""Of Jacobi's rotations, in which all pairs of columns are turned once; 6 do, as the last ones square what is left."""


def solve(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """x with `matrix` x = `vector`, for a symmetric positive definite matrix `[n, n]`: `[n]`.

    Gauss's elimination without pivots, which is as exact as with them for such matrices. n is unrolled, so meant to be
    small: 5 parameters, or a few images. A matrix that is singular to rounding gives numbers of no meaning.
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

        ‖A Bᵀ‖* = tr Wᵀ A Bᵀ,   W = L (U Z)ᵀ   with B V = U S,  A V S Z = L R,  U and L of orthonormal columns

    V and Z by Jacobi's rotations (`orthogonalized`). As W is the derivative of the norm by A Bᵀ, the trace with W held
    has the right value and first derivatives; where a singular value is 0 the norm has a kink, and they say nothing.
    Absolute error: some rounding units of the largest singular value.
    """
    a, b = lax.stop_gradient((one, other))
    columns, rotation = orthogonalized(b)
    size = jnp.sqrt(jnp.sum(columns**2, axis=0))
    left, turn = orthogonalized(a @ (rotation * size[None]))
    w = _normalized(left) @ (_normalized(columns) @ turn).T
    return jnp.sum((w.T @ one) * other)


def orthogonalized(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`matrix` V with orthogonal columns, `[m, p]`, and V itself, orthogonal, `[p, p]`, by one-sided Jacobi rotations.

    Hestenes 1958 (J. SIAM 6, 51). The columns' lengths are the singular values, in no order. A round of a sweep turns
    p/2 pairs at once; between rounds all columns but the first move on, as in a tournament in which all meet all.
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
    """The same columns of length 1, those of length 0 as they are."""
    squares = jnp.sum(columns**2, axis=0)
    return columns / jnp.sqrt(jnp.where(squares == 0, 1, squares))[None]
