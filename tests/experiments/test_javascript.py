"""Programs printed as JavaScript, run by Node.js, against JAX."""

import json
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _javascript import PRELUDE, printed
from _methods import METHODS, OBJECTIVES, ORDERS

from slantgan_jax import rules, slanted_land
from tests.tables import slow_unless

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")]

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3e-39, 1e-45, 1e30, -1e30, 88.0, -104.0, np.inf, -np.inf, np.nan]
LATENT_KEY = np.asarray(jax.random.key_data(jax.random.wrap_key_data(np.array([0, 7], np.uint32))))


def ran(program, script):
    """What the script of Node prints, numbers that are none as texts."""
    code = f"{PRELUDE}{program.code}\nconst said=(_,x)=>typeof x==='number'&&!Number.isFinite(x)?String(x):x;\n"
    done = subprocess.run(["node", "-e", code + script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return json.loads(done.stdout)


def called(program, *numbers):
    """The outputs of a program for lists of inputs."""
    rows = json.dumps(np.stack(numbers, -1).astype(object).tolist())
    script = f"const rows={rows};console.log(JSON.stringify(rows.map(i=>{{const o=[];f0(i,o);return o}}),said))"
    return np.array([[float(x) for x in row] for row in ran(program, script)])


UNARY = {
    "negation": (lambda x: -x, 0),
    "size": (jnp.abs, 0),
    "sign": (jnp.sign, 0),
    "floor": (jnp.floor, 0),
    "ceiling": (jnp.ceil, 0),
    "square": (jnp.square, 0),
    "cube": (lambda x: x**3, 0),
    "reciprocal": (lambda x: 1 / x, 0),
    "root": (jnp.sqrt, 0),
    "reciprocal root": (jax.lax.rsqrt, 1),
    "exp": (jnp.exp, 2),
    "expm1": (jnp.expm1, 4),
    "log": (jnp.log, 2),
    "log1p": (jnp.log1p, 2),
    "tanh": (jnp.tanh, 4),
    "sigmoid": (jax.nn.sigmoid, 4),
    "sine": (jnp.sin, 2),
    "inverse error function": (jax.lax.erf_inv, 8),
    "bits": (lambda x: jax.lax.bitcast_convert_type(x, jnp.uint32), 0),
    "a comparison": (lambda x: x >= 0.5, 0),
    "a choice": (lambda x: jnp.where(x > 0, x, 2 * x), 0),
    "finite": (jnp.isfinite, 0),
    "the next number": (lambda x: jnp.nextafter(x, jnp.float32(1)), 0),
    "fewer digits": (lambda x: jax.lax.reduce_precision(x, 8, 10), 0),
    "a power of two": (lambda x: jax.lax.reduce_precision(x, 8, 0), 0),
    "limits": (lambda x: jnp.clip(x, -1, 2), 0),
}


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_a_number_are_those_of_jax(name):
    """Exactly, or to so many units in the last place; XLA counts subnormal numbers as 0, JavaScript does not."""
    function, units = UNARY[name]
    numbers = np.array([*SPECIAL, *np.random.default_rng(0).normal(size=200), *np.linspace(-1, 1, 21)], np.float32)
    numbers = numbers[(numbers == 0) | ~(np.abs(numbers) < np.finfo(np.float32).tiny)]
    numbers = numbers[np.abs(numbers) < 1000] if name == "sine" else numbers  # of larger ones XLA loses digits
    found = called(printed("f0", function, np.float32(0)), numbers)[:, 0]
    expected = np.asarray(jax.vmap(function)(numbers)).astype(float)
    if name == "bits":
        expected, found = (np.where(np.isnan(numbers), 0, values) for values in (expected, found))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    near = np.isfinite(expected) & (np.abs(expected) >= np.finfo(np.float32).tiny)
    np.testing.assert_array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])
    with np.errstate(over="ignore"):  # the largest number has no next one
        apart = np.abs(found[near] - expected[near]) / np.spacing(np.abs(expected[near]).astype(np.float32))
    assert apart.max() <= units


WHOLE = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "exclusive or": lambda a, b: a ^ b,
    "complement": lambda a, b: ~a + b,
    "left": lambda a, b: a << (b % 32),
    "right": lambda a, b: jax.lax.shift_right_logical(a, b % 32),
    "remainder": lambda a, b: a % (b | 1),
    "float": lambda a, b: a.astype(jnp.float32) + b.astype(jnp.float32),
    "compared": lambda a, b: (a < b).astype(jnp.int32),
}


