"""Which equilibrium does training pick, does noise move it, and how good is it?

The equilibria are a surface, one for each w (see `analysis.equilibria`). Three parts, on the tutorial's faces.

Which one. Hundreds of standard-normal starts follow the flow of the expected game (Runge and Kutta's steps of size 1,
float64) to rest. Four laws say from the start where that is:

    w of the start      it stays: `equilibria.project`
    small-w law         w + (logit m - b - w/2) / 2.5, the nearest point where w is small
    steepest line       `steepest_lines.endpoint`, the steepest ascent or descent of each pixel's mean
    from time 2000 on   the same from where the run then is, plus ½ vᵀ K v of `diffusion.slow_diffusion`

and the same starts by other rules, rates, penalties, objectives and optimizers end so far from there.

Noise. From one equilibrium, hundreds of runs that differ only in their latents; `landing` of where a run is tells where
on the surface it belongs, however it swings. Mean and deviation over runs against `diffusion.slow_diffusion`, integrated:

    dw/dτ = V(w),   dC/dτ = 2 η D(w) + V' C + C V'ᵀ,   τ = η² n

How good. Wasserstein-1 and -2 and energy distance from the faces, of the equilibria reached and of runs of 1000 epochs
at rate 0.01, divided by the least that any generator of this family has, found by L-BFGS from several starts.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from jax.typing import ArrayLike

from slantgan_jax import (
    Generator,
    Objective,
    Players,
    Rule,
    distributions,
    equilibrium_plots,
    faces,
    fields,
    games,
    losses,
    penalties,
    rules,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.analysis import diffusion, distances, equilibria, steepest_lines, transport
from slantgan_jax.cpu import use_every_core
from slantgan_jax.training import StepInfo

IMAGES = faces.unstack(faces.FACES)
MEAN = faces.FACES.mean(0)
NODES = 8  # of the latent where players move: E σ(w z + b) to 1e-6 for |w| up to 5
FLOW_STEPS, EVERY = 30_000, 10  # of size 1; steps from record to record
WHILE = 2000
DRAWN, DRAWN_STEPS = 6, 600  # runs in the plane of a pixel's w and b, and how long
COMPARED = 64  # starts that every rule begins at
START = (1.5, 1.0, -1.0, -1.5)  # the equilibrium that noise is let loose at: about as steep as the flow's
RECORDS, MOST_STEPS = 50, 100_000_000
EPOCHS, RATE = 1000, 0.01  # the tutorial's
SCREENED, STARTS = 128, 8  # random generators, and the best of them, where L-BFGS starts
DESCENT, LONGEST = 45, 0.5  # its steps and the longest
ROUNDS = 8  # of transport: errors of 1e-9 for weights of this size, in half the time
SUBSTEPS = 4  # of the predicted mean and covariance, from record to record


def sgd(rate: Any) -> optax.GradientTransformation:
    return optax.sgd(rate)


class Method(NamedTuple):
    """A way to train: `steps` by a `rule`, on the expected game or a `sampled` one, with R1 of strength `gamma`."""

    steps: int
    rule: Rule
    objective: Objective = losses.non_saturating
    gamma: float = 0.0
    sampled: bool = False


METHODS = {
    "alternating, η = 0.1": Method(80_000, rules.alternating(sgd(0.1))),
    "alternating, η = 1": Method(12_000, rules.alternating(sgd(1.0))),
    "simultaneous, η = 0.1": Method(80_000, rules.simultaneous(sgd(0.1))),
    "tutorial's order, η = 0.1": Method(80_000, rules.tutorial(sgd(0.1))),
    "tutorial, sampled, η = 0.01": Method(1_000_000, rules.tutorial(sgd(0.01)), sampled=True),
    "extragradient, η = 0.3": Method(24_000, rules.simultaneous(sgd(0.3), fields.extragradient(0.3))),
    "optimistic, η = 0.3": Method(24_000, rules.simultaneous(optax.optimistic_gradient_descent(0.3))),
    "D ten times as fast": Method(24_000, rules.alternating(Players(optax.sgd(0.1), optax.sgd(1.0)))),
    "R1, γ = 0.1": Method(3000, rules.alternating(sgd(1.0)), gamma=0.1),
    "saturating loss": Method(12_000, rules.alternating(sgd(1.0)), losses.saturating),
    "Adam, R1": Method(30_000, rules.alternating(optax.adam(0.001, b1=0.5)), gamma=0.1),
}


class Case(NamedTuple):
    """A way to be noisy; `shared_latent` and `discriminator_first` as in `diffusion.slow_diffusion`."""

    shared_latent: bool
    discriminator_first: bool
    rule: Callable[[rules.Optimizer], Rule]
    objective: Objective = losses.non_saturating


CASES = {
    "the tutorial: D has seen G's latent": Case(True, True, rules.tutorial),
    "G has a fresh latent": Case(False, True, rules.tutorial),
    "G moves first, same latent": Case(True, False, partial(rules.alternating, order=("generator", "discriminator"))),
    "saturating loss, fresh latent": Case(False, True, rules.tutorial, losses.saturating),
}
SHARED, FRESH = list(CASES)[:2]
R1, SATURATING, ADAM = list(METHODS)[-3:]
STEEPEST = "steepest line"
DISTANCES = {"W₁": 1, "W₂": 2, "energy": 0}


def which_equilibrium(
    starts: int = 256,
    replicas: int = 512,
    steps: int = 1_000_000,
    learning_rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3),
    out: Path = Path("results/which_equilibrium"),
) -> None:
    """Where training lands on the surface of equilibria, how noise moves it there, and how good that is.

    Args:
        starts: of the flow, and of runs of the tutorial.
        replicas: streams of latents for each case of noise and each rate.
        steps: of noisy training; a multiple of 50.
        learning_rates: of noisy training, both players'.
        out: folder for the data and the figure.
    """
    for name, count in (("--starts", starts), ("--replicas", replicas)):
        if count < 2:
            raise ValueError(f"{name} is {count}: give at least 2, so that they have a spread")
    if not RECORDS <= steps <= MOST_STEPS or steps % RECORDS:
        raise ValueError(f"--steps is {steps}: give a multiple of {RECORDS} from {RECORDS} to {MOST_STEPS}")
    for rate in learning_rates:
        results.check_positive("--learning-rates", rate)
    if len(set(learning_rates)) < max(1, len(learning_rates)):
        raise ValueError(f"--learning-rates are {learning_rates}: give each once, at least one")
    with results.complete_folder(out, ("data.json", "data.npz", "which_equilibrium.png")) as folder:
        with jax.enable_x64(True):
            flow = flow_of(starts)
            ends = ends_of_methods(min(COMPARED, starts))
        noise = {name: noise_of(case, replicas, steps, learning_rates) for name, case in CASES.items()}
        runs = tutorial_runs(starts)
        with jax.enable_x64(True):
            quality = quality_of(flow["end"], runs)
        arrays = {"flow": flow, "methods": ends, "noise": noise, "quality": quality}
        numbers = summary(flow, ends, noise, quality, steps, learning_rates)
        np.savez_compressed(folder / "data.npz", **flattened(arrays))  # type: ignore
        settings = {"replicas": replicas, "steps": steps, "learning_rates": learning_rates}
        record = {"settings": settings | {"command": results.command()}, "versions": results.record()}
        results.write_json(folder / "data.json", numbers | record)
        results.save_figure(
            folder / "which_equilibrium.png", equilibrium_plots.which_equilibrium, 16, 10,
            arrays, numbers, learning_rates, steps,
        )  # fmt: skip
    print("\n".join(numbers["answer"]))
    print(f"Written to {out}/.")


def vector(players: Players) -> jax.Array:
    """w, b, u and c, `[13]`."""
    return jnp.concatenate([faces.stack(leaf) for leaf in (*players.generator, players.discriminator.weights)]
                           + [players.discriminator.bias[None]])  # fmt: skip


def landing(numbers: jax.Array, steps: int = 64) -> jax.Array:
    """`steepest_lines.endpoint` of w and b, the first eight of `numbers`: `[4]`."""
    return steepest_lines.endpoint(Generator(numbers[:4], numbers[4:8]), faces.FACES, steps).weights


def flow_of(starts: int) -> dict[str, np.ndarray]:
    """The flow from `starts` points, `[starts, ...]`: where it starts and ends, and where the laws say that it ends."""

    def run(key):
        game = games.expected(slanted_land(latent=distributions.uniform(nodes=NODES)))
        rule = rules.simultaneous(sgd(1.0), fields.rk4(1.0))
        outcome = train(key, game, rule, FLOW_STEPS, record=lambda info: vector(info.players), record_every=EVERY)
        return vector(game.init(jax.random.split(jax.random.clone(key))[0])), outcome.history

    def law(start, later):
        nearest = start[:4] + (jnp.log(MEAN / (1 - MEAN)) - start[4:8] - start[:4] / 2) / 2.5
        rest = landing(later)
        v = jnp.concatenate([later[4:8] - equilibria.bias(rest, MEAN), later[8:]])
        later = rest + jnp.einsum("iab,a,b->i", diffusion.slow_diffusion(rest, faces.FACES).limit_hessian, v, v) / 2
        return nearest, landing(start), later

    keys = jax.vmap(jax.random.key)(jnp.arange(starts))
    start, history = jax.jit(jax.vmap(run))(keys)
    nearest, steepest, later = jax.jit(jax.vmap(law))(start, history[:, WHILE // EVERY - 1])
    end = history[:, -1]
    weights, biases = np.linspace(-3, 3.5, 66), np.linspace(-2.5, 4.5, 71)
    plane = (jnp.broadcast_to(a, (71, 66)) for a in np.meshgrid(weights, biases))
    found = {
        "grid_w": weights,
        "grid_b": biases,
        "lines": jax.jit(steepest_lines.endpoint)(Generator(*plane), jnp.full((1, 71, 66), MEAN[0])).weights,
        "surface": equilibria.bias(weights, jnp.full(66, MEAN[0])),
        "start": start,
        "end": end,
        "residual": residual_of(end),
        "nearest": nearest,
        "steepest": steepest,
        "later": later,
        "paths": jnp.concatenate([start[:DRAWN, None, :8], history[:DRAWN, : DRAWN_STEPS // EVERY, :8]], axis=1),
    }
    return jax.tree.map(np.asarray, found)


def residual_of(end: Any) -> np.ndarray:
    """How far players `[n, 13]` are from the equilibrium with the same w, `[n]`."""
    return np.linalg.norm(np.concatenate([end[:, 4:8] - bias(end[:, :4]), end[:, 8:]], axis=1), axis=1)


def bias(weights: Any) -> jax.Array:
    return equilibria.bias(weights, jnp.broadcast_to(MEAN, np.shape(weights)))


def ends_of_methods(count: int) -> dict[str, dict[str, np.ndarray]]:
    """For each method from the flow's first `count` starts: `landing` of where it ends, `[count, 4]`, and how far that
    is from the surface, `residual` `[count]`. `landing` takes away what is left of the swings, to their square."""
    ends = np.stack([ends_of(method, count) for method in METHODS.values()])
    places = np.asarray(jax.jit(jax.vmap(jax.vmap(landing)))(ends))
    return {
        name: {"landing": place, "residual": residual_of(end)}
        for name, place, end in zip(METHODS, places, ends, strict=True)
    }


def ends_of(method: Method, count: int) -> np.ndarray:
    """Where a method ends from the flow's first `count` starts, `[count, 13]`."""

    def run(key):
        game = slanted_land(objective=method.objective, latent=distributions.uniform(nodes=NODES))
        game = games.penalized(game, penalties.r1(method.gamma)) if method.gamma else game
        return vector(train(key, game if method.sampled else games.expected(game), method.rule, method.steps).players)

    return np.asarray(jax.jit(jax.vmap(run))(jax.vmap(jax.random.key)(jnp.arange(count))))


