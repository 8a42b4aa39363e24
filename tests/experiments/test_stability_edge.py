import _edges
import matplotlib.image
import numpy as np
import pytest
from stability_edge import EXPERIMENT, Settings

from slantgan_jax import distributions, faces, games, penalties, slanted_land
from slantgan_jax.analysis import equilibria

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def on_arrays(weights, strength, form):
    """`_edges.place` with one leaf instead of four pixels: half as long to compile."""
    game = games.penalized(slanted_land(faces.FACES, latent=distributions.uniform(nodes=12)), penalties.r1(strength))
    return game, equilibria.equilibrium(weights, faces.FACES), equilibria.tangents(weights, faces.FACES)


def test_runs_grow_where_the_spectrum_says(tmp_path, monkeypatch):
    name = "alternating, D first"
    monkeypatch.setattr(_edges, "place", on_arrays)
    settings = Settings(methods=(name,), scales=(1.0,), random=1, strengths=(0.0, 0.3), steps=8000)
    (row,) = EXPERIMENT.run(settings, tmp_path)["rows"]
    assert row["method"] == name
    assert not row["lost"].any()
    predicted, measured = row["predicted"], row["measured"]
    # The last rates are 1e-4 apart; a straight line between them is better than that.
    np.testing.assert_allclose(measured, predicted, rtol=1e-4)
    assert np.all(predicted[:, 1] < predicted[:, 0])  # what R1 adds to D's fastest mode makes its edge come earlier
    assert np.all(row["resolution"] < 2e-4)
    assert matplotlib.image.imread(tmp_path / "stability_edge.png")[..., :3].std() > 0.05  # something is drawn
