import json
import os
import subprocess
import sys
from pathlib import Path

import does_it_converge
import numpy as np
import pytest

# One process, so that the script runs once.
pytestmark = [pytest.mark.xdist_group("does_it_converge"), pytest.mark.slow]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The shortest run; in a process of its own, as the flags that these tests set double the time of compilation."""
    out = tmp_path_factory.mktemp("does_it_converge")
    script = Path(does_it_converge.__file__)
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"  # compilation is what takes time here
    environment["PYTHONPATH"] = str(script.parents[1])
    line = [sys.executable, "-W", "error", script, "--epochs", "2000", "--replicas", "2", "--out", out]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


@pytest.fixture
def data(ran):
    return json.loads((ran / "data.json").read_text())


def test_the_article_s_run_is_the_published_one(ran, data):
    assert {path.name for path in ran.iterdir()} == {"data.json", "data.npz", "does_it_converge.png"}
    published = data["article"][0]
    assert published["epoch"] == 1000
    np.testing.assert_allclose(published["bias"], -0.8955103005797729, atol=1e-12)  # rounding over 5000 steps
    slopes = [0.60175083, -0.29127513, -0.40093314, 0.37759987]
    np.testing.assert_allclose(published["slopes"], np.linalg.norm(slopes), atol=1e-8)  # as printed
    assert published["verdict"] == "drifting"
    assert data["answer"].startswith("No: at epoch 1000 the mean image is 0.155 off")


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
