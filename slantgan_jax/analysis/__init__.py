"""What is known exactly about a game and its players."""

from slantgan_jax.analysis import distances, quadrature, transport

__all__ = ["distances", "quadrature", "transport"]
