"""Answers of runs that are too few, too short or diverged: they say no more than was seen."""

import _claims
import _experiment
import basins
import benchmark
import berard_2020
import chavdarova_2021
import convergence_rates
import cost_growth
import daskalakis_2018
import dirac_gan
import figures.dirac_gan
import figures.does_it_converge
import figures.stability_edge
import figures.which_equilibrium
import gulrajani_2017
import jax
import latent_noise
import mescheder_2017
import numpy as np
import pytest
import qin_2020
import quality_of_equilibria
import spectrum
import stability_edge
import thanh_tung_2019
import train
import which_equilibrium
from _results import at_most, counted
from _tutorial_advice import what_next
from matplotlib.figure import Figure

from slantgan_jax import Players, games


def test_a_run_that_diverged_has_no_distance():
    data = {"settings": {"epochs": 1}, "finite": np.array(False), "mean_gap": 0.24}
    assert train.answer(data).startswith("After 1 epoch the run has diverged: a parameter is infinite, NaN or")
    assert train.answer(data | {"finite": True}) == "After 1 epoch the mean generated image is 0.24 from the mean face."


@pytest.mark.parametrize("factor", [None, np.nan])
def test_a_factor_that_was_not_measured_disagrees_with_nothing(factor):
    row = {"spectral radius": 0.7, "spectral verdict": "attracts", "seen": True, "measured factor": factor}
    row |= {"run verdict": "linear", "runs": {"linear": 60}, "radius": (0, 0), "share": (0, 0), "exponent": factor}
    row |= {"error of it": 0.0}
    assert dirac_gan.agrees(row, 0.1)
    assert dirac_gan.agrees(row | {"seen": False, "spectral radius": 0.99999}, 0.1)
    assert not dirac_gan.agrees(row | {"measured factor": 0.8}, 0.1)
    assert not dirac_gan.agrees(row | {"run verdict": "leaves", "runs": {"drifts": 60}}, 0.1)
    assert figures.dirac_gan.outcome(row) == "converges"
    assert figures.dirac_gan.outcome(row | {"run verdict": "sublinear"}) == "converges sublinearly"


@pytest.mark.parametrize(
    ("verdict", "runs", "agrees"),
    [
        ("repels", {"cycle": 60}, True),  # on closed orbits of their own, too, runs stay away
        ("repels", {"drifts": 59, "linear": 1}, False),
        ("attracts", {"linear": 50, "drifts": 10}, True),  # the spectrum does not speak of runs that start far away
        ("attracts", {"drifts": 60}, False),
        ("undecided", {"cycle": 59, "linear": 1}, False),
    ],
)
def test_the_spectrum_speaks_of_what_happens_near_the_equilibrium(verdict, runs, agrees):
    radius = {"repels": 1.4, "attracts": 0.7, "undecided": 1.0}[verdict]
    row = {"spectral radius": radius, "spectral verdict": verdict, "seen": verdict != "undecided", "runs": runs}
    assert dirac_gan.agrees(row | {"run verdict": "mixed", "measured factor": None}, 1.0) == agrees


def test_the_factor_is_as_exact_as_the_rate_and_the_distance_allow():
    """A sublinear decay, which is η r² a step, is measured at the radius 1e-3: here that of least squares at rate 1."""
    row = {"spectral radius": 1.0, "spectral verdict": "undecided", "seen": False, "runs": {"sublinear": 60}}
    row |= {"run verdict": "sublinear", "measured factor": 0.99999968, "error of it": 0.0}
    assert dirac_gan.agrees(row, 1.0)
    assert not dirac_gan.agrees(row, 0.1)
    assert dirac_gan.agrees(row | {"error of it": 3e-7}, 0.1)


