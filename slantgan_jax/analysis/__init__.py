"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances, equilibria, fractals, gaps, quadrature, spectra, transport

__all__ = ["distances", "equilibria", "fractals", "gaps", "quadrature", "spectra", "transport"]
