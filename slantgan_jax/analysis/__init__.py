"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import (
    distances,
    dynamics,
    equilibria,
    gaps,
    invariants,
    noise,
    quadrature,
    spectra,
    transport,
)

__all__ = [
    "distances",
    "dynamics",
    "equilibria",
    "gaps",
    "invariants",
    "noise",
    "quadrature",
    "spectra",
    "transport",
]
