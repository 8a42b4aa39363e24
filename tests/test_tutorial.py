import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import numpy_gan
import pytest
import tutorial
from article_stream import article_players, article_stream

SCRIPT = Path(__file__).parents[1] / "experiments" / "tutorial.py"
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
    outcome = tutorial.run(42, 0.01, 1000, "numpy")
    generator, discriminator = tutorial.last_players(outcome)
    published = tutorial.PUBLISHED
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
    ours = tutorial.run(seed, rate, epochs, "numpy")
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
    outcome = tutorial._run(start, np.float32(stream.latents), np.float32(stream.shown), np.float32(0.01))
    assert outcome.generated.dtype == np.float32
    np.testing.assert_allclose(outcome.generated, tutorial.PUBLISHED["generated"], rtol=0, atol=2e-6)
    published = np.concatenate([tutorial.PUBLISHED[name] for name in list(tutorial.PUBLISHED)[1:]])
    np.testing.assert_allclose(parameters(jax.tree.map(np.asarray, outcome)), published, rtol=0, atol=2e-5)


def test_the_command_writes_everything(tmp_path):
    done = command("--epochs", 20, "--out", tmp_path, "--source", "jax", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    expected = {f"{name}.png" for name in FIGURES} | {"training.gif", "run.json", "errors.npz"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    record = json.loads((tmp_path / "run.json").read_text())
    outcome = tutorial.run(3, 0.01, 20, "jax")
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
    ("arguments", "message"),
    [
        (["--learning-rate", "-1"], "--learning-rate is -1.0"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--source", "dice"], "dice"),
    ],
)
def test_bad_input_is_named_before_any_work(tmp_path, complaint, arguments, message):
    out = tmp_path / "out"
    assert message in complaint(tutorial.tutorial, *arguments, "--out", out)
    assert not out.exists()


def test_an_out_that_is_a_file_is_refused_and_kept(tmp_path, complaint):
    file = tmp_path / "file"
    file.write_text("precious")
    for out in (file, file / "below"):
        assert str(out) in complaint(tutorial.tutorial, "--out", out)
    assert file.read_text() == "precious"


def test_a_failing_run_leaves_the_earlier_result(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text("earlier")
    (tmp_path / "notes.txt").write_text("the user's own")

    def fail(*_):
        raise RuntimeError("interrupted")

    monkeypatch.setattr(tutorial, "save_animation", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        tutorial.tutorial(epochs=2, out=tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "run.json": "earlier",
        "notes.txt": "the user's own",
    }


@pytest.mark.parametrize(("rate", "reason"), [(1e6, "a parameter reached"), (1e308, "infinite or NaN")])
def test_a_run_that_diverges_is_reported_and_not_drawn_as_if_fine(tmp_path, rate, reason, capsys):
    tutorial.tutorial(epochs=10, learning_rate=rate, out=tmp_path)
    assert "DIVERGED" in capsys.readouterr().out
    assert reason in json.loads((tmp_path / "run.json").read_text())["settings"]["diverged"]
    assert (tmp_path / "generator_error.png").exists()
    assert not (tmp_path / "overview.png").exists()
