"""How a run becomes a program: traced, identified, and mapped over lanes, so that its bits are those of one lane alone.

A *lane* is one run of a batch. The number of lanes is a property of the program, never of the sweep, and the last batch
is padded. So every run goes through the same compiled program, wherever it stands and whoever computes it.
"""

import contextlib
import functools
import hashlib
import inspect
import itertools
import json
import math
import os
import platform
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxlib import xla_client

from slantgan_jax import provenance
from slantgan_jax.checks import shortened
from slantgan_jax.cpu import core_count
from slantgan_jax.numerics import seeded_key
from slantgan_jax.sweeps import _kernels
from slantgan_jax.sweeps._equations import all_equations, one_by_one, programs_of

RunFn = Callable[..., Mapping[str, Any]]
"""A pure function of named scalars, and of a `key` if there is an axis of seeds, to a flat mapping of arrays."""

LANES = {"cpu": 512}
LANES_OF_ACCELERATORS = 131072
"""Runs at a time on one device. On a CPU they are few, so that their parameters stay in the cache of a core."""

BATCH_BYTES = {"cpu": 2**26}
BATCH_BYTES_OF_ACCELERATORS = 2**29
"""The results of a batch on one device, and the largest array of its runs, take no more than this, unless those of one
run do: lanes are halved for it."""

STEP_BYTES = 2**17
"""The typical array of a step takes no more than this for all lanes of a device, unless that of one run does. Large
networks so get few lanes, few runs keep every device busy, and the arrays of a step stay in the cache of a core."""

UNKNOWN_TRIPS = 10
"""How often a loop of unknown length is supposed to run, where the work of a run is estimated."""

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

EVALUATION = 1
"""The way in which a run becomes a batch. Raise it whenever a change of this module can change the bits of a result."""

_call = jax.make_user_context()
"""Numbers the traces. JAX remembers a trace under its number, so each sweep traces anew and sees the present values of
all variables that a run, or a helper that it jits, reads."""

