import jax
import numpy as np
import pytest
from _convergence import measured_decay, start_of
from convergence_rates import EXPERIMENT, Settings

from slantgan_jax import networks

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def test_the_spectrum_predicts_how_fast_a_run_converges(tmp_path):
    data = EXPERIMENT.run(Settings(("R1, γ = 0.1",), (0.3,), epochs=2000), tmp_path)
    (row,) = data["methods"]
    assert row["verdict"] == "converged"
    # Other modes are smaller by exp(-(1/13 - 1/34) · 600 epochs) = 1e-12; the fit interpolates between records.
    np.testing.assert_allclose(row["measured"], row["predicted"], rtol=1e-4)
    np.testing.assert_allclose(row["period"]["measured"], row["period"]["predicted"], rtol=1e-2)  # few turns are seen
    assert 100 < row["epochs to 1 %"] < 300
    assert data["answer"].startswith("At rate 0.3 the fastest is R1, γ = 0.1: its distance falls by e in 34 epochs.")


def test_decay_is_measured_on_a_spiral_that_is_not_round(x64):
    fixed = np.array(networks.to_vector(jax.tree.map(np.asarray, start_of(42))))
    fixed[8:] = 0
    time = np.arange(2000)
    spiral = 1e-3 * np.exp((-0.01 + 0.2j) * time)
    history = np.tile(fixed, (2000, 1))
    history[:, 8] += spiral.real
    history[:, 9] += 0.2 * spiral.imag
    fold, period = measured_decay(history, fixed, record_every=10)
    # Half-turns are not whole steps.
    np.testing.assert_allclose([fold, period], [1000, 10 * 2 * np.pi / 0.2], rtol=1e-3)
