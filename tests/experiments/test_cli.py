"""What every script of experiments/ has in common: its command line, its folder of results, and how it fails."""

import contextlib
import dataclasses
import importlib
import io
import json
import re
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import _options
import _page
import _results
import jax
import numpy as np
import pytest

from slantgan_jax import plots

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


class Script(NamedTuple):
    """A script of the table."""

    tiny: str  # arguments with which it runs for seconds; `{run}` stands for a run.json
    wrong: str  # arguments that it refuses
    message: str  # what it then says
    required: str = ""  # arguments that it cannot do without; they are part of the others
    constants: Mapping[str, Any] = {}  # values by `module.NAME`, which replace constants in the tiny run
    out: str = "out"  # the name of the folder or file that --out names
    figures: str | None = "out"  # the name of the folder that has the figures; None: it draws none, has no --plot-only
    interrupted: str = ""  # of a script that is no `Experiment`, the function `module.name` that is interrupted


QUICK = ("train",)
"""The scripts whose tiny runs are short."""

SCRIPTS = {
    "analyze": Script(
        "{run}", "none.json", "none.json is not a run.json", figures=None, interrupted="analyze.analysis_of",
    ),
    "basins": Script(
        "--resolution 64 --steps 50 --zooms 0 --pairs 1", "--zooms 11", "--zooms is 11: give a whole number from 0 to",
    ),
    "benchmark": Script(
        "--repeats 1 --largest 4096 --no-methods", "--largest 4095", "--largest is 4095: give a whole number from 4096",
        constants={
            "benchmark.EPOCHS": 2, "benchmark.STEPS": 10, "benchmark.NUMPY_EPOCHS": 2, "benchmark.C_RUNS": 64,
            "benchmark.memory": lambda store, largest: {"4096": 1.0},
        },
    ),
    "bilinear": Script(
        "--steps 3000 --methods 'CGD, simultaneous'", "--steps 10", "--steps is 10: give a whole number from 3000",
    ),
    "compare_methods": Script(
        "--seeds 2 --steps 100 --rates 0.3 --objectives non-saturating --methods plain", "--methods SGD",
        "--methods has 'SGD': choose from 'plain', ",
    ),
    "convergence_rates": Script(
        "--epochs 2000 --methods optimistic --learning-rates 0.3", "--learning-rates 0", "--learning-rates is 0.0",
    ),
    "chavdarova_2021": Script("--passes 60 --steps 60 --sizes 16", "--sizes 5", "--sizes has '5': choose from '100', "),
    "cost_growth": Script(
        "--runs 2 --sides 2 --scalar-sides 2", "--sides 1", "--sides is 1: give a whole number from 2 to 100",
    ),
    "critical_penalty": Script(
        "--learning-rate 1", "--learning-rate 2", "--learning-rate is 2.0: give a finite number from 0.001 to 1",
    ),
    "daskalakis_2018": Script("--steps 40", "--steps 19", "--steps is 19: give a whole number from 20 to"),
    "dirac_gan": Script(
        "--steps 100 --methods R1", "--learning-rate 2", "--learning-rate is 2.0: give a finite number from 0.001",
    ),
    "does_it_converge": Script(
        "--epochs 2000 --replicas 2", "--epochs 2500", "--epochs is 2500: give a multiple of 1000 from 2000",
    ),
    "gidel_2019": Script("--steps 20", "--steps 19", "--steps is 19: give a whole number from 20 to"),
    "latent_noise": Script("--replicas 2 --steps 50 --learning-rates 0.1", "--replicas 1", "--replicas is 1"),
    "loss_vs_distance": Script(
        "--seeds 2 --transported 10", "--seeds 1", "--seeds is 1: give a whole number from 2 to 100000",
        constants={"_measured_runs.EPOCHS": (2, 3), "_measured_runs.RATES": (0.1, 1.0)},
    ),
    "playground": Script(
        "--no-open", "--epochs 3", "--epochs", figures=None, interrupted="playground.page_data",
        constants={"_page.WAYS": {"plain": _page.WAYS["plain"]}},
    ),
    "quality_of_equilibria": Script(
        "--starts 2 --flow-steps 10 --orders 0", "--orders 3", "--orders is 3: give a whole number from 0 to 2",
        constants={"quality_of_equilibria.DESCENT_STEPS": 3},
    ),
    "spectrum": Script(
        "--weights 1 -1 -1 1", "--weights 1 -1 -1 101", "--weights are (1.0, -1.0, -1.0, 101.0)",
        required="--weights 1 -1 -1 1",
    ),
    "stability_edge": Script(
        "--methods optimistic --scales 1 --random 0 --strengths 0 --steps 800", "--scales 7", "--scales is 7.0",
    ),
    "sweep": Script(
        "--seeds 2 --epochs 4 --record-every 2", "--record-every 7 --epochs 10",
        "--record-every is 7: give a positive divisor of the 10 epochs", out="out.zarr", figures="out-figures",
        interrupted="sweep.computed",
    ),
    "benchmark_toys": Script(
        "--sizes 4x16 --batches 8 --seeds 2 --repeats 1 --seconds 1", "--repeats 0", "--repeats is 0",
        figures=None,
    ),
    "toy_gan": Script("--seeds 2 --steps 50", "--data squares", "--data has 'squares': choose from 'ring', "),
    "train": Script(
        "--epochs 2", "--epochs -3", "--epochs is -3: give a whole number from 1 to 100000000", figures=None,
    ),
    "tutorial": Script("--epochs 2", "--learning-rate nan", "--learning-rate is nan: give a finite number from 1e-30"),
    "which_equilibrium": Script(
        "--starts 2 --flow-steps 100 --methods 'R1, γ = 0.1' --method-steps 10", "--starts 1", "--starts is 1",
    ),
}  # fmt: skip
TOY_REPRODUCTIONS = {
    path.stem: Script("--seeds 2 --steps 50", "--seeds 0", "--seeds is 0: give a whole number from 1 to 1000000")
    for path in EXPERIMENTS.glob("reproductions/*.py")
    if "from _claims import" in path.read_text()  # those on toy data have the same options
}
SCRIPTS |= TOY_REPRODUCTIONS
LONG = {*TOY_REPRODUCTIONS, "benchmark_toys"}


