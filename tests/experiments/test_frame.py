"""The frame of all scripts: consoles, pipes, interrupts, full disks, and results that are replaced in one step."""

import contextlib
import errno
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import _experiment
import _options
import _results
import pytest
from _experiment import Experiment, Figure, Quick
from _processes import in_processes

from slantgan_jax import folders

EXPERIMENTS = Path(_experiment.__file__).parent
SCRIPT = f"""
import sys, time
import jax
sys.path.insert(0, {str(EXPERIMENTS)!r})
from dataclasses import dataclass
from pathlib import Path
from _experiment import Experiment, Figure

@dataclass(frozen=True)
class Settings:
    '''Test the frame.'''
    number: int = 1
    seconds: float = 0.0
    '''How long σ takes.'''

def compute(settings, out):
    print("started", flush=True)
    jax.devices()
    try:
        time.sleep(settings.seconds)
    finally:
        time.sleep(settings.seconds / 10)
    return {{"number": settings.number}}

def answer(data):
    return f"The answer is σ = {{data['number']}}."

def report(data):
    print("\\n".join(f"line {{i}} ≈ ½" for i in range(1000)))

EXPERIMENT = Experiment(
    "frame", Settings, compute, answer, report=report,
    exports={{"run.json": lambda data: {{"number": data["number"]}}}}, stale=("analysis.json",),
)
EXPERIMENT.main()
"""


@dataclass(frozen=True)
class Settings:
    """Draw a line."""

    line_length: int = 5
    thick: bool = False


EXPERIMENT = Experiment(
    "line",
    Settings,
    lambda settings, out: {},
    lambda data: "A line.",
    {"line.png": Figure(lambda figure, data: figure.subplots().plot([0, 1]), 2, 2)},
    devices=0,
    quick=Quick({"line_length": 3}, "no time"),
)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "frame_script.py"
    path.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    return path


def run(script, *arguments, **options):
    options = {"capture_output": True, "text": True, "cwd": script.parent} | options
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS.parent)} | options.pop("env", {})
    return subprocess.run([sys.executable, script, *arguments], env=environment, timeout=100, **options)


def number(script):
    """The number in the results, of which all files are one result."""
    out = script.parent / "results/frame"
    one, other = (json.loads((out / name).read_text(encoding="utf-8"))["number"] for name in ("data.json", "run.json"))
    assert one == other
    return one


@pytest.mark.slow
def test_a_console_without_greek_gets_the_result(script):
    done = run(script, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "\\u03c3 = 1" in done.stdout
    done = run(script, "--number", "2", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert done.returncode == 0, done.stderr
    assert number(script) == 2
    assert "σ" in (script.parent / "results/frame/data.json").read_text(encoding="utf-8").encode().decode(
        "unicode_escape"
    )


@pytest.mark.slow
def test_a_platform_that_is_not_there_is_one_line_and_another_backend_is_none_of_ours(script):
    done = run(script, env={"JAX_PLATFORMS": "abacus", "MPLBACKEND": "abacus"})
    assert done.returncode == 2
    assert done.stderr.startswith("error: JAX_PLATFORMS is 'abacus', with which JAX does not start")
    assert done.stderr.count("\n") == 1
    assert run(script, env={"MPLBACKEND": "abacus"}).returncode == 0


@pytest.mark.slow
def test_a_pipe_that_nobody_reads_and_closed_streams_end_with_the_result(script):
    command = f"{sys.executable} {script} --number 3 | head -1"
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS.parent)}
    done = subprocess.run(["bash", "-c", command], cwd=script.parent, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("started\n", "")
    assert number(script) == 3
    command = f"{sys.executable} {script} --number 4 2>&- >&-"
    assert subprocess.run(["bash", "-c", command], cwd=script.parent, env=environment, check=False).returncode == 0
    assert number(script) == 4


def test_an_interrupt_interrupts_unless_one_is_being_handled():
    """One that was lost, as in a callback of the garbage collector, does not keep the next ones away."""
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _options._interrupt()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        _options._interrupt()
        with contextlib.suppress(OSError):
            try:
                raise OSError
            finally:
                _options._interrupt()


@pytest.mark.slow
def test_two_quick_interrupts_are_one_line_and_leave_nothing(script):
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS.parent)}
    process = subprocess.Popen(
        [sys.executable, script, "--seconds", "20"], cwd=script.parent, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted: the same command starts again where it can\n"
    assert not (script.parent / "results").exists()


@pytest.mark.slow
def test_what_a_killed_script_left_is_removed_by_the_next(script):
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS.parent)}
    run(script, "--number", "5")
    process = subprocess.Popen(
        [sys.executable, script, "--seconds", "60"],
        cwd=script.parent,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == "started\n"
    process.kill()
    process.communicate()
    assert number(script) == 5
    assert len(list((script.parent / "results").iterdir())) == 2
    time.sleep(folders.YOUNGEST_DEAD)
    run(script, "--number", "6")
    assert number(script) == 6
    assert [path.name for path in (script.parent / "results").iterdir()] == ["frame"]


def in_folder(out, files, stale=(), failing=None):
    with _results.atomic_folder(out, stale) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        if failing:
            raise failing


def contents(out):
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}