def test_nothing_is_said_of_sizes_that_were_not_compared():
    row = {"µs a run": 1.0, "store, bytes a run": 2.0, "memory, MiB": 3.0, "ns a step": 1.0}
    data = {"runs": {"1": row}, "array": {"2": row}, "scalars": {"4": row}}
    assert "Scalar" not in cost_growth.answer(data)
    assert cost_growth.answer(data).startswith("One run takes 1 µs and 2 bytes, and the process 3 MiB.")
    assert cost_growth.answer(data | {"scalars": {"2": row | {"ns a step": 0.5}}}).endswith("up to 2×2 pixels.")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [((1, 2), "No learning rate of the picture trains this GAN within 50"), ((0, 0), "All learning rates of the")],
)
def test_without_a_boundary_there_is_no_fractal(verdicts, said):
    dimensions = {"box_dimension": None, "uncertainty_dimension": None, "pictures": [{}]}
    check = {"known": 1.26, "found": {"value": 1.3}}
    data = {"planes": dict.fromkeys(basins.PLANES, dimensions), "settings": {"steps": 50}}
    data |= {"checks": {"snowflake": check, "line": check}}
    data |= {f"{plane}_0_verdict": np.array(verdicts) for plane in basins.PLANES}
    assert basins.answer(data).startswith(said)
    assert "fractal" not in basins.answer(data)


@pytest.mark.parametrize(
    ("by_boxes", "by_pairs", "pictures", "said"),
    [
        ((1.73, 0.05), (1.74, 0.02), 2, "a fractal of dimension 1.73 ± 0.05 by counting boxes in zooms and 1.74"),
        ((0.98, None), None, 1, "a boundary of dimension 0.98 ± ? by counting boxes and unknown by pairs of points;"),
        ((1.73, None), (1.74, 0.02), 1, "a fractal of dimension 1.73 ± ? by counting boxes and 1.74"),
        ((1.73, None), None, 1, "a boundary of dimension 1.73 ± ? by counting boxes and unknown"),
        ((1.73, 0.05), (1.01, 0.02), 2, "a boundary of dimension 1.73"),
    ],
)
def test_a_boundary_is_a_fractal_if_its_dimension_is_known_to_exceed_1(by_boxes, by_pairs, pictures, said):
    def plane(*found):
        found = [None if one is None else dict(zip(("value", "error"), one, strict=True)) for one in found]
        return dict(zip(("box_dimension", "uncertainty_dimension"), found, strict=True)) | {"pictures": [{}] * pictures}

    check = {"known": 1.26, "found": {"value": 1.3}}
    data = {"planes": {"rates": plane(by_boxes, by_pairs), "starts": plane((1.85, 0.02), (1.76, 0.01))}}
    data |= {"checks": {"snowflake": check, "line": check}, "settings": {"steps": 50}}
    data |= {f"{plane}_0_verdict": np.array([0, 1]) for plane in basins.PLANES}
    assert basins.answer(data).startswith(
        f"Between learning rates that train this GAN and rates that do not lies {said}"
    )
    same = basins.kind_of(data["planes"]["rates"]) == basins.kind_of(data["planes"]["starts"])
    starts = "1.85 ± 0.02 and" if same else "a fractal of dimension 1.85 ± 0.02 by"
    assert f"between starting points that train and others, {starts}" in basins.answer(data)


def test_what_the_theory_was_not_followed_to_is_more_than_that():
    def row(halving, ahead, grows=False):
        return {latent_noise.HALVING: halving, latent_noise.AHEAD: ahead, latent_noise.GROWS: grows}

    data = {
        "settings": {"learning_rates": (3.0, 10.0), "replicas": 4},
        "noise": {"one": {"diverged": np.array([0, 0])}},
    }
    rows = {"one": row(np.inf, 2.5e6), "other": row(7.2e6, 1e8)}
    said = "does not halve |w| within 2.5 million epochs (one), and halves |w| in 7 million epochs (other)."
    assert latent_noise.answer(data | {"summary": rows}).endswith(said)
    data["noise"]["third"] = {"diverged": np.array([0, 2])}
    said = f"{said}\nDiverged: 2 of 4 runs at the rate 10 (third)."
    assert latent_noise.answer(data | {"summary": rows}).endswith(said)
    rows = {"one": row(np.inf, 2.5e6, True)}
    assert "makes |w| grow within 2.5 million" in latent_noise.answer(data | {"summary": rows})


