"""Wrong calls of all public functions: each is answered by one line that names the value and the fix.

A row is a call, and what the answer contains, which is its name, too. Sweeps, options and damaged files have tables of
their own. The answers come when a function is called or traced: nothing here is compiled for long.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from article_stream import article_stream
from matplotlib.figure import Figure

from slantgan_jax import (
    Game,
    Generator,
    Objective,
    Players,
    checks,
    cpu,
    datasets,
    distributions,
    expected,
    faces,
    fields,
    games,
    generate,
    logit,
    losses,
    metrics,
    minibatch,
    mlp,
    networks,
    numerics,
    penalized,
    penalties,
    plots,
    rules,
    runs,
    slanted_land,
    train,
)
from slantgan_jax.analysis import (
    best_response,
    diffusion,
    distances,
    equilibria,
    fractals,
    growth,
    lyapunov,
    path_angle,
    quadrature,
    spectra,
    steepest_lines,
    thresholds,
    trajectories,
    transport,
    update_maps,
)
from slantgan_jax.training import is_finite
from tests.answers import assert_answers

NAN, INF = float("nan"), float("inf")
FACES, IMAGES = faces.FACES, faces.unstack(faces.FACES)
GAME, PAIRS, BILINEAR = slanted_land(), slanted_land(objective=losses.relativistic), games.bilinear()
SGD = optax.sgd(0.1)
RULE, TUTORIAL = rules.alternating(SGD), rules.tutorial(SGD)
ZERO = networks.from_vector(np.zeros(13))
STACKED = networks.from_vector(np.zeros(13), stacked=True)
REST = Players(0.0, 0.0)
NINE = np.zeros((3, 9))
DISTANCES = np.linspace(1, 0.1, 30)
PERCEPTRON = mlp(3, 2)


class Swapped(NamedTuple):
    """Players in another order than the library's."""

    discriminator: Any
    generator: Any


SWAPPED = Game(lambda key: Swapped(0.0, 0.0), (), Swapped((lambda p, s: p.discriminator,), (lambda p, s: p.generator,)))


class Nameless(NamedTuple):
    """Players of which none is called the discriminator."""

    one: Any
    other: Any


NAMELESS = GAME._replace(losses=Nameless(*GAME.losses))


def trained(key=None, game=GAME, rule=RULE, steps=2, **options):
    return train(jax.random.key(0) if key is None else key, game, rule, steps, **options)


def played(game=GAME, rule=RULE):
    """A step, traced."""
    return jax.eval_shape(
        lambda key: rule.step(game, rule.init(game.init(key)), rule.sample(game, key, 0)), jax.random.key(0)
    )


def short_of(draws):
    """A game whose latents are a sequence of so many."""
    return slanted_land(latent=distributions.sequence(np.zeros(draws)))


def in_packs(data, latent):
    return games.gan(lambda key: REST, lambda point, z: z, lambda slope, image: 0.0, data, latent, packing=2)


def exponents(steps=10, count=1, key=None, game=BILINEAR, rule=RULE, **options):
    key = jax.random.key(0) if key is None else key
    return lyapunov.lyapunov_exponents(key, game, rule, steps, count, **options)


def doubled(call):
    with jax.enable_x64(True):
        return call()


def stable_rate(rule=lambda rate: rules.simultaneous(optax.sgd(rate)), **options):
    return doubled(lambda: thresholds.largest_stable_rate(rule, BILINEAR, REST, **options))


