"""Every adjustment against dense linear algebra on random slanted-land players, 13 parameters, in float64."""

import functools
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from slantgan_jax import Players, faces, fields, games, losses, slanted_land
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

GAME = slanted_land(faces.FACES)  # one leaf instead of four: fewer operations to compile
G, D = slice(0, 8), slice(8, 13)
STRENGTH = 0.7
ROUNDING = 1e-10  # some hundred operations on numbers of order 1, float64


@functools.cache
def start(seed):
    """Random players, the losses on one sample, and all of it as functions of flat arrays."""
    with jax.enable_x64(True):
        players = GAME.init(jax.random.key(seed))
        sample = GAME.sample(jax.random.key(seed + 100), 7)
        own = partial(games.total_losses, GAME, sample=sample)
        flat, unravel = ravel_pytree(players)
        gradients = jax.jit(jax.jacrev(lambda x: jnp.stack(own(unravel(x)))))  # [2, 13], loss by parameter
        return players, own, np.array(flat), lambda x: np.array(gradients(x))


def own_gradient(gradients):
    return np.concatenate([gradients[0, G], gradients[1, D]])


def dense_jacobian(gradient, x):
    """Central differences with two step sizes, extrapolated: an error of 1e-11; no automatic second derivative."""

    def differences(step):
        moved = [own_gradient(gradient(x + s)) - own_gradient(gradient(x - s)) for s in step * np.eye(13)]
        return np.array(moved).T / (2 * step)

    return (4 * differences(1e-3) - differences(2e-3)) / 3


def blocks(matrix):
    """The interaction J_o: what couples the players."""
    other = matrix.copy()
    other[G, G], other[D, D] = 0, 0
    return other


def shaping(gradients, jacobian):
    """χ = diag(J_oᵀ ∇L): the other's interaction block, transposed, on the slope of one's own loss by the other."""
    return np.concatenate([jacobian[D, G].T @ gradients[0, D], jacobian[G, D].T @ gradients[1, G]])


MAKERS = {
    "extragradient": fields.extragradient,
    "consensus": fields.consensus,
    "sga": fields.sga,
    "sga aligned": partial(fields.sga, align=True),
    "cgd": fields.cgd,
    "lola": fields.lola,
    "sos": fields.sos,
    "heun": fields.heun,
    "rk4": fields.rk4,
    "heun frozen": partial(fields.heun, frozen=True),
    "rk4 frozen": partial(fields.rk4, frozen=True),
    "opponent penalty": fields.opponent_penalty,
}
BOTH = Players(0.2, 0.5)
OF_EACH = "extragradient", "consensus", "cgd", "lola", "rk4 frozen", "opponent penalty"
ADJUSTMENTS = {
    "gradients": fields.gradients,
    **{name: make(STRENGTH) for name, make in MAKERS.items()},
    "nested": fields.extragradient(0.2, inner=fields.consensus(0.3)),
    **{f"{name}, a strength for each": MAKERS[name](BOTH) for name in OF_EACH},
    "opponent penalty of one": fields.opponent_penalty(Players(0, STRENGTH)),
    "opponent penalty in rk4": fields.rk4(0.2, inner=fields.opponent_penalty(0.3)),
}