def test_rates_keep_their_order_in_the_answer():
    row = {"lost": np.zeros(2, bool), "difference": np.zeros(2), "resolution": np.zeros(2)}
    edges = {"alternating": [[0.976, 0.976]], "simultaneous": [[0.979, 0.9788]]}
    rows = [row | {"method": name, "predicted": np.array(edge)} for name, edge in edges.items()]
    said = stability_edge.answer({"rows": rows, "settings": {"strengths": (0.0, 1.0)}})
    assert "goes from 0.976 (alternating) to 0.979 (simultaneous)" in said
    rows[0]["predicted"] = np.array([[0.976, 0.978]])
    said = stability_edge.answer({"rows": rows, "settings": {"strengths": (0.0, 1.0)}})
    assert "most for alternating: from 0.976 to 0.978." in said
    rows[0]["predicted"], rows[1]["predicted"] = np.array([[1.0, 17.6, 0.1]]), np.array([[0.9, 0.3, 0.2]])
    for row, lost in zip(rows, (True, False), strict=True):
        row["lost"] = np.array([[lost, False, False]])
        row["difference"] = row["resolution"] = np.zeros(3)
    data = {"rows": rows, "settings": {"strengths": (1.0, 0.0, 10.0)}, "weights": [1]}
    said = stability_edge.answer(data)
    assert "At γ = 0 its median over the equilibria goes from 0.3 (simultaneous) to 17.6 (alternating)" in said
    assert "R1 with γ = 1 raises it for 1 of 2 rules, most for simultaneous: from 0.3 to 0.9." in said
    said = stability_edge.answer(data | {"settings": {"strengths": (1.0, 0.5, 10.0)}})
    assert "At γ = 1 its median" in said
    assert "R1 with γ = 0.5 in place of 1 raises it for 1 of 2 rules" in said


def test_cells_that_could_not_be_measured_are_counted():
    row = {"method": "simultaneous", "lost": np.zeros(2, bool), "difference": np.array([1e-5, np.nan])}
    row |= {"resolution": np.array([1e-4, np.nan]), "predicted": np.array([[1.0]])}
    data = {"rows": [row], "settings": {"strengths": (0.0,)}}
    assert "differ by at most 1e-05 in 1 cell, and resolve 0.0001 or less (1 cell could" in stability_edge.answer(data)
    data["rows"][0]["difference"] = np.full(2, np.nan)
    assert "rule: no difference could be measured (2 cells could not" in stability_edge.answer(data)


def test_a_flow_that_moves_is_said_to_move():
    which = {"R² of laws": {which_equilibrium.STEEPEST_LINE: 0.7}, "methods": {}, "residual, most": 4.4}
    assert "not at rest yet: it is up to 4.4 off" in which_equilibrium.answer({"which": which})
    assert "at rest" not in which_equilibrium.answer({"which": which | {"residual, most": 4e-7}})
    good = {"best of the family": [1.0], "equilibria, quartiles": [1, 4, 5], "constant mean face": 1.3}
    data = {"how good": {"W₁": good}, "settings": {"flow_steps": 10}, "residual": np.array([0, 4.4])}
    assert "\nwhere the flow is after 10 steps, median 4.00" in quality_of_equilibria.answer(data)
    assert "not at rest yet: it is up to 4.4 off" in quality_of_equilibria.answer(data)
    said = quality_of_equilibria.answer(data | {"residual": np.zeros(2)})
    assert said.endswith("\nequilibria that training reaches, median 4.00; a generator that has collapsed 1.30.")


def test_training_is_said_to_end_on_the_line_only_if_it_does():
    which = {"R² of laws": {which_equilibrium.STEEPEST_LINE: 0.98}, "methods": {}, "residual, most": 4e-7}
    assert which_equilibrium.answer({"which": which}).startswith("Training ends where each pixel's line")
    for other in ({"R² of laws": {which_equilibrium.STEEPEST_LINE: 0.758}}, {"residual, most": 4.4}):
        assert "Training ends where" not in which_equilibrium.answer({"which": which | other})
    row = {"from the flow's end, in spreads": 0.49, "residual": [4, 4.5, 5], "elsewhere by": ""}
    methods = {"alternating, η = 1": row | {"residual": [0, 0.06, 1]}, "optimistic, η = 0.3": row}
    assert "at the median: optimistic, η = 0.3 (4.5)." in which_equilibrium.answer(
        {"which": which | {"methods": methods}}
    )


