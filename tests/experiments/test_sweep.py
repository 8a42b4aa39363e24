import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import sweep as script
import xarray as xr

from slantgan_jax import Players, faces, games, slanted_land, sweeps
from slantgan_jax.analysis import distances
from slantgan_jax.runs import SCALARS

# One process makes the store once.
pytestmark = [pytest.mark.xdist_group("cli sweep"), pytest.mark.slow]

FOLDER = Path(__file__).parents[2] / "experiments"
SMALL = ["--seeds", "6", "--learning-rates", "0.01", "0.1", "1e6", "--epochs", "12"]


def command(script, *arguments):
    return subprocess.run([sys.executable, FOLDER / script, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "sweep.zarr"
    done = command("sweep.py", *SMALL, "--record-every", 4, "--out", path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress bar where there is no terminal
    return path


def test_the_store_and_the_figures_have_the_promised_names(store):
    figures = {path.name for path in store.with_name("sweep-figures").iterdir()}
    assert figures == {"heat_map.png", "distributions.png", "loss_bands.png", "faces.png"}
    ds = xr.open_zarr(store, consolidated=False)
    assert dict(ds.sizes) == {"seed": 6, "learning_rate": 3, "pixel": 4, "epoch": 3}
    assert ds.generator_weights.dims == ("seed", "learning_rate", "pixel")
    assert ds.generator_loss_history.dims == ("seed", "learning_rate", "epoch")
    assert ds.epoch.values.tolist() == [4, 8, 12]
    names = {"generator_weights", "generator_biases", "discriminator_weights", "discriminator_bias"}
    assert names | set(SCALARS) <= set(ds.data_vars)
    assert not ds.finite.sel(learning_rate=1e6).any()
    assert ds.finite.sel(learning_rate=[0.01, 0.1]).all()
    for name in SCALARS:
        np.testing.assert_array_equal(ds[f"{name}_history"].isel(epoch=-1), ds[name])


def test_one_cell_alone_has_the_same_bits(store, tmp_path):
    done = command("train.py", "--seed", 3, "--learning-rate", 0.1, "--epochs", 12, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run.json").read_text())
    cell = sweeps.load(store).sel(seed=3, learning_rate=0.1)
    for player, parts in (("generator", ("weights", "biases")), ("discriminator", ("weights", "bias"))):
        for part in parts:
            assert np.float32(record[player][part]).tobytes() == cell[f"{player}_{part}"].values.tobytes()
    for name in SCALARS:
        assert record[name] == cell[name].values.tolist()


def test_equal_rates_of_the_players_are_one_rate(store, tmp_path):
    done = command("sweep.py", "--grid", *SMALL, "--out", tmp_path / "grid.zarr")
    assert done.returncode == 0, done.stderr
    ds = sweeps.load(tmp_path / "grid.zarr")
    assert ds.mean_gap.dims == ("seed", "generator_learning_rate", "discriminator_learning_rate")
    diagonal = ds.sel(generator_learning_rate=0.1, discriminator_learning_rate=0.1)
    # Two rates make another program than one, so rounding may differ, over 60 steps.
    np.testing.assert_allclose(diagonal.mean_gap, sweeps.load(store).mean_gap.sel(learning_rate=0.1), atol=1e-5)
    assert {path.name for path in (tmp_path / "grid-figures").iterdir()} == {"heat_map.png", "faces.png"}


def test_expected_losses_and_mean_gap_are_the_integrals(x64):
    """Against the midpoint rule with 20,000 points: its error is below 1/(24 n²) ≈ 1e-10 times the curvature."""
    game = slanted_land()
    players = game.init(jax.random.key(4))
    (w, b), (u, c) = jax.tree.map(float, players)
    z = (np.arange(20_000) + 0.5) / 20_000
    images = 1 / (1 + np.exp(-(np.outer(z, w) + b)))
    fake, real = images @ np.array(u) + c, faces.FACES @ np.array(u) + c
    errors = (np.logaddexp(0, logit).mean() for logit in (-fake, fake, -real))
    expected = Players(next(errors), sum(errors))
    np.testing.assert_allclose(games.expected_losses(game, players), expected, rtol=1e-9)
    gap = np.linalg.norm(images.mean(0) - faces.FACES.mean(0))
    np.testing.assert_allclose(distances.mean_gap(players.generator, faces.unstack(faces.FACES)), gap, rtol=1e-9)


def test_the_store_of_another_sweep_is_not_drawn(tmp_path):
    sweeps.sweep(lambda rate: {"x": rate}, {"rate": [1.0]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="has no discriminator_loss, finite, generator_loss, mean_gap"):
        script.parse(["--plot-only", "--out", str(tmp_path / "s.zarr")])


def parsed(*arguments):
    return script.parse(list(map(str, arguments)))


def test_stores_of_like_names_keep_their_figures_and_one_seed_is_a_sweep(tmp_path):
    stores = [tmp_path / name for name in ("lr0.1", "lr0.2", "lr0.zarr", "lr0")]
    for store in stores:
        parsed("--seeds", 1, "--learning-rates", 0.1, "--epochs", 2, "--out", store)
        parsed("--plot-only", "--out", store)
    folders = {path.name for path in tmp_path.iterdir()} - {store.name for store in stores}
    assert folders == {"lr0.1.figures", "lr0.2.figures", "lr0-figures", "lr0.figures"}


def test_figures_of_stores_in_other_places_have_folders_of_their_own():
    stores = "/a/x.zarr", "file:///a/x.zarr", "file:///b/x.zarr/", "s3://a/x.zarr", "s3://b/x.zarr", "memory://x.zarr"
    folders = [str(script.folder_of_figures(store)) for store in stores]
    assert folders == [
        *(
            "/a/x-figures",
            "/a/x-figures",
            "/b/x-figures",
            "s3%3A%2F%2Fa%2Fx-figures",
            "s3%3A%2F%2Fb%2Fx-figures",
            "memory%3A%2F%2Fx-figures",
        )
    ]


def test_objectives_are_an_axis_and_a_store_grows(tmp_path):
    tiny = "--learning-rates", 0.1, "--epochs", 2, "--out", tmp_path / "s.zarr", "--objective", "saturating"
    parsed("--seeds", 2, *tiny, "least squares")
    ds = parsed("--seeds", 3, *tiny, "least squares", "non-saturating")
    assert dict(ds.sizes) == {"objective": 3, "seed": 3, "learning_rate": 1, "pixel": 4}
    assert len(np.unique(ds.mean_gap.sel(seed=0))) == 3
    names = {path.name for path in (tmp_path / "s-figures").iterdir()}
    assert {"saturating-faces.png", "least_squares-faces.png", "non-saturating-faces.png"} <= names
