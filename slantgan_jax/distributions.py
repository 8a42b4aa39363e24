"""Distributions: what a step draws. Data, latents, instance noise and mixing weights all are distributions.

`sample(key, step, stream)` is the draw of step number `step`. The same counter gives the same draw, however a run is
chunked, mapped, sharded or resumed. `stream` separates the draws of one game from each other: draw number i of a game
has stream i. See docs/bring_your_own.md#distributions-data-latents-and-replays.

**The contract of the latents**, tested: with `key_init, key_latent = jax.random.split(key)`, the draws of `uniform()`
in stream 0 are exactly `jax.random.uniform(key_latent, (steps,))`. See
docs/performance.md#how-the-code-is-written-for-this.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from slantgan_jax.checks import check_count, check_function, check_key, check_kind, is_numeric, shown
from slantgan_jax.numerics import as_float, but_labels, native, seeded_key, squared_norm
from slantgan_jax.types import Image, PRNGKey

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
KEY_PARITY = 0x1BD11BDA

UNIFORM_NODES = 20
"""Gauss-Legendre nodes for z ~ U(0, 1). docs/theory/distances.md has their errors for steep generators."""

FEW_NUMBERS = 4
"""Arrays of at most this many normal numbers are drawn number by number."""

MAX_DRAWS = 2**32
"""The number of draws of a distribution: steps are counted in 32 bits."""

NORMAL_NODES = 8, 64
"""Gauss-Hermite nodes for each of up to four normal numbers, and for a single one."""


class Modes(NamedTuple):
    """The known modes of a mixture of k normal distributions with one common deviation.

    Attributes:
      centers: `[k, d]`, the means, in the units of the points.
      weights: `[k]`, the probabilities of the modes; they sum to 1.
      deviation: σ, a scalar: each coordinate of a point is normal around the center of its mode with this deviation.
    """

    centers: jax.Array | np.ndarray
    weights: jax.Array | np.ndarray
    deviation: ArrayLike


class Distribution(NamedTuple):
    """A random variable: its draws by counter and what is known of it.

    Attributes:
      sample: `(key, step, stream) -> value`, one draw. `key` is one typed key; `step` and `stream` count from 0.
      nodes: `() -> (values, weights)` with E f(x) = Σ weight f(value): `values` has a leading axis `[n]` on every leaf,
        `weights` is `[n]` and sums to 1. None if the distribution can only be sampled.
      finer: `() -> Distribution`, the same one with a finer quadrature, for `games.quadrature_error`. None if `nodes`
        are exact, as those of a data set are, or if no finer ones are known.
      length: how many draws there are. `training.train` refuses to make more.
      log_density: `value -> ln p(value)`, a scalar, exact, for one value of the structure and shape of a draw. None if
        it is not known.
      modes: `() -> Modes`, if it is a mixture of normal distributions.
      period: the number of draws after which draws in turn, as those of `cyclic`, repeat; 1 if draws are independent.
    """

    sample: Callable[[PRNGKey, ArrayLike, ArrayLike], Any]
    nodes: Callable[[], tuple[Any, jax.Array]] | None = None
    finer: Callable[[], Any] | None = None
    length: int = MAX_DRAWS
    log_density: Callable[[Any], jax.Array] | None = None
    modes: Callable[[], Modes] | None = None
    period: int = 1


def uniform(nodes: int = UNIFORM_NODES) -> Distribution:
    """z ~ U(0, 1), a scalar; its quadrature has `nodes` Gauss-Legendre nodes.

    Draw t of stream s is element `s * 2**32 + t` of `jax.random.uniform(key, (count,))`, computed without the others.

    Raises:
      ValueError: `nodes` is not a positive whole number.
    """
    nodes = check_count("the number of nodes", nodes)  # here, and not when the nodes are needed
    return Distribution(
        _uniform_draw,
        partial(uniform_quadrature, nodes),
        lambda: uniform(2 * nodes),
        log_density=lambda z: jnp.where((z >= 0) & (z <= 1), as_float(0.0), -jnp.inf),
    )


def normal(shape: tuple[int, ...] = ()) -> Distribution:
    """x ~ N(0, I), an array of this shape: `jax.random.normal(draw_key(key, step, stream), shape)`.

    Up to four numbers have a quadrature, a product of Gauss-Hermite rules with `NORMAL_NODES`.
    """
    for size in shape if isinstance(shape, tuple) else (shape,):
        check_count("a size of the normal numbers", size, 0)
    return normal_like(np.zeros(shape))


def normal_like(image: Image) -> Distribution:
    """Independent standard-normal numbers with the structure and shapes of `image`; see `normal`."""
    leaves, structure = jax.tree.flatten(image)
    if not leaves or not all(map(is_numeric, leaves)):
        raise ValueError(f"the image is {shown(image)}: give an array, or a pytree of arrays")
    shapes = tuple(np.shape(leaf) for leaf in leaves)
    size = sum(map(_size, shapes))
    return _normal(structure, shapes, NORMAL_NODES[size == 1] if 1 <= size <= 4 else None)


def cyclic(dataset: Image) -> Distribution:
    """The items of `dataset` in their order, again and again: step t sees item t mod n. All have the weight 1/n.

    Args:
      dataset: a pytree whose leaves have the same leading axis, one entry for each item. Beside leaves of
        floating-point numbers, whole numbers and booleans are labels and stay what they are; otherwise they become
        floats.

    Raises:
      ValueError: the data set has no items, or its leaves have different lengths.
    """
    count = _count(dataset)
    return Distribution(partial(_cyclic_item, dataset, count), partial(_all_items, dataset), period=count)


def resampled(dataset: Image) -> Distribution:
    """A random item of `dataset` at each step, drawn with replacement; argument and errors are those of `cyclic`."""
    return Distribution(partial(_random_item, dataset, _count(dataset)), partial(_all_items, dataset))


def sequence(values: Any) -> Distribution:
    """The given `values`, one after the other: step t sees `values[t]`. Argument and errors are those of `cyclic`.

    It has no quadrature. `training.train` refuses a run that is longer than the sequence. Elsewhere every number past
    the end, or before the first, is NaN.
    """
    return Distribution(partial(_sequence_item, values), length=_count(values))


def fixed(distribution: Distribution, count: int, key: PRNGKey) -> Distribution:
    """`count` draws of `distribution`, made once with `key`, as a data set that is `resampled`: a finite sample.

    Raises:
      ValueError: `count` is not a positive whole number, or more than the distribution has; a key that is none.
    """
    count = check_count("the count of the sample", count)
    check_kind("distribution", distribution, Distribution, "datasets.ring()")
    if count > distribution.length:
        raise ValueError(f"the count of the sample is {count}, but there are {distribution.length} draws: take fewer")
    values = jax.jit(jax.vmap(lambda number: distribution.sample(key, number, 0)))(jnp.arange(count))
    return resampled(values)._replace(modes=distribution.modes)


def packed(distribution: Distribution, count: int) -> Distribution:
    """Blocks of draws: draw t is the draws number t · `count` to (t + 1) · `count` - 1, along a leading axis.

    Blocks of all items of data in turn are all equal, and then this one value is the quadrature.

    Raises:
      ValueError: `count` is not a positive whole number.
    """
    count = check_count("the count of a block", count)
    check_kind("distribution", distribution, Distribution, "datasets.ring()")
    draw = partial(_block, distribution, count)
    all_in_turn = distribution.period > 1 and count % distribution.period == 0  # so all blocks are equal
    return Distribution(
        draw,
        partial(_only_value, draw) if all_in_turn else None,
        length=distribution.length // count,
        modes=distribution.modes,
        period=distribution.period // math.gcd(distribution.period, count),
    )


def from_sampler(
    sampler: Callable[[PRNGKey], Any], nodes: Callable[[], tuple[Any, jax.Array]] | None = None
) -> Distribution:
    """A distribution of one's own: draw t of a stream is `sampler(draw_key(key, t, stream))`."""
    check_function("sampler", sampler, "key")
    if nodes is not None:
        check_function("nodes", nodes)
    return Distribution(lambda key, step, stream: sampler(draw_key(key, step, stream)), nodes)


