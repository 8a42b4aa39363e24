"""The article stops after 1000 epochs with curves that look settled. Has its GAN converged? It is run on, to 10^6.

Runs of one game, all in float64, in the tutorial's order (D on a face, D on a fake, then G):

    article      the article's program, its random numbers continued
    replicas     the same from other starts, with other latents: `jax.random.key(0)`, ...
    full batch   the article's start, each move with the exact expectation of its loss: no noise
    methods      the same start, exact expectations, other rules, until they are at rounding

and what is known without running: the spectrum at the equilibrium where the full batch comes to rest (its period, its
e-folding time), the point at which the tutorial's order really stands still, and the noise that sampling leaves there:
with M the step's Jacobian and Σ the covariance of what one step adds, C = M C Mᵀ + Σ over all modes that decay.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from jax.flatten_util import ravel_pytree

from slantgan_jax import (
    Game,
    Players,
    Rule,
    dynamics_plots,
    faces,
    fields,
    games,
    gans,
    penalties,
    rules,
    slanted_land,
    streams,
    train,
)
from slantgan_jax.analysis import distances, dynamics, equilibria, gaps, invariants, noise, spectra

FACES = len(faces.FACES)  # steps of an epoch
IMAGES = faces.pixels(faces.FACES)
NODES = 12  # of the latent: |w| stays below 3, where E σ(w z + b) has 1e-9 left to be desired
ARTICLE_EPOCHS = 1000
EVERY = 10  # epochs from record to record of the article's run and the full batch; of the replicas 100
CLOSE = 0.01  # of √(gap² + ‖u‖²): "within 1 %"
GAMMA, STRENGTH = 0.1, 1.0  # of R1, of consensus
RECORDS = 2000  # of a method's run
FITTED = 1e-10, 1e-3  # amplitudes between which decay is measured: linear, and above rounding
FIRST = 12_500  # epochs, the first turns
FILES = ("data.json", "does_it_converge.png")
GAME = slanted_land()
FULL = games.expected(slanted_land(nodes=NODES))


class Method(NamedTuple):
    """A rule of the learning rate, the penalties on D, the share of the run's epochs that it takes, and its period."""

    rule: Callable[[Any], Rule]
    added: tuple[penalties.Penalty, ...] = ()
    share: float = 1.0
    period: int = 1


def sgd(rate: Any) -> Players:
    return Players(optax.sgd(rate), optax.sgd(rate))


def optimistic(rate: Any) -> Players:
    return Players(*[optax.optimistic_gradient_descent(rate)] * 2)


METHODS = {
    "tutorial's order": Method(lambda rate: rules.tutorial(sgd(rate))),
    "alternating": Method(lambda rate: rules.alternating(sgd(rate))),
    "lookahead 5, 0.5": Method(lambda rate: rules.lookahead(rules.alternating(sgd(rate)), 5, 0.5), period=5),
    "extragradient": Method(lambda rate: rules.alternating(sgd(rate), fields.extragradient(rate))),
    "optimistic": Method(lambda rate: rules.alternating(optimistic(rate))),
    f"consensus {STRENGTH:g}": Method(lambda rate: rules.alternating(sgd(rate), fields.consensus(STRENGTH)), share=0.2),
    f"R1, γ = {GAMMA:g}": Method(lambda rate: rules.alternating(sgd(rate)), (penalties.r1(GAMMA),), share=0.04),
}
RATES = (0.01, 0.3)


