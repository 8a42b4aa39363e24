"""What is known in closed form about min max x y."""

import jax
from jax.typing import ArrayLike

from slantgan_jax import Players


def perturbed_energy(players: Players, learning_rate: ArrayLike, *, discriminator_first: bool = True) -> jax.Array:
    """x² + y² + η x y if D moves first, x² + y² - η x y if G does: conserved by alternating steps of `games.bilinear`.

    It is positive definite for η < 2. Orbits are then ellipses about a center, one for every start: they neither come
    nearer nor leave, and are not limit cycles. The proof is in docs/theory/invariants.md. Source: Bailey, Gidel &
    Piliouras 2020 (arXiv:1907.04392).
    """
    x, y = players
    return x**2 + y**2 + (1 if discriminator_first else -1) * learning_rate * x * y
