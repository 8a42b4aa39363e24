"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import dense, distances, equilibria, fractals, gaps, quadrature, spectra, transport

__all__ = ["dense", "distances", "equilibria", "fractals", "gaps", "quadrature", "spectra", "transport"]
