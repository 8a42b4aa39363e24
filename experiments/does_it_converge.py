"""Has the article's GAN converged after 1000 epochs, when its curves look settled? It runs on, to a million.

All runs are in float64 and in the tutorial's order:

    article      the article's program, its random numbers continued
    replicas     the same from other starts, with other latents: `jax.random.key(0)`, ...
    full batch   the article's start, and each move with the exact expectation of its loss: no noise

They are compared with what is known without running: the spectrum at the equilibrium where the full batch comes to
rest, the point at which the tutorial's order stands still, and the noise that sampling leaves there. The derivations
are on the pages that docs/results/does_it_converge.md names. Other methods are in convergence_rates.py.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _convergence as convergence
import jax
import jax.numpy as jnp
import numpy as np
from _convergence import GAME, IMAGES, LATENT, STEPS_PER_EPOCH, mean_errors
from _experiment import Data, Experiment, Figure, check_positive, check_whole, progress
from _methods import METHODS, ORDERS
from article_stream import article_stream, replayed
from figures import does_it_converge as figures
from jax.typing import ArrayLike

from slantgan_jax import Game, Players, Rule, games, networks, slanted_land, train
from slantgan_jax.analysis import best_response, spectra, steepest_lines

ARTICLE_EPOCHS = 1000
RECORD_EVERY = {"article": 10, "full batch": 10, "replicas": 100}
"""Epochs between two records."""

FIRST_TURNS_EPOCHS = 12_500
Histories = dict[str, np.ndarray]
"""For each kind of run its `networks.to_vector` `[records, 13]`; of the replicas `[replicas, records, 13]`."""


@dataclass(frozen=True)
class Settings:
    """Has the article's GAN converged? It runs on, and is compared with what is known exactly.

    Attributes:
        epochs: of the long runs, a multiple of 1000.
        seed: of the article's random numbers; 42 is the article.
        replicas: the number of runs from other starts.
        learning_rate: of both players' gradient descent.
    """

    epochs: int = 1_000_000
    seed: int = 42
    replicas: int = 16
    learning_rate: float = 0.01

    def check(self) -> None:
        check_positive("--learning-rate", self.learning_rate)
        check_whole("--epochs", self.epochs, 2000, 10_000_000, multiple=1000)
        check_whole("--seed", self.seed, 0, 2**32 - 1)
        check_whole("--replicas", self.replicas, 2, 100)


def compute(settings: Settings, out: Path) -> Data:
    rate, epochs = settings.learning_rate, (ARTICLE_EPOCHS, settings.epochs)
    histories = long_runs(settings)
    fixed, spectrum = spectrum_of(histories["full batch"], rate)
    return {
        "article": at_epochs(histories["article"], epochs),
        "full batch": at_epochs(histories["full batch"], epochs),
        "spectrum": spectrum,
        "bias of the order": order_bias(fixed, histories, rate),
        "noise": noise_left(histories, rate),
        "where it comes to rest": resting_place(histories),
        "curves": curves(histories),
    }


def tutorial(rate: float) -> Rule:
    return METHODS["plain"].rule(ORDERS["tutorial"], rate)


def long_runs(settings: Settings) -> Histories:
    start, rule = convergence.start_of(settings.seed), tutorial(settings.learning_rate)
    steps = STEPS_PER_EPOCH * settings.epochs
    latents = article_stream(settings.seed, steps).latents
    full_batch = games.expected(slanted_land(latent=LATENT))

    def history(name: str, game: Game, seed: ArrayLike = 0, players: Players | None = None) -> jax.Array:
        return train(
            jax.random.key(seed), game, rule, steps, players=players,
            record=lambda info: networks.to_vector(info.players), record_every=STEPS_PER_EPOCH * RECORD_EVERY[name],
        ).history  # fmt: skip

    runs = {
        "article": (lambda latents: history("article", replayed(latents), players=start), latents),
        "full batch": (lambda _: history("full batch", full_batch, players=start), None),
        "replicas": (jax.vmap(lambda seed: history("replicas", slanted_land(), seed)), jnp.arange(settings.replicas)),
    }
    return {name: np.asarray(jax.jit(run)(data)) for name, (run, data) in progress(runs.items(), "long runs")}


def at_epochs(history: np.ndarray, epochs: tuple[int, ...]) -> list[dict[str, Any]]:
    """What the curves show at each of these epochs, and the verdict of a reader who has seen no more."""
    rows = []
    for epoch in epochs:
        seen = history[np.linspace(0, epoch // RECORD_EVERY["article"] - 1, 100).astype(int)]
        rows.append({
            "epoch": epoch,
            "mean gap": np.linalg.norm(mean_errors(seen[-1])),
            "slopes": np.linalg.norm(seen[-1, 8:12]),
            "bias": seen[-1, 12],
            "verdict": convergence.verdict(seen),
        })  # fmt: skip
    return rows


def spectrum_of(history: np.ndarray, rate: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Where the tutorial's order stands still beside the full batch's end, `[13]`, and periods and e-folding times in
    epochs: of the flow, of the tutorial's step, and of the full batch as measured."""
    rule = tutorial(rate)

    @jax.jit
    def predicted(end: Players) -> tuple[Any, ...]:
        resting, tangents = convergence.equilibrium_of(end)
        values = spectra.flow_eigenvalues(GAME, resting, tangents=tangents)
        fixed = spectra.fixed_point(rule, GAME, end, 1, tangents)
        flow = spectra.summarize_flow(values, STEPS_PER_EPOCH * rate)
        multipliers = spectra.update_eigenvalues(rule, GAME, fixed, 1, tangents)
        return values, flow, spectra.summarize_map(multipliers, 1 / STEPS_PER_EPOCH), networks.to_vector(fixed.players)

    end = networks.from_vector(history[-1], stacked=True)
    values, flow, step, fixed = jax.tree.map(np.asarray, predicted(end))
    turning = values[values.imag > 0]
    fold, period = convergence.measured_decay(history, fixed, RECORD_EVERY["full batch"])
    return fixed, {
        "eigenvalues of the flow": np.stack([values.real, values.imag], -1),
        "zero modes": int(flow.zero_modes),
        "modes": {
            "period in epochs": 2 * np.pi / turning.imag / (STEPS_PER_EPOCH * rate),
            "e-folding time in epochs": -1 / turning.real / (STEPS_PER_EPOCH * rate),
        },
        "period in epochs": {"flow": float(flow.period), "step": float(step.period), "measured": period},
        "e-folding time in epochs": {"flow": float(flow.efold), "step": float(step.efold), "measured": fold},
    }


