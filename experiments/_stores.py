"""Stores of sweeps in a folder of results, which grow, and from which less is taken than they have."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from slantgan_jax import sweep
from slantgan_jax.sweeps import RunFn, load


def swept(run: RunFn, axes: Mapping[str, Sequence[float] | np.ndarray], store: Path, **options: Any) -> xr.Dataset:
    """`sweep` of `run` over `axes` into `store`, which may be finished and have other labels of these axes, too.

    A store only grows, so it is asked for the labels that it has and for the new ones. Only `axes` are returned.
    """
    every = dict(axes)
    with contextlib.suppress(ValueError, OSError):  # there is no store, or it is not finished
        stored = load(store)
        every = {name: np.union1d(stored[name].values, labels) for name, labels in axes.items()}
    return sweep(run, every, store=store, **options).sel({name: np.asarray(labels) for name, labels in axes.items()})
