import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slantgan_jax.analysis import _small_linalg


def test_solve_is_numpys_for_positive_definite_matrices_of_any_condition(x64):
    rng = np.random.default_rng(0)
    for condition in (1.0, 1e4, 1e8):
        roots = rng.normal(size=(20, 5, 5)) * np.geomspace(1, condition**-0.5, 5)
        matrices = roots @ roots.transpose(0, 2, 1)
        vectors = rng.normal(size=(20, 5))
        found = jax.jit(jax.vmap(_small_linalg.solve_posdef))(matrices, vectors)
        for matrix, vector, x in zip(matrices, vectors, np.asarray(found), strict=True):
            # Backward stable, as every elimination of a positive definite matrix: a few n ε of the sizes that enter.
            assert np.abs(matrix @ x - vector).max() < 1e-14 * np.linalg.norm(matrix) * np.linalg.norm(x)


@pytest.mark.parametrize("shapes", [(5, 740, 4), (3, 50, 5), (2, 7, 1)])
def test_nuclear_norms_and_their_derivatives_are_those_of_the_singular_values(x64, shapes):
    m, n, p = shapes
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(m, p)), rng.normal(size=(n, p))
    other[:, -1] *= 1e-6  # nearly singular
    value, slopes = jax.jit(jax.value_and_grad(_small_linalg.nuclear_norm_of_product, argnums=(0, 1)))(one, other)
    u, s, vt = np.linalg.svd(one @ other.T, full_matrices=False)
    rank = min(m, n, p)
    polar = u[:, :rank] @ vt[:rank]
    np.testing.assert_allclose(value, s.sum(), rtol=1e-14)  # rounding
    np.testing.assert_allclose(slopes[0], polar @ other, atol=1e-8 * s[0])  # W turns by ε over the least singular value
    np.testing.assert_allclose(slopes[1], polar.T @ one, atol=1e-8 * s[0])


def test_columns_are_orthogonal_and_singular_matrices_no_exception(x64):
    rng = np.random.default_rng(2)
    for matrix in (rng.normal(size=(9, 6)), np.ones((4, 3)), np.zeros((3, 4)), rng.normal(size=(2, 5))):
        columns, rotation = (np.asarray(a) for a in jax.jit(_small_linalg.one_sided_jacobi)(jnp.asarray(matrix)))
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(matrix.shape[1]), atol=1e-14)
        np.testing.assert_allclose(matrix @ rotation, columns, atol=1e-14)
        gram = columns.T @ columns
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-13)
        lengths = np.sort(np.sqrt(np.diag(gram)))[::-1][: min(matrix.shape)]
        np.testing.assert_allclose(lengths, np.linalg.svd(matrix, compute_uv=False), atol=1e-14)
