import jax
import numpy as np
import optax
import pytest

from slantgan_jax import Objective, Players, games, losses, networks, rules, slanted_land

GAME = slanted_land()
RATES = (0.3, 0.7)
OPTIMIZERS = Players(*(optax.sgd(rate) for rate in RATES))


def start():
    players = networks.init(jax.random.key(1), (0.5,) * 4)
    return players, GAME.sample(jax.random.key(2), 3)


def descend(players, term, player):
    """One step of gradient descent of one player, spelled out."""
    gradient = jax.grad(term)(players, sample=start()[1])
    moved = jax.tree.map(lambda p, g: p - RATES[player] * g, players[player], gradient[player])
    return Players(moved, players[1]) if player == 0 else Players(players[0], moved)


def whole(player):
    return lambda players, sample: games.losses_of(GAME, players, sample)[player]


REAL, FAKE = GAME.terms.discriminator
ORDERS = {
    "tutorial": (rules.tutorial(OPTIMIZERS), [(REAL, 1), (FAKE, 1), (whole(0), 0)]),
    "discriminator first": (rules.alternating(OPTIMIZERS), [(whole(1), 1), (whole(0), 0)]),
    "generator first": (rules.alternating(OPTIMIZERS, discriminator_first=False), [(whole(0), 0), (whole(1), 1)]),
}


@pytest.mark.parametrize("name", ORDERS)
def test_sequential_rules_move_in_their_order(name):
    rule, moves = ORDERS[name]
    players, sample = start()
    expected = players
    for term, player in moves:
        expected = descend(expected, term, player)
    found = rule.step(GAME, rule.init(players), sample).players
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)  # float32 rounding


def test_simultaneous_moves_both_from_the_same_point():
    players, sample = start()
    rule = rules.simultaneous(OPTIMIZERS)
    found = rule.step(GAME, rule.init(players), sample).players
    expected = Players(descend(players, whole(0), 0)[0], descend(players, whole(1), 1)[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)
    other = rules.alternating(OPTIMIZERS).step(GAME, rules.alternating(OPTIMIZERS).init(players), sample).players
    assert any(
        np.any(a != b) for a, b in zip(jax.tree.leaves(found.generator), jax.tree.leaves(other.generator), strict=True)
    )


def test_optimizer_states_are_carried_for_each_player():
    rule = rules.tutorial(Players(optax.adam(0.1), optax.sgd(0.1, momentum=0.9)))
    players, sample = start()
    state = rule.init(players)
    for _ in range(3):
        state = rule.step(GAME, state, sample)
    assert optax.tree.get(state.optimizer_states.generator, "count") == 3
    trace = optax.tree.get(state.optimizer_states.discriminator, "trace")
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(trace))


def test_an_objective_that_does_not_split_is_refused_by_the_tutorials_order():
    paired = Objective(
        (lambda real, fake: losses.softplus(fake - real),), lambda real, fake: losses.softplus(real - fake)
    )
    rule = rules.tutorial(OPTIMIZERS)
    players, sample = start()
    with pytest.raises(ValueError, match="does not split"):
        rule.step(slanted_land(objective=paired), rule.init(players), sample)
