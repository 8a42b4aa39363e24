"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import (
    dense,
    distances,
    drift,
    dynamics,
    equilibria,
    fractals,
    gaps,
    invariants,
    noise,
    quadrature,
    spectra,
    thresholds,
    transport,
)

__all__ = [
    "dense",
    "distances",
    "drift",
    "dynamics",
    "equilibria",
    "fractals",
    "gaps",
    "invariants",
    "noise",
    "quadrature",
    "spectra",
    "thresholds",
    "transport",
]
