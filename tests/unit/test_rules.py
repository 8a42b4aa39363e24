from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from slantgan_jax import Players, faces, fields, games, losses, networks, penalties, rules, slanted_land, train

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
    return lambda players, sample: games.total_losses(GAME, players, sample)[player]


REAL, FAKE = GAME.losses.discriminator
ORDERS = {
    "tutorial": (rules.tutorial(OPTIMIZERS), [(REAL, 1), (FAKE, 1), (whole(0), 0)]),
    "discriminator first": (rules.alternating(OPTIMIZERS), [(whole(1), 1), (whole(0), 0)]),
    "generator first": (
        rules.alternating(OPTIMIZERS, order=("generator", "discriminator")),
        [(whole(0), 0), (whole(1), 1)],
    ),
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


@pytest.mark.parametrize("added", [(), (penalties.r1(1.0),)], ids=["plain", "penalized"])
def test_an_objective_that_does_not_split_is_refused_by_the_tutorials_order(added):
    game = games.penalized(slanted_land(objective=losses.relativistic), *added)
    rule = rules.tutorial(OPTIMIZERS)
    players, sample = start()
    with pytest.raises(ValueError, match="does not split"):
        rule.step(game, rule.init(players), sample)


def test_the_tutorials_order_refuses_a_game_without_data():
    rule = rules.tutorial(OPTIMIZERS)
    with pytest.raises(ValueError, match="does not split"):
        rule.step(games.bilinear(), rule.init(Players(jnp.ones(()), jnp.ones(()))), ())


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


def slow_unless(name, *quick):
    """A parameter that only the complete tests try, unless it is one of the quick ones."""
    return pytest.param(name, marks=() if name in quick else pytest.mark.slow)


@pytest.mark.parametrize("rule", [slow_unless(name, "tutorial") for name in RULES])
@pytest.mark.parametrize("adjustment", [slow_unless(name, "plain", "sga", "cgd", "lola") for name in ADJUSTMENTS])
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
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), at_rest, start)
        assert any(np.any(a[0] != b[0]) for a, b in zip(jax.tree.leaves(players), jax.tree.leaves(other), strict=True))


LIMITS = {
    "past extragradient without look-ahead": (
        rules.past_extragradient(OPTIMIZERS, 0.0),
        rules.simultaneous(OPTIMIZERS),
    ),
    "lookahead that never goes back": (
        rules.lookahead(rules.alternating(OPTIMIZERS), 3, 1.0),
        rules.alternating(OPTIMIZERS),
    ),
    "an average of the last one": (
        rules.averaged(rules.alternating(OPTIMIZERS), optax.ema(0.0)),
        rules.alternating(OPTIMIZERS),
    ),
    "one step each": (
        rules.alternating(OPTIMIZERS, order=("discriminator", "generator")),
        rules.alternating(OPTIMIZERS),
    ),
    "no momentum": (
        rules.simultaneous(Players(*(optax.sgd(rate, momentum=0.0) for rate in RATES))),
        rules.simultaneous(OPTIMIZERS),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_the_plain_rule_exactly(name):
    finals = [
        jax.jit(lambda key, rule=rule: train(key, GAME, rule, 20).players)(jax.random.key(4)) for rule in LIMITS[name]
    ]
    jax.tree.map(np.testing.assert_array_equal, *finals)


def test_extragradient_is_the_librarys_sam_on_the_joint_parameters(x64):
    """optax.contrib.sam with an inner optimizer of rate -η: a step down to the look-ahead point, then the step."""
    rate = 0.3
    game = games.expected(slanted_land())
    field = fields.gradients(partial(games.total_losses, game, sample=()))
    joint = contrib.sam(optax.sgd(rate), optax.sgd(-rate), sync_period=2)
    players = game.init(jax.random.key(8))
    rule = rules.simultaneous(optax.sgd(rate), fields.extragradient(rate))
    step = jax.jit(partial(rule.step, game))
    state, theirs, their_state = rule.init(players), players, joint.init(players)
    for _ in range(10):
        state = step(state, ())
        for _ in range(2):
            updates, their_state = joint.update(jax.jit(field)(theirs), their_state, theirs)
            theirs = optax.apply_updates(theirs, updates)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), state.players, theirs)


