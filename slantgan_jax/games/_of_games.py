"""Games that are made of a game: with penalties, integrated, on minibatches, on one sample."""

import itertools
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.interpreters import partial_eval

from slantgan_jax import distributions, networks
from slantgan_jax.checks import check_count, check_function, check_scalar, check_weights, shortened, shown
from slantgan_jax.distributions import Distribution
from slantgan_jax.games._builders import normal_image
from slantgan_jax.games._game import Game, check_game, total_losses
from slantgan_jax.numerics import as_floats, seeded_key
from slantgan_jax.penalties import Penalty, PenaltyLoss
from slantgan_jax.types import Loss, Players


def penalized(game: Game, *added: Penalty | PenaltyLoss) -> Game:
    """`game` with penalties added to the last of D's losses; in the tutorial's order that is the loss of the fake.

    Args:
      game: one that judges images.
      added: penalties, see `penalties`. A plain function `(logit, inputs) -> loss` is a penalty that draws nothing.

    Raises:
      ValueError: the game has no images, real or generated, at which a penalty could be taken.
    """
    check_game(game)
    discriminate = game.discriminate
    if discriminate is None:
        raise ValueError(
            "a penalty is taken at real and generated images, but this game shows none: penalize slanted_land, dirac "
            "or a game made by games.gan, and do so before `expected` and `minibatch`; to two_player add a loss instead"
        )
    penalties = [penalty if isinstance(penalty, Penalty) else Penalty(penalty) for penalty in added]
    for penalty in penalties:
        check_function("a penalty", penalty.loss, "logit", "inputs", such_as="penalties.r1(0.1)")
    drawn = {name for penalty in penalties for name in penalty.draws}
    known = {"epsilon": lambda: distributions.uniform(), "penalty_noise": lambda: normal_image(game.draws.real)}
    if unknown := drawn - set(known):
        raise ValueError(f"a penalty draws {shown(unknown.pop())}: choose from {', '.join(map(repr, known))}")
    if "discriminator" not in game.losses._fields:
        raise ValueError(f"the players are {game.losses._fields}: name that one discriminator whose loss is penalized")
    *others, last = game.losses.discriminator
    penalized_loss = partial(_penalized_loss, last, discriminate, tuple(p.loss for p in penalties))
    return game._replace(
        draws=game.draws._replace(**{name: known[name]() for name in drawn}),
        losses=game.losses._replace(discriminator=(*others, penalized_loss)),
    )


def expected(game: Game, over: str | Collection[str] | None = None) -> Game:
    """`game` with its draws integrated: each loss is its expectation over them, "full batch".

        L(players, sample) → E over `over` of L(players, sample)

    A network that normalizes over a batch has no loss of one sample, and so no expectation of it.

    Args:
      game: any game that is not a minibatch.
      over: the name of a draw, or names, all fields of `Game.draws`; by default all. `over="latent"` on slanted land
        keeps the faces in turn.

    Returns:
      The game; its losses are as exact as the quadratures, for which `quadrature_error` has an estimate.

    Raises:
      ValueError: the game draws nothing of that name, or a draw has no quadrature and can only be sampled.
    """
    check_game(game)
    drawn = game.named_draws()
    some = list(over) if isinstance(over, Collection) and not isinstance(over, str) else [over]
    names: list[Any] = list(drawn) if over is None else some
    for name in names:
        if name not in drawn:
            choice = f"choose from {', '.join(map(repr, drawn))}" if drawn else "use it as it is, for it draws nothing"
            raise ValueError(f"the game draws no {shown(name)}: {choice}")
        if drawn[name].nodes is None:
            raise ValueError(
                f"the draw {name!r} has no exact expectation: it can only be sampled. Integrate others with "
                "expected(game, over=...), replace it by a distribution with nodes, or take one large sample: "
                "games.on_sample(game, game.sample(key, 0))"
            )
    # Data come first, so that what depends on them alone is computed outside of the loop over latents.
    integrated = tuple((name, _weighed(name, drawn[name])) for name in reversed(list(drawn)) if name in names)
    rest = game.draws._replace(**dict.fromkeys(names)) if names else game.draws
    nothing = rest if not any(rest) else None
    return game._replace(
        draws=() if nothing is not None else rest,
        losses=type(game.losses)(
            *(tuple(partial(_expected_loss, loss, integrated, nothing) for loss in own) for own in game.losses)
        ),
        discriminate=None,
    )


