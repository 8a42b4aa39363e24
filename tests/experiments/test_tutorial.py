import json
import shlex
from dataclasses import asdict, replace
from functools import partial

import analyze
import figures.tutorial as figures
import numpy as np
import numpy_gan
import pytest
import tutorial
from _methods import OBJECTIVES, said, undecided, undecided_losses
from _tutorial_advice import command, smaller_rate, what_happened, what_next
from _tutorial_text import PUBLISHED
from article_stream import article_players, article_stream
from matplotlib.figure import Figure

from slantgan_jax.faces import FACES
from slantgan_jax.networks import to_vector

FIGURES = (
    "story faces noise detector painter verdicts distance error_functions generator_error discriminator_error generated"
)


def test_the_replay_prints_what_the_article_prints():
    outcome = tutorial.trained(42, 0.01, 1000, "numpy")
    images, *parameters = PUBLISHED.values()
    assert np.size(images) + sum(map(len, parameters)) == 29
    close = {"rtol": 0, "atol": 5e-9}  # half a unit of the last printed digit
    np.testing.assert_allclose(outcome["generated"], images, **close)
    np.testing.assert_allclose(outcome["trajectory"][-1], np.concatenate(parameters), **close)


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
    np.testing.assert_allclose(ours["trajectory"][-1], [*G.weights, *G.biases, *D.weights, D.bias], **close)
    np.testing.assert_allclose(ours["generated"], original.generated, **close)
    np.testing.assert_allclose(ours["curves"]["generator_error"], original.generator_errors, **close)
    np.testing.assert_allclose(ours["curves"]["discriminator_error"], original.published_errors, **close)
    np.testing.assert_allclose(ours["curves"]["discriminator_loss"], original.discriminator_losses, **close)


def test_float32_stays_near_the_published_numbers():
    """5000 steps that each round at 6e-8: as a random walk 4e-6, if all the same way 3e-4.
    Measured: 4e-7 in the images, 6e-6 in the parameters."""
    stream = article_stream(42, 5000)
    outcome = tutorial.replay(article_players(stream), *map(np.float32, (stream.latents, stream.shown, 0.01)))
    images, *parameters = PUBLISHED.values()
    assert outcome["generated"].dtype == np.float32
    np.testing.assert_allclose(outcome["generated"], images, rtol=0, atol=2e-6)
    np.testing.assert_allclose(outcome["trajectory"][-1], np.concatenate(parameters), rtol=0, atol=2e-5)


@pytest.mark.slow
def test_the_command_writes_everything(tmp_path, capsys):
    tutorial.EXPERIMENT.parse(["--epochs", "20", "--out", str(tmp_path), "--source", "jax", "--seed", "3"])
    files = {f"{name}.png" for name in [*FIGURES.split(), "network", "overview"]} | {
        "training.gif",
        "flow.gif",
        "run.json",
        "errors.npz",
    }
    assert {path.name for path in tmp_path.iterdir()} == files | {"data.json", "data.npz"}
    record = json.loads((tmp_path / "run.json").read_text())
    outcome = tutorial.trained(3, 0.01, 20, "jax")
    players = to_vector(analyze.players_of(tmp_path / "run.json"))
    np.testing.assert_array_equal(players, outcome["trajectory"][-1])
    assert np.shape(record["generated"]) == (4, 4)
    assert record["settings"] | {"seed": 3, "learning_rate": 0.01, "epochs": 20, "source": "jax"} == record["settings"]
    assert {"python", "jax", "numpy", "optax", "revision"} <= set(record["versions"])
    with np.load(tmp_path / "errors.npz") as errors:
        assert {name: errors[name].shape for name in errors} == dict.fromkeys(outcome["curves"], (100,))
    said = capsys.readouterr().out
    for line in ("score", "2.0", "-0.5", "0.73", "0.38", "1.70", "0.85", "What to see", "To try next"):
        assert line in said


