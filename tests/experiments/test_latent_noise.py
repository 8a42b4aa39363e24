import numpy as np
import pytest
from latent_noise import CASES, EXPERIMENT, RECORDS, START_WEIGHTS, Settings, time_to_half

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]
SHARED = next(iter(CASES))


def test_all_runs_start_at_one_equilibrium(tmp_path):
    settings = Settings(replicas=3, steps=100, learning_rates=(0.1, 0.3), cases=(SHARED,))
    data = EXPERIMENT.run(settings, tmp_path)
    assert {"0.1", "0.3"} < set(data["summary"][SHARED])
    noise = data["noise"][SHARED]
    assert noise["mean"].shape == noise["predicted_mean"].shape == (2, 1 + RECORDS, 4)
    assert all(np.isfinite(values).all() for values in noise.values())
    np.testing.assert_array_equal(noise["mean"][0, 0], START_WEIGHTS)
    # 100 steps at the rate 0.1 are a time of 10, a tenth of one swing.
    np.testing.assert_allclose(noise["mean"][0, -1], START_WEIGHTS, atol=1e-3)


def test_the_time_to_half_is_read_between_records():
    assert time_to_half(np.array([0.0, 1.0, 2.0, 3.0]), np.array([4.0, 3.0, 1.0, 0.5])) == 1.5
    assert time_to_half(np.array([0.0, 1.0]), np.array([4.0, 3.0])) == np.inf
