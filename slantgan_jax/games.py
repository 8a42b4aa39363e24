"""Games: how the players start, what a step draws, and what each player minimizes.

A rule and a run know a game only through the fields of `Game`. Four functions make a game of a game, and they compose
in this order:

    on_sample(minibatch(expected(penalized(game, r1(0.1)), over="latent"), 5), sample)

See docs/bring_your_own.md.
"""

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.interpreters import partial_eval
from jax.typing import ArrayLike

from slantgan_jax import distributions, faces, losses, networks
from slantgan_jax.checks import (
    check_count,
    check_flag,
    check_function,
    check_kind,
    check_number,
    check_players,
    check_scalar,
    check_weights,
    shortened,
    shown,
)
from slantgan_jax.distributions import Distribution
from slantgan_jax.losses import LogitLoss, Objective
from slantgan_jax.numerics import as_float, as_floats, but_labels, seeded_key
from slantgan_jax.penalties import Penalty, PenaltyInputs, PenaltyLoss
from slantgan_jax.types import Image, Loss, Players, PRNGKey


class Game(NamedTuple):
    """A game, as pure functions and distributions.

    Attributes:
      init: `key -> players`, the starting parameters.
      draws: what a step draws, a NamedTuple of `Distribution`s, or () if it draws nothing. A sample is the same
        NamedTuple with the draws in the places of the distributions, and None where there is no distribution.
      losses: for each player the tuple of losses whose sum it minimizes. `rules.tutorial` steps once for each of D's.
      discriminate: `(players, sample) -> (logit, inputs)`, for penalties: D's logit as a function of one image, and the
        `PenaltyInputs` of a step. None if the players judge no images.
    """

    init: Callable[[PRNGKey], Any]
    draws: Any
    losses: Any
    discriminate: Callable[[Any, Any], tuple[Callable[[Image], jax.Array], PenaltyInputs]] | None = None

    def sample(self, key: PRNGKey, step: ArrayLike) -> Any:
        """What step number `step` sees. Draw number i has the stream i; only draws with a distribution are made."""
        values = [draw and draw.sample(key, step, stream) for stream, draw in enumerate(self.draws)]
        return self.draws._make(values) if values else ()

    def named_draws(self) -> dict[str, Distribution]:
        """The distributions that a step draws from, by their names."""
        names = self.draws._fields if self.draws else ()
        return {name: draw for name, draw in zip(names, self.draws, strict=True) if draw is not None}


class Sample(NamedTuple):
    """What one step of a GAN sees, and in `Game.draws` the distributions of it. What a game does not use is None.

    Attributes:
      latent: z of the generated image.
      generator_latent: another z, for G's own loss, in games with independent latents.
      epsilon: ε ~ U(0, 1), for penalties between a real and a generated image.
      real: a real image.
      real_noise, fake_noise: standard-normal images, the instance noise of the real and of the generated image.
      penalty_noise: a standard-normal image, for penalties near a real image.
    """

    latent: Any = None
    generator_latent: Any = None
    epsilon: Any = None
    real: Any = None
    real_noise: Any = None
    fake_noise: Any = None
    penalty_noise: Any = None


def check_game(game: Any) -> None:
    """Raises `ValueError` unless `game` is a `Game` whose fields are what its docstring says."""
    check_kind("game", game, Game)
    check_function("game.init", game.init, "key")
    named = game.draws == () or (isinstance(game.draws, tuple) and hasattr(game.draws, "_fields"))
    if not named or not all(isinstance(draw, Distribution | None) for draw in game.draws):
        raise ValueError(f"game.draws is {shown(game.draws)}: give a NamedTuple of Distributions, or ()")
    if not all(isinstance(own, tuple) and all(map(callable, own)) for own in check_players(game.losses)):
        raise ValueError(f"game.losses is {shown(game.losses)}: give Players of tuples of functions")


