"""Wrong values of options, and what is said of them; `test_cli.py` has how a script ends then."""

import importlib

import pytest

WRONG = [
    ("basins", "--resolution 100", "--resolution is 100: give a multiple of 16"),
    ("basins", "--resolution 48", "--resolution is 48: give a multiple of 16 from 64"),
    ("basins", "--steps 0", "multiple of 50"),
    ("basins", "--steps 120", "multiple of 50"),
    ("basins", "--zooms -1", "--zooms is -1"),
    ("basins", "--pairs 0", "--pairs is 0"),
    ("benchmark", "--repeats 0", "from 1 up"),
    ("compare_methods", "--methods", "--methods names none: give at least one"),
    ("compare_methods", "--objectives magic", "--objectives has 'magic': choose from 'non-saturating'"),
    ("compare_methods", "--steps 150", "multiple of 100"),
    ("compare_methods", "--rates 1 -1", "--rates is -1.0: give a positive, finite number"),
    ("compare_methods", "--seeds 0", "from 1 up"),
    ("convergence_rates", "--epochs 2500", "--epochs is 2500"),
    ("convergence_rates", "--seed -1", "--seed is -1"),
    ("convergence_rates", "--methods plain", "--methods has 'plain'"),
    ("convergence_rates", "--methods", "--methods names none"),
    ("convergence_rates", "--learning-rates", "--learning-rates names none"),
    ("convergence_rates", "--learning-rates 0.1 0", "--learning-rates is 0"),
    ("does_it_converge", "--epochs 1000", "--epochs is 1000"),
    ("does_it_converge", "--seed -1", "--seed is -1"),
    ("does_it_converge", "--replicas 1", "--replicas is 1"),
    ("does_it_converge", "--learning-rate nan", "--learning-rate is nan"),
    ("does_it_converge", "--learning-rate -0.1", "--learning-rate is -0.1"),
    ("latent_noise", "--steps 70", "multiple of 50"),
    ("latent_noise", "--steps 100000050", "--steps is 100000050"),
    ("latent_noise", "--learning-rates 0.1 -1", "--learning-rates is -1.0"),
    ("latent_noise", "--learning-rates", "at least one"),
    ("latent_noise", "--learning-rates 0.1 0.1", "each once"),
    ("latent_noise", "--cases none", "--cases has 'none'"),
    ("loss_vs_distance", "--seeds -3", "--seeds is -3"),
    ("loss_vs_distance", "--transported 9", "--transported is 9"),
    ("quality_of_equilibria", "--starts 1", "--starts is 1"),
    ("quality_of_equilibria", "--flow-steps 0", "--flow-steps is 0"),
    ("quality_of_equilibria", "--orders", "--orders are"),
    ("spectrum", "--weights 1 2 3 nan", "from -100 to 100"),
    ("spectrum", "--weights 1 2 3 4 --objective magic", "choose from 'non-saturating'"),
    ("spectrum", "--weights 1 2 3 4 --penalty wgan-gp --strength 1", "choose from 'r1'"),
    ("spectrum", "--weights 1 2 3 4 --penalty r1", "--penalty r1 has no strength: give --strength"),
    ("spectrum", "--weights 1 2 3 4 --strength 1", "there is no --penalty: name one"),
    ("spectrum", "--weights 1 2 3 4 --penalty r1 --strength -1", "from 0 to 10000"),
    ("spectrum", "--weights 1 2 3 4 --penalty r1 --strength nan", "from 0 to 10000"),
    ("spectrum", "--weights 1 2 3 4 --rule magic", "choose from 'tutorial'"),
    ("spectrum", "--weights 1 2 3 4 --adjustment magic", "choose from 'extragradient'"),
    ("spectrum", "--weights 1 2 3 4 --learning-rate 0", "positive"),
    ("spectrum", "--weights 1 2 3 4 --learning-rate 1e300", "to 10000"),
    ("spectrum", "--weights 1 2 3 4 --adjustment consensus", "give --adjustment-strength"),
    ("spectrum", "--weights 1 2 3 4 --objective relativistic", "name another rule"),
    ("stability_edge", "--methods magic", "choose from"),
    ("stability_edge", "--scales nan", "from -6 to 6"),
    ("stability_edge", "--strengths 0.1 nan", "from 0 up"),
    ("stability_edge", "--strengths -1", "from 0 up"),
    ("stability_edge", "--random -1", "from 0 up"),
    ("stability_edge", "--steps 430", "multiple of 40"),
    ("sweep", "--seeds 0", "--seeds is 0"),
    ("sweep", "--epochs 0", "--epochs is 0"),
    ("sweep", "--learning-rate-range 1 0.1 5", "--learning-rate-range is 1.0 0.1 5"),
    ("sweep", "--learning-rates 0.1 0.1", "0.1 more than once"),
    ("sweep", "--num-processes 2", "need --distributed"),
    ("sweep", "--devices 0", "--devices is 0"),
    ("sweep", "--tile 0", "--tile is 0"),
    ("train", "--seed -1", "'seed' goes from -1"),
    ("tutorial", "--learning-rate -1", "--learning-rate is -1.0"),
    ("tutorial", "--epochs 0", "--epochs is 0"),
    ("tutorial", "--seed -1", "--seed is -1"),
    ("tutorial", f"--seed {2**32}", "--seed is 4294967296"),
    ("tutorial", "--source dice", "--source has 'dice': choose from 'numpy', 'jax'"),
    ("which_equilibrium", "--flow-steps 15", "--flow-steps is 15"),
    ("which_equilibrium", "--methods plain", "--methods has 'plain'"),
    ("which_equilibrium", "--method-steps 0", "--method-steps is 0"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG)
def test_a_wrong_value_is_named_and_nothing_is_written(name, arguments, message, tmp_path, monkeypatch):
    script = importlib.import_module(name)
    monkeypatch.setattr(importlib.import_module("sweep"), "use_every_core", lambda devices: None)  # JAX runs already
    parse = script.EXPERIMENT.parse if hasattr(script, "EXPERIMENT") else script.parse
    with pytest.raises(ValueError, match=message):
        parse([*arguments.split(), "--out", str(tmp_path / "out")])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