def order_bias(fixed: np.ndarray, histories: Histories, rate: float) -> dict[str, Any]:
    """Where runs stand still, or move about in the mean, less the equilibrium: u, c and the mean image."""
    end, late, mean = histories["full batch"][-1], _later_half(histories["replicas"]), IMAGES.mean(0)

    def biased(numbers: np.ndarray, error: np.ndarray) -> dict[str, Any]:
        return {"c": float(numbers[12]), "u": numbers[8:12], "mean image": error, "gap": np.linalg.norm(error)}

    ordered = np.asarray(convergence.standing_in_order(tutorial(rate), late[:, -1]))
    means = np.concatenate([late, mean_errors(late)], -1).mean(1)
    standard_errors = means.std(0, ddof=1) / math.sqrt(len(means))
    return {
        "first order: c = -η/4 (1 + |m|²)": -rate / 4 * (1 + mean @ mean),
        "order of moves": biased(fixed, np.asarray(mean_errors(fixed))),
        "full batch, measured": biased(end, np.asarray(mean_errors(end))),
        "order of moves and faces": biased(ordered.mean(0), np.asarray(mean_errors(ordered)).mean(0)),
        "sampled, mean over time": biased(means.mean(0), means.mean(0)[13:]),
        "its standard error": biased(standard_errors, standard_errors[13:]),
    }


def noise_left(histories: Histories, rate: float) -> dict[str, Any]:
    """Root mean squares about the mean over the later half of the time, against C = M C Mᵀ + Σ at five times in it."""
    rule = tutorial(rate)
    rows = {}
    for name, runs in (("article", histories["article"][None]), ("replicas", histories["replicas"])):
        late = _later_half(runs)
        times = late[:, np.linspace(0, late.shape[1] - 1, 5).astype(int)].reshape(-1, 13)
        predicted = np.asarray(convergence.stationary_variances(rule, times))
        measured = np.concatenate([late[..., 8:], mean_errors(late)], -1).var(1)
        for what, part in (("u", slice(4)), ("c", slice(4, 5)), ("mean image", slice(5, 9))):
            totals = measured[:, part].sum(-1)
            size = math.sqrt(totals.mean())
            error = totals.std(ddof=1) / math.sqrt(len(runs)) / (2 * size) if len(runs) > 1 else math.nan
            expected = math.sqrt(predicted[:, part].sum(-1).mean())
            rows[f"{what}, {name}"] = {"predicted": expected, "measured": size, "standard error": error}
    return rows


