import dataclasses
import re

import _claims
import gulrajani_2017
import jax
import mescheder_2017
import metz_2017
import numpy as np
import pacgan_2018
import pytest
import qin_2020
import thanh_tung_2019
import toy_gan
import xarray as xr
from _experiment import check_the_same
from _methods import ORDERS
from _toys import DESCENTS, DIMS, FATES, TOY_METHODS, fate, quantiles, share, shown, summary
from figures import reproductions as figures
from matplotlib.figure import Figure

from slantgan_jax import Players, datasets, games, losses, networks, train
from slantgan_jax.networks import to_vector

TINY = "--seeds 3 --steps 50 --batch 8 --generator 4 --discriminator 4 --latents 2 --data"


def shapes(settings):
    """The shapes of the results of a run, traced and not computed."""
    return jax.eval_shape(lambda seed: toy_gan.run(jax.random.key(seed), settings), np.uint32(0))


@pytest.mark.long
@pytest.mark.parametrize("method", TOY_METHODS)
def test_every_method_plays_with_every_optimizer(method):
    for optimizer in DESCENTS:
        found = shapes(toy_gan.Settings(method=method, optimizer=optimizer, objective="saturating"))
    assert found["points"].shape == (50, 256, 2)
    assert found["histogram"].shape == (50, 8)


@pytest.mark.long
@pytest.mark.parametrize(("data", "packing"), [(name, 1 + i % 2) for i, name in enumerate(datasets.DATASETS)])
def test_every_data_set_is_played(data, packing):
    found = shapes(toy_gan.Settings(data=data, packing=packing, batch_norm=True, independent_latents=True))
    assert set(found) <= {*DIMS, "finite"}
    assert ("modes" in found) == (datasets.DATASETS[data]().modes is not None)


@pytest.mark.long
@pytest.mark.parametrize("objective", losses.OBJECTIVES)
@pytest.mark.parametrize("order", [name for name in ORDERS if name != "tutorial"])
def test_every_objective_is_played_in_every_order(objective, order):
    assert shapes(toy_gan.Settings(objective=objective, order=order))["finite"].shape == ()


@pytest.mark.parametrize(
    "ways",
    [
        mescheder_2017.ways(),
        qin_2020.ways(),
        metz_2017.ways(),
        thanh_tung_2019.ways(),
        pacgan_2018.ways(),
        gulrajani_2017.ways(gulrajani_2017.Settings(data="roll")),
    ],
)
@pytest.mark.long
def test_every_way_of_the_reproductions_can_be_played(ways):
    for name, way in ways.items():
        found = jax.eval_shape(lambda seed, way=way: _claims._run(way, 100, jax.random.key(seed)), np.uint32(0))
        assert found["points"].shape == (50, 256, 2), name


@pytest.mark.slow
def test_heuns_step_of_the_published_notebook_has_its_second_slope_after_half_a_step(x64):
    """One step from (1, 2) of L_G = x y + x², L_D = -x y + y²/2, each player against the other's start."""
    game = games.two_player(
        lambda p: p.generator * p.discriminator + p.generator**2,
        lambda p: -p.generator * p.discriminator + p.discriminator**2 / 2,
    )
    slopes = {"generator": lambda x: 2 + 2 * x, "discriminator": lambda y: -1 + y}
    start = Players(1.0, 2.0)
    direction = qin_2020.SOLVERS["Heun, as coded"](games.SampleLosses(game, ()))(start)
    for player, slope in slopes.items():
        place, h = getattr(start, player), qin_2020.STEP
        first = slope(place)
        second = slope(place - h * first / 2)  # euler_heun_step has beta = 1/2, and both weights are 1/2
        found = place - h * getattr(direction, player)
        np.testing.assert_allclose(found, place - h * (first / 2 + second / 2), rtol=1e-14)


