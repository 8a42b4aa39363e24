"""Three players: fields against dense algebra, rules against their definition."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import Game, fields, rules, train
from tests.tables import slow_unless

pytestmark = pytest.mark.usefixtures("quick_compile")

COUNTS = 2, 1, 3  # the parameters of each player
STARTS = np.cumsum([0, *COUNTS])
BLOCKS = [slice(a, b) for a, b in itertools.pairwise(STARTS)]
RNG = np.random.default_rng(0)
MATRICES = RNG.normal(size=(3, 6, 6)) / 3 + np.eye(6)
RATE, STRENGTH = 0.1, 0.3


class Trio(NamedTuple):
    leader: Any
    second: Any
    third: Any


def loss(i, players):
    """½ xᵀ S_i x of all parameters x, S_i the symmetric part of a matrix."""
    x = jnp.concatenate(players)
    return x @ jnp.asarray(MATRICES[i]) @ x / 2


def game():
    losses = Trio(*((lambda players, sample, i=i: loss(i, players),) for i in range(3)))
    return Game(start, (), losses)


def start(key):
    return Trio(*(jax.random.normal(own, (n,)) for own, n in zip(jax.random.split(key, 3), COUNTS, strict=True)))


def losses_of(players):
    return Trio(*(loss(i, players) for i in range(3)))


HESSIANS = (MATRICES + MATRICES.transpose(0, 2, 1)) / 2
J = np.concatenate([HESSIANS[i][block] for i, block in enumerate(BLOCKS)])
J_O = J.copy()
for block in BLOCKS:
    J_O[block, block] = 0
X = RNG.normal(size=6)
XI = J @ X
PLAYERS = Trio(*(X[block] for block in BLOCKS))


def shaping():
    """χ_i = Σ_{j≠i} (D_i ∇_j L_j)ᵀ ∇_j L_i."""
    chi = np.zeros(6)
    for i, own in enumerate(BLOCKS):
        for j, other in enumerate(BLOCKS):
            if i != j:
                chi[own] += HESSIANS[j][other, own].T @ (HESSIANS[i][other] @ X)
    return chi


def unrolled():
    """G's slope through the matrices of two steps of the others, by the chain rule."""
    step = np.eye(6) - STRENGTH * J
    step[BLOCKS[0]] = np.eye(6)[BLOCKS[0]]
    ahead = step @ step
    return np.concatenate([(ahead.T @ HESSIANS[0] @ ahead @ X)[BLOCKS[0]], XI[2:]])


def stable_shaping():
    """Between looking ahead and LOLA."""
    ahead, chi = XI - STRENGTH * J_O @ XI, shaping()
    agreement = -STRENGTH * chi @ ahead
    p1 = 1 if agreement >= 0 else min(1, -0.5 * ahead @ ahead / agreement)
    p2 = XI @ XI if XI @ XI < 0.01 else 1
    return ahead - min(p1, p2) * STRENGTH * chi


FIELDS = {
    "gradients": (fields.gradients, XI),
    "extragradient": (fields.extragradient(RATE), (np.eye(6) - RATE * J) @ XI),
    "consensus": (fields.consensus(STRENGTH), XI + STRENGTH * J.T @ XI),
    "sga": (fields.sga(STRENGTH), XI + STRENGTH * (J - J.T).T @ XI / 2),
    "cgd": (fields.cgd(RATE), np.linalg.solve(np.eye(6) + RATE * J_O, XI)),
    "lola": (fields.lola(STRENGTH), XI - STRENGTH * J_O @ XI - STRENGTH * shaping()),
    "unrolled": (fields.unrolled(2, STRENGTH), unrolled()),
    "sos": (fields.sos(STRENGTH), stable_shaping()),
    "heun": (fields.heun(RATE), (np.eye(6) - RATE * J / 2) @ XI),
    "heun frozen": (fields.heun(RATE, frozen=True), (np.eye(6) - RATE * (J - J_O) / 2) @ XI),
    "opponent penalty": (fields.opponent_penalty(STRENGTH), XI + 2 * STRENGTH * J_O.T @ XI),
    "rates of each player": (
        fields.extragradient(Trio(0.1, 0.2, 0.3)),
        XI - J @ (np.repeat([0.1, 0.2, 0.3], COUNTS) * XI),
    ),
}


@pytest.mark.parametrize("name", slow_unless(FIELDS, "consensus", "cgd", "lola", "unrolled"))
def test_fields_of_three_players_are_their_formulas(x64, name):
    field, expected = FIELDS[name]
    found = jax.jit(field(losses_of))(PLAYERS)
    assert type(found) is Trio
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-11, atol=1e-12)  # CGD solves to 4 ulps


def test_rules_move_three_players(x64):
    order, rates = ("third", "leader", "third", "second"), Trio(0.1, 0.2, 0.3)
    both = rules.simultaneous(optax.sgd(RATE)), rules.alternating(Trio(*map(optax.sgd, rates)), order=order)
    found = jax.jit(lambda: [train(jax.random.key(0), game(), rule, 1, players=PLAYERS).players for rule in both])()
    x = X.copy()
    for name in order:
        i = Trio._fields.index(name)
        x[BLOCKS[i]] -= rates[i] * J[BLOCKS[i]] @ x
    np.testing.assert_allclose(np.concatenate(found[0]), X - RATE * XI, rtol=1e-13)
    np.testing.assert_allclose(np.concatenate(found[1]), x, rtol=1e-13)


def test_the_first_of_three_players_moves_with_the_others_unrolled(x64):
    """They make a step, and then the leader sees two more of theirs."""
    rule = rules.unrolled(Trio(optax.sgd(RATE), optax.sgd(STRENGTH), optax.sgd(STRENGTH)), 2)
    found = jax.jit(lambda: train(jax.random.key(0), game(), rule, 1, players=PLAYERS).players)()
    step = np.eye(6) - STRENGTH * J
    step[BLOCKS[0]] = np.eye(6)[BLOCKS[0]]
    moved, ahead = step @ X, step @ step
    slope = (ahead.T @ HESSIANS[0] @ ahead @ moved)[BLOCKS[0]]
    np.testing.assert_allclose(np.concatenate(found), [*(X[BLOCKS[0]] - RATE * slope), *moved[2:]], rtol=1e-12)


STATEFUL = {
    "past extragradient": rules.past_extragradient(optax.adam(0.01), 0.1),
    "averaged": rules.averaged(rules.lookahead(rules.simultaneous(optax.adam(0.01)), 3, 0.5), optax.ema(0.9)),
}


@pytest.mark.parametrize("rule", STATEFUL.values(), ids=STATEFUL)
def test_stateful_rules_take_three_players(rule):
    result = jax.jit(lambda key: train(key, game(), rule, 7))(jax.random.key(0))
    assert type(result.players) is Trio
    assert result.finite


def test_two_optimizers_for_three_players_are_refused():
    rule = rules.simultaneous((optax.sgd(0.1), optax.sgd(0.1)))
    with pytest.raises(ValueError, match="2 optimizers for 3 players"):
        train(jax.random.key(0), game(), rule, 1)


def test_the_tutorials_order_is_for_a_generator_and_a_discriminator():
    with pytest.raises(ValueError, match=r"players of the game are \('leader', 'second', 'third'\)"):
        train(jax.random.key(0), game(), rules.tutorial(optax.sgd(RATE)), 1)
