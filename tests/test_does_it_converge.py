import json
import os
import subprocess
import sys
from pathlib import Path

import does_it_converge
import jax
import numpy as np
import pytest

pytestmark = [
    pytest.mark.xdist_group("does_it_converge"),  # one process, so that the script runs once
    pytest.mark.usefixtures("quick_compile"),
]
R1 = f"R1, γ = {does_it_converge.GAMMA:g}"


SHORTEST = """
import does_it_converge as script
from pathlib import Path
script.METHODS, script.RATES = {{"R1": script.METHODS["{}"]}}, (0.3,)
script.does_it_converge(epochs=2000, replicas=2, out=Path("{}"))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The shortest run, with one method at the larger rate; in a process of its own, as the flags that these tests set
    double the time that it takes to compile."""
    out = tmp_path_factory.mktemp("does_it_converge")
    folder = Path(does_it_converge.__file__).parent
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"  # what takes time here is to compile
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(folder.parent)])
    line = [sys.executable, "-W", "error", "-c", SHORTEST.format(R1, out)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


@pytest.fixture
def data(ran):
    return json.loads((ran / "data.json").read_text())


def test_the_article_s_run_is_the_published_one(ran, data):
    assert {path.name for path in ran.iterdir()} == set(does_it_converge.FILES)
    published = data["article"][0]
    assert published["epoch"] == 1000
    np.testing.assert_allclose(published["bias"], -0.8955103005797729, atol=1e-12)  # rounding over 5000 steps
    slopes = [0.60175083, -0.29127513, -0.40093314, 0.37759987]
    np.testing.assert_allclose(published["slopes"], np.linalg.norm(slopes), atol=1e-8)  # as printed
    assert published["verdict"] == "drifting"
    assert data["answer"].startswith("No: at epoch 1000 the mean image is 0.155 off")


def test_the_spectrum_predicts_how_fast_a_run_converges(data):
    (row,) = data["methods"]
    assert row["verdict"] == "converged"
    # Other modes are smaller by exp(-(1/13 - 1/34) · 600 epochs) = 1e-12; the fit interpolates between records.
    np.testing.assert_allclose(row["measured"], row["predicted"], rtol=1e-4)
    np.testing.assert_allclose(row["period"]["measured"], row["period"]["predicted"], rtol=1e-2)  # few turns are seen
    assert 100 < row["epochs to 1 %"] < 300


def test_the_order_s_fixed_point_is_that_of_first_order(data):
    bias = data["bias of the order"]
    first, exact = bias["first order: c = -η/4 (1 + |m|²)"], bias["order of moves"]["c"]
    np.testing.assert_allclose(exact, first, rtol=0.01)  # η
    assert bias["order of moves and faces"]["c"] == pytest.approx(first, rel=0.01)
    np.testing.assert_allclose(bias["order of moves"]["u"], 0, atol=1e-12)
    assert set(data["noise"]) == {
        f"{what}, {who}" for what in ("u", "c", "mean image") for who in ("article", "replicas")
    }


def test_curves_are_on_one_axis(data):
    curves = data["curves"]
    count = len(curves["epochs"])
    for name in ("article", "full batch"):
        assert {len(values) for values in curves[name].values()} == {count}
        assert min(curves[name]["Nikaido-Isoda gap"]) > 0
    assert np.shape(curves["replicas"]["mean gap"]) == (3, count)


def test_decay_is_measured_on_a_spiral_that_is_not_round():
    fixed = np.array(does_it_converge.start_of(42))
    fixed[8:] = 0
    time = np.arange(2000)
    spiral = 1e-3 * np.exp((-0.01 + 0.2j) * time)
    history = np.tile(fixed, (2000, 1))
    history[:, 8] += spiral.real
    history[:, 9] += 0.2 * spiral.imag
    with jax.enable_x64(True):
        fold, period = does_it_converge.measured_decay(history, fixed, every=10)
    np.testing.assert_allclose(
        [fold, period], [1000, 10 * 2 * np.pi / 0.2], rtol=1e-3
    )  # half-turns are not whole steps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 0", "--epochs is 0"),
        ("--epochs 1000", "--epochs is 1000"),
        ("--epochs 2500", "--epochs is 2500"),
        ("--seed -1", "--seed is -1"),
        ("--replicas 1", "--replicas is 1"),
        ("--learning-rate 0", "--learning-rate is 0"),
        ("--learning-rate -0.1", "--learning-rate is -0.1"),
        ("--learning-rate nan", "--learning-rate is nan"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, refused):
    refused(does_it_converge.does_it_converge, arguments, message)


def test_an_out_that_is_a_file_is_refused_and_kept(refused_file):
    refused_file(does_it_converge.does_it_converge)