@pytest.mark.slow
def test_more_seeds_are_added_to_the_store_and_fewer_are_taken_from_it(tmp_path):
    first = toy_gan.EXPERIMENT.parse([*f"{TINY} ring --out".split(), str(tmp_path)])
    again = toy_gan.EXPERIMENT.parse([*f"{TINY} ring --out".split(), str(tmp_path), "--seeds", "5"])
    assert again["runs"]["modes"].shape == (5, 50)
    for name, values in first["runs"].items():
        np.testing.assert_array_equal(again["runs"][name][:3], values)
    fewer = toy_gan.EXPERIMENT.parse([*f"{TINY} ring --out".split(), str(tmp_path), "--seeds", "2"])
    np.testing.assert_array_equal(fewer["runs"]["modes"], first["runs"]["modes"][:2])
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert (tmp_path / "training.gif").stat().st_size > 0


@pytest.mark.long
@pytest.mark.parametrize("data", ["roll", "two-gaussians-berard"])
def test_data_without_modes_and_on_a_line_are_drawn(tmp_path, data):
    found = toy_gan.EXPERIMENT.parse([*f"{TINY} {data} --out".split(), str(tmp_path)])
    assert np.isfinite(found["summary"]["sliced_wasserstein"]).all()
    assert (tmp_path / "modes.png").exists() == (data != "roll")


def test_help_and_a_wrong_name_list_every_choice(capsys):
    choices = {
        "data": toy_gan.DATA,
        "method": TOY_METHODS,
        "objective": losses.OBJECTIVES,
        "order": ORDERS,
        "optimizer": DESCENTS,
        "activation": toy_gan.ACTIVATIONS,
        "init": networks.INITIALIZERS,
    }
    with pytest.raises(SystemExit):
        toy_gan.EXPERIMENT.parse(["--help"])
    said = re.sub(r"\W+", " ", capsys.readouterr().out)  # a name may be broken over two lines of the frame
    for option, names in choices.items():
        with pytest.raises(ValueError, match=f"--{option} has 'no such name': choose from") as caught:
            toy_gan.EXPERIMENT.parse([f"--{option}", "no such name"])
        for name in names:
            assert repr(name) in str(caught.value)
            assert re.sub(r"\W+", " ", name) in said


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name, method in TOY_METHODS.items() if method.strengths != (0.0,)])
def test_every_strength_counts(method):
    """Six steps on slanted land, from one start."""

    def end(strength):
        rule = TOY_METHODS[method].rule(ORDERS["alternating"], 0.1, strength)
        return train(jax.random.key(0), TOY_METHODS[method].game(strength=strength), rule, 6).players

    first, *_, last = TOY_METHODS[method].strengths * 2
    last = last if last != first else 2 * first
    one, other = to_vector(end(first)), to_vector(end(last))
    assert np.abs(one - other).max() > 1e-6


@pytest.mark.parametrize(
    "arguments",
    ["past extragradient|--order|tutorial", "negative momentum|--optimizer|sgd", "plain|--strength|2"],
)
def test_what_a_method_does_not_read_is_refused(arguments):
    method, option, value = arguments.split("|")
    with pytest.raises(ValueError, match=f"{option} is .*, but --method {method} (brings one|has none): leave it out"):
        toy_gan.EXPERIMENT.parse(["--method", method, option, value])


@pytest.mark.parametrize("strength", ["2.5", "1e30", "1001"])
def test_steps_that_cannot_be_unrolled_are_named(strength, tmp_path):
    arguments = ["--method", "unrolled optimizer", "--strength", strength, "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"--strength is .*: give a whole number from 0 to 1000"):
        toy_gan.EXPERIMENT.parse(arguments)
    assert not (tmp_path / "out").exists()


def test_a_fate_is_told_from_the_second_half():
    """Eight modes, 40 records: one run of each fate."""
    captured = np.full((5, 40), 8)
    captured[1:3, 20:], captured[3, 20:] = 1, 6
    histogram = np.zeros((5, 40, 8))
    histogram[..., 0] = 1
    histogram[2, 20:] = np.eye(8)[np.arange(20) % 2]
    assert [FATES[i] for i in fate(captured, histogram, np.arange(5) < 4)] == list(FATES)


def test_shares_have_wilson_intervals():
    """The interval of Wilson 1927 for 1 of 10, by its formula with z = 1.959964."""
    z, p, n = 1.959964, 0.1, 10
    center, half = (p + z**2 / 2 / n) / (1 + z**2 / n), z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)
    np.testing.assert_allclose(share(np.arange(10) == 3), (0.1, center - half, center + half), rtol=1e-5)


