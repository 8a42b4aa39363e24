import functools
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from slantgan_jax import Players, faces, fields, games, networks, penalties, rules, slanted_land, train
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

GAME = slanted_land()
RATES = (0.3, 0.7)
OPTIMIZERS = Players(*(optax.sgd(rate) for rate in RATES))


def start():
    players = networks.init(jax.random.key(1), (0.5,) * 4)
    return players, GAME.sample(jax.random.key(2), 3)


def descend(players, term, player, sample=None):
    """One step of gradient descent of one player, spelled out."""
    gradient = jax.jit(jax.grad(term))(players, start()[1] if sample is None else sample)
    moved = jax.tree.map(lambda p, g: p - RATES[player] * g, players[player], gradient[player])
    return Players(moved, players[1]) if player == 0 else Players(players[0], moved)


def whole(player):
    return lambda players, sample: games.total_losses(GAME, players, sample)[player]


REAL, FAKE = GAME.losses.discriminator
ORDERS = {
    "tutorial": (rules.tutorial(OPTIMIZERS), [(REAL, 1), (FAKE, 1), (whole(0), 0)]),
    "discriminator first": (rules.alternating(OPTIMIZERS), [(whole(1), 1), (whole(0), 0)]),
    "generator first": (
        rules.alternating(OPTIMIZERS, order=("generator", "discriminator")),
        [(whole(0), 0), (whole(1), 1)],
    ),
    "simultaneous": (rules.simultaneous(OPTIMIZERS), [(whole(0), 0), (whole(1), 1)]),
}


@pytest.mark.parametrize("name", ORDERS)
def test_rules_move_in_their_order(name):
    """Each player from where the others are by then; of the simultaneous rule, from where they were."""
    rule, moves = ORDERS[name]

    @jax.jit
    def both():
        players, sample = start()
        expected = players
        for term, player in moves:
            moved = descend(players if name == "simultaneous" else expected, term, player)
            expected = Players(*(moved[i] if i == player else expected[i] for i in range(2)))
        return rule.step(GAME, rule.init(players), sample).players, expected

    found, expected = both()
    chex.assert_trees_all_close(found, expected, rtol=1e-6, atol=0)  # float32 rounding


def test_optimizer_states_are_carried_for_each_player():
    rule = rules.tutorial(Players(optax.adam(0.1), optax.sgd(0.1, momentum=0.9)))
    players, sample = start()
    step, state = jax.jit(partial(rule.step, GAME)), rule.init(players)
    for _ in range(3):
        state = step(state, sample)
    assert optax.tree.get(state.optimizer_states.generator, "count") == 3
    trace = optax.tree.get(state.optimizer_states.discriminator, "trace")
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(trace))


# One table: every rule, with every adjustment, on every game.