def expected_losses(game: Game, players: Any) -> Any:
    """The expected loss of each player, `Players` of scalars, as exact as the quadratures of `Game.draws`."""
    return total_losses(expected(game), players, ())


def quadrature_error(game: Game, players: Any, over: str | Collection[str] | None = None) -> Any:
    """How far the losses of `expected(game, over)` are from those with finer quadratures, `Players` of scalars.

        |L_n - L_m|,   n nodes of each draw against m: twice as many for uniform numbers, 3/2 for normal ones

    An estimate of the error at these players. It is 0 for data sets, at rounding for the tutorial's networks, and not
    small if a network is too steep for its nodes, or has kinks; then give draws with more nodes. Arguments and errors
    are those of `expected`, which has to integrate all draws of the game.
    """
    check_game(game)
    finer = [draw.finer() if draw is not None and draw.finer is not None else draw for draw in game.draws]
    refined = game._replace(draws=game.draws._make(finer) if finer else ())
    integrated = [expected(one, over) for one in (game, refined)]
    if left := list(integrated[0].named_draws()):
        raise ValueError(f"over is {shown(over)}, which leaves the draw {left[0]!r}: name all draws, or leave it out")
    coarse, fine = (total_losses(one, players, ()) for one in integrated)
    return jax.tree.map(lambda a, b: jnp.abs(a - b), coarse, fine)


def minibatch(game: Game, size: int) -> Game:
    """`game` whose step t draws the samples number t · `size` to (t + 1) · `size` - 1; losses are means over them.

    A penalty is part of the loss of one sample. Games of data in turn show `size` items a step. The axis of the samples
    has the name `networks.BATCH`, for networks that normalize over a batch.

    Args:
      game: one that draws something.
      size: the samples of a step.

    Raises:
      ValueError: `size` below 1, or a game that draws nothing; an expected game of networks that normalize.
    """
    check_game(game)
    size = check_count("the size of the minibatch", size)
    if not any(game.draws):
        raise ValueError("the game draws nothing, so a minibatch of it would hold equal samples: use the game itself")
    for loss in itertools.chain(*game.losses):
        if isinstance(loss, partial) and loss.func is _expected_loss:  # a batch of it has no latents of its own
            jax.eval_shape(lambda key, loss=loss: loss(game.init(key), game.sample(key, 0)), seeded_key(0))
    return game._replace(
        draws=game.draws._make(draw and distributions.packed(draw, size) for draw in game.draws),
        losses=type(game.losses)(*(tuple(partial(_mean_loss, loss) for loss in own) for own in game.losses)),
        discriminate=None,
    )


def on_sample(game: Game, sample: Any) -> Game:
    """`game` with the draws of one fixed `sample` at every step. It draws nothing, so that no expectation is left.

    It stands in for the expected game where that cannot be integrated: `on_sample(minibatch(game, 4096), sample)`.

    Args:
      game: any game.
      sample: one of its samples, as `game.sample(key, step)` returns it; its numbers take the precision of the trace.

    Raises:
      ValueError: `sample` is not of the kind that the game draws.
    """
    if not isinstance(sample, type(game.draws)):
        raise ValueError(f"the sample is {shown(sample)}: give one of this game, as game.sample(key, 0) returns it")
    return game._replace(
        draws=(),
        losses=type(game.losses)(*(tuple(partial(_loss_on, loss, sample) for loss in own) for own in game.losses)),
        discriminate=None,
    )


