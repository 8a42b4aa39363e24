import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import figures.sweep as figures
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sweep as script
import xarray as xr

from slantgan_jax import Players, faces, games, plots, runs, slanted_land, sweeps
from slantgan_jax.analysis import distances

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
    assert names | set(runs.SCALARS) <= set(ds.data_vars)
    assert not ds.finite.sel(learning_rate=1e6).any()
    assert ds.finite.sel(learning_rate=[0.01, 0.1]).all()
    for name in runs.SCALARS:
        np.testing.assert_array_equal(ds[f"{name}_history"].isel(epoch=-1), ds[name])


def test_one_cell_alone_has_the_same_bits(store, tmp_path):
    done = command("train.py", "--seed", 3, "--learning-rate", 0.1, "--epochs", 12, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run.json").read_text())
    cell = sweeps.load(store).sel(seed=3, learning_rate=0.1)
    for player, parts in (("generator", ("weights", "biases")), ("discriminator", ("weights", "bias"))):
        for part in parts:
            assert np.float32(record[player][part]).tobytes() == cell[f"{player}_{part}"].values.tobytes()
    for name in runs.SCALARS:
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
    with pytest.raises(
        ValueError, match="has no discriminator_loss, finite, generator_loss, mean_gap, generator_weights"
    ):
        script.parse(["--plot-only", "--out", str(tmp_path / "s.zarr")])


def alike(**axes):
    """A run that has all results of a tutorial's, at once."""
    scalars, images = dict.fromkeys(runs.SCALARS, jnp.ones(())), dict.fromkeys(runs.IMAGES, jnp.ones(4))
    return {**scalars, **images, "finite": jnp.ones((), bool)}


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (["learning_rate"], "no dimension seed"),
        (["seed"], "no dimension learning_rate"),
        (["seed", "generator_learning_rate"], "no dimension discriminator_learning_rate"),
        (["seed", "learning_rate", "epochs"], "the dimension epochs"),
    ],
)
def test_a_store_of_other_axes_is_not_drawn(tmp_path, axes, said):
    sweeps.sweep(alike, {name: [1, 2] for name in axes}, dims=runs.DIMS, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=f"^the store has {said}, as it is of another sweep: name one of this script$"):
        script.parse(["--plot-only", "--out", str(tmp_path / "s.zarr")])


def parsed(*arguments):
    return script.parse(list(map(str, arguments)))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("--seeds 6 --learning-rates 1e6 0.1 0.01 --epochs 12 --record-every 4 --no-grid", None),
        ("--seeds 9", "--seeds is 9, but the store has 6"),
        ("--epochs 77", "--epochs is 77, but the store has 12"),
        ("--epochs=1000", "--epochs is 1000, but the store has 12"),
        ("--record-every 6", "--record-every is 6, but the store has 4"),
        ("--objective hinge", "--objective is ['hinge'], but the store has ['non-saturating']"),
        ("--learning-rates 0.01 0.1", "--learning-rates is [0.01, 0.1], but the store has [0.01, 0.1, 1000000.0]"),
        ("--learning-rate-range 0.01 1 3", "--learning-rate-range is [0.01, 0.1, 1.0], but the store has"),
        ("--grid", "--grid is True, but the store has False"),
        ("--tile 3", "--tile says how to compute"),
    ],
)
def test_a_store_is_drawn_again_only_with_the_settings_that_it_has(store, tmp_path, given, refused):
    shutil.copytree(store, tmp_path / "s.zarr")
    if refused is None:
        parsed("--plot-only", "--out", tmp_path / "s.zarr", *given.split())
        return
    with pytest.raises(ValueError, match=re.escape(refused)):
        parsed("--plot-only", "--out", tmp_path / "s.zarr", *given.split())
    assert not (tmp_path / "s-figures").exists()