def ended(mean, slope=1.0, says=(0.4, 0.5), weight=0.0, earlier=0.0, before=(-1, 1), bias=0.0, **options):
    """What is known of a run whose generator draws about `mean`, and whose D has these slopes on the diagonal.

    `earlier` is its distance to equilibrium before the last epoch, and `before` are the excesses of slant and the
    rewards of slant that it had.
    """
    mean = np.array(mean)
    with np.errstate(divide="ignore"):
        generator = {"weights": np.full(4, weight), "biases": np.log(mean / (1 - mean))}
    settings = tutorial.Settings(**options)
    return {
        "mean_image": mean,
        "faces": FACES,
        "distance to equilibrium": np.array(
            9 * [earlier] + [np.hypot(2 * slope, np.linalg.norm(mean - FACES.mean(0)))]
        ),
        "distance": np.append(1.0, np.full(9, np.linalg.norm(mean - FACES.mean(0)))),
        "excess of slant": np.append(before, tutorial.SLANT @ (mean - FACES.mean(0))),
        "reward of slant": np.append(before, 2 * slope),
        "undecided D says": undecided(settings.objective),
        "generator": generator,
        "discriminator": {"weights": slope * np.array([1, -1, -1, 1]), "bias": bias},
        "verdicts": {"real": np.array([0.9, says[0]]), "fake": np.array([0.1, says[1]])},
        "settings": asdict(settings),
    }


def nearing(data):
    """The same run, of which the distance from the mean face has fallen in each epoch."""
    return data | {"distance": np.linspace(1.0, data["distance"][-1], 10)}


def still(data):
    """The same run, whose distance from the mean face has been what it is from the start."""
    return data | {"distance": np.full_like(data["distance"], data["distance"][-1])}


def parting(data):
    """The same run, of which the distance from the mean face has grown in each epoch."""
    return data | {"distance": np.linspace(0.0, data["distance"][-1], 10)}


PALE, DARK, RIGHT, FLAT = (0.7, 0.3, 0.3, 0.7), (0.95, 0.05, 0.05, 0.95), (0.88, 0.12, 0.12, 0.88), (1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (ended(PALE), "on its way"),
        (ended(DARK), "has passed the mean face: its slant is stronger"),
        (parting(ended(DARK, before=[1])), "and D rewards an even stronger one: G moves away"),
        (nearing(ended(DARK, before=[1])), "rewards an even stronger one. Still, G comes nearer to the mean face."),
        (ended(DARK, before=[1]), "and D rewards an even stronger one, but G hardly moves."),
        (ended(DARK, -1.0), "D has turned and rewards a weaker one: G is on its way back"),
        (ended(DARK, -1.0, before=[]), "D rewards a weaker one: G is on its way to"),
        (ended(PALE, -1.0), "has passed the mean face: its slant is too weak"),
        (ended(PALE, -1.0), "than real faces: it learned from earlier images"),
        (parting(ended(PALE, -1.0, before=[])), "D rewards an even weaker one: G moves away from the mean face"),
        (ended(PALE, -1.0, before=[]), "for faces rather than real faces."),
        (ended(PALE, before=[]), "on its way to the mean face, but it hardly moves."),
        (nearing(ended(PALE, before=[])), "on its way to the mean face. This has not"),
        (ended(PALE, 9.0, bias=-30.0, objective="saturating"), "there the saturating loss has no slope"),
        (ended(PALE, 9.0, bias=-30.0), "on its way"),
        (
            nearing(ended(PALE, -0.05, penalty="R1", strength=1.0)),
            "slant is too weak. This has not converged. D is held",
        ),
        (ended(PALE), "converged. The two players circle around each other"),
        (ended(PALE, epochs=500), "The run is too short to show that the two players circle around each other"),
        (ended(PALE, before=[]), "The run is too short to show that the two players circle around each other"),
        (ended(PALE, learning_rate=1.54, order="alternating"), "converged. The two players circle around each other"),
        (ended(PALE, learning_rate=1.56, order="alternating"), "slant is too weak. This has not converged. At so larg"),
        (ended(RIGHT, 0.1, learning_rate=3.0, order="alternating"), "but the run is not at an equilibrium. In"),
        (nearing(ended(PALE, 0.05, penalty="R1", strength=1.0)), "D is held so flat that G comes in straight"),
        (ended(PALE, penalty="R1", strength=1.0, learning_rate=0.2866), "beside the equilibrium, 0.36 from"),
        (
            ended(PALE, penalty="R1", strength=1.0, learning_rate=0.2866, objective="least squares"),
            "beside the equilibrium, 0.36 from",
        ),
        (still(ended(PALE) | {"distance to equilibrium": np.ones(10)}), "Neither player has moved"),
        (ended(PALE, penalty="R1", strength=100.0), "on its way"),
        (ended(RIGHT, 0.0), "at an equilibrium, but for the noise of sampling: D has nothing left"),
        (ended(RIGHT, 0.0, penalty="R1"), "sampling and the way in which this order damps D"),
        (ended(RIGHT, 0.0, (0.28, 0.28), learning_rate=1.0), "D does not say 0.5: the order of the moves shifts"),
        (ended(RIGHT, 0.0, (0.18, 0.18), objective="least squares"), "D does not say 0.5: the order of the moves"),
        (ended(RIGHT, 0.5), "not at an equilibrium. In the last fifth of its epochs it was up to 1.00 away from one"),
        (ended(RIGHT, 0.0, earlier=0.5), "not at an equilibrium"),
        (ended(FLAT), "G is stuck"),
        (ended(PALE, objective="Wasserstein"), "D is a score, not a probability; in the mean it is 0.40 for faces"),
        (ended(PALE, objective="least squares"), "An undecided D would say 0.5."),
    ],
)
def test_the_text_says_where_in_its_circle_a_run_is(data, said):
    assert said in what_happened(data).replace("\n", " ")


