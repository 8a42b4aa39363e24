import _edges
import matplotlib.image
import numpy as np
import pytest
from stability_edge import CASES, EXPERIMENT, Settings

from slantgan_jax import distributions, faces, games, penalties, slanted_land
from slantgan_jax.analysis import equilibria

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


def on_arrays(weights, strength, form):
    """`_edges.place` with one leaf instead of four pixels: half as long to compile."""
    game = games.penalized(slanted_land(faces.FACES, latent=distributions.uniform(nodes=12)), penalties.r1(strength))
    return game, equilibria.equilibrium(weights, faces.FACES), equilibria.tangents(weights, faces.FACES)


def test_the_edge_of_a_strong_penalty_is_found(x64):
    """R1 with γ adds γ to the curvature of D, which is at least that of the slopes; consensus adds 10 times its square.
    The rest adds a share of the order 1/γ."""
    strengths = np.array([1000.0])
    for name, edge in (("simultaneous", 2 / 1000), ("consensus 10", 2 / (10 * 1000**2))):
        case = CASES[name]._replace(steps=400)
        found = _edges.edges(case, np.zeros((1, 4)), strengths)["predicted"]
        np.testing.assert_allclose(found, edge, rtol=2e-3)


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