def _penalized_loss(
    loss: Loss, discriminate: Callable[..., Any], added: tuple[PenaltyLoss, ...], players: Players, sample: Any
) -> jax.Array:
    total = loss(players, sample)
    for penalty in added:
        logit, inputs = discriminate(players, sample)
        try:
            value = penalty(logit, inputs)
        except (TypeError, AttributeError) as error:
            if inputs.epsilon is not None and inputs.noise is not None:
                raise
            raise ValueError(
                f"a penalty fails ({shortened(str(error))}): if it uses inputs.epsilon or inputs.noise, write "
                'penalties.Penalty(function, draws=("epsilon", "penalty_noise"))'
            ) from error
        total += check_scalar("a penalty", value)
    return total


def _weighed(name: str, draw: Distribution) -> Distribution:
    """`draw` without the nodes of which it is known that their weight is 0: the loss there may be infinite or NaN.

    Raises `ValueError` unless the nodes fit their weights, which are those of a mean.
    """
    nodes = draw.nodes
    assert nodes is not None
    with jax.ensure_compile_time_eval():  # known numbers, also within a trace
        values, weights = nodes()
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(values)}
    if sizes != {np.shape(weights)}:
        raise ValueError(
            f"the draw {name!r} has nodes of shapes {shown(jax.tree.map(np.shape, values))} and weights of shape "
            f"{np.shape(weights)}: give one weight for each node"
        )
    check_weights(f"the weights of the draw {name!r}", weights)
    if isinstance(weights, Tracer) or np.all(np.asarray(weights) > 0):
        return draw
    kept = np.flatnonzero(np.asarray(weights))
    return draw._replace(nodes=lambda: jax.tree.map(lambda leaf: jnp.asarray(leaf)[kept], nodes()))


def _expected_loss(
    loss: Loss, integrated: tuple[tuple[str, Distribution], ...], nothing: Any, players: Any, sample: Any
) -> jax.Array:
    """E `loss` over independent draws. Draws on which the loss does not depend take part in no sum."""
    function, sample = partial(_scalar_loss, loss, players), sample if nothing is None else nothing
    nodes = {name: draw.nodes() for name, draw in integrated if draw.nodes is not None}
    example = sample and sample._replace(**{name: _item(values, 0) for name, (values, _) in nodes.items()})
    used = _used(function, example)
    felt = {name: node for name, node in nodes.items() if any(jax.tree.leaves(getattr(used, name)))}
    return _expectation(function, felt, sample and sample._replace(**{name: getattr(example, name) for name in nodes}))


def _expectation(
    function: Callable[[Any], jax.Array], nodes: dict[str, tuple[Any, jax.Array]], sample: Any
) -> jax.Array:
    if not nodes:
        return function(sample)
    name, *others = nodes
    values, weights = nodes[name]

    def given(value: Any) -> jax.Array:
        return _expectation(function, {other: nodes[other] for other in others}, sample._replace(**{name: value}))

    if len(weights) == 1:  # the same as below, in a fraction of the time that tracing takes
        return weights[0] * given(_item(values, 0))
    return jnp.sum(weights * jax.vmap(given)(values))


def _used(function: Callable[[Any], jax.Array], sample: Any) -> Any:
    """For each leaf of `sample`, whether the program of `function` uses it."""
    program = jax.make_jaxpr(function)(sample).jaxpr
    _, used = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))
    return jax.tree.unflatten(jax.tree.structure(sample), used)


def _item(values: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], values)


def _mean_loss(loss: Loss, players: Any, batch: Any) -> jax.Array:
    return jnp.mean(jax.vmap(partial(_scalar_loss, loss, players), axis_name=networks.BATCH)(batch))


def _loss_on(loss: Loss, sample: Any, players: Any, nothing: Any) -> jax.Array:
    del nothing
    return loss(players, as_floats(sample))


def _scalar_loss(loss: Loss, players: Any, sample: Any) -> jax.Array:
    """`loss`, of which a sum over nodes or images would not show that it is no scalar."""
    return check_scalar("a loss", loss(players, sample))