def test_a_summary_is_of_the_last_record():
    modes = np.tile([8, 1], (4, 5))
    ds = xr.Dataset(
        {
            "modes": (("seed", "record"), modes),
            "quality": (("seed", "record"), modes / 10),
            "histogram": (("seed", "record", "mode"), np.ones((4, 10, 8)) / 8),
            "finite": ("seed", [True, True, True, False]),
        }
    )
    found = summary(ds)
    assert found["modes"] == [1, 1, 1]
    assert found["all modes at the end"][0] == 0
    assert found["finite"][0] == 0.75
    assert found["fates"]["diverged"][0] == 0.25
    assert shown(found).startswith("1 mode at the median seed")
    assert shown(found).endswith("; 1 of 4 runs diverged")
    nothing = ds.assign(modes=0 * ds.modes, quality=np.nan * ds.quality, finite=("seed", [False] * 4))
    assert shown(summary(nothing)) == "all 4 runs diverged"


def rolled(distances):
    """Four runs on data without modes at ten records, of which those have diverged whose last distance is NaN."""
    records = np.stack([np.full(4, 0.1), *[distances] * 9], 1).astype(np.float32)
    return xr.Dataset(
        {"sliced_wasserstein": (("seed", "record"), records), "finite": ("seed", ~np.isnan(records[:, -1]))}
    )


@pytest.mark.parametrize(
    ("distances", "said"),
    [
        ([0.1, 0.2, 0.3, 0.4], "0.25 (quartiles 0.175 to 0.325)"),
        ([0.1, 0.2, 0.3, np.nan], "0.25 (quartiles 0.175 to infinite); 1 of 4 runs diverged"),
        ([np.nan, np.nan, np.nan, 0.1], "infinite (quartiles infinite to infinite); 3 of 4 runs diverged"),
    ],
)
def test_a_run_that_diverged_is_infinitely_far(distances, said):
    assert shown(summary(rolled(distances))) == f"sliced Wasserstein distance {said}"


def test_a_median_counts_infinity_without_a_gap_and_leaves_out_what_is_not_defined():
    """The middle of three runs is known, though the next is infinite. Of a run that is finite NaN does not count."""
    values = np.array([[3.0, np.nan], [np.nan, 1.0], [2.0, 2.0]])
    np.testing.assert_array_equal(quantiles(values, np.array([True, False, True]), [0.5]), [[3, 1.5]])
    np.testing.assert_array_equal(quantiles(values[:1, 1:], np.array([True]), [0.5]), [[np.nan]])


def test_an_infinite_median_is_not_drawn_but_its_band_is():
    ds = rolled([np.nan, np.nan, 0.1, 0.3])
    way = {"runs": {"sliced_wasserstein": ds.sliced_wasserstein.values}, "finite": ds.finite.values}
    panel, square = Figure(), np.zeros((3, 2))
    data = {"ways": {"one": way | {"points": square[None]}}, "real": square + 1, "modes": None, "answer": ""}
    figures.samples(panel, data | {"record": np.arange(10)})
    ax = panel.axes[-1]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.float32([0.1, *[np.nan] * 9]))
    assert ax.get_title().endswith("; infinite where there is no line")
    band = ax.collections[0].get_paths()[0].vertices
    assert band[band[:, 0] == 9, 1].max() == pytest.approx(ax.get_ylim()[1])


