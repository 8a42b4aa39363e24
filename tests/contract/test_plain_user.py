"""What a user gets who sets no flags: each test is a new process without `use_every_core`."""

import os
import subprocess
import sys
from pathlib import Path

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
    assert not {"matplotlib", "xarray", "zarr", "pandas", "tqdm", "tyro", "PIL"} & loaded
    assert "xarray" in after


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
