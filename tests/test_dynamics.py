import jax
import numpy as np
import pytest

from slantgan_jax.analysis import dynamics

T = np.arange(1, 201) / 200  # the time of each record
TURN = np.exp(2j * np.pi * 9.3 * T)
NOISE = np.random.default_rng(0).normal(size=(200, 3)) * 0.05


def places(*complex_paths):
    return np.stack([part for path in complex_paths for part in (path.real, path.imag)], -1)


# For each course its verdict, the distances to equilibrium and the positions.
COURSES = {
    "spiral in": ("converged", 2 * np.exp(-9 * T), places(2 * np.exp(-9 * T) * TURN)),
    "along the surface of equilibria": ("converged", 1e-3 + 0 * T, places(1e-3 * TURN, 3 * T + 0j)),
    "slow spiral": ("approaching", np.exp(-2 * T), places(np.exp(-2 * T) * TURN)),
    "n^-1/2": ("approaching", (200 * T) ** -0.5, places((200 * T) ** -0.5 * TURN)),
    "just arrived": ("approaching", np.exp(-4.8 * T), places(np.exp(-4.8 * T) * TURN)),  # for 8 of 200 records
    "circle": ("circling", 1 + 0 * T, places(TURN)),
    "circle after a transient": ("circling", 1 + 40 * np.exp(-20 * T), places((1 + 40 * np.exp(-20 * T)) * TURN)),
    "two modes": ("circling", np.abs(TURN + TURN**1.4), places(TURN, TURN**1.4)),
    "flat ellipse, close at times": ("circling", np.hypot(TURN.real, TURN.imag / 500), places(TURN)),
    "spiral out": ("circling", np.exp(3 * T), places(np.exp(3 * T) * TURN)),
    "noise about a point": ("circling", 0.1 + np.abs(NOISE[:, 0]), NOISE),
    "rest elsewhere": ("resting", 0.3 + np.exp(-30 * T), places(0.3 + np.exp(-30 * T) * TURN)),
    "straight on": ("drifting", 1 + T, places(T + 0j)),
    "straight on, noisily": ("drifting", 1 + T, 3 * T[:, None] + NOISE),
    "circling while moving on": ("drifting", 1 + T, places(TURN / 10, 3 * T + 0j)),
    "less than a turn": ("drifting", 1 + 0 * T, places(np.exp(5j * T))),
    "too slow": ("drifting", np.exp(-0.3 * T), places(np.exp(-0.3 * T) + 0j)),
    "exploding": ("diverged", np.exp(30 * T), places(np.exp(30 * T) * TURN)),
    "not a number": ("diverged", np.where(T > 0.9, np.nan, 1), places(np.where(T > 0.9, np.nan, 1) * TURN)),
}


@pytest.fixture(scope="module")
def classify():
    return jax.jit(dynamics.classify)


@pytest.mark.parametrize("course", COURSES)
def test_a_run_is_told_by_its_course(course, classify):
    verdict, distances, positions = COURSES[course]
    assert dynamics.VERDICTS[classify(distances, positions)] == verdict
    assert dynamics.VERDICTS[classify(distances, positions, finite=np.array(False))] == "diverged"


def test_verdicts_map_over_runs_and_take_players_as_they_are_recorded(classify):
    known = [course for course in COURSES if COURSES[course][2].shape == (200, 2)]
    distances, positions = (np.stack([COURSES[course][i] for course in known]) for i in (1, 2))
    players = {"theta": positions[..., 0], "psi": (positions[..., 1:],)}
    found = jax.vmap(lambda d, p: dynamics.classify(d, p))(distances, players)
    assert [dynamics.VERDICTS[i] for i in found] == [COURSES[course][0] for course in known]


def test_distances_alone_cannot_tell_a_circle_from_rest(classify):
    assert dynamics.VERDICTS[classify(1 + 0 * T)] == "resting"
    assert dynamics.VERDICTS[classify(1 + 0.1 * TURN.real)] == "circling"
    assert dynamics.VERDICTS[classify(np.exp(-9 * T))] == "converged"


def test_settled_is_the_first_record_from_which_on_all_are_close():
    assert dynamics.settled(np.array([3, 0.1, 3, 0.2, 0.1]), 1) == 3
    assert dynamics.settled(np.array([0.1, 0.1]), 1) == 0
    assert dynamics.settled(np.array([0.1, 3]), 1) == 2
    assert dynamics.settled(np.array([0.1, np.nan]), 1) == 2


def test_too_few_or_unequal_records_are_refused():
    with pytest.raises(ValueError, match="19 distances"):
        dynamics.classify(np.ones(19))
    with pytest.raises(ValueError, match=r"30 distances and \[29\]"):
        dynamics.classify(np.ones(30), np.ones((29, 2)))
