"""The curves of does_it_converge.py: what its long runs do over parts of the time."""

import itertools
from typing import Any

import jax
import numpy as np
from _convergence import IMAGES, mean_errors

from slantgan_jax import networks
from slantgan_jax.analysis import best_response

RECORD_EVERY = {"article": 10, "full batch": 10, "replicas": 100}
"""Epochs between two records."""

FIRST_TURNS_EPOCHS = 12_500
Histories = dict[str, np.ndarray]
"""For each kind of run its `networks.to_vector` `[records, 13]`; of the replicas `[replicas, records, 13]`."""


def curves(histories: Histories) -> dict[str, Any]:
    """Root mean squares over parts of the time, which are equally long on a log axis, and the first turns in full."""
    every = RECORD_EVERY["article"]
    edges = np.unique(np.geomspace(every, every * len(histories["article"]), 121).astype(int) // every * every)
    found: dict[str, Any] = {"epochs": np.sqrt(edges[:-1] * edges[1:])}
    for name, history in histories.items():
        parts = edges // RECORD_EVERY[name]
        vectors = {"mean gap": np.asarray(mean_errors(history)), "slopes": history[..., 8:12]}
        binned = {key: np.sqrt(_means(np.sum(values**2, axis=-1), parts)) for key, values in vectors.items()}
        binned["bias"] = _means(history[..., 12], parts)
        if name == "replicas":
            found[name] = {key: np.quantile(values, [0.1, 0.5, 0.9], axis=0) for key, values in binned.items()}
        else:
            gaps, separable = map(np.asarray, nikaido_isoda(history[parts[1:] - 1]))
            found[name] = binned | {"Nikaido-Isoda gap": gaps, "separable": separable}
    first = {name: histories[name][: FIRST_TURNS_EPOCHS // every] for name in ("article", "full batch")}
    found["first turns"] = {
        "epochs": every * (np.arange(len(first["article"])) + 1),
        **{name: np.asarray(mean_errors(history)) for name, history in first.items()},
        **{f"u, {name}": history[:, 8:12] for name, history in first.items()},
    }
    return found


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means of `values` `[..., records]` between edges, NaN before any record."""
    parts = itertools.pairwise(edges)
    means = np.stack([np.mean(values[..., start : max(end, start + 1)], axis=-1) for start, end in parts], -1)
    return np.where(edges[:-1] == 0, np.nan, means)


@jax.jit
@jax.vmap
def nikaido_isoda(numbers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Nikaido-Isoda gap, and whether a plane separates real from generated images: then D's gain saturates."""
    players = networks.from_vector(numbers, stacked=True)
    return best_response.nikaido_isoda_gap(players, IMAGES), best_response.separable(players.generator, IMAGES)
