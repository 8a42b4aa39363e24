"""The games of images, from any networks and data, and the games of two numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from slantgan_jax import distributions, faces, losses, networks
from slantgan_jax.checks import check_count, check_flag, check_function, check_kind, check_number
from slantgan_jax.distributions import Distribution
from slantgan_jax.games._game import Game, Sample
from slantgan_jax.losses import LogitLoss, Objective
from slantgan_jax.numerics import as_float, but_labels, seeded_key
from slantgan_jax.penalties import PenaltyInputs
from slantgan_jax.types import Image, Players, PRNGKey


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
    packing = check_count("the packing", packing)
    if packing > 1:
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
    normal = normal_image(data) if noisy else None
    if (
        normal
        and len(objective.discriminator) == 1
        and sum(leaf.size for leaf in jax.tree.leaves(image_of(normal))) > 1
    ):
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
    cos, sin = (lambda: jnp.cos(as_float(angle))), (lambda: jnp.sin(as_float(angle)))  # in the precision of the trace
    return two_player(
        lambda p: cos() * p.generator**2 / 2 + sin() * p.generator * p.discriminator,
        lambda p: cos() * p.discriminator**2 / 2 - sin() * p.generator * p.discriminator,
    )


def image_of(data: Distribution) -> Image:
    """An image of the data as shapes, without numbers."""
    return jax.eval_shape(data.sample, seeded_key(0), 0, 0)


def normal_image(data: Distribution) -> Distribution:
    """A normal number for each of an image, and none for its labels."""
    known = but_labels(lambda leaf: np.zeros(leaf.shape), image_of(data))
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


def _without_sample(loss: Callable[[Any], jax.Array], players: Any, sample: Any) -> jax.Array:
    del sample
    return loss(players)
