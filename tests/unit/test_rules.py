import functools
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from slantgan_jax import (
    Players,
    distributions,
    faces,
    fields,
    games,
    losses,
    mlp,
    networks,
    numerics,
    penalties,
    rules,
    slanted_land,
    train,
)
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
    "alternating, fresh": partial(rules.alternating, fresh=True),
    "past extragradient": lambda optimizers, field: rules.past_extragradient(optimizers, 0.05, field),
    "extrapolated": rules.extrapolated,
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
    "rk4 frozen": partial(fields.rk4, frozen=True),
    "opponent penalty": fields.opponent_penalty,
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


def triples():
    """All of them. Those that are not marked long have every pair of a rule, an adjustment and a game once at least."""
    found = []
    for i, rule in enumerate(RULES):
        played = SPLIT if rule == "tutorial" else [*GAMES]
        for j, adjustment in enumerate(ADJUSTMENTS):
            for game in played:
                paired = game == played[(i + j) % len(played)]
                quick = rule == "tutorial" and adjustment in ("plain", "lola")
                marks = [] if quick else pytest.mark.slow if paired else pytest.mark.long
                found.append(pytest.param(rule, adjustment, game, marks=marks))
    return found


@pytest.mark.parametrize(("rule", "adjustment", "game"), triples())
def test_every_rule_with_every_adjustment_plays_every_game(rule, adjustment, game):
    """Jitted, mapped over both hyperparameters and seeds; other values of them compile nothing new."""

    def final(key, learning_rate, strength):
        played = RULES[rule](optax.sgd(learning_rate), ADJUSTMENTS[adjustment](strength))
        result = train(key, GAMES[game], played, 6)
        return result.players, result.finite

    chex.clear_trace_counter()
    mapped = jax.jit(jax.vmap(chex.assert_max_traces(final, n=1)), compiler_options=QUICK)
    rates, strengths = jnp.array([0.0, 0.01, 0.05]), jnp.full(3, 0.1)
    players, finite = mapped(three_keys(), rates, strengths)
    other, _ = mapped(three_keys(), rates[::-1], strengths / 2)
    assert finite.all()
    chex.assert_tree_all_finite(players)  # six small steps on smooth losses
    start = GAMES[game].init(jax.random.split(three_keys()[0])[0])
    # A rate of 0 does not move; the average is of equal terms, to rounding.
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[0], players), start, rtol=1e-6, atol=0)
    assert any(np.any(a[0] != b[0]) for a, b in zip(jax.tree.leaves(players), jax.tree.leaves(other), strict=True))


SIMULTANEOUS, ALTERNATING = rules.simultaneous(OPTIMIZERS), rules.alternating(OPTIMIZERS)
FRESH, GENERATOR_ALONE = rules.alternating(OPTIMIZERS, fresh=True), rules.alternating(OPTIMIZERS, order="generator")
LIMITS = {
    "past extragradient without look-ahead": (rules.past_extragradient(OPTIMIZERS, 0.0), SIMULTANEOUS),
    "extrapolated by descent": (
        rules.extrapolated(OPTIMIZERS),
        rules.simultaneous(OPTIMIZERS, fields.extragradient(Players(*RATES))),
    ),
    "lookahead that never goes back": (rules.lookahead(ALTERNATING, 3, 1.0), ALTERNATING),
    "an average of the last one": (rules.averaged(ALTERNATING, optax.ema(0.0)), ALTERNATING),
    "unrolled by no step": (rules.unrolled(OPTIMIZERS, 0), ALTERNATING),
    "unrolled by no step, fresh": (rules.unrolled(OPTIMIZERS, 0, fresh=True), FRESH),
    "lazy at every step": (rules.lazily(ALTERNATING, 1, slanted_land()), ALTERNATING),
    "fresh with one move": (rules.alternating(OPTIMIZERS, order="generator", fresh=True), GENERATOR_ALONE),
    "one step each": (rules.alternating(OPTIMIZERS, order=("discriminator", "generator")), ALTERNATING),
    "no momentum": (rules.simultaneous(Players(*(optax.sgd(rate, momentum=0.0) for rate in RATES))), SIMULTANEOUS),
}


