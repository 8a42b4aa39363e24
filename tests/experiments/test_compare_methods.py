from functools import partial

import compare_methods
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare_methods import METHODS

from slantgan_jax.analysis.trajectories import Verdict

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("rate", "strength", "order", "method", "verdict"),
    [
        (1.0, 0.1, "alternating", "R1", "converged"),
        (3.0, 0.0, "alternating", "optimistic", "oscillating"),  # d is 11 and 0.0003 in turns: odd records see it
        # ρ = √((1 - 3 Re)² + (3 Im)²) > 1 for J's λ = 0.0005 ± 0.06i
        (3.0, 0.0, "simultaneous", "plain", "oscillating"),
        (1e6, 0.0, "simultaneous", "plain", "diverged"),
    ],
)
def test_verdicts_of_known_cases(rate, strength, order, method, verdict):
    run = jax.jit(partial(compare_methods.run, objective="non-saturating", rule=order, method=method, steps=1000))
    found = run(jax.random.key(0), jnp.asarray(rate), jnp.asarray(strength))
    assert Verdict(int(found["verdict"])) in compare_methods.VERDICTS[verdict]
    assert np.isfinite(found["steps_to_close"]) == (verdict == "converged")
    assert found["distance"] < compare_methods.CONVERGED_DISTANCE or verdict != "converged"


def test_every_method_can_be_traced():
    """With objectives in turn: one of pairs, which does not split, and the tutorial's."""
    for number, (name, method) in enumerate(METHODS.items()):
        objective = "hinge" if method.noisy else ("relativistic", "non-saturating")[number % 2]
        shape = jax.eval_shape(
            partial(compare_methods.run, objective=objective, rule="alternating", method=name, steps=100),
            *(jax.random.key(0), jnp.asarray(0.1), jnp.asarray(0.5)),
        )
        assert set(shape) == {"distance", "steps_to_close", "verdict", "finite"}


def test_every_verdict_has_one_name():
    named = [verdict for kinds in compare_methods.VERDICTS.values() for verdict in kinds]
    assert sorted(named) == list(Verdict)


def test_combinations_that_do_not_exist_are_left_out():
    assert compare_methods.is_playable("hinge", "tutorial", "R1")
    assert not compare_methods.is_playable("relativistic", "tutorial", "R1")
    assert not compare_methods.is_playable("relativistic", "alternating", "instance noise")
    assert not compare_methods.is_playable("hinge", "alternating", "past extragradient")
    assert compare_methods.is_playable("hinge", "simultaneous", "past extragradient")
