"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances, equilibria, gaps, spectra

__all__ = ["distances", "equilibria", "gaps", "spectra"]