def test_titles_follow_from_what_is_drawn():
    shares = {"a": 0.033, "b": 0.49, "c": 0.84, "d": 1.094}
    rows = {name: {"from the flow's end, in spreads": share, "residual": (0, 0, 9)} for name, share in shares.items()}
    title = figures.which_equilibrium.distances_of_methods
    assert title({"b": rows["b"] | {"elsewhere by": ""}}) == "Other rules and rates: 49 % away"
    rows["d"]["residual"] = (0, 0.2, 9)
    seen = title({name: row | {"elsewhere by": name if name in "cd" else ""} for name, row in rows.items()})
    assert seen == "Other rules and rates: 3.3 to 49 % away\nc, d: 84 to 109 % away\nNot at rest: 1 of 4 methods"
    ax = Figure().subplots()
    far = {name: row | {"from the flow's end, in spreads": 6.0 if name == "d" else 1e-3} for name, row in rows.items()}
    figures.which_equilibrium.ends_of_methods(ax, {name: row | {"elsewhere by": ""} for name, row in far.items()})
    assert ax.get_xlim() == (0.05, 1200)  # in percent
    assert "600 %" in [text.get_text() for text in ax.texts]
    found = {"best": [1.0], "surface": [1.1], "constant": 1.3, "runs": np.ones(2), "equilibria": np.array([1.1, 1.2])}
    for worse, residual, expected in ((0, 0, True), (3, 0, False), (0, 1, False)):
        data = {"answer": "", "residual": np.array([residual])}
        data["quality"] = {"W₁": found | {"equilibria": found["equilibria"] + worse}}
        panel = Figure()
        figures.which_equilibrium.quality(panel, data)
        assert panel.axes[0].get_title().startswith("Collapsing costs more") == expected


def test_what_to_try_next_shows_what_it_promises():
    """Of one epoch and of a rate at which nothing moves; a turn takes 21 epochs at the rate 1."""
    zero = {"weights": np.zeros(4), "biases": np.zeros(4)}
    settings = {
        "seed": 42, "learning_rate": 0.01, "epochs": 1, "source": "numpy", "objective": "non-saturating",
        "order": "tutorial", "penalty": "none", "strength": 0.1,
    }  # fmt: skip
    data = {"settings": settings, "mean_image": np.ones(4), "faces": np.zeros((5, 4)), "generator": zero}
    data |= dict.fromkeys(("distance", "distance to equilibrium"), np.ones(2))
    commands = dict(map(reversed, what_next(data)))
    assert "--epochs" not in commands["both move at once: the circles grow"]  # 1000 is the default
    ((line, said),) = what_next(data | {"settings": settings | {"learning_rate": 1e-30, "epochs": 100}})
    assert said.startswith("a larger rate")
    assert "--learning-rate" not in line  # 0.01 is the default


def test_old_data_are_not_drawn_as_if_they_had_other_settings(tmp_path):
    data = {"settings": {"epochs": 3, "learning_rate": 0.5, "seed": 0}}
    for same in (train.Settings(), train.Settings(epochs=3), train.Settings(epochs=3, learning_rate=0.5)):
        _experiment.check_the_same(same, data, tmp_path)
    with pytest.raises(ValueError, match=r"--learning-rate is 0\.25, but the data of --out .* are for 0\.5: leave"):
        _experiment.check_the_same(train.Settings(learning_rate=0.25), data, tmp_path)


@pytest.mark.slow
def test_each_method_of_berard_moves_in_its_own_way():
    """One step on min max x y from (1, 1), clipped or not."""
    ends = set()
    for make in berard_2020.RULES.values():
        rule = make(berard_2020.DESCENT, None)
        state = jax.jit(rule.step, static_argnums=0)(games.bilinear(), rule.init(Players(1.0, 1.0)), ())
        ends.add(tuple(map(float, state.players)))
    assert len(ends) == 3
    for name, way in berard_2020.ways(berard_2020.Settings(losses=("wgan",), methods=("alt", "sim"))).items():
        assert len(way.rule.moves(way.game)) == (2 if name == "wgan, alt" else 1)
    assert berard_2020.projection("nsgan") is None
    clipped = berard_2020.projection("wgan")(Players(np.array(3.0), np.array([-2.0, 0.5])))
    np.testing.assert_array_equal(np.hstack(clipped), [3, -1, 0.5])


