"""How fast is a GAN step? Every way of training the tutorial GAN, timed side by side in one run.

The rows take turns, so that a slow moment of the machine affects all of them. Numbers are medians over the rounds, and
ratios are medians of the ratios of each round. See docs/performance.md.
"""

import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy_gan
import optax
from _against import ratios
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, OBJECTIVES, ORDERS, Method
from _options import check_whole
from _results import Data
from _timing import printed_by, seconds
from figures import benchmark as figures
from peers import handwritten_gan

from slantgan_jax import faces, fields, penalties, rules, slanted_land, sweep, train
from slantgan_jax import runs as tutorial
from slantgan_jax.cpu import core_count

EPOCHS = 1000
STEPS = EPOCHS * len(faces.FACES)
NUMPY_EPOCHS = 200
TORCH_RUNS, TORCH_EPOCHS = 16_384, 100
C_RUNS = 32_768
METHOD_RUNS, METHOD_STEPS = 4096, (1000, 10_000)
"""The cost of a method is the difference of two lengths: a call of `sweep` traces the run, too."""


class Timed(NamedTuple):
    """A method of the catalog as it is timed, with a strength from the middle of those that it has."""

    method: Method = METHODS["plain"]
    order: str = "simultaneous"
    objective: str = "non-saturating"


NAMES = {
    "plain": "simultaneous",
    "negative momentum": "momentum",
    "averaging": "averaged",
    "unrolled": "unrolled 5",
    "spectral norm": "spectral normalization",
}
"""Names in the data where they are not those of the catalog."""

TIMED = {
    "tutorial": Timed(order="tutorial"),
    "alternating": Timed(order="alternating"),
    **{NAMES.get(name, name): Timed(method) for name, method in METHODS.items() if name != "momentum"},
    "sga aligned": Timed(METHODS["sga"]._replace(field=lambda _, strength: fields.sga(strength, align=True))),
    "DRAGAN": Timed(METHODS["WGAN-GP"]._replace(penalty=penalties.dragan)),
    "smoothing": Timed(objective="smoothed"),
    "relativistic": Timed(objective="relativistic"),
}


class Row(NamedTuple):
    """One way of training: `work` advances `runs` GANs by `steps` steps."""

    name: str
    runs: int
    steps: int
    work: Callable[[], object]


@dataclass(frozen=True)
class Settings:
    """Time every way of training side by side; print a table and draw it."""

    repeats: Annotated[int, partial(check_whole, least=1, most=1000)] = 5
    """The number of rounds."""
    largest: Annotated[int, partial(check_whole, least=4096, most=2**24)] = 262_144
    """The number of runs in the largest sweep."""
    methods: bool = True
    """Time every order, transform and penalty, too, as sweeps of 4096 runs without a store."""
    against: str | None = None
    """Only compare this working tree with a git revision, in about a minute."""


def compute(settings: Settings, out: Path) -> Data:
    if settings.against is not None:
        rows = ratios(settings.against)
        return {
            "against": {
                row: dict(zip(("median", "least", "largest"), three, strict=True)) for row, three in rows.items()
            }
        }
    axes = {"seed": np.arange(METHOD_RUNS), "learning_rate": [0.1]}  # the rate is also the step size of the fields
    methods = [
        Row(f"{name}, {steps} steps", METHOD_RUNS, steps, partial(sweep, partial(method_run, name, steps), axes))
        for name in TIMED
        for steps in METHOD_STEPS
    ]
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "sweep.zarr"
        cold = seconds(partial(swept, store, tutorial_run, 20_000))
        rows = all_rows(store, settings.largest)
        times = timed([row for row in rows if isinstance(row, Row)], settings.repeats)
        costs = method_costs(timed(methods, settings.repeats)) if settings.methods else {}
        return medians(times) | {
            "methods_ns_per_gan_and_step": costs,
            "cold_sweep_of_20000_seconds": cold,
            "peak_memory_mib": memory(store, settings.largest),
            "machine": {"processor": processor(), "devices": jax.device_count(), "system": platform.platform()},
            "missing": [row for row in rows if isinstance(row, str)],
        }


