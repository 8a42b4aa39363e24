"""All but the program that can decide the last bit of a result: the processor, the compiler, versions, threads."""

import functools
import hashlib
import json
import os
import platform
from pathlib import Path

import jax
from jaxlib import xla_client

from slantgan_jax import provenance
from slantgan_jax.cpu import core_count

SETTINGS = (
    "jax_disable_most_optimizations",
    "jax_optimization_level",
    "jax_exec_time_optimization_effort",
    "jax_memory_fitting_level",
    "jax_memory_fitting_effort",
    "jax_compiler_enable_remat_pass",
    "jax_xla_profile_version",
)
"""The settings of JAX that tell the compiler how to compile, and so can change the last bit of a result."""

VECTOR_UNITS = ("fma", "avx", "avx2", "avx512f", "asimd", "sve")
"""The features of a processor for which XLA compiles different arithmetic, as Linux names them."""


def surroundings(multiplies: bool, calls_lapack: bool) -> dict[str, str]:
    """All but the program that can decide the last bit of a result, in words.

    How a product of matrices is shared out, and so its last bits, depends on the number of threads. jaxlib takes LAPACK
    from scipy's OpenBLAS, which variables of the environment tell which arithmetic to use.
    """
    return {
        "platform": jax.default_backend(),
        "processor": _processor(),
        "xla_flags": _xla_flags(),
        "threads": str(_threads()) if multiplies or calls_lapack else "any number",
        "lapack": json.dumps(_openblas()) if calls_lapack else "not called",
        "settings": settings(),
        "versions": json.dumps(provenance.versions()),
    }


def settings() -> str:
    """The settings of JAX that tell the compiler how to compile, as JSON."""
    return json.dumps({name: str(jax.config.values.get(name)) for name in SETTINGS})


def _xla_flags() -> str:
    """A digest of XLA's options. It reads its flags, or the file that they name, only once, and so this asks XLA."""
    options = xla_client.CompileOptions()
    _ = options.executable_build_options.debug_options  # it is written out only after it was asked for
    return hashlib.sha256(options.SerializeAsString()).hexdigest()[:16]


@functools.cache
def _openblas() -> dict[str, str]:
    """The variables of the environment that OpenBLAS reads when it is loaded."""
    return {name: value for name, value in os.environ.items() if name.startswith(("OPENBLAS_", "OMP_", "GOTO_"))}


@functools.cache
def _threads() -> int:
    """How many threads XLA's pool has on a CPU."""
    if (told := os.environ.get("NPROC", "")).isdecimal():
        return int(told)
    return core_count()


@functools.cache
def _processor() -> str:
    """The kind of the accelerator, or else that of the machine and its vector units, as far as they are known."""
    if jax.default_backend() != "cpu":
        return jax.local_devices()[0].device_kind
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    words = next((line.split() for line in info.splitlines() if line.lower().startswith(("flags", "features"))), [])
    return " ".join([platform.machine(), *(unit for unit in VECTOR_UNITS if unit in words)])
