import jax
import numpy as np
import pytest
import quality_of_equilibria as script

from slantgan_jax import Generator, faces
from slantgan_jax.analysis import distances

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def test_nothing_is_better_than_the_least(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "DESCENT_STEPS", 3)  # quick to run
    data = script.EXPERIMENT.run(script.Settings(starts=4, flow_steps=300, orders=(0,)), tmp_path)
    found = data["quality"]["energy"]
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["equilibria"].shape == found["runs"].shape == (4,)
    # What is least is no more than what it started from, and keeping to the surface costs.
    assert found["best"][0] <= min(found["surface"][0], found["equilibria"].min(), found["constant"])


def test_the_cheap_energy_distance_is_the_exact_one(x64):
    rows = np.random.default_rng(0).normal(size=(4, 8)) * 2
    exact = jax.jit(jax.vmap(lambda v: distances.energy_distance(Generator(v[:4], v[4:]), faces.FACES)))(rows)
    # |x - y| has near kinks where the curve comes close to a face: 1e-7 at 48 nodes.
    np.testing.assert_allclose(jax.jit(jax.vmap(script.smooth_energy))(rows), exact, atol=1e-6)