_calls = itertools.count()

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of an object in memory, as the text of a program has it."""

CALLBACKS = ("pure_callback", "io_callback", "buffer_callback")

UNSTABLE_BITS = ("rng_bit_generator", "stablehlo.rng ")
"""In the text of a program: random bits of a run that depend on the runs beside it, or on the compiler."""

AXIS = "runs of a sweep"
"""The name of the axis of runs, which no run has for an axis of its own."""


@dataclass(frozen=True)
class Program:
    """A traced run.

    Attributes:
      digest: of the program, its constants and the lanes; equal digests mean equal results.
      lanes: runs at a time on one device.
      types: of the arguments.
      outputs: names to the shape and type that one run returns.
      work: the bytes that a run writes, as far as they are known: how long runs take, in comparison.
      multiplies: whether it has products of matrices, whose last bits depend on the number of threads.
      calls_lapack: whether it calls the LAPACK of a CPU, for one matrix after the other.
      jaxpr: the run as JAX traced it.
      mapped: from one array `[lanes]` for each axis to the results of so many runs.
      kernels: the same with loops as kernels of a GPU, or None if there are none.
    """

    digest: str
    lanes: int = field(compare=False)
    types: tuple[np.dtype, ...] = field(compare=False)
    outputs: Mapping[str, jax.ShapeDtypeStruct] = field(compare=False)
    work: int = field(compare=False)
    multiplies: bool = field(compare=False)
    calls_lapack: bool = field(compare=False)
    jaxpr: core.ClosedJaxpr = field(compare=False)
    mapped: Callable[..., dict[str, jax.Array]] = field(compare=False)
    kernels: Callable[..., dict[str, jax.Array]] | None = field(compare=False)

    def devices(self, runs: int | None = None) -> tuple[Any, ...]:
        """The devices of this process that compute it: all of them, or as many as so many runs need."""
        devices = tuple(jax.local_devices())
        return devices if runs is None else devices[: max(1, math.ceil(runs / self.lanes))]

    def width(self, runs: int | None = None) -> int:
        """Runs at a time on these devices."""
        return self.lanes * len(self.devices(runs))


def trace(run: RunFn, arguments: Mapping[str, np.ndarray]) -> Program:
    """Traces one run whose parameters are scalars of the types of `arguments`. Nothing traced earlier is used again.

    Raises:
      ValueError: `jax.disable_jit` is set; a parameter without an axis; a run that cannot be traced, closes over a
        tracer, calls back into Python or does not return a flat mapping of arrays.
    """
    types = tuple(value.dtype for value in arguments.values())
    with _traced(run, arguments) as traced:
        outputs, closed, text = traced.out_info, traced.jaxpr, traced.lower().as_text()
        structure, lanes = jax.tree.structure(outputs), _lanes(traced)

        def mapped(run: Callable[..., list[Any]], *numbers: jax.Array) -> dict[str, jax.Array]:
            return structure.unflatten(jax.vmap(run, axis_size=lanes)(*numbers))

        plain, kernels = functools.partial(mapped, core.jaxpr_as_fun(closed)), None
        if _has_gpu() and _kernels.has_kernels(closed):
            kernels = functools.partial(mapped, _kernels.with_kernels(closed))
        constants = list(_constants(closed))
        batch = [jax.ShapeDtypeStruct((lanes,), dtype) for dtype in types]
        whole = functools.cache(functools.partial(jax.jit(plain).trace, *batch))  # all lanes, traced once if at all
        called = {equation.primitive.name for equation in all_equations(closed.jaxpr.eqns)}
        if "custom_vmap_call" in called:  # what such a function does for a batch is not in the run itself
            text, constants = whole().lower().as_text(), [*constants, *_constants(whole().jaxpr)]
        if calls_lapack := "lapack_" in text:
            alone = one_by_one(whole().jaxpr)
            plain = lambda *numbers: structure.unflatten(alone(*numbers))  # noqa: E731
    if found := [word for word in UNSTABLE_BITS if word in text]:
        raise ValueError(
            f"the run draws bits that depend on the runs beside it ({found[0].strip()}): use keys of threefry2x32"
        )
    form = "kernels " * (kernels is not None) + "LAPACK one by one " * calls_lapack
    digest = hashlib.sha256(f"{EVALUATION} {lanes} {form}{text}".encode())
    for constant in constants:
        digest.update(constant)
    work, _ = _work(closed.jaxpr)
    multiplies = any(f"stablehlo.{name}" in text for name in ("dot", "convolution"))
    return Program(digest.hexdigest(), lanes, types, outputs, work, multiplies, calls_lapack, closed, plain, kernels)


def source(run: RunFn, arguments: Mapping[str, np.ndarray]) -> str:
    """A digest of a run that is the same on every platform; it differs if variables that the run reads do."""
    with _traced(run, arguments) as traced:
        return source_of(traced.jaxpr)


def source_of(closed: core.ClosedJaxpr) -> str:
    """The `source` of a run that is traced already."""
    digest = hashlib.sha256(ADDRESS.sub("", str(closed)).encode())
    for constant in _constants(closed):
        digest.update(constant)
    return digest.hexdigest()


@contextlib.contextmanager
def _traced(run: RunFn, arguments: Mapping[str, np.ndarray]) -> Iterator[Any]:
    """A run, traced. Errors are those of `trace`."""
    scalars = [jax.ShapeDtypeStruct((), value.dtype) for value in arguments.values()]
    tracer = "the run closes over a tracer: call sweep outside of jit, vmap and grad, on a run of plain numbers"
    with _own_settings():
        inside = isinstance(jnp.add(0, 0), Tracer)
    if inside or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(_closed_over(run))):
        raise ValueError(tracer)
    if jax.config.values["jax_disable_jit"]:
        raise ValueError("jax.disable_jit is set, and a sweep is compiled: unset it, or call the run itself")
    with _own_settings(), _call(next(_calls)):
        try:
            # Without `keep_unused` the texts of two programs would be equal that use other arguments.
            traced = jax.jit(_calling(run, tuple(arguments)), keep_unused=True).trace(*scalars)
        except jax.errors.UnexpectedTracerError as error:
            raise ValueError(tracer) from error
        except TypeError as error:
            if isinstance(error, jax.errors.KeyReuseError):
                raise
            what = shortened(str(error), 100)
            raise ValueError(
                f"the run cannot be traced ({what}): let no shape or branch depend on an axis, or name that in `static`"
            ) from error
        yield traced


def traced_arguments(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values as they are traced: in the default precision; seeds in 32 bits without a sign.

    Raises:
      ValueError: a finite number that is too large for the precision, or so small that XLA would take it for 0.
    """
    whole = jnp.result_type(int)
    kinds = {"f": jnp.result_type(float), "i": whole, "u": whole, "b": np.bool_}
    traced = {}
    for name, value in values.items():
        with np.errstate(over="ignore", under="ignore"):
            traced[name] = value.astype(np.uint32 if name == "seed" else kinds[value.dtype.kind])
        lost = np.isfinite(value) & ~np.isfinite(traced[name])
        if traced[name].dtype.kind == "f":
            lost |= (abs(traced[name]) < np.finfo(traced[name].dtype).tiny) & (value != 0)
        if lost.any():
            raise ValueError(
                f"axis {name!r} has {value[lost][0]}, which {traced[name].dtype} does not have: give another"
            )
    return traced


