"""What the settings of experiments refuse, beyond the one wrong option of each in test_cli.py."""

import importlib

import pytest

WRONG = [
    ("convergence_rates", "--epochs 2500", "--epochs is 2500"),
    ("convergence_rates", "--seed -1", "--seed is -1"),
    ("convergence_rates", "--methods plain", "--methods has 'plain'"),
    ("convergence_rates", "--methods", "--methods names none"),
    ("convergence_rates", "--learning-rates", "--learning-rates has none"),
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
    ("quality_of_equilibria", "--starts 1", "--starts is 1"),
    ("quality_of_equilibria", "--flow-steps 0", "--flow-steps is 0"),
    ("quality_of_equilibria", "--orders", "--orders are"),
    ("stability_edge", "--methods magic", "choose from"),
    ("stability_edge", "--scales nan", "from -6 to 6"),
    ("stability_edge", "--strengths 0.1 nan", "from 0 up"),
    ("stability_edge", "--strengths -1", "from 0 up"),
    ("stability_edge", "--random -1", "from 0 up"),
    ("stability_edge", "--steps 430", "multiple of 40"),
    ("which_equilibrium", "--flow-steps 15", "--flow-steps is 15"),
    ("which_equilibrium", "--methods plain", "--methods has 'plain'"),
    ("which_equilibrium", "--method-steps 0", "--method-steps is 0"),
]


@pytest.mark.parametrize(("script", "arguments", "message"), WRONG)
def test_wrong_settings_are_refused(script, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        importlib.import_module(script).EXPERIMENT.parse([*arguments.split(), "--out", str(tmp_path / "out")])
    assert not list(tmp_path.iterdir())
