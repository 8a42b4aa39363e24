import critical_penalty
import numpy as np
import pytest

pytestmark = pytest.mark.slow

RATE = 0.1


@pytest.mark.slow
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
    assert strengths[np.argmin(alternating["closed"])] == pytest.approx(
        alternating["best"], abs=0.01
    )  # the grid's step
    for name in ("flow", "simultaneous", "alternating"):
        closed, measured = np.array(penalty[name]["closed"])[9::10], np.array(penalty[name]["measured"])
        rates, found = (closed, measured) if name == "flow" else (1 - closed, 1 - measured)
        # The critical decay is n ρⁿ: 1 / n ~ 0.3 % of the rate over 140 powers of ten, as are swings of slow spirals.
        np.testing.assert_allclose(found, rates, rtol=0.01)