def noisy_run(key: jax.Array, learning_rate: jax.Array, start: Players, case: Case, steps: int) -> dict[str, jax.Array]:
    """`RECORDS` records of w, b and u, `[RECORDS, 12]`, of a run that starts at an equilibrium."""
    game = slanted_land(objective=case.objective, independent_latents=not case.shared_latent)
    rule, every = case.rule(sgd(learning_rate)), steps // RECORDS

    def record(info: StepInfo) -> jax.Array:
        return vector(info.players)[:12]

    outcome = train(key, game, rule, steps, players=start, record=record, record_every=every)
    return {"history": outcome.history}


def noise_of(case: Case, replicas: int, steps: int, learning_rates: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Mean and standard deviation over replicas of where on the surface they are, `[rates, 1 + RECORDS, 4]`, and the
    variance of D's u over replicas and the later half of the records `[rates, 4]`; each as predicted, too."""
    with jax.enable_x64(True):
        start = jax.tree.map(np.float32, equilibria.equilibrium(faces.unstack(np.array(START)), IMAGES))
    ds = sweep(
        partial(noisy_run, start=start, case=case, steps=steps),
        {"seed": np.arange(replicas), "learning_rate": list(learning_rates)},
        dims={"history": ("record", "number")},
    )
    history = ds.history.transpose("learning_rate", "record", "seed", "number").values.astype(float)
    with jax.enable_x64(True):
        places = np.asarray(places_of(history.reshape(-1, 12)[:, :8])).reshape(*history.shape[:3], 4)
        expected = [jax.tree.map(np.asarray, predicted(rate, float(steps), case)) for rate in learning_rates]
    at_start = np.broadcast_to(np.array(START), (len(learning_rates), 1, 4))
    return {
        "mean": np.concatenate([at_start, places.mean(2)], axis=1),
        "deviation": np.concatenate([0 * at_start, places.std(2, ddof=1)], axis=1),
        "fluctuation": history[:, RECORDS // 2 :, :, 8:].var(axis=(1, 2)),
        **{f"predicted_{name}": np.stack([each[name] for each in expected]) for name in expected[0]},
    }


@jax.jit
def places_of(numbers: jax.Array) -> jax.Array:
    """`landing` of many, `[n, 4]`, from near the surface."""
    return jax.lax.map(partial(landing, steps=8), numbers, batch_size=8192)


@partial(jax.jit, static_argnames="case")
def predicted(rate: ArrayLike, steps: ArrayLike, case: Case) -> dict[str, jax.Array]:
    """What `noise_of` measures, from `diffusion.slow_diffusion` integrated (Adams and Bashforth), and the drift at first."""

    def motion(weights):
        return diffusion.slow_diffusion(
            weights, faces.FACES, case.objective,
            shared_latent=case.shared_latent, discriminator_first=case.discriminator_first,
        )  # fmt: skip

    def change(weights, covariance):
        turn, here = jax.jacfwd(lambda weights: (motion(weights).drift, motion(weights)), has_aux=True)(weights)
        spread = 2 * rate * here.diffusion + turn @ covariance + covariance @ turn.T
        return (here.drift, spread), jnp.diag(here.fast_covariance)

    def step(carry, first):
        state, before = carry
        slopes, fluctuation = change(*state)
        before = jax.tree.map(partial(jnp.where, first), slopes, before)
        state = jax.tree.map(lambda x, now, then: x + size * (1.5 * now - 0.5 * then), state, slopes, before)
        return (state, slopes), (*state, fluctuation, slopes[0])

    size = rate**2 * steps / (RECORDS * SUBSTEPS)
    start = jnp.array(START), jnp.zeros((4, 4))
    numbers = jnp.arange(RECORDS * SUBSTEPS) == 0
    _, (mean, covariance, fluctuation, velocity) = jax.lax.scan(step, (start, start), numbers)
    deviation = jnp.sqrt(jax.vmap(jnp.diag)(covariance))
    mean, deviation = (
        jnp.concatenate([first[None], rest[SUBSTEPS - 1 :: SUBSTEPS]])
        for first, rest in ((start[0], mean), (jnp.zeros(4), deviation))
    )
    return {
        "mean": mean,
        "deviation": deviation,
        "fluctuation": jnp.asarray(rate) * fluctuation[len(fluctuation) // 2 :].mean(0),
        "velocity": velocity[0],
    }


def tutorial_runs(count: int) -> np.ndarray:
    """w and b of the generators of `count` runs of the tutorial, `[count, 8]`."""

    def run(key):
        return {"generator": vector(train(key, slanted_land(), rules.tutorial(sgd(RATE)), 5 * EPOCHS).players)[:8]}

    return sweep(run, {"seed": np.arange(count)}, dims={"generator": ("number",)}).generator.values.astype(float)


def quality_of(reached: np.ndarray, runs: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """For each distance that of the `equilibria` reached, of the `runs`, of a `constant` image, and the least there is.

    `best` is over all generators, `surface` over those whose mean image is the mean face, `[STARTS]` each, ascending,
    where L-BFGS comes to from the best of `SCREENED` random generators; `arguments` `[2, 8]` has the first's w and b.
    """
    random = np.random.default_rng(0)
    weights = random.normal(size=(SCREENED, 4)) * random.choice([0.5, 1.0, 2.0, 4.0, 8.0], (SCREENED, 1))
    means = np.asarray(bias(weights))
    screened = np.concatenate([weights, means + random.normal(size=means.shape) / 2, weights, means], axis=1)
    screened = screened.reshape(SCREENED, 2, 8).transpose(1, 0, 2)
    constant = np.concatenate([np.zeros(4), np.log(MEAN / (1 - MEAN))])[None]
    rows = np.concatenate([*screened, reached[:, :8], runs, constant])
    found = {}
    for name, order in DISTANCES.items():
        values = np.asarray(jax.jit(partial(jax.lax.map, partial(distance, order), batch_size=32))(rows))
        tried, of_reached, of_runs, of_constant = np.split(values, np.cumsum([2 * SCREENED, len(reached), len(runs)]))
        chosen = np.argsort(tried.reshape(2, SCREENED), axis=1)[:, :STARTS]
        starts = np.take_along_axis(screened, chosen[..., None], axis=1)
        least, arguments = (np.asarray(a) for a in descended(order, starts))
        ranks = np.argsort(least, axis=1)
        least = np.take_along_axis(least, ranks, axis=1)
        found[name] = {
            "equilibria": of_reached,
            "runs": of_runs,
            "constant": of_constant[0],
            "best": least[0],
            "surface": least[1],
            "arguments": np.stack([arguments[0, ranks[0, 0]], arguments[1, ranks[1, 0]]]),
        }
    return found


def distance(order: int, numbers: jax.Array) -> jax.Array:
    """Distance of the generator with the w and b in `numbers` `[8]` from the faces; `order` 0 is energy distance."""
    generator = Generator(numbers[:4], numbers[4:])
    if order == 0:
        return distances.energy_distance(generator, faces.FACES)
    return transport.wasserstein(generator, faces.FACES, order, ROUNDS)


def smooth_energy(numbers: jax.Array) -> jax.Array:
    """The energy distance by fewer nodes, for generators that are not steep: |G(z) - G(z')| is smooth for z' < z."""
    z, chances = distributions.uniform_quadrature(48)
    x = jax.nn.sigmoid(z[:, None] * numbers[None, :4] + numbers[None, 4:])
    below = jax.nn.sigmoid(jnp.outer(z, z)[..., None] * numbers[None, None, :4] + numbers[None, None, 4:])
    between = jnp.linalg.norm(x[:, None] - faces.FACES[None], axis=-1).mean(1)
    within = jnp.linalg.norm(faces.FACES[:, None] - faces.FACES[None], axis=-1).mean()
    lengths = jnp.sqrt(jnp.sum((x[:, None] - below) ** 2, axis=-1) + 1e-30)
    return 2 * chances @ between - 2 * (chances * z) @ lengths @ chances - within


@partial(jax.jit, static_argnames="order")
def descended(order: int, starts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The distances `[2, n]` and generators `[2, n, 8]` at which L-BFGS from `starts` ends: first free, then kept on
    the surface, where b follows from w."""

    def placed(surface, numbers):
        return jnp.where(surface, jnp.concatenate([numbers[:4], bias(numbers[:4])]), numbers)

    def step(surface, carry, _):
        numbers, memory = carry
        value = smooth_energy if order == 0 else partial(distance, order)
        slope = jax.grad(lambda numbers: value(placed(surface, numbers)))(numbers)
        move, memory = solver.update(slope, memory, numbers)
        move = jnp.asarray(move)
        move = move * (LONGEST / jnp.maximum(jnp.linalg.norm(move), LONGEST))
        return (numbers + move, memory), None

    def one(surface, start):
        (numbers, _), _ = jax.lax.scan(partial(step, surface), (start, solver.init(start)), length=DESCENT)
        numbers = placed(surface, numbers)
        return (smooth_energy(numbers) if order == 0 else distance(order, numbers)), numbers

    solver = optax.lbfgs(1.0, memory_size=20, linesearch=None)
    return jax.vmap(jax.vmap(one, (None, 0)))(jnp.array([False, True]), starts)


def summary(
    flow: dict[str, np.ndarray],
    ends: dict[str, dict[str, np.ndarray]],
    noise: dict[str, dict[str, np.ndarray]],
    quality: dict[str, dict[str, np.ndarray]],
    steps: int,
    learning_rates: tuple[float, ...],
) -> dict[str, Any]:
    """Every number of the answer, for data.json; and the answer, two lines."""
    end = flow["end"][:, :4]
    laws = {"w of the start": flow["start"][:, :4], "small-w law": flow["nearest"], STEEPEST: flow["steepest"],
            f"from time {WHILE} on": flow["later"]}  # fmt: skip
    spread = rms(end - end.mean(0))
    some = len(next(iter(ends.values()))["landing"])
    methods = {
        name: {
            "from the flow's end, in spreads": rms(found["landing"] - end[:some]) / spread,
            "from the steepest law, in spreads": rms(found["landing"] - flow["steepest"][:some]) / spread,
            "residual": quartiles(found["residual"]),
        }
        for name, found in ends.items()
    }
    signs = np.sign(START)
    noisy = {
        name: {
            f"{rate:g}": {
                "mean |w| moves by": ((found["mean"][i, -1] - START) * signs).mean(),
                "predicted": ((found["predicted_mean"][i, -1] - START) * signs).mean(),
                "deviation": found["deviation"][i, -1].mean(),
                "predicted deviation": found["predicted_deviation"][i, -1].mean(),
                "variance of u over predicted": (found["fluctuation"] / found["predicted_fluctuation"])[i].mean(),
            }
            for i, rate in enumerate(learning_rates)
        }
        for name, found in noise.items()
    }
    fastest = int(np.argmax(learning_rates))
    times = max(learning_rates) ** 2 * steps / RECORDS * np.arange(1 + RECORDS)
    halving = {
        name: time_to_half(times, (found["predicted_mean"][fastest] * signs).mean(1)) / (RATE**2 * 5)
        for name, found in noise.items()
    }
    good = {
        name: {
            "best of the family": found["best"],
            "best on the surface": found["surface"],
            "their w and b": found["arguments"],
            "constant mean face": found["constant"],
            "equilibria, quartiles": quartiles(found["equilibria"]),
            "tutorial runs, quartiles": quartiles(found["runs"]),
            "tutorial run of seed 0": found["runs"][0],
            "equilibria better than the constant": (found["equilibria"] < found["constant"]).mean(),
        }
        for name, found in quality.items()
    }
    explained = {name: 1 - np.sum((law - end) ** 2) / np.sum((end - end.mean(0)) ** 2) for name, law in laws.items()}
    away = {name: found["from the flow's end, in spreads"] for name, found in methods.items()}
    alike = max(away[name] for name in METHODS if name not in (R1, SATURATING, ADAM))
    far = {name: (quartiles(found["equilibria"])[1] / found["best"][0], found["constant"] / found["best"][0])
           for name, found in quality.items()}  # fmt: skip
    near, collapsed = (", ".join(f"{values[i]:.2f}" for values in far.values()) for i in range(2))
    answer = (
        f"Training ends where each pixel's line of steepest mean meets the equilibria (R² = {explained[STEEPEST]:.3f})."
        f" Rules and rates agree to {alike:.0%} of the spread over starts; the saturating loss ({away[SATURATING]:.0%})"
        f" and Adam ({away[ADAM]:.0%}) do not.",
        f"Noise halves |w| in {halving[SHARED] / 1e6:.0f} million epochs (η = 0.01) if D has just seen G's latent, in "
        f"{halving[FRESH] / 1e6:.0f} million if not. Distances over the least ({', '.join(far)}): equilibria {near}; "
        f"collapsed {collapsed}.",
    )
    return {
        "which": {
            "residual, most": flow["residual"].max(),
            "spread of w over starts": spread,
            "R² of laws": explained,
            "rms of laws": {name: rms(law - end) for name, law in laws.items()},
            "median |w| over the steepest law's": np.median(np.abs(end / flow["steepest"])),
            "methods": methods,
        },
        "noise": noisy | {"epochs in which mean |w| halves at rate 0.01, as predicted": halving},
        "how good": good,
        "answer": answer,
    }


def time_to_half(times: np.ndarray, sizes: np.ndarray) -> float:
    """When `sizes` are first half of the first, linearly between `times`; infinite if they are not."""
    below = np.flatnonzero(sizes <= sizes[0] / 2)
    return float(np.interp(sizes[0] / 2, sizes[below[0] :: -1], times[below[0] :: -1])) if below.size else math.inf


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def quartiles(values: np.ndarray) -> list[float]:
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist()


def flattened(arrays: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Nested mappings of arrays as one, their names joined by slashes."""
    flat = {}
    for name, value in arrays.items():
        flat |= flattened(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: np.asarray(value)}
    return flat


if __name__ == "__main__":
    use_every_core()
    matplotlib.use("agg")
    results.command_line(which_equilibrium)
