import json
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))
import stability_edge  # noqa: E402

from slantgan_jax import distributions, faces, games, penalties, slanted_land  # noqa: E402
from slantgan_jax.analysis import equilibria  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_compile")


def on_arrays(weights, strength):
    """`stability_edge.place` with one leaf instead of four pixels: the same game, but half as long to compile."""
    game = games.penalized(slanted_land(faces.FACES, latent=distributions.uniform(nodes=12)), penalties.r1(strength))
    return game, equilibria.equilibrium(weights, faces.FACES), equilibria.tangents(weights, faces.FACES)


def test_runs_grow_where_the_spectrum_says(tmp_path, monkeypatch):
    name = "alternating, D first"
    monkeypatch.setattr(stability_edge, "place", on_arrays)
    stability_edge.stability_edge((name,), (1.0,), 1, (0.0, 0.3), 8000, tmp_path)
    data = json.loads((tmp_path / "data.json").read_text())
    (row,) = data["rows"]
    assert (row["method"], row["lost"]) == (name, [[False] * 2] * 2)
    predicted, measured = np.array(row["predicted"]), np.array(row["measured"])
    # The last rates are 1e-4 apart; a straight line between them is better than that.
    np.testing.assert_allclose(measured, predicted, rtol=1e-4)
    assert np.all(predicted[:, 1] < predicted[:, 0])  # what R1 adds to D's fastest mode makes its edge come earlier
    assert np.all(np.array(row["resolution"]) < 2e-4)
    assert matplotlib.image.imread(tmp_path / "stability_edge.png")[..., :3].std() > 0.05  # something is drawn


def test_windows_tell_a_slope_from_waves():
    windows = stability_edge.windows(4000)
    steps = np.arange(4000)
    heights = 1e-4 * steps + np.sin(0.3 * steps)
    slopes = np.diff(heights @ windows) / 1000
    # exp(-1 / s (1 - s)) leaves of 50 waves less than exp(-√(50 · 2π)) of their height, here a thousandth of a slope.
    np.testing.assert_allclose(slopes, 1e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--methods magic", "choose from"),
        ("--methods", "give one at least"),
        ("--scales 7", "from -6 to 6"),
        ("--scales nan", "from -6 to 6"),
        ("--strengths -1", "from 0 up"),
        ("--strengths 0.1 nan", "from 0 up"),
        ("--random -1", "from 0 up"),
        ("--steps 0", "multiple of 40"),
        ("--steps 30", "multiple of 40"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, refused):
    refused(stability_edge.stability_edge, arguments, message)


def test_an_out_that_is_a_file_is_refused_and_kept(refused_file):
    refused_file(stability_edge.stability_edge)
