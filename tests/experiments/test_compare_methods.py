from functools import partial

import _combinations
import chex
import compare_methods
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare_methods import METHODS, OBJECTIVES

from slantgan_jax.analysis.trajectories import Verdict
from slantgan_jax.sweeps import load

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
    fixed = {"objectives": ("saturating", "non-saturating"), "rule": order, "method": method, "steps": 1000}
    run = jax.jit(partial(_combinations.run, **fixed))
    found = run(jax.random.key(0), jnp.asarray(1), jnp.asarray(rate), jnp.asarray(strength))
    assert Verdict(int(found["verdict"])) in compare_methods.VERDICTS[verdict]
    assert np.isfinite(found["steps_to_close"]) == (verdict == "converged")
    assert found["distance"] < _combinations.CONVERGED_DISTANCE or verdict != "converged"


def test_every_method_can_be_traced():
    """With objectives in turn: one of pairs, which does not split, and the tutorial's."""
    for number, (name, method) in enumerate(METHODS.items()):
        objective = "hinge" if method.noisy else ("relativistic", "non-saturating")[number % 2]
        shape = jax.eval_shape(
            partial(_combinations.run, objectives=(objective,), rule="alternating", method=name, steps=100),
            *(jax.random.key(0), jnp.asarray(0), jnp.asarray(0.1), jnp.asarray(0.5)),
        )
        assert set(shape) == {"distance", "steps_to_close", "verdict", "finite"}


def test_the_selected_objective_has_the_losses_and_derivatives_of_its_own():
    names = tuple(name for name, objective in OBJECTIVES.items() if len(objective.discriminator) == 2)
    logits = jnp.linspace(-3, 3, 13)  # among them the kinks of the hinge

    def parts(objective):
        """Of each loss: itself, its gradient and its second derivatives."""
        for loss in (*objective.discriminator, objective.generator):
            for function in (loss, jax.grad(loss, (0, 1)), jax.hessian(loss, (0, 1))):
                yield jax.vmap(function)(logits, jnp.roll(logits, 3))

    for place, name in enumerate(names):
        selected = _combinations.selected(jnp.asarray(place), names)
        chex.assert_trees_all_close(list(parts(selected)), list(parts(OBJECTIVES[name])), rtol=1e-6, atol=1e-7)


def test_programs_play_each_combination_once():
    combinations = [
        (objective, order, method)
        for objective in OBJECTIVES
        for order in _combinations.COMPARED_ORDERS
        for method in METHODS
        if _combinations.is_playable(objective, order, method)
    ]
    programs = _combinations.programs(combinations)
    assert (len(combinations), len(programs)) == (489, 105)
    played = [(objective, order, method) for order, method, objectives in programs for objective in objectives]
    assert sorted(played) == sorted(combinations)
    for _, _, objectives in programs:
        assert len({len(OBJECTIVES[objective].discriminator) for objective in objectives}) == 1


def test_seeds_and_rates_are_added_to_the_stores_and_fewer_are_taken_from_them(tmp_path):
    ran = partial(compare_methods.Settings, steps=100, objectives=("non-saturating",), methods=("past extragradient",))
    first = compare_methods.compute(ran(seeds=3, rates=(1.0, 0.1)), tmp_path)["ranking"]
    again = compare_methods.compute(ran(seeds=2, rates=(0.1, 3.0)), tmp_path)["ranking"]
    assert [row["rate"] for row in again[0]["shares"]] == [0.1, 3.0]
    alone = compare_methods.compute(ran(seeds=2, rates=(0.1, 3.0)), tmp_path / "alone")["ranking"]
    assert again == alone
    assert compare_methods.compute(ran(seeds=3, rates=(1.0, 0.1)), tmp_path)["ranking"] == first
    (store,) = (tmp_path / "sweeps").iterdir()
    assert dict(load(store).sizes) == {"objective": 1, "seed": 3, "learning_rate": 3, "strength": 1}


def test_every_verdict_has_one_name():
    named = [verdict for kinds in compare_methods.VERDICTS.values() for verdict in kinds]
    assert sorted(named) == list(Verdict)


def test_combinations_that_do_not_exist_are_left_out():
    assert _combinations.is_playable("hinge", "tutorial", "R1")
    assert not _combinations.is_playable("relativistic", "tutorial", "R1")
    assert not _combinations.is_playable("relativistic", "alternating", "instance noise")
    assert not _combinations.is_playable("hinge", "alternating", "past extragradient")
    assert _combinations.is_playable("hinge", "simultaneous", "past extragradient")


def test_an_objective_that_no_method_can_play_is_refused(tmp_path):
    arguments = [
        "--objectives",
        "non-saturating",
        "relativistic",
        "--methods",
        "instance noise",
        "--out",
        str(tmp_path / "out"),
    ]
    with pytest.raises(ValueError, match="--objectives has 'relativistic', which none of the --methods can play"):
        compare_methods.EXPERIMENT.parse(arguments)