def does_it_converge(
    epochs: int = 1_000_000,
    seed: int = 42,
    replicas: int = 16,
    learning_rate: float = 0.01,
    out: Path = Path("results/does_it_converge"),
) -> None:
    """Has the article's GAN converged? It is run on, against what is known exactly.

    Args:
        epochs: of the long runs, a multiple of 1000.
        seed: of the article's random numbers; 42 is the article.
        replicas: runs from other starts.
        learning_rate: of both players' gradient descent in the long runs.
        out: folder for the figure and the data; an earlier result is replaced when the new one is complete.
    """
    results.check_positive("--learning-rate", learning_rate)
    if not 2000 <= epochs <= 10_000_000 or epochs % 1000:
        raise ValueError(f"--epochs is {epochs}: give a multiple of 1000 from 2000 to 10000000")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed is {seed}: give a whole number from 0 to 4294967295")
    if not 2 <= replicas <= 100:
        raise ValueError(f"--replicas is {replicas}: give 2 to 100")
    with results.complete_folder(out, FILES) as folder, jax.enable_x64(True):
        histories = long_runs(epochs, seed, replicas, learning_rate)
        end = unflat(histories["full batch"][-1])
        data = {
            "article": at_epochs(histories["article"], (ARTICLE_EPOCHS, epochs)),
            "full batch": at_epochs(histories["full batch"], (ARTICLE_EPOCHS, epochs)),
            "spectrum": spectrum(end, histories["full batch"], learning_rate),
            "bias of the order": order_bias(end, histories, learning_rate),
            "noise": noise_left(histories, learning_rate),
            "where it comes to rest": resting_place(histories),
        }
        for name in ("spectrum", "bias of the order", "noise"):
            print(f"\n{name}:")
            show(data[name])
        print("\nmethods:")
        data["methods"] = compare_methods(unflat(start_of(seed)), epochs, learning_rate)
        data["curves"] = curves(histories)
        settings = {"epochs": epochs, "seed": seed, "replicas": replicas, "learning_rate": learning_rate}
        data["settings"] = settings | {"close": CLOSE, "command": results.command()}
        data["answer"] = answer(data)
        results.write_json(folder / "data.json", data | {"versions": results.record()})
        results.save_figure(folder / "does_it_converge.png", dynamics_plots.does_it_converge, 15, 14, data)
    print(f"\n{data['answer']}\nEverything is in {out}/.")


# What is run


def start_of(seed: int) -> np.ndarray:
    return np.asarray(flat(jax.tree.map(faces.floats, gans.article_players(streams.article(seed, 1)))))


def long_runs(epochs: int, seed: int, replicas: int, rate: float) -> dict[str, np.ndarray]:
    """Flat players: of the article's run and the full batch `[epochs / EVERY, 13]`, of replicas, with their axis, `[...,
    epochs / 100, 13]`."""
    start, rule = start_of(seed), METHODS["tutorial's order"].rule(rate)
    latents = streams.article(seed, FACES * epochs).latents
    keys = jax.vmap(jax.random.key)(jnp.arange(replicas))

    def article(start: jax.Array, latents: jax.Array) -> jax.Array:
        return played(gans.replay(GAME, unflat(start), latents), rule, epochs, EVERY)

    return {
        "article": np.asarray(jax.jit(article)(start, latents)),
        "full batch": np.asarray(jax.jit(lambda start: played(starting(FULL, start), rule, epochs, EVERY))(start)),
        "replicas": np.asarray(jax.jit(jax.vmap(lambda key: played(GAME, rule, epochs, 100, key)))(keys)),
    }


def played(game: Game, rule: Rule, epochs: int, every: int, key: Any = None) -> jax.Array:
    """The flat players after every `every` epochs; without a key for a game that draws nothing."""
    key = jax.random.key(0) if key is None else key
    return train(key, game, rule, FACES * epochs, record=flat, every=FACES * every).history


def starting(game: Game, start: jax.Array) -> Game:
    return game._replace(init=lambda key: unflat(start))


def flat(players: Players) -> jax.Array:
    """The 13 numbers: w, b, u, c."""
    return ravel_pytree(players)[0]


def unflat(numbers: Any) -> Players:
    """The players, with scalar leaves, whose `flat` is `[13]`."""
    image = faces.pixels(np.zeros(4))
    example = jax.tree.map(faces.floats, gans.article_players(streams.article(0, 1)))
    assert jax.tree.structure(example.generator.weights) == jax.tree.structure(image)
    return ravel_pytree(example)[1](jnp.asarray(numbers))


# What is known and measured


