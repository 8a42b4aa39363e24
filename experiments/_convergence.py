"""Long runs, their distances and decay times, and what is known of them without running.

A run is known by its history, the players as `networks.to_vector` gives them, `[records, 13]`, in float64.
"""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from article_stream import article_players, article_stream

from slantgan_jax import Game, Players, Rule, distributions, faces, networks, slanted_land, train
from slantgan_jax.analysis import best_response, distances, equilibria, growth, spectra, trajectories
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import State

STEPS_PER_EPOCH = len(faces.FACES)
IMAGES = np.array(faces.FACES)
"""The faces as one array, for what is computed of a run: it compiles faster. The runs themselves have scalar leaves."""

LATENT = distributions.uniform(nodes=12)
"""|w| stays below 3, where these nodes give E σ(w z + b) with an error of 1e-9."""

GAME = slanted_land(IMAGES, latent=LATENT)
ARTICLE_SEED, ARTICLE_RATE = 42, 0.01
"""Of the article's program."""

FIRST_TURNS_EPOCHS = 12_500
RECORD_EVERY = {"article": 10, "full batch": 10, "replicas": 100}
"""Epochs between two records of does_it_converge.py."""
FIT_DISTANCES = 1e-10, 1e-3
"""Decay is measured between these distances: small enough to be linear, and above rounding."""

REST_MOTION, REST_DISTANCE = 1e-10, 0.1
"""A rule stands still near an equilibrium if its step moves the players by less than the first number, and if their
`distance` is less than the second. The tutorial's order stands still at a distance of 8e-4 at the rate 3. Saturated
players far away hardly move, either."""


class Pace(NamedTuple):
    """How fast the players move near the place where a rule stands still. Both are NaN if there is no such place.

    Attributes:
      fold: the epochs in which the distance falls by a factor of e; negative if it rises, infinite if it does neither.
      period: the epochs of a turn, infinite if nothing turns.
    """

    fold: jax.Array
    period: jax.Array


Histories = dict[str, np.ndarray]
"""For each kind of run its history; of the replicas `[replicas, records, 13]`."""


def start_of(seed: int) -> Players:
    """The players with which the article's program starts."""
    return article_players(article_stream(seed, 1))


def run(game: Game, rule: Rule, epochs: int, record_every: int, players: Players | None = None, seed: Any = 0) -> Any:
    """The history of a run with a record every `record_every` epochs."""
    return train(
        jax.random.key(seed), game, rule, STEPS_PER_EPOCH * epochs, players=players,
        record=lambda info: networks.to_vector(info.players), record_every=STEPS_PER_EPOCH * record_every,
    ).history  # fmt: skip


def rest(rule: Rule, game: Game, end: jax.Array, period: int = 1) -> tuple[jax.Array, Pace]:
    """Where `rule` stands still beside `end`, `[13]`, and the pace there: NaN if it does so nowhere near."""
    players = networks.from_vector(end, stacked=True)
    state, stands = standstill(rule, game, players, period)
    values = spectra.update_eigenvalues(rule, game, state, period, equilibrium_of(players)[1])
    fixed, values = (jnp.where(stands, numbers, jnp.nan) for numbers in (networks.to_vector(state.players), values))
    return fixed, pace(spectra.summarize_map(values, period / STEPS_PER_EPOCH))


def standstill(
    rule: Rule, game: Game, players: Players, period: int = 1, iterations: int = 10, over: spectra.Over = None
) -> tuple[State, jax.Array]:
    """What Newton's method finds beside `players`, and whether it is near an equilibrium and `rule` stands still."""
    _, tangents = equilibrium_of(players)
    state, residual = spectra.fixed_point(rule, game, players, period, tangents, iterations, over)
    apart = distance(networks.to_vector(state.players)[None])[0]
    return state, (residual < REST_MOTION) & (apart < REST_DISTANCE)


def pace(spectrum: spectra.Spectrum) -> Pace:
    """The `Pace` that a `Spectrum` tells."""
    sign = jnp.where(spectrum.verdict == spectra.Stability.UNSTABLE, -1, 1)
    return Pace(sign * spectrum.efold, jnp.where(jnp.isnan(spectrum.growth), jnp.nan, spectrum.period))


@jax.jit
def mean_errors(history: jax.Array) -> jax.Array:
    """E G(z) - mean face `[..., 4]`, of a history `[..., 13]`."""
    rows = history.reshape(-1, history.shape[-1])
    means = jax.vmap(lambda row: distances.mean_image(networks.from_vector(row, stacked=True).generator))(rows)
    return (means - as_float(IMAGES.mean(0))[None]).reshape(*history.shape[:-1], 4)


@jax.jit
@jax.vmap
def distance(history: jax.Array) -> jax.Array:
    """√(‖E G(z) - mean face‖² + ‖u‖²) `[records]`, of a history `[records, 13]`."""
    return distances.to_equilibrium(networks.from_vector(history, stacked=True), IMAGES)


def verdict(history: np.ndarray) -> str:
    """What became of a run, by a history of 100 records."""
    return trajectories.Verdict(int(jax.jit(trajectories.classify)(distance(history), history))).name.lower()


def equilibrium_of(players: Players) -> tuple[Players, Players]:
    """The equilibrium with the same weights of G, and the tangents of the surface of equilibria there."""
    resting = equilibria.project(players, IMAGES)
    return resting, equilibria.tangents(resting.generator.weights, IMAGES)


def measured_decay(history: np.ndarray, fixed: np.ndarray, record_every: float) -> tuple[float, float]:
    """The time in which a run comes nearer to `fixed` `[13]` by a factor of e, and the time of a turn.

    The distance is √(Σ u_i² + (e_i / ‖∇m_i‖)²), with e the error of the mean image and ∇m by w and b: twice the energy
    of `steepest_lines` near the fixed point. In this metric a turn is a circle on which u and G change places, so the
    distance swings little. The second half of the records within `FIT_DISTANCES` counts: there only the slowest mode is
    left.
    """
    error = np.asarray(mean_errors(history)) - np.asarray(mean_errors(fixed))
    slopes = np.asarray(jax.jacobian(mean_errors)(fixed))
    lengths = np.linalg.norm([np.diag(slopes[:, :4]), np.diag(slopes[:, 4:8])], axis=0)  # of ∂m_i / ∂(w_i, b_i)
    with np.errstate(divide="ignore", invalid="ignore"):  # a pixel of a saturated G has no slope
        apart = np.concatenate([history[:, 8:12] - fixed[8:12], error / lengths], 1)
    sizes = np.linalg.norm(apart, axis=1)
    start, stop = map(int, growth.longest_stretch(sizes, *FIT_DISTANCES))
    part = slice((start + stop) // 2, stop)
    if len(sizes[part]) < growth.MIN_RECORDS:
        return math.nan, math.nan
    rate = growth.growth_rate(np.log(sizes[part]))
    round_turns = apart[part] * np.exp(-rate * np.arange(len(apart[part])))[:, None]
    period = float(trajectories.orbit_statistics(round_turns).period)
    half_turn = period / 2 if math.isfinite(period) else None
    rate = float(growth.growth_rate(np.log(sizes[part]), wave_period=half_turn))
    return -record_every / rate, record_every * period


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
