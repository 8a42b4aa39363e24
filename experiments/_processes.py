"""Independent parts of an experiment, each core at a part of its own.

Such parts mostly trace and compile, which one process does on one core.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeVar

import jax.numpy as jnp
from _experiment import progress, same_numbers, start_jax

from slantgan_jax.cpu import core_count

T = TypeVar("T")
R = TypeVar("R")


def in_processes(function: Callable[[T], R], parts: Sequence[T], what: str) -> list[R]:
    """`function` of each of the `parts`, in order, with a progress bar; both can be pickled.

    Whatever ends the work early, such as Ctrl-C, ends the other processes, too.
    """
    count = min(core_count(), len(parts))
    if count < 2:
        return list(progress(map(function, parts), what, len(parts)))
    computed = partial(_computed, function, jnp.result_type(float) == jnp.float64)
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin) as pool:
        try:
            return list(progress(pool.map(computed, parts), what, len(parts)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
                process.join()
            raise


def _computed(function: Callable[[T], R], x64: bool, part: T) -> R:
    with same_numbers(x64):
        return function(part)


def _begin() -> None:
    """What a new process does first: JAX on one core, as in the first process. It ends when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is told, and ends this one
    start_jax(1)
    first = multiprocessing.parent_process()

    def end_with_it() -> None:
        if first is not None:
            first.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