@pytest.mark.slow
def test_only_runs_that_circle_are_said_to():
    assert "circle" not in what_happened(ended(PALE, penalty="R1"))
    assert "circle" not in what_happened(ended(PALE, objective="Wasserstein"))
    assert "circle" not in what_happened(ended(FLAT, learning_rate=10.0))
    assert "circle" not in what_happened(ended(PALE, 9.0, bias=-30.0, objective="saturating"))
    flat = partial(ended, PALE, 0.05, penalty="R1")
    assert "straight" in what_happened(nearing(flat(strength=0.3)))
    for other in (
        nearing(flat(strength=0.3, objective="Wasserstein")),
        nearing(ended(PALE, 3.0, penalty="R1", strength=0.3)),  # D is steep
        flat(strength=0.3),  # G does not come nearer
        nearing(flat(strength=2.0, order="simultaneous", learning_rate=0.6)),  # D's slopes change their sign each step
    ):
        assert "straight" not in what_happened(other)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, ["--epochs 12000", "--epochs 12000 --penalty R1", "--learning-rate 1 --order simultaneous"]),
        ({"penalty": "R1", "strength": 1.0}, ["--epochs 10000 --penalty R1 --strength 1"]),
        ({"order": "simultaneous", "learning_rate": 1.0}, ["--learning-rate 0.1 --order simultaneous"]),
        ({"objective": "KL-type", "epochs": 10}, ["--epochs 100 --objective KL-type"]),
        ({"learning_rate": 0.123456789, "epochs": 100}, ["--learning-rate 0.123456789 --epochs 970"]),
        ({"learning_rate": 20.0}, ["--seed 43 --learning-rate 20"]),
        ({"learning_rate": 20.0, "order": "alternating"}, ["--learning-rate 0.1 --order alternating"]),
        ({"learning_rate": 23.0}, ["--learning-rate 0.1"]),
        ({"learning_rate": 5.0}, ["--learning-rate 20"]),
        (
            {"learning_rate": 0.2866, "penalty": "R1", "strength": 1.0},
            ["--learning-rate 0.2866 --order alternating --penalty R1 --strength 1"],
        ),
        ({"penalty": "R1", "epochs": 1_000_000}, ["--seed 43 --epochs 1000000 --penalty R1"]),
    ],
)
def test_what_to_try_next_are_whole_commands_that_the_script_takes(options, arguments, tmp_path):
    lines = [line.removeprefix("python experiments/tutorial.py ") for line, _ in what_next(ended(PALE, **options))]
    assert set(arguments) <= set(lines)
    assert command(asdict(tutorial.Settings(**options))) not in [line for line, _ in what_next(ended(PALE, **options))]

    def compute(settings, out):
        raise KeyboardInterrupt

    for line in lines:
        with pytest.raises(KeyboardInterrupt):
            replace(tutorial.EXPERIMENT, compute=compute).parse([*shlex.split(line), "--out", str(tmp_path)])


