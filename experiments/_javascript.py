"""Programs of JAX as JavaScript: a function of a few numbers, traced and printed as straight-line code.

Every number of an array becomes a variable of its own, so this is for small programs, such as one step of the
tutorial's game. Repeated terms are computed once, and what nothing needs is left out. Numbers are float32, int32,
uint32 or booleans; each operation is rounded to float32 as in JAX, but what JavaScript computes in double precision
first, such as `Math.exp`, can differ in the last bit. Bits of random numbers are exact.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend import core
from jax.interpreters import ad, batching

from slantgan_jax.distributions import threefry

PRELUDE = """\
const f=Math.fround,W=new DataView(new ArrayBuffer(4));
const bits=x=>(W.setFloat32(0,x),W.getUint32(0)),float=u=>(W.setUint32(0,u),W.getFloat32(0));
const after=(x,y)=>x===y||x!==x||y!==y?x+0*y:x===0?float(y>0?1:0x80000001):float(bits(x)+(x<y===x>0?1:-1)>>>0);
const rounded=(x,n)=>Number.isFinite(x)?float((bits(x)+(1<<n-1)-1+(bits(x)>>>n&1)&-(1<<n))>>>0):x;
"""
"""What the functions need: rounding, numbers as their bits, and the next float of x towards y."""

LONGEST_SCAN = 64
"""Loops of at most this many rounds are written out."""


class Program(NamedTuple):
    """A function `name(i, o)` that reads the numbers `i` and writes the numbers `o`.

    Attributes:
      code: its definition; it needs `PRELUDE` once.
      inputs, outputs: the paths of the numbers in the arguments and in the result, as `jax.tree_util.keystr` has them.
      result: the shapes and types of the result.
    """

    code: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    result: Any


def printed(name: str, function: Callable[..., Any], *arguments: Any) -> Program:
    """`function` of pytrees like the `arguments` as the JavaScript function `name`.

    Raises:
      ValueError: a primitive or a type of number that is not known here, or a loop that is too long.
    """
    flat, structure = jax.tree.flatten(arguments)
    shapes = [jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in flat]
    closed, made = jax.make_jaxpr(lambda *leaves: function(*structure.unflatten(leaves)), return_shape=True)(*shapes)
    writer = _Writer()
    places, given = itertools.count(), []
    for shape in shapes:
        given.append(_each(lambda s=shape: writer.node(f"i[{next(places)}]", (), _kind(s.dtype)), shape.shape))
    found = writer.evaluate(closed.jaxpr, closed.consts, given)
    numbers = [node for value in found for node in np.ravel(value)]
    lines = [*writer.lines(numbers), *(f"o[{place}]={node.text()};" for place, node in enumerate(numbers))]
    return Program(f"function {name}(i,o){{\n{chr(10).join(lines)}\n}}", _paths(arguments), _paths(made), made)


def outside(name: str, x: Any, y: Any) -> jax.Array:
    """The scalar function of two numbers that the JavaScript around the program has, and its derivatives.

    The program calls `name_00(x, y)` for the function itself, `name_10(x, y)` for its derivative by x, and so on. So
    one program serves for every function that it is put beside.
    """
    return _OUTSIDE.bind(jnp.float32(x), jnp.float32(y), name=name, orders=(0, 0))


_OUTSIDE = core.Primitive("outside")


@_OUTSIDE.def_abstract_eval
def _outside_shape(*numbers: Any, name: str, orders: tuple[int, ...]) -> Any:
    return ShapedArray(np.broadcast_shapes(*(number.shape for number in numbers)), np.dtype(np.float32))


def _by(place: int, tangent: Any, x: Any, y: Any, *, name: str, orders: tuple[int, ...]) -> Any:
    """The derivative by one of the two numbers, times its tangent."""
    raised = tuple(order + (at == place) for at, order in enumerate(orders))
    return tangent * _OUTSIDE.bind(x, y, name=name, orders=raised)


ad.defjvp(_OUTSIDE, partial(_by, 0), partial(_by, 1))
batching.defbroadcasting(_OUTSIDE)


class _Node:
    """A number: a constant, a term of other numbers, or a variable that a loop or a condition sets."""

    def __init__(self, template: str, parts: tuple["_Node", ...], kind: str, number: int, owner: Any = None) -> None:
        self.template, self.parts, self.kind, self.number, self.owner = template, parts, kind, number, owner
        self.value: Any = None

    def text(self) -> str:
        return self.template if self.number < 0 else f"v{self.number}"


class _Region(NamedTuple):
    """A loop or a condition: the variables that it sets, their first values, and its parts, each with its results."""

    kind: str
    variables: tuple[_Node, ...]
    first: tuple[_Node, ...]
    parts: tuple[tuple["_Writer", tuple[_Node, ...]], ...]
    choice: _Node | None = None


class _Writer:
    """A block of code. Nodes are made once for equal terms, of this block and of those around it."""

    def __init__(self, around: "_Writer | None" = None) -> None:
        self.around, self.known, self.made = around, {}, []
        self.numbers: Iterator[int] = around.numbers if around else itertools.count()

    def node(self, template: str, parts: Sequence[_Node], kind: str) -> _Node:
        key, block = (template, tuple(map(id, parts)), kind), self
        while block is not None:
            if key in block.known:
                return block.known[key]
            block = block.around
        self.known[key] = node = _Node(template, tuple(parts), kind, next(self.numbers))
        self.made.append(node)
        return node

    def constant(self, value: Any) -> _Node:
        kind, number = _kind(np.asarray(value).dtype), np.asarray(value).item()
        text = str(number).lower() if kind == "b" else repr(number).replace("inf", "Infinity").replace("nan", "NaN")
        key = (f"{text}", (), kind)
        root = self
        while root.around is not None:
            root = root.around
        if key not in root.known:
            root.known[key] = _Node(f"({text})" if text.startswith("-") else text, (), kind, -1)
            root.known[key].value = np.asarray(value)
        return root.known[key]

    def array(self, value: Any) -> np.ndarray:
        value = np.asarray(value)
        numbers = iter(value.ravel())
        return _each(lambda: self.constant(next(numbers)), value.shape)

    def evaluate(self, jaxpr: core.Jaxpr, consts: Sequence[Any], given: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The results of a program for `given` arrays of nodes."""
        values: dict[Any, np.ndarray] = {}

        def read(atom: Any) -> np.ndarray:
            if not isinstance(atom, core.Literal):
                return values[atom]
            aval: Any = atom.aval
            return self.array(np.asarray(atom.val, aval.dtype))

        values.update(zip(jaxpr.constvars, map(self.array_of_constant, consts), strict=True))
        values.update(zip(jaxpr.invars, given, strict=True))
        for equation in jaxpr.eqns:
            found = self.applied(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def array_of_constant(self, value: Any) -> np.ndarray:
        typed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        value = np.asarray(jax.random.key_data(value) if typed else value)
        return self.array(value.astype(jax.dtypes.canonicalize_dtype(value.dtype)))

    def applied(self, equation: Any, given: list[np.ndarray]) -> list[np.ndarray]:
        name, params = equation.primitive.name, equation.params
        made = [
            jax.ShapeDtypeStruct(_shape(variable.aval), np.uint32 if _is_key(variable.aval) else variable.aval.dtype)
            for variable in equation.outvars
        ]
        typed = any(_is_key(variable.aval) for variable in (*equation.invars, *equation.outvars))
        if name in CALLS:
            inner = params[CALLS[name]]
            closed = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
            return self.evaluate(closed.jaxpr, closed.consts, given)
        if name in ("device_put", "optimization_barrier"):
            return given
        if name == "custom_linear_solve":
            lengths, solve = params["const_lengths"], params["jaxprs"].solve
            first = lengths.matvec + lengths.vecmat
            right = given[sum(lengths) :]
            return self.evaluate(solve.jaxpr, solve.consts, [*given[first : first + lengths.solve], *right])
        if name in KEYS:
            return [KEYS[name](self, params, *given)]
        if name in ("while", "cond", "scan"):
            return getattr(self, f"_{name}")(equation, given)
        known = bool(given) and all(node.value is not None for value in given for node in np.ravel(value))
        if known and not typed and name != "outside":
            numbers = [_constants(value, atom.aval) for value, atom in zip(given, equation.invars, strict=True)]
            found = equation.primitive.bind(*numbers, **params)
            return [self.array(value) for value in (found if equation.primitive.multiple_results else [found])]
        if name == "split":
            return np.split(given[0], np.cumsum(params["sizes"])[:-1], params["axis"])
        if name in SHAPES:
            found = SHAPES[name](self, params, made[0], *given)
            return [np.asarray(found, object).reshape(made[0].shape)]
        if len(made) != 1:
            raise ValueError(f"the primitive {name!r} is not known: add it, or avoid it")
        return [self.elementwise(name, params, made[0], *given)]

    def elementwise(self, name: str, params: Any, made: Any, *given: np.ndarray) -> np.ndarray:
        def one(*parts: _Node) -> _Node:
            return self.term(name, params, _kind(made.dtype), parts)

        parts = np.broadcast_arrays(*given)
        return np.asarray(np.vectorize(one, otypes=[object])(*parts), object).reshape(made.shape)

    def term(self, name: str, params: Any, kind: str, parts: Sequence[_Node]) -> _Node:
        """One number of an elementwise operation."""
        if name in ("stop_gradient", "copy"):
            return parts[0]
        if name == "integer_pow":
            return self.power(parts[0], params["y"])
        if name == "convert_element_type":
            same = parts[0].kind == kind
            return parts[0] if same else self.node(CONVERSIONS[parts[0].kind + kind], parts, kind)
        if name == "bitcast_convert_type":
            return self.node("bits($0)" if kind == "u" else "float($0)", parts, kind)
        if name == "reduce_precision" and params["exponent_bits"] == 8 and params["mantissa_bits"] < 23:
            return self.node(f"rounded($0,{23 - params['mantissa_bits']})", parts, kind)
        if name == "square":
            return self.node(TERMS["mul"]["f"], (parts[0], parts[0]), kind)
        if name == "erf_inv":
            return self.inlined(_erf_inv, parts[0])
        if name == "outside":
            places = ",".join(f"${place}" for place in range(len(parts)))
            return self.node(f"{params['name']}_{''.join(map(str, params['orders']))}({places})", parts, kind)
        own = parts[-1].kind if name in COMPARISONS else kind
        template = COMPARISONS.get(name) or TERMS.get(name, {}).get(own)
        if template is None:
            raise ValueError(f"the primitive {name!r} of numbers {own!r} is not known: add it to `TERMS`, or avoid it")
        return self.node(template, parts, kind)

    def inlined(self, function: Callable[[Any], Any], *parts: _Node) -> _Node:
        shapes = [jax.ShapeDtypeStruct((), TYPES[part.kind]) for part in parts]
        closed = jax.make_jaxpr(function)(*shapes)
        return self.evaluate(closed.jaxpr, closed.consts, [_each(lambda p=part: p, ()) for part in parts])[0].item()

    def power(self, base: _Node, exponent: int) -> _Node:
        if exponent < 0:
            return self.node(TERMS["div"]["f"], (self.constant(np.float32(1)), self.power(base, -exponent)), "f")
        found, square = None, base
        while exponent:
            if exponent & 1:
                found = square if found is None else self.node(TERMS["mul"]["f"], (found, square), "f")
            exponent >>= 1
            square = self.node(TERMS["mul"]["f"], (square, square), "f") if exponent else square
        return self.constant(np.float32(1)) if found is None else found

    def variable(self, like: _Node, region: list[Any]) -> _Node:
        return _Node("", (), like.kind, next(self.numbers), region)

    def _region(self, first: Sequence[_Node]) -> tuple[list[Any], list[_Node]]:
        """The place in the code of a region that is filled in later, and the variables that the region sets."""
        owner: list[Any] = [None]
        variables = [self.variable(node, owner) for node in first]
        self.made.append(owner)
        return owner, variables

    def _while(self, equation: Any, given: list[np.ndarray]) -> list[np.ndarray]:
        params = equation.params
        tests, bodies = params["cond_nconsts"], params["body_nconsts"]
        for_test, for_body, carried = given[:tests], given[tests : tests + bodies], given[tests + bodies :]
        first = [node for value in carried for node in np.ravel(value)]
        owner, variables = self._region(first)
        now = _shaped(variables, carried)
        test, body = _Writer(self), _Writer(self)
        goes_on = test.evaluate(params["cond_jaxpr"].jaxpr, params["cond_jaxpr"].consts, [*for_test, *now])
        after = body.evaluate(params["body_jaxpr"].jaxpr, params["body_jaxpr"].consts, [*for_body, *now])
        results = tuple(node for value in after for node in np.ravel(value))
        owner[0] = _Region("while", tuple(variables), tuple(first), ((test, (goes_on[0].item(),)), (body, results)))
        return now

    def _cond(self, equation: Any, given: list[np.ndarray]) -> list[np.ndarray]:
        choice, arguments = given[0].item(), given[1:]
        branches = []
        for branch in equation.params["branches"]:
            writer = _Writer(self)
            branches.append((writer, writer.evaluate(branch.jaxpr, branch.consts, arguments)))
        if choice.value is not None:
            raise ValueError("a condition whose choice is known is not printed: choose before tracing")
        one = branches[0][1]
        likes = [node for value in one for node in np.ravel(value)]
        owner, variables = self._region(likes)
        parts = tuple(
            (writer, tuple(node for value in found for node in np.ravel(value))) for writer, found in branches
        )
        owner[0] = _Region("cond", tuple(variables), (), parts, choice)
        return _shaped(variables, one)

    def _scan(self, equation: Any, given: list[np.ndarray]) -> list[np.ndarray]:
        params = equation.params
        length, body = params["length"], params["jaxpr"].jaxpr

        def whole(outside: Sequence[Any], inside: Sequence[Any]) -> int:
            """How many values the body has as a whole: those of which it has slices have an axis less."""
            return sum(a.aval.ndim == b.aval.ndim for a, b in zip(outside, inside, strict=True))

        carry = whole(equation.outvars, body.outvars)
        consts = whole(equation.invars, body.invars) - carry
        if length > LONGEST_SCAN:
            raise ValueError(f"a loop of {length} rounds is too long to be written out: at most {LONGEST_SCAN}")
        fixed, state, sliced = given[:consts], given[consts : consts + carry], given[consts + carry :]
        stacked, order = [], range(length)[:: -1 if params["reverse"] else 1]
        for turn in order:
            parts = [*fixed, *state, *(np.asarray(value[turn], object) for value in sliced)]
            found = self.evaluate(body, params["jaxpr"].consts, parts)
            state = found[:carry]
            stacked.append(found[carry:])
        stacked = stacked[:: -1 if params["reverse"] else 1]
        return [*state, *(np.stack(list(values)) for values in zip(*stacked, strict=True))]

    def lines(self, wanted: Sequence[_Node]) -> list[str]:
        """The statements that make the `wanted` numbers, without those that nothing needs."""
        needed: set[int] = set()
        stack: list[Any] = list(wanted)
        while stack:
            node = stack.pop()
            if id(node) in needed:
                continue
            needed.add(id(node))
            stack += node.parts
            if node.owner and id(node.owner) not in needed:
                needed.add(id(node.owner))
                region = node.owner[0]
                stack += [*region.variables, *region.first, *([region.choice] if region.choice else [])]
                stack += [node for _, results in region.parts for node in results]
        return list(self._statements(needed))

    def _statements(self, needed: set[int]) -> Iterator[str]:
        for node in self.made:
            if id(node) not in needed:
                continue
            if isinstance(node, _Node):
                yield f"const v{node.number}={_filled(node)};"
            else:
                yield from _statements_of(node[0], needed)


def _statements_of(region: _Region, needed: set[int]) -> Iterator[str]:
    if region.kind == "while":
        for node, first in zip(region.variables, region.first, strict=True):
            yield f"let {node.text()}={first.text()};"
        (test, (goes_on,)), (body, after) = region.parts
        yield "for(;;){"
        yield from test._statements(needed)
        yield f"if(!{goes_on.text()})break;"
        yield from body._statements(needed)
        moved = [(old.text(), new.text()) for old, new in zip(region.variables, after, strict=True) if old is not new]
        yield f"[{','.join(old for old, _ in moved)}]=[{','.join(new for _, new in moved)}];"
        yield "}"
        return
    yield f"let {','.join(node.text() for node in region.variables)};"
    for number, (writer, results) in enumerate(region.parts):
        last = number == len(region.parts) - 1
        test = f"{region.choice.text()}==={number}" if region.choice else ""  # booleans are whole numbers by then
        yield f"{'else ' * (number > 0)}{'' if last else f'if({test})'}{{"
        yield from writer._statements(needed)
        for old, new in zip(region.variables, results, strict=True):
            yield f"{old.text()}={new.text()};"
        yield "}"


def _filled(node: _Node) -> str:
    text = node.template
    for place in reversed(range(len(node.parts))):
        text = text.replace(f"${place}", node.parts[place].text())
    return text


def _is_key(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jax.dtypes.prng_key)


def _shape(aval: Any) -> tuple[int, ...]:
    """The shape of an array of numbers; a key is two of them."""
    return (*aval.shape, 2) if _is_key(aval) else aval.shape


def _kind(dtype: Any) -> str:
    kinds = {"float32": "f", "uint32": "u", "int32": "i", "bool": "b"}
    if str(dtype) not in kinds:
        raise ValueError(f"numbers of type {dtype} are not printed: use one of {', '.join(kinds)}")
    return kinds[str(dtype)]


def _each(make: Callable[[], Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of this shape of what `make` returns, one after the other."""
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        found[place] = make()
    return found


def _shaped(nodes: Sequence[_Node], like: Sequence[np.ndarray]) -> list[np.ndarray]:
    waiting = iter(nodes)
    return [_each(lambda: next(waiting), value.shape) for value in like]


def _constants(value: np.ndarray, aval: Any) -> Any:
    numbers = [node.value for node in np.ravel(value)]
    return jnp.asarray(np.asarray(numbers, aval.dtype).reshape(value.shape))


def _paths(tree: Any) -> tuple[str, ...]:
    return tuple(
        f"{jax.tree_util.keystr(path)}{list(place) or ''}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        for place in np.ndindex(jnp.shape(leaf))
    )


def _reduced(name: str, writer: _Writer, params: Any, made: Any, value: np.ndarray) -> np.ndarray:
    """The numbers along some axes, joined by the operation `name` one after the other."""
    axes = params["axes"]
    moved = np.moveaxis(value, axes, range(len(axes))).reshape(-1, *made.shape)
    found = moved[0]
    for part in moved[1:]:
        found = writer.elementwise(name, {}, made, found, part)
    return found


def _dot(writer: _Writer, params: Any, made: Any, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    (summed_l, summed_r), (batch_l, batch_r) = params["dimension_numbers"]
    rows, columns = (
        np.moveaxis(value, (*batch, *summed), range(len(batch) + len(summed)))
        for value, batch, summed in ((left, batch_l, summed_l), (right, batch_r, summed_r))
    )
    shared, count = rows.shape[: len(batch_l)], len(summed_l)
    lengths = rows.shape[len(shared) : len(shared) + count]
    rows = rows.reshape(*shared, math.prod(lengths), -1)
    columns = columns.reshape(*shared, math.prod(lengths), -1)
    found = None
    for place in range(math.prod(lengths)):
        one, other = rows[..., place, :, None], columns[..., place, None, :]
        aval = jax.ShapeDtypeStruct(np.broadcast_shapes(one.shape, other.shape), made.dtype)
        term = writer.elementwise("mul", {}, aval, one, other)
        found = term if found is None else writer.elementwise("add", {}, aval, found, term)
    return found if found is not None else writer.array(np.zeros(made.shape, made.dtype))


def _broadcast(writer: _Writer, params: Any, made: Any, value: np.ndarray) -> np.ndarray:
    shape = [1] * len(made.shape)
    for axis, size in zip(params["broadcast_dimensions"], value.shape, strict=True):
        shape[axis] = size
    return np.broadcast_to(value.reshape(shape), made.shape)


def _sliced(writer: _Writer, params: Any, made: Any, value: np.ndarray) -> np.ndarray:
    steps = params["strides"] or (1,) * len(params["start_indices"])
    return value[tuple(map(slice, params["start_indices"], params["limit_indices"], steps))]


def _dynamic_slice(writer: _Writer, params: Any, made: Any, value: np.ndarray, *starts: np.ndarray) -> np.ndarray:
    """Of an array whose place is a number of the program: one after the other is chosen."""
    found = value
    for axis, (start, size) in enumerate(zip(starts, params["slice_sizes"], strict=True)):
        node, most = start.item(), found.shape[axis] - size
        if node.value is not None:
            first = min(max(int(node.value), 0), most)
            found = np.take(found, range(first, first + size), axis)
            continue
        chosen = np.take(found, range(size), axis)
        for place in range(1, most + 1):
            reached = np.asarray(writer.node(COMPARISONS["ge"], (node, writer.constant(TYPES[node.kind](place))), "b"))
            other = np.take(found, range(place, place + size), axis)
            aval = jax.ShapeDtypeStruct(other.shape, TYPES[other.ravel()[0].kind])
            chosen = writer.elementwise("select_n", {}, aval, reached, chosen, other)
        found = chosen
    return found


def _gathered(writer: _Writer, params: Any, made: Any, value: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """A row of an array by its number: what `array[index]` is."""
    numbers = params["dimension_numbers"]
    if indices.size != 1 or numbers.start_index_map != (0,) or params["slice_sizes"][1:] != value.shape[1:]:
        raise ValueError("only the gather of one row of an array is known: index the first axis by one number")
    sizes = {"slice_sizes": (1, *value.shape[1:])}
    zeros = [np.asarray(writer.constant(np.int32(0)), object)] * (value.ndim - 1)
    return _dynamic_slice(writer, sizes, made, value, indices.reshape(()), *zeros)


def _iota(writer: _Writer, params: Any, made: Any) -> np.ndarray:
    shape, dimension = params["shape"], params["dimension"]
    numbers = np.arange(shape[dimension]).reshape([-1 if axis == dimension else 1 for axis in range(len(shape))])
    return writer.array(np.broadcast_to(numbers, shape).astype(params["dtype"]))


def _padded(writer: _Writer, params: Any, made: Any, value: np.ndarray, filling: np.ndarray) -> np.ndarray:
    found = np.full(made.shape, filling.item(), object)
    places = []
    for (low, high, inner), size in zip(params["padding_config"], value.shape, strict=True):
        if low < 0 or high < 0:
            raise ValueError("a padding that cuts off is not known: slice before")
        places.append(slice(low, low + size + inner * max(size - 1, 0), inner + 1))
    found[tuple(places)] = value
    return found


SHAPES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), lambda writer, params, made, value: value),
    "transpose": lambda writer, params, made, value: value.transpose(params["permutation"]),
    "rev": lambda writer, params, made, value: np.flip(value, params["dimensions"]),
    "concatenate": lambda writer, params, made, *values: np.concatenate(values, params["dimension"]),
    "stack": lambda writer, params, made, *values: np.stack(values, params["axis"]),
    "slice": _sliced,
    "dynamic_slice": _dynamic_slice,
    "gather": _gathered,
    "iota": _iota,
    "pad": _padded,
    "reduce_sum": partial(_reduced, "add"),
    **{f"reduce_{name}": partial(_reduced, name) for name in ("max", "min", "and", "or")},
    "dot_general": _dot,
}

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}

COMPARISONS = {"eq": "$0===$1", "ne": "$0!==$1", "lt": "$0<$1", "le": "$0<=$1", "gt": "$0>$1", "ge": "$0>=$1"}

TERMS: dict[str, dict[str, str]] = {
    "add": {"f": "f($0+$1)", "u": "($0+$1)>>>0", "i": "($0+$1)|0"},
    "add_any": {"f": "f($0+$1)"},
    "sub": {"f": "f($0-$1)", "u": "($0-$1)>>>0", "i": "($0-$1)|0"},
    "mul": {"f": "f($0*$1)", "u": "Math.imul($0,$1)>>>0", "i": "Math.imul($0,$1)"},
    "div": {"f": "f($0/$1)", "u": "Math.floor($0/$1)", "i": "Math.trunc($0/$1)"},
    "rem": {"f": "f($0%$1)", "u": "$0%$1", "i": "$0%$1"},
    "max": {"f": "Math.max($0,$1)", "u": "Math.max($0,$1)", "i": "Math.max($0,$1)"},
    "min": {"f": "Math.min($0,$1)", "u": "Math.min($0,$1)", "i": "Math.min($0,$1)"},
    "neg": {"f": "-$0", "i": "-$0|0"},
    "abs": {"f": "Math.abs($0)", "i": "Math.abs($0)"},
    "sign": {"f": "Math.sign($0)", "i": "Math.sign($0)"},
    "floor": {"f": "Math.floor($0)"},
    "ceil": {"f": "Math.ceil($0)"},
    "exp": {"f": "f(Math.exp($0))"},
    "exp2": {"f": "f(Math.pow(2,$0))"},
    "log": {"f": "f(Math.log($0))"},
    "log1p": {"f": "f(Math.log1p($0))"},
    "expm1": {"f": "f(Math.expm1($0))"},
    "tanh": {"f": "f(Math.tanh($0))"},
    "sin": {"f": "f(Math.sin($0))"},
    "cos": {"f": "f(Math.cos($0))"},
    "sqrt": {"f": "f(Math.sqrt($0))"},
    "rsqrt": {"f": "f(1/Math.sqrt($0))"},
    "nextafter": {"f": "after($0,$1)"},
    "pow": {"f": "f(Math.pow($0,$1))"},
    "logistic": {"f": "f(1/f(1+f(Math.exp(-$0))))"},
    "is_finite": {"b": "Number.isFinite($0)"},
    "select_n": dict.fromkeys("fuib", "$0?$2:$1"),
    "and": {"b": "$0&&$1", "u": "($0&$1)>>>0", "i": "$0&$1"},
    "or": {"b": "$0||$1", "u": "($0|$1)>>>0", "i": "$0|$1"},
    "xor": {"b": "$0!==$1", "u": "($0^$1)>>>0", "i": "$0^$1"},
    "not": {"b": "!$0", "u": "(~$0)>>>0", "i": "~$0"},
    "shift_left": {"u": "($0<<$1)>>>0", "i": "$0<<$1"},
    "shift_right_logical": {"u": "$0>>>$1"},
    "clamp": dict.fromkeys("fui", "Math.min(Math.max($1,$0),$2)"),
}
"""Operations on numbers of each kind: float32, uint32, int32 and booleans; `$0` is the first number."""

CONVERSIONS = {
    "uf": "f($0)", "if": "f($0)", "bf": "($0?1:0)", "fi": "Math.trunc($0)|0", "fu": "Math.trunc($0)>>>0",
    "ui": "$0|0", "iu": "$0>>>0", "bi": "($0?1:0)", "bu": "($0?1:0)", "fb": "$0!==0", "ib": "$0!==0", "ub": "$0!==0",
}  # fmt: skip

TYPES = {"f": np.float32, "u": np.uint32, "i": np.int32, "b": np.bool_}


def _erf_inv(x: jax.Array) -> jax.Array:
    """erf⁻¹ in single precision. Giles 2010, "Approximating the erfinv function", table 5."""
    w = -jnp.log1p(-x * x)
    near, far = w - 2.5, jnp.sqrt(w) - 3
    inner = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503]
    inner += [-0.00417768164, 0.246640727, 1.50140941]
    outer = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613]
    outer += [0.00943887047, 1.00167406, 2.83297682]
    one, other = jnp.float32(inner[0]), jnp.float32(outer[0])
    for a, b in zip(inner[1:], outer[1:], strict=True):
        one, other = one * near + jnp.float32(a), other * far + jnp.float32(b)
    return jnp.where(jnp.abs(x) == 1, jnp.inf, jnp.where(w < 5, one, other)) * x


def _hashed(writer: _Writer, key: np.ndarray, high: Any, low: Any) -> list[_Node]:
    """The two words of threefry for a key `[2]` and a counter of two words, as the library computes them."""
    shapes = [jax.ShapeDtypeStruct((), np.uint32)] * 4
    closed = jax.make_jaxpr(lambda a, b, c, d: threefry((a, b), (c, d)))(*shapes)
    given = [np.asarray(node, object) for node in (*key, high, low)]
    return [value.item() for value in writer.evaluate(closed.jaxpr, closed.consts, given)]


def _words(writer: _Writer, keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Both words of the hash of the counters 0, 1, ... under each key, `[keys..., shape..., 2]`."""
    zero, counters = writer.constant(np.uint32(0)), writer.array(np.arange(math.prod(shape), dtype=np.uint32))
    found = np.empty((*keys.shape[:-1], len(counters), 2), object)
    for place in np.ndindex(*found.shape[:-1]):
        found[place] = _hashed(writer, keys[place[:-1]], zero, counters[place[-1]])
    return found.reshape(*keys.shape[:-1], *shape, 2)


def _seeded(writer: _Writer, params: Any, seeds: np.ndarray) -> np.ndarray:
    """`jax.random.key` of 32-bit seeds: the words 0 and the seed."""
    aval = jax.ShapeDtypeStruct(seeds.shape, np.uint32)
    words = writer.elementwise("convert_element_type", {}, aval, seeds)
    return np.stack([np.full(seeds.shape, writer.constant(np.uint32(0)), object), words], -1)


def _split(writer: _Writer, params: Any, keys: np.ndarray) -> np.ndarray:
    """`jax.random.split` of threefry keys that split in the partitionable way: key number n hashes the counter n."""
    return _words(writer, keys, tuple(params["shape"]))


def _folded(writer: _Writer, params: Any, keys: np.ndarray, data: np.ndarray) -> np.ndarray:
    """`jax.random.fold_in`: the hash of the number as a seed, which has the words 0 and the number."""
    found, numbers = np.empty(keys.shape, object), np.broadcast_to(data, keys.shape[:-1])
    for place in np.ndindex(*keys.shape[:-1]):
        found[place] = _hashed(writer, keys[place], writer.constant(np.uint32(0)), numbers[place])
    return found


def _random_bits(writer: _Writer, params: Any, keys: np.ndarray) -> np.ndarray:
    """`jax.random.bits` in 32 bits: word number n is the exclusive or of both words of the hash of n."""
    if params["bit_width"] != 32:
        raise ValueError(f"random numbers of {params['bit_width']} bits are not known: use 32")
    words = _words(writer, keys, tuple(params["shape"]))
    aval = jax.ShapeDtypeStruct(words.shape[:-1], np.uint32)
    return writer.elementwise("xor", {}, aval, words[..., 0], words[..., 1])


KEYS: dict[str, Callable[..., np.ndarray]] = {
    "random_wrap": lambda writer, params, words: words,
    "random_unwrap": lambda writer, params, keys: keys,
    "random_seed": _seeded,
    "random_split": _split,
    "random_fold_in": _folded,
    "random_bits": _random_bits,
    "random_clone": lambda writer, params, keys: keys,
}
"""Operations on typed keys of threefry. A key is its two words, along a last axis."""
