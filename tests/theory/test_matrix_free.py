"""Leading eigenvalues by products with the Jacobian, held against all eigenvalues of the Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from slantgan_jax import Players, distributions, fields, games, mlp, rules, train
from slantgan_jax.analysis import matrix_free, spectra
from tests.tables import slow_unless

SIDE = 30
"""The numbers of each player: 60 of both are more than any basis here, so that ARPACK is used."""

GENERATOR, DISCRIMINATOR = mlp(3, 6, 6, 2), mlp(2, 6, 6, 1)
TOY = games.minibatch(
    games.gan(
        lambda key: Players(*map(lambda net, own: net.init(own), (GENERATOR, DISCRIMINATOR), jax.random.split(key))),
        GENERATOR.apply,
        lambda weights, point: DISCRIMINATOR.apply(weights, point)[0],
        distributions.from_sampler(lambda key: jax.random.normal(key, (2,)) + 1),
        distributions.normal((3,)),
    ),
    32,
)
"""A game that can only be sampled."""


def quadratic(seed=0):
    """A game whose field is J ω with a J of one's own `[60, 60]`, and that J; some of its eigenvalues are complex."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(2 * SIDE, 2 * SIDE)) / np.sqrt(2 * SIDE) + np.diag(np.linspace(-1, 3, 2 * SIDE))
    for own in (slice(0, SIDE), slice(SIDE, None)):  # second derivatives of a loss are symmetric
        matrix[own, own] = (matrix[own, own] + matrix[own, own].T) / 2

    def loss(own, other, x, y):
        return x @ matrix[own, own] @ x / 2 + x @ matrix[own, other] @ y

    g, d = slice(0, SIDE), slice(SIDE, None)
    game = games.two_player(
        lambda p: loss(g, d, p.generator, p.discriminator),
        lambda p: loss(d, g, p.discriminator, p.generator),
        lambda key: Players(*jax.random.normal(key, (2, SIDE))),
    )
    return game, matrix


def leading(values, which, count):
    return values[np.lexsort((-values.imag, matrix_free.RANKS[which](values)))][:count]


def check(found, values, which, rtol=1e-9):
    """`found` are the leading `values`: an ill-conditioned one is known to `rtol` of the largest, not to rounding."""
    count, largest = len(found.eigenvalues), np.abs(values).max()
    wanted = leading(np.asarray(values), which, count)
    np.testing.assert_allclose(found.eigenvalues, wanted, rtol=0, atol=rtol * largest)
    assert np.all(found.residuals < 1e-12 * largest)


@pytest.fixture(scope="module")
def start():
    with jax.enable_x64(True):
        return quadratic()[0].init(jax.random.key(3))


@pytest.mark.slow
@pytest.mark.parametrize("which", matrix_free.RANKS)
def test_the_flows_leading_eigenvalues_are_those_of_the_matrix(x64, which, start):
    game, matrix = quadratic()
    found = matrix_free.flow_eigenvalues(spectra.expected_field(game), start, 5, which, basis=25)
    check(found, np.linalg.eigvals(-matrix), which)
    assert found.eigenvalues.shape == found.residuals.shape == (5,)


def adam(eps_root):
    return rules.simultaneous(optax.adam(0.3, b1=0.5, b2=0.9, eps_root=eps_root))


RULES = {
    "simultaneous": (rules.simultaneous(optax.sgd(0.3)), 1),
    "alternating": (rules.alternating(optax.sgd(0.3)), 1),
    "two of D": (rules.alternating(optax.sgd(0.2), order=("discriminator", "discriminator", "generator")), 1),
    "momentum": (rules.simultaneous(optax.sgd(0.3, momentum=-0.4)), 1),
    "Adam": (adam(1e-2), 2),
    "RMSProp": (rules.simultaneous(optax.rmsprop(0.1, eps_in_sqrt=True)), 1),
    "past extragradient": (rules.past_extragradient(optax.sgd(0.3), 0.2), 1),
    "lookahead": (rules.lookahead(rules.simultaneous(optax.sgd(0.3)), 3, 0.5), 3),
    "averaged": (rules.averaged(rules.alternating(optax.sgd(0.3)), optax.ema(0.9)), 1),
    "consensus": (rules.simultaneous(optax.sgd(0.3), fields.consensus(0.1)), 1),
}
"""Rules, and how many of their steps make the map."""


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_unless(RULES, "Adam"))
def test_a_steps_leading_eigenvalues_are_those_of_the_matrix(x64, name, start):
    rule, steps = RULES[name]
    game, _ = quadratic()
    found = matrix_free.update_eigenvalues(rule, game, start, steps, count=4, basis=30)
    matrix = jax.jit(lambda players: spectra.update_jacobian(rule, game, players, steps))(start)
    assert len(matrix) > 30
    check(found, np.linalg.eigvals(matrix), "LM")