def test_what_confirms_a_claim_is_what_it_says():
    """Of Qin, every step of Runge-Kutta covers, of second order, too; of Chavdarova, descent has overflowed."""
    ways = {name: {"summary": {"seeds": 64, "all modes at the end": (1.0, 0.94, 1.0)}} for name in qin_2020.ways()}
    for name in ("Euler", "RK4, as written, no penalty"):
        ways[name] = {"summary": {"seeds": 64, "all modes at the end": (0.0, 0.0, 0.06)}}
    assert qin_2020.EXPERIMENT.answer({"ways": ways}).startswith("Confirmed. Shares of 64 seeds that end")
    names = ("descent", "extragradient", *(f"lookahead, α = {fraction}" for fraction in chavdarova_2021.FRACTIONS))
    batch = {name: {"mean": np.array([9.0, 1e-15])} for name in names} | {"descent": {"mean": np.array([9.0, np.nan])}}
    said = chavdarova_2021.answer({"batch": {"code": batch}, "minibatch": {}})
    assert said.startswith("Confirmed in full batch: descent goes from 9 to inf, lookahead to 1e-15")


def test_the_published_toy_of_thanh_tung_differs_in_what_its_text_says():
    ours, published = (thanh_tung_2019.ways(published)["1-GP of σ(ℓ)"] for published in (False, True))
    key = jax.random.key(0)
    layers = [len(jax.eval_shape(way.toy.init, key).generator) for way in (ours, published)]
    assert layers == [3, 4]
    assert [len(way.rule.reads) for way in (ours, published)] == [1, 2]  # latents of G's own
    radii = [float(np.linalg.norm(way.toy.data.modes().centers[0])) for way in (ours, published)]
    np.testing.assert_allclose(radii, [2 / 1.414, 10 / 1.414], rtol=1e-6)


def test_a_tree_is_slower_than_another_only_if_it_is_so_in_all_turns():
    rows = {"first result of a process": (1.1, 1.1, 1.1), "sga": (1.2, 0.9, 1.3), "cgd": (1.05, 1.02, 1.2)}
    data = {"against": {name: dict(zip(("median", "least", "largest"), of, strict=True)) for name, of in rows.items()}}
    assert benchmark.answer(data) == "This working tree is slower in all turns in cgd (1.050)."
    assert benchmark.answer({"against": {"sga": data["against"]["sga"]}}).endswith("in all turns in no row.")


@pytest.mark.parametrize("script", [berard_2020, gulrajani_2017])
def test_the_published_size_has_stores_of_its_own_and_says_its_steps(script):
    full, reduced = script.Settings(full=True), script.Settings()
    assert full.steps == 100_000
    assert full.part != reduced.part
    with pytest.raises(ValueError, match="--steps is 500, but --full makes 100000: leave one of them out"):
        script.EXPERIMENT.parse(["--full", "--steps", "500"])
    assert gulrajani_2017.Settings(data="roll").part != gulrajani_2017.Settings(data="ring").part


@pytest.mark.parametrize(
    ("number", "digits", "said"),
    [(0.1, 1, "0.1"), (0.11, 1, "0.2"), (3.896e-10, 2, "3.9e-10"), (3.333e-12, 2, "3.4e-12"), (4e-4, 2, "0.0004"),
     (9.6, 1, "1e+01"), (0.0, 2, "0"), (np.inf, 1, "inf")],
)  # fmt: skip
def test_what_is_at_most_so_much_is_rounded_up(number, digits, said):
    assert at_most(number, digits) == said


def test_no_rate_is_left_out_of_a_figure_or_looks_like_another():
    rates = [0.01 * 2**i for i in range(20)]
    rows = [{"method": "a", "learning rate": rate, "predicted": 1.0, "measured": 2.0} for rate in rates]
    panel = Figure()
    figures.does_it_converge.rates(panel, {"methods": rows, "answer": "", "settings": {"seed": 42}})
    drawn = [line for line in panel.axes[0].lines if line.get_label().endswith("measured")]
    assert len({(line.get_color(), str(line.get_marker())) for line in drawn}) == len(rates)
    panel = Figure()
    row = {"method": "a"} | {name: np.ones((1, 20)) for name in ("predicted", "measured")}
    data = {"rows": [row | {"lost": np.zeros((1, 20), bool)}], "weights": [1], "answer": ""}
    figures.stability_edge.draw(panel, data | {"settings": {"strengths": rates}})
    assert panel.get_supxlabel().endswith("One of each for 1 equilibrium.\n")
    legend = panel.axes[0].get_legend_handles_labels()[0]
    assert len({(line.get_color(), str(line.get_marker())) for line in legend}) == len(rates)
    found = {name: np.ones((12, 51, 4)) for name in ("mean", "predicted_mean", "deviation", "predicted_deviation")}
    for draw in (figures.which_equilibrium.drift_of_noise, figures.which_equilibrium.spread_by_noise):
        ax = Figure().subplots()
        draw(ax, {"one": found}, rates[:12], 50)
        named = [line for line in ax.lines if line.get_label().startswith("η")]
        assert len({(line.get_color(), str(line.get_marker())) for line in named}) == 12
    with pytest.raises(ValueError, match="--learning-rates has 13 numbers: give at most 12"):
        latent_noise.Settings(learning_rates=tuple(rates[:13])).check()


