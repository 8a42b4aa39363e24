"""How does the cost of a sweep grow with its runs, and that of a run with the pixels of its images?

Each measurement is a process of its own, so that its peak memory is known. See docs/performance.md#how-cost-grows.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import jax
import numpy as np
import optax
from _experiment import Experiment, Figure, Quick, progress
from _options import check_whole
from _results import Data
from _timing import peak_memory, printed_by, seconds
from figures import cost_growth as figures

from slantgan_jax import faces, generate, rules, runs, slanted_land, sweep, sweeps, train
from slantgan_jax.cpu import use_every_core

EPOCHS = 200
PIXEL_RUNS, PIXEL_STEPS = 64, 200


@dataclass(frozen=True)
class Settings:
    """Measure time, memory and storage against the number of runs, and time against the number of pixels."""

    runs: Annotated[tuple[int, ...], partial(check_whole, least=1, most=10**7)] = tuple(10**k for k in range(7))
    """Sizes of sweeps of 200 epochs, each into a store."""
    sides: Annotated[tuple[int, ...], partial(check_whole, least=2, most=100)] = (2, 4, 8, 16, 32, 100)
    """Sides of images, whose pixels are one array."""
    scalar_sides: Annotated[tuple[int, ...], partial(check_whole, least=2, most=16)] = (2, 4, 6, 8)
    """Sides of images, each of whose pixels is a number of its own. Such programs grow with the pixels."""


def compute(settings: Settings, out: Path) -> Data:
    cases = [("runs", size) for size in settings.runs] + [("array", side) for side in settings.sides]
    cases += [("scalars", side) for side in settings.scalar_sides]
    found: Data = {"runs": {}, "array": {}, "scalars": {}}
    for kind, size in progress(cases, "processes"):
        said = printed_by(f"import cost_growth as c; c.worker({kind!r}, {size})", f"{kind} {size}")
        found[kind][str(size)] = json.loads(said.splitlines()[-1])
    return found


def worker(kind: str, size: int) -> None:
    """Prints what one measurement found, as JSON."""
    use_every_core()
    found = of_runs(size) if kind == "runs" else of_pixels(size, as_scalars=kind == "scalars")
    print(json.dumps(found | {"memory, MiB": peak_memory()}))


def of_runs(count: int) -> dict[str, float]:
    """Seconds of a first and of a second sweep of so many runs into a store, and what the store costs."""
    run, axes = partial(runs.one_rate, epochs=EPOCHS), {"seed": np.arange(count), "learning_rate": [0.01]}
    with TemporaryDirectory() as folder:
        times = [seconds(lambda i=i: sweep(run, axes, dims=runs.DIMS, store=f"{folder}/{i}.zarr")) for i in range(2)]
        store = Path(folder) / "1.zarr"
        files = [path.stat().st_size for path in store.rglob("*") if path.is_file()]
        return {
            "first, s": times[0],
            "second, s": times[1],
            "µs a run": times[1] / count * 1e6,
            "store, bytes a run": sum(files) / count,
            "files": len(files),
            "open, s": seconds(lambda: sweeps.load(store)),
            "open and read all, s": seconds(lambda: sweeps.load(store).compute()),
        }


def of_pixels(side: int, as_scalars: bool) -> dict[str, float]:
    """Seconds to compile, and nanoseconds of a step of one of 64 GANs for each pixel."""
    images = faces.slanted(jax.random.key(0), 5, side)
    game, rule = slanted_land(faces.unstack(images) if as_scalars else images), rules.tutorial(optax.sgd(0.01))

    def run(key: jax.Array) -> Any:
        players = train(key, game, rule, PIXEL_STEPS).players
        return jax.tree.leaves(generate(players.generator, 0.5))[0]

    many, keys = jax.jit(jax.vmap(run)), jax.random.split(jax.random.key(1), PIXEL_RUNS)
    first = seconds(lambda: jax.block_until_ready(many(keys)))
    again = min(seconds(lambda: jax.block_until_ready(many(keys))) for _ in range(3))
    steps = PIXEL_RUNS * PIXEL_STEPS
    return {"first, s": first, "ns a step": again / steps * 1e9, "ns a step and pixel": again / steps / side**2 * 1e9}


def report(data: Data) -> None:
    for kind, title in (("runs", "runs"), ("array", "side, one array"), ("scalars", "side, a number for each pixel")):
        rows = data[kind]
        names = list(next(iter(rows.values())))
        print(f"{title:>30}" + "".join(f"{name:>22}" for name in names))
        for size, row in rows.items():
            print(f"{size:>30}" + "".join(f"{row[name]:22.4g}" for name in names))


def answer(data: Data) -> str:
    sizes = sorted(map(int, data["runs"]))
    large = data["runs"][str(sizes[-1])]
    both = sorted(set(data["array"]) & set(data["scalars"]), key=int)
    faster = [side for side in both if data["scalars"][side]["ns a step"] < data["array"][side]["ns a step"]]
    who = "One run" if sizes[-1] == 1 else f"Of {sizes[-1]:,} runs each"
    text = f"{who} takes {large['µs a run']:.3g} µs and {large['store, bytes a run']:.3g} bytes, "
    text += f"and the process {large['memory, MiB']:,.0f} MiB."
    if not both:
        return text
    text += "\nScalar leaves are faster than arrays up to "
    return text + (f"{max(map(int, faster))}×{max(map(int, faster))} pixels." if faster else "no size that was tried.")


EXPERIMENT = Experiment(
    "cost_growth", Settings, compute, answer, {"cost_growth.png": Figure(figures.draw, 12, 4)}, report,
    x64=False, devices=0, time="about 4 minutes",
    quick=Quick({"runs": (1, 1000), "sides": (2, 8), "scalar_sides": (2, 4)}, "30 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
