"""Settings that make a CPU train many runs at the speed of the hardware."""

import contextlib
import ctypes
import os

import jax

from slantgan_jax.checks import check_count, check_flag

XLA_FLAGS = (  # the options that begin with a dash are LLVM's
    "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion,xla_cpu_small_while_loop_byte_threshold=16777216"
    ",-runtime-memory-check-threshold=1000,-vectorize-memory-check-threshold=1000"
    " --xla_cpu_prefer_vector_width=512"
)

M_ARENA_MAX = -8
"""The option of glibc's `mallopt` for how many pools memory is taken from."""

POOLS_PER_DEVICE = 2
"""Pools of memory for each device."""


def core_count() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_every_core(count: int | None = None, *, fused: bool = True) -> None:
    """Makes one JAX device of each CPU core, and lets XLA fuse a whole training step into a few vectorized loops.

    Call it before JAX is first used: it sets `XLA_FLAGS` in the process's environment and `jax_num_cpu_devices`, and on
    Linux it has the C library take memory from few pools. It changes speed and rounding only. See
    docs/performance.md#what-makes-the-batched-rows-fast.

    Args:
      count: the number of devices; by default the number of cores that the process may use.
      fused: whether to set the flags. They make steps of scalars, as the tutorial's are, several times as fast, and
        steps of networks of many units slower; give False for those.

    Raises:
      ValueError: `count` is not a positive whole number, or `fused` is no boolean.
      RuntimeError: JAX is already running (from JAX).
    """
    if count is not None:
        count = check_count("count", count)
    check_flag("fused", fused)
    devices = core_count() if count is None else count
    jax.config.update("jax_num_cpu_devices", devices)
    with contextlib.suppress(OSError, AttributeError):  # other systems have no such option
        # What one thread of XLA takes and another gives back is lost in many pools: a sweep of hours grew to 9 GB. With
        # a single one the threads wait for each other: steps of networks on two devices took twice as long.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, POOLS_PER_DEVICE * devices)
    flags = os.environ.get("XLA_FLAGS", "")
    if fused and XLA_FLAGS not in flags:  # a parent process may have set them
        os.environ["XLA_FLAGS"] = f"{flags} {XLA_FLAGS}".strip()