def test_times_that_agree_are_drawn_close_together_and_the_legend_has_only_what_is_drawn():
    rows = [{"method": "a", "learning rate": 0.3, "predicted": 34.0, "measured": 34.0005}]
    rows.append({"method": "a", "learning rate": 1.0, "predicted": 34.1, "measured": np.nan})
    rows.append({"method": "a", "learning rate": 30.0, "predicted": np.nan, "measured": np.nan})
    panel = Figure()
    figures.does_it_converge.rates(panel, {"methods": rows, "answer": "", "settings": {"seed": 7}})
    (ax,), (legend,) = panel.axes, panel.legends
    low, high = ax.get_xlim()
    assert high / low > 1.99
    assert low < 34 < high
    drawn = ["rate 0.3: predicted", "rate 0.3: measured", "rate 1: predicted"]
    assert [text.get_text() for text in legend.get_texts()] == drawn
    assert "from the start of seed 7\n" in ax.get_title()


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (34.0, "by at most 0%. No time was measured of 1 run with too few records near the end."),
        (np.nan, "epochs.\nNo run is long enough to measure this time."),
    ],
)
def test_what_was_not_measured_is_told_from_what_does_not_come_to_rest(measured, said):
    rest = {"method": "a", "learning rate": 0.3, "predicted": 34.0}
    rows = [{"method": name, "learning rate": 30.0, "predicted": np.nan, "measured": np.nan} for name in "ab"]
    rows += [rest | {"measured": measured}, rest | {"method": "b", "predicted": 68.0, "measured": np.nan}]
    answer = convergence_rates.answer({"methods": rows})
    assert answer.startswith("At rate 0.3 the fastest is a: its distance falls by e in 34 epochs.\n")
    assert answer.endswith(f"{said}\nAt rate 30 none of these methods comes to rest.")


@pytest.mark.parametrize(
    ("fold", "said"),
    [
        (90.0, "The order of moves shifts D's bias; sampled, over time: -0.006 ± 0.010"),
        (110.0, "The order of moves shifts D's bias by -0.0065:\nthe run is too short to see this"),
        (np.nan, "D's bias, averaged over parts of the time"),
        (-10.0, "D's bias, averaged over parts of the time"),
    ],
)
def test_the_mean_of_a_swing_is_not_called_the_shift_by_the_order(fold, said):
    known = {"order of moves": {"c": -0.006465}, "sampled, mean over time": {"c": -0.006}}
    data = {"bias of the order": known | {"its standard error": {"c": 0.01}}, "settings": {"epochs": 1000}}
    data |= {"spectrum": {"e-folding time in epochs": {"step": fold}}}
    assert figures.does_it_converge.title_of_bias(data) == said


@pytest.mark.parametrize(
    ("seed", "rate", "said"),
    [(42, 0.01, "the article's run"), (7, 0.01, "seed 7, rate 0.01"), (42, 0.1, "seed 42, rate 0.1")],
)
def test_only_the_article_s_seed_and_rate_make_the_article_s_run(seed, rate, said):
    assert figures.does_it_converge.name_of_run({"seed": seed, "learning_rate": rate}) == said


def test_what_noise_did_is_in_sight_however_far_from_theory_it_is():
    """Sizes relative to the start from 1 to 4 and a deviation of 30, at times of which the limits are from 0.001 on."""
    found = {"mean": np.linspace([1.0, 1, 1, 1], [4.0, 4, 4, 4], 51), "deviation": np.full((51, 4), 30.0)}
    found |= {f"predicted_{name}": np.ones((51, 4)) for name in found}
    found = {name: np.stack([values, values * np.nan]) for name, values in found.items()}
    for draw, last in ((figures.which_equilibrium.drift_of_noise, 4), (figures.which_equilibrium.spread_by_noise, 30)):
        ax = Figure().subplots()
        draw(ax, {"one": found}, [0.01, 10.0], 500)
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        points = np.concatenate([line.get_xydata() for line in ax.lines if line.get_linestyle() == "None"])
        points = points[np.isfinite(points).all(1)]
        assert points[:, 1].max() > 0.9 * last
        assert np.all(points > (left, low))
        assert np.all(points < (right, high))