@pytest.mark.slow
def test_a_drawn_discriminator_is_that_which_played():
    """With spectral normalization its logit is that of the weights divided by their norms, by NumPy."""
    settings = toy_gan.Settings(method="spectral norm", generator=(4,), discriminator=(5,))
    toy = toy_gan.toy_of(settings)
    players = toy.init(jax.random.key(0))
    axis, (found,) = toy_gan.surface(toy, TOY_METHODS["spectral norm"].constrain(toy.logit), [players], 2)
    first, last = (layer.weights for layer in players.discriminator)
    points = np.stack(np.meshgrid(axis, axis), -1)
    hidden = np.maximum(points @ (np.asarray(first) / np.linalg.norm(first, 2)).T, 0)
    logits = hidden @ (np.asarray(last) / np.linalg.norm(last, 2)).T
    np.testing.assert_allclose(found, logits[..., 0], atol=1e-5)


SCORES = np.array([-1.0, 0.0, 0.5, 1.0, 4.0])
SIGMOID = 1 / (1 + np.exp(-SCORES))
RELATIVE = 1 / (1 + np.exp(0.5 - SCORES))


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("non-saturating", SIGMOID), ("KL-type", SIGMOID), ("least squares", [0, 0, 0.5, 1, 1]),
        ("Wasserstein", RELATIVE), ("hinge", RELATIVE), ("relativistic", RELATIVE),
    ],
)  # fmt: skip
def test_the_middle_of_a_drawn_discriminator_is_undecided(objective, said):
    """A constant added to a critic's score changes nothing that is drawn."""
    np.testing.assert_allclose(toy_gan.verdict(objective, SCORES), said, atol=1e-6)
    if said is RELATIVE:
        np.testing.assert_allclose(toy_gan.verdict(objective, SCORES + 7), said, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "strength", "optimizer", "order"),
    [
        ({}, None, "adam", "alternating"),
        ({"method": "consensus"}, 10.0, "adam", "alternating"),
        ({"method": "R1", "strength": 3.0, "optimizer": "sgd", "order": "simultaneous"}, 3.0, "sgd", "simultaneous"),
        ({"method": "Adam"}, 0.5, None, "alternating"),
        ({"method": "past extragradient"}, None, "adam", None),
    ],
)
def test_the_data_say_what_was_played(options, strength, optimizer, order):
    played = toy_gan.played(toy_gan.Settings(**options))
    assert played == {"strength": strength, "optimizer": optimizer, "order": order}


@pytest.mark.parametrize(("option", "value", "other"), [("strength", 0.1, 0.2), ("optimizer", "adam", "sgd")])
def test_an_option_that_names_the_default_of_a_method_draws_the_same_data_again(tmp_path, option, value, other):
    default = toy_gan.Settings(method="R1")
    data = {"settings": vars(default), "played": toy_gan.played(default)}
    assert data["played"][option] == value
    check_the_same(dataclasses.replace(default, **{option: value}), data, tmp_path, {option})
    with pytest.raises(ValueError, match=f"--{option} is {other}, but the data .* are for {value}"):
        check_the_same(dataclasses.replace(default, **{option: other}), data, tmp_path, {option})


def test_the_answer_says_the_strength_if_there_is_one():
    found = {"seeds": 1, "finite": (0.0, 0.0, 0.0)}
    data = {"settings": {"method": "R1", "data": "ring"}, "summary": found, "played": {"strength": 0.1}}
    assert toy_gan.answer(data) == "R1 of strength 0.1 on ring: the run diverged."
    assert toy_gan.answer(data | {"played": {"strength": None}}) == "R1 on ring: the run diverged."


def test_negative_momentum_takes_negative_strengths():
    settings = toy_gan.Settings(method="negative momentum", strength=-0.3)
    settings.check()
    assert toy_gan.strength_of(settings) == -0.3


def test_the_rate_of_adam_is_the_rate_that_is_asked_for():
    """Its first step is a rate long."""
    optimizer = TOY_METHODS["Adam"].optimizer(1e-3, 0.5, DESCENTS["adam"])
    update, _ = optimizer.update(np.float32(2), optimizer.init(np.float32(1)))
    np.testing.assert_allclose(update, -1e-3, rtol=1e-4)
