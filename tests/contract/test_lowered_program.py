"""The lowered program of a training run has no more operations than recorded here.

So a slower step is noticed without a clock. StableHLO is what JAX hands to XLA: its operations depend neither on the
processor nor on the flags of XLA.
"""

from collections import Counter

import jax
import optax
import pytest

from slantgan_jax import fields, games, penalties, rules, slanted_land, train
from tests.tables import slow_unless

GAME = slanted_land()
STEPS, RUNS = 100, 8
RECORDED = {
    "tutorial": (GAME, lambda rate: rules.tutorial(optax.sgd(rate)), 648, 0),
    "simultaneous": (GAME, lambda rate: rules.simultaneous(optax.sgd(rate)), 633, 0),
    "Adam": (GAME, lambda rate: rules.tutorial(optax.adam(rate)), 1188, 0),
    "R1": (games.penalized(GAME, penalties.r1(0.1)), lambda rate: rules.simultaneous(optax.sgd(rate)), 687, 0),
    "sga": (GAME, lambda rate: rules.simultaneous(optax.sgd(rate), fields.sga(1.0)), 1449, 0),
    "rk4": (GAME, lambda rate: rules.simultaneous(optax.sgd(rate), fields.rk4(0.1)), 1734, 0),
    "cgd": (GAME, lambda rate: rules.simultaneous(optax.sgd(rate), fields.cgd(0.1)), 3109, 1),  # it solves equations
}
"""The game, the rule, the operations of one step, and the loops inside it.

Operations are counted with jax 0.10.2. They are an upper bound, since other versions of jax and optax may write some
constants less; jax 0.12 makes the same numbers. The revision before the second design had 25 more in each row, because
it looked up the number of the step in an array."""


def operations(op, functions):
    """The names of the operations inside `op`, those of called functions as often as they are called."""
    found = Counter()
    for region in op.operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                name = inner.operation.name
                found[name] += 1
                found += operations(inner, functions)
                if name == "func.call":
                    found += operations(functions[inner.operation.attributes["callee"].value], functions)
    return found


@pytest.mark.parametrize("name", slow_unless(RECORDED, "tutorial", "R1", "cgd"))
def test_a_step_has_no_more_operations_than_recorded(name):
    game, rule, most, loops = RECORDED[name]

    def run(key, rate):
        return train(key, game, rule(rate), STEPS).players

    keys = jax.random.split(jax.random.key(0), RUNS)
    module = jax.jit(jax.vmap(run, (0, None))).lower(keys, 0.01).compiler_ir("stablehlo")
    functions = {function.attributes["sym_name"].value: function for function in module.body.operations}
    main = functions["main"]
    whole = operations(main, functions)
    # The loop over the steps; what it has inside; and JAX's own hash, once for the keys and once for the players.
    assert whole["stablehlo.while"] == 1 + loops + 2
    assert whole["stablehlo.custom_call"] == 0
    (over_steps,) = (op for op in main.regions[0].blocks[0].operations if op.operation.name == "stablehlo.while")
    assert operations(over_steps, functions).total() <= most
