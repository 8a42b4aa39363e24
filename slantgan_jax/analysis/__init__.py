"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import (
    best_response,
    distances,
    drift,
    dynamics,
    equilibria,
    fractals,
    invariants,
    noise,
    quadrature,
    spectra,
    thresholds,
    transport,
)

__all__ = [
    "best_response",
    "distances",
    "drift",
    "dynamics",
    "equilibria",
    "fractals",
    "invariants",
    "noise",
    "quadrature",
    "spectra",
    "thresholds",
    "transport",
]
