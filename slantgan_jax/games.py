"""A game is data plus losses: what two players are, what one step shows them, what each minimizes.

A rule (how they move) and a run (for how long) know a game only through the four functions of `Game`, so
slanted land is one game among others.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from slantgan_jax import faces, losses, networks, streams
from slantgan_jax.faces import Image
from slantgan_jax.losses import LogitLoss, Objective
from slantgan_jax.networks import Discriminator, Generator, Players


class Sample(NamedTuple):
    """What one step sees of slanted land: a `real` image and one scalar `latent`."""

    real: Image
    latent: Any


Term = Callable[[Players, Any], jax.Array]
"""`(players, sample) -> loss`, a scalar: one summand of a player's loss."""


class Game(NamedTuple):
    """A two-player game, as pure functions.

    Attributes:
      init: `key -> Players`, the starting parameters.
      sample: `(key, step) -> sample`, what step number `step` sees.
      terms: for each player the tuple of terms whose sum it minimizes. The discriminator's are kept apart because
        the tutorial's rule takes one gradient step for each.
      support: `() -> factors`, the independent parts of a sample with their distributions, for `expectation`.
    """

    init: Callable[[chex.PRNGKey], Players]
    sample: Callable[[chex.PRNGKey, ArrayLike], Any]
    terms: Players
    support: Callable[[], tuple["Factor", ...]]


class Factor(NamedTuple):
    """One independent part of a sample: `values` with a leading axis, None where another part has the value, and their
    `weights` `[n]`, which sum to 1."""

    values: Any
    weights: jax.Array


LATENT_NODES = 20
"""Gauss-Legendre nodes for z ~ U(0, 1). Of E σ(w z + b) they give all digits of float64 for |w| up to 5, and an error
of at most 2e-11 at 10, 2e-6 at 20, 2e-3 at 50: a steep generator is nearly a step, which no such rule integrates well.
"""


def losses_of(game: Game, players: Players, sample: Any) -> Players:
    """Each player's own loss on one sample, `Players` of scalars: the sum of its terms."""
    return Players(*(sum(term(players, sample) for term in terms) for terms in game.terms))


def expectation(function: Callable[[Any], Any], factors: tuple[Factor, ...], sample: Any = None) -> Any:
    """E `function(sample)` over the product of independent `factors`, exact to rounding for smooth functions.

    What depends on one factor only is evaluated once for each of its values, not for all combinations.

    Args:
      function: of a sample, to a pytree of scalars.
      factors: as `Game.support` gives them.
      sample: the parts that are fixed already.
    """
    if not factors:
        return function(sample)
    (values, weights), *rest = factors
    each = jax.vmap(lambda part: expectation(function, tuple(rest), part if sample is None else _joined(sample, part)))
    return jax.tree.map(lambda result: jnp.sum(weights * result), each(values))


def expected_losses(game: Game, players: Players) -> Players:
    """Each player's expected loss, `Players` of scalars, as exact as the game's `support`."""
    return expectation(partial(losses_of, game, players), game.support())


def latent_quadrature(nodes: int = LATENT_NODES) -> tuple[jax.Array, jax.Array]:
    """Nodes and weights `[nodes]` of the Gauss-Legendre rule on [0, 1]: E f(z) = Σ weight f(node)."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return faces.floats((points + 1) / 2), faces.floats(weights / 2)


def slanted_land(images: Image = None, objective: Objective = losses.non_saturating) -> Game:
    """The tutorial's game: a generator of slanted faces against a discriminator.

        ℓ_real = u·x + c,   ℓ_fake = u·G(z) + c,   z ~ U(0, 1),   step t sees image t mod count

    Args:
      images: the data set, a pytree of pixels with a leading axis; its structure is the structure of both networks.
        By default the tutorial's five faces with scalar leaves, `faces.pixels(faces.FACES)`.
      objective: what the players minimize, as functions of the logits.

    Raises:
      ValueError: no images, images that are not squares of side 2 or more, leaves of different lengths.
    """
    images = faces.pixels(faces.FACES) if images is None else images
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(images)]
    if (
        not shapes
        or any(len(shape) == 0 for shape in shapes)
        or len({shape[0] for shape in shapes}) > 1
        or shapes[0][0] == 0
    ):
        raise ValueError(
            f"images have leaves of shapes {shapes}: every leaf needs the same leading axis, one entry an image"
        )
    faces.side_of(sum(int(np.prod(shape[1:])) for shape in shapes))
    return Game(
        init=partial(_init, images),
        sample=partial(_sample, images, shapes[0][0]),
        terms=Players(
            generator=(jax.jit(partial(_term, objective.generator)),),
            discriminator=tuple(jax.jit(partial(_term, loss)) for loss in objective.discriminator),
        ),
        support=partial(_support, images, shapes[0][0]),
    )


def replay(game: Game, players: Players, latents: chex.Array) -> Game:
    """`game` with its randomness replaced: it starts at `players`, and step t sees the latent `latents[t]`."""
    return game._replace(init=partial(_given_players, players), sample=partial(_given_latent, game, latents))


def article_players(stream: streams.ArticleStream) -> Players:
    """The article's starting parameters, with scalar leaves."""
    return Players(
        Generator(faces.pixels(stream.generator_weights), faces.pixels(stream.generator_biases)),
        Discriminator(faces.pixels(stream.discriminator_weights), stream.discriminator_bias),
    )


def _init(images: Image, key: chex.PRNGKey) -> Players:
    return networks.init(key, jax.tree.map(lambda leaf: faces.floats(leaf)[0], images))


def _sample(images: Image, count: int, key: chex.PRNGKey, step: ArrayLike) -> Sample:
    real = jax.tree.map(lambda leaf: faces.floats(leaf)[jnp.asarray(step) % count], images)
    return Sample(real, streams.latent(key, step))


def _support(images: Image, count: int) -> tuple[Factor, ...]:
    latents, weights = latent_quadrature()
    return (
        Factor(Sample(jax.tree.map(faces.floats, images), None), jnp.full(count, 1 / count)),
        Factor(Sample(None, latents), weights),
    )


def _joined(one: Any, other: Any) -> Any:
    """Two parts of a sample (NamedTuples of the same fields) as one."""
    return type(one)(*(b if a is None else a for a, b in zip(one, other, strict=True)))


def _given_players(players: Players, key: chex.PRNGKey) -> Players:
    del key
    return jax.tree.map(faces.floats, players)


def _given_latent(game: Game, latents: chex.Array, key: chex.PRNGKey, step: ArrayLike) -> Sample:
    return game.sample(key, step)._replace(latent=faces.floats(latents)[step])


def _term(loss: LogitLoss, players: Players, sample: Sample) -> jax.Array:
    fake = networks.generate(players.generator, sample.latent)
    return loss(networks.logit(players.discriminator, sample.real), networks.logit(players.discriminator, fake))
