"""The networks: the tutorial's generator and discriminator of one layer, and perceptrons of any size.

    generator      x_i = σ(w_i z + b_i)          one scalar latent z, one pixel x_i for each i
    discriminator  D(x) = σ(ℓ),  ℓ = u·x + c     the logit ℓ of "this is a face"

Both act on a pytree of pixels (see `faces`). Networks exchange logits, never probabilities.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax import faces
from slantgan_jax.checks import (
    check_count,
    check_flag,
    check_function,
    check_key,
    check_kind,
    check_number,
    is_numeric,
    shown,
)
from slantgan_jax.numerics import as_float, at_least_single, floating, native
from slantgan_jax.types import Image, Players, PRNGKey


class Network(NamedTuple):
    """A network as two pure functions. The pairs of flax (`module.init`, `module.apply`) and of haiku fit, too.

    Attributes:
      init: `key -> parameters`.
      apply: `(parameters, input) -> output`, for one input.
    """

    init: Callable[[PRNGKey], Any]
    apply: Callable[[Any, Any], Any]


class Layer(NamedTuple):
    """Parameters of one layer of `mlp`: `weights` `[outputs, inputs]` and `biases` `[outputs]`."""

    weights: jax.Array
    biases: jax.Array


Initializer = Callable[..., Any]
"""`(key, (inputs, outputs), dtype) -> weights` `[inputs, outputs]`, or a pair of them and biases `[outputs]`. Those of
`jax.nn.initializers` fit."""

BATCH = "batch"
"""The name of the axis of the samples of a minibatch."""


def mlp(
    *sizes: int,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
    init: Initializer = jax.nn.initializers.glorot_uniform(),
    batch_norm: bool = False,
) -> Network:
    """A multilayer perceptron: h ← f(W h + b) for each hidden layer, and W h + b for the last.

    Args:
      sizes: how many numbers go in, how many each hidden layer has, how many come out: `mlp(16, 64, 64, 2)`.
      activation: f.
      init: of the layers, for instance one of `INITIALIZERS`. Biases are 0 unless it draws them.
      batch_norm: whether hidden layers are h ← f(normalized(W h) + b), see `normalized`.

    Returns:
      A `Network`: its parameters are a tuple of `Layer`s, and it maps `[sizes[0]]` to `[sizes[-1]]`.

    Raises:
      ValueError: fewer than two sizes, or a size below 1; when applied, an input of another shape, or a batch
        normalization outside of a batch.
    """
    if len(sizes) < 2:
        raise ValueError(f"the sizes of the layers are {shown(sizes)}: give two or more")
    sizes = tuple(check_count("one of the sizes of the layers", size) for size in sizes)
    check_flag("batch_norm", batch_norm)
    check_function("activation", activation, "numbers")
    check_function("init", init, "key", "shape", "dtype")
    return Network(
        init=lambda key: _layers(init, sizes, key),
        apply=lambda layers, inputs: _perceptron(activation, batch_norm, layers, inputs),
    )


def normalized(values: jax.Array, epsilon: float = 1e-3) -> jax.Array:
    """(h - E h) / √(Var h + ε) over the batch that is mapped: batch normalization, without a scale.

    The statistics are those of the images that are judged or generated together: D normalizes real and generated images
    apart. Ioffe & Szegedy 2015 (arXiv:1502.03167), algorithm 1. Their scale γ is left out; before a ReLU, the weights
    of the next layer can do the same. Map with `jax.vmap(..., axis_name=BATCH)` outside of `games.minibatch`.

    In a D that normalizes, an image changes the logits of the whole batch. The slope of which `penalties` take the norm
    is then that of the sum of these logits, Σ_j ∂ℓ_j/∂x_i, as in programs in PyTorch that differentiate the sum.

    Raises:
      ValueError: there is no axis of this name, or it has one image, which would become 0.
    """
    try:
        images = jax.lax.psum(1, BATCH)
    except NameError:
        raise ValueError(
            "batch normalization has no batch here: use games.minibatch, or jax.vmap(..., axis_name=networks.BATCH)"
        ) from None
    if images == 1:
        raise ValueError("a batch of one image cannot be normalized, as it would become 0: take a larger one")
    wide = at_least_single(values)
    centered = wide - jax.lax.pmean(wide, BATCH)
    return (centered / jnp.sqrt(jax.lax.pmean(centered**2, BATCH) + epsilon)).astype(floating(values).dtype)


def pytorch_linear(key: PRNGKey, shape: tuple[int, int], dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Weights and biases ~ U(-1/√inputs, 1/√inputs): what `torch.nn.Linear` starts with."""
    weights, biases = jax.random.split(key)
    bound = shape[0] ** -0.5
    return (
        jax.random.uniform(weights, shape, dtype, -bound, bound),
        jax.random.uniform(biases, shape[1:], dtype, -bound, bound),
    )


