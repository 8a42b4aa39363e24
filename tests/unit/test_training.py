import itertools
import math
import subprocess
import sys
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from article_stream import article_players, article_stream, replayed

from slantgan_jax import (
    Players,
    distributions,
    faces,
    fields,
    games,
    networks,
    penalties,
    rules,
    slanted_land,
    train,
    training,
)
from tests.tables import slow_unless

STEPS, SGD = 200, optax.sgd(0.05)
GAME = slanted_land()


def run(key, learning_rate):
    rule = rules.tutorial(optax.sgd(learning_rate))
    return train(key, GAME, rule, STEPS)


def leaves(tree):
    return np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
def test_the_same_key_gives_the_same_run_in_a_new_process_bit_for_bit():
    program = (
        "import sys; sys.path.append('experiments');"
        "import jax, tests.unit.test_training as t; from slantgan_jax.cpu import use_every_core; use_every_core(4);"
        "print(t.leaves(jax.jit(t.run)(jax.random.key(7), 0.01).players).tobytes().hex())"
    )
    outside = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    here = leaves(jax.jit(run)(jax.random.key(7), 0.01).players)
    assert outside.stdout.strip() == here.tobytes().hex()
    assert np.any(here != leaves(jax.jit(run)(jax.random.key(8), 0.01).players))


def test_the_latents_of_a_run_are_the_contracts():
    """The run of the stream contract equals a run that replays `jax.random.uniform(key_latent, (steps,))`."""
    key_init, key_latent = jax.random.split(jax.random.key(3))
    latents = jax.random.uniform(key_latent, (STEPS,))
    game, players = slanted_land(latent=distributions.sequence(latents)), GAME.init(key_init)
    rule = rules.tutorial(optax.sgd(0.05))
    expected = jax.jit(lambda: train(jax.random.key(99), game, rule, STEPS, players=players))()
    found = jax.jit(lambda key: train(key, GAME, rule, STEPS))(jax.random.key(3))
    # Not the same program, so rounding may differ (fused multiply-adds); it grows little in 200 steps.
    np.testing.assert_allclose(leaves(found.players), leaves(expected.players), atol=1e-6)


def test_vmap_over_keys_and_rates_equals_the_runs_one_by_one_and_nothing_retraces():
    batch = jax.jit(jax.vmap(jax.vmap(chex.assert_max_traces(run, n=1), (None, 0)), (0, None)))
    single = jax.jit(chex.assert_max_traces(lambda key, rate: run(key, rate), n=1))
    rates = jnp.array([0.001, 0.01, 0.5])
    for seeds in (range(5), range(5, 10)):
        grid = batch(jax.vmap(jax.random.key)(jnp.array(seeds)), rates)
        chex.assert_shape(grid.finite, (5, 3))
        for (i, seed), (j, rate) in itertools.product(enumerate(seeds), enumerate(rates)):
            alone = single(jax.random.key(seed), rate)
            chex.assert_tree_all_finite(alone.players)
            # Vectorized and scalar code may round differently, by an ulp (1.2e-7 relative) a step, damped or
            # carried along over 200 steps: far below 1e-5.
            np.testing.assert_allclose(leaves(alone.players), leaves(grid.players)[:, i, j], atol=1e-5)


@pytest.mark.slow
def test_history_records_the_players_after_every_so_many_steps():
    @partial(jax.jit, static_argnums=1)
    def run(key, every):
        rule, bias = rules.tutorial(optax.sgd(0.1)), lambda info: info.players.discriminator.bias
        return train(key, GAME, rule, 60, record=bias, record_every=every)

    each, sparse = (run(jax.random.key(0), every) for every in (1, 20))
    chex.assert_shape(each.history, (60,))
    chex.assert_shape(sparse.history, (3,))
    np.testing.assert_allclose(each.history[19::20], sparse.history, atol=1e-6)  # another program: rounding
    assert sparse.history[-1] == sparse.players.discriminator.bias


def test_an_optimizer_that_has_overflowed_is_not_finite():
    """Adam's second moment is infinite then, and the player stands still for ever."""
    game = games.two_player(lambda p: 1e25 * p.generator, lambda p: p.discriminator)
    result = train(
        jax.random.key(0), game, rules.simultaneous(optax.adam(0.1)), 3, players=Players(jnp.asarray(0.0), 0.0)
    )
    assert any(np.isinf(leaf).any() for leaf in jax.tree.leaves(result.state.optimizer_states.generator))
    assert not result.finite