def evaluate(
    program: Program, arguments: list[np.ndarray], count: int, advance: Callable[[int], Any], most: int
) -> dict[str, np.ndarray]:
    """The results `[count, ...]` for arguments `[count]` of each axis; `advance` is told of each batch that is done.

    `most` is the largest count of calls like this one, which all use the devices that so many runs need.
    """
    width, execute = program.width(most), compiled(program, most)
    results = {name: np.empty((count, *out.shape), out.dtype) for name, out in program.outputs.items()}

    def keep(first: int, batch: Mapping[str, jax.Array]) -> None:
        size = min(width, count - first)
        for name, value in batch.items():
            results[name][first : first + size] = np.asarray(value)[:size]
        advance(size)

    computing = None
    with _own_settings():
        for first in range(0, count, width):
            parts = [argument[first : first + width] for argument in arguments]
            batch = execute(*(np.pad(part, (0, width - len(part)), mode="edge") for part in parts))
            if computing is not None:
                keep(*computing)
            computing = first, batch
        if computing is not None:
            keep(*computing)
    return results


def bytes_of_run(outputs: Mapping[str, jax.ShapeDtypeStruct]) -> int:
    """The size of what one run returns."""
    return sum(math.prod(out.shape) * out.dtype.itemsize for out in outputs.values())


def surroundings(programs: Collection[Program]) -> dict[str, str]:
    """All but the program that can decide the last bit of a result, in words.

    How a product of matrices is shared out, and so its last bits, depends on the number of threads. jaxlib takes LAPACK
    from scipy's OpenBLAS, which variables of the environment tell which arithmetic to use.
    """
    lapack = any(program.calls_lapack for program in programs)
    shared = lapack or any(program.multiplies for program in programs)
    return {
        "platform": jax.default_backend(),
        "processor": _processor(),
        "xla_flags": _xla_flags(),
        "threads": str(_threads()) if shared else "any number",
        "lapack": json.dumps(_openblas()) if lapack else "not called",
        "settings": settings(),
        "versions": json.dumps(provenance.versions()),
    }


def settings() -> str:
    """The settings of JAX that tell the compiler how to compile, as JSON."""
    return json.dumps({name: str(jax.config.values.get(name)) for name in SETTINGS})


def compiled(program: Program, runs: int | None = None) -> Callable[..., dict[str, jax.Array]]:
    """The program for `width` runs, compiled for the devices of this process that so many runs need."""
    return _compiled(program, program.devices(runs), settings())


