"""Training loops as kernels of a GPU: a thread makes all steps of a run, with the numbers of the run in registers.

XLA runs every step as kernels of its own, which read and write the parameters of all runs. A loop over scalars, such as
the training of images of a few pixels, needs no memory at all. This module finds such loops in a traced run and
replaces them by calls of Pallas. See docs/performance.md#on-a-gpu.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental import pallas
from jax.extend import core

from slantgan_jax.sweeps._equations import (
    applied,
    called_by,
    carried_by,
    computed,
    function_of,
    given,
    scanned,
    value_of,
    variables,
    without_calls,
)

BLOCK, WARPS = 128, 4
"""The runs that a group of threads computes together, and its warps of 32 threads."""

TYPES = ("bool", "float32", "float64", "int32", "uint32")
"""The types of the numbers that a kernel reads and writes."""

# fmt: off
ELEMENTWISE = {
    "abs", "add", "add_any", "and", "bitcast_convert_type", "ceil", "clamp", "convert_element_type", "cos", "div",
    "eq", "erf_inv", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p",
    "logistic", "lt", "max", "min", "mul", "ne", "neg", "nextafter", "not", "or", "pow", "rem", "rsqrt", "select_n",
    "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sqrt", "square", "sub", "tanh",
    "xor",
}
"""The operations that a kernel has for scalars."""

IDENTITIES = {
    "broadcast_in_dim", "copy", "device_put", "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod",
    "reduce_sum", "reshape", "squeeze", "stack", "stop_gradient",
}
"""The operations that leave a single number as it is."""
# fmt: on

LOOKUP = "dynamic_slice"
"""The operation that reads one number of an array, such as a pixel of the face whose turn it is."""


def with_kernels(closed: core.ClosedJaxpr, interpret: bool = False) -> Callable[..., list[Any]]:
    """The run as a function to map with `jax.vmap`: every loop over scalars is then one kernel.

    Args:
      closed: a run as JAX traced it.
      interpret: compute the kernels without a GPU, slowly, to test them.
    """

    def by(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if part.primitive.name != "scan":
            return applied(part, inputs)
        loop = _Loop(part)
        return loop.as_kernel(inputs, interpret) if loop.fits else scanned(part, inputs, by)

    return function_of(closed, by)


def has_kernels(closed: core.ClosedJaxpr) -> bool:
    """Whether the run has a loop over scalars."""
    for equation in closed.jaxpr.eqns:
        called = called_by(equation)
        if called is not None and has_kernels(called):
            return True
        if equation.primitive.name == "scan" and (_Loop(equation).fits or has_kernels(equation.params["jaxpr"])):
            return True
    return False


class _Loop:
    """A `scan`, taken apart into what is the same in every step and what is not.

    Attributes:
      equation: the `scan`.
      carried: how many results it carries from step to step; the others are stacked.
      constants: how many of its inputs are the same in every step.
      body: a step, without calls of functions.
      invariant: the equations that are the same in every step.
      step: the other equations, and those of `invariant` that a kernel can compute, too.
      tables: the arrays of which these read one number.
      numbers: whatever else they read that is the same in every step.
      state: what they get from the step before.
      inputs: tables, numbers and state.
    """

    def __init__(self, equation: Any) -> None:
        closed = equation.params["jaxpr"]
        self.equation, self.body = equation, without_calls(closed)
        self.carried, self.constants = carried_by(equation)
        jaxpr = self.body.jaxpr
        known = {*jaxpr.constvars, *jaxpr.invars[: self.constants]}
        self.invariant, self.step = [], []
        for part in jaxpr.eqns:
            is_known = known.issuperset(variables(part.invars))
            if is_known:
                self.invariant.append(part)
                known.update(part.outvars)
            if not is_known or _is_of_scalars(part):  # what is cheap is left to the compiler
                self.step.append(part)
        self.state = jaxpr.invars[self.constants :]
        self.tables = list(dict.fromkeys(part.invars[0] for part in self.step if part.primitive.name == LOOKUP))
        own = {*self.tables, *self.state, *(out for part in self.step for out in part.outvars)}
        read = [*(one for part in self.step for one in part.invars), *jaxpr.outvars]
        self.numbers = [one for one in dict.fromkeys(variables(read)) if one not in own]
        self.inputs = [*self.tables, *self.numbers, *self.state]

    @property
    def fits(self) -> bool:
        """Whether it stacks nothing, and a step computes scalars alone, by operations that a kernel has."""
        alone = self.carried == len(self.equation.outvars) == len(self.state)
        made = {out for part in self.step for out in part.outvars}
        return (
            alone
            and not self.equation.params["reverse"]
            and made.union(self.state).isdisjoint(self.tables)
            and all(one.aval.ndim == 1 and one.aval.dtype.name in TYPES for one in self.tables)
            and all(one.aval.size == 1 and one.aval.dtype.name in TYPES for one in (*self.numbers, *self.state))
            and all(one.aval.ndim == 0 for one in self.state)
            and all(map(_is_of_scalars, self.step))
        )

    def as_kernel(self, inputs: Sequence[Any], interpret: bool) -> list[Any]:
        """The loop as a function whose batch is one kernel."""
        values = computed(self.invariant, given(self.body, inputs), applied)

        def scanned(*inputs: Any) -> list[Any]:
            return self._repeated(self._after, *self._sorted(inputs))

        alone = custom_vmap(scanned)

        @alone.def_vmap
        def together(size: int, mapped: Sequence[bool], *inputs: Any) -> tuple[list[Any], list[bool]]:
            varies = self._varying(dict(zip(self.inputs, mapped, strict=True)))
            if any(varies[one] for one in self.tables):
                axes = [0 if own else None for own in mapped]
                made = jax.vmap(scanned, axes)(*inputs)
                return made, [True] * len(made)
            arrays = [
                jnp.broadcast_to(value, (size,)) if varies[one] else jnp.reshape(value, (-1,))
                for one, value in zip(self.inputs, inputs, strict=True)
            ]
            of_state = [varies[one] for one in self.state]
            made = self._kernel(size, varies, interpret)(*arrays)
            return [value if own else value[0] for own, value in zip(of_state, made, strict=True)], of_state

        return alone(*(values[one] if one in self.tables else jnp.reshape(values[one], ()) for one in self.inputs))

    def _kernel(self, size: int, varies: Mapping[Any, bool], interpret: bool) -> Callable[..., list[Any]]:
        """All steps of so many runs. What does not vary from run to run is one number for all of them."""
        block, params = min(BLOCK, size), None
        if not interpret:
            from jax.experimental.pallas import triton  # deprecated: a later JAX has it no more

            params = triton.CompilerParams(num_warps=WARPS, num_stages=1)

        def spec(one: Any) -> pallas.BlockSpec:
            if varies[one]:
                return pallas.BlockSpec((block,), lambda number: (number,))
            return pallas.BlockSpec((one.aval.size,), lambda number: (0,))

        def kernel(*refs: Any) -> None:
            tables, *loaded = self._sorted(refs[: -len(self.state)])
            numbers, state = (
                [ref[...] if varies[one] else ref[0] for one, ref in zip(some, part, strict=True)]
                for some, part in zip((self.numbers, self.state), loaded, strict=True)
            )
            of_numbers, of_state = ([0 if varies[one] else None for one in some] for some in (self.numbers, self.state))
            mapped = jax.vmap(partial(self._after, tables), (of_numbers, of_state), of_state, axis_size=block)
            made = self._repeated(lambda _, numbers, state: mapped(numbers, state), (), numbers, state)
            for one, ref, value in zip(self.state, refs[-len(self.state) :], made, strict=True):
                ref[... if varies[one] else 0] = value

        return pallas.pallas_call(
            kernel,
            [jax.ShapeDtypeStruct((size if varies[one] else 1,), one.aval.dtype) for one in self.state],
            grid=(size // block,),
            in_specs=list(map(spec, self.inputs)),
            out_specs=list(map(spec, self.state)),
            interpret=interpret,
            compiler_params=params,
        )

    def _sorted(self, inputs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Tables, numbers and state, each by itself."""
        first, last = len(self.tables), len(self.tables) + len(self.numbers)
        return inputs[:first], inputs[first:last], inputs[last:]

    def _repeated(
        self, after: Callable[..., list[Any]], tables: Sequence[Any], numbers: Sequence[Any], state: Sequence[Any]
    ) -> list[Any]:
        """The state after all steps."""

        def onward(state: Sequence[Any], _: None) -> tuple[list[Any], None]:
            return after(tables, numbers, state), None

        return jax.lax.scan(onward, list(state), length=self.equation.params["length"])[0]

    def _after(self, tables: Sequence[Any], numbers: Sequence[Any], state: Sequence[Any]) -> list[Any]:
        """The state after a step."""
        values = dict(zip(self.inputs, [*tables, *numbers, *state], strict=True))
        values = computed(self.step, values, _applied_in_kernel)
        return [value_of(values, one) for one in self.body.jaxpr.outvars]

    def _varying(self, varies: dict[Any, bool]) -> dict[Any, bool]:
        """For each variable of a step, whether it varies from run to run, if what the loop starts from does."""
        while True:
            for part in self.step:
                varies |= dict.fromkeys(part.outvars, any(varies[one] for one in variables(part.invars)))
            # A kernel cannot hand on what the program has as a literal, but it can hand on an array of it.
            after = [isinstance(out, core.Literal) or varies[out] for out in self.body.jaxpr.outvars]
            before = [varies[one] for one in self.state]
            varies |= {one: old or new for one, old, new in zip(self.state, before, after, strict=True)}
            if before == [varies[one] for one in self.state]:
                return varies


def _is_of_scalars(part: Any) -> bool:
    name, single = part.primitive.name, [one.aval.size == 1 for one in part.invars]
    kept = name in IDENTITIES and all(single) and len(single) == len(part.outvars)
    return all(out.aval.size == 1 for out in part.outvars) and (kept or name in ELEMENTWISE or name == LOOKUP)


def _applied_in_kernel(part: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation of scalars and tables."""
    if part.primitive.name == LOOKUP:
        table, place = inputs
        return [table[jnp.clip(place, 0, part.invars[0].aval.size - 1).astype(jnp.int32)]]
    if part.primitive.name == "pow":  # to a whole number, too, as XLA does it
        base, exponent = inputs
        return [jax.lax.pow(base, jnp.asarray(exponent, part.outvars[0].aval.dtype))]
    return inputs if part.primitive.name in IDENTITIES else applied(part, inputs)
