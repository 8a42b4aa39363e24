import jax
import latent_noise
import numpy as np
import pytest
import quality_of_equilibria
import which_equilibrium
from latent_noise import CASES, RECORDS, START_WEIGHTS, time_to_half
from scipy.integrate import solve_ivp

from slantgan_jax import Generator, faces
from slantgan_jax.analysis import distances

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def test_the_flow_and_a_method_start_alike_and_end_on_the_surface_of_the_laws(tmp_path):
    settings = which_equilibrium.Settings(starts=4, flow_steps=300, methods=("R1, γ = 0.1",), method_steps=500)
    data = which_equilibrium.EXPERIMENT.run(settings, tmp_path)
    flow, (method,) = data["flow"], data["methods"].values()
    assert flow["start"].shape == flow["end"].shape == (4, 13)
    assert flow["paths"].shape == (4, 31, 8)
    np.testing.assert_array_equal(flow["paths"][:, 0], flow["start"][:, :8])
    with np.load(tmp_path / "data.npz") as arrays:
        assert all(np.isfinite(values).all() for values in arrays.values())
    # R1 has nearly come to rest, close to where the steepest lines say: 0.02 of a spread of 1.
    assert method["residual"].max() < 0.1
    np.testing.assert_allclose(method["landing"], flow["steepest"], atol=0.1)


def test_all_runs_start_at_one_equilibrium(tmp_path):
    shared = next(iter(CASES))
    settings = latent_noise.Settings(replicas=3, steps=100, learning_rates=(0.1, 0.3, 1e30), cases=(shared,))
    data = latent_noise.EXPERIMENT.run(settings, tmp_path)
    assert {"0.1", "0.3"} < set(data["summary"][shared])
    noise = data["noise"][shared]
    assert noise["mean"].shape == noise["predicted_mean"].shape == (3, 1 + RECORDS, 4)
    assert all(np.isfinite(values[:2]).all() for values in noise.values())
    assert data["answer"].endswith(f"\nDiverged: 3 of 3 runs at the rate 1e+30 ({shared}).")
    np.testing.assert_array_equal(noise["mean"][0, 0], START_WEIGHTS)
    # 100 steps at the rate 0.1 are a time of 10, a tenth of one swing.
    np.testing.assert_allclose(noise["mean"][0, -1], START_WEIGHTS, atol=1e-3)


def test_the_time_to_half_is_read_between_records():
    assert time_to_half(np.array([0.0, 1.0, 2.0, 3.0]), np.array([4.0, 3.0, 1.0, 0.5])) == 1.5
    assert time_to_half(np.array([0.0, 1.0]), np.array([4.0, 3.0])) == np.inf


@pytest.fixture(scope="module")
def theory():
    return latent_noise.theory(next(iter(CASES.values())))


def test_the_theory_halves_w_when_another_solver_says_so(theory, x64):
    def halved(_, weights):
        return np.abs(weights).mean() - np.abs(START_WEIGHTS).mean() / 2

    halved.terminal = True
    exact = solve_ivp(
        lambda _, weights: theory(weights)[0], (0, 1e4), START_WEIGHTS, "DOP853", events=halved, rtol=1e-10, atol=1e-10
    )
    found = latent_noise.outlook(theory)
    # It is read between times that are 1.4 % apart.
    assert found[latent_noise.HALVING] == pytest.approx(exact.t[-1] / latent_noise.TIME_OF_EPOCH, rel=1e-4)
    assert found[latent_noise.AHEAD] == latent_noise.FOLLOWED_EPOCHS


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 1_000_000), (30.0, 5000), (1e20, 50)])
def test_the_theory_is_right_or_unknown_however_far_it_goes(rate, steps, theory, x64):
    """Noise makes w collapse, whatever the size of the time between records is."""
    found = latent_noise.predicted(theory, latent_noise.Settings(learning_rates=(rate,), steps=steps))
    if rate == 1e20:
        assert np.isnan(found["mean"][0, 1:]).all()
        return
    sizes = np.abs(found["mean"][0]).mean(1)
    assert np.all(np.diff(sizes[:3]) < 0)
    assert sizes[-1] < 1e-9
    assert np.all(found["deviation"][0, -1] < 1e-6)


def test_nothing_is_better_than_the_least(tmp_path, monkeypatch):
    monkeypatch.setattr(quality_of_equilibria, "DESCENT_STEPS", 3)  # quick to run
    settings = quality_of_equilibria.Settings(starts=4, flow_steps=300, orders=(0,))
    found = quality_of_equilibria.EXPERIMENT.run(settings, tmp_path)["quality"]["energy"]
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["equilibria"].shape == found["runs"].shape == (4,)
    # What is least is no more than what it started from, and keeping to the surface costs.
    assert found["best"][0] <= min(found["surface"][0], found["equilibria"].min(), found["constant"])


def test_the_cheap_energy_distance_is_the_exact_one(x64):
    rows = np.random.default_rng(0).normal(size=(4, 8)) * 2
    exact = jax.jit(jax.vmap(lambda v: distances.energy_distance(Generator(v[:4], v[4:]), faces.FACES)))(rows)
    # |x - y| has near kinks where the curve comes close to a face: 1e-7 at 48 nodes.
    np.testing.assert_allclose(jax.jit(jax.vmap(quality_of_equilibria.smooth_energy))(rows), exact, atol=1e-6)
