"""Misuse that can be seen before tracing raises an error that names it: each row is a call and what its error says.

Sweeps and experiments have tables of their own.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from article_stream import article_stream

from slantgan_jax import (
    Players,
    distributions,
    faces,
    fields,
    games,
    losses,
    networks,
    penalties,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.analysis import best_response, distances, equilibria, fractals, lyapunov, trajectories, transport

GAME, IN_PAIRS = slanted_land(), slanted_land(objective=losses.relativistic)
SGD = optax.sgd(0.1)
RULE, TUTORIAL = rules.simultaneous(SGD), rules.tutorial(SGD)
CONSTANT = networks.Generator(np.zeros(4), np.zeros(4))
READS = "discriminator reads images of shape"
KEYS = jnp.zeros(2, jnp.uint32), jax.random.split(jax.random.key(0)), jax.random.key(0, impl="rbg")
R1 = penalties.r1(1.0)
key = jax.random.key


def step(game):
    """A step of the tutorial's rule, from any players and with any sample."""
    players = Players(jnp.ones(()), jnp.ones(()))
    return TUTORIAL.step(game, TUTORIAL.init(players), ())


def exponents(*numbers):
    return lyapunov.lyapunov_exponents(key(0), games.expected(games.dirac()), RULE, *numbers)


def score(image):
    return networks.logit(networks.Discriminator(np.zeros(4), 0.0), image)


ROWS = [
    (lambda: faces.slanted(key(0), 3, 1), "side is 1"),
    (lambda: faces.slanted(key(0), 0), "count is 0"),
    (lambda: faces.noise(key(0), 3, -2), "side is -2"),
    (lambda: faces.unstack(np.float64(3.0)), "last axis of pixels"),
    (lambda: faces.side_length(1), "1 pixels"),
    (lambda: faces.side_length(5), "5 pixels"),
    (lambda: article_stream(-1, 5), "seed is -1"),
    (lambda: article_stream(1, 0), "steps is 0"),
    *((lambda key=key: distributions.uniform().sample(key, 0, 0), "one typed threefry key") for key in KEYS),
    *(
        (lambda make=make, data=data: make(data), "leading axis")
        for make in (distributions.cyclic, distributions.resampled, distributions.sequence)
        for data in ((), np.zeros((0, 2)), (np.zeros(3), np.zeros(4)), np.float64(1.0))
    ),
    (lambda: slanted_land(()), "leading axis"),
    (lambda: slanted_land(np.zeros((0, 4))), "leading axis"),
    (lambda: slanted_land((np.zeros(3), np.zeros(4), np.zeros(3), np.zeros(3))), "leading axis"),
    (lambda: slanted_land(np.zeros((3, 5))), "5 pixels"),
    (lambda: slanted_land(np.zeros((3, 1))), "1 pixels"),
    *((lambda shape=shape: networks.from_vector(np.zeros(shape)), "3 pixels \\+ 1") for shape in ((), 3, 12, (2, 13))),
    *((lambda image=image: score(image), READS) for image in (np.zeros(9), (0.0,) * 4, np.zeros((2, 2)))),
    *((lambda sizes=sizes: networks.mlp(*sizes), "sizes of the layers") for sizes in ((3,), (3, 0, 1), ())),
    (
        lambda: networks.mlp(3, 2).apply(networks.mlp(3, 2).init(key(0)), jnp.ones((4, 3))),
        r"input of shape \(3,\), got \(4, 3\)",
    ),
    (lambda: slanted_land(noise=-0.1), "standard deviation, is -0.1"),
    (lambda: games.expected(slanted_land(np.zeros((3, 9)), noise=0.1)), "'real_noise' has no exact expectation"),
    (lambda: games.expected(slanted_land(objective=losses.relativistic, noise=0.1)), "can only be sampled"),
    (lambda: games.expected(games.bilinear(), over="latent"), "draws no 'latent': it draws nothing"),
    (lambda: losses.smoothed(losses.relativistic, 0.1), "label smoothing"),
    (lambda: games.minibatch(GAME, 0), "size of the minibatch is 0"),
    (lambda: games.minibatch(games.expected(GAME), 5), "draws nothing"),
    (lambda: games.expected(games.minibatch(GAME, 5)), "can only be sampled"),
    (lambda: games.penalized(games.minibatch(GAME, 5), R1), r"before `expected` and `minibatch`"),
    (lambda: games.penalized(games.bilinear(), R1), "this game shows none"),
    (lambda: games.penalized(games.expected(GAME), R1), "this game shows none"),
    (lambda: penalties.clipped(optax.sgd(1.0), 0.0), "positive"),
    (lambda: fields.unrolled(-1, 0.1), "unrolled steps is -1"),
    (lambda: step(IN_PAIRS), "does not split"),
    (lambda: step(games.penalized(IN_PAIRS, R1)), "does not split"),
    (lambda: step(games.bilinear()), "does not split"),
    (lambda: rules.alternating(SGD, order=()), "names no player"),
    (
        lambda: rules.alternating(SGD, order=("critic",)).moves(GAME),
        "names 'critic', which is no player: this game has generator, discriminator",
    ),
    (lambda: rules.lookahead(RULE, 0, 0.5), "sync_period of lookahead is 0"),
    (lambda: train(key(0), GAME, TUTORIAL, 0), "steps is 0"),
    (lambda: train(key(0), GAME, TUTORIAL, 10, record_every=3), "every is 3"),
    (lambda: transport.wasserstein(CONSTANT, faces.FACES, 3), "order is 3"),
    *(
        (lambda images=images: distances.energy_distance(CONSTANT, images), "images are an array of shape")
        for images in (faces.FACES[0], faces.FACES[:, :3], faces.FACES[:0])
    ),
    (lambda: trajectories.classify(np.ones(19)), "19 distances"),
    (lambda: trajectories.classify(np.ones(30), np.ones((29, 2))), "30 distances and 29"),
    (lambda: exponents(100, 3), "1 to 2"),
    (lambda: exponents(100, 0), "count is 0"),
    (lambda: exponents(105, 2), "105"),
    (lambda: exponents(0, 2), "steps is 0"),
    (lambda: fractals.boundary(np.ones((1, 5))), "2×2"),
    (lambda: fractals.box_counts(np.ones((4, 4)), [0]), "side 0"),
    (lambda: fractals.box_dimension([1, 2], np.array([4, 2])), "three"),
    (lambda: fractals.box_dimension([1, 2, 4], np.array([4, 2, 0])), "none 0"),
    (lambda: fractals.uncertainty_dimension([0.1, 0.2, 0.3], np.array([9, 50, 60]), 100), "more pairs"),
]


@pytest.mark.parametrize(("call", "message"), ROWS)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: equilibria.equilibrium(np.zeros(9), faces.FACES),
        lambda: best_response.best_discriminator(networks.Generator(np.zeros(9), np.zeros(9)), faces.FACES),
        lambda: best_response.separable(networks.Generator(*[faces.unstack(np.zeros(4))] * 2), faces.FACES),
    ],
)
def test_arguments_of_other_shapes_are_refused(call):
    with pytest.raises(AssertionError):
        call()
