"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import (
    distances,
    drift,
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
    "drift",
    "dynamics",
    "equilibria",
    "gaps",
    "invariants",
    "noise",
    "quadrature",
    "spectra",
    "transport",
]
