import functools
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))
import which_equilibrium as script  # noqa: E402

from slantgan_jax import faces, rules  # noqa: E402
from slantgan_jax.analysis import distances  # noqa: E402
from slantgan_jax.networks import Generator  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_a_tiny_run_writes_all_that_it_names(tmp_path, monkeypatch):
    """As the script is, but for what takes long: fewer steps, one distance, one method and one case of noise."""
    method = script.Method(5, rules.tutorial(script.sgd(0.1)), sampled=True)
    case = script.CASES[script.SHARED]
    small = {
        "FLOW_STEPS": 300, "EVERY": 10, "WHILE": 100, "DRAWN": 2, "DRAWN_STEPS": 100, "COMPARED": 3, "EPOCHS": 2,
        "SCREENED": 6, "STARTS": 2, "DESCENT": 3, "DISTANCES": {"energy": 0},
        "METHODS": {"alternating": method, **dict.fromkeys((script.R1, script.SATURATING, script.ADAM), method)},
        "CASES": dict.fromkeys((script.SHARED, script.FRESH), case),
    }  # fmt: skip
    for name, value in small.items():
        monkeypatch.setattr(script, name, value)
    for name in ("ends_of", "noise_of"):  # of the same method and case, under several names
        monkeypatch.setattr(script, name, functools.cache(getattr(script, name)))
    script.which_equilibrium(starts=4, replicas=3, steps=100, learning_rates=(0.1, 0.3), out=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.json", "data.npz", "which_equilibrium.png"]
    numbers = json.loads((tmp_path / "data.json").read_text())
    assert len(numbers["answer"]) == 2
    assert set(numbers["noise"][script.SHARED]) == {"0.1", "0.3"}
    arrays = np.load(tmp_path / "data.npz")
    assert arrays["flow/start"].shape == arrays["flow/end"].shape == (4, 13)
    assert arrays["flow/paths"].shape == (2, 11, 8)
    assert arrays[f"noise/{script.SHARED}/mean"].shape == (2, 1 + script.RECORDS, 4)
    assert np.all(np.isfinite(np.concatenate([arrays[name].ravel() for name in arrays.files])))
    # All start at one equilibrium; 100 steps at rate 0.1 are a time of 10, a tenth of one swing.
    mean = arrays[f"noise/{script.SHARED}/mean"][0]
    np.testing.assert_array_equal(mean[0], script.START)
    np.testing.assert_allclose(mean[-1], script.START, atol=1e-3)
    # What is least is no more than what it started from, and keeping to the surface costs.
    assert arrays["quality/energy/best"][0] <= arrays["quality/energy/equilibria"].min()


def test_the_cheap_energy_distance_is_the_exact_one(x64):
    rows = np.random.default_rng(0).normal(size=(4, 8)) * 2
    exact = jax.jit(jax.vmap(lambda v: distances.energy_distance(Generator(v[:4], v[4:]), faces.FACES)))(rows)
    # |x - y| has near kinks where the curve comes close to a face: 1e-7 at 48 nodes.
    np.testing.assert_allclose(jax.jit(jax.vmap(script.smooth_energy))(rows), exact, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--starts 1", "--starts is 1"),
        ("--replicas 0", "--replicas is 0"),
        ("--steps 0", "multiple of 50"),
        ("--steps 70", "multiple of 50"),
        ("--steps 100000050", "--steps is 100000050"),
        ("--learning-rates 0.1 -1", "--learning-rates is -1.0"),
        ("--learning-rates nan", "--learning-rates is nan"),
        ("--learning-rates", "at least one"),
        ("--learning-rates 0.1 0.1", "each once"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, refused):
    refused(script.which_equilibrium, arguments, message)


def test_an_out_that_is_a_file_is_refused_and_kept(refused_file):
    refused_file(script.which_equilibrium)


def test_the_time_to_half_is_read_between_records():
    assert script.time_to_half(np.array([0.0, 1.0, 2.0, 3.0]), np.array([4.0, 3.0, 1.0, 0.5])) == 1.5
    assert script.time_to_half(np.array([0.0, 1.0]), np.array([4.0, 3.0])) == np.inf
