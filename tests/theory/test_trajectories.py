import jax
import numpy as np
import optax
import pytest
from closed_forms.bilinear import perturbed_energy

from slantgan_jax import Players, games, rules, train
from slantgan_jax.analysis import trajectories
from slantgan_jax.analysis.trajectories import Verdict

T = np.arange(1, 201) / 200  # the time of each record
TURN = np.exp(2j * np.pi * 9.3 * T)
NOISE = np.random.default_rng(0).normal(size=(200, 4)) * 0.05


def places(one, other=0):
    """Four coordinates `[200, 4]`, of two complex paths."""
    return np.stack([part * (1 + 0 * T) for path in (one, other) for part in (np.real(path), np.imag(path))], -1)


# For each course its verdict, the distances to equilibrium and the positions.
COURSES = {
    "spiral in": ("converged", 2 * np.exp(-9 * T), places(2 * np.exp(-9 * T) * TURN)),
    "along the surface of equilibria": ("converged", 1e-3 + 0 * T, places(1e-3 * TURN, 3 * T)),
    "slow spiral": ("converging", np.exp(-2 * T), places(np.exp(-2 * T) * TURN)),
    "n^-1/2": ("sublinear", (200 * T) ** -0.5, places((200 * T) ** -0.5 * TURN)),
    "just arrived": ("converging", np.exp(-4.8 * T), places(np.exp(-4.8 * T) * TURN)),  # for 8 of 200 records
    "circle": ("oscillating", 1 + 0 * T, places(TURN)),
    "circle after a transient": ("oscillating", 1 + 40 * np.exp(-20 * T), places((1 + 40 * np.exp(-20 * T)) * TURN)),
    "two modes": ("oscillating", np.abs(TURN + TURN**1.4), places(TURN, TURN**1.4)),
    "flat ellipse, close at times": ("oscillating", np.hypot(TURN.real, TURN.imag / 500), places(TURN)),
    "spiral out": ("spiraling out", np.exp(3 * T), places(np.exp(3 * T) * TURN)),
    "spiral out, slowly": ("spiraling out", np.exp(0.1 * T), places(np.exp(0.1 * T) * TURN)),  # by 2.5 % a quarter
    "spiral in, too slowly": ("oscillating", np.exp(-0.3 * T), places(np.exp(-0.3 * T) * TURN)),
    "noise about a point": ("oscillating", 0.1 + np.abs(NOISE[:, 0]), NOISE),
    "rest elsewhere": ("stalled", 0.3 + np.exp(-30 * T), places(0.3 + np.exp(-30 * T) * TURN)),
    "straight on": ("drifting", 1 + T, places(T)),
    "straight on, noisily": ("drifting", 1 + T, places(3 * T) + NOISE),
    "circling while moving on": ("drifting", 1 + T, places(TURN / 10, 3 * T)),
    "less than a turn": ("drifting", 1 + 0 * T, places(np.exp(5j * T))),
    "too slow": ("drifting", np.exp(-0.3 * T), places(np.exp(-0.3 * T))),
    "exploding": ("diverged", np.exp(30 * T), places(np.exp(30 * T) * TURN)),
    "not a number": ("diverged", np.where(T > 0.9, np.nan, 1), places(np.where(T > 0.9, np.nan, 1) * TURN)),
}


def name_of(verdict):
    return Verdict(int(verdict)).name.lower().replace("_", " ")


classify = jax.jit(trajectories.classify)


@pytest.mark.parametrize("course", COURSES)
def test_a_verdict_is_that_of_the_course(course):
    verdict, distances, positions = COURSES[course]
    assert name_of(classify(distances, positions, np.array(True))) == verdict
    assert name_of(classify(distances, positions, np.array(False))) == "diverged"


def test_verdicts_map_over_runs_and_take_players_as_they_are_recorded():
    distances, positions = (np.stack([COURSES[course][i] for course in COURSES]) for i in (1, 2))
    players = {"theta": positions[..., 0], "psi": (positions[..., 1:],)}
    found = jax.jit(jax.vmap(lambda d, p: trajectories.classify(d, p)))(distances, players)
    assert [name_of(verdict) for verdict in found] == [verdict for verdict, *_ in COURSES.values()]


def test_distances_alone_do_not_distinguish_a_circle_from_rest():
    assert name_of(classify(1 + 0 * T, None)) == "stalled"
    assert name_of(classify(1 + 0.1 * TURN.real, None)) == "oscillating"
    assert name_of(classify(np.exp(-9 * T), None)) == "converged"


def test_the_first_settled_record_is_that_from_which_on_all_are_close():
    assert trajectories.first_settled_record(np.array([3, 0.1, 3, 0.2, 0.1]), 1) == 3
    assert trajectories.first_settled_record(np.array([0.1, 0.1]), 1) == 0
    assert trajectories.first_settled_record(np.array([0.1, 3]), 1) == 2
    assert trajectories.first_settled_record(np.array([0.1, np.nan]), 1) == 2


@pytest.mark.slow
def test_how_many_records_have_to_be_settled_is_the_callers_choice():
    """The distance is below 0.01 in the last 10 of 50 records: a fifth, but not in 11."""
    distances = np.where(np.arange(50) < 40, 0.02, 0.005)
    found = jax.jit(lambda: [trajectories.classify(distances, settled_records=count) for count in (10, 11)])()
    assert [Verdict(int(verdict)) for verdict in found] == [Verdict.CONVERGED, Verdict.DRIFTING]


