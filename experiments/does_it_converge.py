"""Has the article's GAN converged after 1000 epochs, when its curves look settled? It runs on, to a million.

All runs are in float64 and in the tutorial's order:

    article      the article's program, its random numbers continued
    replicas     the same from other starts, with other latents: `jax.random.key(0)`, ...
    full batch   the article's start, and each move with the exact expectation of its loss: no noise

They are compared with what is known without running. See docs/results/does_it_converge.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import _convergence as convergence
import jax
import jax.numpy as jnp
import numpy as np
from _convergence import GAME, IMAGES, LATENT, RECORD_EVERY, STEPS_PER_EPOCH, Histories, mean_errors
from _experiment import Experiment, Figure, Quick, progress
from _methods import METHODS, ORDERS
from _options import check_positive, check_whole
from _results import Data
from _tutorial_order import noise_left, order_bias
from article_stream import article_stream, replayed
from figures import does_it_converge as figures
from jax.typing import ArrayLike

from slantgan_jax import Game, Players, Rule, games, networks, slanted_land
from slantgan_jax.analysis import spectra, steepest_lines

ARTICLE_EPOCHS = 1000


@dataclass(frozen=True)
class Settings:
    """Has the article's GAN converged? It runs on, and is compared with what is known exactly."""

    epochs: Annotated[int, partial(check_whole, least=2000, most=10_000_000, multiple=1000)] = 1_000_000
    """Of the long runs, a multiple of 1000."""
    seed: Annotated[int, partial(check_whole, least=0, most=2**32 - 1)] = convergence.ARTICLE_SEED
    """Of the article's random numbers; 42 is the article."""
    replicas: Annotated[int, partial(check_whole, least=2, most=100)] = 16
    """The number of runs from other starts."""
    learning_rate: Annotated[float, check_positive] = convergence.ARTICLE_RATE
    """Of both players' gradient descent."""


def compute(settings: Settings, out: Path) -> Data:
    rate, epochs = settings.learning_rate, (ARTICLE_EPOCHS, settings.epochs)
    rule = METHODS["plain"].rule(ORDERS["tutorial"], rate)
    histories = long_runs(rule, settings)
    fixed, spectrum = spectrum_of(rule, histories["full batch"], rate)
    return {
        "article": at_epochs(histories["article"], epochs),
        "full batch": at_epochs(histories["full batch"], epochs),
        "spectrum": spectrum,
        "bias of the order": order_bias(rule, fixed, histories, rate),
        "noise": noise_left(rule, histories),
        "where it comes to rest": resting_place(histories),
        "curves": convergence.curves(histories),
    }


def long_runs(rule: Rule, settings: Settings) -> Histories:
    start, replicas = convergence.start_of(settings.seed), jnp.arange(settings.replicas)
    latents = article_stream(settings.seed, STEPS_PER_EPOCH * settings.epochs).latents
    full_batch = games.expected(slanted_land(latent=LATENT))

    def history(name: str, game: Game, players: Players | None = None, seed: ArrayLike = 0) -> jax.Array:
        return convergence.run(game, rule, settings.epochs, RECORD_EVERY[name], players, seed)

    runs = {
        "article": (lambda latents: history("article", replayed(latents), start), latents),
        "full batch": (lambda _: history("full batch", full_batch, start), None),
        "replicas": (jax.vmap(lambda seed: history("replicas", slanted_land(), seed=seed)), replicas),
    }
    return {name: np.asarray(jax.jit(run)(data)) for name, (run, data) in progress(runs.items(), "long runs")}