@pytest.mark.parametrize("kind", [np.uint32, np.int32])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_exact(name, kind):
    rng, info = np.random.default_rng(0), np.iinfo(kind)
    left, right = rng.integers(info.min, info.max, (2, 200), kind, endpoint=True)
    if kind == np.int32 and name in ("remainder", "right", "left"):
        left, right = np.abs(left // 2), np.abs(right // 2)
    if kind == np.int32 and name == "right":
        pytest.skip("the library shifts unsigned words only")
    found = called(printed("f0", WHOLE[name], kind(0), kind(0)), left, right)[:, 0]
    np.testing.assert_array_equal(found, np.asarray(jax.vmap(WHOLE[name])(left, right)).astype(float))


def test_arrays_loops_and_conditions():
    def function(x, n):
        a = jnp.stack([x, 2 * x, x**2])
        matrix = jnp.outer(a, a) @ jnp.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]], jnp.float32)
        looped = jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * x + c[0]), (0, x))
        chosen = jax.lax.cond(x > 0, lambda v: v.sum() + x, lambda v: v[0] - jnp.sin(x), a)
        scanned = jax.lax.scan(lambda c, y: (c + y * x, c), x, a, reverse=True)
        row = matrix[n % 3]
        return matrix.T, looped, chosen, scanned, row, jnp.flip(a), jnp.pad(a, (1, 2)), a.max()

    program = printed("f0", function, np.float32(0), np.int32(0))
    for x, n in ((0.7, 5), (-1.3, 0), (2.0, 11)):
        found = called(program, [x], [n])[0] if (x := float(np.float32(x))) else None
        leaves = jax.tree.leaves(function(jnp.float32(x), jnp.int32(n)))
        np.testing.assert_allclose(found, np.concatenate([np.ravel(leaf) for leaf in leaves]), rtol=1e-5)
    assert len(program.outputs) == len(found)


def test_keys_and_latents_are_exact_and_starting_players_to_rounding():
    game = slanted_land()

    def start(seed):
        own, other = jax.random.split(jax.random.key(seed))
        return jax.random.key_data(other), jax.random.key_data(jax.random.fold_in(own, 5)), game.init(own)

    seeds = np.array([0, 1, 42, 2**32 - 1], np.uint32)
    found = called(printed("f0", start, np.uint32(0)), seeds)
    for row, seed in zip(found, seeds, strict=True):
        words, folded, players = start(jnp.uint32(seed))
        np.testing.assert_array_equal(row[:4], np.concatenate([words, folded]))
        np.testing.assert_allclose(row[4:], np.stack(jax.tree.leaves(players)), rtol=3e-6, atol=1e-7)

    def latent(words, step):
        return game.sample(jax.random.wrap_key_data(words), step).latent

    steps = np.arange(300, dtype=np.uint32)
    first, second = (np.full(300, word, np.uint32) for word in (123, 2**31 + 5))
    found = called(printed("f0", latent, np.zeros(2, np.uint32), np.uint32(0)), first, second, steps)[:, 0]
    words = np.stack([first, second], -1)
    np.testing.assert_array_equal(found, np.asarray(jax.vmap(latent)(words, steps)).astype(float))


STEPS = 5000
PLAYED = (
    [(name, "alternating", "non-saturating") for name in METHODS]
    + [("plain", order, "non-saturating") for order in (*ORDERS, "tutorial")]
    + [("plain", "alternating", objective) for objective in OBJECTIVES]
)
QUICK = ("plain", "tutorial", "non-saturating"), ("R1", "alternating", "non-saturating")


@pytest.mark.parametrize("play", slow_unless(list(dict.fromkeys(PLAYED)), *QUICK), ids=", ".join)
def test_every_method_plays_as_the_library_does(play):
    """After 5,000 steps from one start, all 13 numbers; the rates and strengths are inputs of the program."""
    name, order, objective = play
    method, order = METHODS[name], {**ORDERS, "tutorial": rules.tutorial}[order]
    strength = np.float32(method.strengths[len(method.strengths) // 2])
    game = method.game(OBJECTIVES[objective], float(strength))
    state = method.rule(order, 0.01, float(strength)).init(game.init(jax.random.key(3)))
    leaves, structure = jax.tree.flatten(state)

    def step(leaves, words, rate, strength):
        state, key = structure.unflatten(leaves), jax.random.wrap_key_data(words)
        rule, played = method.rule(order, rate, strength), method.game(OBJECTIVES[objective], strength)
        return jax.tree.leaves(rule.step(played, state, rule.sample(played, key, state.step)))

    program = printed("f0", step, leaves, LATENT_KEY, np.float32(0), np.float32(0))
    start = [*(float(x) for leaf in leaves for x in np.ravel(leaf)), *LATENT_KEY.tolist(), 0.01, float(strength)]
    found = ran(
        program,
        f"const x=new Float64Array({json.dumps(start)}),o=new Float64Array({len(program.outputs)});x[{len(start) - 2}]="
        f"f(.01);for(let t=0;t<{STEPS};t++){{f0(x,o);x.set(o)}}console.log(JSON.stringify(Array.from(x),said))",
    )
    played = jax.jit(
        lambda leaves: jax.lax.fori_loop(
            0, STEPS, lambda _, x: step(x, LATENT_KEY, jnp.float32(0.01), strength), leaves
        )
    )
    expected = np.concatenate([np.ravel(leaf) for leaf in played(leaves)])
    np.testing.assert_allclose(found[:13], expected[:13], atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: jax.lax.fori_loop(0, 65, lambda i, y: y * x, x), "a loop of 65 rounds is too long"),
        (lambda x: jnp.linalg.cholesky(jnp.eye(2) * x), "is not known: add it"),
        (lambda x: jax.lax.lgamma(x), "the primitive 'lgamma' of numbers 'f' is not known"),
        (lambda x: x.astype(jnp.float16), "numbers of type float16 are not printed"),
        (lambda x: jnp.arange(6.0)[x.astype(int) + jnp.arange(2)], "only the gather of one row"),
    ],
)
def test_what_cannot_be_printed_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        printed("f0", function, np.float32(0))
