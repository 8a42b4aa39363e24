"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances, drift, equilibria, gaps, quadrature, spectra, transport

__all__ = ["distances", "drift", "equilibria", "gaps", "quadrature", "spectra", "transport"]