class Ran(NamedTuple):
    """A script after its tiny run: the path of --out, the folder with its figures, and what it printed."""

    name: str
    out: Path
    figures: Path
    said: str


def parse_of(name):
    module = importlib.import_module(name)
    return module.EXPERIMENT.parse if hasattr(module, "EXPERIMENT") else module.parse


def status_and_complaint(monkeypatch, capsys, name, *arguments):
    """The exit status of a command line, run in this process, and what it said on stderr."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        _options.command_line(parse_of(name))
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in ("analyze", "playground", "sweep")])
def test_what_takes_more_than_a_minute_has_a_quick_run_with_settings_that_exist(name):
    experiment = importlib.import_module(name).EXPERIMENT
    assert ("minute" in experiment.time or "hour" in experiment.time) == (experiment.quick is not None)
    if experiment.quick:
        smaller, plain = experiment.settings(**experiment.quick.settings), experiment.settings()
        _options.checked(smaller)
        assert smaller != plain
        assert experiment.quick.time in experiment.quick.text


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def run_json(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.json"
    images = [1.0, -1.0, -1.0, 1.0]
    players = {"generator": {"weights": images, "biases": images}, "discriminator": {"weights": images, "bias": 0.0}}
    path.write_text(json.dumps(players))
    return path


@pytest.fixture
def tiny(run_json):
    return lambda name: shlex.split(SCRIPTS[name].tiny.format(run=run_json))


def cost_of(name):
    if name in QUICK:
        return []
    return [pytest.mark.long if name in LONG else pytest.mark.slow]


def listed(names, **marks):
    return [pytest.param(name, marks=[pytest.mark.xdist_group(f"cli {name}"), *cost_of(name)]) for name in names]


@pytest.fixture(scope="module", params=listed(SCRIPTS))
def ran(request, tmp_path_factory, run_json, quick_compile):
    name, script, folder = request.param, SCRIPTS[request.param], tmp_path_factory.mktemp(request.param)
    out, said = folder / script.out, io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(plots, "new_figure", partial(plots.new_figure, dpi=20))
        for place, value in script.constants.items():
            patch.setattr(place, value)
        arguments = [*shlex.split(script.tiny.format(run=run_json)), "--out", str(out)]
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        parse_of(name)(arguments)
        yield Ran(name, out, folder / (script.figures or ""), said.getvalue())


def test_every_script_is_in_the_table():
    scripts = [
        path.stem
        for path in (*EXPERIMENTS.glob("*.py"), *EXPERIMENTS.glob("reproductions/*.py"))
        if re.search(r"^(EXPERIMENT = |def parse\()", path.read_text(), re.MULTILINE)
    ]
    assert sorted(scripts) == sorted(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_names_the_options(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_of(name)(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "--out" in said
    for option in ("--plot-only", "--format"):  # sweep.py writes no SVG
        assert (option in said) == (SCRIPTS[name].figures is not None) or (name, option) == ("sweep", "--format")


def test_a_tiny_run_says_where_it_wrote_and_its_data_what_made_them(ran):
    place = ran.out if SCRIPTS[ran.name].figures in (None, ran.out.name) else ran.figures
    assert str(place) in ran.said.splitlines()[-1]
    assert contents(place)
    if hasattr(importlib.import_module(ran.name), "EXPERIMENT"):
        data = json.loads((ran.out / "data.json").read_text())
        assert data["command"].startswith(f"python {ran.name}.py {SCRIPTS[ran.name].tiny}")
        assert {"python", "jax", "numpy", "optax", "revision"} <= set(data["versions"])
        assert data["answer"] in ran.said
        assert _results.load(ran.out).keys() == data.keys()


def test_plot_only_gives_the_same_data_and_figures_or_leaves_them_if_interrupted(ran, monkeypatch, capsys):
    if SCRIPTS[ran.name].figures is None:
        pytest.skip("it draws nothing")
    before, figures = contents(ran.out.parent), list(ran.figures.glob("*.png"))
    for path in figures:
        path.unlink()
    arguments = [*SCRIPTS[ran.name].required.split(), "--plot-only", "--out", str(ran.out)]
    parse_of(ran.name)(arguments)
    assert contents(ran.out.parent) == before
    if figures:
        monkeypatch.setattr(plots, "new_figure", interrupt)
        status, _ = status_and_complaint(monkeypatch, capsys, ran.name, *arguments)
        assert status == 130
        assert contents(ran.out.parent) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_interrupted_run_leaves_the_earlier_results(name, tmp_path, monkeypatch, capsys, tiny):
    module, script = importlib.import_module(name), SCRIPTS[name]
    folder = tmp_path / (script.figures or script.out)
    folder.mkdir()
    (folder / "data.json").write_text("earlier")
    (folder / "notes.txt").write_text("the user's own")
    before = contents(tmp_path)
    if hasattr(module, "EXPERIMENT"):
        monkeypatch.setattr(module, "EXPERIMENT", dataclasses.replace(module.EXPERIMENT, compute=interrupt))
    else:
        monkeypatch.setattr(script.interrupted, interrupt)
    status, said = status_and_complaint(monkeypatch, capsys, name, *tiny(name), "--out", tmp_path / script.out)
    assert status == 130
    assert said.startswith("interrupted: ")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_wrong_option_or_nothing_to_plot_ends_in_one_line_and_makes_no_folder(name, tmp_path, monkeypatch, capsys):
    script, none = SCRIPTS[name], tmp_path / "none"
    attempts = [([*script.wrong.split(), "--out", tmp_path / script.out], script.message)]
    if script.figures:
        attempts.append(([*script.required.split(), "--plot-only", "--out", none], str(none)))
    for arguments, message in attempts:
        status, said = status_and_complaint(monkeypatch, capsys, name, *arguments)
        assert status == 2
        assert said.startswith("error: ")
        assert message in said
        assert said.count("\n") == 1
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_out_that_is_a_file_is_refused_and_kept(name, tmp_path, monkeypatch, capsys, tiny):
    script, file = SCRIPTS[name], tmp_path / (SCRIPTS[name].figures or SCRIPTS[name].out)
    file.write_text("precious")
    if not hasattr(importlib.import_module(name), "EXPERIMENT"):
        monkeypatch.setattr(script.interrupted, lambda *_: {})  # what takes long comes first there
    beside = script.figures not in (None, script.out)  # the figures' folder lies beside --out
    for out in [tmp_path / script.out] if beside else [file, file / "below"]:
        status, said = status_and_complaint(monkeypatch, capsys, name, *tiny(name), "--out", out)
        assert status == 2
        assert f"{file} is not a folder" in said or f"{out} is not a folder" in said
        assert file.read_text() == "precious"


def test_saved_data_come_back_with_the_same_bits(tmp_path):
    data = {
        "numbers": [1.5, np.nan, np.inf, -np.inf, -0.0, 0.1 + 0.2, 5e-324, 3, True, None, "text"],
        "nested": [[1.0, [np.nan, {"deep": [np.inf, 2]}]], (1, 2.5)],
        "float32": np.float32([0.1, np.nan, np.inf, -0.0, 1e-45]),
        "table": np.random.default_rng(0).normal(size=(3, 4, 5)) * [[[np.nan], [1], [1e300], [-np.inf]]],
        "long": np.arange(_results.MAX_LISTED_NUMBERS + 1, dtype=np.uint8),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 3)),
        "nothing": {},
        "scalars": {"a": np.float64(np.nan), "b": np.float64(0.1), "c": np.int64(7), "d": np.float32(0.1)},
        "of jax": jax.numpy.arange(3.0),
        "a / b": {"~": np.ones(2), "c/d": np.nan, 7: np.inf},
    }
    _results.save(tmp_path, data)
    loaded = _results.load(tmp_path)
    assert_same(data, loaded)
    before = contents(tmp_path)
    _results.save(tmp_path, loaded)
    assert contents(tmp_path) == before
    assert json.loads((tmp_path / "data.json").read_text())["numbers"][1] is None  # JSON proper, without NaN


def assert_same(one, other):
    if isinstance(one, Mapping):
        assert [str(name) for name in one] == list(other)
        for name, value in one.items():
            assert_same(value, other[str(name)])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif np.ndim(one):
        assert (np.asarray(one).dtype, np.shape(one)) == (other.dtype, other.shape)
        assert np.asarray(one).tobytes() == other.tobytes()
    elif isinstance(one, float | np.number):
        assert np.float64(one).tobytes() == np.float64(other).tobytes()
    else:
        assert one == other
        assert type(one) is type(other)
