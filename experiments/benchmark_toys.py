"""How fast is a step of two perceptrons, for many seeds at once?

Each row is a process of its own, and rows take turns, so that all see the same machine: the sweep of this package; only
the matrix products of a step, without activations, losses, random numbers or optimizer; the same experiment as one
would write it by hand in JAX, a vmapped scan; and in PyTorch with torch.func, if it is installed. The game is a ring of
eight modes, the non-saturating loss, D and then G on one minibatch, Adam. See docs/toy_gans.md#speed.
"""

import importlib.util
import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Experiment, Quick, progress
from _options import check_known, check_whole
from _results import Data
from _timing import printed_by
from _timing import seconds as seconds_of
from _toys import Toy, perceptron

from slantgan_jax import datasets, distributions, rules, sweep, train
from slantgan_jax.cpu import use_every_core

SIZES = {"4x16": (16,) * 4, "2x64": (64,) * 2, "2x128": (128,) * 2}
"""The hidden layers of both players."""

LATENTS, RATE, BETA_1 = 16, 1e-4, 0.5
ROWS = ("sweep", "products", "JAX by hand", "PyTorch by hand")


@dataclass(frozen=True)
class Settings:
    """Time a step of two perceptrons against its matrix products and against programs written by hand."""

    sizes: Annotated[tuple[str, ...], partial(check_known, known=SIZES)] = tuple(SIZES)
    """Hidden layers."""
    batches: Annotated[tuple[int, ...], partial(check_whole, least=1)] = (128, 512)
    """Sizes of minibatches."""
    seeds: Annotated[int, partial(check_whole, least=1)] = 32
    """Runs at once."""
    repeats: Annotated[int, partial(check_whole, least=1)] = 3
    """Turns; the median counts."""
    seconds: Annotated[int, partial(check_whole, least=1)] = 5
    """About how long a measurement takes."""
    fused: bool = False
    """Time the sweep with the flags for steps of scalars, too."""


def compute(settings: Settings, out: Path) -> Data:
    rows = [row for row in ROWS if "PyTorch" not in row or importlib.util.find_spec("torch")]
    rows += ["sweep, fused"] * settings.fused
    found: Data = {}
    for size in settings.sizes:
        for batch in settings.batches:
            times: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
            for _ in progress(range(settings.repeats), f"{size}, {batch}"):
                for row in rows:
                    times[row].append(measured(row, size, batch, settings))
            found[f"{size}, batch {batch}"] = {
                row: {name: statistics.median(one[name] for one in values) for name in values[0]}
                for row, values in times.items()
            }
    return {"rows": found, "seeds": settings.seeds}


def measured(row: str, size: str, batch: int, settings: Settings) -> dict[str, float]:
    """Microseconds a GAN and step of a row, and the seconds until its first result, from a process of its own."""
    program = f"import benchmark_toys as b; b.worker({row!r}, {size!r}, {batch}, {settings.seeds}, {settings.seconds})"
    first, each = map(float, printed_by(program, f"the row {row!r}").split()[-2:])
    return {"first result, s": first, "µs": each}


def worker(row: str, size: str, batch: int, seeds: int, seconds: float) -> None:
    """Prints the seconds that the first call of a row takes, and the microseconds a GAN and step of later ones.

    The microseconds are the difference of a run and one of three times the steps: a call of `sweep` traces the run.
    """
    if row.startswith("sweep"):
        use_every_core(fused=row == "sweep, fused")
    play = {
        "sweep": by_sweep,
        "sweep, fused": by_sweep,
        "products": products,
        "JAX by hand": by_hand,
        "PyTorch by hand": in_torch,
    }[row]
    run = play(SIZES[size], batch, seeds)
    first = seconds_of(lambda: run(4))

    def timed(steps: int) -> float:
        run(steps)
        return seconds_of(lambda: run(steps))

    steps, short = 16, timed(16)
    while (more := timed(3 * steps) - short) < seconds / 2:
        steps = min(8 * steps, int(2 + 1.2 * steps * seconds / 2 / max(more, 1e-3)))
        short = timed(steps)
    print(first, more / (2 * steps) / seeds * 1e6)


def toy(hidden: tuple[int, ...], batch: int) -> Toy:
    ends = perceptron((LATENTS, *hidden, 2)), perceptron((2, *hidden, 1))
    return Toy(datasets.ring(), *ends, distributions.normal((LATENTS,)), batch)


