import numpy as np
import pytest
from which_equilibrium import EXPERIMENT, Settings

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def test_the_flow_and_a_method_start_alike_and_end_on_the_surface_of_the_laws(tmp_path):
    settings = Settings(starts=4, flow_steps=300, methods=("R1, γ = 0.1",), method_steps=500)
    data = EXPERIMENT.run(settings, tmp_path)
    flow, (method,) = data["flow"], data["methods"].values()
    assert flow["start"].shape == flow["end"].shape == (4, 13)
    assert flow["paths"].shape == (4, 31, 8)
    np.testing.assert_array_equal(flow["paths"][:, 0], flow["start"][:, :8])
    arrays = np.load(tmp_path / "data.npz")
    assert np.all(np.isfinite(np.concatenate([arrays[name].ravel() for name in arrays.files])))
    # R1 has nearly come to rest, close to where the steepest lines say: 0.02 of a spread of 1.
    assert method["residual"].max() < 0.1
    np.testing.assert_allclose(method["landing"], flow["steepest"], atol=0.1)
