import convergence_rates
import does_it_converge
import figures.does_it_converge
import jax
import numpy as np
import optax
import pytest
from _convergence import FIT_DISTANCES, GAME, measured_decay, pace, rest, start_of
from matplotlib.figure import Figure
from matplotlib.text import Text

from slantgan_jax import networks, rules
from slantgan_jax.analysis import spectra

# One process, so that the script runs once.
pytestmark = [
    pytest.mark.xdist_group("does_it_converge"), pytest.mark.usefixtures("quick_compile"), pytest.mark.slow,
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory, quick_compile):
    """The shortest run."""
    settings = does_it_converge.Settings(epochs=2000, replicas=2)
    return does_it_converge.EXPERIMENT.run(settings, tmp_path_factory.mktemp("does_it_converge"))


def test_the_article_s_run_is_the_published_one(data):
    published = data["article"][0]
    assert published["epoch"] == 1000
    np.testing.assert_allclose(published["bias"], -0.8955103005797729, atol=1e-12)  # rounding over 5000 steps
    slopes = [0.60175083, -0.29127513, -0.40093314, 0.37759987]
    np.testing.assert_allclose(published["slopes"], np.linalg.norm(slopes), atol=1e-8)  # as printed
    assert published["verdict"] == "drifting"
    assert data["answer"].startswith("No: at epoch 1000 the mean image is 0.155 off")


def test_the_order_s_fixed_point_is_that_of_first_order(data):
    bias = data["bias of the order"]
    first, exact = bias["first order: c = -η/4 (1 + |m|²)"], bias["order of moves"]["c"]
    np.testing.assert_allclose(exact, first, rtol=0.01)  # η
    assert bias["order of moves and faces"]["c"] == pytest.approx(first, rel=0.01)
    np.testing.assert_allclose(bias["order of moves"]["u"], 0, atol=1e-12)
    assert set(data["noise"]) == {
        f"{what}, {who}" for what in ("u", "c", "mean image") for who in ("article", "replicas")
    }


def test_curves_are_on_one_axis(data):
    curves = data["curves"]
    count = len(curves["epochs"])
    for name in ("article", "full batch"):
        assert {len(values) for values in curves[name].values()} == {count}
        assert min(curves[name]["Nikaido-Isoda gap"]) > 0
    assert np.shape(curves["replicas"]["mean gap"]) == (3, count)


@pytest.mark.parametrize(("changed", "named"), [({}, True), ({"seed": 7}, False), ({"learning_rate": 0.1}, False)])
def test_only_the_article_s_figure_speaks_of_the_article(changed, named, data):
    panel = Figure()
    figures.does_it_converge.draw(panel, data | {"settings": data["settings"] | changed})
    texts = {text.get_text() for text in panel.findobj(Text)}
    assert any("article" in text for text in texts) == named
    assert any("-0.0065:\nthe run is too short to see this" in text for text in texts)


@pytest.mark.parametrize("c", [1e-9, -0.0065, -3.771, 50.0])
def test_the_gap_of_a_flat_d_is_what_its_bias_costs(c):
    """s(c) + s(-c) - 2 ln 2, by NumPy; it loses the digits of 2 ln 2. For small c it is c²/4."""
    exact = np.logaddexp(0, c) + np.logaddexp(0, -c) - 2 * np.log(2)
    np.testing.assert_allclose(figures.does_it_converge.gap_of_bias(c), exact, rtol=1e-12, atol=1e-15)
    if abs(c) < 1e-2:
        np.testing.assert_allclose(figures.does_it_converge.gap_of_bias(c), c**2 / 4, rtol=1e-5)


def test_the_quick_run_is_long_enough_to_measure():
    """It passes the distances in which decay is measured, with the e-folding time of the documentation's table."""
    quick = convergence_rates.Settings(**convergence_rates.EXPERIMENT.quick.settings)
    assert (quick.methods, quick.learning_rates) == (("optimistic",), (0.3,))
    epochs = convergence_rates.epochs_of(convergence_rates.RUNS["optimistic"], 0.3, quick)
    assert np.exp(-epochs / 449) < FIT_DISTANCES[0]