def test_past_extragradient_looks_ahead_to_the_iterates_of_optimistic_gradient_descent(x64):
    """With y_t = ω_t - η v_{t-1}: y_{t+1} = y_t - 2 η ξ(y_t) + η ξ(y_{t-1}). optax takes ξ(y_0) for ξ(y_{-1})."""
    rate = 0.2
    game = games.expected(slanted_land())
    field = fields.gradients(partial(games.total_losses, game, sample=()))
    optimistic = rules.simultaneous(optax.optimistic_gradient_descent(rate))
    popov = rules.past_extragradient(optax.sgd(rate), rate)
    start = game.init(jax.random.key(2))
    theirs = optimistic.init(start)
    slope = field(start)
    ours = popov.init(fields.step_along(start, -rate, slope))._replace(extra=slope)
    steps = [jax.jit(partial(rule.step, game)) for rule in (popov, optimistic)]
    for _ in range(20):
        ours, theirs = steps[0](ours, ()), steps[1](theirs, ())
        ahead = fields.step_along(ours.players, rate, ours.extra)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), ahead, theirs.players)


def test_more_steps_of_a_player_see_more_samples():
    """n_D = 2, n_G = 1 by hand: in step t D sees samples 2t and 2t + 1, then G sees sample t."""
    players, _ = start()
    key = jax.random.key(2)
    rule = rules.alternating(OPTIMIZERS, order=("discriminator", "discriminator", "generator"))
    sample = rule.sample(GAME, key, 3)
    found = rule.step(GAME, rule.init(players), sample).players
    expected = players
    for number, player in ((6, 1), (7, 1), (3, 0)):
        seen = GAME.sample(key, number)
        gradient = jax.grad(lambda p, s=seen, i=player: games.total_losses(GAME, p, s)[i])(expected)
        moved = jax.tree.map(lambda p, g, r=RATES[player]: p - r * g, expected[player], gradient[player])
        expected = Players(moved, expected[1]) if player == 0 else Players(expected[0], moved)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)
    with pytest.raises(ValueError, match="names no player"):
        rules.alternating(OPTIMIZERS, order=())
    with pytest.raises(ValueError, match="names 'critic', which is no player: this game has generator, discriminator"):
        rules.alternating(OPTIMIZERS, order=("critic",)).moves(GAME)


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
    with pytest.raises(ValueError, match="at least 1"):
        rules.lookahead(looking, 0, 0.5)


OPTAX = {
    "momentum": lambda: optax.sgd(0.02, momentum=0.9),
    "negative momentum": lambda: optax.sgd(0.02, momentum=-0.5),
    "nesterov": lambda: optax.sgd(0.02, momentum=0.9, nesterov=True),
    "adam": lambda: optax.adam(0.02, b1=0.5),
    "adamw": lambda: optax.adamw(0.02),
    "rmsprop": lambda: optax.rmsprop(0.02),
    "optimistic": lambda: optax.optimistic_gradient_descent(0.02),
    "optimistic adam": lambda: optax.optimistic_adam_v2(0.02),
    "schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 100)),
    "clipping": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.02)),
    "weight clipping": lambda: penalties.clipped(optax.rmsprop(0.02), 0.1),
}


@pytest.mark.parametrize("name", [slow_unless(name, "adam", "schedule") for name in OPTAX])
def test_transformations_of_optax_are_optimizers_here(name):
    rule = rules.alternating(Players(OPTAX[name](), optax.sgd(0.02)), fields.consensus(0.1))
    run = jax.jit(lambda key: train(key, GAME, rule, 50))(jax.random.key(0))
    assert run.finite
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(run.players))