ROWS = [
    # faces and the article's stream
    (lambda: faces.slanted(jax.random.key(0), 3, 1), "side is 1"),
    (lambda: faces.slanted(jax.random.key(0), 0), "count is 0"),
    (lambda: faces.slanted(jax.random.key(0), 2.5), "count is 2.5"),
    (lambda: faces.slanted(0, 5), "key is 0: give one typed threefry key"),
    (lambda: faces.slanted(5, jax.random.key(0)), "key is 5"),
    (lambda: faces.noise(jax.random.key(0), 3, -2), "side is -2"),
    (lambda: faces.noise(jax.random.key(0), True), "count is True"),
    (lambda: faces.noise(jax.random.key(0), "5"), "count is '5'"),
    (lambda: faces.unstack(np.float64(3.0)), "images are np.float64(3.0)"),
    (lambda: faces.unstack([[1, 0, 0, 1]]), "images are [[1, 0, 0, 1]]"),
    (lambda: faces.unstack("face"), "images are 'face'"),
    (lambda: faces.stack(None), "the image is None"),
    (lambda: faces.stack((np.zeros(3), np.zeros(4))), "a tuple of pixels of one shape"),
    (lambda: faces.side_length(1), "1 pixels"),
    (lambda: faces.side_length(5), "5 pixels"),
    (lambda: faces.side_length(4.0), "the number of pixels is 4.0"),
    (lambda: faces.side_length(-4), "the number of pixels is -4"),
    (lambda: article_stream(-1, 5), "seed is -1"),
    (lambda: article_stream(1, 0), "steps is 0"),
    # distributions
    (lambda: distributions.uniform().sample(jnp.zeros(2, jnp.uint32), 0, 0), "one typed threefry key"),
    (lambda: distributions.uniform().sample(jax.random.split(jax.random.key(0)), 0, 0), "key is Array((2,)"),
    (lambda: distributions.uniform().sample(jax.random.key(0, impl="rbg"), 0, 0), "one typed threefry key"),
    *(
        (partial(make, data), "give arrays with the same leading axis")
        for make in (distributions.cyclic, distributions.resampled, distributions.sequence)
        for data in ((), np.zeros((0, 2)), (np.zeros(3), np.zeros(4)), 1.0, "faces", np.array(["a", "b"]))
    ),
    (lambda: distributions.uniform(0), "number of nodes is 0"),
    (lambda: distributions.uniform("20"), "number of nodes is '20'"),
    (lambda: distributions.uniform_quadrature(2.5), "number of nodes is 2.5"),
    (lambda: distributions.normal((-1,)), "a size of the normal numbers is -1"),
    (lambda: distributions.normal("a"), "a size of the normal numbers is 'a'"),
    (lambda: distributions.normal_like(None), "the image is None"),
    (lambda: distributions.from_sampler(3), "sampler is 3: give a function of (key)"),
    (lambda: distributions.from_sampler(lambda: 0.0), "give a function of (key)"),
    (lambda: distributions.from_sampler(lambda key: 0.0, np.zeros(3)), "nodes is array([0., 0., 0.])"),
    (lambda: distributions.draw_key(jax.random.key(0), -1, 0), "the step or stream is -1"),
    (lambda: distributions.draw_key(jax.random.key(0), 2.5, 0), "the step or stream is 2.5"),
    (lambda: distributions.draw_key(jax.random.key(0), 2**40, 0), "the step or stream is 1099511627776"),
    (lambda: distributions.draw_key(jax.random.key(0), 0, "a"), "the step or stream is 'a'"),
    # networks
    *((partial(networks.from_vector, np.zeros(shape)), "3 pixels + 1") for shape in ((), 3, 12, (2, 13))),
    (lambda: networks.from_vector("abc"), "numbers is 'abc'"),
    (lambda: networks.to_vector(None), "players is None: give Players"),
    (lambda: networks.init(jax.random.key(0), None), "the image is None"),
    (
        lambda: networks.init(jax.random.key(0), np.zeros(4, int)),
        "the image is array([0, 0, 0, 0]): give one of floats",
    ),
    (lambda: networks.init(0, FACES[0]), "key is 0"),
    *(
        (partial(logit, STACKED.discriminator, image), "discriminator reads images of shape (4,)")
        for image in (np.zeros(9), (0.0,) * 4, np.zeros((2, 2)), None)
    ),
    (lambda: logit(STACKED, FACES[0]), "discriminator is Players("),
    (lambda: logit(FACES[0], STACKED.discriminator), "discriminator is array("),
    (lambda: generate(STACKED, 0.5), "generator is Players("),
    (lambda: generate(Generator("w", "b"), 0.5), "give numbers of the same shapes"),
    (lambda: generate(STACKED.generator, "z"), "the latent is 'z'"),
    (lambda: generate(STACKED.generator, np.zeros(3)), "the latent is array([0., 0., 0.])"),
    (lambda: mlp(), "sizes of the layers are ()"),
    (lambda: networks.orthogonal(float("nan")), "the scale of orthogonal weights is nan"),
    (lambda: networks.orthogonal("0.8"), "the scale of orthogonal weights is '0.8'"),
    (lambda: networks.orthogonal(np.ones(2)), "the scale of orthogonal weights is"),
    (lambda: mlp(3), "sizes of the layers are (3,)"),
    (lambda: mlp(3, 0, 1), "sizes of the layers is 0"),
    (lambda: mlp(2, 2.5, 1), "sizes of the layers is 2.5"),
    (lambda: mlp([3, 2]), "sizes of the layers are ([3, 2],)"),
    (lambda: mlp(3, 2, activation="relu"), "activation is 'relu'"),
    (
        lambda: mlp(3, 2, init=jax.nn.initializers.glorot_uniform).init(jax.random.key(0)),
        "what init returns is <function",
    ),
    (lambda: PERCEPTRON.init(0), "key is 0"),
    (lambda: PERCEPTRON.apply(None, np.ones(3)), "the parameters are None"),
    (lambda: PERCEPTRON.apply(np.ones(3), PERCEPTRON.init(jax.random.key(0))), "the parameters are array("),
    (lambda: PERCEPTRON.apply(PERCEPTRON.init(jax.random.key(0)), np.ones((4, 3))), "input of shape (3,), got array("),
    # losses and penalties
    (lambda: losses.smoothed(losses.non_saturating, 0.9), "smoothing is 0.9"),
    (lambda: losses.smoothed(losses.non_saturating, "0.1"), "smoothing is '0.1'"),
    (lambda: losses.smoothed(losses.relativistic, 0.1), "1 terms for D"),
    (lambda: losses.smoothed("hinge", 0.1), "objective is 'hinge'"),
    (lambda: losses.smoothed(losses.least_squares, 0.1), "objective is <function least_squares"),
    (lambda: losses.least_squares(NAN), "a target of least_squares is nan"),
    (lambda: losses.least_squares("1"), "a target of least_squares is '1'"),
    (lambda: penalties.r1(-1), "strength of r1 is -1"),
    (lambda: penalties.r1("a"), "strength of r1 is 'a'"),
    (lambda: penalties.r1(None), "strength of r1 is None"),
    (lambda: penalties.r1((0.1, 0.2)), "strength of r1 is (0.1, 0.2)"),
    (lambda: penalties.r1(np.array([1.0, 2.0])), "strength of r1 is array([1., 2.])"),
    (lambda: penalties.spectral(logit)({"kernel": np.ones((2, 3))}, None), "weights that are in no layer of {'kernel'"),
    (lambda: penalties.spectral(logit)([*PERCEPTRON.init(jax.random.key(0)), np.ones((2, 3))], None), "in no layer"),
    (lambda: penalties.r1(1.0)(None, None), "logit is None"),
    (lambda: penalties.r1(1.0)(jnp.sum, None), "inputs is None"),
    (lambda: penalties.r1(True), "strength of r1 is True"),
    (lambda: penalties.r1(10**400), "strength of r1 is 1000"),
    (lambda: penalties.r1(np.array(3.0, ">f8")), "strength of r1 is array(3., dtype='>f8')"),
    (lambda: penalties.r1(np.longdouble(3)), "strength of r1 is np.longdouble('3.0')"),
    (lambda: penalties.r2(INF), "strength of r2 is inf"),
    (lambda: penalties.zero_centered(NAN), "strength of zero_centered is nan"),
    (lambda: penalties.wgan_gp(1.0, -1.0), "norm of wgan_gp is -1.0"),
    (lambda: penalties.dragan(1.0, -0.1), "variance of dragan is -0.1"),
    (lambda: penalties.spectral(3), "logit is 3: give a function of (discriminator, image)"),
    (lambda: penalties.clipped(SGD, 0.0), "bound of clipping is 0.0"),
    (lambda: penalties.clipped(SGD, np.float32(-1)), "bound of clipping is np.float32(-1.0)"),
    (lambda: penalties.clipped(SGD, "a"), "bound of clipping is 'a'"),
    (lambda: penalties.clipped(0.01, SGD), "the optimizer is 0.01"),
    (lambda: penalties.clipped(SGD, 0.1).update(ZERO, SGD.init(ZERO)), "call update(updates, state, params)"),
    # games
    (lambda: slanted_land(()), "leading axis"),
    (lambda: slanted_land(np.zeros((0, 4))), "leading axis"),
    (lambda: slanted_land((np.zeros(3), np.zeros(4), np.zeros(3), np.zeros(3))), "leading axis"),
    (lambda: slanted_land(np.zeros((3, 5))), "5 pixels"),
    (lambda: slanted_land(np.zeros((3, 1))), "1 pixels"),
    (lambda: slanted_land(losses.hinge), "give it by its name, slanted_land(objective=...)"),
    (lambda: slanted_land(noise=-0.1), "standard deviation, is -0.1"),
    (lambda: slanted_land(independent_latents="no"), "independent_latents is 'no'"),
    (lambda: slanted_land(noise=None), "standard deviation, is None"),
    (lambda: slanted_land(objective=losses.least_squares), "objective is <function least_squares"),
    (lambda: slanted_land(objective=Objective(losses.minus_log_real, losses.minus_log_fake)), "tuple of D's terms"),
    (lambda: slanted_land(objective=Objective((), losses.minus_log_fake)), "objective is Objective(discriminator=()"),
    (
        lambda: slanted_land(objective=Objective((abs,), losses.logit_fake)),
        "a loss of the objective is <built-in function abs>",
    ),
    (lambda: slanted_land(objective=Objective(("real",), losses.minus_log_fake)), "objective is Objective("),
    (lambda: slanted_land(latent=distributions.uniform), "latent is <function uniform"),
    (lambda: slanted_land(latent=0.5), "latent is 0.5: give a Distribution, such as distributions.uniform()"),
    (lambda: slanted_land(logit=penalties.spectral), "logit is <function spectral"),
    (lambda: slanted_land(logit=None), "logit is None"),
    *(
        (partial(in_packs, *draws), f"packing is 2, but the {what} come in turn, every {period} draws")
        for what, period, draws in (
            ("data", 3, (distributions.cyclic(NINE), distributions.uniform())),
            ("latents", 16, (distributions.normal(), datasets.DATASETS["grid16-balduzzi"]())),
        )
    ),
    (lambda: played(slanted_land(logit=generate)), "generator is Discriminator("),
    (lambda: played(slanted_land(latent=distributions.normal((3,)))), "the latent is"),
    (lambda: games.gan(None, generate, logit, distributions.cyclic(IMAGES)), "init is None: give a function of (key)"),
    (lambda: games.gan(GAME.init, None, logit, distributions.cyclic(IMAGES)), "generate is None"),
    (lambda: games.gan(GAME.init, generate, 3, distributions.cyclic(IMAGES)), "logit is 3"),
    (lambda: games.gan(GAME.init, lambda g, z: z, lambda d, x: x, np.zeros(3)), "such as distributions.cyclic(images)"),
    (
        lambda: played(games.gan(GAME.init, logit, generate, distributions.cyclic(IMAGES))),
        "discriminator is Generator(",
    ),
    (
        lambda: played(games.gan(GAME.init, generate, lambda d, x: faces.stack(x), distributions.cyclic(IMAGES))),
        "a loss returns",
    ),
    (
        lambda: played(games.gan(lambda key: (0.0, 0.0), generate, logit, distributions.cyclic(IMAGES))),
        "players is (0.0, 0.0)",
    ),
    *(
        (
            lambda kind=kind: played(
                kind(games.gan(GAME.init, generate, lambda d, x: logit(d, x)[None], distributions.cyclic(IMAGES)))
            ),
            "a loss returns",
        )
        for kind in (expected, partial(minibatch, size=2))
    ),
    (lambda: games.dirac("wasserstein"), "objective is 'wasserstein'"),
    (lambda: games.dirac(noise="a"), "standard deviation, is 'a'"),
    (lambda: games.two_player(1, 2), "generator_loss is 1"),
    (lambda: games.two_player(lambda p: 0.0, lambda p: 0.0, REST), "init is Players(generator=0.0, discriminator=0.0)"),
    (lambda: played(games.two_player(lambda p: jnp.zeros(2), lambda p: 0.0)), "a loss returns JitTracer(float32[2])"),
    (lambda: played(games.two_player(lambda p: "loss", lambda p: 0.0)), "a loss returns 'loss'"),
    (lambda: games.quadratic("a"), "the angle is 'a'"),
    (lambda: games.quadratic(NAN), "the angle is nan"),
    (lambda: penalized(minibatch(GAME, 5), penalties.r1(1.0)), "before `expected` and `minibatch`"),
    (lambda: penalized(BILINEAR, penalties.r1(1.0)), "this game shows none"),
    (lambda: penalized(expected(GAME), penalties.r1(1.0)), "this game shows none"),
    (lambda: penalized(GAME, penalties.r1), "a penalty is <function r1"),
    (lambda: penalized(NAMELESS, penalties.r1(1.0)), "the players are ('one', 'other'): name that one discriminator"),
    (lambda: penalized(GAME, 0.1), "a penalty is 0.1"),
    (lambda: penalized(GAME, [penalties.r1(1.0)]), "a penalty is [Penalty("),
    (lambda: penalized(penalties.r1(1.0), GAME), "game is Penalty("),
    (lambda: penalized(slanted_land, penalties.r1(1.0)), "game is <function slanted_land"),
    (lambda: penalized(GAME, penalties.Penalty(lambda logit, inputs: 0.0, ("epsilom",))), "a penalty draws 'epsilom'"),
    (lambda: played(penalized(GAME, penalties.wgan_gp)), "strength of wgan_gp is functools.partial"),
    (lambda: played(penalized(GAME, lambda logit, inputs: jnp.ones(3))), "a penalty returns"),
    (lambda: played(penalized(GAME, lambda logit, inputs: None)), "a penalty returns None"),
    (lambda: expected(BILINEAR, over="latent"), "the game draws no 'latent': use it as it is"),
    (lambda: expected(GAME, over="latnt"), "the game draws no 'latnt': choose from 'latent', 'real'"),
    (lambda: expected(GAME, over=3), "the game draws no 3"),
    (lambda: expected(slanted_land), "game is <function slanted_land"),
    (lambda: expected(minibatch(GAME, 5)), "can only be sampled"),
    (lambda: expected(slanted_land(NINE, noise=0.1)), "'real_noise' has no exact expectation"),
    (lambda: expected(slanted_land(objective=losses.relativistic, noise=0.1)), "can only be sampled"),
    (lambda: games.quadrature_error(GAME, None), "players is None"),
    (lambda: games.quadrature_error(ZERO, GAME), "game is Players("),
    (lambda: games.quadrature_error(GAME, ZERO, over="latent"), "over is 'latent', which leaves the draw 'real'"),
    (lambda: minibatch(GAME, 0), "size of the minibatch is 0"),
    (lambda: minibatch(GAME, 1.5), "size of the minibatch is 1.5"),
    (lambda: minibatch(expected(GAME), 5), "draws nothing"),
    (lambda: minibatch(4, GAME), "game is 4"),
    (lambda: games.total_losses(GAME, ZERO, None), "sample is None: give a Sample"),
    (lambda: games.SampleLosses(3, ()), "game is 3: give a Game"),
    (lambda: games.expected_losses(GAME, "players"), "players is 'players'"),
    (lambda: games.expected_losses(GAME, ZERO.generator), "players is Generator("),
    (lambda: games.expected_losses(GAME, STACKED), "discriminator reads images of shape (4,), got ((), (), (), ())"),
    # fields
    (lambda: fields.extragradient(-0.1), "step size of extragradient is -0.1"),
    (lambda: fields.extragradient("0.1"), "step size of extragradient is '0.1'"),
    (lambda: fields.extragradient([0.1, 0.2]), "step size of extragradient is [0.1, 0.2]"),
    (lambda: fields.extragradient(0.1, 0.2), "inner is 0.2: give a function of (losses)"),
    (lambda: fields.consensus(Players(1.0, -1.0)), "strength of consensus is -1.0"),
    (lambda: fields.sga(NAN), "strength of sga is nan"),
    (lambda: fields.sga(0.1, fields.gradients), "align is <function gradients"),
    (lambda: fields.cgd(None), "step size of cgd is None"),
    (lambda: fields.lola("a"), "opponent step size of lola is 'a'"),
    (lambda: fields.sos(0.1, a=NAN), "a of sos is nan"),
    (lambda: fields.sos(0.1, b=-1), "b of sos is -1"),
    (lambda: fields.heun(INF), "step size of heun is inf"),
    (lambda: fields.rk4("a"), "step size of rk4 is 'a'"),
    (lambda: fields.unrolled(-1, 0.1), "unrolled steps is -1"),
    (lambda: fields.unrolled(0.5, 0.1), "unrolled steps is 0.5"),
    (lambda: jax.jit(lambda n: fields.unrolled(n, 0.1))(2), "which is not traced"),
    (lambda: fields.jacobian(lambda players: 0.0, ZERO), "as in fields.sga(0.1)"),
    (lambda: fields.gradients(None), "losses is None: give a function of (players)"),
    (lambda: fields.gradients(lambda players: players)(Players(1, 2.0)), "players have 1, which no gradient can move"),
    (lambda: fields.jacobian(fields.gradients, ZERO), "losses is Players("),
    (lambda: fields.jacobian(lambda players: players, None), "players is None"),
    (lambda: fields.step_along(ZERO, "a", ZERO), "the rate is 'a'"),
    (lambda: fields.step_along(ZERO, (0.1, 0.2, 0.3), ZERO), "3 rates for 2 players"),
    # rules
    (lambda: rules.tutorial(0.1), "optimizer is 0.1: give an optax transformation"),
    (lambda: rules.simultaneous(Players(SGD, 0.1)), "optimizer is Players"),
    (lambda: rules.alternating(optax.sgd), "optimizer is <function sgd"),
    (lambda: rules.past_extragradient([SGD, SGD], 0.1), "optimizer is ["),
    (lambda: rules.past_extragradient(SGD, "a"), "step size of past_extragradient is 'a'"),
    (lambda: rules.simultaneous(SGD, 0.1), "field is 0.1: give a function of (losses)"),
    (lambda: rules.simultaneous(fields.gradients, SGD), "field is GradientTransformation"),
    (lambda: rules.alternating(SGD, order=()), "order is (): give the names of the players"),
    (lambda: rules.alternating(SGD, order=5), "order is 5"),
    (
        lambda: rules.alternating(SGD, order=("critic",)).moves(GAME),
        "'critic', which is no player: choose from 'generator'",
    ),
    (lambda: rules.lookahead(RULE, 0, 0.5), "sync_period of lookahead is 0"),
    (lambda: rules.lookahead(RULE, 2.5, 0.5), "sync_period of lookahead is 2.5"),
    (lambda: rules.lookahead(RULE, 5, 1.5), "slow_step_size of lookahead is 1.5"),
    (lambda: rules.lookahead(RULE, 5, "half"), "slow_step_size of lookahead is 'half'"),
    (lambda: rules.lookahead(SGD, 5, 0.5), "rule is GradientTransformation"),
    (lambda: rules.lookahead(rules.simultaneous, 5, 0.5), "rule is <function simultaneous"),
    (lambda: rules.averaged(RULE, 0.999), "average is 0.999"),
    (lambda: rules.averaged(optax.ema(0.9), RULE), "rule is GradientTransformation"),
    *(
        (partial(rules.averaged(RULE, average).init, ZERO), "is no average")
        for average in (SGD, optax.adam(0.1), optax.trace(0.9), optax.scale(0.5), optax.set_to_zero(), optax.clip(5.0))
    ),
    (lambda: RULE.init(Players(1.0, np.array([1, 2]))), "players have array([1, 2]), which no gradient can move"),
    (lambda: RULE.init(None), "players is None"),
    (lambda: RULE.init(Players), "players is <class"),
    (lambda: RULE.step(GAME, ZERO, None), "state is Players("),
    (lambda: RULE.step(ZERO, None, None), "game is Players("),
    (
        lambda: trained(rule=TUTORIAL._replace(moves=lambda game: lambda state, sample: state)),
        "return a tuple of moves",
    ),
    (
        lambda: trained(rule=TUTORIAL._replace(moves=lambda game: (lambda state, sample: state.players,))),
        "move number 0 of the rule returns Players",
    ),
    (lambda: TUTORIAL.moves(PAIRS), "does not split"),
    (lambda: TUTORIAL.moves(penalized(PAIRS, penalties.r1(1.0))), "does not split"),
    (lambda: TUTORIAL.moves(BILINEAR), "does not split"),
    (lambda: played(rule=rules.simultaneous(SGD, fields.sga)), "call fields.sga first"),
    (lambda: played(rule=rules.simultaneous(SGD, lambda losses: jax.grad(losses))), "fields.gradients(losses)"),
    (lambda: trained(rule=TUTORIAL._replace(init=lambda players: players)), "what init of the rule returns is Players"),
    (
        lambda: trained(
            rule=rules.simultaneous(SGD)._replace(moves=lambda game: (lambda s, x: s._replace(extra=1.0),))
        ),
        "makes .extra () float32 of nothing in the state",
    ),
    (
        lambda: trained(game=games.penalized(slanted_land(), lambda logit, inputs: 2.0 * inputs.epsilon)),
        'write penalties.Penalty(function, draws=("epsilon", "penalty_noise"))',
    ),
    (
        lambda: played(rule=rules.simultaneous(SGD, fields.gradients(lambda players: 0.0))),
        "players is SampleLosses",
    ),
    (
        lambda: played(rule=rules.simultaneous(SGD, lambda losses: None)),
        "what the transform of the field returns is None",
    ),
    (
        lambda: played(rule=rules.past_extragradient(SGD, 0.1, lambda losses: lambda players: 0.0)),
        "the field gives 0.0",
    ),
    (lambda: played(rule=rules.alternating((SGD, SGD, SGD))), "3 optimizers for 2 players"),
    (lambda: played(rule=rules.alternating(optax.lbfgs())), "optimizer of player number 1 cannot move it"),
    (lambda: played(rule=rules.alternating(optax.polyak_sgd())), "cannot move it"),
    (lambda: played(rule=rules.alternating(optax.chain(SGD, optax.contrib.reduce_on_plateau()))), "cannot move it"),
    (lambda: played(rule=rules.alternating(optax.sm3(0.1))), "cannot move it"),
    (lambda: played(rule=rules.alternating(optax.sgd("0.1"))), "cannot move it"),
    # train, and the tutorial's run
    (lambda: trained(0), "key is 0: give one typed threefry key"),
    (lambda: trained(jax.random.PRNGKey(0)), "key is Array"),
    (lambda: trained(jax.random.split(jax.random.key(0))), "key is Array"),
    (lambda: trained(jax.random.key(0, impl="rbg")), "typed threefry key"),
    (lambda: trained(game=slanted_land), "game is <function slanted_land"),
    (lambda: trained(game=RULE, rule=GAME), "game is Rule("),
    (lambda: trained(game=Game(GAME.init, None, GAME.losses)), "game.draws is None"),
    (lambda: trained(game=Game(GAME.init, GAME.draws, (1, 2))), "players is (1, 2)"),
    (lambda: trained(game=Game(None, (), GAME.losses)), "game.init is None"),
    (lambda: trained(rule=rules.alternating), "rule is <function alternating"),
    (lambda: trained(rule=SGD), "rule is GradientTransformation"),
    (lambda: trained(steps=4.0), "steps is 4.0: give a whole number"),
    (lambda: trained(steps=0), "steps is 0"),
    (lambda: trained(steps=True), "steps is True"),
    (lambda: trained(steps=2**33), "steps is 8589934592: give a whole number from 1 to 2147483647"),
    (lambda: jax.jit(lambda n: trained(steps=n).finite)(3), "not traced"),
    (lambda: trained(steps=5, record_every=2.5), "record_every is 2.5"),
    (lambda: trained(steps=5, record_every=0), "record_every is 0"),
    (lambda: trained(steps=5, record_every=2), "positive divisor of the 5"),
    (lambda: trained(record=5), "record is 5: give a function of (info)"),
    (lambda: trained(record=lambda info: "loss"), "record returns 'loss': return arrays"),
    (lambda: is_finite(None), "players is None"),
    (lambda: is_finite({"x": "a"}), "players is {'x': 'a'}"),
    (lambda: trained(record=lambda: 0), "give a function of (info)"),
    (lambda: trained(players=5), "players is 5"),
    (lambda: trained(players=ZERO.generator), "players is Generator("),
    (lambda: trained(players=STACKED), "give what game.init makes"),
    (lambda: trained(state=ZERO), "state is Players("),
    (lambda: trained(state=rules.simultaneous(optax.adam(0.1)).init(ZERO)), "where nothing is expected: continue"),
    (lambda: trained(players=ZERO, state=RULE.init(ZERO)), "both players and state are given"),
    (lambda: trained(game=short_of(3), steps=4), "needs 4 values of the draw 'latent', but there are 3"),
    (lambda: trained(game=short_of(9), rule=rules.alternating(SGD, order=("discriminator",) * 5)), "needs 10 values"),
    (lambda: trained(game=minibatch(short_of(5), 2), steps=3), "needs 3 values of the draw 'latent', but there are 2"),
    (
        lambda: trained(game=minibatch(GAME, 2**20), steps=5000),
        "needs 5000 values of the draw 'latent', but there are 4096",
    ),
    (lambda: runs.one_rate(jax.random.key(0), None, 10), "learning_rate is None"),
    (lambda: runs.one_rate(jax.random.key(0), NAN, 10), "learning_rate is nan"),
    (lambda: runs.one_rate(jax.random.key(0), 0.1, 2.5), "epochs is 2.5"),
    (
        lambda: runs.one_rate(jax.random.key(0), 0.1, 10**9),
        "epochs is 1000000000: give a whole number from 1 to 100000000",
    ),
    (lambda: runs.one_rate(jax.random.key(0), 0.1, 10, 0), "record_every is 0"),
    (
        lambda: runs.one_rate(jax.random.key(0), 0.1, 10, 3),
        "record_every is 3: give a positive divisor of the 10 epochs",
    ),
    (
        lambda: runs.one_rate(jax.random.key(0), 0.1, 10, objective="x"),
        "objective is 'x': choose from 'non-saturating'",
    ),
    (lambda: runs.one_rate(jax.random.key(0), 0.1, 10, objective=losses.hinge), "objective is Objective("),
    (lambda: runs.scalars(ZERO, None), "game is None"),
    (lambda: cpu.use_every_core(0), "count is 0"),
    (lambda: cpu.use_every_core("2"), "count is '2'"),
    (lambda: cpu.use_every_core(fused=1), "fused is 1"),
    (lambda: numerics.as_float("a"), "a value is 'a': give numbers"),
    # plots
    (lambda: plots.faces(Figure(), FACES, 0), "columns is 0"),
    (lambda: plots.faces(Figure(), np.zeros((0, 4)), 2), "images have the shape (0, 4)"),
    (lambda: plots.network(Figure(), Generator(1.0, 2.0)), "the weights are a single number"),
    (lambda: plots.faces(None, FACES, 1), "the panel is 'None'"),
    (lambda: plots.face(None, FACES[0]), "ax is 'None'"),
    (lambda: plots.new_figure(0, 1), "the figure's width is 0"),
    (lambda: plots.new_figure(1, NAN), "the figure's height is nan"),
    (lambda: plots.new_figure("a", 1), "the figure's width is 'a'"),
    (lambda: plots.new_figure(1, 1, dpi=-1), "the figure's dpi is -1"),
    (lambda: plots.network(None, STACKED.generator, STACKED.discriminator), "the panel is 'None'"),
    (lambda: plots.network(Figure(), STACKED, STACKED.discriminator), "the generator is 'Players"),
    (lambda: plots.network(Figure()), "there is neither a generator nor a discriminator"),
    (lambda: plots.network(Figure(), STACKED.generator, latent="0.7"), "the latent is '0.7'"),
    (lambda: plots.network(Figure(), None, STACKED.discriminator, image=np.zeros(5)), "the image has the shape (5,)"),
    (lambda: plots.network(Figure(), STACKED.generator, known=5), "known is 5"),
    (lambda: plots.network(Figure(), STACKED.generator, STACKED.generator), "the discriminator is 'Generator"),
    (lambda: plots.faces(Figure(), np.zeros(4), 1), "images have the shape (4,)"),
    (lambda: plots.face(Figure().subplots(), np.zeros(5)), "the image has the shape (5,)"),
    (lambda: plots.network(Figure(), STACKED.generator, networks.from_vector(np.zeros(28), stacked=True)[1]), "(4,)"),
    # analysis of players
    *(
        (partial(function, ZERO, IMAGES), "generator is Players(")
        for function in (
            distances.mean_gap,
            distances.energy_distance,
            distances.frechet_squared,
            best_response.best_discriminator,
            best_response.separable,
            best_response.restricted_jensen_shannon,
            steepest_lines.endpoint,
        )
    ),
    (lambda: distances.mean_gap(ZERO.generator, None), "images have the shapes None"),
    (lambda: distances.mean_image(None), "generator is None"),
    (lambda: distances.covariance(1.0), "generator is 1.0"),
    (lambda: distances.variance_trace(ZERO.discriminator), "generator is Discriminator("),
    (lambda: distances.to_equilibrium(ZERO, IMAGES, 0.5), "logit is 0.5"),
    (lambda: distances.mmd_squared(ZERO.generator, IMAGES, 0), "scale is 0: give a positive, finite number"),
    (lambda: distances.mmd_squared(ZERO.generator, IMAGES, -1), "scale is -1"),
    (lambda: distances.mmd_squared(ZERO.generator, IMAGES, "a"), "scale is 'a'"),
    (
        lambda: best_response.best_discriminator(Generator(np.zeros(9), np.zeros(9)), FACES),
        "images have the shapes (5, 4)",
    ),
    (lambda: best_response.separable(Generator(np.zeros(4), np.zeros(9)), FACES), "weights (4,) and biases (9,)"),
    (lambda: best_response.best_discriminator(ZERO.generator, IMAGES, -1), "ridge is -1"),
    (lambda: best_response.duality_gap(ZERO, IMAGES, "a"), "ridge is 'a'"),
    (lambda: best_response.separable(ZERO.generator, IMAGES, nodes=0), "number of nodes is 0"),
    (lambda: best_response.best_response_image(ZERO), "discriminator is Players("),
    (lambda: best_response.best_generator_loss(ZERO.discriminator, "saturating"), "objective is 'saturating'"),
    (lambda: equilibria.equilibrium(np.zeros(9), FACES), "images have the shapes (5, 4)"),
    (lambda: equilibria.equilibrium(ZERO.generator.weights, IMAGES, "hinge"), "objective is 'hinge'"),
    (lambda: equilibria.tangents(ZERO.generator.weights, None), "images have the shapes None"),
    (lambda: equilibria.undecided_logit(losses.least_squares), "objective is <function least_squares"),
    (lambda: equilibria.bias("w", 0.5), "weight is 'w'"),
    (lambda: equilibria.bias(np.zeros(3), np.full(4, 0.5)), "weight has the shape (3,), and mean (4,)"),
    (lambda: steepest_lines.endpoint(STACKED.generator, FACES, 2.5), "steps is 2.5"),
    (lambda: transport.wasserstein(STACKED.generator, FACES, 3), "order is 3"),
    (lambda: transport.wasserstein(STACKED.generator, FACES, "1"), "order is '1'"),
    (lambda: transport.wasserstein(FACES, STACKED.generator, 1), "generator is array("),
    (lambda: transport.solve(STACKED.generator, FACES, 1, 2.5), "rounds is 2.5"),
    (lambda: transport.solve(STACKED.generator, None, 1), "the image is None"),
    (lambda: quadrature.images_at(STACKED.generator, None), "the latents is None"),
    (lambda: quadrature.panel_rule(0.5), "edges has the shape ()"),
    (lambda: quadrature.pairwise_distances(np.zeros((2, 4)), np.zeros((3, 9))), "shape (2, 4) and (3, 9)"),
    (lambda: quadrature.with_panels(ZERO.generator, GAME), "game is Generator("),
    (lambda: quadrature.with_panels(BILINEAR, ZERO.generator), "the latent of the game is None"),
    (
        lambda: quadrature.with_panels(minibatch(GAME, 3), ZERO.generator),
        "give a game of slanted_land with a uniform one",
    ),
    (lambda: quadrature.with_panels(slanted_land(latent=distributions.normal()), ZERO.generator), "a uniform one"),
    # spectra, thresholds, diffusion
    (lambda: spectra.flow_eigenvalues(GAME, ZERO), "call this inside of jax.enable_x64(True)"),
    (lambda: doubled(lambda: spectra.flow_eigenvalues(GAME, None)), "players is None"),
    (lambda: doubled(lambda: spectra.flow_eigenvalues(BILINEAR, REST, 0.1)), "transform is 0.1"),
    (
        lambda: doubled(lambda: spectra.flow_eigenvalues(BILINEAR, REST, fields.extragradient)),
        "call fields.extragradient first",
    ),
    (lambda: doubled(lambda: spectra.flow_eigenvalues(BILINEAR, REST, tangents=REST)), "tangents are Players("),
    (lambda: doubled(lambda: spectra.update_eigenvalues(GAME, RULE, ZERO)), "rule is Game("),
    (lambda: doubled(lambda: spectra.update_eigenvalues(RULE, GAME, ZERO, 1.5)), "steps is 1.5"),
    (lambda: doubled(lambda: update_maps.update_map(RULE, GAME, ZERO, over="latnt")), "the game draws no 'latnt'"),
    (lambda: doubled(lambda: spectra.fixed_point(RULE, BILINEAR, REST, iterations=-1)), "iterations is -1"),
    (lambda: spectra.eigenvalues_modulo(np.zeros((2, 3))), "the matrix is array("),
    (
        lambda: spectra.eigenvalues_modulo(np.zeros((2, 2)), Players(np.zeros((1, 2)), np.zeros((1, 2)))),
        "4 coordinates",
    ),
    (lambda: spectra.summarize_flow(np.array([-1 + 1j]), 0), "epoch is 0"),
    (lambda: spectra.summarize_map(np.array([-1 + 1j]), "a"), "epoch is 'a'"),
    (lambda: spectra.summarize_flow([]), "eigenvalues are []"),
    (lambda: spectra.oscillates(None), "eigenvalues are None"),
    (lambda: stable_rate(RULE), "rule_of_rate is Rule("),
    (lambda: stable_rate(lambda rate: optax.sgd(rate)), "rule is GradientTransformation"),
    (lambda: stable_rate(points=0), "points is 0"),
    (lambda: stable_rate(lowest=0.0), "lowest is 0.0"),
    (lambda: stable_rate(lowest=10.0, highest=1.0), "highest is 1.0: give a positive, finite number from 10"),
    (lambda: stable_rate(tolerance="a"), "tolerance is 'a'"),
    (lambda: doubled(lambda: thresholds.critical_strength(GAME, ZERO)), "game_of_strength is Game("),
    (lambda: diffusion.update_noise(GAME, RULE, ZERO, (), np.ones(1)), "rule is Game("),
    (lambda: diffusion.update_noise(RULE, GAME, ZERO, np.zeros(3), np.ones(2)), "samples is array([0., 0., 0.])"),
    (lambda: diffusion.stationary_covariance(np.zeros((2, 3)), np.eye(2)), "jacobian has the shape (2, 3)"),
    (lambda: diffusion.stationary_covariance(np.eye(2), np.eye(2), 2.5), "zero_modes is 2.5"),
    (lambda: diffusion.slow_diffusion(ZERO.generator.weights, FACES), "images have the shapes (5, 4)"),
    # runs and their records
    (lambda: exponents(100, 9), "the rule carries 2 numbers: give 1 to 2"),
    (lambda: exponents(100, 0), "count is 0"),
    (lambda: exponents(10, 1.5), "count is 1.5"),
    (lambda: exponents(105, 2), "steps is 105"),
    (lambda: exponents(0, 2), "steps is 0"),
    (lambda: exponents(10.0, 1), "steps is 10.0"),
    (lambda: exponents(transient=5), "transient is 5"),
    (lambda: exponents(key=0), "key is 0"),
    (lambda: exponents(game=RULE), "game is Rule("),
    (lambda: exponents(players=5), "players is 5"),
    (lambda: lyapunov.orthonormalized(None), "rows is None"),
    (lambda: growth.bump_weights(2.5), "count is 2.5"),
    (lambda: growth.growth_rate("abc"), "log_sizes is 'abc'"),
    (lambda: growth.growth_rate([]), "log_sizes has the shape (0,)"),
    (lambda: growth.growth_rate(DISTANCES, wave_period=0), "wave_period is 0"),
    (lambda: growth.growth_rate(DISTANCES, -5), "start is -5"),
    (lambda: growth.growth_rate(DISTANCES, 0, 100), "stop is 100: give a whole number from 0 to 30"),
    (lambda: growth.longest_stretch(DISTANCES, None, 1), "low is None"),
    (lambda: trajectories.classify(np.ones(19)), "19 distances"),
    (lambda: trajectories.classify(np.ones(30), np.ones((29, 2))), "30 distances and 29"),
    (lambda: trajectories.classify([]), "distances has the shape (0,)"),
    (lambda: trajectories.classify(DISTANCES, ZERO), "positions is Players("),
    (lambda: trajectories.classify(DISTANCES, close=-1), "close is -1"),
    (lambda: trajectories.classify(DISTANCES, still=None), "still is None"),
    (lambda: trajectories.classify(DISTANCES, finite="yes"), "finite is 'yes'"),
    (lambda: trajectories.classify(DISTANCES, settled_records=2.5), "settled_records is 2.5"),
    (lambda: trajectories.first_settled_record(1.0, 0.1), "distances has the shape ()"),
    (lambda: trajectories.power_law_exponents([1.0, 2.0]), "the number of records is 2"),
    (lambda: trajectories.changes_of_side(np.zeros(5)), "positions has the shape (5,)"),
    (lambda: trajectories.orbit_statistics(None), "positions is None"),
    (lambda: trajectories.same_cycle(None), "orbits is None: give an Orbit"),
    (lambda: fractals.boundary(np.ones((1, 5))), "2×2"),
    (lambda: fractals.box_counts(np.ones((4, 4)), [0]), "a size is 0"),
    (lambda: fractals.box_counts(np.ones(4), [2]), "a picture of shape (4,)"),
    (lambda: fractals.box_sizes(-1), "resolution is -1"),
    (lambda: fractals.box_dimension([1, 2], [4, 2]), "three or more different sizes"),
    (lambda: fractals.box_dimension([1, 2, 4], [4, 2, 0]), "counts is [4, 2, 0]: give a list of positive numbers"),
    (lambda: fractals.box_dimension([2, 2, 2], [4, 2, 1]), "3 counts for 3 sizes"),
    (lambda: fractals.uncertainty_dimension([0.1, 0.2, 0.3], [9, 50, 60], 100), "give more pairs"),
    (
        lambda: fractals.uncertainty_dimension([0.1, 0.2, 0.4], [20, 30, 40], 25),
        "pairs is 25: give a whole number of at least 40",
    ),
    (lambda: fractals.uncertainty_dimension([-0.1, 0.2, 0.4], [20, 30, 40], 100), "distances is [-0.1, 0.2, 0.4]"),
    (lambda: fractals.snowflake(64, -1), "depth is -1"),
    (lambda: fractals.snowflake("64"), "resolution is '64'"),
]


