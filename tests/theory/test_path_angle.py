import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slantgan_jax import Players, games
from slantgan_jax.analysis import path_angle, spectra
from slantgan_jax.analysis.path_angle import SHARES

SOURCE = Players(jnp.asarray(3.0), jnp.asarray(4.0))


def of_quadratic(angle, start, end, shares=SHARES):
    field = spectra.expected_field(games.quadratic(angle))
    return jax.jit(lambda start, end: path_angle.path_angle(field, start, end, shares))(start, end)


def closed_form(angle, start, end, shares):
    """ξ turns a place ω = p + s u by -φ, with u along the line, and p on it and nearest to 0.

    So ⟨ξ, u⟩ = s cos φ + ⟨(p_y, -p_x), u⟩ sin φ, and ‖ξ‖ = ‖ω‖.
    """
    start, end = np.array(start), np.array(end)
    u = (end - start) / np.linalg.norm(end - start)
    places = start + np.outer(shares, end - start)
    s, p = places @ u, start - (start @ u) * u
    norms = np.hypot(s, np.linalg.norm(p))
    return (s * math.cos(angle) + (p[1] * u[0] - p[0] * u[1]) * math.sin(angle)) / norms, norms


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5])
def test_the_angle_in_quadratic_games_is_the_closed_form(x64, angle):
    start, end = (3.0, 4.0), (-0.2, 0.5)
    found = of_quadratic(angle, *(Players(*map(jnp.asarray, place)) for place in (start, end)))
    cosines, norms = closed_form(angle, start, end, SHARES)
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-14)  # rounding, over norms of at least 0.5
    np.testing.assert_allclose(found.norms, norms, rtol=1e-14)


def test_attraction_is_a_jump_of_the_sign(x64):
    found = of_quadratic(0.0, SOURCE, Players(jnp.asarray(0.0), jnp.asarray(0.0)))
    np.testing.assert_allclose(found.cosines, np.sign(SHARES - 1), atol=1e-13)
    np.testing.assert_allclose(found.norms, 5 * np.abs(1 - SHARES), atol=1e-14)


def test_rotation_is_a_bump_of_one_sign(x64):
    """The line ends a distance 1 beside the point around which the field rotates: d / √(d² + s²) with s the rest."""
    start, end = Players(jnp.asarray(5.0), jnp.asarray(1.0)), Players(jnp.asarray(0.0), jnp.asarray(1.0))
    found = of_quadratic(math.pi / 2, start, end)
    np.testing.assert_allclose(found.cosines, -1 / np.hypot(1, 5 * (1 - SHARES)), atol=1e-14)
    assert SHARES[np.argmax(np.abs(found.cosines))] == pytest.approx(1, abs=np.diff(SHARES)[0])


@pytest.mark.slow
def test_the_angle_where_it_does_not_exist_is_nan(x64):
    still = path_angle.path_angle(spectra.expected_field(games.quadratic(0.3)), SOURCE, SOURCE, [0.0, 0.5])
    np.testing.assert_allclose(still.norms, 5, rtol=1e-15)
    assert np.isnan(still.cosines).all()
    at_rest = of_quadratic(0.3, SOURCE, Players(jnp.asarray(0.0), jnp.asarray(0.0)), np.array([0.5, 1.0]))
    np.testing.assert_array_equal(np.isnan(at_rest.cosines), [False, True])
    assert at_rest.norms[1] == 0


def test_any_field_of_any_players_is_measured_and_many_lines_at_once():
    """A pull to one place, for three players with leaves of several shapes, in float32."""
    rng = np.random.default_rng(0)
    target = tuple({"a": rng.normal(size=(2, 3)), "b": rng.normal()} for _ in range(3))
    starts = jax.tree.map(lambda x: x + rng.normal(size=(4, *np.shape(x))), target)

    def field(players):
        return jax.tree.map(lambda x, y: 2 * (x - y), players, target)

    measure = jax.jit(jax.vmap(lambda start: path_angle.path_angle(field, start, target, np.array([0.0, 0.9, 1.5]))))
    many = measure(starts)
    np.testing.assert_allclose(many.cosines, np.tile([-1, -1, 1], (4, 1)), rtol=1e-5)  # float32, sums of 21 numbers
    assert many.norms.dtype == jnp.float32
    with pytest.raises(ValueError, match="structure"):
        path_angle.path_angle(field, target[:2], target)


def test_a_small_field_has_an_angle_too():
    """In float32 the square of 1e-25 is 0."""
    start, end = Players(0.0, 0.0), Players(1.0, 1.0)
    found = path_angle.path_angle(lambda players: Players(*(1e-25 * jnp.ones_like(x) for x in players)), start, end)
    np.testing.assert_allclose(found.cosines, 1, rtol=1e-6)
    np.testing.assert_allclose(found.norms, np.sqrt(2) * 1e-25, rtol=1e-6)