@dataclass(frozen=True)
class SampleLosses:
    """The losses of `game` on one `sample`, as a function of the players.

    `losses(players)` are all of them: `Players` of scalars. `losses.of(i, players)` is the loss of player number i
    alone: a program that needs no other is traced in a fraction of the time.

    Raises:
      ValueError: `game` is none, or `sample` is not of the kind that it draws.
    """

    game: Game
    sample: Any

    def __post_init__(self) -> None:
        check_kind("game", self.game, Game)
        if self.game.draws:
            check_kind("sample", self.sample, type(self.game.draws))

    def __call__(self, players: Any) -> Any:
        """The loss of each player: the sum of its `Game.losses`."""
        check_players(players, len(self.game.losses))
        return type(self.game.losses)(*(self.of(number, players) for number in range(len(players))))

    def of(self, number: int, players: Any) -> Any:
        """The loss of player number `number`, a scalar."""
        check_players(players, len(self.game.losses))
        total = sum(check_scalar("a loss", loss(players, self.sample)) for loss in self.game.losses[number])
        if not jnp.issubdtype(jnp.result_type(total), jnp.floating):
            raise ValueError(f"the loss of player number {number} is {shown(total)}: give a loss that returns a float")
        return total


def total_losses(game: Game, players: Any, sample: Any) -> Any:
    """The loss of each player on one sample, `Players` of scalars: the sum of its `Game.losses`."""
    return SampleLosses(game, sample)(players)


def expected_losses(game: Game, players: Any) -> Any:
    """The expected loss of each player, `Players` of scalars, as exact as the quadratures of `Game.draws`."""
    return total_losses(expected(game), players, ())


def gan(
    init: Callable[[PRNGKey], Players],
    generate: Callable[[Any, Any], Image],
    logit: Callable[[Any, Image], jax.Array],
    data: Distribution,
    latent: Distribution = distributions.uniform(),
    objective: Objective = losses.non_saturating,
    *,
    noise: jax.Array | float = 0.0,
    independent_latents: bool = False,
    packing: int = 1,
) -> Game:
    """A generator against a discriminator: any networks, any data, any latents.

        ℓ_real = ℓ(x + ς a),   ℓ_fake = ℓ(G(z) + ς b),   x ~ data,   z ~ latent,   a, b ~ N(0, I)

    Args:
      init: `key -> Players`, the starting parameters.
      generate: `(generator, latent) -> image`, for one latent.
      logit: `(discriminator, image) -> logit`, a scalar, for one image.
      data: the distribution of real images; `distributions.cyclic` or `resampled` make one from a data set.
      latent: the distribution of what the generator is given.
      objective: what the players minimize, as functions of the logits.
      noise: ς, the standard deviation of instance noise (Sønderby et al. 2017, arXiv:1610.04490). A number 0 draws no
        noise. See docs/bring_your_own.md#exact-losses for its quadrature.
      independent_latents: give G's own loss another latent than D's has, as independent minibatches do. By default both
        players see the same one, as in the tutorial.
      packing: how many images D judges at once, all real or all generated: `logit` gets them along a leading axis. Lin
        et al. 2018 (arXiv:1712.04086), section 3. By default it gets one image, without that axis. If G normalizes over
        a batch, each place of the packs is a batch of its own, as in their code.

    Raises:
      ValueError: `noise` is negative or not finite; data, latents or an objective that are none; a `packing` below 1,
        or above 1 where data or latents come in turn: the same few packs would come again and again, and a G whose
        points are independent could not match them.
    """
    check_function("init", init, "key")
    check_function("generate", generate, "generator", "latent")
    check_function("logit", logit, "discriminator", "image")
    check_kind("data", data, Distribution, "distributions.cyclic(images)")
    check_kind("latent", latent, Distribution, "distributions.uniform()")
    losses.check_objective(objective)
    check_number("noise, a standard deviation,", noise, 0)
    check_flag("independent_latents", independent_latents)
    if check_count("the packing", packing) > 1:
        for name, draw in (("data", data), ("latents", latent)):
            if draw.period > 1:
                raise ValueError(
                    f"the packing is {packing}, but the {name} come in turn, every {draw.period} draws the same, so "
                    "that a pack always holds the same neighbors: use random draws, by distributions.resampled or "
                    "stratified=False"
                )
        data, latent = distributions.packed(data, packing), distributions.packed(latent, packing)
        generate = jax.vmap(generate, in_axes=(None, 0))
    noisy = not (isinstance(noise, int | float) and noise == 0)
    normal = _normal_image(data) if noisy else None
    if normal and len(objective.discriminator) == 1 and sum(leaf.size for leaf in jax.tree.leaves(_image(normal))) > 1:
        normal = normal._replace(nodes=None)  # a term of pairs would need all pairs of the nodes of both noises
    draws = Sample(latent, latent if independent_latents else None, None, data, normal, normal)
    discriminate = partial(_discriminate, generate, logit, noise if noisy else None)
    return Game(
        init,
        draws,
        Players(
            generator=(partial(_gan_loss, objective.generator, discriminate, independent_latents),),
            discriminator=tuple(partial(_gan_loss, loss, discriminate, False) for loss in objective.discriminator),
        ),
        discriminate,
    )


