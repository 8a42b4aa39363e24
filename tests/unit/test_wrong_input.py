"""Wrong calls, each answered by one line that names the value and the fix."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from slantgan_jax import (
    Generator,
    Objective,
    Players,
    distributions,
    faces,
    fields,
    games,
    losses,
    mlp,
    penalties,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.analysis import lyapunov, steepest_lines, transport

GAME, SGD, CONSTANT = slanted_land(), optax.sgd(0.1), Generator(np.zeros(4), np.zeros(4))
RULE = rules.alternating(SGD)


def trained(key=None, game=GAME, rule=RULE, steps=2, **options):
    return train(jax.random.key(0) if key is None else key, game, rule, steps, **options)


def exponents(steps, count):
    return lyapunov.lyapunov_exponents(jax.random.key(0), games.dirac(), RULE, steps, count)


def penalized(penalty):
    return trained(game=games.penalized(GAME, penalty))


WRONG = {
    "an integer as key": (lambda: trained(key=0), "key is 0: give one typed threefry key"),
    "an old key": (lambda: trained(key=jax.random.PRNGKey(0)), "key is Array"),
    "two keys": (lambda: trained(key=jax.random.split(jax.random.key(0))), "key is Array"),
    "a key of another kind": (lambda: trained(key=jax.random.key(0, impl="rbg")), "typed threefry key"),
    "a game that was not called": (lambda: trained(game=slanted_land), "game is <function slanted_land"),
    "a rule that was not called": (lambda: trained(rule=rules.alternating), "rule is <function alternating"),
    "steps of 4.0": (lambda: trained(steps=4.0), "steps is 4.0: give a whole number"),
    "no steps": (lambda: trained(steps=0), "steps is 0"),
    "true steps": (lambda: trained(steps=True), "steps is True"),
    "traced steps": (lambda: jax.jit(lambda n: trained(steps=n).finite)(3), "not traced"),
    "every 2.5": (lambda: trained(steps=5, record_every=2.5), "record_every is 2.5"),
    "every 0": (lambda: trained(steps=5, record_every=0), "record_every is 0"),
    "every 2 of 5": (lambda: trained(steps=5, record_every=2), "positive divisor of the 5"),
    "a rate as optimizer": (lambda: rules.tutorial(0.1), "optimizer is 0.1: give an optax transformation"),
    "a rate in a pair": (lambda: rules.simultaneous(Players(SGD, 0.1)), "optimizer is Players"),
    "an optimizer not called": (lambda: rules.alternating(optax.sgd), "optimizer is <function sgd"),
    "three optimizers": (lambda: trained(rule=rules.alternating((SGD, SGD, SGD))), "3 optimizers for 2 players"),
    "one in a list": (lambda: rules.past_extragradient([SGD, SGD], 0.1), "optimizer is \\["),
    "a field not called": (lambda: trained(rule=rules.simultaneous(SGD, fields.sga)), "as in fields.sga\\(0.1\\)"),
    "a penalty not called": (lambda: penalized(penalties.r1), "as in penalties.r1\\(0.1\\)"),
    "another penalty not called": (lambda: penalized(penalties.wgan_gp), "value of type Penalty"),
    "a penalty of an array": (lambda: penalized(lambda logit, inputs: jnp.ones(3)), "value of shape \\(3,\\)"),
    "an objective of a function": (
        lambda: slanted_land(objective=Objective(losses.minus_log_real, losses.minus_log_fake)), "tuple of D's terms"
    ),
    "an objective not called": (lambda: slanted_land(objective=losses.least_squares), "objective is <function"),
    "data of an array": (
        lambda: games.gan(GAME.init, lambda g, z: z, lambda d, x: x, np.zeros(3)), "distributions.cyclic"
    ),
    "a latent not called": (lambda: slanted_land(latent=distributions.uniform), "latent is <function uniform"),
    "too much smoothing": (lambda: losses.smoothed(losses.non_saturating, 0.9), "smoothing is 0.9"),
    "a negative penalty": (lambda: penalties.r1(-1), "strength of r1 is -1"),
    "an infinite penalty": (lambda: penalties.r2(np.inf), "strength of r2 is inf"),
    "a penalty of nan": (lambda: penalties.zero_centered(np.nan), "strength of zero_centered is nan"),
    "a negative norm": (lambda: penalties.wgan_gp(1.0, -1.0), "norm of wgan_gp is -1.0"),
    "a negative variance": (lambda: penalties.dragan(1.0, -0.1), "variance of dragan is -0.1"),
    "a negative look-ahead": (lambda: fields.extragradient(-0.1), "step size of extragradient is -0.1"),
    "a negative half of a pair": (lambda: fields.consensus(Players(1.0, -1.0)), "strength of consensus is -1.0"),
    "an adjustment of nan": (lambda: fields.sga(np.nan), "strength of sga is nan"),
    "unrolled by half a step": (lambda: fields.unrolled(0.5, 0.1), "unrolled steps is 0.5"),
    "looking back beyond": (lambda: rules.lookahead(RULE, 5, 1.5), "slow_step_size of lookahead is 1.5"),
    "looking back every 2.5": (lambda: rules.lookahead(RULE, 2.5, 0.5), "sync_period of lookahead is 2.5"),
    "no bound": (lambda: penalties.clipped(SGD, 0.0), "bound of clipping is 0.0"),
    "half a sample": (lambda: games.minibatch(GAME, 1.5), "size of the minibatch is 1.5"),
    "no nodes": (lambda: distributions.uniform(0), "number of nodes is 0"),
    "half a node": (lambda: distributions.uniform_quadrature(2.5), "number of nodes is 2.5"),
    "half an image": (lambda: faces.slanted(jax.random.key(0), 2.5), "count is 2.5"),
    "half a unit": (lambda: mlp(2, 2.5, 1), "sizes of the layers is 2.5"),
    "half a round": (lambda: transport.solve(CONSTANT, faces.FACES, 1, 2.5), "rounds is 2.5"),
    "half a step along a line": (lambda: steepest_lines.endpoint(CONSTANT, faces.FACES, 2.5), "steps is 2.5"),
    "half an exponent": (lambda: exponents(10, 1.5), "count is 1.5"),
    "exponents of half a step": (lambda: exponents(10.0, 1), "steps is 10.0"),
    "an average of Adam": (lambda: trained(rule=rules.averaged(RULE, optax.adam(0.1))), "is no average"),
    "an average of SGD": (lambda: trained(rule=rules.averaged(RULE, SGD)), "is no average"),
    "an average of sums": (lambda: trained(rule=rules.averaged(RULE, optax.trace(0.9))), "is no average"),
    "an average of a number": (lambda: rules.averaged(RULE, 0.999), "average is 0.999"),
    "lbfgs": (lambda: trained(rule=rules.alternating(optax.lbfgs())), "optimizer of player number 1 cannot move it"),
    "polyak": (lambda: trained(rule=rules.alternating(optax.polyak_sgd())), "cannot move it"),
    "on a plateau": (
        lambda: trained(rule=rules.alternating(optax.chain(SGD, optax.contrib.reduce_on_plateau()))), "cannot move it"
    ),
    "sm3 on scalars": (lambda: trained(rule=rules.alternating(optax.sm3(0.1))), "cannot move it"),
    "a sequence too short": (
        lambda: trained(game=slanted_land(latent=distributions.sequence(np.zeros(3))), steps=4),
        "needs 4 values of the draw 'latent', but there are 3",
    ),
    "too short for five moves": (
        lambda: trained(
            game=slanted_land(latent=distributions.sequence(np.zeros(9))),
            rule=rules.alternating(SGD, order=("discriminator",) * 5 + ("generator",)),
        ),
        "needs 10 values",
    ),
    "too short for minibatches": (
        lambda: trained(game=games.minibatch(slanted_land(latent=distributions.sequence(np.zeros(5))), 2), steps=3),
        "needs 3 values of the draw 'latent', but there are 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_names_the_value_and_the_fix(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_sequence_that_was_continued_too_far_is_refused():
    game = slanted_land(latent=distributions.sequence(np.linspace(0, 1, 5)))
    first = trained(game=game, steps=3)
    trained(game=game, steps=2, state=first.state)
    with pytest.raises(ValueError, match="needs 6 values"):
        trained(game=game, steps=3, state=first.state)


def test_an_average_may_depend_on_a_traced_number():
    def run(decay):
        return trained(rule=rules.averaged(RULE, optax.ema(decay))).finite

    assert jax.jit(run)(0.9)
