"""How a run becomes a program: traced, identified, and mapped over lanes, so that its bits are those of one lane alone.

A *lane* is one run of a batch. The number of lanes is a property of the program, never of the sweep, and the last batch
is padded. So every run goes through the same compiled program, wherever it stands and whoever computes it.
"""

import functools
import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.extend import core
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from slantgan_jax.checks import shortened
from slantgan_jax.sweeps import _kernels
from slantgan_jax.sweeps._equations import all_equations, one_by_one, programs_of
from slantgan_jax.sweeps._surroundings import settings
from slantgan_jax.sweeps._tracing import RunFn, constants_of, own_settings, tracing

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

EVALUATION = 1
"""The way in which a run becomes a batch. Raise it whenever a change can change the bits of a result."""

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
    with tracing(run, arguments) as traced:
        outputs, closed, text = traced.out_info, traced.jaxpr, traced.lower().as_text()
        structure, lanes = jax.tree.structure(outputs), _lanes(traced)

        def mapped(run: Callable[..., list[Any]], *numbers: jax.Array) -> dict[str, jax.Array]:
            return structure.unflatten(jax.vmap(run, axis_size=lanes)(*numbers))

        plain, kernels = functools.partial(mapped, core.jaxpr_as_fun(closed)), None
        if _has_gpu() and _kernels.has_kernels(closed):
            kernels = functools.partial(mapped, _kernels.with_kernels(closed))
        constants = list(constants_of(closed))
        batch = [jax.ShapeDtypeStruct((lanes,), dtype) for dtype in types]
        whole = functools.cache(functools.partial(jax.jit(plain).trace, *batch))  # all lanes, traced once if at all
        called = {equation.primitive.name for equation in all_equations(closed.jaxpr.eqns)}
        if "custom_vmap_call" in called:  # what such a function does for a batch is not in the run itself
            text, constants = whole().lower().as_text(), [*constants, *constants_of(whole().jaxpr)]
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
    with own_settings():
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
        with own_settings():
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


def _has_gpu() -> bool:
    return jax.default_backend() == "gpu"