def by_sweep(hidden: tuple[int, ...], batch: int, seeds: int) -> Callable[[int], Any]:
    one = toy(hidden, batch)
    rule = rules.alternating(optax.adam(RATE, b1=BETA_1))

    def run(key: jax.Array, steps: int) -> dict[str, jax.Array]:
        result = train(key, one.game(), rule, steps)
        return {"finite": result.finite, "biases": result.players.generator[-1].biases}

    return lambda steps: sweep(partial(run, steps=steps), {"seed": np.arange(seeds)}, dims={"biases": ("i",)})


def products(hidden: tuple[int, ...], batch: int, seeds: int) -> Callable[[int], Any]:
    """Only the matrix products of a step: those of the same networks without activations."""
    key = jax.random.key(0)
    shapes = [(LATENTS, *hidden, 2), (2, *hidden, 1)]
    layers = [[jax.random.normal(key, (seeds, a, b)) / a**0.5 for a, b in itertools.pairwise(s)] for s in shapes]
    latents, real = jax.random.normal(key, (seeds, batch, LATENTS)), jax.random.normal(key, (seeds, batch, 2))

    def forward(weights: list[jax.Array], values: jax.Array) -> list[jax.Array]:
        found = [values]
        for w in weights:
            found.append(found[-1] @ w)
        return found

    def backward(
        weights: list[jax.Array], values: list[jax.Array], slope: jax.Array, own: bool
    ) -> tuple[list[jax.Array], jax.Array]:
        slopes = []
        for i in reversed(range(len(weights))):
            if own:
                slopes.append(values[i].mT @ slope)
            if i or not own:
                slope = slope @ weights[i].mT
        return slopes[::-1], slope

    def step(_: Any, players: list[list[jax.Array]]) -> list[list[jax.Array]]:
        generator, discriminator = players
        drawn = forward(generator, latents)
        for points in (real, drawn[-1]):
            values = forward(discriminator, points)
            slopes, _ = backward(discriminator, values, values[-1], True)
            discriminator = [w - 1e-9 * s for w, s in zip(discriminator, slopes, strict=True)]
        values = forward(discriminator, drawn[-1])
        _, slope = backward(discriminator, values, values[-1], False)
        slopes, _ = backward(generator, drawn, slope, True)
        return [[w - 1e-9 * s for w, s in zip(generator, slopes, strict=True)], discriminator]

    run = jax.jit(lambda steps, players: jax.lax.fori_loop(0, steps, step, players))
    return lambda steps: jax.block_until_ready(run(steps, layers))


