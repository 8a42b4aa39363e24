import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from article_stream import article_players, article_stream, replayed

from slantgan_jax import distributions, faces, fields, games, networks, rules, slanted_land, train

STEPS = 200
GAME = slanted_land()


def run(key, learning_rate):
    rule = rules.tutorial(optax.sgd(learning_rate))
    return train(key, GAME, rule, STEPS)


def leaves(tree):
    return np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(tree)])


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


def test_vmap_over_keys_and_rates_equals_the_runs_one_by_one():
    keys = jax.vmap(jax.random.key)(jnp.arange(5))
    rates = jnp.array([0.001, 0.01, 0.1])
    grid = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(keys, rates)
    chex.assert_shape(grid.finite, (5, 3))
    single = jax.jit(run)
    for i in range(5):
        for j in range(3):
            alone = single(jax.random.key(i), rates[j])
            cell = jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], grid.players)
            # Vectorized and scalar code may round differently, by an ulp (1.2e-7 relative) a step, damped or
            # carried along over 200 steps: far below 1e-5.
            np.testing.assert_allclose(leaves(alone.players), leaves(cell), atol=1e-5)


def test_seeds_and_rates_do_not_retrace():
    traced = jax.jit(chex.assert_max_traces(run, n=1))
    for seed, rate in ((0, 0.01), (1, 0.02), (2, 0.5)):
        chex.assert_tree_all_finite(traced(jax.random.key(seed), rate).players)
    batched = jax.jit(jax.vmap(chex.assert_max_traces(lambda key, rate: run(key, rate), n=1), (0, None)))
    for seed in range(3):
        batched(jax.random.split(jax.random.key(seed), 8), 0.01 * seed)


def test_history_records_the_players_after_every_so_many_steps():
    rule = rules.tutorial(optax.sgd(0.1))
    run = jax.jit(
        lambda key, every: train(
            key, GAME, rule, 60, record=lambda info: info.players.discriminator.bias, record_every=every
        ),
        static_argnums=1,
    )
    each, sparse = (run(jax.random.key(0), every) for every in (1, 20))
    chex.assert_shape(each.history, (60,))
    chex.assert_shape(sparse.history, (3,))
    np.testing.assert_allclose(each.history[19::20], sparse.history, atol=1e-6)  # another program: rounding
    assert sparse.history[-1] == sparse.players.discriminator.bias


@pytest.mark.parametrize("rate", [np.inf, np.nan, 3e38])
def test_a_diverging_run_says_so_and_harms_nobody(rate):
    batch = jax.jit(jax.vmap(lambda seed, rate: run(jax.random.key(seed), rate)))
    calm = batch(jnp.arange(4), jnp.full(4, 0.01))
    mixed = batch(jnp.arange(4), jnp.array([0.01, rate, 0.01, 0.01]))
    assert mixed.finite.tolist() == [True, False, True, True]
    others = jnp.array([0, 2, 3])
    np.testing.assert_array_equal(leaves(calm.players)[:, others], leaves(mixed.players)[:, others])


@pytest.mark.slow
@pytest.mark.parametrize("scalar_leaves", [True, False])
@pytest.mark.parametrize("side", [2, 3, 5])
def test_any_side_learns_slanted_faces(side, scalar_leaves):
    images = faces.slanted(jax.random.key(0), 16, side)
    game = slanted_land(faces.unstack(images) if scalar_leaves else images)
    rule = rules.tutorial(optax.sgd(0.05))
    players = jax.jit(lambda key: train(key, game, rule, 6000))(jax.random.key(1)).players
    drawn = np.asarray(
        faces.stack(jax.jit(jax.vmap(lambda z: networks.generate(players.generator, z)))(jnp.linspace(0, 1, 11)))
    )
    drawn = drawn.reshape(11, side, side)
    bright = np.eye(side, dtype=bool)
    assert drawn[:, bright].min() > 0.5 > drawn[:, ~bright].max()