@functools.lru_cache(maxsize=32)
def _compiled(program: Program, devices: tuple[Any, ...], _settings: str) -> Callable[..., dict[str, jax.Array]]:
    mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    spec = PartitionSpec(AXIS)
    whole = [jax.ShapeDtypeStruct((program.lanes * len(devices),), dtype) for dtype in program.types]

    def built(run: Callable[..., dict[str, jax.Array]]) -> Callable[..., dict[str, jax.Array]]:
        # The check of what varies would refuse a run with a loop that starts at a constant, and here all results vary.
        sharded = jax.shard_map(run, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        with _own_settings():
            return jax.jit(sharded, in_shardings=NamedSharding(mesh, spec)).lower(*whole).compile()

    if program.kernels is not None:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The Pallas Triton backend is deprecated", DeprecationWarning)
                return built(program.kernels)
        except Exception as error:  # what a GPU, or a version of JAX, cannot do shows in many ways
            warnings.warn(
                f"the steps of this run are computed one by one, which takes longer, since this GPU or version of JAX "
                f"makes no kernel of them ({shortened(str(error), 100)})",
                stacklevel=2,
            )
    return built(program.mapped)


@contextlib.contextmanager
def _own_settings() -> Iterator[None]:
    """Seeds stand for threefry keys that split and draw in the partitionable way, and no mesh of the caller counts.

    Products of matrices are not rounded as GPUs would by default, unless the caller has chosen a precision. A run may
    end in NaN, and its numbers are copied to and from devices, whatever the caller forbids.
    """
    mesh = jax.sharding.AbstractMesh((), ())
    precision = jax.config.values["jax_default_matmul_precision"] or "highest"
    with (
        jax.default_prng_impl("threefry2x32"),
        jax.threefry_partitionable(True),
        jax.default_matmul_precision(precision),
        jax.sharding.use_abstract_mesh(mesh),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.transfer_guard("allow"),
    ):
        yield


def _calling(run: RunFn, names: tuple[str, ...]) -> Callable[..., dict[str, jax.Array]]:
    """`run` as a function of one positional number for each axis, with its result checked."""
    parameters = inspect.signature(run).parameters.values()
    if nameless := [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]:
        raise ValueError(f"the run takes {nameless[0]!r} by position only: let it take names, as axes have them")
    needed = {p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    known = {p.name for p in parameters}
    makes_key = "seed" in names and "key" in known and "key" not in names
    if missing := needed - set(names) - ({"key"} if makes_key else set()):
        raise ValueError(
            f"the run needs {', '.join(sorted(missing))}: give each an axis ('seed' for a key), or a default"
        )

    def call(*numbers: jax.Array) -> dict[str, jax.Array]:
        arguments: dict[str, Any] = dict(zip(names, numbers, strict=True))
        if makes_key:
            arguments["key"] = seeded_key(arguments["seed"] if "seed" in known else arguments.pop("seed"))
        result = run(**arguments)
        if not isinstance(result, Mapping) or not all(isinstance(name, str) for name in result):
            raise ValueError(f"the run returns a {type(result).__name__}: return a flat mapping of names to arrays")
        if not result:
            raise ValueError("the run returns nothing: return a flat mapping of names to arrays")
        for name, value in result.items():
            if not isinstance(value, jax.Array | np.ndarray | np.generic):
                raise ValueError(
                    f"the run returns a {type(value).__name__} as {name!r}: return arrays, in a flat mapping"
                )
        return dict(result)

    return call


def _closed_over(run: RunFn) -> list[Any]:
    if isinstance(run, functools.partial):
        return [run.args, run.keywords, _closed_over(run.func)]
    cells = run.__closure__ or () if inspect.isfunction(run) else ()
    return [cell.cell_contents for cell in cells if cell != CellType()]  # which is empty: reading it is an error


def _lanes(traced: Any) -> int:
    """A power of two: of the accelerator or processor, unless the results, arrays or steps of a run are large."""
    platform = jax.default_backend()
    most = LANES.get(platform, LANES_OF_ACCELERATORS)
    room = BATCH_BYTES.get(platform, BATCH_BYTES_OF_ACCELERATORS) // max(
        1, bytes_of_run(traced.out_info), _largest(traced.jaxpr.jaxpr)
    )
    if platform == "cpu":
        written, weighted = _work(traced.jaxpr.jaxpr)
        room = min(room, STEP_BYTES * written // max(1, weighted))
    return min(most, 2 ** max(0, room.bit_length() - 1))


def _work(jaxpr: core.Jaxpr) -> tuple[int, int]:
    """Σ b and Σ b² over all arrays that a run writes, of b bytes each; Σ b² / Σ b is the size of a typical one."""
    written = weighted = 0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        made: list[Any] = [variable.aval for variable in equation.outvars]
        parts = [part.jaxpr for part in programs_of(equation)]
        if name == "scan":  # what is stacked is written in slices: it has an axis more than what the body returns
            made = [one for one, out in zip(made, parts[0].outvars, strict=True) if one.ndim == out.aval.ndim]
        sizes = [math.prod(aval.shape) * aval.dtype.itemsize for aval in made]
        inner = list(map(_work, parts))
        trips = {"scan": params.get("length"), "while": UNKNOWN_TRIPS}.get(name, 1)
        written += sum(sizes) + trips * sum(part[0] for part in inner)
        weighted += sum(size**2 for size in sizes) + trips * sum(part[1] for part in inner)
    return written, weighted


def _largest(jaxpr: core.Jaxpr) -> int:
    """The bytes of the largest array of a run, such as a history that the run makes and does not return."""
    made: list[Any] = [out.aval for equation in all_equations(jaxpr.eqns) for out in equation.outvars]
    return max((math.prod(aval.shape) * aval.dtype.itemsize for aval in made), default=0)


def _constants(closed: core.ClosedJaxpr) -> Iterator[bytes]:
    """The arrays that a program has captured, which its text need not contain. Refuses callbacks."""
    arrays = list(closed.consts)
    for equation in closed.jaxpr.eqns:
        if equation.primitive.name in CALLBACKS:
            raise ValueError(
                f"the run calls back into Python ({equation.primitive.name}): a store could not tell whether the "
                "function is still the same one, so compute with JAX, or before the sweep"
            )
        arrays += [part.val for part in equation.invars if isinstance(part, core.Literal) and np.ndim(part.val)]
        for part in programs_of(equation):
            yield from _constants(part)
    for array in arrays:
        dtype = array.dtype
        if jnp.issubdtype(dtype, jax.dtypes.prng_key):
            if (kind := jax.random.key_impl(array)) != "threefry2x32":
                raise ValueError(
                    f"the run uses a key of the kind {kind}, whose bits depend on the runs beside it: use keys of "
                    "threefry2x32"
                )
            array = jax.random.key_data(array)
        with jax.transfer_guard("allow"):
            array = np.asarray(array)
        yield f"{dtype}{array.shape}".encode() + array.tobytes()


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


def _has_gpu() -> bool:
    return jax.default_backend() == "gpu"


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
