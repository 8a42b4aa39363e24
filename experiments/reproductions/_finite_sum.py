"""The bilinear game of a hundred terms of Chavdarova et al. 2021 (arXiv:2006.14567), as two of their notebooks have it.

    min over x, max over y of Σᵢ xᵢ yᵢ + aᵢ·x + bᵢ·y,   x, y ∈ R¹⁰⁰,   so x* = -Σ bᵢ and y* = -Σ aᵢ

Gidel et al. 2019 (arXiv:1802.10551), eq. 29, have the mean of the terms, and so a hundredth of each gradient.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _curves import Way, path

from slantgan_jax import Distribution, Game, Players, Rule, distributions

COUNT, RUNS, SEED = 100, 5, 3


class Problem(NamedTuple):
    """aᵢ and bᵢ as rows `[100, 100]`, and the start. Several problems have a leading axis."""

    a: Any
    b: Any
    start: Players


class Draws(NamedTuple):
    """Which terms are in a minibatch, zeros and ones `[100]`."""

    terms: Distribution


def batch_problems() -> Problem:
    """The five problems of batch_methods, whose vectors have random sizes."""
    random = np.random.RandomState(SEED)

    def pair() -> tuple[np.ndarray, ...]:
        sizes = [random.randint(COUNT**2, size=1)[0] + 1 for _ in range(2)]
        return tuple(1 / np.sqrt(size) * random.randn(COUNT) for size in sizes)

    starts = [Players(*pair()) for _ in range(RUNS)]
    rows = [np.swapaxes([pair() for _ in range(COUNT)], 0, 1) for _ in range(RUNS)]
    problems = (Problem(own[0], own[1], start) for own, start in zip(rows, starts, strict=True))
    return jax.tree.map(lambda *runs: np.stack(runs), *problems)


def minibatch_problems() -> Problem:
    """The problems of LA-MM_stochastic_bilinear, of the seeds 0 to 4."""
    numbers = np.stack([np.random.RandomState(seed).randn(1 + COUNT, 2, COUNT) for seed in range(RUNS)])
    start, rows = np.split(1 / np.sqrt(COUNT) * numbers, [1], axis=1)
    return Problem(rows[:, :, 0], rows[:, :, 1], Players(start[:, 0, 0], start[:, 0, 1]))


def minibatch(size: int, key: jax.Array) -> jax.Array:
    """A minibatch without replacement: the terms with the `size` smallest of random numbers."""
    numbers = jax.random.uniform(key, (COUNT,))
    return jnp.where(numbers <= jnp.sort(numbers)[size - 1], 1.0, 0.0)


def game_of(problem: Problem, size: int | None = None) -> Game:
    """The game of all terms, or of a minibatch of so many."""

    def value(players: Players, sample: Any) -> jax.Array:
        (x, y), own = players, jnp.ones(COUNT) if size is None else sample.terms
        return (own * x) @ y + (own @ problem.a) @ x + (own @ problem.b) @ y

    draws = () if size is None else Draws(distributions.from_sampler(partial(minibatch, size)))
    return Game(lambda key: problem.start, draws, Players((value,), (lambda players, sample: -value(players, sample),)))


def adam_as_coded(rate: float, b1: float, halves: int = 1) -> optax.GradientTransformation:
    """Adam without correction of the second moment; for that of the first, so many `halves` are one step."""

    def init(params: Any) -> Any:
        return jnp.zeros((), int), jnp.zeros_like(params), jnp.zeros_like(params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count, first, second = state
        first, second = b1 * first + (1 - b1) * updates, 0.999 * second + 0.001 * updates**2
        mean = first / (1 - b1 ** (count // halves + 1))
        return -rate * mean / (jnp.sqrt(second) + 1e-8), (count + 1, first, second)

    return optax.GradientTransformation(init, update)


def distances(rule: Rule, steps: int, problems: Problem, size: int | None = None) -> np.ndarray:
    """‖x - x*‖ + ‖y - y*‖ at the start and after each step, `[runs, steps + 1]`; run number R has the seed R."""

    def run(problem: Problem, seed: jax.Array) -> jax.Array:
        x, y = path(game_of(problem, size), Way(rule), steps, problem.start, jax.random.key(seed))
        gaps = x + problem.b.sum(0, keepdims=True), y + problem.a.sum(0, keepdims=True)
        return jnp.linalg.norm(gaps[0], axis=1) + jnp.linalg.norm(gaps[1], axis=1)

    return np.asarray(jax.jit(jax.vmap(run))(problems, jnp.arange(RUNS)))