def at_epochs(history: np.ndarray, epochs: tuple[int, ...]) -> list[dict[str, Any]]:
    """What the curves show at each of these epochs, and the verdict of a reader who has seen no more."""
    rows = []
    for epoch in epochs:
        seen = history[np.linspace(0, epoch // RECORD_EVERY["article"] - 1, 100).astype(int)]
        gap, slopes = np.linalg.norm(mean_errors(seen[-1])), np.linalg.norm(seen[-1, 8:12])
        row = {"epoch": epoch, "mean gap": gap, "slopes": slopes, "bias": seen[-1, 12]}
        rows.append(row | {"verdict": convergence.verdict(seen)})
    return rows


def spectrum_of(rule: Rule, history: np.ndarray, rate: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Where the tutorial's order stands still beside the full batch's end, `[13]`, and periods and e-folding times in
    epochs: of the flow, of the tutorial's step, and of the full batch as measured. E-folding times are negative where
    distances grow, and all is NaN if the order stands still nowhere near."""

    @jax.jit
    def predicted(end: jax.Array) -> tuple[Any, ...]:
        resting, tangents = convergence.equilibrium_of(networks.from_vector(end, stacked=True))
        fixed, step = convergence.rest(rule, GAME, end)
        values = spectra.flow_eigenvalues(GAME, resting, tangents=tangents)
        flow = spectra.summarize_flow(jnp.where(jnp.isnan(step.fold), jnp.nan, values), STEPS_PER_EPOCH * rate)
        return flow, convergence.pace(flow), fixed, step

    spectrum, flow, fixed, step = jax.tree.map(np.asarray, predicted(history[-1]))
    values = spectrum.eigenvalues
    turning = values[values.imag > 0] * STEPS_PER_EPOCH * rate
    fold, period = convergence.measured_decay(history, fixed, RECORD_EVERY["full batch"])
    return fixed, {
        "eigenvalues of the flow": np.stack([values.real, values.imag], -1),
        "zero modes": int(spectrum.zero_modes),
        "modes": {"period in epochs": 2 * np.pi / turning.imag, "e-folding time in epochs": -1 / turning.real},
        "period in epochs": {"flow": float(flow.period), "step": float(step.period), "measured": period},
        "e-folding time in epochs": {"flow": float(flow.fold), "step": float(step.fold), "measured": fold},
    }


def resting_place(histories: Histories) -> dict[str, Any]:
    """G's weights at the end, against the equilibrium on the lines of steepest ascent from the start and on the way."""
    places = {}
    for epoch in (10, ARTICLE_EPOCHS):
        players = networks.from_vector(histories["full batch"][epoch // RECORD_EVERY["full batch"] - 1], stacked=True)
        places[f"landing from epoch {epoch}"] = np.asarray(steepest_lines.endpoint(players.generator, IMAGES).weights)
    return places | {f"{name}, end": histories[name][-1, :4] for name in ("full batch", "article")}


def answer(data: Data) -> str:
    then, end, quiet = data["article"][0], data["full batch"][-1], data["noise"]["mean image, article"]
    period, fold = (data["spectrum"][name]["step"] for name in ("period in epochs", "e-folding time in epochs"))
    settled, turned = "Yes" if then["verdict"] == "converged" else "No", then["epoch"] / period
    seen = "within its first turn" if turned < 1 else f"after {turned:.1f} turns"
    shrink = f"{'shrink' if fold > 0 else 'grow'} by e in {abs(fold):,.0f} epochs"
    shrink = shrink if np.isfinite(fold) else "do not shrink"
    pace = f", {seen}; turns take {period:,.0f} epochs and {shrink}"
    if np.isnan(fold):
        pace = "; near the end of the run there is no equilibrium at which it could rest"
    elif not np.isfinite(period):
        pace = f"; near the equilibrium nothing turns, and distances {shrink}"
    noise = "; too few to see the noise of sampling" if fold > 0 else ""
    if figures.rests(data):
        noise = f"; sampling leaves a noise of {quiet['measured']:.2g} (predicted: {quiet['predicted']:.2g})"
    return (
        f"{settled}: at epoch {then['epoch']} the mean image is {then['mean gap']:.3f} off{pace}.\n"
        f"With exact expectations it is {end['mean gap']:.1g} off after {end['epoch']:,} epochs{noise}."
    )


EXPERIMENT = Experiment(
    "does_it_converge",
    Settings,
    compute,
    answer,
    {
        "does_it_converge.png": Figure(figures.draw, 15, 14),
        "turns.png": Figure(figures.turns_alone, 9, 4),
        "distance.png": Figure(figures.distance_alone, 7, 5),
    },
    devices=0,
    time="about 1 minute",
    quick=Quick({"epochs": 20_000, "replicas": 4}, "20 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
