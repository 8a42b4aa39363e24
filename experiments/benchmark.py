"""How fast is a GAN step? Every way of training the tutorial GAN, timed side by side in one run.

One step is two discriminator updates and one generator update, in float32 but for the NumPy program's float64. The rows
take turns, so that a slow moment of the machine falls on all of them; the median of the rounds counts, and ratios are
medians of the rounds' ratios. A sweep is the public `sweep` with its store, everything but the first compilation.
"""

import ctypes
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy_gan
import optax
import results
import runs

from slantgan_jax import (
    Game,
    faces,
    fields,
    games,
    losses,
    networks,
    penalties,
    plots,
    rules,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.cpu import use_every_core

EPOCHS = 1000
STEPS = EPOCHS * len(faces.FACES)
NUMPY_EPOCHS = 200
TORCH_RUNS, TORCH_EPOCHS = 16384, 100

METHOD_STEPS = 1000
METHOD_AXES = {"seed": np.arange(4096), "learning_rate": [0.01]}


def playing(
    rule: Callable[..., rules.Rule] = rules.simultaneous,
    game: Game = runs.GAME,
    optimizer: Callable[..., optax.GradientTransformation] = optax.sgd,
    **options: Any,
) -> Callable[[jax.Array], tuple[Game, rules.Rule]]:
    """Of a learning rate the game and the rule: all methods in the form in which `run_of` trains them."""
    return lambda rate: (game, rule(optimizer(rate), **options))


METHODS: dict[str, Callable[[jax.Array], tuple[Game, rules.Rule]]] = {
    "tutorial": playing(rules.tutorial),
    "simultaneous": playing(),
    "alternating": playing(rules.alternating),
    "momentum": playing(optimizer=partial(optax.sgd, momentum=-0.5)),
    "Adam": playing(optimizer=optax.adam),
    "optimistic": playing(optimizer=optax.optimistic_gradient_descent),
    "past extragradient": playing(rules.past_extragradient, step_size=0.1),
    "lookahead": playing(lambda optimizers: rules.lookahead(rules.simultaneous(optimizers), 5, 0.5)),
    "averaged": playing(lambda optimizers: rules.averaged(rules.simultaneous(optimizers), optax.ema(0.99))),
    **{
        name: playing(field=field)
        for name, field in {
            "extragradient": fields.extragradient(0.1),
            "consensus": fields.consensus(1.0),
            "sga": fields.sga(1.0),
            "sga aligned": fields.sga(1.0, align=True),
            "cgd": fields.cgd(0.1),
            "lola": fields.lola(1.0),
            "sos": fields.sos(1.0),
            "unrolled 5": fields.unrolled(5, 1.0),
            "heun": fields.heun(0.1),
            "rk4": fields.rk4(0.1),
        }.items()
    },
    **{
        name: playing(game=game)
        for name, game in {
            "R1": games.penalized(slanted_land(), penalties.r1(0.1)),
            "WGAN-GP": games.penalized(slanted_land(), penalties.wgan_gp(0.1)),
            "DRAGAN": games.penalized(slanted_land(), penalties.dragan(0.1)),
            "instance noise": slanted_land(noise=0.1),
            "spectral normalization": slanted_land(logit=penalties.spectral(networks.logit)),
            "smoothing": slanted_land(objective=losses.smoothed(losses.non_saturating, 0.1)),
            "relativistic": slanted_land(objective=losses.relativistic),
        }.items()
    },
    "weight clipping": playing(optimizer=lambda rate: penalties.clipped(optax.sgd(rate), 1.0)),
}
"""By name, of a learning rate: game and rule. What is not in the name is simultaneous, non-saturating, plain SGD."""


class Row(NamedTuple):
    """One way of training: `work` advances `runs` GANs by `steps` steps; with no runs the `name` says why."""

    name: str
    runs: int
    steps: int
    work: Callable[[], object]


def benchmark(
    repeats: int = 5, largest: int = 262_144, methods: bool = True, out: Path = Path("results/benchmark")
) -> None:
    """Time every way of training side by side; print a table, draw it, write benchmark.json.

    Args:
        repeats: how many rounds; medians count.
        largest: the number of runs in the largest sweep.
        methods: time every rule, adjustment and penalty, too, as sweeps of 4096 runs without a store.
        out: folder for the data and the figure.
    """
    if repeats < 1:
        raise ValueError(f"--repeats is {repeats}: time each row at least once")
    if largest < 4096:
        raise ValueError(f"--largest is {largest}: give at least 4096")
    use_every_core()
    with results.complete_folder(out) as folder, tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "sweep.zarr"
        cold = seconds(partial(swept, store, runs_of_tutorial, 20_000))
        rows = [
            Row("NumPy program", 1, NUMPY_EPOCHS * 5, partial(numpy_gan.train, epochs=NUMPY_EPOCHS)),
            torch_row(),
            Row("JAX, one GAN", 1, STEPS, one_run()),
            c_row(Path(scratch), 32_768),
            *(
                Row(f"JAX sweep, {count} GANs", count, STEPS, partial(swept, store, runs_of_tutorial, count))
                for count in sorted({4096, 32_768, largest})
            ),
            Row("JAX sweep, Adam", 32_768, STEPS, partial(swept, store, runs_of_adam, 32_768)),
        ]
        timed = [row for row in rows if row.runs]
        for row in timed:
            row.work()  # compiles
        rounds = np.array([[seconds(row.work) / row.runs / row.steps * 1e9 for row in timed] for _ in range(repeats)])
        memory = peak_memory(store, largest)
        costs = cost_of_methods(repeats) if methods else {}
        record = (
            summary(timed, rounds)
            | {"methods_ns_per_gan_and_step": costs}
            | {"cold_sweep_of_20000_seconds": cold, "peak_memory_mib": memory}
        )
        show(rows, record)
        machine = {"processor": processor(), "devices": jax.device_count(), "system": platform.platform()}
        record |= {"machine": machine, "command": results.command(), "versions": results.record()}
        results.write_json(folder / "benchmark.json", record)
        shown = record["ns_per_gan_and_step"]
        results.save_figure(folder / "benchmark.png", plots.speeds, 8, 3.6, list(shown), np.array(list(shown.values())))
    print(f"Written to {out}/.")


def cost_of_methods(repeats: int) -> dict[str, float]:
    """Median ns per GAN and step of each method, taking turns; a step moves each player once, in the first D twice."""
    work = {name: partial(sweep, partial(run_of, name), METHOD_AXES) for name in METHODS}
    for one in work.values():
        one()  # compiles
    runs_and_steps = 4096 * METHOD_STEPS
    rounds = [{name: seconds(one) / runs_and_steps * 1e9 for name, one in work.items()} for _ in range(repeats)]
    return {name: float(np.median([times[name] for times in rounds])) for name in work}


def run_of(name: str, key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    game, rule = METHODS[name](learning_rate)
    return {"bias": train(key, game, rule, METHOD_STEPS).players.discriminator.bias}


def summary(rows: list[Row], rounds: np.ndarray) -> dict:
    """Medians of the rows, and the ratios that matter, each the median of the rounds' ratios."""
    column = {row.name: rounds[:, i] for i, row in enumerate(rows)}
    sweeps = [name for name in column if name.startswith("JAX sweep,") and "Adam" not in name]
    fastest = column[sweeps[-1]]
    ratios = {
        "NumPy program / one JAX run": column["NumPy program"] / column["JAX, one GAN"],
        "NumPy program / sweep": column["NumPy program"] / fastest,
        **{f"sweep / {name}": fastest / column[name] for name in column if name.startswith("C,")},
        **{f"{name} / sweep": column[name] / fastest for name in column if name.startswith("PyTorch")},
        "Adam / sweep of as many": column["JAX sweep, Adam"] / column["JAX sweep, 32768 GANs"],
        "smallest / largest sweep": column[sweeps[0]] / fastest,
    }
    return {
        "ns_per_gan_and_step": {name: float(np.median(values)) for name, values in column.items()},
        "rounds": {name: values.tolist() for name, values in column.items()},
        "ratios": {name: float(np.median(values)) for name, values in ratios.items()},
    }


def show(rows: list[Row], record: dict) -> None:
    medians = record["ns_per_gan_and_step"]
    print(f"{'':34} {'ns per GAN and step':>20} {'times NumPy':>12}   ({jax.device_count()} devices)")
    for row in rows:
        if not row.runs:
            print(row.name)
        else:
            value = medians[row.name]
            print(f"{row.name:34} {value:20.4g} {medians['NumPy program'] / value:12.4g}")
    for name, value in record["methods_ns_per_gan_and_step"].items():
        print(f"{'method: ' + name:34} {value:20.4g}")
    for name, ratio in record["ratios"].items():
        print(f"{name:34} {ratio:20.4g}")
    print(f"{'20,000 runs, cold, stored':34} {record['cold_sweep_of_20000_seconds']:20.3g} s")
    for count, mebibytes in record["peak_memory_mib"].items():
        print(f"{f'peak memory, {count} runs':34} {mebibytes:20.0f} MiB")


def runs_of_tutorial(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    return runs.one_rate(key, learning_rate, EPOCHS)


def runs_of_adam(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    rule = rules.tutorial(optax.adam(learning_rate))
    return runs.scalars(train(key, slanted_land(), rule, STEPS).players)


def swept(store: Path, run: Callable[..., dict[str, jax.Array]], count: int) -> None:
    shutil.rmtree(store, ignore_errors=True)
    dims = runs.DIMS if run is runs_of_tutorial else None
    sweep(run, {"seed": np.arange(count), "learning_rate": [0.01]}, dims=dims, store=store)


def one_run() -> Callable[[], object]:
    train_one = jax.jit(runs_of_tutorial)
    return lambda: jax.block_until_ready(train_one(jax.random.key(0), 0.01))


def torch_row() -> Row:
    try:
        import torch_gan
    except ImportError:
        return Row("PyTorch, compiled: not installed", 0, 0, object)
    return Row("PyTorch, compiled", TORCH_RUNS, TORCH_EPOCHS * 5, torch_gan.trainer(TORCH_RUNS, TORCH_EPOCHS))


def c_row(folder: Path, count: int) -> Row:
    """The C program, a thread a core, from the same parameters and keys; its result is checked against the sweep's."""
    library = folder / "limit.so"
    lanes = 16 if "avx512f" in processor_flags() else 8
    source = Path(__file__).with_name("limit.c")
    flags = ["-O3", "-march=native", "-mprefer-vector-width=512"] if lanes == 16 else ["-O3", "-march=native"]
    try:
        compile_c = ["cc", *flags, f"-DLANES={lanes}", "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(compile_c, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return Row("C, by hand: no compiler here", 0, 0, object)
    limit = ctypes.CDLL(str(library))
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed)))(jnp.arange(count))
    (w, b), (u, c) = jax.vmap(slanted_land().init)(keys[:, 0])
    start = np.array(jnp.stack([*w, *b, *u, c]), np.float32)
    words, rates = np.array(jax.random.key_data(keys[:, 1])).T, np.full(count, 0.01, np.float32)
    threads = jax.device_count()
    ends = [i * (count // lanes) // threads * lanes for i in range(threads + 1)]  # whole vectors
    parts = list(map(slice, ends[:-1], ends[1:]))

    def work() -> np.ndarray:
        arrays = [[np.array(array[..., part], order="C") for array in (words, rates, start)] for part in parts]
        pointers = [[array.ctypes.data_as(ctypes.c_void_p) for array in group] for group in arrays]
        workers = [
            threading.Thread(target=limit.train, args=(part.stop - part.start, STEPS, *group))
            for part, group in zip(parts, pointers, strict=True)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return np.concatenate([group[2] for group in arrays], axis=1)

    ours = sweep(runs_of_tutorial, {"seed": np.arange(64), "learning_rate": [0.01]}, dims=runs.DIMS)
    difference = np.max(np.abs(work()[:4, :64].T - ours.generator_weights.values[:, 0]))
    if not difference < 1e-4:  # 5000 steps of float32 rounding in another order
        raise RuntimeError(f"the C program's weights differ from the library's by {difference}")
    return Row(f"C, by hand, {count} GANs", count, STEPS, work)


def peak_memory(store: Path, largest: int) -> dict[str, float]:
    """The peak resident memory, MiB, of a process that does nothing but a sweep; one process for each size."""
    program = (
        "import sys, resource, pathlib; sys.path.insert(0, sys.argv[1]); import benchmark as b; b.use_every_core();"
        "b.swept(pathlib.Path(sys.argv[2]), b.runs_of_tutorial, int(sys.argv[3]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    python = [sys.executable, "-c", program, str(Path(__file__).parent), str(store)]
    sizes = sorted({largest // 4, largest})
    return {
        str(size): float(subprocess.run([*python, str(size)], check=True, capture_output=True, text=True).stdout)
        for size in sizes
    }


def processor_flags() -> str:
    information = Path("/proc/cpuinfo")
    return information.read_text() if information.exists() else ""


def processor() -> str:
    names = [line.partition(":")[2].strip() for line in processor_flags().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    results.command_line(benchmark)