@pytest.mark.slow
def test_a_diverging_run_says_so_and_harms_nobody():
    batch = jax.jit(jax.vmap(lambda seed, rate: run(jax.random.key(seed), rate)))
    calm = batch(jnp.arange(6), jnp.full(6, 0.01))
    mixed = batch(jnp.arange(6), jnp.array([0.01, np.inf, 0.01, np.nan, 3e38, 0.01]))
    assert mixed.finite.tolist() == [True, False, True, False, False, True]
    others = jnp.array([0, 2, 5])
    np.testing.assert_array_equal(leaves(calm.players)[:, others], leaves(mixed.players)[:, others])


@pytest.mark.slow
@pytest.mark.parametrize("side", [2, 3, 5])
def test_any_side_learns_slanted_faces_with_either_kind_of_leaf(side):
    images, rule, bright = faces.slanted(jax.random.key(0), 16, side), rules.tutorial(SGD), np.eye(side, dtype=bool)
    early = []
    for game in (slanted_land(images), slanted_land(faces.unstack(images))):

        @jax.jit
        def weights_and_images(game=game):
            first, last = (train(jax.random.key(1), game, rule, steps).players for steps in (STEPS, 6000))
            drawn = jax.vmap(lambda z: networks.generate(last.generator, z))(jnp.linspace(0, 1, 11))
            return faces.stack(first.generator.weights), faces.stack(drawn)

        weights, drawn = map(np.asarray, weights_and_images())
        early.append(weights)
        drawn = drawn.reshape(11, side, side)
        assert drawn[:, bright].min() > 0.5 > drawn[:, ~bright].max()
    np.testing.assert_allclose(*early, atol=1e-5)  # order of sums


def test_float32_and_float64_can_follow_each_other():
    """The same game object traced in both precisions: no constant of one may leak into the other."""
    stream = article_stream(0, STEPS)
    game, start = replayed(stream.latents), article_players(stream)
    rule = rules.tutorial(optax.sgd(0.01))
    for x64 in (False, True, False):
        with jax.enable_x64(x64):
            players = jax.jit(lambda: train(jax.random.key(0), game, rule, STEPS, players=start))().players
            assert {leaf.dtype for leaf in jax.tree.leaves(players)} == {np.dtype(np.float64 if x64 else np.float32)}


RULES = {
    "tutorial": rules.tutorial(SGD),
    "tutorial, Adam": rules.tutorial(optax.adam(0.01, b1=0.5)),
    "simultaneous": rules.simultaneous(SGD),
    "simultaneous, schedule": rules.simultaneous(optax.adam(optax.exponential_decay(0.1, 7, 0.5))),
    "alternating, momentum": rules.alternating(optax.sgd(0.05, momentum=-0.5)),
    "alternating, D three times": rules.alternating(
        optax.optimistic_gradient_descent(0.05), order=("discriminator",) * 3 + ("generator",)
    ),
    "past extragradient": rules.past_extragradient(SGD, 0.05),
    "lookahead": rules.lookahead(rules.alternating(optax.rmsprop(0.01)), 7, 0.5),
    "averaged lookahead": rules.averaged(rules.lookahead(rules.simultaneous(SGD), 3, 0.5), optax.ema(0.9)),
    "consensus": rules.simultaneous(SGD, fields.consensus(1.0)),
    "cgd": rules.simultaneous(SGD, fields.cgd(0.1)),
    "numbers that the state holds": rules.tutorial(optax.inject_hyperparams(optax.adam)(learning_rate=0.01)),
}
OPTIMIZERS = {
    "momentum": optax.sgd(0.02, momentum=0.9),
    "negative momentum": optax.sgd(0.02, momentum=-0.5),
    "nesterov": optax.sgd(0.02, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.02, b1=0.5),
    "adamw": optax.adamw(0.02),
    "rmsprop": optax.rmsprop(0.02),
    "optimistic": optax.optimistic_gradient_descent(0.02),
    "optimistic adam": optax.optimistic_adam_v2(0.02),
    "schedule": optax.sgd(optax.cosine_decay_schedule(0.1, 100)),
    "clipping": optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.02)),
    "weight clipping": penalties.clipped(optax.rmsprop(0.02), 0.1),
}
RULES |= {
    f"consensus, {name}": rules.alternating(Players(optimizer, optax.sgd(0.02)), fields.consensus(0.1))
    for name, optimizer in OPTIMIZERS.items()
}
QUICK = "tutorial", "averaged lookahead"


@pytest.mark.parametrize("name", slow_unless(RULES, *QUICK))
def test_a_run_can_be_continued_bit_for_bit(name):
    rule = RULES[name]
    run = jax.jit(lambda state, steps: train(jax.random.key(5), GAME, rule, steps, state=state), static_argnums=1)
    whole = jax.jit(lambda: train(jax.random.key(5), GAME, rule, 60))()
    first = jax.jit(lambda: train(jax.random.key(5), GAME, rule, 25))()
    assert first.state.step == 25
    second = run(first.state, 35)
    assert whole.state.step == second.state.step == 60
    chex.assert_trees_all_equal((second.state, second.players), (whole.state, whole.players))
    assert whole.finite
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(whole.players))


