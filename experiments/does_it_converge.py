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
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from article_stream import article_players, article_stream, replayed
from jax.flatten_util import ravel_pytree

from slantgan_jax import (
    Discriminator,
    Game,
    Generator,
    Players,
    Rule,
    distributions,
    dynamics_plots,
    faces,
    fields,
    games,
    penalties,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.analysis import best_response, diffusion, distances, equilibria, spectra, steepest_lines, trajectories
from slantgan_jax.numerics import as_float

FACES = len(faces.FACES)  # steps of an epoch
IMAGES = np.array(faces.FACES)
"""As one array, for all that is computed of a run: it compiles faster. The runs themselves have pixels."""
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
FULL = games.expected(slanted_land(latent=distributions.uniform(nodes=NODES)))
IN_ARRAYS = slanted_land(IMAGES, latent=distributions.uniform(nodes=NODES))


class Method(NamedTuple):
    """A rule of the learning rate, the penalties on D, the share of the run's epochs that it takes, and its period."""

    rule: Callable[[Any], Rule]
    added: tuple[penalties.Penalty, ...] = ()
    share: float = 1.0
    period: int = 1


def sgd(rate: Any) -> optax.GradientTransformation:
    return optax.sgd(rate)


def optimistic(rate: Any) -> optax.GradientTransformation:
    return optax.optimistic_gradient_descent(rate)


def tutorial(rate: Any) -> Rule:
    return rules.tutorial(sgd(rate))


METHODS = {
    "tutorial's order": Method(tutorial),
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
        fixed, found = spectrum(histories["full batch"], learning_rate)
        data = {
            "article": at_epochs(histories["article"], (ARTICLE_EPOCHS, epochs)),
            "full batch": at_epochs(histories["full batch"], (ARTICLE_EPOCHS, epochs)),
            "spectrum": found,
            "bias of the order": order_bias(fixed, histories, learning_rate),
            "noise": noise_left(histories, learning_rate),
            "where it comes to rest": resting_place(histories),
        }
        for name in ("spectrum", "bias of the order", "noise"):
            print(f"\n{name}:")
            show(data[name])
        print("\nmethods:")
        data["methods"] = compare_methods(start_of(seed), epochs, learning_rate)
        data["curves"] = curves(histories)
        settings = {"epochs": epochs, "seed": seed, "replicas": replicas, "learning_rate": learning_rate}
        data["settings"] = settings | {"close": CLOSE, "command": results.command()}
        data["answer"] = answer(data)
        results.write_json(folder / "data.json", data | {"versions": results.record()})
        results.save_figure(folder / "does_it_converge.png", dynamics_plots.does_it_converge, 15, 14, data)
    print(f"\n{data['answer']}\nEverything is in {out}/.")


# What is run


def start_of(seed: int) -> np.ndarray:
    return np.asarray(flat(jax.tree.map(as_float, article_players(article_stream(seed, 1)))))


def long_runs(epochs: int, seed: int, replicas: int, rate: float) -> dict[str, np.ndarray]:
    """Flat players: of the article's run and of the full batch `[epochs / EVERY, 13]`, of the replicas `[replicas,
    epochs / 100, 13]`."""
    start, rule = start_of(seed), tutorial(rate)
    latents = article_stream(seed, FACES * epochs).latents
    keys = jax.vmap(jax.random.key)(jnp.arange(replicas))

    def article(start: jax.Array, latents: jax.Array) -> jax.Array:
        return played(starting(replayed(latents), start), rule, epochs, EVERY)

    return {
        "article": np.asarray(jax.jit(article)(start, latents)),
        "full batch": np.asarray(jax.jit(lambda start: played(starting(FULL, start), rule, epochs, EVERY))(start)),
        "replicas": np.asarray(jax.jit(jax.vmap(lambda key: played(GAME, rule, epochs, 100, key)))(keys)),
    }


def played(game: Game, rule: Rule, epochs: int, every: int, key: Any = None) -> jax.Array:
    """The flat players after every `every` epochs; without a key for a game that draws nothing."""
    key = jax.random.key(0) if key is None else key
    steps, record = FACES * epochs, lambda info: flat(info.players)
    return train(key, game, rule, steps, record=record, record_every=FACES * every).history


def starting(game: Game, start: jax.Array) -> Game:
    return game._replace(init=lambda key: in_pixels(unflat(start)))


def flat(players: Players) -> jax.Array:
    """The 13 numbers: w, b, u, c."""
    return ravel_pytree(players)[0]


def unflat(numbers: Any) -> Players:
    """The players, with arrays as images, whose `flat` is `[13]`."""
    w, b, u, c = jnp.split(jnp.asarray(numbers), [4, 8, 12])
    return Players(Generator(w, b), Discriminator(u, c[0]))


def in_pixels(players: Players) -> Players:
    (w, b), (u, c) = players
    return Players(Generator(faces.unstack(w), faces.unstack(b)), Discriminator(faces.unstack(u), c))


# What is known and measured


@jax.jit
def mean_images(history: Any) -> jax.Array:
    """E G(z) less the mean face `[..., 4]`, of flat players `[..., 13]`."""
    rows = history.reshape(-1, history.shape[-1])
    images = jax.vmap(lambda row: distances.mean_image(unflat(row).generator))(rows)
    return (images - as_float(faces.FACES.mean(0))[None]).reshape(*history.shape[:-1], 4)


def distance(history: np.ndarray) -> np.ndarray:
    """√(gap² + ‖u‖²), of flat players `[..., 13]`."""
    return np.sqrt(np.sum(np.asarray(mean_images(history)) ** 2, -1) + np.sum(history[..., 8:12] ** 2, -1))


def at_epochs(history: np.ndarray, epochs: tuple[int, ...]) -> list[dict[str, Any]]:
    """What the curves would show, and the verdict of a reader who has seen no more than these epochs."""
    rows = []
    for epoch in epochs:
        seen = history[np.linspace(0, epoch // EVERY - 1, 100).astype(int)]
        rows.append({
            "epoch": epoch,
            "mean gap": np.linalg.norm(mean_images(seen[-1:])),
            "slopes": np.linalg.norm(seen[-1, 8:12]),
            "bias": seen[-1, 12],
            "verdict": verdict(seen),
        })  # fmt: skip
    return rows


def verdict(history: np.ndarray) -> str:
    """What becomes of a run by 100 of its records, flat players `[100, 13]`."""
    return trajectories.Verdict(int(_classified(distance(history), history))).name.lower()


_classified = jax.jit(trajectories.classify)
_limit_cycle = jax.jit(trajectories.orbit_statistics)


def spectrum(history: np.ndarray, rate: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Where the tutorial's order stands still, beside the full batch's end; and periods and e-folding times in epochs:
    of the flow's modes, of the tutorial's step, and of the full batch."""
    rule, game = tutorial(rate), IN_ARRAYS

    @jax.jit
    def predicted(end: Players) -> tuple[Any, ...]:
        resting, tangents = equilibrium_of(end)
        values = spectra.flow_eigenvalues(game, resting, tangents=tangents)
        fixed = spectra.fixed_point(rule, game, end, 1, tangents)
        update = spectra.summarize_map(spectra.update_eigenvalues(rule, game, fixed, 1, tangents), 1 / FACES)
        return values, spectra.summarize_flow(values, FACES * rate), update, flat(fixed.players)

    values, flow, update, fixed = jax.tree.map(np.asarray, predicted(unflat(history[-1])))
    turning = values[values.imag > 0]
    fold, period = measured_decay(history, fixed, EVERY)
    return fixed, {
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

    The distance is √(Σ u_i² + (gap_i / |∇m_i|)²), ∇m by w and b: twice the `steepest_lines` energy near by. On a circle
    of this metric u and G change places, so that it swings little, and compared with itself some whole half-turns later
    not at all. Taken where it is within `FITTED` and below the geometric mean of what is in there, so that the slowest
    mode has outlived the others.
    """
    steep = np.linalg.norm(_steepness(fixed), axis=-1)
    gap = (np.asarray(mean_images(history)) - np.asarray(mean_images(fixed))) / steep
    apart = np.concatenate([history[:, 8:12] - fixed[8:12], gap], axis=1)
    course = np.linalg.norm(apart, axis=1)
    part = between(course, *FITTED)
    if len(course[part]):
        part = between(course, FITTED[0], np.exp(np.log(course[part]).mean()))
    heights = np.log(course[part])
    times = np.arange(len(heights))
    if len(heights) < 20:
        return math.nan, math.nan
    slope = np.polyfit(times, heights, 1)[0]
    period = float(_limit_cycle(apart[part] * np.exp(-slope * times)[:, None]).period)
    half = period / 2 if period < len(times) else 1.0
    span = half * max(len(times) // 2 // half, 1)
    first = times[: max(len(times) - math.ceil(span), 1)]
    fall = np.mean(heights[first] - np.interp(first + span, times, heights))
    return float(span / fall) * every, period * every


def between(course: np.ndarray, low: float, high: float) -> slice:
    """From where `course` is below `high` for good to where it first is at `low`."""
    start = int(np.max(np.flatnonzero(course >= high), initial=-1)) + 1
    arrived = np.flatnonzero(course[start:] <= low)
    return slice(start, start + int(arrived[0]) if len(arrived) else len(course))


@jax.jit
def _steepness(row: jax.Array) -> jax.Array:
    """∂m_i / ∂(w_i, b_i), `[4, 2]`."""
    slopes = jax.jacobian(mean_images)(row)
    return jnp.stack([jnp.diag(slopes[:, :4]), jnp.diag(slopes[:, 4:8])], -1)


def in_order(rate: float, rows: np.ndarray) -> np.ndarray:
    """Where an epoch of the tutorial's order stands still, the faces in their order and each latent's expectation
    taken: beside the equilibria with the weights of flat players `[n, 13]`."""

    def standing(row: jax.Array) -> jax.Array:
        resting, tangents = equilibrium_of(unflat(row))
        return flat(spectra.fixed_point(tutorial(rate), IN_ARRAYS, resting, FACES, tangents, 4, over="latent").players)

    return np.asarray(jax.jit(jax.vmap(standing))(jnp.asarray(rows)))


def order_bias(fixed: np.ndarray, histories: dict[str, np.ndarray], rate: float) -> dict[str, Any]:
    """Where the run stands still, or moves about in the mean, less the equilibrium: u, c and the mean image."""
    replicas, end = histories["replicas"], histories["full batch"][-1]
    late = replicas[:, replicas.shape[1] // 2 :]
    ordered = in_order(rate, replicas[:, -1])
    mean, means = faces.FACES.mean(0), np.concatenate([late, mean_images(late)], -1).mean(1)
    errors = means.std(0, ddof=1) / math.sqrt(len(means))
    gaps_at = np.asarray(mean_images(np.stack([fixed, end, *ordered])))
    return {
        "first order: c = -η/4 (1 + |m|²)": -rate / 4 * (1 + mean @ mean),
        "order of moves": biased(fixed, gaps_at[0]),
        "full batch, measured": biased(end, gaps_at[1]),
        "order of moves and faces": biased(ordered.mean(0), gaps_at[2:].mean(0)),
        "sampled, mean over time": biased(means.mean(0), means.mean(0)[13:]),
        "its standard error": biased(errors, errors[13:]),
    }


def biased(numbers: Any, gap: np.ndarray) -> dict[str, Any]:
    return {"c": float(numbers[12]), "u": np.asarray(numbers[8:12]), "mean image": gap, "gap": np.linalg.norm(gap)}


def left_by_noise(rate: float, rows: np.ndarray) -> np.ndarray:
    """Predicted stationary variances at the equilibria with the weights of flat players `[n, 13]`: of u, c and the mean
    image, `[n, 9]`."""
    rule = tutorial(rate)
    latents, weights = distributions.uniform_quadrature()

    def added(resting: Players, face: Any) -> jax.Array:
        samples = games.Sample(latents, real=jnp.tile(face, (len(latents), 1)))
        return diffusion.update_noise(rule, IN_ARRAYS, resting, samples, weights)

    def left(row: jax.Array) -> jax.Array:
        resting, _ = equilibrium_of(unflat(row))
        steps = jax.vmap(lambda face: added(resting, face))(IMAGES).mean(0)
        covariance = diffusion.stationary_covariance(
            spectra.update_jacobian(rule, IN_ARRAYS, resting), steps, zero_modes=4
        )
        across = jax.jacobian(mean_images)(flat(resting))
        return jnp.concatenate([jnp.diag(covariance)[8:], jnp.diag(across @ covariance @ across.T)])

    return np.asarray(jax.jit(jax.vmap(left))(jnp.asarray(rows)))


def noise_left(histories: dict[str, np.ndarray], rate: float) -> dict[str, Any]:
    """Root mean squares about the mean over the later half of the time, against C = M C Mᵀ + Σ at five times in it."""
    late = [runs[:, runs.shape[1] // 2 :] for runs in (histories["article"][None], histories["replicas"])]
    times = [runs[:, np.linspace(0, runs.shape[1] - 1, 5).astype(int)].reshape(-1, 13) for runs in late]
    predicted = left_by_noise(rate, np.concatenate(times))
    found = {}
    for name, runs, variances in zip(("article", "replicas"), late, np.split(predicted, [5]), strict=True):
        measured = np.concatenate([runs[..., 8:], np.asarray(mean_images(runs))], -1).var(1)
        for what, part in (("u", slice(4)), ("c", slice(4, 5)), ("mean image", slice(5, 9))):
            totals = measured[:, part].sum(-1)
            size = math.sqrt(totals.mean())
            error = totals.std(ddof=1) / math.sqrt(len(runs)) / (2 * size) if len(runs) > 1 else math.nan
            expected = math.sqrt(variances[:, part].sum(-1).mean())
            found[f"{what}, {name}"] = {"predicted": expected, "measured": size, "standard error": error}
    return found


def resting_place(histories: dict[str, np.ndarray]) -> dict[str, Any]:
    """G's weights at the end, against the equilibrium on the lines of steepest ascent from the start and on the way."""
    history = histories["full batch"]
    guess = jax.jit(lambda row: steepest_lines.endpoint(unflat(row).generator, IMAGES).weights)
    early = {f"landing from epoch {EVERY * (i + 1)}": np.asarray(guess(history[i])) for i in (0, 99)}
    ends = {f"{name}, end": histories[name][-1, :4] for name in ("full batch", "article")}
    return early | ends


def compare_methods(start: np.ndarray, epochs: int, rate: float) -> list[dict[str, Any]]:
    """E-folding times in epochs, predicted where a run ends and measured on it, exact expectations, for all RATES."""
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


def examine(method: Method, rate: float, start: np.ndarray, epochs: int) -> dict[str, Any]:
    rule = method.rule(rate)
    game, known = (
        games.penalized(of, *method.added)
        for of in (slanted_land(latent=distributions.uniform(nodes=NODES)), IN_ARRAYS)
    )
    every = epochs // RECORDS

    @jax.jit
    def run(start: jax.Array) -> tuple[Any, ...]:
        history = played(starting(games.expected(game), start), rule, epochs, every)
        _, tangents = equilibrium_of(unflat(history[-1]))
        fixed = spectra.fixed_point(rule, known, unflat(history[-1]), method.period, tangents, iterations=4)
        values = spectra.update_eigenvalues(rule, known, fixed, method.period, tangents)
        return history, spectra.summarize_map(values, method.period / FACES), flat(fixed.players)

    history, predicted, fixed = jax.tree.map(np.asarray, run(jnp.asarray(start)))
    course = distance(history)
    fold, period = measured_decay(history, fixed, every)
    far = np.flatnonzero(~(course < CLOSE))
    close = int(far[-1]) + 1 if len(far) else 0
    return {
        "predicted": float(predicted.efold),
        "measured": fold,
        "period": {"predicted": float(predicted.period), "measured": period},
        "epochs to 1 %": (close + 1) * every if close < len(course) else math.inf,
        "epochs run": epochs,
        "verdict": verdict(history[RECORDS // 100 - 1 :: RECORDS // 100]),
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
    """Nikaido-Isoda gaps of flat players `[records, 13]`, and whether a plane separates: then D's gain saturates."""
    plain, apart = _gaps(jnp.asarray(rows))
    return {"Nikaido-Isoda gap": np.asarray(plain), "separable": np.asarray(apart)}


@jax.jit
@jax.vmap
def _gaps(row: jax.Array) -> tuple[jax.Array, jax.Array]:
    players = unflat(row)
    return best_response.nikaido_isoda_gap(players, IMAGES), best_response.separable(players.generator, IMAGES)


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
    then, quiet = data["article"][0], data["noise"]["mean image, article"]
    period, fold = (data["spectrum"][name]["step"] for name in ("period in epochs", "e-folding time in epochs"))
    folds = {row["method"]: row["measured"] for row in data["methods"] if row["learning rate"] == RATES[0]}
    best, fastest = min(folds.items(), key=lambda item: item[1] if math.isfinite(item[1]) else math.inf)
    end, rate = data["full batch"][-1], data["settings"]["learning_rate"]
    best += "" if rate == RATES[0] else f" at rate {RATES[0]:g}"
    settled, turned = "Yes" if then["verdict"] == "converged" else "No", then["epoch"] / period
    seen = "within its first turn" if turned < 1 else f"after {turned:.1f} turns"
    return (
        f"{settled}: at epoch {then['epoch']} the mean image is {then['mean gap']:.3f} off, {seen}; turns take "
        f"{period:,.0f} epochs and shrink by e in {fold:,.0f} epochs ({best}: {fastest:,.0f}).\n"
        f"With exact expectations it is {end['mean gap']:.1g} off after {end['epoch']:,} epochs; sampling leaves a "
        f"noise of {quiet['measured']:.2g} (predicted: {quiet['predicted']:.2g})."
    )


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(does_it_converge)