@functools.cache
def by_hand(seed):
    """The direction of each of them."""
    *_, x, gradient = start(seed)
    h, each, other = STRENGTH, np.repeat(BOTH, [8, 5]), np.repeat(BOTH[::-1], [8, 5])

    def slope(y):
        return own_gradient(gradient(y))

    def consensus(y, strength):
        return slope(y) + strength * dense_jacobian(gradient, y).T @ slope(y)

    def of_opponent(y):
        """∇_G ‖∇_D L_D‖² and ∇_D ‖∇_G L_G‖²."""
        return 2 * blocks(dense_jacobian(gradient, y)).T @ slope(y)

    def runge_kutta(field, y, h):
        k1 = field(y)
        k2 = field(y - h / 2 * k1)
        k3 = field(y - h / 2 * k2)
        return (k1 + 2 * k2 + 2 * k3 + field(y - h * k3)) / 6

    def frozen(method, rates):
        """The `method` for each player, against the other one where it is at the start."""
        masks = np.repeat(np.eye(2), [8, 5], axis=1)
        return sum(mask * method(partial(masked, mask), x, rate) for mask, rate in zip(masks, rates, strict=True))

    def masked(mask, y):
        return mask * slope(y)

    def heun(field, y, h):
        return (field(y) + field(y - h * field(y))) / 2

    xi, jacobian = slope(x), dense_jacobian(gradient, x)
    chi, interaction = shaping(gradient(x), jacobian), blocks(jacobian)
    hamiltonian, turned = jacobian.T @ xi, (jacobian - jacobian.T).T @ xi / 2
    a, b = jacobian[G, D], jacobian[D, G]  # the paper's D²_xy f and D²_yx g, its equation 4
    theta = np.linalg.solve(np.eye(8) - h**2 * a @ b, xi[G] - h * a @ xi[D])
    psi = np.linalg.solve(np.eye(5) - h**2 * b @ a, xi[D] - h * b @ xi[G])
    ahead, push = xi - h * interaction @ xi, -h * chi
    p1 = 1 if push @ ahead >= 0 else min(1, -0.5 * ahead @ ahead / (push @ ahead))
    p2 = xi @ xi if np.sqrt(xi @ xi) < 0.1 else 1
    return {
        "gradients": xi,
        "extragradient": slope(x - h * xi),
        "consensus": xi + h * hamiltonian,
        "sga": xi + h * turned,
        "sga aligned": xi + h * np.sign((xi @ hamiltonian) * (turned @ hamiltonian) / 13 + 0.1) * turned,
        "cgd": np.concatenate([theta, psi]),
        "lola": ahead + push,
        "sos": ahead + min(p1, p2) * push,
        "heun": heun(slope, x, h),
        "rk4": runge_kutta(slope, x, h),
        "heun frozen": frozen(heun, (h, h)),
        "rk4 frozen": frozen(runge_kutta, (h, h)),
        "rk4 frozen, a strength for each": frozen(runge_kutta, BOTH),
        "opponent penalty": xi + h * of_opponent(x),
        "opponent penalty, a strength for each": xi + each * of_opponent(x),
        "opponent penalty of one": xi + np.repeat([0, h], [8, 5]) * of_opponent(x),
        "opponent penalty in rk4": runge_kutta(lambda y: slope(y) + 0.3 * of_opponent(y), x, 0.2),
        "nested": consensus(x - 0.2 * consensus(x, 0.3), 0.3),
        "extragradient, a strength for each": slope(x - each * xi),
        "consensus, a strength for each": xi + each * hamiltonian,
        "cgd, a strength for each": np.linalg.solve(np.eye(13) + interaction * each, xi),
        "lola, a strength for each": xi - interaction @ (each * xi) - other * chi,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", slow_unless(ADJUSTMENTS, "sga aligned", "cgd", "sos", "rk4", "nested", "rk4 frozen", "opponent penalty")
)
def test_adjusted_fields_are_the_dense_computation(x64, name):
    adjusted = jax.jit(
        lambda players, sample: ADJUSTMENTS[name](partial(games.total_losses, GAME, sample=sample))(players)
    )
    for seed in range(2):
        players, *_ = start(seed)
        found = ravel_pytree(adjusted(players, GAME.sample(jax.random.key(seed + 100), 7)))[0]
        np.testing.assert_allclose(found, by_hand(seed)[name], atol=ROUNDING)


@pytest.mark.slow
def test_the_jacobian_is_that_of_finite_differences(x64):
    players, own, x, gradient = start(5)
    found = jax.jit(lambda players: fields.jacobian(fields.gradients(own), players))(players)
    np.testing.assert_allclose(found, dense_jacobian(gradient, x), atol=ROUNDING)


UNROLLED = {
    "constant ahead": fields.unrolled(2, 0.3, through=False),
    "constant ahead, for everyone": fields.unrolled(2, 0.3, through=False, everyone=True),
    "constant ahead, in consensus": fields.consensus(0.4, inner=fields.unrolled(2, 0.3, through=False)),
}


@pytest.mark.parametrize("name", slow_unless(ADJUSTMENTS | UNROLLED, "constant ahead"))
def test_every_field_has_the_jacobian_of_finite_differences(x64, name):
    game = games.two_player(
        lambda p: jnp.sin(p.generator + 0.3) * p.discriminator + p.generator**2 / 3,
        lambda p: -p.generator * jnp.cos(p.discriminator) + p.discriminator**4,
    )
    field = jax.jit((ADJUSTMENTS | UNROLLED)[name](games.SampleLosses(game, ())))
    place, step = np.array([0.4, -0.7]), 1e-5  # error step² = 1e-10, rounding 1e-16/step = 1e-11
    moved = [np.subtract(*(field(Players(*(place + sign * s))) for sign in (1, -1))) for s in step * np.eye(2)]
    found = jax.jit(lambda players: fields.jacobian(field, players))(Players(*place))
    np.testing.assert_allclose(found, np.transpose(moved) / (2 * step), atol=1e-8)