RULES = {
    "tutorial": rules.tutorial,
    "simultaneous": rules.simultaneous,
    "alternating": rules.alternating,
    "alternating 2:1": partial(rules.alternating, order=("discriminator", "discriminator", "generator")),
    "past extragradient": lambda optimizers, field: rules.past_extragradient(optimizers, 0.05, field),
    "lookahead": lambda optimizers, field: rules.lookahead(rules.simultaneous(optimizers, field), 5, 0.5),
}
ADJUSTMENTS = {
    "plain": lambda strength: fields.gradients,
    "extragradient": fields.extragradient,
    "consensus": fields.consensus,
    "sga": fields.sga,
    "cgd": fields.cgd,
    "lola": fields.lola,
    "sos": fields.sos,
    "unrolled": partial(fields.unrolled, 2),
    "heun": fields.heun,
    "rk4": fields.rk4,
}
GAMES = {
    "slanted land": slanted_land(faces.FACES),  # arrays of pixels compile in less time than scalars
    "dirac": games.penalized(games.dirac(), penalties.r1(0.1)),
    "bilinear": games.bilinear(),
    "quadratic": games.quadratic(1.0),
}
SPLIT = ("slanted land", "dirac")
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""A hundred programs are compiled to run six steps each."""


def three_keys():
    return jax.random.split(jax.random.key(0), 3)


@pytest.mark.parametrize("rule", slow_unless(RULES, "tutorial"))
@pytest.mark.parametrize("adjustment", slow_unless(ADJUSTMENTS, "plain", "sga", "cgd", "lola"))
def test_every_rule_with_every_adjustment_plays_every_game(rule, adjustment):
    """Jitted, mapped over both hyperparameters and seeds; other values of them compile nothing new."""
    games_of = [game for game in GAMES if rule != "tutorial" or game in SPLIT]

    def final(key, learning_rate, strength):
        optimizers = optax.sgd(learning_rate)
        played = RULES[rule](optimizers, ADJUSTMENTS[adjustment](strength))
        keys = jax.random.split(key, len(games_of))
        results = [train(key, GAMES[game], played, 6) for key, game in zip(keys, games_of, strict=True)]
        return [(result.players, result.finite) for result in results]

    chex.clear_trace_counter()
    mapped = jax.jit(jax.vmap(chex.assert_max_traces(final, n=1)), compiler_options=QUICK)
    rates, strengths = jnp.array([0.0, 0.01, 0.05]), jnp.full(3, 0.1)
    outcomes = mapped(three_keys(), rates, strengths)
    chex.assert_tree_all_finite(outcomes)  # six small steps on smooth losses
    again = mapped(three_keys(), rates[::-1], strengths / 2)
    for name, (players, finite), (other, _) in zip(games_of, outcomes, again, strict=True):
        assert finite.all(), name
        key = jax.random.split(three_keys()[0], len(games_of))[games_of.index(name)]
        start = GAMES[name].init(jax.random.split(key)[0])
        at_rest = jax.tree.map(lambda leaf: leaf[0], players)
        # A rate of 0 does not move; the average is of equal terms, to rounding.
        chex.assert_trees_all_close(at_rest, start, rtol=1e-6, atol=0)
        assert any(np.any(a[0] != b[0]) for a, b in zip(jax.tree.leaves(players), jax.tree.leaves(other), strict=True))


SIMULTANEOUS, ALTERNATING = rules.simultaneous(OPTIMIZERS), rules.alternating(OPTIMIZERS)
LIMITS = {
    "past extragradient without look-ahead": (rules.past_extragradient(OPTIMIZERS, 0.0), SIMULTANEOUS),
    "lookahead that never goes back": (rules.lookahead(ALTERNATING, 3, 1.0), ALTERNATING),
    "an average of the last one": (rules.averaged(ALTERNATING, optax.ema(0.0)), ALTERNATING),
    "one step each": (rules.alternating(OPTIMIZERS, order=("discriminator", "generator")), ALTERNATING),
    "no momentum": (rules.simultaneous(Players(*(optax.sgd(rate, momentum=0.0) for rate in RATES))), SIMULTANEOUS),
}


@functools.cache
def final_players(rule):
    return jax.jit(lambda key: train(key, GAME, rule, 20).players)(jax.random.key(4))


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_the_plain_rule_exactly(name):
    chex.assert_trees_all_equal(*map(final_players, LIMITS[name]))


@pytest.fixture
def expected_game(x64):
    """Slanted land in expectation, with its field, and players to start from."""
    game = games.expected(slanted_land(faces.FACES))
    return game, jax.jit(fields.gradients(partial(games.total_losses, game, sample=()))), game.init(jax.random.key(8))


def test_extragradient_is_the_librarys_sam_on_the_joint_parameters(expected_game):
    """optax.contrib.sam with an inner optimizer of rate -η: a step down to the look-ahead point, then the step."""
    rate, (game, field, players) = 0.3, expected_game
    joint = contrib.sam(optax.sgd(rate), optax.sgd(-rate), sync_period=2)
    rule = rules.simultaneous(optax.sgd(rate), fields.extragradient(rate))
    step, update = jax.jit(partial(rule.step, game)), jax.jit(joint.update)
    state, theirs, their_state = rule.init(players), players, joint.init(players)
    for _ in range(10):
        state = step(state, ())
        for _ in range(2):
            updates, their_state = update(field(theirs), their_state, theirs)
            theirs = optax.apply_updates(theirs, updates)
        chex.assert_trees_all_close(state.players, theirs, rtol=1e-12, atol=0)


def test_past_extragradient_looks_ahead_to_the_iterates_of_optimistic_gradient_descent(expected_game):
    """With y_t = ω_t - η v_{t-1}: y_{t+1} = y_t - 2 η ξ(y_t) + η ξ(y_{t-1}). optax takes ξ(y_0) for ξ(y_{-1})."""
    rate, (game, field, start) = 0.2, expected_game
    optimistic = rules.simultaneous(optax.optimistic_gradient_descent(rate))
    popov = rules.past_extragradient(optax.sgd(rate), rate)
    theirs, slope = optimistic.init(start), field(start)
    ours = popov.init(fields.step_along(start, -rate, slope))._replace(extra=slope)
    steps = [jax.jit(partial(rule.step, game)) for rule in (popov, optimistic)]
    for _ in range(20):
        ours, theirs = steps[0](ours, ()), steps[1](theirs, ())
        ahead = fields.step_along(ours.players, rate, ours.extra)
        chex.assert_trees_all_close(ahead, theirs.players, rtol=1e-11, atol=0)


def test_more_steps_of_a_player_see_more_samples():
    """n_D = 2, n_G = 1 by hand: in step t D sees samples 2t and 2t + 1, then G sees sample t."""
    players, _ = start()
    key = jax.random.key(2)
    rule = rules.alternating(OPTIMIZERS, order=("discriminator", "discriminator", "generator"))
    found = jax.jit(lambda: rule.step(GAME, rule.init(players), rule.sample(GAME, key, 3)).players)()
    expected = players
    for number, player in ((6, 1), (7, 1), (3, 0)):
        expected = descend(expected, whole(player), player, GAME.sample(key, number))
    chex.assert_trees_all_close(found, expected, rtol=1e-6, atol=0)


def test_lookahead_and_averages_are_their_recursions(x64):
    period, fraction, decay, rate = 3, 0.25, 0.8, 0.3
    sgd = optax.sgd(rate)
    looking = rules.lookahead(rules.simultaneous(sgd), period, fraction)
    smooth = rules.averaged(looking, optax.ema(decay))
    state = smooth.init(Players(jnp.array(1.0), jnp.array(-0.5)))
    point, slow, moment = np.array([1.0, -0.5]), np.array([1.0, -0.5]), np.zeros(2)
    for step in range(1, 11):
        state = smooth.step(games.bilinear(), state, ())
        point = point - rate * np.array([point[1], -point[0]])
        if step % period == 0:
            point = slow = slow + fraction * (point - slow)
        moment = decay * moment + (1 - decay) * point
        np.testing.assert_allclose(state.players, point, rtol=1e-13)
        np.testing.assert_allclose(smooth.players(state), moment / (1 - decay**step), rtol=1e-13)


def test_an_average_may_depend_on_a_traced_number():
    def run(decay):
        rule = rules.averaged(rules.alternating(optax.sgd(0.1)), optax.ema(decay))
        return train(jax.random.key(0), slanted_land(), rule, 2).finite

    assert jax.jit(run)(0.9)