def _later_half(runs: np.ndarray) -> np.ndarray:
    return runs[:, runs.shape[1] // 2 :]


def resting_place(histories: Histories) -> dict[str, Any]:
    """G's weights at the end, against the equilibrium on the lines of steepest ascent from the start and on the way."""
    places = {}
    for epoch in (10, 1000):
        players = networks.from_vector(histories["full batch"][epoch // RECORD_EVERY["full batch"] - 1], stacked=True)
        places[f"landing from epoch {epoch}"] = np.asarray(steepest_lines.endpoint(players.generator, IMAGES).weights)
    return places | {f"{name}, end": histories[name][-1, :4] for name in ("full batch", "article")}


def curves(histories: Histories) -> dict[str, Any]:
    """Root mean squares over parts of the time, which are equally long on a log axis, and the first turns in full."""
    every = RECORD_EVERY["article"]
    epochs = every * len(histories["article"])
    edges = np.unique(np.geomspace(every, epochs, 121).astype(int) // every * every)
    found: dict[str, Any] = {"epochs": np.sqrt(edges[:-1] * edges[1:])}
    for name, history in histories.items():
        starts, ends = edges[:-1] // RECORD_EVERY[name], edges[1:] // RECORD_EVERY[name]
        parts = [slice(start, max(end, start + 1)) for start, end in zip(starts, ends, strict=True)]
        squares = {"mean gap": mean_errors(history), "slopes": history[..., 8:12]}
        binned = {
            key: np.sqrt(_means(np.sum(np.asarray(values) ** 2, axis=-1), parts)) for key, values in squares.items()
        }
        binned["bias"] = _means(history[..., 12], parts)
        binned = {key: np.where(starts == 0, np.nan, values) for key, values in binned.items()}  # before any record
        if name == "replicas":
            found[name] = {key: np.quantile(values, [0.1, 0.5, 0.9], axis=0) for key, values in binned.items()}
        else:
            gaps, separable = map(np.asarray, nikaido_isoda(history[ends - 1]))
            found[name] = binned | {"Nikaido-Isoda gap": gaps, "separable": separable}
    first = {name: histories[name][: FIRST_TURNS_EPOCHS // every] for name in ("article", "full batch")}
    found["first turns"] = {
        "epochs": every * (np.arange(len(first["article"])) + 1),
        **{name: np.asarray(mean_errors(history)) for name, history in first.items()},
        **{f"u, {name}": history[:, 8:12] for name, history in first.items()},
    }
    return found


def _means(values: np.ndarray, parts: list[slice]) -> np.ndarray:
    return np.stack([np.mean(values[..., part], axis=-1) for part in parts], -1)


@jax.jit
@jax.vmap
def nikaido_isoda(numbers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Nikaido-Isoda gap, and whether a plane separates real from generated images: then D's gain saturates."""
    players = networks.from_vector(numbers, stacked=True)
    return best_response.nikaido_isoda_gap(players, IMAGES), best_response.separable(players.generator, IMAGES)


def report(data: Data) -> None:
    for name in ("spectrum", "bias of the order", "noise"):
        print(f"\n{name}:")
        for key, value in data[name].items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            print(f"  {key:36} " + "  ".join(f"{part} {_short(number)}".strip() for part, number in parts))


def _short(number: Any) -> str:
    return np.array2string(np.asarray(number), precision=6, max_line_width=200).replace("\n", "")


def answer(data: Data) -> str:
    then, end, quiet = data["article"][0], data["full batch"][-1], data["noise"]["mean image, article"]
    period, fold = (data["spectrum"][name]["step"] for name in ("period in epochs", "e-folding time in epochs"))
    settled, turned = "Yes" if then["verdict"] == "converged" else "No", then["epoch"] / period
    seen = "within its first turn" if turned < 1 else f"after {turned:.1f} turns"
    return (
        f"{settled}: at epoch {then['epoch']} the mean image is {then['mean gap']:.3f} off, {seen}; turns take "
        f"{period:,.0f} epochs and shrink by e in {fold:,.0f} epochs.\n"
        f"With exact expectations it is {end['mean gap']:.1g} off after {end['epoch']:,} epochs; sampling leaves a "
        f"noise of {quiet['measured']:.2g} (predicted: {quiet['predicted']:.2g})."
    )


EXPERIMENT = Experiment(
    "does_it_converge", Settings, compute, answer, {"does_it_converge.png": Figure(figures.draw, 15, 14)}, report,
    devices=0,
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
