"""The article stops after 1000 epochs with curves that look settled. Has its GAN converged? Run it a thousand times as long.

Five runs of one game, all in float64, in the tutorial's order (D on a face, D on a fake, then G):

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
from functools import cache, partial
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
RIDGE = 0.01  # of the gap that does not saturate where a plane tells all images apart
GAMMA, STRENGTH = 0.1, 10.0  # of R1, of consensus
WINDOWS = 50  # of a method's run, each with records enough for the turns
RECORDS = 2000
FITTED = 1e-10, 1e-3  # amplitudes between which decay is measured: linear, and above rounding
FILES = ("data.json", "does_it_converge.png", "histories.npz")
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
    f"consensus {STRENGTH:g}": Method(
        lambda rate: rules.alternating(sgd(rate), fields.consensus(STRENGTH)), share=0.1
    ),
    f"R1, γ = {GAMMA:g}": Method(lambda rate: rules.alternating(sgd(rate)), (penalties.r1(GAMMA),), share=0.03),
}
RATES = (0.01, 1.0)


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
            "noise": noise_left(histories["replicas"], learning_rate),
            "where it comes to rest": resting_place(histories),
        }
        for name in ("spectrum", "bias of the order", "noise"):
            print(f"\n{name}:")
            show(data[name])
        data["methods"] = compare_methods(unflat(start_of(seed)), epochs, learning_rate)
        data["curves"] = curves(histories)
        settings = {"epochs": epochs, "seed": seed, "replicas": replicas, "learning_rate": learning_rate}
        data["settings"] = settings | {"close": CLOSE, "ridge": RIDGE, "command": results.command()}
        data["answer"] = answer(data)
        results.write_json(folder / "data.json", data | {"versions": results.record()})
        np.savez_compressed(folder / "histories.npz", **{name: h.astype(np.float32) for name, h in histories.items()})
        results.save_figure(folder / "does_it_converge.png", dynamics_plots.does_it_converge, 15, 12.5, data)
    print(f"\n{data['answer']}\nEverything is in {out}/.")
