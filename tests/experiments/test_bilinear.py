import json

import bilinear
import jax
import numpy as np
import pytest
from closed_forms.bilinear import CLOSED_FORMS, perturbed_energy

from slantgan_jax import Players

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]

METHODS = {form.name: form for form in CLOSED_FORMS}
STEPS = 4000  # waves are damped to 1e-10 by then where they are longest, with the smallest step size


@pytest.mark.parametrize("name", METHODS)
def test_runs_and_jacobians_agree_with_the_closed_forms(name, x64):
    form = METHODS[name]
    row = bilinear.measure(form, STEPS, points=5)
    np.testing.assert_allclose(row["measured"], form.factor(row["step_sizes"]), rtol=0, atol=1e-8)
    # The radius is found to cross 1 + 1e-12, and no slope there is below 0.2; the search ends within 1e-13.
    np.testing.assert_allclose(row["threshold"]["measured"], form.threshold, rtol=0, atol=1e-11)
    if 0 < form.threshold < np.inf:
        below, above = row["factors_beside_threshold"]
        assert below <= 1 + 1e-8 < above
    else:
        assert all(row["measured"] > 1) if form.threshold == 0 else all(row["measured"] < 1)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("gradients, simultaneous", lambda s: np.sqrt(1 + s**2)),
        ("gradients, alternating", lambda s: 1 + 0 * s),
        ("momentum -0.5, simultaneous", lambda s: largest([1 + 0 * s, -(0.5 + 1j * s), -0.5 + 0 * s])),
        ("extragradient, simultaneous", lambda s: np.sqrt(1 - s**2 + s**4)),
        ("extragradient, alternating", lambda s: 1 - s**2),
        ("past extragradient", lambda s: np.sqrt((1 + np.sqrt(1 - 4 * s**2)) / 2)),
        ("consensus 0.5, simultaneous", lambda s: np.sqrt((1 - s / 2) ** 2 + s**2)),
        ("consensus 0.5, alternating", lambda s: 1 - s / 2),
        ("CGD, simultaneous", lambda s: 1 / np.sqrt(1 + s**2)),
        ("CGD, alternating", lambda s: 1 / (1 + s**2)),
        ("LOLA 0.3, simultaneous", lambda s: np.sqrt((1 - 0.6 * s) ** 2 + s**2)),
        ("SOS 0.3, simultaneous", lambda s: np.sqrt((1 - 0.3 * s) ** 2 + s**2)),
        ("unrolled 2×0.3, alternating", lambda s: np.sqrt(1 - 1.2 * s)),
        ("Heun, simultaneous", lambda s: np.sqrt(1 + s**4 / 4)),
        ("Heun, alternating", lambda s: 1 - s**2 / 2),
        ("RK4, simultaneous", lambda s: np.sqrt(1 - s**6 / 72 + s**8 / 576)),
        ("lookahead 5, 0.5, simultaneous", lambda s: np.abs((1 + (1 + 1j * s) ** 5) / 2) ** 0.2),
        ("lookahead 5, 0.5, alternating", lambda s: np.abs(np.cos(2.5 * np.arccos(1 - s**2 / 2))) ** 0.2),
    ],
)
def test_the_printed_formulas_are_the_closed_forms(name, formula):
    steps = np.array([0.05, 0.2, 0.33, 0.45])
    np.testing.assert_allclose(METHODS[name].factor(steps), formula(steps), rtol=1e-13)  # some roundings


@pytest.mark.parametrize(
    ("name", "step", "factor"),
    [
        ("extragradient, simultaneous", np.sqrt(0.5), np.sqrt(0.75)),
        ("past extragradient", 0.5, np.sqrt(0.5)),
        ("lookahead 5, 0.5, alternating", (np.sqrt(5) - 1) / 2, 0.0),  # the steps turn by a tenth: μ⁵ = -1
        ("CGD, simultaneous", np.inf, 0.0),
        ("lookahead 5, 0.5 of RK4", 0.629025, 0.252266),
    ],
)
def test_the_best_step_size_is_found_at_cusps_and_at_infinity(name, step, factor):
    _, best, _ = bilinear.shape(METHODS[name])
    assert best["step size"] == pytest.approx(step, abs=1e-5)
    assert best["factor"] == pytest.approx(factor, abs=bilinear.ROOT_ERROR)


def test_step_sizes_that_contract_are_followed_to_the_last_window():
    spacing = bilinear.LARGEST_STEP / bilinear.CURVE_POINTS
    _, _, windows = bilinear.shape(METHODS["RK4, alternating"])
    # The first ends at 4 cos(20°) - 2.
    np.testing.assert_allclose(windows, [[0, 1.7588], [2.0012, 2.693]], atol=spacing + 1e-4)
    assert bilinear.shape(METHODS["CGD, alternating"])[2][0, 1] == np.inf
    assert len(bilinear.shape(METHODS["gradients, alternating"])[2]) == 0


def largest(coefficients):
    return [np.abs(np.roots(row)).max() for row in np.transpose(coefficients)]


@pytest.mark.parametrize("first", [True, False])
def test_the_alternating_step_conserves_a_quadratic_form(first, x64):
    assert bilinear.drift(first, STEPS) < 2e-13  # a rounding of 1e-16 a step; measured: 1e-14
    x, y = 1.0, 0.5
    if first:
        y += 0.7 * x
        x -= 0.7 * y
    else:
        x -= 0.7 * y
        y += 0.7 * x
    for order, least, most in ((first, 0, 1e-15), (not first, 0.1, 1)):  # the other order's form changes
        before, after = (
            perturbed_energy(Players(*place), 0.7, discriminator_first=order) for place in ((1.0, 0.5), (x, y))
        )
        assert least <= abs(after - before) < most


def test_the_script_writes_everything(tmp_path, capsys):
    chosen = ("gradients, simultaneous", "past extragradient", "CGD, alternating")
    bilinear.EXPERIMENT.run(bilinear.Settings(bilinear.LEAST_STEPS, chosen), tmp_path)
    assert not jax.config.read("jax_enable_x64")
    rows = json.loads((tmp_path / "data.json").read_text())["methods"]
    assert [row["method"] for row in rows] == list(chosen)
    assert [row["threshold"]["closed"] for row in rows] == [0, 1 / np.sqrt(3), None]
    assert [row["threshold"]["measured"] for row in rows] == [0, pytest.approx(1 / np.sqrt(3), abs=1e-11), None]
    for row in rows:
        assert len(row["step_sizes"]) == len(row["closed"]) == len(row["measured"]) == bilinear.POINTS
        assert {"step size", "factor"} == set(row["best"])
        assert row["largest_difference"] == np.abs(np.subtract(row["closed"], row["measured"])).max() < 1e-8
    # The plain simultaneous step multiplies by 1 + i η, and so does the run that is drawn.
    steps = (1 + 1j * bilinear.DRAWN_STEP_SIZE) ** np.arange(bilinear.DRAWN_STEPS + 1) * (1 + 0.5j)
    np.testing.assert_allclose(rows[0]["path"], np.stack([steps.real, steps.imag], -1), rtol=1e-11)
    printed = capsys.readouterr().out
    for text in (*chosen, "never stable", "always stable", "0.5773502692", "η* = 1/√3"):
        assert text in printed