MODES = datasets.ring().modes()
NORMALIZING = mlp(1, 4, 1, batch_norm=True)
OF_BATCHES = games.gan(
    lambda key: Players(NORMALIZING.init(key), jnp.ones(())),
    lambda layers, latent: NORMALIZING.apply(layers, latent[None])[0],
    lambda slope, image: slope * image,
    distributions.cyclic(np.arange(6.0)),
)


def with_nodes(weights):
    latent = distributions.from_sampler(jax.random.uniform, lambda: (jnp.array([0.2, 0.8]), jnp.array(weights)))
    return slanted_land(latent=latent)


ROWS += [
    (lambda: expected(with_nodes([1.0, 1.0])), "the weights of the draw 'latent' is Array([1., 1.]"),
    (lambda: expected(with_nodes([1.0])), "weights of shape (1,): give one weight for each node"),
    (lambda: checks.check_weights("w", "abc"), "w is 'abc': give numbers of at least 0"),
    (lambda: checks.check_weights("w", [[0.5], [0.5, 0.2]]), "w is [[0.5], [0.5, 0.2]]: give numbers of at least 0"),
    (lambda: minibatch(expected(OF_BATCHES, over="latent"), 6), "batch normalization has no batch here"),
    (lambda: mlp(1, 4, 1, batch_norm="no"), "batch_norm is 'no'"),
    (lambda: losses.softplus("a"), "softplus of 'a'"),
    (lambda: numerics.safe_norm(None), "the norm of None"),
    (lambda: numerics.squared_norm("a"), "the norm of 'a'"),
    (lambda: logit(GAME.init(jax.random.key(0)).discriminator._replace(bias="c"), np.ones(4)), "discriminator is 'c'"),
    (
        lambda: mlp(2, 4, 1, init=lambda k, s, d: jnp.zeros(s[::-1])).init(jax.random.key(0)),
        "shapes ((4, 2), (4,)): return (2, 4)",
    ),
    (lambda: metrics.mode_coverage(np.zeros((1, 2)), datasets.ring()), "modes is Distribution("),
    (lambda: metrics.mode_coverage(np.zeros((1, 2)), MODES, -3.0), "deviations is -3"),
    (lambda: metrics.mode_coverage(np.zeros((1, 2)), MODES._replace(weights=np.ones(8))), "the weights of the modes"),
    (lambda: metrics.mode_coverage(np.zeros((1, 2)), MODES._replace(deviation=-1.0)), "the deviation of the modes"),
    *(
        (
            lambda w=w: metrics.mode_coverage(np.zeros((1, 2)), MODES._replace(weights=w)),
            "weights of the modes have the",
        )
        for w in (np.ones(1), np.float32(1), np.full((8, 1), 1 / 8), np.full(4, 1 / 4))
    ),
    # whose names and shapes have to fit
    (lambda: trained(game=SWAPPED, rule=rules.simultaneous(Players(SGD, SGD))), "the optimizers are for ('generator',"),
    (
        lambda: trained(game=SWAPPED, rule=rules.simultaneous(SGD, fields.consensus(Players(0.1, 0.2)))),
        "the rates are for ('generator', 'discriminator'), but the players are ('discriminator', 'generator')",
    ),
    (lambda: trained(game=SWAPPED._replace(init=lambda key: REST)), "the losses of the game are for ('discriminator',"),
    (
        lambda: rules.simultaneous(SGD, lambda losses: lambda p: jax.tree.map(jnp.mean, p)).step(
            BILINEAR, RULE.init(Players(np.ones(1), np.ones(1))), ()
        ),
        "the field gives () for the shape (1,) of players.generator: give",
    ),
    (
        lambda: trained(game=minibatch(penalized(GAME, penalties.r1(0.1)), 4), rule=rules.lazily(RULE, 2, GAME)),
        "give the same game without its penalty as `plain`, as minibatch or expected if the game is",
    ),
    (lambda: trained(game=GAME, rule=rules.lazily(RULE, 2, minibatch(GAME, 4))), "as minibatch or expected if the"),
    (
        lambda: doubled(lambda: update_maps.update_map(rules.lazily(RULE, 2, GAME), GAME, ZERO, 2)),
        "but the game none: give the same game",
    ),
    (
        lambda: doubled(lambda: update_maps.update_map(RULE, GAME, ZERO, over="real")),
        "'latent' is random and not integrated",
    ),
    (
        lambda: doubled(lambda: update_maps.update_map(RULE, GAME, ZERO, over="latent")),
        "steps is 1, but the draw 'real' comes again only after 5",
    ),
    (
        lambda: penalties.spectral(lambda d, x: 0.0)(networks.Layer([np.eye(2), np.eye(2)], 0.0), np.ones(2)),
        "several matrices in one layer",
    ),
    (lambda: path_angle.path_angle(lambda p: p.generator, REST, REST, [0.5]), "the field gives JitTracer"),
    (
        lambda: path_angle.path_angle(lambda p: p, REST, Players(np.ones(1), 1.0), [0.5]),
        "players of the same structure",
    ),
    (lambda: path_angle.path_angle(lambda p: p, REST, REST, 0.5), "shares has the shape ()"),
    (lambda: trained(game=BILINEAR, players=Players("1", 2.0)), "a value is '1': give numbers"),
    (lambda: trained(game=BILINEAR, players=Players(np.array(1 + 2j), 2.0)), "give numbers"),
    (lambda: RULE.init(Players(1j, 2.0)), "players have 1j, which no gradient can move"),
    (lambda: trajectories.classify(DISTANCES, finite=np.ones(3, bool)), "finite is array([ True, True, True])"),
    (lambda: metrics.sliced_wasserstein(np.zeros((1, 2)), np.zeros((1, 2)), [[3.0, 0.0]]), "directions is [[3."),
    (lambda: metrics.mmd_squared(np.zeros((1, 2)), np.zeros((1, 2)), 0.0), "scale is 0.0"),
    (lambda: datasets.mixture("ab", 1.0), "centers is 'ab': give an array of numbers"),
    (lambda: datasets.mixture([[0.0], [1.0, 2.0]], 1.0), "centers is [[0.0], [1.0, 2.0]]: give an array of numbers"),
    (lambda: distributions.cyclic(np.ones(2)).sample(jax.random.key(0), 2**33, 0), "the step or stream is 8589934592"),
    (lambda: distributions.cyclic(np.ones(2)).sample(jax.random.key(0), 1.5, 0), "the step or stream is 1.5"),
    (lambda: distributions.cyclic(np.ones(5)).sample(jax.random.key(0), np.int32(-1), 0), "is np.int32(-1)"),
    (lambda: distributions.uniform().sample(jax.random.key(0), jnp.int32(-3), 0), "the step or stream is Array(-3"),
    (lambda: rules.lazily(rules.lazily(RULE, 2, GAME), 2, GAME), "the rule plays two games lazily already"),
    (
        lambda: train(
            jax.random.key(0),
            GAME,
            RULE,
            1,
            players=jax.tree.map(lambda leaf: leaf[None], GAME.init(jax.random.key(0))),
        ),
        "has the shape (1,): give ()",
    ),
    (
        lambda: best_response.best_generator_loss(
            GAME.init(jax.random.key(0)).discriminator, losses.OBJECTIVES["least squares"]
        ),
        "G's loss does not decrease in the logit of the fake alone",
    ),
    (
        lambda: diffusion.update_noise(
            RULE,
            GAME,
            GAME.init(jax.random.key(0)),
            jax.vmap(partial(GAME.sample, jax.random.key(0)))(jnp.arange(3)),
            np.ones(3),
        ),
        "weights is Array([1., 1., 1.]",
    ),
]


@pytest.mark.parametrize(("call", "value"), ROWS, ids=[value for _, value in ROWS])
def test_a_wrong_call_is_answered(call, value):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert_answers(caught.value, value)
