"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances, spectra

__all__ = ["distances", "spectra"]