@functools.cache
def final_players(rule):
    return jax.jit(lambda key: train(key, GAME, rule, 20).players)(jax.random.key(4))


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_unless(LIMITS, *list(LIMITS)[::3]))
def test_limits_are_the_plain_rule_exactly(name):
    chex.assert_trees_all_equal(*map(final_players, LIMITS[name]))


@pytest.fixture
def expected_game(x64):
    """Slanted land in expectation, with its field, and players to start from."""
    game = games.expected(slanted_land(faces.FACES))
    return game, jax.jit(fields.gradients(partial(games.total_losses, game, sample=()))), game.init(jax.random.key(8))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    state, step_of = smooth.init(Players(1.0, -0.5)), jax.jit(smooth.step, static_argnums=0)
    game = games.bilinear()
    point, slow, moment = np.array([1.0, -0.5]), np.array([1.0, -0.5]), np.zeros(2)
    for step in range(1, 11):
        state = step_of(game, state, ())
        point = point - rate * np.array([point[1], -point[0]])
        if step % period == 0:
            point = slow = slow + fraction * (point - slow)
        moment = decay * moment + (1 - decay) * point
        np.testing.assert_allclose(state.players, point, rtol=1e-13)
        np.testing.assert_allclose(smooth.players(state), moment / (1 - decay**step), rtol=1e-13)


def test_a_late_return_can_be_made_by_hand_from_plain_numbers():
    rule = rules.lookahead(SIMULTANEOUS, 3, 0.25, late=True)
    found, expected = (
        rule.step(games.bilinear(), rule.init(Players(*map(kind, (1.0, -0.5)))), ()) for kind in (float, jnp.array)
    )
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.slow
def test_a_late_return_is_the_same_play_recorded_before_it(x64):
    period, fraction = 3, 0.25
    start = Players(jnp.array(1.0), jnp.array(-0.5))
    early, late = (
        train(
            jax.random.key(0), games.bilinear(), rules.lookahead(SIMULTANEOUS, period, fraction, late=late), 12,
            players=start, record=lambda info: jnp.stack(info.players),
        ).history
        for late in (False, True)
    )  # fmt: skip
    returning = np.arange(1, 13) % period == 0
    np.testing.assert_array_equal(late[~returning], early[~returning])
    slow = np.concatenate([[start], early[returning]])
    np.testing.assert_allclose(early[returning], slow[:-1] + fraction * (late[returning] - slow[:-1]), rtol=1e-14)


@pytest.mark.slow
def test_of_nested_late_returns_the_inner_one_is_made_first(x64):
    def end(inner, outer):
        nested = rules.lookahead(rules.lookahead(SIMULTANEOUS, 2, 0.5, late=inner), 6, 0.25, late=outer)
        return jax.jit(lambda: train(jax.random.key(0), games.bilinear(), nested, 13, players=Players(1.0, -0.5)))()

    np.testing.assert_array_equal(end(True, True).players, end(False, False).players)
    np.testing.assert_array_equal(end(False, True).players, end(False, False).players)
    with pytest.raises(ValueError, match="give late=True here, too"):
        end(True, False)


def test_a_weighted_mean_is_its_formula(x64):
    points, weights = np.random.default_rng(0).normal(size=(9, 2)), 2 / np.sqrt(np.arange(1, 10))
    mean = rules.running_mean(lambda count: 2 / jnp.sqrt(numerics.as_float(count + 1)))
    equal, counted = rules.running_mean(lambda count: 0.5), rules.running_mean()
    state, of_equal, of_counted = (one.init(jnp.zeros(2)) for one in (mean, equal, counted))
    for count, point in enumerate(points, 1):
        found, state = mean.update(jnp.asarray(point), state)
        expected = weights[:count] @ points[:count] / weights[:count].sum()
        np.testing.assert_allclose(found, expected, rtol=1e-13)  # rounding
        (found, of_equal), (expected, of_counted) = equal.update(point, of_equal), counted.update(point, of_counted)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("first", [0.0, 1.0])
