import json
import os
import subprocess
import sys
from pathlib import Path

import _two_numbers
import critical_penalty
import dirac_gan
import jax
import numpy as np
import optax
import pytest
from closed_forms.dirac import dirac

from slantgan_jax import Players, losses, penalties, rules
from slantgan_jax.training import DIVERGENCE_BOUND

SCRIPT = Path(dirac_gan.__file__)
RATE, STEPS = 0.1, 40_000
# One process, so that the script runs once.
pytestmark = [pytest.mark.xdist_group("dirac"), pytest.mark.slow]

# Mescheder, Geiger & Nowozin 2018 (arXiv:1801.04406): its table of local convergence where the data is not absolutely
# continuous, as the Dirac-GAN's, one row of it here for each of our ways to play it. The non-saturating loss, which is
# not in the table, converges in continuous time, but not linearly.
PAPER = {
    "minimax, simultaneous": "no",
    "minimax, alternating": "no",
    "non-saturating, alternating": "sublinearly",
    "WGAN, simultaneous": "no",
    "WGAN, alternating": "no",
    "WGAN, clipped": "no",
    "WGAN-GP": "no",
    "DRAGAN": "no",
    "instance noise": "yes",
    "consensus": "yes",
    "R1": "yes",
    "R1, alternating": "yes",
    "R2": "yes",
}
VERDICTS = {"linear": "yes", "sublinear": "sublinearly"}