@pytest.mark.slow
def test_a_minibatch_run_can_be_continued_and_recorded():
    game, rule = games.minibatch(GAME, 8), rules.alternating(optax.adam(0.01))
    record = lambda info: (info.step, info.sample.latent, info.state.step, info.before.players, info.players)  # noqa: E731

    @partial(jax.jit, static_argnums=0)
    def run(steps, state=None):
        return train(jax.random.key(5), game, rule, steps, state=state, record=record, record_every=3)

    whole, first = run(12), run(6)
    second = run(6, first.state)
    parts = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first.history, second.history)
    jax.tree.map(np.testing.assert_array_equal, parts, whole.history)
    steps, latents, counts, before, players = whole.history
    np.testing.assert_array_equal(steps, [2, 5, 8, 11])
    np.testing.assert_array_equal(counts, steps + 1)
    expected = jax.random.uniform(jax.random.split(jax.random.key(5))[1], (12 * 8,)).reshape(12, 8)
    np.testing.assert_array_equal(latents, expected[steps])
    each = jax.jit(lambda: train(jax.random.key(5), game, rule, 12, record=lambda info: info.players))().history
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[np.array([1, 4, 7, 10])], rtol=1e-6), before, each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[steps], rtol=1e-6), players, each)


def test_steps_are_counted_once_whatever_a_move_does():
    counting = rules.tutorial(SGD)
    moves = lambda game: (*counting.moves(game), lambda state, sample: state._replace(step=state.step + 1))  # noqa: E731
    record = lambda info: (info.step, info.players)  # noqa: E731
    rules_of = (counting, counting._replace(moves=moves))
    runs = [train(jax.random.key(0), GAME, rule, 4, record=record) for rule in rules_of]
    jax.tree.map(np.testing.assert_array_equal, *(run.history for run in runs))
    assert runs[1].state.step == 4


def test_a_state_of_another_rule_or_game_is_refused():
    rule = rules.tutorial(SGD)
    state = jax.jit(lambda: train(jax.random.key(0), GAME, rule, 3).state)()
    strangers = ((GAME, rules.tutorial(optax.adam(0.1))), (GAME, rules.lookahead(rule, 5, 0.5)))
    for game, other in (*strangers, (slanted_land(faces.FACES), rule)):
        with pytest.raises(ValueError, match="continue with the game and rule that made it"):
            train(jax.random.key(0), game, other, 3, state=state)
    with pytest.raises(ValueError, match="both players and state"):
        train(jax.random.key(0), GAME, rule, 3, state=state, players=state.players)


def test_a_sequence_that_was_continued_too_far_is_refused():
    game = slanted_land(latent=distributions.sequence(np.linspace(0, 1, 5)))
    rule = rules.alternating(optax.sgd(0.1))
    first = train(jax.random.key(0), game, rule, 3)
    train(jax.random.key(0), game, rule, 2, state=first.state)
    with pytest.raises(ValueError, match="needs 6 values"):
        train(jax.random.key(0), game, rule, 3, state=first.state)


PLAYED = {
    "R1": (games.penalized(slanted_land(), penalties.r1(0.1)), rules.simultaneous(optax.sgd(0.1))),
    "consensus": (games.quadratic(1.2), rules.simultaneous(optax.sgd(0.03), fields.consensus(0.3))),
    "Adam in turn": (slanted_land(), rules.tutorial(optax.adam(0.1))),
}


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [(1, 6, 1), (1,) * 8])
@pytest.mark.parametrize("record", [None, lambda info: info.players])
@pytest.mark.parametrize("played", PLAYED)
def test_a_piece_may_be_a_single_step(pieces, record, played):
    """XLA joins a loop of one trip with what stands before it, and rounds differently."""
    game, rule = PLAYED[played]
    run = jax.jit(lambda key, state, steps: train(key, game, rule, steps, state=state, record=record), static_argnums=2)
    for seed in range(20 if played == "consensus" else 6):
        whole, state, parts = run(jax.random.key(seed), None, sum(pieces)), None, []
        for steps in pieces:
            result = run(jax.random.key(seed), state, steps)
            state = result.state
            parts.append(result.history)
        jax.tree.map(np.testing.assert_array_equal, result.players, whole.players)
        if record:
            jax.tree.map(
                lambda one, *rest: np.testing.assert_array_equal(one, np.concatenate(rest)), whole.history, *parts
            )