def timed(rows: list[Row], repeats: int) -> dict[str, np.ndarray]:
    """Nanoseconds per GAN and step of each row in each round: `[repeats]`. The rows take turns."""
    for row in progress(rows, "compiling"):
        row.work()
    rounds = [
        [seconds(row.work) / row.runs / row.steps * 1e9 for row in rows] for _ in progress(range(repeats), "rounds")
    ]
    return dict(zip((row.name for row in rows), np.transpose(rounds), strict=True))


def method_costs(column: dict[str, np.ndarray]) -> dict[str, float]:
    """Nanoseconds per GAN and step of each method: the time that the longer runs take more, for their further steps."""
    costs, (few, many) = {}, METHOD_STEPS
    for name in TIMED:
        short, long = (steps * column[f"{name}, {steps} steps"] for steps in METHOD_STEPS)
        costs[name] = float(np.median(long - short) / (many - few))
    return costs


def all_rows(store: Path, largest: int) -> list[Row | str]:
    """All ways to train, in the order of the table; a text says why one is missing."""
    train_one = jax.jit(tutorial_run)
    return [
        Row("NumPy program", 1, NUMPY_EPOCHS * 5, partial(numpy_gan.train, epochs=NUMPY_EPOCHS)),
        torch_row(),
        Row("JAX, one GAN", 1, STEPS, lambda: jax.block_until_ready(train_one(jax.random.key(0), 0.01))),
        c_row(store.parent),
        *(
            Row(f"JAX sweep, {count} GANs", count, STEPS, partial(swept, store, tutorial_run, count))
            for count in sorted({4096, 32_768, largest})
        ),
        Row("JAX sweep, Adam", 32_768, STEPS, partial(swept, store, adam_run, 32_768)),
    ]


def torch_row() -> Row | str:
    try:
        from peers import torch_gan
    except ImportError:
        return "PyTorch, compiled: not installed"
    return Row("PyTorch, compiled", TORCH_RUNS, TORCH_EPOCHS * 5, torch_gan.trainer(TORCH_RUNS, TORCH_EPOCHS))


def c_row(folder: Path) -> Row | str:
    """The C program from the players and keys of the sweep, whose result is checked against the sweep's."""
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed)))(jnp.arange(C_RUNS))
    (w, b), (u, c) = jax.vmap(slanted_land().init)(keys[:, 0])
    start = np.array(jnp.stack([*w, *b, *u, c]), np.float32)
    words, rates = np.array(jax.random.key_data(keys[:, 1])).T, np.full(C_RUNS, 0.01, np.float32)
    try:
        work = handwritten_gan.trainer(folder, words, rates, start, STEPS, core_count())
    except (OSError, subprocess.CalledProcessError):
        return "C, by hand: no compiler here"
    ours = sweep(tutorial_run, {"seed": np.arange(64), "learning_rate": [0.01]}, dims=tutorial.DIMS)
    difference = np.max(np.abs(work()[:4, :64].T - ours.generator_weights.values[:, 0]))
    if not difference < 1e-4:  # 5000 steps of float32 rounding in another order
        raise RuntimeError(f"the C program's weights differ from the library's by {difference}")
    return Row(f"C, by hand, {C_RUNS} GANs", C_RUNS, STEPS, work)


