"""A game is data plus losses: what two players are, what one step shows them, what each minimizes.

A rule (how they move) and a run (for how long) know a game only through the functions of `Game`, so slanted land is
one game among others:

    bilinear       L_G = x y, L_D = -x y
    quadratic      a game turned from two separate minimizations to the bilinear one by an angle
    two_players    any two losses of the players
    gans           slanted land, the Dirac-GAN, any generator against any discriminator

Three functions make a game of a game: `penalized`, `expected` (no sampling, exact losses), and `in_turn` (the data one
after the other, the rest expected).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import faces
from slantgan_jax.faces import Image
from slantgan_jax.networks import Players
from slantgan_jax.penalties import Images, Penalty

Term = Callable[[Players, Any], jax.Array]
"""`(players, sample) -> loss`, a scalar: one summand of a player's loss."""


class Game(NamedTuple):
    """A two-player game, as pure functions.

    Attributes:
      init: `key -> Players`, the starting parameters.
      sample: `(key, step) -> sample`, what step number `step` sees.
      terms: for each player the tuple of terms whose sum it minimizes. The discriminator's are kept apart because
        the tutorial's rule takes one gradient step for each.
      support: `() -> factors`, the independent parts of a sample with their distributions, for `expectation`; the data
        first, if there are any.
      critic: `(players, sample) -> (logit, images)`, D as a function of one image and the images of a step, for
        penalties; None where the players judge no images.
    """

    init: Callable[[chex.PRNGKey], Players]
    sample: Callable[[chex.PRNGKey, ArrayLike], Any]
    terms: Players
    support: Callable[[], tuple["Factor", ...]]
    critic: Callable[[Players, Any], tuple[Callable[[Image], jax.Array], Images]] | None = None


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

    What depends on one factor only is evaluated once for each of its values, not for all combinations; so give it
    one term of a sum at a time.

    Args:
      function: of a sample, to a pytree of scalars.
      factors: as `Game.support` gives them.
      sample: the parts that are fixed already.
    """
    if not factors:
        return function(sample)
    (values, weights), *rest = factors

    def given(part: Any) -> Any:
        return expectation(function, tuple(rest), part if sample is None else _joined(sample, part))

    if len(weights) == 1:  # as below, in a fraction of the time that tracing takes
        return jax.tree.map(lambda result: weights[0] * result, given(jax.tree.map(lambda leaf: leaf[0], values)))
    return jax.tree.map(lambda result: jnp.sum(weights * result), jax.vmap(given)(values))


def expected_losses(game: Game, players: Players) -> Players:
    """Each player's expected loss, `Players` of scalars, as exact as the game's `support`.

    Cost on slanted land: 0.5 µs in a batch.
    """
    return losses_of(expected(game), players, ())


def latent_quadrature(nodes: int = LATENT_NODES) -> tuple[jax.Array, jax.Array]:
    """Nodes and weights `[nodes]` of the Gauss-Legendre rule on [0, 1]: E f(z) = Σ weight f(node)."""
    z, weights = np.polynomial.legendre.leggauss(nodes)
    return faces.floats((z + 1) / 2), faces.floats(weights / 2)


def normal_quadrature(image: Image) -> tuple[Image, jax.Array]:
    """A product of Gauss-Hermite rules for a standard-normal image: 64 nodes for one pixel, 8 each for up to four."""
    flat, unravel = ravel_pytree(image)
    if flat.size > 4:
        raise ValueError(
            f"instance noise on {flat.size} pixels has no exact expectation here: use at most 4, or sample it"
        )
    nodes, weights = np.polynomial.hermite_e.hermegauss(64 if flat.size == 1 else 8)
    points = np.stack(np.meshgrid(*[nodes] * flat.size, indexing="ij"), -1).reshape(-1, flat.size)
    chances = np.prod(np.stack(np.meshgrid(*[weights / weights.sum()] * flat.size, indexing="ij"), -1), -1).ravel()
    return jax.vmap(unravel)(faces.floats(points)), faces.floats(chances)


def two_players(
    generator_loss: Callable[[Players], jax.Array],
    discriminator_loss: Callable[[Players], jax.Array],
    init: Callable[[chex.PRNGKey], Players] = lambda key: Players(*jax.random.normal(key, (2,))),
) -> Game:
    """A game without data: each player minimizes its own loss of the `Players`, two scalars by default."""
    return Game(
        init,
        sample=lambda key, step: (),
        terms=Players((partial(_without_sample, generator_loss),), (partial(_without_sample, discriminator_loss),)),
        support=lambda: (),
    )


def bilinear() -> Game:
    """min over x, max over y of x y: L_G = x y, L_D = -x y, with scalar players x and y. Its equilibrium is (0, 0)."""
    return two_players(lambda p: p.generator * p.discriminator, lambda p: -p.generator * p.discriminator)


def quadratic(angle: ArrayLike) -> Game:
    """Two scalar players whose field is turned by `angle` φ: ξ = (cos φ x + sin φ y, cos φ y - sin φ x).

        L_G = ½ cos φ x² + sin φ x y,   L_D = ½ cos φ y² - sin φ x y

    J has the eigenvalues exp(±iφ): two separate minimizations at φ = 0, the bilinear game at π/2, repelling beyond.
    """
    return two_players(
        lambda p: jnp.cos(angle) * p.generator**2 / 2 + jnp.sin(angle) * p.generator * p.discriminator,
        lambda p: jnp.cos(angle) * p.discriminator**2 / 2 - jnp.sin(angle) * p.generator * p.discriminator,
    )


def penalized(game: Game, *added: Penalty) -> Game:
    """`game` with penalties added to D's loss, to the last of its terms: in the tutorial's order that of the fake.

    Raises:
      ValueError: the game has no images, real or generated, at which a penalty could be taken.
    """
    critic = game.critic
    if critic is None:
        raise ValueError(
            "a penalty is taken at real and generated images, but this game has none: penalize slanted_land, dirac or "
            "a game made by games.gan, before `expected`, or add a term of your own to two_players"
        )
    *others, last = game.terms.discriminator
    return game._replace(
        terms=game.terms._replace(discriminator=(*others, jax.jit(partial(_penalized_term, last, critic, added))))
    )


def expected(game: Game) -> Game:
    """`game` without sampling: each term is its expectation, as exact as `support`; "full batch"."""
    return game._replace(
        sample=lambda key, step: (),
        terms=Players(*(tuple(jax.jit(partial(_expected_term, game, term)) for term in own) for own in game.terms)),
        support=lambda: (),
        critic=None,
    )


def in_turn(game: Game) -> Game:
    """`game` with its data one after the other, item t mod count at step t, and the expectation over all else.

    The order of the data without the noise of the latents: count steps are an epoch, a deterministic map.

    Raises:
      ValueError: the game has no data.
    """
    if not (factors := game.support()):
        raise ValueError("the game has no data to take in turn: use games.expected")
    data, *others = factors
    count = data.weights.size
    return game._replace(
        sample=lambda key, step: jax.tree.map(lambda leaf: leaf[jnp.asarray(step) % count], data.values),
        terms=Players(
            *(tuple(jax.jit(partial(_given_data_term, term, tuple(others))) for term in own) for own in game.terms)
        ),
        support=lambda: (data,),
        critic=None,
    )


def _joined(one: Any, other: Any) -> Any:
    """Two parts of a sample (NamedTuples of the same fields) as one."""
    if one is None or other is None:
        return other if one is None else one
    return type(one)(*map(_joined, one, other))


def _without_sample(loss: Callable[[Players], jax.Array], players: Players, sample: Any) -> jax.Array:
    del sample
    return loss(players)


def _penalized_term(term: Term, critic: Callable[..., Any], added: tuple[Penalty, ...], players: Players, sample: Any):
    return term(players, sample) + sum(penalty(*critic(players, sample)) for penalty in added)


def _given_data_term(term: Term, others: tuple[Factor, ...], players: Players, sample: Any) -> jax.Array:
    return expectation(partial(term, players), others, sample)


def _expected_term(game: Game, term: Term, players: Players, sample: Any) -> jax.Array:
    del sample
    return expectation(partial(term, players), game.support())