@pytest.mark.parametrize(
    ("loss", "start", "rate", "slopes"),
    [
        (lambda x, a: jnp.abs(x - a) ** 1.5 / 1.5, 2.0, 1.0, (-1.0, 0.5)),
        (lambda x, a: jnp.exp(a * x), 1.0, -1000.0, (-math.e, 2000 * math.e)),
    ],
    ids=["no second derivative", "overflow"],
)
def test_a_single_step_has_the_derivatives_of_one(loss, start, rate, slopes):
    """By the rate and by a number in the loss; a second step would have none."""

    def end(rate, a):
        game = games.two_player(lambda p: loss(p.generator, a), lambda p: p.discriminator**2)
        rule = rules.simultaneous(optax.sgd(rate))
        return train(jax.random.key(0), game, rule, 1, players=Players(start, 1.0)).players.generator

    np.testing.assert_allclose(jax.jit(jax.grad(end, (0, 1)))(rate, 1.0), slopes, rtol=1e-6)
    forward = [jax.jvp(end, (rate, 1.0), tangents)[1] for tangents in ((1.0, 0.0), (0.0, 1.0))]
    np.testing.assert_allclose(forward, slopes, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("around", ["jit", "checkpoint", "scan"])
def test_a_single_step_that_draws_has_the_same_derivative_around_any_transformation(around):
    """Within it, the key of the run is a number that is not known."""

    def end(key, rate):
        return train(key, slanted_land(), rules.alternating(optax.sgd(rate)), 1).players.discriminator.bias

    def transformed(rate):
        if around == "scan":
            return jax.lax.scan(lambda sum, key: (sum + end(key, rate), None), 0.0, jax.random.key(0)[None])[0]
        return {"jit": jax.jit, "checkpoint": jax.checkpoint}[around](end)(jax.random.key(0), rate)

    plain = jax.jit(jax.grad(lambda rate: end(jax.random.key(0), rate)))(0.1)
    with jax.debug_key_reuse(False):  # which takes a checkpoint, computed twice, for two draws
        np.testing.assert_allclose(jax.grad(transformed)(0.1), plain, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(transformed, (0.1,), (1.0,))[1], plain, rtol=1e-6)


def test_bytes_in_another_order_are_finite():
    assert training.is_finite({"a": np.array([1.0], ">f4")})


def test_given_players_keep_the_precision_of_the_game():
    losses = (lambda p: p.generator * p.discriminator), (lambda p: -p.generator * p.discriminator)
    game = games.two_player(*losses, lambda key: Players(*jnp.ones(2, jnp.bfloat16)))
    rule = rules.simultaneous(optax.sgd(0.01))
    first = train(jax.random.key(0), game, rule, 3, players=game.init(jax.random.key(1)))
    assert first.players.generator.dtype == jnp.bfloat16
    assert train(jax.random.key(0), game, rule, 3, state=first.state).state.step == 6


@pytest.mark.slow
def test_states_of_many_runs_and_too_many_steps_are_refused():
    game, rule = games.bilinear(), rules.simultaneous(optax.sgd(0.1))
    many = jax.vmap(lambda key: train(key, game, rule, 3))(jax.random.split(jax.random.key(0), 4))
    with pytest.raises(ValueError, match=r"map train over many states with jax\.vmap"):
        train(jax.random.key(0), game, rule, 3, state=many.state)
    with pytest.raises(ValueError, match="from 1 to 2147483647"):
        train(jax.random.key(0), game, rule, 2**31)


@pytest.mark.slow
def test_an_average_whose_first_weights_are_zero_begins_with_the_first_that_counts():
    rule = rules.averaged(
        rules.simultaneous(optax.sgd(0.1)), rules.running_mean(lambda count: jnp.maximum(count - 3.0, 0.0))
    )
    result = train(jax.random.key(0), games.bilinear(), rule, 6, record=lambda i: (i.state.players, i.players))
    (w, _), (mean, _) = result.history
    np.testing.assert_allclose(mean[:4], w[:4])
    np.testing.assert_allclose(mean[5], (w[4] + 2 * w[5]) / 3, rtol=1e-6)


def test_draws_without_names_and_losses_of_whole_numbers_are_refused():
    game = games.bilinear()
    with pytest.raises(ValueError, match="give a NamedTuple of Distributions"):
        games.check_game(game._replace(draws=(distributions.uniform(),)))
    whole = game._replace(losses=Players(game.losses.generator, (lambda players, sample: 0,)))
    with pytest.raises(ValueError, match="give a loss that returns a float"):
        games.total_losses(whole, Players(1.0, 2.0), ())


@pytest.mark.parametrize("steps", [1, 2])
def test_a_record_may_have_the_bytes_of_another_machine(steps):
    game, rule = games.bilinear(), rules.simultaneous(optax.sgd(0.1))
    record = lambda info: np.arange(3, dtype=">i4")  # noqa: E731
    history = train(jax.random.key(0), game, rule, steps, record=record).history
    np.testing.assert_array_equal(history, steps * [[0, 1, 2]])