def test_a_folder_is_replaced_whole_and_keeps_what_is_not_of_the_result(tmp_path):
    out = tmp_path / "out"
    in_folder(out, {"a": "1", "b": "1", "old": "1"})
    (out / "sweeps/x").mkdir(parents=True)
    (out / "sweeps/x/chunk").write_text("kept")
    in_folder(out, {"a": "2", "b": "2"}, stale=("old",))
    assert contents(out) == {"a": "2", "b": "2", "sweeps/x/chunk": "kept"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("failing", [ValueError("wrong"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_result_that_fails_leaves_the_earlier_one(tmp_path, failing):
    out = tmp_path / "out"
    in_folder(out, {"a": "1"})
    with pytest.raises(type(failing)) as caught:
        in_folder(out, {"a": "2"}, failing=failing)
    assert contents(out) == {"a": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    if isinstance(failing, OSError):
        assert f"{out} cannot be written (No space left): it is left as it was" in str(caught.value)


def test_there_is_one_switch_from_old_to_new(tmp_path, monkeypatch):
    """Stopped before any of the system's calls, a folder has one of the two results, whole."""
    out = tmp_path / "out"
    in_folder(out, {"a": "1", "b": "1"})
    calls = []
    for name in ("link", "rename", "replace"):
        real = getattr(os, name)

        def counted(*arguments, real=real, **options):
            calls.append(contents(out))
            return real(*arguments, **options)

        monkeypatch.setattr(folders.os, name, counted)
    in_folder(out, {"a": "2", "b": "2"})
    assert all(seen in ({"a": "1", "b": "1"}, {"a": "2", "b": "2"}) for seen in calls)
    assert contents(out) == {"a": "2", "b": "2"}
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    in_folder(out, {"a": "3", "b": "3"})
    assert contents(out) == {"a": "3", "b": "3"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_folder_of_the_process_is_filled_and_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("kept")
    in_folder(Path("."), {"a": "1", "run.json": "1"})
    assert contents(tmp_path) == {"a": "1", "run.json": "1", "mine": "kept"}


def test_a_place_that_cannot_be_written_is_named_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=f"{out} is not a folder that can be written"):
            in_folder(out, {"a": "1"}, failing=AssertionError("work was done"))


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "deep", "missing"])
def test_damaged_data_are_named_when_they_are_drawn_again(tmp_path, damage):
    import train

    out = tmp_path / "out"
    data = {"answer": "1", "number": [1.0] * 5, "mean_gap": 0.5, "settings": {"epochs": 1}}
    with _results.atomic_folder(out) as folder:
        _results.save(folder, data)
    file = out / ("data.npz" if damage in ("cut", "empty") else "data.json")
    if damage == "missing":
        (out / "data.npz").unlink()
    else:
        text = {"cut": file.read_bytes()[:40], "empty": b"", "other": b"[1, 2]", "deep": b"[" * 100_000}[damage]
        file.write_bytes(text)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match=f"--out {out} has d"):
        train.EXPERIMENT.run(train.Settings(), out, plot_only=True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_names_of_folders_are_no_patterns(tmp_path):
    out, other = tmp_path / "a[b]*", tmp_path / "ab"
    in_folder(out, {"a": "1"})
    in_folder(other, {"a": "2"})
    assert contents(out) == {"a": "1"}
    shutil.rmtree(out)


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for number in ("1", "2"):
        in_folder(tmp_path / "link", {"a": number})
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == {"a": "2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_figures_are_written_as_svg_too_and_go_with_the_next_results(tmp_path):
    for formats in ("svg", "png"):
        EXPERIMENT.run(Settings(), tmp_path / "out", format=formats)
        drawn = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".npz"} - {"data.json"}
        assert drawn == ({"line.png", "line.svg"} if formats == "svg" else {"line.png"})
    EXPERIMENT.run(Settings(), tmp_path / "out", plot_only=True, format="svg")
    first = (tmp_path / "out" / "line.svg").read_bytes()
    EXPERIMENT.run(Settings(), tmp_path / "out", plot_only=True, format="svg")
    assert (tmp_path / "out" / "line.svg").read_bytes() == first


@pytest.mark.parametrize(
    ("made", "same", "others"),
    [
        ("--line-length 2", "--line-length 2", ("--line-length 5", "--line_length=5", "--quick", "--no-thick --quick")),
        ("--quick --thick", "--quick", ("--no-thick", "--quick --line-length 5")),
        ("", "--line-length 5", ("--line-length 2", "--quick", "--thick")),
    ],
)
def test_data_are_drawn_again_only_with_the_settings_that_they_have(tmp_path, made, same, others):
    """Also if the option that is given has its default."""
    line = lambda words: EXPERIMENT.parse([*words.split(), "--out", str(tmp_path / "out")])  # noqa: E731
    line(made)
    line("--plot-only")
    line(f"{same} --plot-only")
    for other in others:
        with pytest.raises(ValueError, match=r"are for .*: leave"):
            line(f"{other} --plot-only")


def test_work_that_lasts_gives_signs_of_life(monkeypatch, capsys):
    monkeypatch.setattr(_experiment, "FIRST_SIGN", 0.02)
    with _experiment.signs_of_life("line"):
        time.sleep(0.1)
    said = capsys.readouterr().err
    assert said == "line: at work for 0 s\n"  # the next one would come after five seconds
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_what_was_compiled_is_kept_and_gives_the_same_numbers(tmp_path):
    """In a folder for this processor below the user's cache; the second process finds it there."""
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(EXPERIMENTS.parent)}
    results, kept = [], []
    for number in range(2):
        out = tmp_path / f"run{number}"
        command = [sys.executable, EXPERIMENTS / "train.py", "--epochs", "2", "--out", out]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        results.append(
            {name: json.loads((out / "run.json").read_text())[name] for name in ("generator", "discriminator")}
        )
        kept.append({path.name for path in (tmp_path / "cache" / "slantgan_jax").rglob("*-cache")})
    assert results[0] == results[1]
    assert kept[0] == kept[1] != set()


def test_folders_above_that_were_made_go_again_unless_somebody_uses_them(tmp_path):
    """A sweep is refused while another one beside it is still traced: what that one has to write into is made anew."""
    with pytest.raises(ValueError, match="refused"), folders.parents(tmp_path / "new" / "deep" / "bad"):
        raise ValueError("refused")
    assert not list(tmp_path.iterdir())
    with folders.unfinished(tmp_path / "new" / "slow"):
        with pytest.raises(ValueError, match="refused"), folders.parents(tmp_path / "new" / "deep" / "bad"):
            raise ValueError("refused")
        assert [path.parent.name for path in (tmp_path / "new").iterdir()] == ["new"]


@pytest.mark.slow
def test_parts_are_computed_in_processes_and_what_fails_there_fails_here():
    assert in_processes(math.sqrt, [4.0, 9.0, 25.0], "roots") == [2, 3, 5]
    with pytest.raises(ValueError, match="math domain error"):
        in_processes(math.sqrt, [4.0, -1.0, 9.0], "roots")
    latest = time.monotonic() + 10
    while multiprocessing.active_children():  # dead, but another thread is about to write that down
        assert time.monotonic() < latest
        time.sleep(0.05)