def test_a_weighted_mean_has_a_derivative_by_a_weight_that_is_zero(first):
    """Of the points 1, 2 and 4, of which 2 has the weight 0. A factor of all weights changes nothing."""

    def mean(weights):
        average = rules.running_mean(lambda count: weights[count])
        state = average.init(jnp.zeros(()))
        for point in (1.0, 2.0, 4.0):
            found, state = average.update(jnp.asarray(point), state)
        return found

    weights = jnp.array([first, 0.0, 1.0])
    np.testing.assert_allclose(jax.grad(mean)(weights)[1], (2 - mean(weights)) / (first + 1), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda r: mean(r * weights))(3.0), 0, atol=1e-6)


@pytest.mark.parametrize(("samples", "seen"), [(1, (0, 0, 0)), (2, (0, 1, 1)), (3, (0, 1, 2))])
def test_extrapolated_reads_its_samples_and_counts_two_updates_a_step(samples, seen):
    """One step by hand, with momentum: the look-ahead, then each player, on samples 4 · `samples` + `seen`."""
    momentum, (players, _), key = 0.5, start(), jax.random.key(2)
    optimizers = Players(*(optax.sgd(rate, momentum=momentum) for rate in RATES))
    rule = rules.extrapolated(optimizers, samples=samples)

    @jax.jit
    def both():
        def slope(place, player, number):
            return jax.grad(whole(player))(place, GAME.sample(key, 4 * samples + number))[player]

        first = [slope(players, i, seen[0]) for i in range(2)]
        place = fields.step_along(players, Players(*RATES), Players(*first))
        second = [jax.tree.map(lambda a, b: a + momentum * b, slope(place, i, seen[1 + i]), first[i]) for i in range(2)]
        found = rule.step(GAME, rule.init(players), rule.sample(GAME, key, 4))
        return found, fields.step_along(players, Players(*RATES), Players(*second))

    found, expected = both()
    chex.assert_trees_all_close(found.players, expected, rtol=1e-6, atol=1e-7)  # float32 rounding


def test_extrapolated_refuses_samples_for_other_players():
    with pytest.raises(ValueError, match="samples is 4: give 1, 2, or 3"):
        rules.extrapolated(OPTIMIZERS, samples=4).moves(GAME)


def test_fresh_moves_see_samples_that_no_other_move_sees():
    """Of three moves in step t the samples 3t, 3t + 1 and 3t + 2, by hand."""
    players, _ = start()
    key = jax.random.key(2)
    rule = rules.alternating(OPTIMIZERS, order=("discriminator", "generator", "discriminator"), fresh=True)
    assert rule.reads == ((3, 0), (3, 1), (3, 2))
    found = jax.jit(lambda: rule.step(GAME, rule.init(players), rule.sample(GAME, key, 4)).players)()
    expected = players
    for number, player in ((12, 1), (13, 0), (14, 1)):
        expected = descend(expected, whole(player), player, GAME.sample(key, number))
    chex.assert_trees_all_close(found, expected, rtol=1e-6, atol=0)  # float32 rounding


@pytest.mark.slow
def test_fresh_moves_need_a_longer_sequence():
    game = slanted_land(latent=distributions.sequence(np.zeros(9)))
    for rule, steps in ((FRESH, 4), (rules.unrolled(OPTIMIZERS, 1, fresh=True), 4), (ALTERNATING, 9)):
        jax.eval_shape(lambda rule=rule, steps=steps: train(jax.random.key(0), game, rule, steps).players)
        with pytest.raises(ValueError, match="draw 'latent', but there are 9"):
            train(jax.random.key(0), game, rule, steps + 1)


def test_a_running_mean_is_the_mean_of_all_players_so_far(x64):
    rule = rules.averaged(rules.simultaneous(optax.sgd(0.3)), rules.running_mean())
    result = jax.jit(
        lambda key: train(key, games.bilinear(), rule, 50, record=lambda info: (info.players, info.state.players))
    )(jax.random.key(3))
    mean, players = (np.array(part).T for part in result.history)
    np.testing.assert_allclose(mean, np.cumsum(players, 0) / np.arange(1, 51)[:, None], rtol=1e-12)
    np.testing.assert_array_equal(result.players, mean[-1])