# (real part, imaginary part) of the flow's eigenvalues, worked out by hand: κ = 1/4 with logistic losses, h' = -½ and
# g' = ½; 1 with WGAN; 1/2 with the KL-type generator, h' = -1; ς² (f'' + g'') = ½ with noise; γ = ½.
FLOWS = {
    "minimax, simultaneous": (0, 0.5),
    "WGAN, simultaneous": (0, 1),
    "KL-type": (0, np.sqrt(0.5)),
    "instance noise": (0.25, np.sqrt(3) / 4),
    "R1": (0.25, np.sqrt(3) / 4),
    "R2": (0.25, np.sqrt(3) / 4),
    "consensus": (0.125, 0.5),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The command as a user gives it; the flags that these tests set double the time that it takes to compile."""
    out = tmp_path_factory.mktemp("dirac_gan")
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    line = [sys.executable, SCRIPT, "--learning-rate", str(RATE), "--steps", str(STEPS), "--out", out]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert all("at work for" in line for line in done.stderr.splitlines())
    return json.loads((out / "data.json").read_text())["methods"]


def test_the_papers_table_comes_out(rows):
    found = {name: VERDICTS.get(rows[name]["run verdict"], "no") for name in PAPER}
    assert found == PAPER
    assert {name for name, row in rows.items() if row["group"] == "paper"} == {*PAPER, "non-saturating, simultaneous"}
    for name, converges in PAPER.items():
        for verdict in ("spectral verdict", "flow verdict"):
            assert (rows[name][verdict] == "attracts") == (converges == "yes"), name


def test_closed_forms_are_what_autodiff_finds(rows):
    without = {name for name, row in rows.items() if "flow" not in row}
    assert without == {"WGAN-GP", "DRAGAN"}
    for name in rows.keys() - without:
        for part in ("flow", "update"):
            # float64; no two of them merge, where an eigenvalue would lose half its digits. Measured: 3e-15.
            assert rows[name][part]["difference"] < 1e-12, (name, part)


@pytest.mark.parametrize("name", FLOWS)
def test_eigenvalues_worked_out_by_hand(rows, name):
    real, imaginary = FLOWS[name]
    expected = [[real, imaginary], [real, -imaginary]]
    np.testing.assert_allclose(sorted(rows[name]["flow"]["autodiff"], reverse=True), expected, atol=1e-12)  # rounding


def test_runs_do_what_the_spectrum_says(rows):
    assert [name for name, row in rows.items() if not row["agrees"]] == []
    for name, row in rows.items():
        if row["measured factor"] is not None:
            # The distance of a tilted spiral swings around its exponential: by 0.2 % of 1 - ρ for R2, the most.
            tolerance = 0.005 * abs(1 - row["spectral radius"]) + 1e-7
            assert abs(row["measured factor"] - row["spectral radius"]) < tolerance, name
    kinds = {"attracts": {"linear"}, "repels": {*_two_numbers.LEAVING, "limit cycle"}}  # at this rate of all runs
    for name, row in rows.items():
        assert not row["seen"] or row["run verdict"] in kinds[row["spectral verdict"]], name
    undecided = {name for name, row in rows.items() if row["spectral verdict"] == "undecided"}
    assert {rows[name]["run verdict"] for name in undecided} == {"closed orbits", "sublinear", "stalls"}


def test_heun_repels_and_rk4_attracts_by_powers_of_the_step(rows):
    """|1 + z + z²/2| = 1 + y⁴/8 and |... + z⁴/24| = 1 - y⁶/144 at z = iy, y = η √κ, to two more orders."""
    y = RATE / 2
    assert rows["Heun"]["spectral radius"] - 1 == pytest.approx(y**4 / 8, rel=y**2)
    assert rows["RK4"]["spectral radius"] - 1 == pytest.approx(-(y**6) / 144, rel=y**2)
    assert rows["Heun"]["measured factor"] - 1 == pytest.approx(y**4 / 8, rel=0.01)  # a power of ten above rounding


def test_sublinear_convergence_is_that_of_the_averaged_flow(rows):
    """r² = 8 / t, with κ = 1/4 and up to O(η) in r: 2.5 % measured; the starts, r ~ 1, change the exponent by 0.7 %."""
    row = rows["non-saturating, alternating"]
    time = RATE * STEPS
    assert row["exponent"] == pytest.approx(-0.5, abs=0.01)
    np.testing.assert_allclose(row["radius"], np.sqrt([8 / time, 8 / (0.8 * time)]), rtol=0.05)


def places_of(game, rate, start, steps):
    rule = rules.simultaneous(optax.sgd(rate))
    return np.asarray(jax.jit(lambda start: _two_numbers.play(game, rule, start, steps)[0])(Players(*start)))


@pytest.mark.parametrize("rate", [0.02, 0.2])
def test_simultaneous_steps_end_on_a_circle_of_radius_root_two_eta(rate, x64):
    radii = np.hypot(*places_of(dirac(losses.non_saturating), rate, (0.1, 0.0), 100_000)[-2_000:].T)
    assert radii.mean() == pytest.approx(np.sqrt(2 * rate), rel=rate / 20)  # averaging errs by O(η): -0.006 η measured
    assert radii.max() / radii.min() < 1 + rate / 2


def test_one_centered_penalties_leave_no_equilibrium(rows):
    for name, row in rows.items():
        # Across ψ = 0 the field jumps by 4 λ k, here 1; elsewhere by its slope times 2e-12.
        assert row["jump"] == pytest.approx(1 if name in ("WGAN-GP", "DRAGAN") else 0, abs=1e-11), name


def test_a_strong_one_centered_penalty_rests_off_the_data(x64):
    strength = 1.5  # beyond √κ = 1
    game = dirac(losses.wasserstein, penalties.wgan_gp(strength))
    places = places_of(game, RATE, (0.5, 1.0), 1000)
    np.testing.assert_allclose(places[-1], [2 * strength, 0], atol=1e-12)  # 0.96^1000


RECORDS = np.arange(1, 1001)
TURN = np.exp(0.7j * RECORDS)
RUNS = {
    "linear": [np.exp(-0.05 * RECORDS) * TURN],
    "sublinear": [RECORDS**-0.5 * TURN],
    "closed orbits": [0.5 * TURN, 1.5 * TURN],
    "circling": [0.5 * TURN, np.exp(-3e-4 * RECORDS) * TURN],  # the second orbit shrinks by 6 % in 200 records
    "limit cycle": [TURN, TURN * (1 + np.exp(-0.05 * RECORDS))],
    "spirals out": [np.exp(0.005 * RECORDS) * TURN],
    "stalls": [np.exp(1j / RECORDS)],
    # The second run falls between the distances 1e-3 and 1e-4 in its last quarter.
    "converging": [np.exp(-0.001 * RECORDS) * TURN, 2e-4 * np.exp(-0.002 * (RECORDS - 1000)) * TURN],
    "diverges": [np.exp(0.05 * RECORDS) * TURN],
    "leaves": [np.exp(0.05 * RECORDS) * TURN, np.exp(1j / RECORDS)],
    "mixed": [np.exp(-0.05 * RECORDS) * TURN, TURN],
}


@pytest.mark.parametrize("kind", RUNS)
def test_the_course_of_runs_gives_their_verdict(kind, x64):
    places = np.array(RUNS[kind])
    finite = np.abs(places[:, -1]) <= DIVERGENCE_BOUND
    vectors, start_radii = np.stack([np.real(places), np.imag(places)], -1), np.full(len(places), 0.5)
    found = _two_numbers.run_verdict(vectors, np.abs(places), finite, start_radii)
    assert found["run verdict"] == kind
    # The first record is later than the start, at which a share is 1.
    shares = np.abs(places[:, -200:]).max(1) / 0.5
    np.testing.assert_allclose(found["share"], [shares.min(), shares.max()])
    if kind == "sublinear":
        assert found["exponent"] == pytest.approx(-0.5, abs=1e-3)  # a power is fitted exactly


def test_a_run_that_is_not_finite_is_infinitely_far(x64):
    places = np.array(RUNS["leaves"])
    places[0, -10:] = np.nan
    vectors = np.stack([np.real(places), np.imag(places)], -1)
    found = _two_numbers.run_verdict(vectors, np.abs(places), np.array([False, True]), np.ones(2))
    assert found["run verdict"] == "leaves"
    np.testing.assert_allclose(found["radius"], [1.0, np.inf])


def test_short_runs_neither_stall_nor_disagree(tmp_path):
    """Their factors are measured in few turns, 2 % beside the spectrum, and some have not come to 1e-4 yet."""
    settings = dirac_gan.Settings(RATE, 400, ("minimax, alternating", "R1", "averaged, alternating"))
    data = dirac_gan.EXPERIMENT.run(settings, tmp_path)
    assert data["answer"].endswith("Run and spectrum disagree for: none.")
    assert "stalls" not in data["methods"]["R1"]["runs"]
    for row in data["methods"].values():
        assert abs(row["measured factor"] - row["spectral radius"]) < row["error of it"]


def test_runs_that_are_too_short_show_no_orbits_and_disagree_with_no_spectrum(tmp_path):
    """At the rate 1 all runs come to one cycle, around which 100 steps lead too few times to tell. The average's
    moments decay by 0.999 in a step, and 1000 steps leave e⁻¹ of them."""
    for steps, outcome in ((500, "circles; too short to tell more"), (1000, "limit cycle, radius 1.3 to 1.5")):
        data = dirac_gan.EXPERIMENT.run(dirac_gan.Settings(1.0, steps, (dirac_gan.CIRCLE,)), tmp_path)
        assert dirac_gan.figures.outcome(data["methods"][dirac_gan.CIRCLE]) == outcome
    data = dirac_gan.EXPERIMENT.run(dirac_gan.Settings(RATE, 1000, ("averaged, alternating",)), tmp_path)
    assert data["methods"]["averaged, alternating"]["agrees"]


def test_a_limit_cycle_is_stated_only_of_runs_that_have_one(tmp_path):
    settings = dirac_gan.Settings(RATE, 100, (dirac_gan.CIRCLE,))
    data = dirac_gan.EXPERIMENT.run(settings, tmp_path)
    assert data["methods"][dirac_gan.CIRCLE]["run verdict"] == "drifts"
    assert "limit cycle" not in data
    starts = data["portraits"]["paths"][0, :, 0]
    np.testing.assert_allclose(np.hypot(*starts.T), np.linspace(0.3, 1.5, 60)[dirac_gan.DRAWN_RUNS])  # as figures say


def test_r1_is_fastest_where_the_eigenvalues_meet(tmp_path):
    penalty = critical_penalty.EXPERIMENT.run(critical_penalty.Settings(RATE), tmp_path)
    strengths = np.array(penalty["strengths"])
    assert penalty["kappa"] == 0.25
    assert strengths[99] == pytest.approx(1)
    assert penalty["flow"]["best"] == 1
    for name, pick, best in (("flow", np.argmax, 0.5), ("simultaneous", np.argmin, 1 - RATE / 2)):
        assert pick(penalty[name]["closed"]) == 99
        assert pick(penalty[name]["measured"]) == 9
        assert penalty[name]["closed"][99] == pytest.approx(best, abs=1e-6)  # √ of rounding where they merge
    alternating = penalty["alternating"]
    assert alternating["best"] == 1 - RATE / 4
    fastest = strengths[np.argmin(alternating["closed"])]
    assert fastest == pytest.approx(alternating["best"], abs=0.01)  # the grid's step
    for name in ("flow", "simultaneous", "alternating"):
        closed, measured = np.array(penalty[name]["closed"])[9::10], np.array(penalty[name]["measured"])
        rates, found = (closed, measured) if name == "flow" else (1 - closed, 1 - measured)
        # The critical decay is n ρⁿ: 1 / n ~ 0.3 % of the rate over 140 powers of ten, as are swings of slow spirals.
        np.testing.assert_allclose(found, rates, rtol=0.01)


def test_at_a_large_rate_the_flow_is_measured_and_alternating_steps_need_a_quarter_less(tmp_path):
    """The best strength is 2 √κ - η κ, and the factor there is 1 - η √κ = 0.5; at 2 √κ = 1 it is 0.75."""
    penalty = critical_penalty.EXPERIMENT.run(critical_penalty.Settings(1.0), tmp_path)
    closed = np.array(penalty["alternating"]["closed"])
    assert penalty["strengths"][closed.argmin()] == pytest.approx(0.75)
    np.testing.assert_allclose([closed.min(), closed[99]], [0.5, 0.75], atol=1e-6)
    np.testing.assert_allclose(penalty["flow"]["measured"], np.array(penalty["flow"]["closed"])[9::10], rtol=0.01)
    for name in ("simultaneous", "alternating"):
        lost = np.isnan(penalty[name]["measured"])
        np.testing.assert_array_equal(lost, np.array(penalty[name]["closed"])[9::10] > 1)
    best, not_measured = penalty["answer"].splitlines()
    assert "γ = 2√κ = 1 for the flow and for simultaneous steps, and at 2√κ - ηκ = 0.75 for alternating steps" in best
    counts = "simultaneous at 11 of 30 strengths, alternating at 12 of 30 strengths."
    assert not_measured == f"The factor is not measured where steps diverge too fast for it: {counts}"
