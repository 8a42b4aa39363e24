import json
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import spectrum
from _options import checked
from spectrum import EXPERIMENT, Settings

from slantgan_jax.analysis import thresholds

pytestmark = [
    pytest.mark.xdist_group("spectrum"),  # one process compiles what tests share once
    pytest.mark.usefixtures("quick_compile"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spectrum")
    EXPERIMENT.run(Settings((1.0, -1.0, -1.0, 1.0), rule="simultaneous", learning_rate=0.02), folder)
    return folder, json.loads((folder / "spectrum.json").read_text())


def test_the_file_holds_the_modes_and_what_follows_of_them(written):
    folder, found = written
    values = np.array(found["eigenvalues"]) @ [1, 1j]
    assert values.shape == (13,)
    assert found["zero_modes"] == np.sum(values == 0) == 4
    assert found["verdict"] == found["update"]["verdict"] == "stable"
    felt = values[values != 0]
    rates = found["largest_stable_learning_rate"]
    assert list(rates) == ["simultaneous", "alternating"]
    # A growth of 1e-11 passes as none; it rises by |Re λ| = 5e-4 per unit of rate.
    np.testing.assert_allclose(rates["simultaneous"], np.min(2 * np.abs(felt.real) / np.abs(felt) ** 2), atol=2e-8)
    # What limits alternation is the fastest mode, of D alone: 1 - η |λ| = -1. It feels G a little.
    np.testing.assert_allclose(rates["alternating"], 2 / np.abs(felt).max(), rtol=1e-2)
    slowest = felt[np.argmax(felt.real)]
    np.testing.assert_allclose(found["efold_epochs"], -1 / slowest.real / (5 * 0.02), rtol=1e-12)
    np.testing.assert_allclose(found["period_epochs"], 2 * np.pi / abs(slowest.imag) / (5 * 0.02), rtol=1e-12)
    multipliers = np.array(found["update"]["multipliers"]) @ [1, 1j]
    # Rounding of numbers near 1; two pairs are the same, so each is held against the nearest.
    assert np.abs(multipliers[:, None] - (1 + 0.02 * values)[None]).min(0).max() < 1e-14
    assert found["settings"]["weights"] == [1, -1, -1, 1]
    assert {"jax", "revision"} <= found["versions"].keys()
    assert {"weights", "objective", "penalty", "strength", "rule", "learning_rate", "command"} <= set(found["settings"])
    assert matplotlib.image.imread(folder / "spectrum.png")[..., :3].std() > 0.05  # something is drawn


def test_names_may_have_either_dash_and_either_spelling():
    settings = Settings((1.0, 2.0, 3.0, 4.0), objective="least_squares", penalty="zero-centred", strength=1.0)
    checked(settings)
    assert (settings.objective, settings.penalty, settings.adjustment) == ("least-squares", "zero-centred", None)


def test_largest_rates_are_told_in_words():
    rates = {"simultaneous": 0.25, "alternating": 0.0, "tutorial": float("nan")}
    words = spectrum.stable_up_to({"largest_stable_learning_rate": rates}).split(", ")
    assert words[:2] == ["0.25 (simultaneous)", "none (alternating)"]
    assert "unknown" in words[2]


@pytest.mark.parametrize(
    ("strength", "words"),
    [(0.0, "at every strength"), (np.inf, "at no strength"), (0.125, "from the strength 0.125 on")],
)
def test_critical_strengths_are_told_in_words(strength, words):
    assert spectrum.strength_in_words(strength) == words
    assert {*spectrum.CRITICAL_STRENGTHS} == {*thresholds.CriticalStrength._fields}


def test_the_fixed_point_of_the_tutorials_order_is_found_where_it_is_far(tmp_path):
    """With R1 of 3 at the rate 0.1 it lies 1.4 beside the equilibrium; for ηγ ≥ 1 there is none."""
    settings = Settings((1.0, -1.0, -1.0, 1.0), penalty="r1", strength=3.0, rule="tutorial", learning_rate=0.1)
    found = EXPERIMENT.run(settings, tmp_path / "near")
    biases = np.array(found["update"]["fixed_point_shift"]["generator_biases"])
    assert found["update"]["verdict"] == "stable"
    assert np.max(np.abs(biases)) > 1
    nowhere = EXPERIMENT.run(replace(settings, learning_rate=1.0), tmp_path / "far")
    assert "no place was found at which this rule stands still" in nowhere["answer"]
    assert "\nLargest stable rate: " in nowhere["answer"]
