"""The tutorial GAN in C: `handwritten_gan.c`, compiled for this processor and run with a thread on each core."""

import ctypes
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_suffix(".c")
GROUPS = 4
"""Vectors that a thread trains side by side."""


def processor_flags() -> str:
    information = Path("/proc/cpuinfo")
    return information.read_text() if information.exists() else ""


def trainer(
    folder: Path, keys: np.ndarray, rates: np.ndarray, players: np.ndarray, steps: int, threads: int
) -> Callable[[], np.ndarray]:
    """A function that trains a GAN in each column for `steps` steps; it returns the final `players`.

    Args:
      folder: where the program is compiled.
      keys: `[2, runs]`, the words of the keys of the latents.
      rates: `[runs]`, learning rates.
      players: `[13, runs]`, the initial w, b, u and c; `runs` is a multiple of 16 · `GROUPS`.
      steps, threads: how many.

    Raises:
      OSError, subprocess.CalledProcessError: there is no C compiler, or it refuses the program.
    """
    library = folder / "handwritten_gan.so"
    lanes = 16 if "avx512f" in processor_flags() else 8
    flags = ["-O3", "-march=native", f"-DLANES={lanes}", f"-DGROUPS={GROUPS}"]
    flags += ["-mprefer-vector-width=512"] * (lanes == 16)
    command = ["cc", *flags, "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True)
    program = ctypes.CDLL(str(library))
    together = lanes * GROUPS
    blocks = players.shape[1] // together
    ends = [i * blocks // threads * together for i in range(threads + 1)]
    parts = list(map(slice, ends[:-1], ends[1:]))

    def work() -> np.ndarray:
        arrays = [[np.array(array[..., part], order="C") for array in (keys, rates, players)] for part in parts]
        with ThreadPoolExecutor(threads) as pool:
            for part, group in zip(parts, arrays, strict=True):
                pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in group]
                pool.submit(program.train, part.stop - part.start, steps, *pointers)
        return np.concatenate([group[2] for group in arrays], axis=1)

    return work
