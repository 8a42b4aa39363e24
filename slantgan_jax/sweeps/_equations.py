"""Programs as JAX traced them, evaluated equation by equation: some of them may so be computed in another way."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax.extend import core

CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""The parameter in which the call of a function has its program. How that is differentiated no longer matters."""

LAPACK = frozenset({
    "cholesky", "cholesky_update", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "ormqr",
    "qr", "schur", "svd", "symmetric_product", "triangular_solve", "tridiagonal", "tridiagonal_solve",
})  # fmt: skip
"""The operations that jaxlib computes by LAPACK on a CPU."""

Values = dict[Any, Any]
"""From the variables of a program to their values."""

Applied = Callable[[Any, Sequence[Any]], Sequence[Any]]
"""From an equation, and its inputs, to its results."""


def evaluated(closed: core.ClosedJaxpr, inputs: Sequence[Any], by: Applied) -> list[Any]:
    """The results of a program; its equations, and those of functions that it calls, are evaluated `by` a function."""

    def apply(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        called = called_by(part)
        return by(part, inputs) if called is None else evaluated(called, inputs, by)

    values = computed(closed.jaxpr.eqns, given(closed, inputs), apply)
    return [value_of(values, one) for one in closed.jaxpr.outvars]


def applied(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation."""
    made = part.primitive.bind(*inputs, **part.primitive.get_bind_params(part.params))
    return made if part.primitive.multiple_results else [made]


def scanned(part: Any, inputs: Sequence[Any], by: Applied) -> list[Any]:
    """The results of a `scan`, with the equations of its body evaluated `by` a function."""
    params, inputs, (carried, constants) = part.params, list(inputs), carried_by(part)

    def onward(carry: Sequence[Any], slices: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        made = evaluated(params["jaxpr"], [*inputs[:constants], *carry, *slices], by)
        return made[:carried], made[carried:]

    options = {name: params[name] for name in ("length", "reverse", "unroll")}
    start, stacked = inputs[constants : constants + carried], inputs[constants + carried :]
    carry, stacked = jax.lax.scan(onward, start, stacked, **options)
    return [*carry, *stacked]


def function_of(closed: core.ClosedJaxpr, by: Applied) -> Callable[..., list[Any]]:
    """The program as a function, with its equations evaluated `by` another one."""
    return lambda *inputs: evaluated(closed, inputs, by)


def one_by_one(closed: core.ClosedJaxpr) -> Callable[..., list[Any]]:
    """The program as a function that calls LAPACK for one matrix after the other, and never for a batch of them.

    In jaxlib 0.10 a call for a batch waits for threads of the pool in which it runs itself. If enough of such calls run
    at the same time, all threads wait, for ever. The inside of a `shard_map` is left as it is.
    """

    def by(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        name, params = part.primitive.name, part.params
        if name in LAPACK:
            return _each(part, inputs)
        if not any(one.primitive.name in LAPACK for one in all_equations([part])):
            return applied(part, inputs)
        match name:
            case "scan":
                return scanned(part, inputs, by)
            case "while":
                return _while(part, inputs, by)
            case "cond":
                branches = [function_of(branch, by) for branch in params["branches"]]
                return jax.lax.switch(inputs[0], branches, *inputs[1:])
            case "remat2":  # the name of `jax.checkpoint`
                return evaluated(core.ClosedJaxpr(params["jaxpr"], ()), inputs, by)
            case "custom_linear_solve":
                matvec, vecmat, solve, transposed = params["const_lengths"]
                first, last = matvec + vecmat, matvec + vecmat + solve
                return evaluated(params["jaxprs"].solve, [*inputs[first:last], *inputs[last + transposed :]], by)
        return applied(part, inputs)

    return function_of(closed, by)


def _each(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """The results of an equation of `LAPACK`, whose axes before those of a matrix are a batch."""
    rank = 1 if part.primitive.name == "tridiagonal_solve" else 2  # of the first input; it is a diagonal there
    batch = inputs[0].shape[: inputs[0].ndim - rank]
    if not batch:
        return applied(part, inputs)
    flat = [jax.lax.reshape(one, (math.prod(batch), *one.shape[len(batch) :])) for one in inputs]
    made = jax.lax.map(lambda one: list(applied(part, one)), flat)
    return [jax.lax.reshape(one, (*batch, *one.shape[1:])) for one in made]


def _while(part: Any, inputs: Sequence[Any], by: Applied) -> list[Any]:
    """The results of a `while`, with its equations evaluated `by` a function."""
    params = part.params
    of_condition, of_body = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]

    def lasts(state: Sequence[Any]) -> Any:
        return evaluated(params["cond_jaxpr"], [*inputs[:of_condition], *state], by)[0]

    def onward(state: Sequence[Any]) -> list[Any]:
        return evaluated(params["body_jaxpr"], [*inputs[of_condition:of_body], *state], by)

    return jax.lax.while_loop(lasts, onward, list(inputs[of_body:]))


def given(closed: core.ClosedJaxpr, inputs: Sequence[Any]) -> Values:
    """The values of a program's constants and inputs."""
    own = [*closed.jaxpr.constvars, *closed.jaxpr.invars]
    return dict(zip(own, [*closed.consts, *inputs], strict=True))


def computed(parts: Iterable[Any], values: Values, by: Applied) -> Values:
    """`values` and those of the results of some equations."""
    values = dict(values)
    for part in parts:
        with part.ctx.manager:  # the settings under which it was traced, such as that of the bits of random numbers
            made = by(part, [value_of(values, one) for one in part.invars])
        values |= zip(part.outvars, made, strict=True)
    return values


def without_calls(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same program, with the functions that it calls written out."""
    types = [jax.ShapeDtypeStruct(one.aval.shape, one.aval.dtype) for one in closed.jaxpr.invars]
    return jax.make_jaxpr(function_of(closed, applied))(*types)


def called_by(part: Any) -> core.ClosedJaxpr | None:
    """The function that an equation calls, if that is all it does."""
    return part.params.get(CALLS.get(part.primitive.name, ""))


def carried_by(part: Any) -> tuple[int, int]:
    """How many results a `scan` carries from step to step, and how many of its inputs are the same in every step.

    Its other inputs and results have an axis more outside of its body than inside.
    """
    body = part.params["jaxpr"].jaxpr
    unstacked = [
        sum(one.aval.ndim == own.aval.ndim for one, own in zip(*both, strict=True))
        for both in ((part.outvars, body.outvars), (part.invars, body.invars))
    ]
    return unstacked[0], unstacked[1] - unstacked[0]


def variables(inputs: Iterable[Any]) -> list[Any]:
    """Those of the inputs of an equation that are not literals."""
    return [one for one in inputs if not isinstance(one, core.Literal)]


def value_of(values: Mapping[Any, Any], one: Any) -> Any:
    return one.val if isinstance(one, core.Literal) else values[one]


def all_equations(parts: Iterable[Any]) -> Iterator[Any]:
    """Equations, and those of all programs within them."""
    for part in parts:
        yield part
        for inner in programs_of(part):
            yield from all_equations(inner.jaxpr.eqns)


def programs_of(part: Any) -> list[core.ClosedJaxpr]:
    """The programs within an equation."""
    parts = jax.tree.leaves(part.params, is_leaf=lambda one: isinstance(one, core.ClosedJaxpr | core.Jaxpr))
    closed = [core.ClosedJaxpr(one, ()) if isinstance(one, core.Jaxpr) else one for one in parts]
    return [one for one in closed if isinstance(one, core.ClosedJaxpr)]