def draw_key(key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> PRNGKey:
    """A typed key for one draw: the threefry hash of the counter (stream, step) under `key`.

    Raises `ValueError` unless `key` is one typed threefry key.
    """
    return jax.random.wrap_key_data(jnp.stack(_hash(key, step, stream)), impl="threefry2x32")


def uniform_quadrature(nodes: int = UNIFORM_NODES) -> tuple[jax.Array, jax.Array]:
    """Nodes and weights `[nodes]` of the Gauss-Legendre rule on [0, 1]: E f(z) = Σ weight f(node)."""
    z, weights = np.polynomial.legendre.leggauss(check_count("the number of nodes", nodes))
    return as_float((z + 1) / 2), as_float(weights / 2)


def threefry(key: tuple[jax.Array, jax.Array], counter: tuple[ArrayLike, ArrayLike]) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32 with 20 rounds: two random 32-bit words for a `key` and a `counter` of two 32-bit words each.

    Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
    It is written by hand because on CPUs XLA makes a loop of JAX's own, `jax.extend.random.threefry_2x32`, that takes
    longer than a training step.
    """
    schedule = (*key, key[0] ^ key[1] ^ jnp.uint32(KEY_PARITY))
    x, y = jnp.asarray(counter[0]) + schedule[0], jnp.asarray(counter[1]) + schedule[1]
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << distance) | (y >> (32 - distance)))
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def _only_value(draw: Callable[..., Any]) -> tuple[Any, jax.Array]:
    """The nodes of draws that are all equal."""
    return jax.tree.map(lambda leaf: leaf[None], draw(seeded_key(0), 0, 0)), as_float([1.0])


def _hash(key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> tuple[jax.Array, jax.Array]:
    words = jax.random.key_data(check_key(key))
    return threefry((words[0], words[1]), (counter(stream), counter(step)))


def counter(count: ArrayLike) -> jax.Array:
    """`count` in 32 bits without a sign, so that multiples of it do not wrap before 2³².

    Raises `ValueError` unless it is a whole number from 0 to 2³² - 1, as far as it is known when traced.
    """
    count = native(count)
    whole = is_numeric(count) and jnp.issubdtype(jnp.result_type(count), jnp.integer)
    known = np.asarray(count) if whole and not isinstance(count, Tracer) else np.zeros(())
    if not whole or np.any((known < 0) | (known >= MAX_DRAWS)):
        raise ValueError(f"the step or stream is {shown(count)}: give a whole number from 0 to 2**32 - 1")
    return jnp.asarray(count, jnp.uint32)


def _block(distribution: Distribution, count: int, key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> Any:
    numbers = counter(step) * count + jnp.arange(count, dtype=jnp.uint32)
    return jax.vmap(lambda number: distribution.sample(key, number, stream))(numbers)


def _unit(high: jax.Array, low: jax.Array) -> jax.Array:
    """A uniform number on [0, 1) from random words: random mantissa bits under the exponent of 1, less 1."""
    if jnp.result_type(float) == jnp.float32:
        bits = ((high ^ low) >> 9) | jnp.uint32(0x3F800000)
        return jax.lax.bitcast_convert_type(bits, jnp.float32) - 1
    bits = (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)
    return jax.lax.bitcast_convert_type((bits >> 12) | jnp.uint64(0x3FF0000000000000), jnp.float64) - 1


def _uniform_draw(key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> jax.Array:
    return _unit(*_hash(key, step, stream))


def _normal(structure: Any, shapes: tuple[tuple[int, ...], ...], count: int | None) -> Distribution:
    """Normal numbers with `count` nodes for each, or without a quadrature."""
    density = partial(_normal_log_density, structure, shapes)
    draw = Distribution(partial(_normal_draw, structure, shapes), log_density=density)
    if count is None:
        return draw
    nodes = partial(_normal_quadrature, structure, shapes, count)
    return draw._replace(nodes=nodes, finer=lambda: _normal(structure, shapes, count + count // 2))


def _normal_draw(
    structure: Any, shapes: tuple[tuple[int, ...], ...], key: PRNGKey, step: ArrayLike, stream: ArrayLike
) -> Image:
    """√2 erf⁻¹(u) with u uniform on (-1, 1): number e of a draw is one hash of the counter e under the draw's key."""
    words, first, leaves = _hash(key, step, stream), 0, []
    low = jnp.nextafter(as_float(-1.0), as_float(0.0))

    def numbers(counts: jax.Array) -> jax.Array:
        u = jnp.maximum(_unit(*threefry(words, (jnp.zeros_like(counts), counts))) * (1 - low) + low, low)
        return jnp.sqrt(as_float(2.0)) * jax.lax.erf_inv(u)

    for shape in shapes:
        counts = first + np.arange(_size(shape), dtype=np.uint32)
        # A batch of short vectors is not vectorized by XLA, one of numbers is; the bits are the same.
        few = 0 < counts.size <= FEW_NUMBERS
        flat = jnp.stack([numbers(jnp.asarray(count)) for count in counts]) if few else numbers(jnp.asarray(counts))
        leaves.append(flat.reshape(shape))
        first += _size(shape)
    return jax.tree.unflatten(structure, leaves)


def _normal_log_density(structure: Any, shapes: tuple[tuple[int, ...], ...], image: Image) -> jax.Array:
    """-½ ‖x‖² - ½ n ln 2π for n numbers."""
    leaves, form = jax.tree.flatten(image)
    given = tuple(map(jnp.shape, leaves))
    if form != structure or given != shapes:
        raise ValueError(
            f"the image is {form} of shapes {given}: give one as it is drawn, {structure} of shapes {shapes}, and map "
            "over more with jax.vmap"
        )
    return -(squared_norm(image) + sum(map(_size, shapes)) * math.log(2 * math.pi)) / 2


def _normal_quadrature(structure: Any, shapes: tuple[tuple[int, ...], ...], count: int) -> tuple[Image, jax.Array]:
    _, unravel = ravel_pytree(jax.tree.unflatten(structure, [jnp.zeros(shape, as_float(0).dtype) for shape in shapes]))
    size = sum(map(_size, shapes))
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    points = np.stack(np.meshgrid(*[nodes] * size, indexing="ij"), -1).reshape(-1, size)
    chances = np.prod(np.stack(np.meshgrid(*[weights / weights.sum()] * size, indexing="ij"), -1), -1).ravel()
    return jax.vmap(unravel)(as_float(points)), as_float(chances)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


def _count(dataset: Any) -> int:
    leaves = jax.tree.leaves(dataset)
    counts = {np.shape(leaf)[:1] for leaf in leaves}
    if not all(map(is_numeric, leaves)) or len(counts) != 1 or counts & {(), (0,)}:
        shapes = shown(jax.tree.map(np.shape, dataset))
        raise ValueError(
            f"the data set is {shown(dataset)}, of the shapes {shapes}: give arrays with the same leading axis, one "
            "entry for each item"
        )
    return counts.pop()[0]


def _cyclic_item(dataset: Image, count: int, key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> Image:
    del key, stream
    return jax.tree.map(lambda leaf: leaf[counter(step) % count], _values(dataset))


def _random_item(dataset: Image, count: int, key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> Image:
    with jax.threefry_partitionable(True):  # which draws there are is a contract, whatever the default is
        index = jax.random.randint(draw_key(key, step, stream), (), 0, count)
    return jax.tree.map(lambda leaf: leaf[index], _values(dataset))


def _sequence_item(values: Any, key: PRNGKey, step: ArrayLike, stream: ArrayLike) -> Any:
    del key, stream
    if not isinstance(step, Tracer):  # in NumPy, since JAX may cut it to 32 bits
        number, count = np.asarray(step), _count(values)
        if number.dtype.kind not in "iu":
            raise ValueError(f"the step is {shown(step)}: give a whole number of at most 64 bits")
        inside = (number >= 0) & (number < count)
        step = np.where(inside, np.where(inside, number, 0).astype(np.int32), np.int32(count))

    def item(leaf: jax.Array) -> jax.Array:  # beyond the end NaN; labels have no such value
        return leaf.at[step].get(mode="fill", wrap_negative_indices=False)

    return jax.tree.map(item, _values(values))


def _all_items(dataset: Image) -> tuple[Image, jax.Array]:
    count = _count(dataset)
    return _values(dataset), as_float(np.full(count, 1 / count))


def _values(dataset: Any) -> Any:
    """A data set as it is drawn: numbers in the precision of the trace, and labels as they are."""
    return jax.tree.map(_kept, but_labels(as_float, dataset))


def _kept(leaf: Any) -> jax.Array:
    """A leaf as JAX has it. Raises `ValueError` for a label that has too many bits for that."""
    kept = jnp.asarray(leaf)
    if isinstance(leaf, np.ndarray) and kept.dtype != leaf.dtype and (leaf.astype(kept.dtype) != leaf).any():
        raise ValueError(f"the data set has labels that {kept.dtype} does not have: {shown(leaf)}, give smaller ones")
    return kept