def by_hand(hidden: tuple[int, ...], batch: int, seeds: int) -> Callable[[int], Any]:
    """As one would write it: batched layers, keys that are split, optax, one scan, vmap over seeds."""
    optimizer = optax.adam(RATE, b1=BETA_1)
    angles = 2 * np.pi * np.arange(8) / 8
    centers = jnp.asarray(2 * np.stack([np.cos(angles), np.sin(angles)], -1), jnp.float32)

    def init(key: jax.Array, sizes: tuple[int, ...]) -> list[tuple[jax.Array, jax.Array]]:
        keys = jax.random.split(key, len(sizes) - 1)
        xavier = jax.nn.initializers.glorot_uniform()
        pairs = zip(keys, itertools.pairwise(sizes), strict=True)
        return [(xavier(k, pair), jnp.zeros(pair[1])) for k, pair in pairs]

    def apply(layers: list[tuple[jax.Array, jax.Array]], x: jax.Array) -> jax.Array:
        for w, b in layers[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ layers[-1][0] + layers[-1][1]

    def loss_d(d: Any, g: Any, z: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.mean(jax.nn.softplus(-apply(d, x))) + jnp.mean(jax.nn.softplus(apply(d, apply(g, z))))

    def loss_g(g: Any, d: Any, z: jax.Array) -> jax.Array:
        return jnp.mean(jax.nn.softplus(-apply(d, apply(g, z))))

    def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
        g, d, state_g, state_d = carry
        key_z, key_mode, key_x = jax.random.split(key, 3)
        z = jax.random.normal(key_z, (batch, LATENTS))
        x = centers[jax.random.randint(key_mode, (batch,), 0, 8)] + 0.02 * jax.random.normal(key_x, (batch, 2))
        updates, state_d = optimizer.update(jax.grad(loss_d)(d, g, z, x), state_d)
        d = optax.apply_updates(d, updates)
        updates, state_g = optimizer.update(jax.grad(loss_g)(g, d, z), state_g)
        return (optax.apply_updates(g, updates), d, state_g, state_d), None

    def run(seed: jax.Array, steps: int) -> Any:
        key_g, key_d, key = jax.random.split(jax.random.key(seed), 3)
        g, d = init(key_g, (LATENTS, *hidden, 2)), init(key_d, (2, *hidden, 1))
        carry = g, d, optimizer.init(g), optimizer.init(d)
        return jax.lax.scan(step, carry, jax.random.split(key, steps))[0][0]

    many = jax.jit(jax.vmap(run, in_axes=(0, None)), static_argnums=1)
    return lambda steps: jax.block_until_ready(many(jnp.arange(seeds), steps))


def in_torch(hidden: tuple[int, ...], batch: int, seeds: int) -> Callable[[int], Any]:
    """The same with torch.func: stacked parameters, vmapped gradients, Adam on the stacks."""
    torch: Any = importlib.import_module("torch")
    softplus, grad, vmap = torch.nn.functional.softplus, torch.func.grad, torch.func.vmap
    angles = 2 * torch.pi * torch.arange(8) / 8
    centers = 2 * torch.stack([torch.cos(angles), torch.sin(angles)], -1)

    def init(sizes: tuple[int, ...]) -> tuple[Any, ...]:
        layers: list[Any] = []
        for a, b in itertools.pairwise(sizes):
            bound = (6 / (a + b)) ** 0.5
            layers += [bound * (2 * torch.rand(seeds, a, b) - 1), torch.zeros(seeds, b)]
        return tuple(layers)

    def apply(layers: Any, x: Any) -> Any:
        for i in range(0, len(layers), 2):
            x = x @ layers[i] + layers[i + 1]
            x = torch.relu(x) if i < len(layers) - 2 else x
        return x

    def loss_d(d: Any, g: Any, z: Any, x: Any) -> Any:
        return softplus(-apply(d, x)).mean() + softplus(apply(d, apply(g, z))).mean()

    def loss_g(g: Any, d: Any, z: Any) -> Any:
        return softplus(-apply(d, apply(g, z))).mean()

    slope_d, slope_g = vmap(grad(loss_d)), vmap(grad(loss_g))

    def run(steps: int) -> None:
        players = [init((LATENTS, *hidden, 2)), init((2, *hidden, 1))]
        optimizers = [torch.optim.Adam(own, RATE, betas=(BETA_1, 0.999), foreach=True) for own in players]
        for _ in range(steps):
            z = torch.randn(seeds, batch, LATENTS)
            x = centers[torch.randint(8, (seeds, batch))] + 0.02 * torch.randn(seeds, batch, 2)
            for i in (1, 0):
                slopes = slope_d(players[1], players[0], z, x) if i else slope_g(*players, z)
                for own, slope in zip(players[i], slopes, strict=True):
                    own.grad = slope
                optimizers[i].step()

    return run


def report(data: Data) -> None:
    print(f"{'microseconds a GAN and step':28}" + "".join(f"{row:>17}" for row in ROWS) + "   share  first result")
    for name, row in data["rows"].items():
        cells = "".join(f"{row[one]['µs']:17.1f}" if one in row else f"{'-':>17}" for one in ROWS)
        share, first = row["products"]["µs"] / row["sweep"]["µs"], row["sweep"]["first result, s"]
        print(f"{name:28}{cells}{share:8.0%}{first:12.1f} s")
        if "sweep, fused" in row:
            print(f"  with the flags for steps of scalars{row['sweep, fused']['µs']:10.1f}")


def answer(data: Data) -> str:
    rows = data["rows"].values()
    shares = [row["products"]["µs"] / row["sweep"]["µs"] for row in rows]
    jax_by_hand = [row["JAX by hand"]["µs"] / row["sweep"]["µs"] for row in rows]
    text = f"A sweep has {min(shares):.0%} to {max(shares):.0%} of the speed of its matrix products, and "
    text += f"{min(jax_by_hand):.2f} to {max(jax_by_hand):.2f} times that of the program by hand in JAX."
    if torch := [row["PyTorch by hand"]["µs"] / row["sweep"]["µs"] for row in rows if "PyTorch by hand" in row]:
        text += f"\nIt is {min(torch):.1f} to {max(torch):.1f} times as fast as the one in PyTorch."
    return text


EXPERIMENT = Experiment(
    "benchmark_toys",
    Settings,
    compute,
    answer,
    report=report,
    x64=False,
    devices=0,
    time="about 45 minutes",
    quick=Quick({"sizes": ("2x64",), "batches": (128,), "repeats": 1, "seconds": 2}, "2 minutes"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
