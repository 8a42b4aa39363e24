"""Any pure run over any axes: labeled, stored, resumable, on every core, device and host.

This package knows nothing of games. It needs the extra `sweep` (xarray, zarr, tqdm).
"""

from slantgan_jax.sweeps._api import load, sweep
from slantgan_jax.sweeps._tracing import RunFn

__all__ = ["RunFn", "load", "sweep"]
