"""What the benchmarks share: seconds of a call, the peak memory of a process, and processes of their own."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory() -> float:
    """The peak resident memory of this process, MiB."""
    try:  # on Linux, getrusage would tell the peak of the process that started this one, if that is larger
        peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        peak = None
    if peak:
        return int(peak[1]) / 1024
    import resource  # not on every system

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def printed_by(program: str, what: str) -> str:
    """What a Python program prints, in a process of its own that can import the modules of this folder.

    Raises:
      RuntimeError: it fails; the message names `what`, and has the last line of the error.
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{what} ended with: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout
