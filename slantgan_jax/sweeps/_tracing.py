"""How a run is traced: anew for each sweep, under settings of its own, from named scalars to a flat mapping."""

import contextlib
import functools
import hashlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from types import CellType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core

from slantgan_jax.checks import shortened
from slantgan_jax.numerics import seeded_key
from slantgan_jax.sweeps._equations import programs_of

RunFn = Callable[..., Mapping[str, Any]]
"""A pure function of named scalars, and of a `key` if there is an axis of seeds, to a flat mapping of arrays."""

_call = jax.make_user_context()
"""Numbers the traces. JAX remembers a trace under its number, so each sweep traces anew and sees the present values of
all variables that a run, or a helper that it jits, reads."""

_calls = itertools.count()

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of an object in memory, as the text of a program has it."""

CALLBACKS = ("pure_callback", "io_callback", "buffer_callback")


def source(run: RunFn, arguments: Mapping[str, np.ndarray]) -> str:
    """A digest of a run that is the same on every platform; it differs if variables that the run reads do."""
    with tracing(run, arguments) as traced:
        return source_of(traced.jaxpr)


def source_of(closed: core.ClosedJaxpr) -> str:
    """The `source` of a run that is traced already."""
    digest = hashlib.sha256(ADDRESS.sub("", str(closed)).encode())
    for constant in constants_of(closed):
        digest.update(constant)
    return digest.hexdigest()


@contextlib.contextmanager
def tracing(run: RunFn, arguments: Mapping[str, np.ndarray]) -> Iterator[Any]:
    """A run, traced. Errors are those of `trace`."""
    scalars = [jax.ShapeDtypeStruct((), value.dtype) for value in arguments.values()]
    tracer = "the run closes over a tracer: call sweep outside of jit, vmap and grad, on a run of plain numbers"
    with own_settings():
        inside = isinstance(jnp.add(0, 0), Tracer)
    if inside or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(_closed_over(run))):
        raise ValueError(tracer)
    if jax.config.values["jax_disable_jit"]:
        raise ValueError("jax.disable_jit is set, and a sweep is compiled: unset it, or call the run itself")
    with own_settings(), _call(next(_calls)):
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


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
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


def constants_of(closed: core.ClosedJaxpr) -> Iterator[bytes]:
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
            yield from constants_of(part)
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