def test_the_spectrum_predicts_how_fast_a_run_converges(tmp_path):
    settings = convergence_rates.Settings(("R1, γ = 0.1",), (0.3,), epochs=2000)
    data = convergence_rates.EXPERIMENT.run(settings, tmp_path)
    (row,) = data["methods"]
    assert row["verdict"] == "converged"
    # Other modes are smaller by exp(-(1/13 - 1/34) · 600 epochs) = 1e-12; the fit interpolates between records.
    np.testing.assert_allclose(row["measured"], row["predicted"], rtol=1e-4)
    np.testing.assert_allclose(row["period"]["measured"], row["period"]["predicted"], rtol=1e-2)  # few turns are seen
    assert 100 < row["epochs to 1 %"] < 300
    assert data["answer"].startswith("At rate 0.3 with R1, γ = 0.1 the distance falls by e in 34 epochs.")


def test_nothing_is_predicted_where_a_rule_stands_still_far_from_the_equilibria(x64):
    """Saturated players, as in the tutorial's order at the rate 30: a step moves them by 1e-5 and less."""
    far = np.array([-48.0, -54.7, -50.0, -50.0, 20.0, 20.0, 20.0, 20.0, 33.7, 33.7, 33.7, 33.7, -14.8])
    near = np.array(networks.to_vector(jax.tree.map(np.asarray, start_of(42))))
    near[8:] = 0
    predict = jax.jit(lambda end: rest(rules.tutorial(optax.sgd(0.3)), GAME, end))
    assert np.isnan(jax.tree.leaves(predict(far))[1:]).all()
    fixed, found = predict(near)
    assert np.isfinite(fixed).all()
    assert found.fold > 0


def test_growing_is_not_called_shrinking(data):
    growing = pace(jax.jit(spectra.summarize_map)(np.array([1.1, 0.9, 0.9j])))
    assert float(growing.fold) == pytest.approx(-1 / np.log(1.1))
    spectrum = {"period in epochs": {"step": np.inf}, "e-folding time in epochs": {"step": float(growing.fold)}}
    answers = {
        name: does_it_converge.answer(data | {"spectrum": spectrum | {"e-folding time in epochs": {"step": fold}}})
        for name, fold in (("grow", -10.0), ("shrink", 20.0), ("none", np.nan))
    }
    assert "nothing turns, and distances grow by e in 10 epochs" in answers["grow"]
    assert "nothing turns, and distances shrink by e in 20 epochs" in answers["shrink"]
    assert "there is no equilibrium at which it could rest" in answers["none"]


@pytest.mark.parametrize("rate", [30.0, 1000.0])  # at 1000 the run diverges
def test_a_method_that_does_not_come_to_rest_is_not_the_fastest(rate, tmp_path):
    settings = convergence_rates.Settings(("tutorial's order",), (rate,), epochs=2000)
    data = convergence_rates.EXPERIMENT.run(settings, tmp_path)
    assert data["answer"].startswith(f"At rate {rate:g} none of these methods comes to rest.")


def test_decay_is_measured_on_a_spiral_that_is_not_round(x64):
    fixed = np.array(networks.to_vector(jax.tree.map(np.asarray, start_of(42))))
    fixed[8:] = 0
    time = np.arange(2000)
    spiral = 1e-3 * np.exp((-0.01 + 0.2j) * time)
    history = np.tile(fixed, (2000, 1))
    history[:, 8] += spiral.real
    history[:, 9] += 0.2 * spiral.imag
    fold, period = measured_decay(history, fixed, record_every=10)
    # Half-turns are not whole steps.
    np.testing.assert_allclose([fold, period], [1000, 10 * 2 * np.pi / 0.2], rtol=1e-3)