@pytest.mark.slow
def test_unrolled_generator_differentiates_through_the_steps_of_the_discriminator(x64):
    """Central differences of L_G(θ, ψ_k(θ)), the steps of D spelled out in NumPy on the gradient alone."""
    players, own, x, gradient = start(3)
    unravel = ravel_pytree(players)[1]
    loss = jax.jit(lambda x: own(unravel(x)).generator)

    def surrogate(x, steps):
        for _ in range(steps):
            x = np.concatenate([x[G], x[D] - STRENGTH * gradient(x)[1, D]])
        return loss(x)

    for steps in (1, 3):
        found = np.array(ravel_pytree(jax.jit(fields.unrolled(steps, STRENGTH)(own))(players))[0])
        step = 1e-5  # error step² = 1e-10, rounding 1e-16/step = 1e-11
        slopes = [(surrogate(x + s, steps) - surrogate(x - s, steps)) / (2 * step) for s in step * np.eye(13)[:8]]
        np.testing.assert_allclose(found[G], slopes, atol=1e-9)
        np.testing.assert_allclose(found[D], gradient(x)[1, D], rtol=1e-14)  # rounding


@pytest.mark.slow
@pytest.mark.parametrize(("through", "felt"), [(True, 2), (False, 1)])
def test_unrolling_on_the_bilinear_game_is_its_closed_form(x64, through, felt):
    """x sees y + kηx, and y sees x - kηy, as a constant or with its slope."""
    own, (x, y), ahead = partial(games.total_losses, games.bilinear(), sample=()), (0.7, -1.1), 3 * 0.2
    one, both = (
        fields.unrolled(3, 0.2, everyone=everyone, through=through)(own)(Players(x, y)) for everyone in (False, True)
    )
    np.testing.assert_allclose(one, (y + felt * ahead * x, -x), rtol=1e-14)
    np.testing.assert_allclose(both, (y + felt * ahead * x, -x + felt * ahead * y), rtol=1e-14)


ZERO = {name: make(0.0) for name, make in MAKERS.items()} | {
    "unrolled, no rate": fields.unrolled(3, 0.0),
    "unrolled, no steps": fields.unrolled(0, STRENGTH),
    "unrolled by everyone, no rate": fields.unrolled(3, 0.0, everyone=True, through=False),
    "opponent penalty, a traced zero": lambda losses: fields.opponent_penalty(jnp.zeros(()))(losses),
}


@pytest.mark.parametrize("name", slow_unless(ZERO, "extragradient", "consensus", "lola", "rk4"))
@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(losses.non_saturating, id="logistic"),
        pytest.param(losses.relativistic, id="paired", marks=pytest.mark.slow),
    ],
)
def test_zero_strength_is_the_plain_field_exactly(name, objective):
    game = slanted_land(faces.FACES, objective)
    own = partial(games.total_losses, game, sample=game.sample(jax.random.key(1), 2))
    plain, found = (jax.jit(field(own)) for field in (fields.gradients, ZERO[name]))
    players = game.init(jax.random.key(0))
    chex.assert_trees_all_equal(found(players), plain(players))


@pytest.mark.parametrize("make", [fields.heun, fields.rk4], ids=["heun", "rk4"])
def test_frozen_and_joint_steps_are_the_same_if_nobody_else_moves(x64, make):
    """L_G = a(x - y)⁴ - c x, L_D = 0: for both it is the Runge-Kutta step of one equation, x' = c - 4 a (x - y)³."""
    a, c, h, y = 0.3, 0.2, 0.5, -0.4
    x = 0.9

    def losses(players):
        return Players(
            a * (players.generator - players.discriminator) ** 4 - c * players.generator, 0.0 * players.discriminator
        )

    def slope(x):
        return 4 * a * (x - y) ** 3 - c

    k1 = slope(x)
    k2 = slope(x - h * k1)
    if make is fields.heun:
        expected = (k1 + k2) / 2
    else:
        k2 = slope(x - h / 2 * k1)
        k3 = slope(x - h / 2 * k2)
        expected = (k1 + 2 * k2 + 2 * k3 + slope(x - h * k3)) / 6
    for frozen in (False, True):
        found = jax.jit(make(h, frozen=frozen)(losses))(Players(jnp.array(x), jnp.array(y)))
        np.testing.assert_allclose(found.generator, expected, rtol=1e-14)
        assert found.discriminator == 0


