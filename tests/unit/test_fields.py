"""Every adjustment against dense linear algebra on random slanted-land players, 13 parameters, in float64."""

import functools
from functools import partial

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


def by_hand(name, gradient, x):
    xi, jacobian = own_gradient(gradient(x)), dense_jacobian(gradient, x)
    interaction, antisymmetric = blocks(jacobian), (jacobian - jacobian.T) / 2
    slope = lambda y: own_gradient(gradient(y))  # noqa: E731
    h = STRENGTH
    if name == "gradients":
        return xi
    if name == "extragradient":
        return slope(x - h * xi)
    if name == "consensus":
        return xi + h * jacobian.T @ xi
    if name == "sga":
        return xi + h * antisymmetric.T @ xi
    if name == "sga aligned":
        ham = jacobian.T @ xi
        return xi + h * np.sign((xi @ ham) * (antisymmetric.T @ xi @ ham) / 13 + 0.1) * antisymmetric.T @ xi
    if name == "cgd":
        a, b = jacobian[G, D], jacobian[D, G]  # the paper's D²_xy f and D²_yx g, its equation 4
        theta = np.linalg.solve(np.eye(8) - h**2 * a @ b, xi[G] - h * a @ xi[D])
        psi = np.linalg.solve(np.eye(5) - h**2 * b @ a, xi[D] - h * b @ xi[G])
        return np.concatenate([theta, psi])
    if name == "lola":
        return xi - h * interaction @ xi - h * shaping(gradient(x), jacobian)
    if name == "sos":
        ahead, push = xi - h * interaction @ xi, -h * shaping(gradient(x), jacobian)
        p1 = 1 if push @ ahead >= 0 else min(1, -0.5 * ahead @ ahead / (push @ ahead))
        p2 = xi @ xi if np.sqrt(xi @ xi) < 0.1 else 1
        return ahead + min(p1, p2) * push
    if name == "heun":
        return (xi + slope(x - h * xi)) / 2
    if name == "rk4":
        k2 = slope(x - h / 2 * xi)
        k3 = slope(x - h / 2 * k2)
        return (xi + 2 * k2 + 2 * k3 + slope(x - h * k3)) / 6
    raise KeyError(name)


ADJUSTMENTS = {
    "gradients": fields.gradients,
    "extragradient": fields.extragradient(STRENGTH),
    "consensus": fields.consensus(STRENGTH),
    "sga": fields.sga(STRENGTH),
    "sga aligned": fields.sga(STRENGTH, align=True),
    "cgd": fields.cgd(STRENGTH),
    "lola": fields.lola(STRENGTH),
    "sos": fields.sos(STRENGTH),
    "heun": fields.heun(STRENGTH),
    "rk4": fields.rk4(STRENGTH),
}


@pytest.mark.parametrize("name", ADJUSTMENTS)
def test_adjusted_fields_are_the_dense_computation(x64, name):
    adjusted = jax.jit(
        lambda players, sample: ADJUSTMENTS[name](partial(games.total_losses, GAME, sample=sample))(players)
    )
    for seed in range(2):
        players, _, x, gradient = start(seed)
        found = ravel_pytree(adjusted(players, GAME.sample(jax.random.key(seed + 100), 7)))[0]
        np.testing.assert_allclose(found, by_hand(name, gradient, x), atol=ROUNDING)


def test_the_jacobian_is_that_of_finite_differences(x64):
    players, own, x, gradient = start(5)
    np.testing.assert_allclose(
        fields.jacobian(fields.gradients(own), players), dense_jacobian(gradient, x), atol=ROUNDING
    )


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
        found = np.array(ravel_pytree(fields.unrolled(steps, STRENGTH)(own)(players))[0])
        step = 1e-5  # error step² = 1e-10, rounding 1e-16/step = 1e-11
        slopes = [(surrogate(x + s, steps) - surrogate(x - s, steps)) / (2 * step) for s in step * np.eye(13)[:8]]
        np.testing.assert_allclose(found[G], slopes, atol=1e-9)
        np.testing.assert_allclose(found[D], gradient(x)[1, D], rtol=1e-14)  # rounding


def test_adjustments_nest(x64):
    players, own, x, gradient = start(4)

    def consensus(x):
        return own_gradient(gradient(x)) + 0.3 * dense_jacobian(gradient, x).T @ own_gradient(gradient(x))

    found = fields.extragradient(0.2, inner=fields.consensus(0.3))(own)(players)
    np.testing.assert_allclose(ravel_pytree(found)[0], consensus(x - 0.2 * consensus(x)), atol=ROUNDING)


@pytest.mark.slow
def test_each_player_may_have_its_own_strength(x64):
    players, own, x, gradient = start(6)
    xi, jacobian = own_gradient(gradient(x)), dense_jacobian(gradient, x)
    each = np.repeat([0.2, 0.5], [8, 5])
    both = Players(0.2, 0.5)
    expected = {
        fields.extragradient(both): own_gradient(gradient(x - each * xi)),
        fields.consensus(both): xi + each * (jacobian.T @ xi),
        fields.cgd(both): np.linalg.solve(np.eye(13) + blocks(jacobian) * each, xi),
        fields.lola(both): xi
        - blocks(jacobian) @ (each * xi)
        - np.repeat([0.5, 0.2], [8, 5]) * shaping(gradient(x), jacobian),
    }
    for adjustment, direction in expected.items():
        np.testing.assert_allclose(ravel_pytree(adjustment(own)(players))[0], direction, atol=ROUNDING)


ZERO = {
    "extragradient": fields.extragradient(0.0),
    "consensus": fields.consensus(0.0),
    "sga": fields.sga(0.0),
    "sga aligned": fields.sga(0.0, align=True),
    "cgd": fields.cgd(0.0),
    "lola": fields.lola(0.0),
    "sos": fields.sos(0.0),
    "unrolled, no rate": fields.unrolled(3, 0.0),
    "unrolled, no steps": fields.unrolled(0, STRENGTH),
    "heun": fields.heun(0.0),
    "rk4": fields.rk4(0.0),
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
    players = game.init(jax.random.key(0))
    plain, found = fields.gradients(own)(players), ZERO[name](own)(players)
    jax.tree.map(np.testing.assert_array_equal, found, plain)
