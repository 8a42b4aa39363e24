"""Games of a generator against a discriminator, on data: slanted land, the Dirac-GAN, and any networks of yours.

A sample holds all that a step may draw; its latent is the contract of `streams`, and what else a game uses (noise,
mixing weights, a second latent) comes from further streams.
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
from slantgan_jax.games import LATENT_NODES, Factor, Game, latent_quadrature, normal_quadrature
from slantgan_jax.losses import LogitLoss, Objective
from slantgan_jax.networks import Discriminator, Generator, Players
from slantgan_jax.penalties import Images


class Noise(NamedTuple):
    """Standard-normal images: for the `real` image, for the `fake` one, and for a penalty's `point`."""

    real: Image
    fake: Image
    point: Image


class Sample(NamedTuple):
    """What one step of a GAN sees; what a game does not use costs nothing, the compiler drops it.

    Attributes:
      real: a real image.
      latent: the scalar z of the generated image.
      fresh: another z, which G's own loss has instead where a game asks for it.
      mix: ε ~ U(0, 1), for penalties.
      noise: `Noise`, for instance noise and penalties.
    """

    real: Image
    latent: Any
    fresh: Any = None
    mix: Any = None
    noise: Any = None


def gan(
    init: Callable[[chex.PRNGKey], Players],
    images: Image,
    generate: Callable[[Any, Any], Image],
    logit: Callable[[Any, Image], jax.Array],
    objective: Objective,
    *,
    noise: jax.Array | float = 0.0,
    fresh_latent: bool = False,
    nodes: int = LATENT_NODES,
) -> Game:
    """A generator against a discriminator: any networks, any data.

        ℓ_real = ℓ(x + ς a),   ℓ_fake = ℓ(G(z) + ς b),   z ~ U(0, 1),   a, b ~ N(0, I),   step t sees image t mod count

    Args:
      init: `key -> Players`.
      images: the data, a pytree of pixels with a leading axis.
      generate: `(generator, latent) -> image`.
      logit: `(discriminator, image) -> logit`, a scalar.
      objective: what the players minimize, as functions of the logits.
      noise: ς, the standard deviation of instance noise, which both images get before D sees them (Sønderby et al.
        2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862).
      fresh_latent: give G's own loss another latent than D's has, as independent minibatches do. The tutorial shares.
      nodes: Gauss-Legendre nodes of the latent in `support`.

    `support` is exact for logits affine in the image: of what penalties draw it has one point, since an affine logit
    has one gradient; of instance noise, a product of Gauss-Hermite rules over at most four pixels.

    Raises:
      ValueError: no images, leaves of different lengths, negative noise; from `support`, noise on more than 4 pixels,
        or on more than one with an objective that compares pairs.
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(images)]
    if not shapes or any(len(shape) == 0 for shape in shapes) or len({s[0] for s in shapes}) > 1 or shapes[0][0] == 0:
        raise ValueError(
            f"images have leaves of shapes {shapes}: every leaf needs the same leading axis, one entry an image"
        )
    if isinstance(noise, int | float) and not noise >= 0:
        raise ValueError(f"noise is {noise}: a standard deviation is not negative")
    noisy = not (isinstance(noise, int | float) and noise == 0)
    critic = partial(_critic, generate, logit, noise if noisy else None)
    return Game(
        init=init,
        sample=partial(_sample, images, shapes[0][0]),
        terms=Players(
            generator=(jax.jit(partial(_term, objective.generator, critic, fresh_latent)),),
            discriminator=tuple(jax.jit(partial(_term, loss, critic, False)) for loss in objective.discriminator),
        ),
        support=partial(_support, images, shapes[0][0], nodes, noisy, fresh_latent, len(objective.discriminator) == 1),
        critic=critic,
    )


def slanted_land(
    images: Image = None,
    objective: Objective = losses.non_saturating,
    *,
    logit: Callable[[Any, Image], jax.Array] = networks.logit,
    noise: jax.Array | float = 0.0,
    fresh_latent: bool = False,
    nodes: int = LATENT_NODES,
) -> Game:
    """The tutorial's game: a generator of slanted faces, x = σ(w z + b), against a discriminator, ℓ = u·x + c.

    Args:
      images: the data set, a pytree of pixels with a leading axis; its structure is the structure of both networks.
        By default the tutorial's five faces with scalar leaves, `faces.pixels(faces.FACES)`.
      objective, noise, fresh_latent, nodes: see `gan`.
      logit: D's; `penalties.spectral(networks.logit)` for spectral normalization.

    Raises:
      ValueError: what `gan` raises; images that are not squares of side 2 or more.
    """
    images = faces.pixels(faces.FACES) if images is None else images
    game = gan(
        partial(_init, images), images, networks.generate, logit, objective,
        noise=noise, fresh_latent=fresh_latent, nodes=nodes,
    )  # fmt: skip
    faces.side_of(sum(int(np.prod(np.shape(leaf)[1:])) for leaf in jax.tree.leaves(images)))
    return game


def dirac(objective: Objective = losses.non_saturating, *, noise: jax.Array | float = 0.0) -> Game:
    """The Dirac-GAN: the data is the point 0, G is the point θ, D is ℓ(x) = ψ x; both parameters are scalars.

        ℓ_real = 0,   ℓ_fake = ψ θ      (with `noise`: ψ ς a and ψ (θ + ς b))

    Mescheder, Geiger & Nowozin 2018 (arXiv:1801.04406), definition 2.1, with f(t) = -s(-t), f'(0) = ½ for the logistic
    losses, and a D of the opposite sign, which leaves f'(0)² and so all eigenvalues. Players start standard-normal.
    """
    return gan(
        lambda key: Players(*jax.random.normal(key, (2,))),
        np.zeros(1),
        lambda point, latent: point,
        lambda slope, image: slope * image,
        objective,
        noise=noise,
        nodes=1,
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
    return Sample(real, *_draws(real, key, step))


@jax.jit
def _draws(image: Image, key: chex.PRNGKey, step: ArrayLike) -> tuple[Any, ...]:
    """The random parts of a sample, each from streams of its own: z, z', ε, then three numbers for each pixel."""
    noise = Noise(*(_normal_image(image, key, step, first) for first in (3, 4, 5)))
    return (*(streams.latent(key, step, stream) for stream in range(3)), noise)


