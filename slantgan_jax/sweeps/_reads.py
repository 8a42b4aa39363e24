"""What a run reads besides its arguments, so that it is traced anew only when something of it has changed.

Under `jax.jit` a global variable is read once. A sweep promises more: a run is what its function, the variables that it
reads and the objects bound to it are when `sweep` is called.
"""

import enum
import functools
import hashlib
import inspect
import sys
import types
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np

CONSTANT_PACKAGES = {"slantgan_jax", "jax", "jaxlib", "optax", "chex", "numpy", "scipy", "flax", "haiku"}
"""Packages, besides Python's own and all that are installed, whose functions count as what they were."""

JITTED = type(jax.jit(lambda: None))
SIMPLE = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic, np.dtype)

_last_reads: weakref.WeakKeyDictionary[Any, Hashable] = weakref.WeakKeyDictionary()
"""For each jitted function what it read when it was last seen."""


class _Unknown(Exception):
    """Something whose changes cannot be seen."""


def fingerprint(run: Callable[..., Any]) -> tuple[Hashable, list[Any]] | None:
    """What `run` reads, to be compared, and the objects that must live as long as it is compared.

    None if it reads something that may change unseen, such as an object of a class of one's own. A jitted function
    whose reads have changed forgets what it had traced.
    """
    kept: list[Any] = []
    try:
        return _of(run, {}, kept), kept
    except _Unknown:
        return None


def _of(value: Any, seen: dict[int, int], kept: list[Any]) -> Hashable:
    if isinstance(value, SIMPLE):
        return type(value), repr(value)  # which tells 0.0 from -0.0
    if id(value) in seen:
        return "seen", seen[id(value)]
    seen[id(value)] = len(seen)
    kept.append(value)
    of = functools.partial(_of, seen=seen, kept=kept)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return "array", value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
    if isinstance(value, tuple | list):
        return type(value), tuple(map(of, value))
    if isinstance(value, dict):
        return "dict", tuple((of(name), of(part)) for name, part in value.items())
    if isinstance(value, set | frozenset | range | slice):
        return repr(value)
    if isinstance(value, functools.partial):
        return "partial", of(value.func), of(value.args), of(value.keywords)
    if isinstance(value, types.MethodType):
        return "method", of(value.__func__), of(value.__self__)
    if isinstance(value, JITTED):
        return _of_jitted(value, of(inspect.unwrap(value)))
    if inspect.isfunction(value) and not _is_constant(value.__module__):
        reads = [of(value.__defaults__), of(value.__kwdefaults__), *map(of, _read(value))]
        return "function", id(value.__code__), tuple(reads)
    if isinstance(value, types.ModuleType):
        return "id", id(value)  # what is read of it stands beside it
    named = inspect.isfunction(value) or inspect.isclass(value)
    if isinstance(value, jax.Array | types.BuiltinFunctionType | enum.Enum) or (
        named and _is_constant(value.__module__)
    ):
        return "id", id(value)
    if type(value).__module__.partition(".")[0] in CONSTANT_PACKAGES:
        return "id", id(value)
    raise _Unknown


def _of_jitted(function: Any, reads: Hashable) -> Hashable:
    if _last_reads.get(function, reads) != reads:
        function.clear_cache()
    _last_reads[function] = reads
    return "jitted", id(function), reads


def _read(function: types.FunctionType) -> Iterator[Any]:
    """The values of all variables that a function reads, and of their attributes if they are modules."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not set yet
            yield None
    codes = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for name in code.co_names:
            if name in function.__globals__:
                value = function.__globals__[name]
                yield value
                if isinstance(value, types.ModuleType) and not _is_constant(value.__name__):
                    yield from (getattr(value, other) for other in code.co_names if hasattr(value, other))


def _is_constant(module: str | None) -> bool:
    root = (module or "").partition(".")[0]
    if root in CONSTANT_PACKAGES or (root in sys.stdlib_module_names and root != "__main__"):
        return True
    return "site-packages" in (getattr(sys.modules.get(root), "__file__", None) or "")