def test_a_store_that_does_not_tell_a_setting_is_not_drawn_with_one(tmp_path):
    axes = {"seed": [5, 3], "learning_rate": [0.1]}
    sweeps.sweep(alike, axes, dims=runs.DIMS, store=tmp_path / "s.zarr")
    for given, has in (("--objective hinge", "does not tell its own"), ("--seeds 2", "has [3, 5]")):
        with pytest.raises(ValueError, match=re.escape(f"but the store {has}: leave out")):
            parsed("--plot-only", "--out", tmp_path / "s.zarr", *given.split())


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
    folder = tmp_path / "s-figures"
    names = {path.name for path in folder.iterdir()}
    assert {"saturating-faces.png", "least_squares-faces.png", "non-saturating-faces.png"} <= names
    (folder / "my-faces.png").write_text("somebody's")
    shutil.rmtree(tmp_path / "s.zarr")
    ds = parsed("--seeds", 1, *tiny)
    assert {path.name for path in folder.iterdir()} == {
        "heat_map.png",
        "distributions.png",
        "faces.png",
        "my-faces.png",
    }
    assert ds.generator_loss.attrs == {
        "units": "nat",
        "long_name": "expected generator loss",
        "objective": "saturating",
    }


def test_rates_are_drawn_and_printed_in_their_order_however_a_store_grew(tmp_path, capsys):
    for rates in ([0.1, 1.0], [0.01, 0.1, 1.0]):
        parsed("--seeds", 2, "--learning-rates", *rates, "--epochs", 2, "--out", tmp_path / "s.zarr")
    capsys.readouterr()
    parsed("--plot-only", "--out", tmp_path / "s.zarr")
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[2:5]] == ["0.01", "0.1", "1"]


def made(rates, seeds, epochs=2, distance=1.0, **attrs):
    """What a store might hold: runs that all are alike."""
    cells, shape = ("seed", "learning_rate"), (seeds, len(rates))
    parameters = {name: ((*cells, "pixel"), np.ones((*shape, 4))) for name in ("generator_weights", "generator_biases")}
    histories = {name: ((*cells, "epoch"), np.ones((*shape, epochs)), attrs) for name in figures.HISTORIES}
    every = np.ones((*shape, epochs), bool)
    flags = {"finite": (cells, every[..., 0].copy()), "finite_history": ((*cells, "epoch"), every)}
    gap = {"mean_gap": (cells, np.full(shape, distance))}
    coords = {"seed": np.arange(seeds), "learning_rate": rates, "epoch": np.arange(epochs)}
    return xr.Dataset(parameters | histories | flags | gap, coords)


def drawn(name, ds):
    (_, width, height, _), canvas = figures.of(ds)[name], plots.new_figure(1, 1)
    canvas.set_size_inches(width, height)
    figures.of(ds)[name].draw(canvas, {"ds": ds})
    canvas.canvas.draw()
    return canvas


LEVELS = {
    "non-saturating": (np.log(2), 2 * np.log(2)),
    "saturating": (-np.log(2), 2 * np.log(2)),
    "least squares": (1 / 8, 1 / 4),
    "Wasserstein": (None, 0),
    "hinge": (None, 2),
    None: (None, None),  # of a store that does not say
}


@pytest.mark.parametrize("objective", LEVELS)
@pytest.mark.parametrize("losses", [(-2.5, -0.5), (-300.0, 70.0), (0.3, 0.4)])
def test_losses_of_every_objective_are_in_sight_beside_those_of_an_undecided_discriminator(objective, losses):
    """In closed form."""
    ds = made([0.1], 3, **({"objective": objective} if objective else {}))
    for name in figures.HISTORIES:
        ds[name][:] = np.array(losses)
    for ax, level in zip(drawn("loss_bands.png", ds).axes, LEVELS[objective], strict=True):
        line, *dotted = ax.lines
        np.testing.assert_array_equal(line.get_ydata(), losses)
        np.testing.assert_allclose([one.get_ydata()[0] for one in dotted], [] if level is None else [level], rtol=1e-6)
        low, high = ax.get_ylim()
        assert all(low < loss < high for loss in (*losses, 0.0 if level is None else level))
        assert ("nats" in ax.get_ylabel()) == (objective in ("non-saturating", "saturating"))


@pytest.mark.parametrize("name", ["epoch", "time"])
def test_records_without_epochs_are_counted(name):
    ds = made([0.1], 3, 4).drop_vars("epoch").rename({} if name == "epoch" else {"epoch": name})
    for ax in drawn("loss_bands.png", ds).axes:
        assert ax.get_xlabel() == "record"
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3, 4])