def haiku_linear(key: PRNGKey, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """Weights N(0, 1/inputs) cut off at two deviations, not scaled up again: what `haiku.Linear` starts with."""
    return jax.nn.initializers.truncated_normal(shape[0] ** -0.5)(key, shape, dtype)


def orthogonal(scale: float = 1.0) -> Initializer:
    """Weights W with W Wᵀ or Wᵀ W = `scale`² I, as `jax.nn.initializers.orthogonal` draws them.

    Under `jax.vmap` one network is drawn after the other: jaxlib 0.10 can wait for ever if it draws the layers of many
    networks at once, see docs/sweeps.md#what-a-run-may-contain.

    Raises:
      ValueError: `scale` is no finite number.
    """
    check_number("the scale of orthogonal weights", scale)
    init = jax.nn.initializers.orthogonal(scale)
    return lambda key, shape, dtype=float: sequential_vmap(partial(init, shape=shape, dtype=dtype))(key)


INITIALIZERS: dict[str, Initializer] = {
    "Xavier uniform": jax.nn.initializers.glorot_uniform(),
    "Xavier normal": jax.nn.initializers.variance_scaling(1.0, "fan_avg", "normal"),
    "He uniform": jax.nn.initializers.he_uniform(),
    "He normal": jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
    "orthogonal": orthogonal(),
    "orthogonal, gain 0.8": orthogonal(0.8),
    "normal, deviation 0.02": jax.nn.initializers.normal(0.02),
    "PyTorch": pytorch_linear,
    "Keras": jax.nn.initializers.glorot_uniform(),
    "Haiku": haiku_linear,
}
"""Initializers by name. Xavier: Glorot & Bengio 2010, eq. 16 and variance 2/(inputs + outputs). He: He et al. 2015
(arXiv:1502.01852), eq. 10, variance 2/inputs. Orthogonal: Saxe et al. 2014 (arXiv:1312.6120). The last three are what
dense layers of these libraries start with; Keras' is Xavier uniform."""


class Generator(NamedTuple):
    """Parameters of `generate`: `weights` w and `biases` b, each an image."""

    weights: Image
    biases: Image


class Discriminator(NamedTuple):
    """Parameters of `logit`: `weights` u, an image, and the scalar `bias` c."""

    weights: Image
    bias: ArrayLike


def init(key: PRNGKey, image: Image) -> Players:
    """Standard-normal parameters for images like `image` (an example, whose values do not matter).

    The numbers are `jax.random.normal(key, (3 * pixels + 1,))`, read in the tutorial's order: u, c, w, b.
    """
    image = jax.tree.map(native, image)
    leaves = jax.tree.leaves(image)
    if not leaves or not all(map(is_numeric, leaves)) or not jnp.issubdtype(jnp.result_type(*leaves), jnp.floating):
        raise ValueError(f"the image is {shown(image)}: give one of floats, as the data are")
    flat, unravel = ravel_pytree(image)
    count = flat.size
    u, c, w, b = jnp.split(
        jax.random.normal(check_key(key), (3 * count + 1,), flat.dtype), [count, count + 1, 2 * count + 1]
    )
    return Players(Generator(unravel(w), unravel(b)), Discriminator(unravel(u), c[0]))


def to_vector(players: Players) -> jax.Array:
    """All parameters of both players as one array `[3 pixels + 1]`, in the order of `jax.tree.leaves`: w, b, u, c."""
    check_kind("players", players, Players)
    return ravel_pytree(jax.tree.map(floating, players))[0]


def from_vector(numbers: ArrayLike, *, stacked: bool = False) -> Players:
    """The players of which `to_vector` makes `numbers` `[3 pixels + 1]`.

    Args:
      numbers: w, b, u, c.
      stacked: whether images are arrays `[pixels]`; by default they are tuples of scalar leaves (see `faces`).

    Raises:
      ValueError: not a vector of 3 pixels + 1 numbers.
    """
    check_flag("stacked", stacked)
    numbers = as_float(numbers, "numbers") if not is_numeric(numbers) else jnp.asarray(native(numbers))
    if numbers.ndim != 1 or numbers.size < 4 or numbers.size % 3 != 1:
        raise ValueError(f"numbers of shape {numbers.shape} are no players: give one vector of 3 pixels + 1 numbers")
    pixels = numbers.size // 3
    *images, c = jnp.split(numbers, [pixels, 2 * pixels, 3 * pixels])
    w, b, u = images if stacked else map(faces.unstack, images)
    return Players(Generator(w, b), Discriminator(u, c[0]))


def check_generator(generator: Any, *data: Image) -> None:
    """Raises `ValueError` unless `generator` is one, and each of the `data` is a data set of what it generates."""
    check_kind("generator", generator, Generator)
    weights, biases = (jax.tree.map(np.shape, leaf) for leaf in generator)
    if weights != biases or not all(map(is_numeric, jax.tree.leaves(generator))):
        raise ValueError(
            f"the generator has weights {shown(weights)} and biases {shown(biases)}: give numbers of the same shapes"
        )
    for images in data:
        faces.check_images(images, generator.weights)


def pixel_scores(generator: Generator, latent: ArrayLike) -> Image:
    """The generator's scores w z + b, pixel by pixel, for one scalar `latent` z."""
    check_generator(generator)
    if not is_numeric(latent) or np.ndim(latent) != 0:
        raise ValueError(f"the latent is {shown(latent)}: give one scalar, and map over more with jax.vmap")
    (weights, biases), latent = jax.tree.map(floating, (generator, latent))
    return jax.tree.map(lambda w, b: w * latent + b, weights, biases)


def generate(generator: Generator, latent: ArrayLike) -> Image:
    """The generator: x = σ(w z + b), pixel by pixel, for one scalar `latent` z."""
    return jax.tree.map(jax.nn.sigmoid, pixel_scores(generator, latent))


def logit(discriminator: Discriminator, image: Image) -> jax.Array:
    """The discriminator's logit: ℓ = u·x + c, a scalar; D(x) = σ(ℓ), "a face" where ℓ > 0.

    Raises:
      ValueError: `image` does not have the structure and shapes of the weights.
    """
    check_kind("discriminator", discriminator, Discriminator)
    weights = discriminator.weights
    if not is_numeric(discriminator.bias):
        raise ValueError(f"the bias of the discriminator is {shown(discriminator.bias)}: give a number")
    if jax.tree.map(jnp.shape, weights) != jax.tree.map(jnp.shape, image):
        raise ValueError(
            f"the discriminator reads images of shape {shown(jax.tree.map(jnp.shape, weights))}, "
            f"got {shown(jax.tree.map(jnp.shape, image))}: use one form (faces.unstack or arrays) and one side for both"
        )
    products = jax.tree.map(lambda u, x: jnp.sum(floating(u) * floating(x)), weights, image)
    return jax.tree.reduce(jnp.add, products) + floating(discriminator.bias)


def _layers(init: Initializer, sizes: tuple[int, ...], key: PRNGKey) -> tuple[Layer, ...]:
    keys, dtype, layers = jax.random.split(check_key(key), len(sizes) - 1), as_float(0).dtype, []
    for own, shape in zip(keys, itertools.pairwise(sizes), strict=True):
        drawn = init(own, shape, dtype)
        weights, biases = drawn if isinstance(drawn, tuple) else (drawn, jnp.zeros(shape[1], dtype))
        weights = as_float(weights, "what init returns", "inputs", "outputs")
        biases = as_float(biases, "what init returns as biases")
        if weights.shape != shape or biases.shape != shape[1:]:
            shapes = weights.shape, biases.shape
            raise ValueError(f"init returns weights and biases of shapes {shapes}: return {shape} and {shape[1:]}")
        layers.append(Layer(weights.T, biases))
    return tuple(layers)


def _perceptron(
    activation: Callable[[jax.Array], jax.Array], batch_norm: bool, layers: tuple[Layer, ...], inputs: ArrayLike
) -> jax.Array:
    if not isinstance(layers, tuple) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise ValueError(f"the parameters are {shown(layers)}: give what the network's init makes")
    if not is_numeric(inputs) or np.shape(inputs) != layers[0].weights.shape[1:]:
        raise ValueError(
            f"the network takes an input of shape {layers[0].weights.shape[1:]}, got {shown(inputs)} of shape "
            f"{np.shape(inputs)}: give one input, and map over a batch with jax.vmap"
        )
    layers, inputs = jax.tree.map(native, (layers, inputs))
    values = jnp.asarray(inputs)
    for layer in layers[:-1]:
        values = _product(values, layer.weights)
        values = activation((normalized(values) if batch_norm else values) + layer.biases)
    return _product(values, layers[-1].weights) + layers[-1].biases


def _product(values: jax.Array, weights: jax.Array) -> jax.Array:
    """W h. In this order a batch stays a matrix of rows, whose sums are vectorized on CPUs."""
    # GPUs would round the factors to the 10 bits of TF32 by default: one layer was wrong by 8e-4 of its size.
    return jnp.matmul(values, weights.T, precision=jax.lax.Precision.HIGHEST)
