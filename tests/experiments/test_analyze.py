import json

import analyze
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from analyze import TUTORIAL, Play
from scipy.linalg import sqrtm

from slantgan_jax import faces, games, losses, networks, slanted_land
from slantgan_jax.analysis import equilibria
from slantgan_jax.numerics import as_float

pytestmark = [
    pytest.mark.xdist_group("analyze"),  # one process compiles the transport once
    pytest.mark.usefixtures("quick_compile"),
    pytest.mark.slow,
]


def run_json(weights=(1, 2, 3, 4), biases=(1, 2, 3, 4), slopes=(1, 2, 3, 4), bias=0):
    generator, discriminator = {"weights": weights, "biases": biases}, {"weights": slopes, "bias": bias}
    return json.dumps({"generator": generator, "discriminator": discriminator})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.json"


def test_measures_are_those_of_a_fine_grid_in_numpy(path, x64):
    w, b, u, c = [1.5, -0.7, 0.4, 2.0], [0.3, -1.0, -1.4, 0.2], [0.6, -0.3, -0.4, 0.4], -0.2
    path.write_text(run_json(w, b, u, c))
    found = analyze.analysis_of(analyze.players_of(path))
    z = (np.arange(3000) + 0.5) / 3000  # midpoints: an error of about 1/(24 · 3000²) = 5e-9 times a second derivative
    drawn, real = 1 / (1 + np.exp(-(np.outer(z, w) + b))), faces.FACES
    np.testing.assert_allclose(found["mean_image"], drawn.mean(0), atol=1e-8)
    np.testing.assert_allclose(found["mean_gap"], np.linalg.norm(drawn.mean(0) - real.mean(0)), atol=1e-8)
    covariances = [np.cov(x.T, bias=True) for x in (drawn, real)]
    np.testing.assert_allclose(found["variance_trace"], np.trace(covariances[0]), atol=1e-8)
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    frechet = found["mean_gap"] ** 2 + np.trace(covariances[0] + covariances[1] - 2 * root)
    np.testing.assert_allclose(found["frechet_squared"], frechet, atol=1e-6)  # the square root of a singular matrix

    def distances(x, y):
        return np.sqrt(np.maximum(((x[:, None] - y[None]) ** 2).sum(-1), 0))

    cross, ours, theirs = distances(drawn, real), distances(drawn, drawn), distances(real, real)
    # |z - z'| has a kink: the midpoint rule is off by at most a slope of 1 times 1/(3 · 3000²).
    np.testing.assert_allclose(found["energy_distance"], 2 * cross.mean() - ours.mean() - theirs.mean(), atol=1e-6)
    for scale, value in found["mmd_squared"].items():
        kernel = [np.exp(-(d**2) / (2 * float(scale) ** 2)).mean() for d in (ours, theirs, cross)]
        np.testing.assert_allclose(value, kernel[0] + kernel[1] - 2 * kernel[2], atol=1e-6)
    fake, of_real = drawn @ u + c, real @ u + c
    np.testing.assert_allclose(found["generator_loss"], np.logaddexp(0, -fake).mean(), atol=1e-8)
    d_loss = np.logaddexp(0, -of_real).mean() + np.logaddexp(0, fake).mean()
    np.testing.assert_allclose(found["discriminator_loss"], d_loss, atol=1e-8)
    inside = drawn * (1 - drawn) * -(1 / (1 + np.exp(fake)))[:, None] * u  # dL_G / d(pixel score)
    judged = [-(1 / (1 + np.exp(of_real)))[:, None], (1 / (1 + np.exp(-fake)))[:, None]]
    of_d = (judged[0] * real).mean(0) + (judged[1] * drawn).mean(0), [judged[0].mean() + judged[1].mean()]
    field = np.concatenate([(inside * z[:, None]).mean(0), inside.mean(0), *of_d])
    np.testing.assert_allclose(found["field_norm"], np.linalg.norm(field), atol=1e-8)
    assert found["wasserstein_1"] <= found["wasserstein_2"] <= 2
    assert found["wasserstein_1"] >= found["mean_gap"]  # the mean is 1-Lipschitz
    assert found["duality_gap"] >= 0
    assert found["nikaido_isoda_gap"] >= 0


def test_at_an_equilibrium_no_gap_is_left(x64):
    players = equilibria.equilibrium(tuple(np.array([2.0, -1.0, 0.5, 3.0])), faces.unstack(faces.FACES))
    found = analyze.analysis_of(jax.tree.map(as_float, players))
    for name in ("mean_gap", "field_norm", "duality_gap", "nikaido_isoda_gap"):
        assert abs(found[name]) < 1e-13, name  # rounding
    np.testing.assert_allclose(found["discriminator_loss"], 2 * np.log(2), rtol=1e-14)
    assert not found["separable"]
    assert found["wasserstein_1"] > 0.05  # equal means are not equal distributions: all that D can see is nothing


