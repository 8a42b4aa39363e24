"""The tutorial GAN as a run to sweep: a function from a key and learning rates to what is worth keeping of the run.

    sweep(partial(one_rate, epochs=1000), {"seed": range(100), "learning_rate": [0.01, 0.1]}, dims=DIMS)

With an axis of objectives, `"objective": ["non-saturating", "least squares"]`, each of them is a program of its own.
"""

from collections.abc import Sequence
from typing import Any

import jax
import optax

from slantgan_jax import faces, games, losses, rules
from slantgan_jax.analysis import distances
from slantgan_jax.checks import check_count, check_number, shown
from slantgan_jax.games import Game, slanted_land
from slantgan_jax.training import is_finite, train
from slantgan_jax.types import Players

MAX_EPOCHS = 100_000_000
"""The largest number of epochs that is accepted; its 5e8 steps are counted in 32 bits."""

IMAGES = ("generator_weights", "generator_biases", "discriminator_weights")
DIMS: dict[str, Sequence[str]] = dict.fromkeys(IMAGES, ("pixel",))
SCALARS = {
    "generator_loss": {"long_name": "expected generator loss"},
    "discriminator_loss": {"long_name": "expected discriminator loss"},
    "mean_gap": {"units": "1", "long_name": "distance of the mean generated image from the mean face"},
    "finite": {"long_name": "no parameter is infinite, NaN or larger than 1e4"},
}
IN_NATS = ("non-saturating", "saturating", "KL-type", "relativistic")
"""Objectives whose losses are logarithms, with the unit nat. The losses of the others have no unit."""

ATTRS: dict[str, dict[str, str]] = {
    **SCALARS,
    "seed": {"long_name": "seed S of the run's key, jax.random.key(S)"},
    "learning_rate": {"units": "1", "long_name": "learning rate of both players"},
    "generator_learning_rate": {"units": "1", "long_name": "learning rate of the generator"},
    "discriminator_learning_rate": {"units": "1", "long_name": "learning rate of the discriminator"},
    "objective": {"long_name": "objective"},
    "epoch": {"units": "epoch", "long_name": "passes over the five faces"},
    "generator_weights": {"units": "1", "long_name": "w of G(z) = σ(w z + b)"},
    "generator_biases": {"units": "1", "long_name": "b of G(z) = σ(w z + b)"},
    "discriminator_weights": {"units": "1", "long_name": "u of D(x) = σ(u·x + c)"},
    "discriminator_bias": {"units": "1", "long_name": "c of D(x) = σ(u·x + c)"},
}


def one_rate(
    key: jax.Array,
    learning_rate: jax.Array,
    epochs: int,
    record_every: int | None = None,
    objective: str = "non-saturating",
) -> dict[str, Any]:
    """The tutorial GAN with the same learning rate for both players; see `two_rates`."""
    check_number("learning_rate", learning_rate)
    return two_rates(key, learning_rate, learning_rate, epochs, record_every, objective)


def two_rates(
    key: jax.Array,
    generator_learning_rate: jax.Array,
    discriminator_learning_rate: jax.Array,
    epochs: int,
    record_every: int | None = None,
    objective: str = "non-saturating",
) -> dict[str, Any]:
    """The final parameters and `scalars` of a run in the tutorial's order with plain gradient descent.

    If `record_every` is given, the scalars after every `record_every` epochs, too: `..._history`, an array
    `[epochs // record_every]`.

    Args:
      key: of the run.
      generator_learning_rate, discriminator_learning_rate: of gradient descent.
      epochs: passes over the five faces, static.
      record_every: static; divides `epochs`.
      objective: a name in `losses.OBJECTIVES`, of an objective with two terms for D.

    Raises:
      ValueError: an objective that is not known, or of one term; `record_every` does not divide `epochs`.
    """
    check_number("generator_learning_rate", generator_learning_rate)
    check_number("discriminator_learning_rate", discriminator_learning_rate)
    epochs = check_count("epochs", epochs, 1, MAX_EPOCHS)
    if record_every is not None:
        record_every = check_count("record_every", record_every)
        if epochs % record_every:
            raise ValueError(f"record_every is {record_every}: give a positive divisor of the {epochs} epochs")
    if not isinstance(objective, str) or objective not in losses.OBJECTIVES:
        raise ValueError(f"objective is {shown(objective)}: choose from {', '.join(map(repr, losses.OBJECTIVES))}")
    game = slanted_land(objective=losses.OBJECTIVES[objective])
    rule = rules.tutorial(Players(optax.sgd(generator_learning_rate), optax.sgd(discriminator_learning_rate)))
    count = len(faces.FACES)
    record = None if record_every is None else lambda info: scalars(info.players, game)
    result = train(key, game, rule, epochs * count, record=record, record_every=(record_every or 1) * count)
    generator, discriminator = result.players
    return {
        "generator_weights": faces.stack(generator.weights),
        "generator_biases": faces.stack(generator.biases),
        "discriminator_weights": faces.stack(discriminator.weights),
        "discriminator_bias": discriminator.bias,
        **scalars(result.players, game),
        **{f"{name}_history": values for name, values in (result.history or {}).items()},
    }


def scalars(players: Players, game: Game) -> dict[str, jax.Array]:
    """The numbers by which a run is judged: expected losses, distance of the mean images, whether it stayed finite."""
    expected = games.expected_losses(game, players)
    return {
        "generator_loss": expected.generator,
        "discriminator_loss": expected.discriminator,
        "mean_gap": distances.mean_gap(players.generator, faces.unstack(faces.FACES)),
        "finite": is_finite(players),
    }