def test_where_d_is_certain_the_loss_without_this_flaw_is_proposed():
    options = {"objective": "saturating", "learning_rate": 20.0, "seed": 2}
    lines = [line for line, _ in what_next(ended(PALE, 9.0, bias=-30.0, **options))]
    assert [line.partition(".py ")[2] for line in lines] == [
        "--seed 2 --learning-rate 20", "--seed 2 --objective saturating"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 10}, "it circles: one turn takes about 2,140 epochs"),
        ({"epochs": 10, "learning_rate": 1.0}, "it circles"),
        ({"epochs": 10, "objective": "Wasserstein"}, "longer: does it come to rest?"),
        ({"learning_rate": 1e-7}, "a larger rate: with this one a turn takes 2e+08 epochs"),
        ({"learning_rate": 1e-7, "objective": "Wasserstein"}, "a larger rate: this one is small for any run"),
    ],
)
def test_a_turn_is_stated_only_where_its_length_is_known(options, said):
    assert next(seen for _, seen in what_next(ended(PALE, **options))) == said


@pytest.mark.slow
def test_a_run_that_passes_the_mean_face_with_a_steep_d_is_not_at_rest():
    """Its mean image is 0.018 from the mean face, and the length of D's slopes is 3."""
    run = tutorial.trained(44, 0.01, 446, "numpy")
    assert np.linalg.norm(tutorial.mean_gaps(run["trajectory"])[-1]) < 0.02
    np.testing.assert_allclose(tutorial.distance_to_equilibrium(run["trajectory"])[-1], 2.97, atol=0.01)
    (line, _), *_ = what_next(ended(RIGHT, 3.0))
    assert "--epochs" in line  # and not another start


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"learning_rate": 1e6}, 0.01),
        ({}, 0.001),
        ({"penalty": "R1", "strength": 1000.0}, 0.00025),
        ({"penalty": "WGAN-GP", "strength": 1e6, "learning_rate": 0.001, "epochs": 10}, 2.5e-7),
        ({"penalty": "R1", "strength": 0.0}, 0.001),
    ],
)
def test_after_a_divergence_the_rate_is_smaller_and_below_one_over_the_strength(options, rate):
    settings = asdict(tutorial.Settings(**options))
    assert smaller_rate(settings) == rate
    assert smaller_rate(settings | {"learning_rate": rate}) < rate
    run = tutorial.trained(**settings | {"learning_rate": rate, "epochs": 10})
    assert tutorial.divergence(run["trajectory"][-1]) is None


@pytest.mark.slow
def test_no_rate_beyond_one_over_the_strength_is_proposed():
    """With R1 of strength 1e6 a turn is far, but a larger rate diverges; and a rate of 5 is too large for R1 of 0.1."""
    lines = [line for line, _ in what_next(ended(PALE, penalty="R1", strength=1e6, learning_rate=2.5e-7))]
    assert lines == [
        "python experiments/tutorial.py --learning-rate 2.5e-07 --epochs 10000 --penalty R1 --strength 1e+06"
    ]
    assert any("--penalty R1 --strength 0.05" in line for line, _ in what_next(ended(PALE, learning_rate=5.0)))


def test_the_distance_is_that_of_the_mean_image_and_its_least_is_known():
    """The 12,000-epoch run of docs/teaching.md is too long here: of the first 1000 epochs the least is at 382."""
    run = tutorial.trained(42, 0.01, 1000, "numpy")
    found = np.linalg.norm(tutorial.mean_gaps(run["trajectory"]), axis=-1)
    assert found.shape == (1001,)
    np.testing.assert_allclose(found[-1], np.linalg.norm(run["generated_mean"] - FACES.mean(0)), atol=1e-6)
    assert found.argmin() == 382


@pytest.mark.slow
def test_other_losses_orders_and_penalties_train_too():
    plain = tutorial.trained(42, 0.01, 40, "numpy")["trajectory"]
    for options in ({"objective": "hinge"}, {"order": "alternating, G first"}, {"penalty": "R1", "strength": 1.0}):
        other = tutorial.trained(42, 0.01, 40, "numpy", **options)["trajectory"]
        assert other.shape == plain.shape
        assert np.abs(other - plain).max() > 1e-3
    without = tutorial.trained(42, 0.01, 40, "numpy", penalty="R1", strength=0.0)["trajectory"]
    np.testing.assert_array_equal(without, plain)
    settings = tutorial.Settings(objective="relativistic")
    with pytest.raises(ValueError, match="add --order alternating"):
        settings.check()


