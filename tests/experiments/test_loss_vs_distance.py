import json
from functools import partial

import _measured_runs as runs
import figures.loss_vs_distance as figures
import jax
import jax.numpy as jnp
import loss_vs_distance as script
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from slantgan_jax import faces, games, networks, plots, slanted_land, train
from slantgan_jax.analysis import distances, transport

pytestmark = [
    pytest.mark.xdist_group("loss_vs_distance"),  # one process compiles all of it once
    pytest.mark.usefixtures("quick_compile"),
    pytest.mark.slow,
]


def cheap_transports(vector):
    generator, images = networks.from_vector(vector).generator, faces.unstack(faces.FACES)
    return {
        "wasserstein_1": transport.wasserstein(generator, images, 1),
        "energy_distance": distances.energy_distance(generator, images),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The script with few, short runs of one method, looked at twice."""
    patch = pytest.MonkeyPatch()
    patch.setattr(runs, "EPOCHS", (2, 30))
    patch.setattr(runs, "RATES", (0.1, 1.0))
    patch.setattr(runs, "COMPARED", {"R1": runs.COMPARED["R1"]})
    patch.setattr(runs, "BATCH", 16)
    patch.setattr(runs, "transports", cheap_transports)  # the other order compiles as long again
    patch.setattr(script, "RESAMPLES", 10)
    patch.setattr(script, "TRUTHS", ("wasserstein_1", "energy_distance", "mean_gap"))
    patch.setattr(plots, "new_figure", partial(plots.new_figure, dpi=40))
    out = tmp_path_factory.mktemp("loss_vs_distance")
    script.EXPERIMENT.parse(["--seeds", "12", "--transported", "16", "--out", str(out)])
    with np.load(out / "data.npz") as arrays:
        yield out, json.loads((out / "data.json").read_text()), dict(arrays)
    patch.undo()


def test_players_and_curves_are_those_of_train(made):
    _, _, data = made
    game, rule = runs.game_and_rule("R1", 1.0)
    run = jax.jit(lambda key: train(key, game, rule, steps=150).players)
    players = run(jax.random.key(4))
    flat = np.array([*players.generator.weights, *players.generator.biases, *players.discriminator.weights,
                     players.discriminator.bias])  # fmt: skip
    np.testing.assert_allclose(data["players"][0, 1, 4, -1], flat, atol=1e-4)  # 150 steps of rounding
    curves = runs.curves(jax.random.key(4), 1.0, "R1")
    assert curves.shape == (30, 2)
    for i, name in enumerate(runs.UNDECIDED):
        np.testing.assert_allclose(data[f"plotted_{name}"][0, 1, 4], curves[np.array(runs.EPOCHS) - 1, i], atol=1e-4)


def test_losses_are_exact_and_truths_known_for_those_chosen(made):
    _, _, data = made
    u, c = data["players"][..., 8:12].astype(float), data["players"][..., 12].astype(float)
    w, b = data["players"][..., :4].astype(float), data["players"][..., 4:8].astype(float)
    z = (np.arange(2000) + 0.5) / 2000
    images = 1 / (1 + np.exp(-(w[..., None, :] * z[:, None] + b[..., None, :])))
    fake, real = (images * u[..., None, :]).sum(-1) + c[..., None], faces.FACES @ u[..., None] + c[..., None, None]
    generator = np.logaddexp(0, -fake).mean(-1)
    discriminator = np.logaddexp(0, -real[..., 0]).mean(-1) + np.logaddexp(0, fake).mean(-1)
    # Midpoints: an error of 1/(24 · 2000²) = 1e-8 times a second derivative of some tens.
    np.testing.assert_allclose(data["generator_loss"], generator, atol=1e-6)
    np.testing.assert_allclose(data["discriminator_loss"], discriminator, atol=1e-6)
    off = np.maximum(np.abs(generator / np.log(2) - 1), np.abs(discriminator / np.log(4) - 1))
    np.testing.assert_allclose(data["off_undecided"], off, atol=1e-6)
    known = np.isfinite(data["wasserstein_1"])
    assert known.sum() == 16 * 2
    assert np.all(data["wasserstein_1"][known] >= data["mean_gap"][known] - 1e-9)  # the mean is 1-Lipschitz


def test_correlations_are_scipys(made):
    _, summary, data = made
    chosen = np.isfinite(data["wasserstein_1"][..., -1])
    for name in script.INDICATORS:
        x, y = data["wasserstein_1"][..., -1][chosen], data[name][..., -1][chosen]
        value, low, high = summary["spearman"]["30"]["wasserstein_1"][name]
        assert value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert low <= high
        assert summary["kendall"]["wasserstein_1"][name][0] == pytest.approx(stats.kendalltau(x, y).statistic)


def test_pairs_are_what_they_are_called(made):
    out, summary, data = made
    one, other = summary["same_loss"]
    assert abs(np.log(one["discriminator_loss"] / other["discriminator_loss"])) < script.RELATIVE_DIFFERENCE
    assert abs(np.log(one["generator_loss"] / other["generator_loss"])) < script.RELATIVE_DIFFERENCE
    assert one["wasserstein_1"] <= other["wasserstein_1"]
    one, other = summary["same_distance"]
    assert abs(np.log(one["wasserstein_1"] / other["wasserstein_1"])) < script.RELATIVE_DIFFERENCE
    assert one["discriminator_loss"] <= other["discriminator_loss"]
    known = np.isfinite(data["wasserstein_1"][..., -1])
    w1, loss = data["wasserstein_1"][..., -1][known], data["discriminator_loss"][..., -1][known]
    apart = [abs(b - a) for a, x in zip(loss, w1, strict=True) for b, y in zip(loss, w1, strict=True)
             if abs(np.log(x / y)) < script.RELATIVE_DIFFERENCE]  # fmt: skip
    assert other["discriminator_loss"] - one["discriminator_loss"] == max(apart)
    assert (out / "loss_vs_distance.png").stat().st_size > 10_000
    assert summary["answer"].count("\n") == 1


def test_a_penalty_is_no_part_of_a_curve(made):
    (game, rule), plain = runs.game_and_rule("R1", 0.0), slanted_land()

    def all_losses(info):
        """In a step in which, at rate 0, nobody moves: as plotted, and of the games without and with the penalty."""
        games_losses = (games.total_losses(g, info.players, info.sample) for g in (plain, game))
        return runs.plotted(rule, info), *(jnp.stack([*losses]) for losses in games_losses)

    seen, without, with_penalty = jax.jit(lambda key: train(key, game, rule, 5, record=all_losses).history)(
        jax.random.key(0)
    )
    np.testing.assert_allclose(seen, without, rtol=1e-6)  # rounding of float32
    assert np.all(with_penalty[:, 1] > without[:, 1])


@pytest.mark.parametrize("spread", [0.001, 0.1])
def test_no_run_is_paired_with_itself(spread, monkeypatch):
    """Of three runs whose losses, and distances, are so far apart relatively that each, or none, is a pair."""
    monkeypatch.setattr(script, "example", lambda data, index: int(index[2]))
    grown = np.exp(spread * np.arange(3))[None, None, :, None]
    data = dict.fromkeys(("wasserstein_1", "generator_loss", "discriminator_loss"), grown)
    expected = [0, 2] if spread < script.RELATIVE_DIFFERENCE else []
    assert script.telling_pairs(data) == {"same_loss": expected, "same_distance": expected}


def test_without_a_pair_none_is_drawn():
    figure = Figure()
    figures._twins(figure, {"same_loss": []})
    assert not figure.axes
    assert figure.get_suptitle().startswith("No two runs")


def test_every_correlation_is_in_sight():
    ranks = dict.fromkeys(figures.INDICATORS, (-0.9, -0.95, -0.8))
    ax = Figure().subplots()
    figures._correlations(ax, {"spearman": {"30": {"wasserstein_1": ranks}}})
    assert ax.get_xlim()[0] < -0.95


def test_few_known_distances_make_an_answer_too():
    twins = [{"wasserstein_1": 0.1}, {"wasserstein_1": 0.2}]
    data = {"epochs": [5], "spearman": {"5": None}, "runs": 12, "transported": 4, "same_loss": twins}
    for share, last in (
        (0.25, "25% end with equilibrium's losses to 1 %, and the W1 of none of these was found."),
        (0.0, "0% end with equilibrium's losses to 1 %."),
    ):
        few = {"share": share, "wasserstein_1_quantiles": None, "spearman": None}
        said = script.answer(data | {"undecided": {"5": few}})
        assert said.startswith("W1 was found at the end of 4 of 12 runs, too few for a rank correlation.")
        assert said.endswith(last)
    few = {"share": 0.25, "wasserstein_1_quantiles": [0.1, 0.2, 0.3], "spearman": None}
    said = script.answer(data | {"undecided": {"5": few}, "mean_face_wasserstein_1": 0.5})
    assert "W1 from 0.100 to 0.300 (only the mean face: 0.500), too few to be ordered; two with the same" in said
    said = script.answer(data | {"undecided": {"5": few}, "mean_face_wasserstein_1": 0.5, "same_loss": []})
    assert said.endswith("; no two have the same losses.")
