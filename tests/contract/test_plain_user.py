"""What a user gets who sets no flags: each test is a new process without `use_every_core`."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import slantgan_jax

ROOT = Path(__file__).parents[2]


def printed(program):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_only_what_training_needs():
    names = "print(*{name.partition('.')[0] for name in sys.modules})"
    said = printed(f"import sys, slantgan_jax; {names}; from slantgan_jax import sweep; {names}").splitlines()
    loaded, after = (set(line.split()) for line in said)
    assert {"jax", "optax", "numpy"} <= loaded
    assert not {"matplotlib", "xarray", "zarr", "pandas", "tqdm", "tyro", "PIL", "ot"} & loaded
    assert "xarray" in after


@pytest.mark.slow
def test_a_run_and_a_batch_of_runs_train_without_flags():
    found = printed(
        "import jax, optax\n"
        "from slantgan_jax import rules, slanted_land, train\n"
        "game, rule = slanted_land(), rules.tutorial(optax.sgd(0.1))\n"
        "run = lambda key: train(key, game, rule, 2000)\n"
        "one, many = jax.jit(run)(jax.random.key(0)), jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), 8))\n"
        "print(len(jax.devices()), bool(one.finite), bool(many.finite.all()))\n"
        "print(*map(float, one.players.generator.biases))\n"
    )
    first, biases = found.splitlines()
    assert first == "1 True True"
    dark, light, *_ = map(float, biases.split())
    assert dark > 0 > light


@pytest.mark.slow
def test_a_sweep_in_memory_and_in_a_store_needs_no_flags(tmp_path):
    found = printed(
        "import numpy as np, optax\n"
        "from slantgan_jax import rules, slanted_land, sweep, train\n"
        "def bias(key, rate):\n"
        "    players = train(key, slanted_land(), rules.tutorial(optax.sgd(rate)), 50).players\n"
        "    return {'bias': players.discriminator.bias}\n"
        "axes = {'seed': range(3), 'rate': [0.1, 0.2]}\n"
        f"one, other = sweep(bias, axes), sweep(bias, axes, store={str(tmp_path / 's.zarr')!r})\n"
        "print(np.array_equal(one.bias, other.bias), one.bias.shape)\n"
    )
    assert found == "True (3, 2)\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_asking_for_the_revision_starts_no_program_of_a_foreign_repository(tmp_path):
    """A copy of the package in a repository whose configuration names programs, and one whose git does not answer."""
    package = shutil.copytree(Path(slantgan_jax.__file__).parent, tmp_path / "slantgan_jax")
    marker, program = tmp_path / "started", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)

    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    def revision(**environment):
        command = "from slantgan_jax import provenance; print(provenance.revision())"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)} | environment
        done = subprocess.run(
            [sys.executable, "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init")
    assert revision() == "None"  # the package is not tracked there
    git("add", "slantgan_jax")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "copy")
    (tmp_path / ".gitattributes").write_text("* filter=x\n")
    for name, value in (("filter.x.clean", program), ("core.fsmonitor", program), ("core.pager", program)):
        git("config", name, str(value))
    clean = revision()
    assert len(clean) == 40
    with (package / "faces.py").open("a") as file:
        file.write("# changed\n")
    assert revision() == f"{clean}-dirty"
    assert not marker.exists()
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nsleep 60\n")
    (slow / "git").chmod(0o755)
    start = time.monotonic()
    assert revision(PATH=f"{slow}:{os.environ['PATH']}") == "None"
    assert time.monotonic() - start < 30
