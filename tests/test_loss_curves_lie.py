import json
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

pytestmark = [
    pytest.mark.xdist_group("loss curves"),  # one process compiles all of it once
    pytest.mark.usefixtures("quick_compile"),
]
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))
import loss_curves_lie as lie  # noqa: E402

from slantgan_jax import faces, games, plots, slanted_land, train  # noqa: E402
from slantgan_jax.analysis import distances, transport  # noqa: E402


def cheap_transports(flat):
    generator, images = lie.players_of(flat).generator, faces.unstack(faces.FACES)
    return {
        "wasserstein_1": transport.wasserstein(generator, images, 1),
        "energy_distance": distances.energy_distance(generator, images),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The script with few, short runs of one method, looked at twice."""
    patch = pytest.MonkeyPatch()
    patch.setattr(lie, "EPOCHS", (2, 30))
    patch.setattr(lie, "RATES", (0.1, 1.0))
    patch.setattr(lie, "RESAMPLES", 10)
    patch.setattr(lie, "METHODS", {"R1": lie.METHODS["R1"]})
    patch.setattr(lie, "BATCH", 16)
    patch.setattr(lie, "TRUTHS", ("wasserstein_1", "energy_distance", "mean_gap"))
    patch.setattr(lie, "transports", cheap_transports)  # the other order compiles as long again
    patch.setattr(plots, "new_figure", partial(plots.new_figure, dpi=40))
    out = tmp_path_factory.mktemp("lie")
    lie.loss_curves_lie(seeds=12, transported=16, out=out)
    yield out, json.loads((out / "data.json").read_text()), dict(np.load(out / "data.npz"))
    patch.undo()


def test_players_and_curves_are_those_of_train(made):
    _, _, data = made
    game, rule = lie.METHODS["R1"](1.0)
    run = jax.jit(lambda key: train(key, game, rule, steps=150).players)
    players = run(jax.random.key(4))
    flat = np.array([*players.generator.weights, *players.generator.biases, *players.discriminator.weights,
                     players.discriminator.bias])  # fmt: skip
    np.testing.assert_allclose(data["players"][0, 1, 4, -1], flat, atol=1e-4)  # 150 steps of rounding
    curves = lie.curves(jax.random.key(4), 1.0, "R1")
    assert curves.shape == (30, 2)
    for i, name in enumerate(lie.UNDECIDED):
        np.testing.assert_allclose(data[f"plotted_{name}"][0, 1, 4], curves[np.array(lie.EPOCHS) - 1, i], atol=1e-4)


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
    for name in lie.INDICATORS:
        x, y = data["wasserstein_1"][..., -1][chosen], data[name][..., -1][chosen]
        value, low, high = summary["spearman"]["30"]["wasserstein_1"][name]
        assert value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert low <= high
        assert summary["kendall"]["wasserstein_1"][name][0] == pytest.approx(stats.kendalltau(x, y).statistic)


def test_pairs_are_what_they_are_called(made):
    out, summary, data = made
    one, other = summary["same_loss"]
    assert abs(np.log(one["discriminator_loss"] / other["discriminator_loss"])) < lie.CLOSE
    assert abs(np.log(one["generator_loss"] / other["generator_loss"])) < lie.CLOSE
    assert one["wasserstein_1"] <= other["wasserstein_1"]
    one, other = summary["same_distance"]
    assert abs(np.log(one["wasserstein_1"] / other["wasserstein_1"])) < lie.CLOSE
    assert one["discriminator_loss"] <= other["discriminator_loss"]
    known = np.isfinite(data["wasserstein_1"][..., -1])
    w1, loss = data["wasserstein_1"][..., -1][known], data["discriminator_loss"][..., -1][known]
    apart = [abs(b - a) for a, x in zip(loss, w1, strict=True) for b, y in zip(loss, w1, strict=True)
             if abs(np.log(x / y)) < lie.CLOSE]  # fmt: skip
    assert other["discriminator_loss"] - one["discriminator_loss"] == max(apart)
    assert (out / "loss_curves_lie.png").stat().st_size > 10_000
    assert summary["answer"].count("\n") == 1


def test_a_penalty_is_no_part_of_a_curve(made):
    (game, rule), plain = lie.METHODS["R1"](0.0), slanted_land()

    @jax.jit
    def all_losses(key):
        """Of an epoch in which, at rate 0, nobody moves: as seen, and of the games without and with the penalty."""
        key_init, key_latent = jax.random.split(key)
        state = rule.init(game.init(key_init))
        _, seen = lie._epoch(game, rule, key_latent, state, jnp.asarray(1))
        samples = [rule.sample(game, key_latent, 5 + i) for i in range(5)]
        means = [
            jnp.mean(jnp.stack([jnp.stack([*games.total_losses(g, state.players, s)]) for s in samples]), axis=0)
            for g in (plain, game)
        ]
        return seen, *means

    seen, without, with_penalty = all_losses(jax.random.key(0))
    np.testing.assert_allclose(seen, without, rtol=1e-6)  # rounding of float32
    assert with_penalty[1] > without[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds 1", "--seeds is 1"),
        ("--seeds -3", "--seeds is -3"),
        ("--transported 9", "--transported is 9"),
        ("--plot-only", "no data.npz"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, refused):
    refused(lie.loss_curves_lie, arguments, message)


def test_an_out_that_is_a_file_is_refused_and_kept(refused_file):
    refused_file(lie.loss_curves_lie)


def test_few_known_distances_make_an_answer_too():
    few = {"wasserstein_1_quantiles": None, "spearman": None}
    summary = {"spearman": {str(lie.EPOCHS[-1]): None}, "undecided": {str(lie.EPOCHS[-1]): few}, "runs": 12}
    twins = [{"wasserstein_1": 0.1}, {"wasserstein_1": 0.2}]
    assert "rank correlation nan" in lie.answer(summary, {"same_loss": twins})
