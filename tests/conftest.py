import sys

import jax
import pytest
import results

from slantgan_jax.cpu import use_every_core

use_every_core(4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compile():
    """For modules whose programs run briefly: XLA leaves out what takes it longest, about half of the time to compile.

    Not for what is about speed, or about bits that other processes make, too."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def complaint(monkeypatch, capsys):
    """A script's command line, run in this process with arguments that it must refuse: what it then says on stderr."""

    def of(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["script.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            results.command_line(main)
        said = capsys.readouterr().err
        assert stopped.value.code == 2
        assert "Traceback" not in said
        return said

    return of


@pytest.fixture
def refused(complaint, tmp_path):
    """Asserts that a script refuses arguments in one line that has `message`, and makes no folder."""

    def of(main, arguments, message):
        said = complaint(main, *arguments.split(), "--out", tmp_path / "none")
        assert message in said
        assert said.count("\n") == 1
        assert not (tmp_path / "none").exists()

    return of


@pytest.fixture
def refused_file(complaint, tmp_path):
    """Asserts that a script refuses to make a folder of a file, and leaves it as it is."""

    def of(main, arguments=""):
        file = tmp_path / "file"
        file.write_text("precious")
        assert "is not a folder" in complaint(main, *arguments.split(), "--out", file)
        assert file.read_text() == "precious"

    return of