def test_exponents_of_a_power_law_are_alike_and_those_of_an_exponential_double():
    times = np.arange(1, 1001)
    np.testing.assert_allclose(trajectories.power_law_exponents(times**-0.5), [-0.5, -0.5], rtol=1e-5)  # float32
    np.testing.assert_allclose(trajectories.power_law_exponents(1e9 / times), [-1, -1], rtol=1e-5)  # of any unit
    early, late = trajectories.power_law_exponents(np.exp(-0.01 * times))
    np.testing.assert_allclose(late / early, 2, rtol=0.01)  # the parts are as 1 : 2 in time, sums for integrals


RATE = 0.1  # of `circling`
orbit_statistics = jax.jit(jax.vmap(trajectories.orbit_statistics))


@pytest.mark.slow
def test_the_dirac_gan_has_a_limit_cycle_of_radius_root_two_eta(circling, x64):
    orbits = orbit_statistics(jax.tree.map(lambda x: x[:, -3000:], circling(np.array([0.2, 1.5]))))
    assert trajectories.same_cycle(orbits)
    for cycle in (jax.tree.map(lambda x, i=i: x[i], orbits) for i in range(2)):
        np.testing.assert_allclose(cycle.radius, np.sqrt(2 * RATE), rtol=RATE / 20)  # averaging errs by O(η)
        assert cycle.outer / cycle.inner < 1 + RATE / 2
        # A turn is 2π / (η √κ) steps, κ = 1/4; slopes of the logistic fall by r²/24 on the way, 1 %.
        np.testing.assert_allclose(cycle.period, 4 * np.pi / RATE, rtol=0.02)
        assert abs(cycle.growth) < 1e-5  # arrived: exp(-0.0025 · 17000); what is left is where the turns are cut
        assert cycle.turns in (22, 23)


@pytest.mark.slow
def test_orbits_about_a_center_are_not_one_cycle_and_keep_their_energy(x64):
    rule = rules.alternating(optax.sgd(0.5))

    def run(start):
        players, key = Players(start, 0 * start), jax.random.key(0)
        return train(key, games.bilinear(), rule, 2000, players=players, record=lambda info: info.players).history

    starts = np.array([0.5, 1.0])
    paths = jax.jit(jax.vmap(run))(starts)
    orbits = orbit_statistics(paths)
    assert not trajectories.same_cycle(orbits)
    np.testing.assert_allclose(orbits.radius[1], 2 * orbits.radius[0], rtol=1e-12)  # a linear map
    # The multipliers' angle has cos φ = 1 - η²/2. Crossings are interpolated: 2e-4 of a turn of 12 steps.
    np.testing.assert_allclose(orbits.period[0], 2 * np.pi / np.arccos(1 - 0.125), rtol=2e-4)
    kept, other_energy = (
        np.asarray(perturbed_energy(paths, 0.5, discriminator_first=first)) for first in (True, False)
    )
    np.testing.assert_allclose(kept, (starts**2)[:, None].repeat(2000, 1), rtol=1e-13)  # a rounding of 1e-16 a step
    assert np.ptp(other_energy) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("power", [-74, 66])
def test_an_orbit_may_be_as_small_or_as_large_as_numbers_are(power):
    """Squares of 5e-23 and of 7e19 are no normal numbers of float32."""
    path = np.asarray(places(np.exp(0.1 * T) * TURN), np.float32)
    scale = np.float32(2.0**power)
    usual, found = (orbit_statistics(np.stack([part] * 2)) for part in (path, scale * path))
    for name, factor in (("radius", scale), ("inner", scale), ("outer", scale), ("growth", 1), ("period", 1)):
        np.testing.assert_array_equal(getattr(found, name), factor * getattr(usual, name))
    assert trajectories.changes_of_side(scale * path) == trajectories.changes_of_side(path)


@pytest.mark.slow
@pytest.mark.parametrize(("records", "turns"), [(125, 2), (600, 11), (700, 13)])
def test_an_orbit_that_repeats_itself_does_not_grow_however_many_turns_there_are(x64, records, turns):
    """Its distance from the center swings within a turn of 50.37 records, and the records begin anywhere in it."""
    angles = 2 * np.pi * np.arange(records)[None] / 50.37 + np.array([0, 2.5])[:, None]
    path = np.stack([np.cos(angles) + 0.3 * np.cos(2 * angles + 1), np.sin(angles) + 0.3 * np.sin(2 * angles)], -1)
    spiral = path * np.exp(0.01 * np.arange(records) / 50.37)[:, None]
    orbits, spirals = orbit_statistics(path), orbit_statistics(spiral)
    np.testing.assert_array_equal(orbits.turns, turns)
    np.testing.assert_allclose(orbits.growth, 0, atol=1e-5)  # squares are integrated along a line, by (1/50)²
    np.testing.assert_allclose(spirals.growth, 0.01, rtol=0.05)  # the center of a spiral moves
    assert trajectories.same_cycle(orbits)
    assert not trajectories.same_cycle(spirals)


@pytest.mark.slow
def test_a_single_turn_has_no_growth_and_shows_no_cycle():
    orbits = orbit_statistics(np.stack([places(np.exp(14j * T))] * 2))
    assert (orbits.turns == 1).all()
    np.testing.assert_allclose(orbits.radius, 1, rtol=0.01)  # the turn is cut between records
    assert np.isnan(orbits.growth).all()
    assert not trajectories.same_cycle(orbits)


def test_less_than_a_turn_has_no_statistics():
    found = orbit_statistics(np.stack([places(np.exp(6j * T))] * 2))
    assert np.isnan(found.radius).all()
    assert (found.turns == 0).all()