def slanted_land(
    images: Image = None,
    objective: Objective = losses.non_saturating,
    *,
    latent: Distribution = distributions.uniform(),
    logit: Callable[[Any, Image], jax.Array] = networks.logit,
    noise: jax.Array | float = 0.0,
    independent_latents: bool = False,
) -> Game:
    """The tutorial's game: a generator of slanted faces, x = σ(w z + b), against a discriminator, ℓ = u·x + c.

    Args:
      images: the data set, a pytree of pixels with a leading axis; its structure is the structure of both networks. By
        default it is the tutorial's five faces with scalar leaves, `faces.unstack(faces.FACES)`.
      objective, latent, noise, independent_latents: those of `gan`.
      logit: D's logit; `penalties.spectral(networks.logit)` for spectral normalization.

    Raises:
      ValueError: images that `distributions.cyclic` refuses, or that are not squares of side 2 or more; the errors of
        `gan`.
    """
    images = faces.unstack(faces.FACES) if images is None else images
    if isinstance(images, Objective):
        raise ValueError("the images are an Objective: give it by its name, slanted_land(objective=...)")
    data = distributions.cyclic(images)
    faces.side_length(sum(int(np.prod(np.shape(leaf)[1:])) for leaf in jax.tree.leaves(images)))
    return gan(
        partial(_init_slanted, images),
        networks.generate,
        logit,
        data,
        latent,
        objective,
        noise=noise,
        independent_latents=independent_latents,
    )


def dirac(objective: Objective = losses.non_saturating, *, noise: jax.Array | float = 0.0) -> Game:
    """The Dirac-GAN: the data is the point 0, G is the point θ, D is ℓ(x) = ψ x; both parameters are scalars.

        ℓ_real = 0,   ℓ_fake = ψ θ      (with `noise` ς: ℓ_real = ψ ς a, ℓ_fake = ψ (θ + ς b))

    Mescheder, Geiger & Nowozin 2018 (arXiv:1801.04406), definition 2.1, where D has the opposite sign. Players start
    standard-normal.
    """
    return gan(
        lambda key: Players(*jax.random.normal(key, (2,))),
        lambda point, latent: point,
        lambda slope, image: slope * image,
        distributions.cyclic(np.zeros(1)),
        distributions.uniform(nodes=1),
        objective,
        noise=noise,
    )