@pytest.fixture(scope="module")
def toy():
    """The toy game on one sample, and players that have been trained a little; numbers are in float32."""
    fixed = games.on_sample(TOY, jax.jit(TOY.sample)(jax.random.key(1), 0))
    rule = rules.simultaneous(optax.sgd(0.1))
    return fixed, jax.jit(lambda key: train(key, fixed, rule, 200).players)(jax.random.key(2))


@pytest.mark.slow
@pytest.mark.parametrize("which", slow_unless(matrix_free.RANKS, "LR", mark=pytest.mark.long))
def test_a_toy_gans_flow_on_one_sample(x64, toy, which):
    fixed, players = toy
    field = spectra.expected_field(fixed, fields.extragradient(0.1))
    doubles = jax.tree.map(lambda x: x.astype(float), players)
    matrix = jax.jit(lambda players: fields.jacobian(field, players))(doubles)
    check(matrix_free.flow_eigenvalues(field, players, 3, which), np.linalg.eigvals(-matrix), which, rtol=1e-8)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Adam", "two of D"])
def test_a_toy_gans_step_on_one_sample(x64, toy, name):
    """D's two moves read two samples a step: both are the fixed one. Of Adam a whole state is given."""
    rule, steps = RULES[name]
    fixed, players = toy
    if name == "Adam":
        players = jax.jit(lambda key: train(key, fixed, rule, 50).state)(jax.random.key(4))
    found = matrix_free.update_eigenvalues(rule, fixed, players, steps, count=3)
    matrix = jax.jit(lambda players: spectra.update_jacobian(rule, fixed, players, steps))(players)
    check(found, np.linalg.eigvals(matrix), "LM", rtol=1e-8)


@pytest.mark.slow
def test_small_players_have_all_of_their_eigenvalues(x64):
    """Two numbers are too few for ARPACK, which wants two more than it gives back."""
    origin = Players(jnp.asarray(0.0), jnp.asarray(0.0))
    field = spectra.expected_field(games.quadratic(0.4))
    found = matrix_free.flow_eigenvalues(field, origin, 2)
    np.testing.assert_allclose(found.eigenvalues, -np.exp([-0.4j, 0.4j]), rtol=1e-15)  # first the one above
    np.testing.assert_allclose(found.residuals, 0, atol=1e-15)
    one = matrix_free.update_eigenvalues(rules.alternating(optax.sgd(1.0)), games.bilinear(), origin, count=1)
    np.testing.assert_allclose(one.eigenvalues, np.exp(1j * np.pi / 3), rtol=1e-15)  # μ² - μ + 1 = 0