@pytest.mark.parametrize("make", [fields.heun, fields.rk4], ids=["heun", "rk4"])
def test_frozen_opponents_turn_a_step_into_descent(x64, make):
    """Of the bilinear game ξ = (y, -x): a player's own slope does not change while the other one stands still."""

    def losses(players):
        return Players(players.generator * players.discriminator, -players.generator * players.discriminator)

    start = Players(jnp.array(0.7), jnp.array(-0.3))
    frozen, joint = (jax.jit(make(0.5, frozen=kind)(losses))(start) for kind in (True, False))
    np.testing.assert_allclose(frozen, (-0.3, -0.7), rtol=1e-14)
    assert abs(joint.generator + 0.3) > 0.1


def test_extrapolation_is_projected(x64):
    """ξ(P(ω - η ξ(ω))) of the bilinear game, with |y| ≤ 0.5 as in Gidel et al. 2019."""

    def losses(players):
        return Players(players.generator * players.discriminator, -players.generator * players.discriminator)

    def project(players):
        return players._replace(discriminator=jnp.clip(players.discriminator, -0.5, 0.5))

    start = Players(jnp.array(2.0), jnp.array(0.4))  # ahead: (2 - 0.3 · 0.4, 0.4 + 0.3 · 2), y beyond its bound
    found = fields.extragradient(0.3, project=project)(losses)(start)
    np.testing.assert_allclose(found, (0.5, -(2 - 0.3 * 0.4)), rtol=1e-14)
    np.testing.assert_allclose(fields.extragradient(0.3)(losses)(start), (1.0, -(2 - 0.3 * 0.4)), rtol=1e-14)


@pytest.mark.parametrize("kinds", [("float16", "float16"), ("bfloat16", "float32")])
def test_competitive_gradient_descent_is_solved_in_single_precision(kinds):
    """(ξ_x - η ξ_y, ξ_y + η ξ_x) / (1 + η²) on the bilinear game, with ξ = (y, -x)."""
    eta, (x, y) = 1000.0, (0.5, 1.0)
    players = Players(*(jnp.asarray(value, kind) for value, kind in zip((x, y), kinds, strict=True)))
    losses = partial(games.total_losses, games.bilinear(), sample=())
    found = jax.jit(fields.cgd(eta)(losses))(players)
    assert [leaf.dtype for leaf in found] == list(kinds)
    expected = np.array([y + eta * x, -x + eta * y]) / (1 + eta**2)
    np.testing.assert_allclose(np.array(found, float), expected, rtol=2**-8)  # rounding to bfloat16


def test_players_of_two_precisions_keep_theirs(x64):
    """On the bilinear game with ξ = (y, -x) and η = 0.3 both move along (ξ_x - η ξ_y, ξ_y + η ξ_x), cgd by 1 / (1 + η²)
    of it."""
    losses, along = partial(games.total_losses, games.bilinear(), sample=()), np.array([1.0 + 0.15, -0.5 + 0.3])
    players = Players(jnp.float32(0.5), jnp.float64(1.0))
    for field, expected in ((fields.cgd(0.3), along / 1.09), (fields.sga(0.3, align=True), along)):
        found = jax.jit(field(losses))(players)
        assert [leaf.dtype for leaf in found] == [np.float32, np.float64]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_competitive_gradient_descent_of_vectors_has_a_jacobian(x64):
    """Of min max xᵀ M y it is (I + η J)⁻¹ J. A derivative maps the arrays along different axes."""
    matrix, eta = np.array([[1.0, 2.0, 0.5], [3.0, 4.0, -1.0]]), 0.3
    players = Players(jnp.ones(2), jnp.ones(3))
    losses = lambda p: Players(p.generator @ matrix @ p.discriminator, -p.generator @ matrix @ p.discriminator)  # noqa: E731
    jacobian = np.block([[np.zeros((2, 2)), matrix], [-matrix.T, np.zeros((3, 3))]])
    expected = np.linalg.solve(np.eye(5) + eta * jacobian, jacobian)
    found = jax.jit(functools.partial(fields.jacobian, fields.cgd(eta)(losses)))(players)
    np.testing.assert_allclose(found, expected, atol=1e-12)