def _normal_image(image: Image, key: chex.PRNGKey, step: ArrayLike, first: int) -> Image:
    leaves, structure = jax.tree.flatten(image)
    starts = np.cumsum([0, *(leaf.size for leaf in leaves)])
    numbers = (
        first + 3 * (start + np.arange(x.size).reshape(x.shape)) for start, x in zip(starts, leaves, strict=False)
    )
    return jax.tree.unflatten(structure, [streams.normal(key, step, number) for number in numbers])


def _support(
    images: Image, count: int, nodes: int, noisy: bool, fresh_latent: bool, paired: bool
) -> tuple[Factor, ...]:
    images = jax.tree.map(faces.floats, images)
    if noisy and paired and sum(leaf[0].size for leaf in jax.tree.leaves(images)) > 1:
        raise ValueError(
            "the exact expectation of a paired loss with instance noise has too many combinations: sample it"
        )
    latents, weights = latent_quadrature(nodes)
    image = jax.tree.map(lambda leaf: leaf[0], images)
    points, chances = normal_quadrature(image) if noisy else (None, None)
    one, zero = jnp.ones(1), jax.tree.map(lambda pixel: 0 * pixel[None], image)
    factors = [
        (Sample(images, None), jnp.full(count, 1 / count)),
        (Sample(None, latents), weights),
        (Sample(None, None, fresh=latents), weights) if fresh_latent else None,
        (Sample(None, None, mix=one / 2, noise=Noise(None, None, zero)), one),
        (Sample(None, None, noise=Noise(points, None, None)), chances) if noisy else None,
        (Sample(None, None, noise=Noise(None, points, None)), chances) if noisy else None,
    ]
    return tuple(Factor(*factor) for factor in factors if factor)


def _given_players(players: Players, key: chex.PRNGKey) -> Players:
    del key
    return jax.tree.map(faces.floats, players)


def _given_latent(game: Game, latents: chex.Array, key: chex.PRNGKey, step: ArrayLike) -> Sample:
    return game.sample(key, step)._replace(latent=faces.floats(latents)[step])


def _critic(
    generate: Callable[[Any, Any], Image],
    logit: Callable[[Any, Image], jax.Array],
    noise: jax.Array | float | None,
    players: Players,
    sample: Sample,
) -> tuple[Callable[[Image], jax.Array], Images]:
    real, fake = sample.real, generate(players.generator, sample.latent)
    if noise is not None:
        real, fake = (
            jax.tree.map(lambda x, n: x + noise * n, image, normal)
            for image, normal in ((real, sample.noise.real), (fake, sample.noise.fake))
        )
    images = Images(real, fake, sample.mix, None if sample.noise is None else sample.noise.point)
    return partial(logit, players.discriminator), images


def _term(
    loss: LogitLoss, critic: Callable[..., Any], fresh_latent: bool, players: Players, sample: Sample
) -> jax.Array:
    if fresh_latent:
        sample = sample._replace(latent=sample.fresh)
    logit, images = critic(players, sample)
    return loss(logit(images.real), logit(images.fake))