@pytest.mark.slow
def test_a_batch_of_larger_images_is_the_same_with_either_kind_of_leaf():
    images = faces.slanted(jax.random.key(0), 8, 3)
    rule = rules.tutorial(optax.sgd(0.05))
    by_array, by_pixel = (
        jax.jit(lambda key, game=game: train(key, game, rule, STEPS))(jax.random.key(1)).players
        for game in (slanted_land(images), slanted_land(faces.unstack(images)))
    )
    np.testing.assert_allclose(
        by_array.generator.weights, faces.stack(by_pixel.generator.weights), atol=1e-5
    )  # order of sums


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: train(jax.random.key(0), GAME, rules.tutorial(optax.sgd(0.1)), 0),
            "steps is 0",
        ),
        (
            lambda: train(jax.random.key(0), GAME, rules.tutorial(optax.sgd(0.1)), 10, record_every=3),
            "every is 3",
        ),
        (lambda: slanted_land(()), "leading axis"),
        (lambda: slanted_land(np.zeros((0, 4))), "leading axis"),
        (lambda: slanted_land((np.zeros(3), np.zeros(4), np.zeros(3), np.zeros(3))), "leading axis"),
        (lambda: slanted_land(np.zeros((3, 5))), "5 pixels"),
        (lambda: slanted_land(np.zeros((3, 1))), "1 pixels"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_float32_and_float64_can_follow_each_other():
    """The same game object traced in both precisions: no constant of one may leak into the other."""
    stream = article_stream(0, STEPS)
    game, start = replayed(stream.latents), article_players(stream)
    rule = rules.tutorial(optax.sgd(0.01))
    for x64 in (False, True, False):
        with jax.enable_x64(x64):
            players = jax.jit(lambda: train(jax.random.key(0), game, rule, STEPS, players=start))().players
            assert {leaf.dtype for leaf in jax.tree.leaves(players)} == {np.dtype(np.float64 if x64 else np.float32)}


SGD = optax.sgd(0.05)
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
}


QUICK = "tutorial", "tutorial, Adam", "lookahead", "averaged lookahead"


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in RULES])
def test_a_run_can_be_continued_bit_for_bit(name):
    rule = RULES[name]
    run = jax.jit(lambda state, steps: train(jax.random.key(5), GAME, rule, steps, state=state), static_argnums=1)
    whole = jax.jit(lambda: train(jax.random.key(5), GAME, rule, 60))()
    first = jax.jit(lambda: train(jax.random.key(5), GAME, rule, 25))()
    assert first.state.step == 25
    second = run(first.state, 35)
    assert whole.state.step == second.state.step == 60
    jax.tree.map(np.testing.assert_array_equal, second.state, whole.state)
    jax.tree.map(np.testing.assert_array_equal, second.players, whole.players)


@pytest.mark.slow
def test_a_minibatch_run_can_be_continued_and_recorded():
    game, rule = games.minibatch(GAME, 8), rules.alternating(optax.adam(0.01))
    record = lambda info: (info.step, info.sample.latent, info.state.step, info.before.players, info.players)  # noqa: E731
    whole = jax.jit(lambda: train(jax.random.key(5), game, rule, 12, record=record, record_every=3))()
    first = jax.jit(lambda: train(jax.random.key(5), game, rule, 6, record=record, record_every=3))()
    second = jax.jit(lambda state: train(jax.random.key(5), game, rule, 6, state=state, record=record, record_every=3))(
        first.state
    )
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


def test_a_run_starts_at_given_players():
    players = GAME.init(jax.random.key(77))
    rule = rules.tutorial(SGD)
    found = train(jax.random.key(1), GAME, rule, 5, players=players).players
    expected = train(jax.random.key(1), GAME._replace(init=lambda key: players), rule, 5).players
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_state_of_another_rule_or_game_is_refused():
    rule = rules.tutorial(SGD)
    state = train(jax.random.key(0), GAME, rule, 3).state
    for game, other in (
        (GAME, rules.tutorial(optax.adam(0.1))),
        (GAME, rules.lookahead(rule, 5, 0.5)),
        (slanted_land(faces.FACES), rule),
    ):
        with pytest.raises(ValueError, match="continue with the game and rule that made it"):
            train(jax.random.key(0), game, other, 3, state=state)
    with pytest.raises(ValueError, match="both players and state"):
        train(jax.random.key(0), GAME, rule, 3, state=state, players=state.players)