def tutorial_run(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    return tutorial.one_rate(key, learning_rate, EPOCHS)


def adam_run(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    game = slanted_land()
    return tutorial.scalars(train(key, game, rules.tutorial(optax.adam(learning_rate)), STEPS).players, game)


def method_run(name: str, steps: int, key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    method, order, objective = TIMED[name]
    strength = method.strengths[len(method.strengths) // 2]
    game, rule = method.game(OBJECTIVES[objective], strength), method.rule(ORDERS[order], learning_rate, strength)
    return {"bias": train(key, game, rule, steps).players.discriminator.bias}


def swept(store: Path, run: Callable[..., dict[str, jax.Array]], count: int) -> None:
    shutil.rmtree(store, ignore_errors=True)
    dims = tutorial.DIMS if run is tutorial_run else None
    sweep(run, {"seed": np.arange(count), "learning_rate": [0.01]}, dims=dims, store=store)


def medians(column: dict[str, np.ndarray]) -> Data:
    """Medians of the rows, and the ratios that matter, each the median of the rounds' ratios."""
    sweeps = [name for name in column if name.startswith("JAX sweep,") and "Adam" not in name]
    largest = column[sweeps[-1]]
    ratios = {
        "NumPy program / one JAX run": column["NumPy program"] / column["JAX, one GAN"],
        "NumPy program / sweep": column["NumPy program"] / largest,
        **{f"sweep / {name}": largest / column[name] for name in column if name.startswith("C,")},
        **{f"{name} / sweep": column[name] / largest for name in column if name.startswith("PyTorch")},
        "Adam / sweep of as many": column["JAX sweep, Adam"] / column["JAX sweep, 32768 GANs"],
        "smallest / largest sweep": column[sweeps[0]] / largest,
    }
    return {
        "ns_per_gan_and_step": {name: float(np.median(values)) for name, values in column.items()},
        "rounds": {name: values.tolist() for name, values in column.items()},
        "ratios": {name: float(np.median(values)) for name, values in ratios.items()},
    }


def memory(store: Path, largest: int) -> dict[str, float]:
    """The peak memory, MiB, of a process that does nothing but a sweep; one process for each size."""
    program = (
        "from slantgan_jax.cpu import use_every_core; use_every_core()\n"
        "import pathlib, _timing, benchmark as b; b.swept(pathlib.Path({!r}), b.tutorial_run, {})\n"
        "print(_timing.peak_memory())"
    )
    sizes = progress(sorted({largest // 4, largest}), "memory")
    return {str(size): float(printed_by(program.format(str(store), size), f"a sweep of {size} runs")) for size in sizes}


def processor() -> str:
    found = re.search(r"model name\s*: (.*\S)", handwritten_gan.processor_flags())
    return found[1] if found else platform.processor()


def report(data: Data) -> None:
    if "against" in data:
        print(f"time of this working tree / of {data['settings']['against']}: median of the turns [least, largest]")
        for row, of in data["against"].items():
            print(f"  {row:26} {of['median']:6.3f}  [{of['least']:.3f}, {of['largest']:.3f}]")
        return
    for table in ("ns_per_gan_and_step", "methods_ns_per_gan_and_step", "ratios", "peak_memory_mib"):
        print(f"{table} ({data['machine']['devices']} devices)")
        print(*(f"  {name:34} {value:12.4g}" for name, value in data[table].items()), sep="\n")
    print(*data["missing"], f"20,000 runs, cold, stored: {data['cold_sweep_of_20000_seconds']:.3g} s", sep="\n")


def answer(data: Data) -> str:
    if "against" in data:
        turned = {row: of for row, of in data["against"].items() if of["least"] < of["largest"]}  # timed in turns
        slower = [f"{row} ({of['median']:.3f})" for row, of in turned.items() if of["least"] > 1]
        return f"This working tree is slower in all turns in {', '.join(slower) or 'no row'}."
    costs = data["ns_per_gan_and_step"]
    factor = costs["NumPy program"] / min(costs.values())
    return f"A training step, from the NumPy program to the fastest: a factor of {factor:,.0f}"


EXPERIMENT = Experiment(
    "benchmark", Settings, compute, answer,
    lambda data: {} if "against" in data else {"benchmark.png": Figure(figures.draw, 8, 3.6)}, report,
    x64=False, devices=None, time="about 5 minutes",
    quick=Quick({"repeats": 1, "largest": 32_768, "methods": False}, "a minute"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
