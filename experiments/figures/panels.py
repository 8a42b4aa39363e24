"""Sheets of panels."""

import math
from typing import Any

import numpy as np

from slantgan_jax.plots import Panel


def grid(panel: Panel, count: int, columns: int, **options: Any) -> np.ndarray:
    """`count` axes, row by row; what is left of the last row stays empty."""
    axes = panel.subplots(math.ceil(count / columns), columns, squeeze=False, **options).ravel()
    for ax in axes[count:]:
        ax.set_visible(False)
    return axes[:count]