def test_a_run_is_judged_by_its_own_objective(path, x64, capsys):
    """At the equilibrium of least squares, in closed form: u = 0, c = 1/2, w = 0, b = logit of the mean face."""
    mean = faces.FACES.mean(0)
    record = json.loads(run_json([0] * 4, np.log(mean / (1 - mean)).tolist(), [0] * 4, 0.5))
    for settings, levels, objective in (
        ({"objective": "least squares"}, (1 / 8, 1 / 4), "least squares"),
        ({"objective": "hinge"}, (-1 / 2, 2), "hinge"),
        ({}, (np.log1p(np.exp(-0.5)), np.log1p(np.exp(-0.5)) + np.log1p(np.exp(0.5))), TUTORIAL),
        (None, (np.log1p(np.exp(-0.5)), np.log1p(np.exp(-0.5)) + np.log1p(np.exp(0.5))), TUTORIAL),
    ):
        path.write_text(json.dumps(record | {"settings": settings}))
        found = analyze.parse([str(path)])
        assert found["objective"] == objective
        np.testing.assert_allclose([found["generator_loss"], found["discriminator_loss"]], levels, rtol=1e-12)
        assert (found["field_norm"] < 1e-13) == (objective != TUTORIAL)  # rounding
        said = capsys.readouterr().out
        assert ("0.125 if D is undecided" in said) == (objective == "least squares")
        assert ("0.693 if D is undecided" in said) == (objective == TUTORIAL)


def test_a_run_with_another_logit_is_judged_by_it(path, x64, capsys):
    """With spectral normalization: the losses and the gaps of the normalized D, and the gradients through it."""
    w, b, u, c = [1.5, -0.7, 0.4, 2.0], [0.3, -1.0, -1.4, 0.2], [0.6, -0.3, -0.4, 0.4], -0.2
    settings = {"objective": "hinge", "way": "spectral norm", "penalty": "R1"}
    path.write_text(json.dumps(json.loads(run_json(w, b, u, c)) | {"settings": settings}))
    found = analyze.parse([str(path)])
    said = capsys.readouterr().out
    assert "D has the logit of spectral norm" in said
    assert "are those without the penalty R1" in said
    path.write_text(run_json(w, b, (np.array(u) / np.linalg.norm(u)).tolist(), c))
    of_unit = analyze.analysis_of(analyze.players_of(path), Play("hinge"))
    for name in ("generator_loss", "discriminator_loss", "duality_gap", "nikaido_isoda_gap"):
        np.testing.assert_allclose(found[name], of_unit[name], rtol=1e-12)
    game = slanted_land(objective=losses.hinge)

    def both(vector):
        w, b, u, c = jnp.split(vector, [4, 8, 12])
        return jnp.stack(
            games.expected_losses(game, networks.from_vector(jnp.hstack([w, b, u / jnp.linalg.norm(u), c])))
        )

    of_g, of_d = jax.jit(jax.jacobian(both))(jnp.array([*w, *b, *u, c]))
    # The default quadrature of ten latents is exact to 1e-9 for weights of 2, but for the kinks of the hinge.
    np.testing.assert_allclose(found["field_norm"], np.linalg.norm([*of_g[:8], *of_d[8:]]), rtol=1e-8)


@pytest.mark.parametrize(
    ("settings", "play"),
    [
        (None, Play()),
        ({"seed": 42}, Play()),
        ({"objective": "hinge", "penalty": "none"}, Play("hinge")),
        (
            {"way": "instance noise", "penalty": "R1"},
            Play(way="instance noise", without=("the penalty R1", "the instance noise")),
        ),
        ({"objective": "another"}, "objective 'another': name a run of one of non-saturating, saturating"),
        ({"objective": None}, "objective None: name a run"),
        ({"way": "magic"}, "way 'magic': name a run of one of plain"),
    ],
)
def test_how_a_run_was_played_is_known_or_the_file_is_refused(path, settings, play):
    path.write_text(json.dumps({"settings": settings}))
    if isinstance(play, Play):
        assert analyze.play_of(path) == play
    else:
        with pytest.raises(ValueError, match=f"run.json has the {play}"):
            analyze.play_of(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "not a run.json"),
        ("no json", "not a run.json"),
        (None, "not a run.json"),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
        ("[" * 100_000, "RecursionError"),
        (run_json([1, 2, 3, 10**400]), "OverflowError"),
        (run_json([1], [1], [1]), "pixels"),
        (run_json([1, 2, 3, None]), "not finite"),
        (run_json([1, 2, 3, 1e300]), "beyond 10000"),
        (run_json(bias=[1, 2]), "run.json has players of the shapes"),
    ],
)
def test_files_that_are_no_run_are_refused(path, content, message):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        analyze.players_of(path)


def test_the_script_computes_with_every_digit_of_the_run(path):
    with jax.enable_x64(True):
        resting = equilibria.equilibrium(np.array([1.0, -2.0, 0.5, 3.0]), faces.FACES).generator
        w, b = (np.asarray(leaf).tolist() for leaf in resting)
    path.write_text(run_json(w, b, [1e-10] * 4, 0))
    found = analyze.parse([str(path)])
    assert found["mean_gap"] < 1e-14  # in float32 it would be 1e-8
    assert 1e-11 < found["field_norm"] < 1e-9  # and this would be 4e-9


def test_the_script_writes_what_it_prints(path, capsys):
    path.write_text(run_json())
    analyze.parse([str(path)])
    data = json.loads((path.parent / "analysis.json").read_text())
    assert set(data["mmd_squared"]) == {"0.1", "0.25", "0.5", "1.0"}
    assert set(data["best_discriminator_loss"]) == {"ridge_0", "ridge_0.001", "ridge_0.01"}
    said = capsys.readouterr().out
    keys = "mean_image mean_gap variance_trace wasserstein_1 wasserstein_2 energy_distance mmd_squared frechet_squared "
    keys += "discriminator_loss generator_loss field_norm duality_gap nikaido_isoda_gap separable"
    for key in keys.split():
        assert f"{key:25} {data[key]}\n" in said
