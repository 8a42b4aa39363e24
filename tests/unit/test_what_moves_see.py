"""Which samples a move sees: each player goes through the data by itself."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Players, distributions, faces, games, losses, rules, slanted_land, train

pytestmark = pytest.mark.usefixtures("quick_compile")


def counting(items, unit=1.0):
    """A game of items in turn, in which each player has a parameter for each item, which grows when it sees that."""
    data = np.arange(float(items))
    game = games.gan(
        lambda key: Players(jnp.zeros(items), jnp.zeros(items)),
        lambda generator, latent: generator,
        lambda discriminator, image: image,
        distributions.cyclic(data),
    )
    losses = Players(
        (lambda players, sample: -unit * jnp.sum(jnp.where(sample.real == data, players.generator, 0)),),
        (lambda players, sample: -unit * jnp.sum(jnp.where(sample.real == data, players.discriminator, 0)),),
    )
    return game._replace(losses=losses)


def counted(game, rule, steps):
    return jax.jit(lambda key: train(key, game, rule, steps).players)(jax.random.key(0))


def seen(n_discriminator, n_generator, order, steps):
    """For each player how often its moves saw each of five items."""
    moves = {"d": ("discriminator",) * n_discriminator, "g": ("generator",) * n_generator}
    names = [name for letter in order for name in moves[letter]]
    return counted(counting(5), rules.alternating(optax.sgd(1.0), order=names), steps)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["dg", "gd"])
@pytest.mark.parametrize("counts", [(1, 1), (5, 1), (1, 5), (2, 3), (10, 7), (12, 12)])
def test_every_player_sees_all_data_equally_often(counts, order):
    players = seen(*counts, order, steps=5)
    for player, moves in zip(players, reversed(counts), strict=True):
        np.testing.assert_array_equal(player, np.full(5, moves))


@pytest.mark.slow
@pytest.mark.parametrize(("items", "period"), [(5, 5), (6, 4), (5, 1), (4, 2)])
def test_a_lazy_rule_shows_all_data_to_both_games(items, period):
    """The game counts in thousands, the plain one in ones."""
    rule = rules.lazily(rules.alternating(optax.sgd(1.0)), period, counting(items))
    for player in counted(counting(items, 1000.0), rule, items * period):
        np.testing.assert_array_equal(player, np.full(items, 1000 + period - 1))


SPLIT = {
    "alternating": lambda sgd: rules.alternating(sgd, fresh=True),
    "unrolled": lambda sgd: rules.unrolled(sgd, 0, fresh=True),
    "extrapolated": lambda sgd: rules.extrapolated(sgd, samples=2),
}


@pytest.mark.parametrize("name", SPLIT)
def test_samples_that_no_other_move_sees_still_show_all_data_or_are_refused(name):
    rule = SPLIT[name](optax.sgd(1.0))
    for player in counted(counting(5), rule, 5):
        np.testing.assert_array_equal(player, np.full(5, 1))
    for game in (counting(4), counting(6), games.minibatch(counting(12), 3)):
        with pytest.raises(ValueError, match=r"values in turn, of which a move .* would see only a part"):
            counted(game, rule, 4)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["discriminator", "generator"])
def test_the_moves_of_a_player_see_one_sample_after_the_other(first):
    """For all numbers of moves from 1 to 12, in blocks and as they come: 0, 1, 2, ... without a gap."""
    draws = games.Sample(real=distributions.Distribution(lambda key, step, stream: step))
    nothing = Players((), ())  # players without parameters, so that a move costs nothing
    game = games.Game(lambda key: nothing, draws, nothing)
    second = "generator" if first == "discriminator" else "discriminator"
    for one, other in itertools.product(range(1, 13), repeat=2):
        blocks = (first,) * one + (second,) * other
        mixed = [name for pair in itertools.zip_longest((first,) * one, (second,) * other) for name in pair if name]
        for order in (blocks, mixed):
            seen = {"discriminator": [], "generator": []}
            samples = []

            def field(losses, samples=samples):
                samples.append(losses.sample.real)
                return lambda players: players

            rule = rules.alternating(optax.identity(), field, order=order)
            for step in range(3):
                sample = rule.sample(game, None, step)
                for move in rule.moves(game):
                    move(rule.init(nothing), sample)
            for number, name in zip(samples, itertools.cycle(order), strict=False):
                seen[name].append(number)
            assert seen == {first: list(range(3 * one)), second: list(range(3 * other))}


@pytest.mark.slow
def test_the_mean_gradient_of_a_paired_loss_is_that_of_the_expectation():
    """G's mean step over the five faces, with five steps of a D that stands still, is its full-batch step."""
    still = Players(optax.sgd(1e-6), optax.sgd(0.0))
    rule = rules.alternating(still, order=("discriminator",) * len(faces.FACES) + ("generator",))
    with jax.enable_x64(True):
        game = slanted_land(objective=losses.relativistic, latent=distributions.cyclic(np.full(1, 0.3)))
        start = game.init(jax.random.key(1))
        moves = []
        for played in (game, games.expected(game)):
            end = train(jax.random.key(0), played, rule, len(faces.FACES), players=start).players
            moves.append(jax.tree.map(jnp.subtract, end.generator, start.generator))
        np.testing.assert_allclose(*(jnp.stack(jax.tree.leaves(move)) for move in moves), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "traced"),
    [
        (rules.alternating(optax.sgd(0.1)), (1, 1)),
        (rules.simultaneous(optax.sgd(0.1)), (1, 1)),
        (rules.alternating(optax.sgd(0.1), order=("discriminator", "discriminator", "generator")), (1, 2)),
        (rules.unrolled(optax.sgd(0.1), 3), (1, 2)),
    ],
)
def test_a_move_traces_no_loss_that_it_does_not_need(rule, traced):
    """It is traced in vain otherwise, which is most of what a sweep of few runs costs."""
    calls = {"generator": 0, "discriminator": 0}

    def loss(name, sign, players):
        calls[name] += 1
        return sign * players.generator * players.discriminator

    game = games.two_player(*(partial(loss, name, sign) for name, sign in (("generator", 1), ("discriminator", -1))))
    state = rule.init(Players(1.0, 1.0))
    jax.eval_shape(lambda key: rule.step(game, state, rule.sample(game, key, 0)), jax.random.key(0))
    assert tuple(calls.values()) == traced


def test_optimizers_count_the_moves_of_their_own_player():
    """D steps twice in the tutorial's order, so its schedule of 10 moves ends after 5 steps."""
    rule = rules.tutorial(optax.sgd(optax.linear_schedule(0.1, 0.0, 10)))
    history = train(
        jax.random.key(0), slanted_land(), rule, 12, record=lambda info: info.players.discriminator.bias
    ).history
    moves = np.abs(np.diff(np.asarray(history)))
    assert (moves[:3] > 0).all()
    assert (moves[5:] == 0).all()
