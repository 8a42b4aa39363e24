"""GANs of two perceptrons step by step as in a PyTorch program, from the same start, on the same data and latents.

`tests/oracles/torch_gans.py` made the recorded numbers.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from slantgan_jax import Players, distributions, fields, games, losses, mlp, penalties, rules, train
from tests.oracles.gan_cases import BATCH, CASES, LATENT, RECORD_EVERY, STEPS, data, draws, sizes, start

pytestmark = pytest.mark.usefixtures("quick_compile")

with np.load(Path(__file__).parents[1] / "oracles" / "torch_gans.npz") as archive:
    RECORDED = dict(archive)
ROUNDING = 1e-12
"""Of numbers of order 1. These dynamics damp errors, or enlarge them by less than 100, so that 200 steps in float64
leave errors of up to 1e-14. Other compilers and libraries of mathematics round differently."""

FIELDS = {
    "extragradient": fields.extragradient,
    "consensus": fields.consensus,
    "sga": fields.sga,
    "sga aligned": partial(fields.sga, align=True),
    "lola": fields.lola,
    "sos": fields.sos,
    "cgd": fields.cgd,
    "unrolled": fields.unrolled,
    "heun": fields.heun,
    "heun frozen": partial(fields.heun, frozen=True),
    "rk4": fields.rk4,
    "rk4 frozen": partial(fields.rk4, frozen=True),
    "opponent_penalty": lambda of_g, of_d, **inner: fields.opponent_penalty(Players(of_g, of_d), **inner),
}


def game_of(case, added=True):
    """The game of a case, without its penalties if not `added`, on the numbers of `draws`."""
    networks = [
        mlp(*widths, activation=getattr(jnp if case.activation == "tanh" else jax.nn, case.activation), batch_norm=norm)
        for widths, norm in zip(sizes(case), case.batch_norm, strict=True)
    ]

    def logit(discriminator, points):
        return networks[1].apply(discriminator, jnp.ravel(points))[0]

    objective = losses.OBJECTIVES[case.objective]
    game = games.gan(
        lambda key: Players(*(net.init(own) for net, own in zip(networks, jax.random.split(key), strict=True))),
        networks[0].apply,
        penalties.spectral(logit) if case.spectral else logit,
        distributions.resampled(data()),
        distributions.normal((LATENT,)),
        losses.smoothed(objective, case.smoothing) if case.smoothing else objective,
        noise=case.noise,
        independent_latents=case.independent_latents,
        packing=case.packing,
    )
    if added:
        game = games.penalized(game, *(getattr(penalties, name)(*numbers) for name, *numbers in case.penalties))
    given = {
        name: distributions.packed(distributions.sequence(values), case.packing)
        if "latent" in name and case.packing > 1
        else distributions.sequence(values)
        for name, values in draws(case).items()
        if getattr(game.draws, name) is not None
    }
    in_turn = distributions.cyclic(data())  # as the program in PyTorch, also in its packs
    given["real"] = distributions.packed(in_turn, case.packing) if case.packing > 1 else in_turn
    return games.minibatch(game._replace(draws=game.draws._replace(**given)), BATCH)


def optimizer_of(case, player):
    rate = case.rates[player]
    match case.optimizer:
        case ("sgd", *beta):
            optimizer = optax.sgd(rate, *beta)
        case ("adam", b1):
            optimizer = optax.adam(rate, b1=b1)
        case ("rmsprop",):
            optimizer = optax.rmsprop(rate, decay=0.9, eps=1e-10, initial_scale=1.0)
        case ("optimistic",):
            optimizer = optax.optimistic_gradient_descent(rate)
    return penalties.clipped(optimizer, case.clip) if case.clip and player == 1 else optimizer


def field_of(name, *numbers):
    if name == "gradients":
        return fields.gradients
    *numbers, last = *numbers, None
    inner = {}
    if numbers and isinstance(numbers[-1], tuple):
        *numbers, last = numbers
        inner = {"inner": field_of(*last)}
    return FIELDS[name](*numbers, **inner)


def rule_of(case):
    optimizers, field = Players(optimizer_of(case, 0), optimizer_of(case, 1)), field_of(*case.field)
    match case.rule:
        case ("simultaneous",):
            rule = rules.simultaneous(optimizers, field)
        case ("alternating",):
            rule = rules.alternating(optimizers, field, order=case.order, fresh=case.fresh)
        case ("tutorial",):
            rule = rules.tutorial(optimizers, field)
        case ("past extragradient", rate):
            rule = rules.past_extragradient(optimizers, rate, field)
        case ("unrolled", count):
            rule = rules.unrolled(optimizers, count, fresh=case.fresh)
    if case.lazy:
        rule = rules.lazily(rule, case.lazy, game_of(case, added=False))
    if case.lookahead:
        rule = rules.lookahead(rule, *case.lookahead)
    if case.average:
        rule = rules.averaged(rule, {"ema": optax.ema, "mean": rules.running_mean}[case.average[0]](*case.average[1:]))
    return rule


def run(case):
    """The losses `[2, 20]` and all parameters in one array, as they are recorded."""
    game, rule = game_of(case), rule_of(case)
    _, unravel = ravel_pytree(game.init(jax.random.key(0)))

    def measured(info):
        sample = info.sample if rule.reads == ((1, 0),) else info.sample[0]
        return jnp.stack(games.total_losses(game, info.players, sample))

    def trained(numbers):
        players = unravel(numbers)
        result = train(
            jax.random.key(0), game, rule, STEPS, players=players, record=measured, record_every=RECORD_EVERY
        )
        return jnp.concatenate([result.history.T.ravel(), ravel_pytree(result.players)[0]])

    return np.asarray(jax.jit(trained)(start(case)))


MARKS = {"packing, batch norm, Adam": (), "fresh, D twice": pytest.mark.slow}
"""All other cases are long."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, pytest.mark.long)) for name in CASES])
def test_a_run_of_the_library_is_that_of_a_pytorch_program(x64, name):
    found = run(CASES[name])
    np.testing.assert_allclose(found, RECORDED[name], rtol=ROUNDING, atol=ROUNDING)


def test_every_case_is_recorded_and_no_two_are_alike():
    """So a setting that the library ignored would fail."""
    assert set(RECORDED) == set(CASES)
    finals = {name: RECORDED[name] for name in CASES}
    for name, final in finals.items():
        near = {other: np.abs(final - o).max() for other, o in finals.items() if other != name and o.size == final.size}
        assert min(near.values()) > 1e6 * ROUNDING, (name, min(near, key=near.get))