def test_rates_that_are_alike_in_six_digits_have_rows_of_their_own():
    rates = (0.1234567, 0.1234568)
    names = ("mean", "deviation", "fluctuation")
    found = {f"{before}{name}": np.ones((2, 51, 4)) for before in ("", "predicted_") for name in names}
    found["diverged"] = np.zeros(2, int)
    assert list(latent_noise.summary(found, latent_noise.Settings(learning_rates=rates))) == list(map(repr, rates))


def test_the_title_of_noise_is_what_theory_says_of_the_cases():
    seen, noise = figures.which_equilibrium.SEEN, figures.which_equilibrium.what_noise_does
    row = {latent_noise.HALVING: 7e6, latent_noise.GROWS: False}
    assert noise({seen: row, "other": row}).startswith("a latent that D has just seen")
    other = {"a": row, "b": {latent_noise.HALVING: np.inf, latent_noise.GROWS: True}}
    assert noise(other) == "of 2 kinds of noise 1 halve |w|, and 1 make it grow"
    assert noise({seen: other["b"]}) == "of 1 kind of noise 0 halve |w|, and 1 make it grow"


def test_of_several_modes_that_grow_the_fastest_is_named():
    row = {"efold_epochs": 12.5, "period_epochs": np.inf}
    assert spectrum.pace(row | {"verdict": "unstable"}).startswith("the fastest growing mode grows by e in 12.5 epochs")
    assert spectrum.pace(row | {"verdict": "stable"}).startswith("the slowest mode decays by e in 12.5 epochs")


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 runs"), (1, "1 run"), (0.5, "0.5 runs"), (8.0, "8 runs"), (1_000_000, "1000000 runs")]
)
def test_nouns_are_counted(number, said):
    assert counted(number, "run") == said
    assert counted(number, "run", "runners") == said.replace("runs", "runners")


