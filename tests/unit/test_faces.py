import chex
import jax
import numpy as np
import pytest

from slantgan_jax import faces


def test_faces_are_the_tutorials_and_cannot_be_changed():
    chex.assert_shape(faces.FACES, (5, 4))
    np.testing.assert_allclose(faces.FACES.mean(0), [0.88, 0.12, 0.12, 0.88], rtol=1e-15)  # by hand; one rounding
    with pytest.raises(ValueError, match="read-only"):
        faces.FACES[0, 0] = 0.5


@pytest.mark.parametrize("side", [2, 3, 8])
def test_slanted_faces_have_the_documented_distribution(side):
    images = np.asarray(faces.slanted(jax.random.key(0), 4000, side)).reshape(-1, side, side)
    bright = np.eye(side, dtype=bool)
    assert 0.8 <= images[:, bright].min() <= images[:, bright].max() <= 1
    assert 0 <= images[:, ~bright].min() <= images[:, ~bright].max() <= 0.2
    # U(0, 0.2) has standard deviation 0.2/sqrt(12): five standard errors of a mean of 4000.
    tolerance = 5 * 0.2 / np.sqrt(12 * 4000)
    np.testing.assert_allclose(images.mean(0), np.where(bright, 0.9, 0.1), atol=tolerance)
    np.testing.assert_allclose(images.var(0), 0.2**2 / 12, rtol=0.1)  # its standard error is 1.4%


def test_noise_is_uniform():
    images = np.asarray(faces.noise(jax.random.key(1), 4000, 3))
    chex.assert_shape(images, (4000, 9))
    np.testing.assert_allclose(images.mean(0), 0.5, atol=5 / np.sqrt(12 * 4000))


def test_pixels_and_array_undo_each_other():
    images = np.asarray(faces.noise(jax.random.key(2), 7, 3))
    split = faces.unstack(images)
    assert len(split) == 9
    chex.assert_shape(split, (7,))
    np.testing.assert_array_equal(faces.stack(split), images)
    np.testing.assert_array_equal(faces.stack(images), images)