UNDECIDED = {
    "non-saturating": (np.log(2), 2 * np.log(2)),
    "saturating": (-np.log(2), 2 * np.log(2)),
    "KL-type": (0, 2 * np.log(2)),
    "relativistic": (np.log(2), np.log(2)),
    "least squares": (1 / 8, 1 / 4),  # of a score of 1/2, halfway between D's targets
    "Wasserstein": (None, 0),  # G's is minus D's bias
    "hinge": (None, 2),
    "smoothed": (-np.log(0.45), -np.log(0.45**0.9) - np.log(0.55**1.1)),  # D = 0.9 / 2
}


@pytest.mark.parametrize("objective", UNDECIDED)
def test_an_undecided_discriminator_has_the_losses_of_a_coin(objective):
    assert undecided_losses(objective) == pytest.approx(UNDECIDED[objective], rel=1e-6, abs=1e-7)


SAYS = {"smoothed": 0.45, "least squares": 0.5, "Wasserstein": None, "hinge": None, "relativistic": None}


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_undecided_is_drawn_where_d_is_and_nowhere_if_any_constant_is(objective):
    level = SAYS.get(objective, 0.5)
    assert undecided(objective) == (level and pytest.approx(level))
    data = {"settings": {"objective": objective}, "undecided D says": undecided(objective)}
    data |= {"verdicts": {"real": np.array([0.8, 0.7]), "fake": np.array([0.1, 0.3])}}
    figure = Figure()
    figures.verdicts(figure, data)
    drawn = [line.get_ydata()[0] for line in figure.axes[0].lines[2:]]
    assert drawn == ([] if level is None else [pytest.approx(level)])
    assert ("dotted" in figure.axes[0].get_title()) == (level is not None)
    assert ("no probability" in figure.axes[0].get_ylabel()) == (level is None or objective == "least squares")


@pytest.mark.parametrize(
    ("says", "level", "of_mean_face", "words"),
    [
        (0.62, 0.5, 0.9, "a face"), (0.45, 0.45, 0.9, "undecided"), (0.3, 0.5, 0.1, "no face"),
        (2.0, None, 2.0, "as the mean face"), (2.0, None, 3.0, "below the mean face"),
        (-2.0, None, -3.0, "above the mean face"),
    ],
)  # fmt: skip
def test_a_verdict_is_that_of_an_undecided_d_or_beside_the_mean_face(says, level, of_mean_face, words):
    assert figures.verdict_of(says, level, of_mean_face)[0] == words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "start"),
    [
        ("non-saturating", "D takes a generated image for a face with the probability 0.50"),
        ("Wasserstein", "D gives a generated image the score 0.00 and the mean face 0.00"),
    ],
)
def test_a_score_is_not_called_a_probability(objective, start):
    trajectory = np.zeros((6, 13))
    data = {"diverged": None, "settings": {"objective": objective}, "frames": tutorial.frames(trajectory, objective)}
    assert tutorial.answer(data).startswith(start)
    verdicts = tutorial.verdicts(trajectory, objective)
    np.testing.assert_allclose(verdicts["real"], float(said(objective, 0.0)))


@pytest.mark.slow
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
    data = {"curves": {"discriminator_error": errors}, "faces": np.zeros((5, 4))}
    figures.error_curve(ax, data, "discriminator_error")
    steps, means = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(means, [2, 7, np.nan])
    np.testing.assert_array_equal(steps[:10], errors[:10])
    assert np.isnan(steps[10:13]).all()


def test_animation_shows_the_epochs_asked_for():
    rng = np.random.default_rng(0)
    shown = {
        "images": rng.uniform(size=(3, 2, 9)), "verdicts": rng.uniform(size=(3, 2)),
        "of the mean face": rng.uniform(size=3), "generator weights": rng.normal(size=(3, 9)),
        "discriminator weights": rng.normal(size=(3, 9)),
    }  # fmt: skip
    curves = {"generator_error": np.ones(25), "discriminator_loss": np.ones(25)}
    data = {"undecided D says": 0.5, "frames": {"epochs": [0, 2, 5], "latents": [0.1, 0.9], **shown}, "curves": curves}
    frames = list(figures.animation_frames(data | {"faces": np.zeros((5, 9))}))
    assert [frame.shape for frame in frames] == [(560, 900, 3)] * 3
    assert not np.array_equal(frames[0], frames[1])
