"""How fast is a GAN step? Every way of training the tutorial GAN, timed side by side in one run.

One step is two discriminator updates and one generator update. Each row is timed several times, the rows taking
turns, so that a slow moment of the machine falls on all of them; the median counts.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy_gan
import optax
import results
from jax.sharding import PartitionSpec

from slantgan_jax import Players, rules, slanted_land, train
from slantgan_jax.devices import use_every_core

STEPS = 5000


class Row(NamedTuple):
    """One way of training: `work` advances `runs` GANs by `steps` steps."""

    name: str
    runs: int
    steps: int
    work: Callable[[], object]


def benchmark(repeats: int = 5, runs: int = 4096) -> None:
    """Time the NumPy program, one JAX run and many JAX runs, in nanoseconds per GAN and step.

    Args:
        repeats: how often each row is timed; the median counts.
        runs: how many GANs train at once in the batched row.
    """
    if repeats < 1:
        raise ValueError(f"--repeats is {repeats}: time each row at least once")
    use_every_core()
    if runs < 1 or runs % jax.device_count():
        raise ValueError(f"--runs is {runs}: give a multiple of the {jax.device_count()} devices")
    rows = [
        Row("NumPy program, one GAN", 1, STEPS // 5, lambda: numpy_gan.train(epochs=STEPS // 25)),
        Row("JAX, one GAN", 1, STEPS, one_run()),
        Row(f"JAX, {runs} GANs", runs, STEPS, many_runs(runs)),
    ]
    times = np.array([[seconds(row.work) for row in rows] for _ in range(repeats)])
    nanoseconds = np.median(times, axis=0) * 1e9 / [row.runs * row.steps for row in rows]
    print(f"{'':24} {'ns per GAN and step':>20} {'times as fast':>14}   ({jax.device_count()} devices, float32)")
    for row, value in zip(rows, nanoseconds, strict=True):
        print(f"{row.name:24} {value:20.4g} {nanoseconds[0] / value:14.4g}")


def final_players(seed: jax.Array, learning_rate: jax.Array) -> Players:
    rule = rules.tutorial(Players(optax.sgd(learning_rate), optax.sgd(learning_rate)))
    return train(jax.random.key(seed), slanted_land(), rule, STEPS).players


def one_run() -> Callable[[], object]:
    train_one = jax.jit(final_players)
    jax.block_until_ready(train_one(0, 0.01))
    return lambda: jax.block_until_ready(train_one(0, 0.01))


def many_runs(count: int) -> Callable[[], object]:
    mesh = jax.make_mesh((jax.device_count(),), ("runs",))
    shared = jax.shard_map(
        jax.vmap(final_players), mesh=mesh, in_specs=PartitionSpec("runs"), out_specs=PartitionSpec("runs")
    )
    arguments = jax.device_put(
        (jnp.arange(count), jnp.full(count, 0.01)), jax.NamedSharding(mesh, PartitionSpec("runs"))
    )
    compiled = jax.jit(shared).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    return lambda: jax.block_until_ready(compiled(*arguments))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    results.command_line(benchmark)