@jax.jit
def mean_images(history: jax.Array) -> jax.Array:
    """E G(z) less the mean face `[..., 4]`, of flat players `[..., 13]`."""
    rows = history.reshape(-1, history.shape[-1])
    images = jax.vmap(lambda row: faces.array(distances.mean_image(unflat(row).generator)))(rows)
    return (images - faces.floats(faces.FACES.mean(0))[None]).reshape(*history.shape[:-1], 4)


def distance(history: np.ndarray) -> np.ndarray:
    """√(gap² + ‖u‖²), of flat players `[..., 13]`."""
    return np.sqrt(np.sum(np.asarray(mean_images(history)) ** 2, -1) + np.sum(history[..., 8:12] ** 2, -1))


def at_epochs(history: np.ndarray, epochs: tuple[int, ...]) -> list[dict[str, Any]]:
    """What the curves would show, and the verdict of a reader who has seen no more than these epochs."""
    rows = []
    for epoch in epochs:
        seen = history[: epoch // EVERY]
        d = distance(seen)
        rows.append({
            "epoch": epoch,
            "mean gap": np.linalg.norm(mean_images(seen[-1:])),
            "slopes": np.linalg.norm(seen[-1, 8:12]),
            "bias": seen[-1, 12],
            "verdict": dynamics.VERDICTS[int(dynamics.classify(d, seen))],
        })  # fmt: skip
    return rows


def spectrum(end: Players, history: np.ndarray, rate: float) -> dict[str, Any]:
    """Periods and e-folding times in epochs: of each mode of the flow, of the tutorial's step, and of the full batch."""
    rule = METHODS["tutorial's order"].rule(rate)

    @jax.jit
    def predicted(end: Players) -> tuple[Any, ...]:
        resting, tangents = equilibrium_of(end)
        values = spectra.flow_eigenvalues(FULL, resting, tangents=tangents)
        fixed = spectra.fixed_point(rule, FULL, end, 1, tangents)
        update = spectra.of_update(spectra.update_eigenvalues(rule, FULL, fixed, 1, tangents), 1 / FACES)
        return values, spectra.of_flow(values, FACES * rate), update, flat(fixed.players)

    values, flow, update, fixed = jax.tree.map(np.asarray, predicted(end))
    turning = values[values.imag > 0]
    fold, period = measured_decay(history, fixed, EVERY)
    return {
        "eigenvalues of the flow": np.stack([values.real, values.imag], -1),
        "zero modes": int(flow.zero_modes),
        "modes": {
            "period in epochs": 2 * np.pi / turning.imag / (FACES * rate),
            "e-folding time in epochs": -1 / turning.real / (FACES * rate),
        },
        "period in epochs": {"flow": float(flow.period), "step": float(update.period), "measured": period},
        "e-folding time in epochs": {"flow": float(flow.efold), "step": float(update.efold), "measured": fold},
    }


def equilibrium_of(players: Players) -> tuple[Players, Players]:
    """The equilibrium with the same weights, and the tangents of the surface there."""
    resting = equilibria.project(players, IMAGES)
    return resting, equilibria.tangents(resting.generator.weights, IMAGES)


def measured_decay(history: np.ndarray, fixed: np.ndarray, every: float) -> tuple[float, float]:
    """The time in which a run comes nearer to `fixed` by e, and that of a turn, from flat players `[records, 13]`.

    The distance is √(Σ u_i² + (gap_i / |∇m_i|)²), ∇m by w and b: twice the energy of `invariants` near by. On a circle
    of this metric u and G change places, so that it does not swing. Fitted where it is within `FITTED` and less than
    the geometric mean of what is in there, so that the slowest mode has outlived the others.
    """
    steep = np.linalg.norm(_steepness(fixed), axis=-1)
    apart = np.concatenate(
        [history[:, 8:12] - fixed[8:12], np.asarray(mean_images(history) - mean_images(fixed)) / steep], 1
    )
    course = np.linalg.norm(apart, axis=1)
    inside = (course > FITTED[0]) & (course < FITTED[1])
    if inside.any():
        inside &= course < np.exp(np.log(course[inside]).mean())
    times = every * np.flatnonzero(inside)
    if len(times) < 20:
        return math.nan, math.nan
    slope = np.polyfit(times, np.log(course[inside]), 1)[0]
    steady = apart[inside] * np.exp(-slope * (times - times[0]))[:, None]
    return float(-1 / slope), float(dynamics.limit_cycle(steady).period) * every


@jax.jit
def _steepness(row: jax.Array) -> jax.Array:
    """∂m_i / ∂(w_i, b_i), `[4, 2]`."""
    slopes = jax.jacobian(mean_images)(row)
    return jnp.stack([jnp.diag(slopes[:, :4]), jnp.diag(slopes[:, 4:8])], -1)


def in_order(rule: Rule) -> Rule:
    """`rule` over one epoch: the five faces in their order, each latent's expectation taken."""
    each = [games.expected(slanted_land(faces.pixels(faces.FACES[i : i + 1]), nodes=NODES)) for i in range(FACES)]
    return Rule(rule.init, lambda game: tuple(move for one in each for move in rule.moves(one)))


def order_bias(end: Players, histories: dict[str, np.ndarray], rate: float) -> dict[str, Any]:
    """Where the run stands still, or moves about in the mean, less the equilibrium: u, c and the mean image."""
    rule = METHODS["tutorial's order"].rule(rate)

    def standing(rule: Rule, players: Players) -> jax.Array:
        resting, tangents = equilibrium_of(players)
        return flat(spectra.fixed_point(rule, FULL, resting, 1, tangents, iterations=4).players)

    replicas = histories["replicas"]
    moves = jax.jit(lambda end: standing(rule, end))(end)
    ordered = jax.jit(jax.vmap(lambda row: standing(in_order(rule), unflat(row))))(replicas[:, -1])
    late = replicas[:, replicas.shape[1] // 2 :]
    mean, means = faces.FACES.mean(0), np.concatenate([late, mean_images(late)], -1).mean(1)
    errors = means.std(0, ddof=1) / math.sqrt(len(means))
    return {
        "first order: c = -η/4 (1 + |m|²)": -rate / 4 * (1 + mean @ mean),
        "order of moves": biased(moves, np.asarray(mean_images(moves))),
        "full batch, measured": biased(flat(end), np.asarray(mean_images(flat(end)))),
        "order of moves and faces": biased(np.mean(ordered, 0), np.mean(mean_images(ordered), 0)),
        "sampled, mean over time": biased(means.mean(0), means.mean(0)[13:]),
        "its standard error": biased(errors, errors[13:]),
    }


def biased(numbers: Any, gap: np.ndarray) -> dict[str, Any]:
    return {"c": float(numbers[12]), "u": np.asarray(numbers[8:12]), "mean image": gap, "gap": np.linalg.norm(gap)}


@cache
def _left_by_noise(rate: float) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """Of flat players near an equilibrium the stationary variances of u, c `[5]` and of the mean image `[4]`."""
    rule = METHODS["tutorial's order"].rule(rate)
    latents, weights = games.latent_quadrature()

    def of_face(fixed: Any, face: Any) -> jax.Array:
        samples = gans.Sample(jax.tree.map(lambda pixel: jnp.full(len(latents), pixel), face), latents)
        return noise.step_noise(rule, GAME, fixed, samples, weights)

    def left(row: jax.Array) -> tuple[jax.Array, jax.Array]:
        resting, tangents = equilibrium_of(unflat(row))
        fixed = spectra.fixed_point(rule, FULL, resting, 1, tangents, iterations=4)
        added = jax.vmap(lambda face: of_face(fixed, face))(IMAGES).mean(0)
        jacobian = spectra.update_jacobian(rule, FULL, fixed)
        covariance = noise.stationary_covariance(jacobian, added, zero_modes=4)
        across = jax.jacobian(mean_images)(flat(fixed.players))
        return jnp.diag(covariance)[8:], jnp.diag(across @ covariance @ across.T)

    return jax.jit(jax.vmap(left))


def noise_left(histories: dict[str, np.ndarray], rate: float) -> dict[str, Any]:
    """Root mean squares about the mean over the later half of the time, against C = M C Mᵀ + Σ at five times in it."""
    found = {}
    for name, runs in (("article", histories["article"][None]), ("replicas", histories["replicas"])):
        late = runs[:, runs.shape[1] // 2 :]
        times = late[:, np.linspace(0, late.shape[1] - 1, 5).astype(int)]
        own, image = (np.asarray(v).mean(0) for v in _left_by_noise(rate)(times.reshape(-1, times.shape[-1])))
        predicted = np.sqrt([own[:4].sum(), own[4], image.sum()])
        variances = np.concatenate([late[..., 8:], np.asarray(mean_images(late))], -1).var(1)
        totals = np.stack([variances[:, :4].sum(-1), variances[:, 4], variances[:, 5:].sum(-1)])
        measured = np.sqrt(totals.mean(1))
        errors = totals.std(1, ddof=1) / math.sqrt(len(runs)) / (2 * measured) if len(runs) > 1 else [math.nan] * 3
        found |= {
            f"{what}, {name}": {"predicted": p, "measured": m, "standard error": e}
            for what, p, m, e in zip(("u", "c", "mean image"), predicted, measured, errors, strict=True)
        }
    return found


def resting_place(histories: dict[str, np.ndarray]) -> dict[str, Any]:
    """G's weights at the end, against the equilibrium on the lines of steepest ascent from the start and on the way."""
    history = histories["full batch"]
    guess = jax.jit(lambda row: faces.array(invariants.landing(unflat(row).generator, IMAGES).weights))
    early = {f"landing from epoch {EVERY * (i + 1)}": np.asarray(guess(history[i])) for i in (0, 99)}
    ends = {f"{name}, end": histories[name][-1, :4] for name in ("full batch", "article")}
    return early | ends


def compare_methods(start: Players, epochs: int, rate: float) -> list[dict[str, Any]]:
    """E-folding times in epochs, predicted where the run ends and measured on it, exact expectations, for each of RATES."""
    rows = []
    for learning_rate, (name, method) in ((r, m) for r in RATES for m in METHODS.items()):
        # In units of the flow's time, as long as the long runs.
        length = max(RECORDS, int(method.share * epochs * rate / learning_rate) // RECORDS * RECORDS)
        found = examine(method, learning_rate, start, length)
        rows.append({"method": name, "learning rate": learning_rate, **found})
        print(
            f"  {name:18} rate {learning_rate:<5g} epochs to fall by e: predicted {found['predicted']:8.1f}, measured "
            f"{found['measured']:8.1f}; to 1 %: {found['epochs to 1 %']:g}; {found['verdict']}",
            flush=True,
        )
    return rows


def examine(method: Method, rate: float, start: Players, epochs: int) -> dict[str, Any]:
    rule = method.rule(rate)
    game = games.expected(games.penalized(slanted_land(nodes=NODES), *method.added))
    every = epochs // RECORDS

    @jax.jit
    def run(start: jax.Array) -> tuple[jax.Array, Any]:
        history = played(starting(game, start), rule, epochs, every)
        _, tangents = equilibrium_of(unflat(history[-1]))
        fixed = spectra.fixed_point(rule, game, unflat(history[-1]), method.period, tangents, iterations=4)
        values = spectra.update_eigenvalues(rule, game, fixed, method.period, tangents)
        return history, spectra.of_update(values, method.period / FACES), flat(fixed.players)

    history, predicted, fixed = jax.tree.map(np.asarray, run(flat(start)))
    course = distance(history)
    fold, period = measured_decay(history, fixed, every)
    close = int(dynamics.settled(course, CLOSE))
    return {
        "predicted": float(predicted.efold),
        "measured": fold,
        "period": {"predicted": float(predicted.period), "measured": period},
        "epochs to 1 %": (close + 1) * every if close < len(course) else math.inf,
        "epochs run": epochs,
        "verdict": dynamics.VERDICTS[int(dynamics.classify(course, history))],
    }


# What is shown


def curves(histories: dict[str, np.ndarray]) -> dict[str, Any]:
    """Root mean squares over parts of the time, evenly spaced on a log axis, and the first turns in full."""
    epochs = EVERY * len(histories["article"])
    edges = np.unique(np.geomspace(EVERY, epochs, 121).astype(int) // EVERY * EVERY)
    found: dict[str, Any] = {"epochs": np.sqrt(edges[:-1] * edges[1:])}
    for name, every in (("article", EVERY), ("full batch", EVERY), ("replicas", 100)):
        history = histories[name]
        values = {
            "mean gap": np.linalg.norm(mean_images(history), axis=-1),
            "slopes": np.linalg.norm(history[..., 8:12], axis=-1),
        }
        parts = [slice(low // every, max(high // every, low // every + 1)) for low, high in pairs(edges)]
        binned = {
            key: np.sqrt(np.stack([np.mean(v[..., part] ** 2, axis=-1) for part in parts], -1))
            for key, v in values.items()
        }
        binned["bias"] = np.stack([np.mean(history[..., part, 12], axis=-1) for part in parts], -1)
        binned = {key: np.where(edges[:-1] < every, np.nan, v) for key, v in binned.items()}  # before the first record
        if name == "replicas":
            binned = {key: np.quantile(v, [0.1, 0.5, 0.9], axis=0) for key, v in binned.items()}
        else:
            binned |= gaps_of(history[edges[1:] // EVERY - 1])
        found[name] = binned
    first = slice(0, FIRST // EVERY)
    found["first turns"] = {
        "epochs": EVERY * (np.arange(len(histories["article"][first])) + 1),
        **{name: mean_images(histories[name][first]) for name in ("article", "full batch")},
        **{f"u, {name}": histories[name][first, 8:12] for name in ("article", "full batch")},
    }
    return found


def pairs(edges: np.ndarray) -> Any:
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def gaps_of(rows: np.ndarray) -> dict[str, Any]:
    """Nikaido-Isoda gaps `[records]` of flat players: as it is, and with a ridge on D, which does not saturate."""

    def both(row: jax.Array) -> tuple[jax.Array, jax.Array]:
        players = unflat(row)
        plain = gaps.nikaido_isoda_gap(players, IMAGES)
        return plain, gaps.best_discriminator(players.generator, IMAGES).separable

    plain, apart = jax.tree.map(np.asarray, jax.jit(jax.vmap(both))(jnp.asarray(rows)))
    return {"Nikaido-Isoda gap": plain, "separable": apart}


def show(part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {plain(number)}" for key, number in value.items())
        print(f"  {name:36} {plain(value)}", flush=True)


def plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return np.array2string(np.asarray(value), precision=6, max_line_width=200).replace("\n", "")


def answer(data: dict[str, Any]) -> str:
    """Two lines, from the numbers."""
    then = data["article"][0]
    period, fold = (data["spectrum"][name]["step"] for name in ("period in epochs", "e-folding time in epochs"))
    quiet = data["noise"]["mean image, article"]
    folds = {row["method"]: row["measured"] for row in data["methods"] if row["learning rate"] == RATES[0]}
    others = [f"{name} {folds[name]:,.0f}" for name in folds if name not in ("tutorial's order", "alternating")]
    return (
        f"No: at epoch {then['epoch']} the mean image is {then['mean gap']:.2f} off, within the first turn "
        f"({period:,.0f} epochs each near the equilibrium); turns shrink by e only in {fold:,.0f} epochs.\n"
        f"Exact expectations get there; sampled latents leave a noise of {quiet['measured']:.2g} (predicted "
        f"{quiet['predicted']:.2g}). To shrink by e takes epochs, rate {RATES[0]:g}: {', '.join(others)}."
    )


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(does_it_converge)
