from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo

from slantgan_jax import Players, faces, slanted_land

pytestmark = pytest.mark.usefixtures("quick_compile")


def outcome(rate, strength=0.0, **names):
    run = jax.jit(partial(zoo.run, steps=1000, **names))
    return run(jax.random.key(0), jnp.asarray(rate), jnp.asarray(strength))


@pytest.mark.parametrize(
    ("rate", "strength", "rule", "method", "verdict"),
    [
        (1.0, 0.1, "alternating", "R1", "converged"),
        (3.0, 0.0, "alternating", "optimistic", "circling"),  # d is 11 and 0.0003 in turns: odd records see it
        (3.0, 0.0, "simultaneous", "plain", "circling"),  # ρ = √((1 - 3 Re)² + (3 Im)²) > 1 for J's λ = 0.0005 ± 0.06i
        (1e6, 0.0, "simultaneous", "plain", "diverged"),
    ],
)
def test_verdicts_of_known_cases(rate, strength, rule, method, verdict):
    found = outcome(rate, strength, objective="non-saturating", rule=rule, method=method)
    assert zoo.VERDICTS[found["verdict"]] == verdict
    assert np.isfinite(found["steps_to_close"]) == (verdict == "converged")
    assert found["distance"] < zoo.CLOSE or verdict != "converged"


def test_every_method_can_be_traced():
    """With objectives in turn: one of pairs, which does not split, and the tutorial's."""
    for number, method in enumerate(zoo.METHODS):
        objective = "hinge" if zoo.METHODS[method].noise else ("relativistic", "non-saturating")[number % 2]
        shape = jax.eval_shape(
            partial(zoo.run, objective=objective, rule="alternating", method=method, steps=100),
            *(jax.random.key(0), jnp.asarray(0.1), jnp.asarray(0.5)),
        )
        assert set(shape) == {"distance", "steps_to_close", "verdict", "finite"}


def test_distance_is_zero_only_where_means_agree_and_d_is_undecided(x64):
    players = slanted_land().init(jax.random.key(0))
    weights = np.zeros(4)
    mean = faces.FACES.mean(0)
    at_mean = players.generator._replace(
        weights=faces.unstack(weights), biases=faces.unstack(np.log(mean / (1 - mean)))
    )
    undecided = players.discriminator._replace(weights=faces.unstack(np.zeros(4)))
    floats = jax.tree.map(jnp.asarray, Players(at_mean, undecided))
    assert zoo.distance(floats) < 1e-15  # rounding
    assert zoo.distance(floats._replace(discriminator=players.discriminator)) > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "magic"], "magic"),
        (["--steps", "150"], "multiple of 100"),
        (["--rates", "-1"], "positive"),
        (["--seeds", "0"], "at least 1"),
    ],
)
def test_bad_input_ends_in_one_line(complaint, arguments, message):
    said = complaint(zoo.zoo, *arguments)
    assert message in said
    assert said.count("\n") == 1