def two_player(
    generator_loss: Callable[[Players], jax.Array],
    discriminator_loss: Callable[[Players], jax.Array],
    init: Callable[[PRNGKey], Players] = lambda key: Players(*jax.random.normal(key, (2,))),
) -> Game:
    """A game that draws nothing: each player minimizes its own loss of the `Players`, by default two scalars."""
    check_function("generator_loss", generator_loss, "players")
    check_function("discriminator_loss", discriminator_loss, "players")
    check_function("init", init, "key")
    return Game(
        init,
        draws=(),
        losses=Players((partial(_without_sample, generator_loss),), (partial(_without_sample, discriminator_loss),)),
    )


def bilinear() -> Game:
    """min over x, max over y of x y: L_G = x y, L_D = -x y, with scalar players x and y. Its equilibrium is (0, 0)."""
    return two_player(lambda p: p.generator * p.discriminator, lambda p: -p.generator * p.discriminator)


def quadratic(angle: ArrayLike) -> Game:
    """Two scalar players whose field is turned by `angle` φ: ξ = (cos φ x + sin φ y, cos φ y - sin φ x).

        L_G = ½ cos φ x² + sin φ x y,   L_D = ½ cos φ y² - sin φ x y

    J has the eigenvalues exp(±iφ).
    """
    check_number("the angle", angle)
    return two_player(
        lambda p: jnp.cos(angle) * p.generator**2 / 2 + jnp.sin(angle) * p.generator * p.discriminator,
        lambda p: jnp.cos(angle) * p.discriminator**2 / 2 - jnp.sin(angle) * p.generator * p.discriminator,
    )


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
    known = {"epsilon": lambda: distributions.uniform(), "penalty_noise": lambda: _normal_image(game.draws.real)}
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
    check_count("the size of the minibatch", size)
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


def _image(data: Distribution) -> Image:
    """An image of the data as shapes, without numbers."""
    return jax.eval_shape(data.sample, seeded_key(0), 0, 0)


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


def _normal_image(data: Distribution) -> Distribution:
    """A normal number for each of an image, and none for its labels."""
    known = but_labels(lambda leaf: np.zeros(leaf.shape), _image(data))
    return distributions.normal_like(
        jax.tree.map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else np.zeros(0), known)
    )


def _init_slanted(images: Image, key: PRNGKey) -> Players:
    return networks.init(key, jax.tree.map(lambda leaf: as_float(leaf)[0], images))


def _discriminate(
    generate: Callable[[Any, Any], Image],
    logit: Callable[[Any, Image], jax.Array],
    noise: jax.Array | float | None,
    players: Players,
    sample: Sample,
) -> tuple[Callable[[Image], jax.Array], PenaltyInputs]:
    check_kind("players", players, Players)
    real, fake = sample.real, generate(players.generator, sample.latent)
    if noise is not None:
        real, fake = (
            but_labels(lambda x, n: x + noise * n, image, normal)
            for image, normal in ((real, sample.real_noise), (fake, sample.fake_noise))
        )
    return partial(logit, players.discriminator), PenaltyInputs(real, fake, sample.epsilon, sample.penalty_noise)


def _gan_loss(
    loss: LogitLoss, discriminate: Callable[..., Any], independent: bool, players: Players, sample: Sample
) -> jax.Array:
    if independent:
        sample = sample._replace(latent=sample.generator_latent)
    logit, inputs = discriminate(players, sample)
    return loss(logit(inputs.real), logit(inputs.fake))


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


def _without_sample(loss: Callable[[Any], jax.Array], players: Any, sample: Any) -> jax.Array:
    del sample
    return loss(players)


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


def _loss_on(loss: Loss, sample: Any, players: Any, nothing: Any) -> jax.Array:
    del nothing
    return loss(players, as_floats(sample))


def _mean_loss(loss: Loss, players: Any, batch: Any) -> jax.Array:
    return jnp.mean(jax.vmap(partial(_scalar_loss, loss, players), axis_name=networks.BATCH)(batch))


def _scalar_loss(loss: Loss, players: Any, sample: Any) -> jax.Array:
    """`loss`, of which a sum over nodes or images would not show that it is no scalar."""
    return check_scalar("a loss", loss(players, sample))