def test_a_run_that_diverges_later_counts_before_and_is_infinitely_far_after():
    ds = made([0.1], 8, 3, objective="hinge")
    for name in figures.HISTORIES:
        ds[name][:, 0] = np.arange(1.0, 9)[:, None]
    ds.finite_history[:, 0] = np.arange(8)[:, None] < [8, 4, 3]
    for ax in drawn("loss_bands.png", ds).axes:
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4, 4, np.nan])  # the fourth of eight
        edges = ax.collections[0].get_paths()[0].vertices
        assert {float(y) for x, y in edges if x == 1} == {1, ax.get_ylim()[1]}


def test_a_rate_at_which_half_of_the_seeds_diverge_has_a_median():
    ds = made([0.1, 1.0], 8)
    ds.mean_gap[:] = np.arange(1.0, 9)[:, None]
    ds.finite[4:, 0] = ds.finite[3:, 1] = False
    assert figures.typical(figures.distance(ds)).values.tolist() == [4, np.inf]
    assert "closest at rate 0.1" in drawn("heat_map.png", ds).get_suptitle()


@pytest.mark.parametrize(
    ("finite", "said"), [(6, "rate 1e+03"), (2, "rate 1e+03, 4 of 6 diverged"), (0, "rate 1e+03, 6 of 6 diverged")]
)
def test_rates_at_which_runs_diverged_are_in_the_legends(finite, said):
    ds = made([0.1, 1000.0], 6, objective="hinge")
    ds.finite[finite:, 1] = ds.finite_history[finite:, 1, -1] = False
    for name in ("distributions.png", "loss_bands.png"):
        legend = drawn(name, ds).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ["rate 0.1", said]


def test_faces_are_those_of_the_runs_that_did_not_diverge_and_the_title_says_so():
    ds = made([0.1, 1.0], 3)
    ds.mean_gap[:] = np.arange(1.0, 7).reshape(3, 2)
    assert [ax.get_ylabel().partition(",")[2][:2] for ax in drawn("faces.png", ds).axes[::3]] == [" 1", " 3", " 6"]
    assert "diverge" not in drawn("faces.png", ds).get_suptitle()
    ds.finite[2] = False
    assert drawn("faces.png", ds).get_suptitle().endswith("\nof the 4 of 6 runs that did not diverge")


def test_one_seed_is_no_seeds():
    assert "over 1 seed:" in drawn("distributions.png", made([0.1], 1)).get_suptitle()
    assert "its 1 seed, nearest" in drawn("heat_map.png", made([0.1], 1)).get_suptitle()


def test_labels_are_told_apart():
    assert figures.texts(np.arange(1234560, 1234563)) == ["1234560", "1234561", "1234562"]
    assert figures.texts(np.array([0.1, 0.1001])) == ["0.1", "0.1001"]
    assert figures.texts(np.array([0.1, 1 / 3])) == ["0.1", "0.333"]
    ds = made([0.1, 0.1001], 2).assign_coords(seed=[1234560, 1234561])
    ds.generator_biases[:] = -1e4  # of which the exponential is infinite
    ds.mean_gap[1, 1] = 0.5
    assert "rate 0.1001" in drawn("heat_map.png", ds).get_suptitle()
    assert [text.get_text() for text in drawn("distributions.png", ds).axes[0].get_legend().get_texts()] == [
        "rate 0.1",
        "rate 0.1001",
    ]
    assert drawn("faces.png", ds).axes[0].get_ylabel() == "best, 0.5\nseed: 1234561\nrate: 0.1001"


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("rates", [[0.001, 0.1], [0.0012345, 0.0012346]])
def test_titles_are_whole(grid, rates):
    ds = made(rates, 100_000 if not grid else 1000)
    ds.finite[-1] = False
    if grid:
        ds = xr.concat([ds, ds], "discriminator_learning_rate").assign_coords(discriminator_learning_rate=rates)
        ds = ds.rename(learning_rate="generator_learning_rate")
    for name in figures.of(ds):
        canvas = drawn(name, ds)
        for text in (*canvas.texts, *(ax.title for ax in canvas.axes)):
            box = text.get_window_extent()
            assert 0 <= box.x0 <= box.x1 <= canvas.bbox.x1, (name, text.get_text())