def test_a_claim_of_which_no_part_was_tried_is_not_confirmed():
    end = {"descent": 1.0, "extragradient": 1.0, **{f"lookahead, α = {a}": 0.5 for a in chavdarova_2021.FRACTIONS}}
    curves = {name: {"mean": np.array([0.9, last])} for name, last in end.items()}
    small = {"100": {"lookahead": {"mean": np.array([0.9, 0.8, 0.5])}, "Adam": {"mean": np.array([0.9, 0.8, 0.7])}}}
    data = {"batch": {"code": curves}, "minibatch": {size: {"code": ways} for size, ways in small.items()}}
    said = chavdarova_2021.answer(data).splitlines()[-1]
    assert said.startswith(
        "Not tried in smaller minibatches; in those of 100 terms: lookahead ends at 0.5, the best of"
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            450,
            "Not tried in smaller minibatches; with 64, 16 terms the steps are too few for lookahead to return once.",
        ),
        (
            460,
            "Confirmed in minibatches of 64 terms: lookahead ends at 1, the best of the others at 2; with 16 terms the",
        ),
        (1510, "Confirmed in minibatches of 64, 16 terms: lookahead ends at 1, 1, the best of the others at 2, 2."),
    ],
)
def test_lookahead_is_judged_after_it_has_returned(steps, said):
    """k is 450 with 64 terms and 1500 with 16, and the code makes a record before the return."""
    records = np.ones(1 + steps // chavdarova_2021.RECORD_EVERY)
    ways = {"lookahead": {"mean": records}, "Adam": {"mean": 2 * records}}
    assert chavdarova_2021.in_minibatches({size: {"code": ways} for size in ("64", "16")}).startswith(said)


def test_a_run_that_diverged_does_not_settle():
    """The points of a diverged run are all counted at one mode, which never changes."""
    runs = {"histogram": np.tile(np.eye(8)[0], (4, 50, 1))}
    ways = {
        name: {"runs": runs, "finite": np.arange(4) > 2, "summary": {"seeds": 4}} for name in thanh_tung_2019.ways()
    }
    assert "0-GP of ℓ 25%" in thanh_tung_2019.answer({"ways": ways})


def test_medians_leave_out_runs_that_diverged():
    """The fourth run is not among those whose values are known."""
    way = {"finite": np.array([True, False, True, False])}
    assert _claims.median(np.array([1.0, np.nan, 3.0]), way) == 2
    assert np.isnan(_claims.median(np.ones(3), {"finite": np.zeros(4, bool)}))
    way |= {"spectra": {"gradients": np.multiply.outer([1.0, np.nan, 3.0], np.ones((5, 2)))}}
    way |= {"summary": {"seeds": 4, "all modes at the end": (1.0, 0.5, 1.0)}}
    said = mescheder_2017.answer({"ways": {"simultaneous": way, "consensus": way}})
    assert said.endswith("2 for gradients after training with consensus.")


def landed(slope, least, largest, finite=(True,)):
    """Runs of Berard's that ended at such points, from where the norm of the field was 10."""
    end = {"losses of D": [3.7, 1.4], "eigenvalues of J": [[8.0, 0.0], [1.0, 2.0]]}
    end |= {"eigenvalues of G": [least, largest], "slopes": [10.0, slope]}
    lost = jax.tree.map(lambda value: value * np.nan, {key: np.array(value) for key, value in end.items()})
    found = {key: np.stack([value if one else lost[key] for one in finite]) for key, value in end.items()}
    return berard_2020.answer({"ways": {"gan, sim": {"finite": np.array(finite), "landscape": found}}})


@pytest.mark.parametrize(
    ("slope", "least", "largest", "saddles"),
    [
        (0.1, -0.1, 1.0, 1),
        (0.1, -1e-12, 1.0, 0),  # the rounding of 0
        (0.1, -1.0, -0.1, 0),  # a maximum
        (0.1, 0.1, 1.0, 0),
        (0.1, np.nan, np.nan, 0),
        (3.0, -0.1, 1.0, 0),
    ],
)
def test_a_saddle_is_stationary_and_curves_both_ways(slope, least, largest, saddles):
    said = landed(slope, least, largest)
    beginning = "gan, sim: the largest imaginary part is 0.25 of the largest real part; G is at a saddle in"
    assert said.startswith(f"{beginning} {saddles} of 1 runs. D's loss is 1.4 there, and 3.7 at the players.")
    assert f"The norm of the field there is {slope / 10:.2g} to {slope / 10:.2g} of that at the start." in said
    moving = " The point is not stationary in 1 of 1 runs, in 1 of which G's loss curves both up and down."
    assert said.endswith(moving if slope == 3 else "at the start.")


def test_a_run_without_a_landscape_is_counted_apart():
    said = landed(0.1, -0.1, 1.0, (True, False))
    assert "is 0.25 of the largest real part; G is at a saddle in 1 of 1 runs. D's loss is 1.4 there" in said
    assert said.endswith("of that at the start. 1 of 2 runs diverged.")
    assert landed(0.1, -0.1, 1.0, (False, False)) == "gan, sim: 2 of 2 runs diverged."


@pytest.mark.parametrize("fate", ["converging", "drifting"])
def test_the_fate_of_optimism_is_said(fate):
    end = {"fate": "oscillating", "range": (0.5, 2.0)}
    ends = {"code": {"optimism": {"fate": fate, "range": (2.2, 2.3)}, "descent": end}, "text": {"descent": end}}
    data = {"ends": ends, "distances": {"code": {"optimism": np.array([2.64, 2.254])}}}
    verdict = "Confirmed" if fate == "converging" else "Partly confirmed"
    assert daskalakis_2018.answer(data).startswith(f"{verdict}: optimism ({fate}) brings G from distance 2.64 to 2.254")


def test_rmsprop_of_clipped_critics_is_that_of_their_code():
    """TensorFlow's: ε is inside the root, and the second moment starts at 1."""
    slope = np.float32(1e-3)
    update, _ = gulrajani_2017.RMSPROP.update(slope, gulrajani_2017.RMSPROP.init(slope))
    np.testing.assert_allclose(-update, 5e-5 * 1e-3 / np.sqrt(0.9 + 0.1 * 1e-6 + 1e-10), rtol=1e-6)