@pytest.mark.slow
def test_the_same_call_gives_the_same_bits_and_traces_the_field_once(x64, start):
    """Once for each call, so that what the field reads is what it is then, and not once for each product."""
    game, _ = quadratic()
    traces = []

    def field(players):
        traces.append(players)
        return spectra.expected_field(game)(players)

    first, again = (matrix_free.flow_eigenvalues(field, start, 3, basis=20) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert len(traces) == 2


@pytest.mark.slow
def test_a_step_is_traced_once_for_all_products(x64, start):
    game, _ = quadratic()
    counted = []

    def transform(given):
        def field(players):
            counted.append(players)
            return fields.gradients(given)(players)

        return field

    rule = rules.simultaneous(optax.sgd(0.1), transform)
    matrix_free.update_eigenvalues(rule, game, start, count=2, basis=20)
    assert len(counted) <= 3  # the state of standing there, the size of what a step returns, and the product


@pytest.mark.slow
def test_what_a_field_reads_is_read_at_each_call(x64):
    factor = 1.0

    def field(players):
        return Players(factor * players.generator, players.discriminator)

    place = Players(jnp.ones(3), jnp.ones(3))
    assert matrix_free.flow_eigenvalues(field, place, 2, "SR").eigenvalues[0] == -1
    factor = 5.0
    assert matrix_free.flow_eigenvalues(field, place, 2, "SR").eigenvalues[0] == -5


def test_what_does_not_converge_is_nan(x64, start):
    game, matrix = quadratic()
    found = matrix_free.flow_eigenvalues(spectra.expected_field(game), start, 6, "LM", basis=16, restarts=8)
    reached = ~np.isnan(found.eigenvalues)
    assert 0 < reached.sum() < 6
    assert np.all(np.diff(reached.astype(int)) <= 0)  # those that converged come first
    np.testing.assert_array_equal(np.isnan(found.residuals), ~reached)
    values = np.linalg.eigvals(-matrix)
    for value in found.eigenvalues[reached]:
        assert np.abs(values - value).min() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("basis", [20, 60])
def test_where_a_step_has_no_derivative_all_is_nan(x64, basis):
    """Adam at rest divides by the root of 0; with ARPACK and with the whole matrix."""
    game, _ = quadratic()
    rest = Players(jnp.zeros(SIDE), jnp.zeros(SIDE))
    found = matrix_free.update_eigenvalues(adam(0.0), game, rest, count=2, basis=200 if basis > 50 else basis)
    assert np.isnan(found.eigenvalues).all()
    assert np.isnan(found.residuals).all()
    assert np.isfinite(matrix_free.update_eigenvalues(adam(1e-8), game, rest, count=1, basis=20).residuals).all()


def test_wrong_calls_name_the_value_and_the_fix(start):
    field = spectra.expected_field(quadratic()[0])
    with pytest.raises(ValueError, match="float64"):
        matrix_free.flow_eigenvalues(field, start)
    with pytest.raises(ValueError, match="float64"):
        matrix_free.update_eigenvalues(RULES["simultaneous"][0], quadratic()[0], start)
    wrong = {
        "which is 'SM': give one of LM, LR, SR, LI": {"which": "SM"},
        "count is 0": {"count": 0},
        "count is 61: there are 60": {"count": 61},
        "basis is 4: give a whole number of at least 6": {"count": 3, "basis": 4},
        "restarts is 0": {"restarts": 0},
    }
    with jax.enable_x64(True):
        for message, options in wrong.items():
            with pytest.raises(ValueError, match=message):
                matrix_free.flow_eigenvalues(field, start, **options)


@pytest.mark.slow
def test_a_matrix_of_zeros_has_zeros(x64):
    players = Players(jnp.ones(SIDE), jnp.ones(SIDE))
    found = matrix_free.flow_eigenvalues(lambda p: jax.tree.map(jnp.zeros_like, p), players, 3)
    np.testing.assert_array_equal(found.eigenvalues, 0)
    np.testing.assert_array_equal(found.residuals, 0)


@pytest.mark.slow
def test_whole_numbers_are_a_place_as_others_are(x64):
    field, place = spectra.expected_field(games.quadratic(1.0)), Players(0, 0)
    found = matrix_free.flow_eigenvalues(field, place, 2).eigenvalues
    np.testing.assert_allclose(found, -np.exp([-1j, 1j]), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvals(fields.jacobian(field, place)).real, np.cos(1), rtol=1e-12)


def test_players_of_float32_are_taken_in_float64(x64, start):
    game, matrix = quadratic()
    with jax.enable_x64(False):
        short = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), start)
    assert ravel_pytree(short)[0].dtype == jnp.float32
    found = matrix_free.flow_eigenvalues(spectra.expected_field(game), short, 3, "SR", basis=20)
    check(found, np.linalg.eigvals(-matrix), "SR")


def test_there_is_no_spectrum_where_the_field_jumps(x64):
    """Of a sign at 0."""

    def losses(p):
        return Players(jnp.abs(p.generator).sum() + p.generator @ p.discriminator, -p.generator @ p.discriminator)

    for place, known in ((0.0, False), (0.1, True)):
        players = Players(jnp.full(SIDE, place), jnp.zeros(SIDE))
        assert (
            np.isfinite(matrix_free.flow_eigenvalues(fields.gradients(losses), players, 2, "LM").eigenvalues).any()
            == known
        )


@pytest.mark.slow
def test_there_is_no_spectrum_where_a_step_jumps_however_short_it_is(x64):
    game, players = quadratic()[0], Players(jnp.zeros(SIDE), jnp.zeros(SIDE))
    for rate in (1e-3, 1e-7):
        found = matrix_free.update_eigenvalues(rules.simultaneous(optax.sign_sgd(rate)), game, players, count=2)
        assert np.isnan(found.eigenvalues).all()
        assert np.isfinite(
            matrix_free.update_eigenvalues(rules.simultaneous(optax.sgd(rate)), game, players, count=2)[0]
        ).all()