@pytest.mark.parametrize("average", [rules.running_mean(), optax.ema(0.999)], ids=["mean", "ema"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_averages_in_half_precision_do_not_stand_still(average, dtype):
    """In 16 bits the mean of these players would stop far below them, as soon as its steps are below its rounding."""
    game = games.two_player(lambda p: 0 * p.generator, lambda p: 0 * p.discriminator, lambda key: start)
    start = Players(dtype(1), dtype(2))
    rule = rules.averaged(rules.simultaneous(optax.sgd(0.1)), average)
    found = jax.jit(lambda key: train(key, game, rule, 2000).players)(jax.random.key(0))
    assert found == start
    assert found.generator.dtype == dtype


@pytest.mark.parametrize("decay", [0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("debias", [False, True])
def test_exponential_averages_average_in_single_precision(decay, debias):
    rules.averaged(ALTERNATING, optax.ema(decay, debias)).init(Players(1.0, 1.0))


# Lazily

PENALIZED = games.penalized(slanted_land(), penalties.r1(0.8), penalties.wgan_gp(0.3))
ADAM = optax.adam(0.05, b1=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("period", slow_unless([1, 3, 50], 3))
def test_a_lazy_rule_plays_the_game_at_every_kth_step(x64, period):
    """Step by step. With a period beyond the run, at step 0 only. Either game has the next sample of its own."""
    key = jax.random.key(5)
    rule = rules.alternating(ADAM, order=("discriminator", "discriminator", "generator"))
    found = jax.jit(lambda key: train(key, PENALIZED, rules.lazily(rule, period, GAME), 8).players)(key)
    key_init, key_latent = jax.random.split(jax.random.clone(key))
    state = rule.init(PENALIZED.init(key_init))
    with_penalty, without = (jax.jit(partial(rule.step, game)) for game in (PENALIZED, GAME))
    streams = [key_latent] * 2 if period == 1 else [jax.random.fold_in(key_latent, own) for own in (1, 0)]
    sample, made = jax.jit(partial(rule.sample, PENALIZED)), [0, 0]
    for step in range(8):
        plain = step % period > 0
        state = (without if plain else with_penalty)(state, sample(streams[plain], made[plain]))
        made[plain] += 1
    chex.assert_trees_all_close(found, state.players, rtol=1e-12, atol=0)  # rounding of eight steps


@pytest.mark.slow
def test_a_lazy_rule_shows_no_draw_twice():
    """So that `lazily(rule, k, game)` on the game itself is `rule` in law."""
    rule = rules.lazily(ALTERNATING, 4, GAME)
    latents = [float(rule.sample(GAME, jax.random.key(0), step).latent) for step in range(20)]
    assert len({*latents}) == 20


@pytest.mark.slow
def test_a_lazy_rule_reads_of_a_sequence_what_it_needs():
    """Of 20 steps with the period 4 the game sees 5 samples and the plain game 15: 15 values are enough, 14 are not."""

    def run(values):
        latent = distributions.sequence(jnp.linspace(0, 1, values))
        plain = GAME._replace(draws=GAME.draws._replace(latent=latent))
        penalized = games.penalized(plain, penalties.r1(0.1))
        return jax.eval_shape(
            lambda key: train(key, penalized, rules.lazily(ALTERNATING, 4, plain), 20), three_keys()[0]
        )

    run(15)
    with pytest.raises(ValueError, match="needs 15 values"):
        run(14)


@pytest.mark.slow
def test_a_lazy_rule_wraps_and_is_wrapped():
    """Lookahead and averages outside or inside: the same run, for both act after all moves."""
    plain = rules.alternating(OPTIMIZERS)
    outside = rules.lookahead(rules.lazily(plain, 3, GAME), 4, 0.5)
    inside = rules.lazily(rules.lookahead(plain, 4, 0.5), 3, GAME)
    one, other = (
        jax.jit(lambda key, rule=rule: train(key, PENALIZED, rule, 12).players)(jax.random.key(1))
        for rule in (outside, inside)
    )
    chex.assert_trees_all_close(one, other, rtol=1e-6, atol=0)


@pytest.mark.slow
def test_a_lazy_rule_branches_also_when_it_is_mapped_over_seeds():
    """A select would compute the penalty at every step, and save nothing."""

    def run(key):
        return train(key, PENALIZED, rules.lazily(ALTERNATING, 4, GAME), 8).players

    mapped = str(jax.make_jaxpr(jax.vmap(run))(three_keys()))
    assert mapped.count("cond[") == 2  # one for each move


@pytest.mark.slow
def test_a_lazy_rule_refuses_a_plain_game_of_other_moves():
    paired = slanted_land()._replace(losses=Players(GAME.losses.generator, (*GAME.losses.discriminator, FAKE)))
    rule = rules.lazily(rules.tutorial(OPTIMIZERS), 2, paired)
    with pytest.raises(ValueError, match="the game has 3 moves, but one of the plain game has 4"):
        train(jax.random.key(0), PENALIZED, rule, 2)
    with pytest.raises(ValueError, match="period of lazily is 0"):
        rules.lazily(ALTERNATING, 0, GAME)


# Unrolled through the optimizer


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_unrolling_gradient_descent_is_the_field_of_unrolled_games(x64, fresh):
    """θ first sees D's move, then D after three more steps, on one sample."""
    rule, steps = rules.unrolled(OPTIMIZERS, 3, fresh=fresh), 10
    field = rules.alternating(OPTIMIZERS, fields.unrolled(3, RATES[1]), fresh=fresh)
    one, other = (
        jax.jit(lambda key, rule=rule: train(key, GAME, rule, steps).players)(jax.random.key(1))
        for rule in (rule, field)
    )
    chex.assert_trees_all_close(one, other, rtol=1e-12, atol=0)


def test_the_unrolled_generator_differentiates_through_adam(x64):
    """Central differences of L_G(θ, ψ_k(θ)), the two updates of Adam spelled out, from a state that it had before."""
    rate, b1, b2, epsilon = 0.05, 0.5, 0.999, 1e-8
    generator = optax.sgd(1.0)
    rule = rules.unrolled(Players(generator, optax.adam(rate, b1=b1, b2=b2, eps=epsilon)), 2)
    game, start = games.dirac(), Players(np.float64(0.7), np.float64(-0.4))
    state = jax.jit(lambda players: rule.step(game, rule.init(players), game.sample(jax.random.key(0), 0)))(start)

    def ahead(theta):
        """L_G after D's first update from ψ = -0.4 at 0.7, and two more at θ."""
        psi, m, v = -0.4, 0.0, 0.0
        for count, place in enumerate((0.7, theta, theta), 1):
            slope = place / (1 + np.exp(-psi * place))
            m, v = b1 * m + (1 - b1) * slope, b2 * v + (1 - b2) * slope**2
            psi -= rate * (m / (1 - b1**count)) / (np.sqrt(v / (1 - b2**count)) + epsilon)
        return np.logaddexp(0, -psi * theta)

    slope = (ahead(0.7 + 1e-5) - ahead(0.7 - 1e-5)) / 2e-5
    np.testing.assert_allclose(0.7 - state.players.generator, slope, rtol=1e-9)  # step² and 1e-16 / step
    constant = -state.players.discriminator / (1 + np.exp(state.players.discriminator * 0.7))
    assert abs(slope / constant - 1) > 0.01  # not the gradient at D's present parameters


def dead(layers, count):
    """`layers` of a perceptron with `count` hidden ReLUs more, which never are active."""
    first, last = layers
    weights = jnp.concatenate([first.weights, jnp.ones((count, first.weights.shape[1]))])
    biases = jnp.concatenate([first.biases, jnp.full(count, -100.0)])
    return networks.Layer(weights, biases), last._replace(weights=jnp.pad(last.weights, ((0, 0), (0, count))))


def test_a_parameter_without_a_gradient_leaves_the_unrolled_generator_finite(x64):
    """D's loss is s(ψ θ) + a φ θ, and the activity a is 0. At v = 0 Adam's √v has an infinite derivative, and 0 · ∞ is
    not a number."""
    activity = 0.0

    def generator_loss(players):
        psi, phi = players.discriminator
        return losses.softplus(-psi * players.generator) - activity * phi * players.generator

    def discriminator_loss(players):
        psi, phi = players.discriminator
        return losses.softplus(psi * players.generator) + activity * phi * players.generator

    rule = rules.unrolled(optax.adam(0.05, b1=0.5), 2)
    start = Players(0.7, (-0.4, -1.0))
    with_it = games.two_player(generator_loss, discriminator_loss, init=lambda key: start)
    one, other = (
        jax.jit(lambda players, game=game: train(jax.random.key(0), game, rule, 10, players=players))(players)
        for game, players in ((with_it, start), (games.dirac(), Players(0.7, -0.4)))
    )
    assert one.finite
    psi, phi = one.players.discriminator
    np.testing.assert_allclose((one.players.generator, psi), other.players, rtol=1e-13)
    assert phi == -1


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [optax.adam(0.01, b1=0.5), optax.rmsprop(0.01)], ids=["adam", "rmsprop"])
def test_units_that_are_never_active_change_nothing_when_an_optimizer_is_unrolled(x64, optimizer):
    """Their gradients are 0, where Adam's √v has an infinite derivative: it would make G NaN."""
    generator, discriminator = mlp(2, 4, 2), mlp(2, 4, 1)

    def init(key, more):
        own, others = jax.random.split(key)
        return Players(generator.init(own), dead(discriminator.init(others), more))

    def trained(more):
        game = games.gan(
            partial(init, more=more),
            generator.apply,
            lambda layers, point: discriminator.apply(layers, point)[0],
            distributions.normal((2,)),
            distributions.normal((2,)),
        )
        rule = rules.unrolled(optimizer, 3)
        return jax.jit(lambda key: train(key, games.minibatch(game, 8), rule, 10))(jax.random.key(0))

    one, other = trained(0), trained(3)
    assert other.finite
    chex.assert_trees_all_close(one.players.generator, other.players.generator, rtol=1e-10, atol=0)
    np.testing.assert_allclose(other.players.discriminator[0].weights[:4], one.players.discriminator[0].weights)


def test_small_gradients_whose_squares_vanish_leave_the_unrolled_generator_finite():
    """In float32 the square of 1e-25 is 0: again v = 0, but the gradient is not."""
    game = games.two_player(lambda p: p.generator * p.discriminator, lambda p: 1e-25 * p.generator * p.discriminator)
    rule = rules.unrolled(Players(optax.sgd(0.1), optax.adam(0.1)), 2)
    end = jax.jit(lambda players: rule.step(game, rule.init(players), ()))(Players(jnp.array(1.0), jnp.array(0.5)))
    np.testing.assert_allclose(end.players.generator, 1 - 0.1 * 0.5, rtol=1e-6)


def test_the_past_extrapolation_is_projected(x64):
    """Popov's method with |y| ≤ 0.5 ahead, on the bilinear game, by hand."""
    rate = 0.3

    def project(players):
        return players._replace(discriminator=jnp.clip(players.discriminator, -0.5, 0.5))

    rule = rules.past_extragradient(optax.sgd(rate), rate, project=project)
    state, point, past = rule.init(Players(jnp.array(2.0), jnp.array(0.4))), np.array([2.0, 0.4]), np.zeros(2)
    step = jax.jit(lambda state: rule.step(games.bilinear(), state, ()))
    beyond = 0
    for _ in range(6):
        state = step(state)
        ahead = point - rate * past
        beyond += abs(ahead[1]) > 0.5
        past = np.array([np.clip(ahead[1], -0.5, 0.5), -ahead[0]])
        point = point - rate * past
        np.testing.assert_allclose(state.players, point, rtol=1e-13)
    assert beyond > 2


def test_an_average_may_depend_on_a_traced_number():
    def run(decay):
        rule = rules.averaged(rules.alternating(optax.sgd(0.1)), optax.ema(decay))
        return train(jax.random.key(0), slanted_land(), rule, 2).finite

    assert jax.jit(run)(0.9)
