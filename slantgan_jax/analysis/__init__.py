"""What is known exactly about a game, its players and their runs."""

from slantgan_jax.analysis import (
    best_response,
    diffusion,
    distances,
    equilibria,
    fractals,
    growth,
    lyapunov,
    matrix_free,
    path_angle,
    quadrature,
    spectra,
    steepest_lines,
    thresholds,
    trajectories,
    transport,
    update_maps,
)

__all__ = [
    "best_response",
    "diffusion",
    "distances",
    "equilibria",
    "fractals",
    "growth",
    "lyapunov",
    "matrix_free",
    "path_angle",
    "quadrature",
    "spectra",
    "steepest_lines",
    "thresholds",
    "trajectories",
    "transport",
    "update_maps",
]
