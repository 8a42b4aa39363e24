import json
import subprocess
import sys
from pathlib import Path

import _tutorial_text
import figures.tutorial as figures
import jax
import numpy as np
import numpy_gan
import pytest
import tutorial
from article_stream import article_players, article_stream
from matplotlib.figure import Figure

SCRIPT = Path(__file__).parents[2] / "experiments" / "tutorial.py"
FIGURES = [
    "faces",
    "noise",
    "error_functions",
    "generator_error",
    "discriminator_error",
    "generated",
    "network",
    "overview",
]


def command(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def parameters(outcome):
    (w, b), (u, c) = tutorial.last_players(outcome)
    return np.concatenate([w, b, u, [c]])


def test_the_replay_prints_what_the_article_prints():
    outcome = tutorial.trained(42, 0.01, 1000, "numpy")
    generator, discriminator = tutorial.last_players(outcome)
    published = _tutorial_text.PUBLISHED
    pairs = [
        (outcome.generated, published["generated"]),
        (generator.weights, published["generator weights"]),
        (generator.biases, published["generator biases"]),
        (discriminator.weights, published["discriminator weights"]),
        (discriminator.bias, published["discriminator bias"][0]),
    ]
    assert sum(np.size(value) for _, value in pairs) == 29
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-9)  # half a unit of the last printed digit


@pytest.mark.parametrize(
    ("seed", "rate", "epochs"),
    [(42, 0.01, 1000), (0, 0.1, 300), (7, 0.003, 200), (123456, 1.0, 200), (2**32 - 1, 0.5, 50)],
)
def test_any_replay_follows_the_original_program(seed, rate, epochs):
    ours = tutorial.trained(seed, rate, epochs, "numpy")
    original = numpy_gan.train(seed, rate, epochs, true_losses=True)
    G, D = original.generator, original.discriminator
    # Both are float64; orders of summation differ, so 1e-16 a step, and no direction grows fast. Measured: 2e-14.
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(parameters(ours), np.concatenate([G.weights, G.biases, D.weights, [D.bias]]), **close)
    np.testing.assert_allclose(ours.generated, original.generated, **close)
    np.testing.assert_allclose(ours.curves.generator_error, original.generator_errors, **close)
    np.testing.assert_allclose(ours.curves.discriminator_error, original.published_errors, **close)
    np.testing.assert_allclose(ours.curves.discriminator_loss, original.discriminator_losses, **close)


def test_float32_stays_near_the_published_numbers():
    """5000 steps that each round at 6e-8: as a random walk 4e-6, if all the same way 3e-4.
    Measured: 4e-7 in the images, 6e-6 in the parameters."""
    stream = article_stream(42, 5000)
    start = article_players(stream)
    outcome = tutorial._trained(start, np.float32(stream.latents), np.float32(stream.shown), np.float32(0.01))
    assert outcome.generated.dtype == np.float32
    np.testing.assert_allclose(outcome.generated, _tutorial_text.PUBLISHED["generated"], rtol=0, atol=2e-6)
    published = np.concatenate([_tutorial_text.PUBLISHED[name] for name in list(_tutorial_text.PUBLISHED)[1:]])
    np.testing.assert_allclose(parameters(jax.tree.map(np.asarray, outcome)), published, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_the_command_writes_everything(tmp_path):
    done = command("--epochs", 20, "--out", tmp_path, "--source", "jax", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    expected = {f"{name}.png" for name in FIGURES} | {"training.gif", "run.json", "errors.npz", "data.json", "data.npz"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    record = json.loads((tmp_path / "run.json").read_text())
    outcome = tutorial.trained(3, 0.01, 20, "jax")
    generator, discriminator = tutorial.last_players(outcome)
    np.testing.assert_allclose(record["generator"]["weights"], generator.weights, atol=1e-6)  # XLA flags differ here
    np.testing.assert_allclose(record["generator"]["biases"], generator.biases, atol=1e-6)
    np.testing.assert_allclose(record["discriminator"]["weights"], discriminator.weights, atol=1e-6)
    np.testing.assert_allclose(record["discriminator"]["bias"], discriminator.bias, atol=1e-6)
    assert np.shape(record["generated"]) == (4, 4)
    assert record["settings"] | {"seed": 3, "learning_rate": 0.01, "epochs": 20, "source": "jax"} == record["settings"]
    assert {"python", "jax", "numpy", "optax", "revision"} <= set(record["versions"])
    with np.load(tmp_path / "errors.npz") as errors:
        assert {name: errors[name].shape for name in errors} == dict.fromkeys(tutorial.Curves._fields, (100,))
    for line in ("score", "2.0", "-0.5", "0.73", "0.38", "1.70", "0.85"):
        assert line in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"learning_rate": -1.0}, "--learning-rate is -1.0"),
        ({"learning_rate": float("nan")}, "--learning-rate is nan"),
        ({"epochs": 0}, "--epochs is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"seed": 2**32}, "--seed is 4294967296"),
    ],
)
def test_bad_input_is_named(option, message):
    with pytest.raises(ValueError, match=message):
        tutorial.Settings(**option).check()


def test_a_source_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        tutorial.EXPERIMENT.parse(["--source", "dice"])
    assert stopped.value.code == 2
    assert "dice" in capsys.readouterr().err


def test_a_failing_run_leaves_the_earlier_result(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text("earlier")
    (tmp_path / "notes.txt").write_text("the user's own")

    def fail(*_):
        raise RuntimeError("interrupted")

    monkeypatch.setattr(figures, "animation_frames", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        tutorial.EXPERIMENT.parse(["--epochs", "2", "--out", str(tmp_path)])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "run.json": "earlier",
        "notes.txt": "the user's own",
    }


@pytest.mark.parametrize(("rate", "reason"), [(1e6, "a parameter reached"), (1e308, "infinite or NaN")])
def test_a_run_that_diverges_is_reported_and_not_drawn_as_if_fine(tmp_path, rate, reason, capsys):
    (tmp_path / "overview.png").write_text("of an earlier run")
    tutorial.EXPERIMENT.parse(["--epochs", "10", "--learning-rate", str(rate), "--out", str(tmp_path)])
    assert "DIVERGED" in capsys.readouterr().out
    assert reason in json.loads((tmp_path / "run.json").read_text())["settings"]["diverged"]
    assert (tmp_path / "generator_error.png").exists()
    assert not (tmp_path / "overview.png").exists()


def test_error_curve_averages_epochs_and_leaves_out_what_diverged():
    ax = Figure().subplots()
    errors = np.concatenate([np.arange(10.0), [np.inf, np.nan, 1e300, 1, 1]])
    figures.error_curve(ax, {"curves": {"loss": errors}, "faces": np.zeros((5, 4))}, "loss", "black")
    steps, means = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(means, [2, 7, np.nan])
    np.testing.assert_array_equal(steps[:10], errors[:10])
    assert np.isnan(steps[10:13]).all()


def test_animation_shows_the_epochs_asked_for():
    rng = np.random.default_rng(0)
    shown = {"images": rng.uniform(size=(3, 2, 9)), "probabilities": rng.uniform(size=(3, 2))}
    frames = figures.animation_frames(
        {
            "frames": {"epochs": [0, 2, 5], "latents": [0.1, 0.9], **shown},
            "curves": {"generator_error": np.ones(25), "discriminator_loss": np.ones(25)},
            "faces": np.zeros((5, 4)),
        }
    )
    frames = list(frames)
    assert [frame.shape for frame in frames] == [(368, 560, 3)] * 3
    assert not np.array_equal(frames[0], frames[1])
