"""Combinations of an objective, an order and a method: which there are, what one program plays, and a run of it."""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from _methods import METHODS, OBJECTIVES, ORDERS

from slantgan_jax import Game, Objective, distributions, faces, games, train
from slantgan_jax.analysis import distances, trajectories
from slantgan_jax.analysis.trajectories import Verdict
from slantgan_jax.losses import LogitLoss
from slantgan_jax.training import StepInfo

CONVERGED_DISTANCE = 0.01
RECORD_EVERY_STEPS = 5
"""An odd number, since rates that are too large overshoot to and fro in every other step."""
NODES = 8
"""Nodes of the latent: E σ(w z + b) to 1e-6 for |w| up to 5, far below `CONVERGED_DISTANCE`."""
COMPARED_ORDERS = ("tutorial", "simultaneous", "alternating")


def is_playable(objective: str, order: str, method: str) -> bool:
    """Whether the combination exists.

    The tutorial's order needs a loss of D that is a sum of terms. So does instance noise, because pairs of noisy images
    are too many for an exact expectation. A method that is a rule of its own has no order.
    """
    terms = len(OBJECTIVES[objective].discriminator)
    is_free = METHODS[method].whole_rule is None
    return (terms > 1 or not (order == "tutorial" or METHODS[method].noisy)) and (is_free or order == "simultaneous")


def programs(combinations: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Each order and method with the objectives that one program can play: those with as many terms of D."""
    found: dict[tuple[str, str, int], tuple[str, ...]] = {}
    for objective, order, method in combinations:
        alike = order, method, len(OBJECTIVES[objective].discriminator)
        found[alike] = (*found.get(alike, ()), objective)
    return [(order, method, objectives) for (order, method, _), objectives in found.items()]


def run(
    key: jax.Array,
    objective: jax.Array,
    learning_rate: jax.Array,
    strength: jax.Array,
    objectives: tuple[str, ...],
    rule: str,
    method: str,
    steps: int,
) -> dict[str, jax.Array]:
    """One run: its last distance to equilibrium, the steps until it stayed close, and its verdict, a `Verdict`.

    `objective` is a place in `objectives`.
    """
    chosen = METHODS[method]
    game = chosen.game(selected(objective, objectives), strength, latent=distributions.uniform(nodes=NODES))
    game = games.expected(coarsely_noisy(game) if chosen.noisy else game)

    def record(info: StepInfo) -> tuple:
        images = faces.unstack(faces.FACES)
        return distances.to_equilibrium(info.players, images, chosen.logit), info.players

    played = chosen.rule(ORDERS[rule], learning_rate, strength)
    result = train(key, game, played, steps, record=record, record_every=RECORD_EVERY_STEPS)
    distance, players = result.history
    verdict = trajectories.classify(distance, players, result.finite, close=CONVERGED_DISTANCE)
    settled = trajectories.first_settled_record(distance, CONVERGED_DISTANCE)
    steps_to_close = jnp.where(verdict == Verdict.CONVERGED, (settled + 1.0) * RECORD_EVERY_STEPS, jnp.inf)
    return {
        "distance": distance[-1],
        "steps_to_close": steps_to_close.astype(jnp.float32),
        "verdict": verdict,
        "finite": result.finite,
    }


def selected(place: jax.Array, objectives: tuple[str, ...]) -> Objective:
    """The objective at `place`, which is traced: all are computed, in less time than each takes to compile."""
    known = [OBJECTIVES[name] for name in objectives]
    if len(known) == 1:
        return known[0]

    def choice(losses: Sequence[LogitLoss]) -> LogitLoss:
        different = list(dict.fromkeys(losses))
        which = jnp.asarray([different.index(loss) for loss in losses])[place]
        return lambda real, fake: jax.lax.select_n(which, *(loss(real, fake) for loss in different))

    terms = zip(*(objective.discriminator for objective in known), strict=True)
    return Objective(tuple(map(choice, terms)), choice([objective.generator for objective in known]))


def coarsely_noisy(game: Game) -> Game:
    """`game` with instance noise of 2 n values, ±√n in one of the n pixels, instead of 8ⁿ nodes of a quadrature.

    It has the first three moments of normal noise; where D is nearly undecided the second is all that counts.
    """
    pixels = faces.FACES.shape[1]
    corners = np.sqrt(pixels) * np.concatenate([np.eye(pixels), -np.eye(pixels)])
    noise = distributions.resampled(faces.unstack(corners))
    return game._replace(draws=game.draws._replace(real_noise=noise, fake_noise=noise))
