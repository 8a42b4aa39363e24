"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances

__all__ = ["distances"]
