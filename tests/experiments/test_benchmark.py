import benchmark
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmark import EXPERIMENT, Row, medians


@pytest.mark.parametrize("name", ["tutorial", "Adam", "sga aligned", "DRAGAN", "smoothing"])
def test_methods_that_are_timed_can_be_traced(name):
    (bias,) = jax.eval_shape(
        lambda key, rate: tuple(benchmark.method_run(name, key, rate).values()), jax.random.key(0), jnp.asarray(0.1)
    )
    assert bias.shape == ()


def test_ratios_are_medians_over_rounds():
    names = ["NumPy program", "JAX, one GAN", "JAX sweep, 4096 GANs", "JAX sweep, 32768 GANs", "JAX sweep, Adam"]
    rounds = np.array([[100.0, 10, 4, 2, 8], [200.0, 50, 4, 4, 8], [400.0, 10, 9, 5, 20]])
    found = medians([Row(name) for name in names], rounds)
    assert found["ns_per_gan_and_step"]["NumPy program"] == 200
    assert found["ratios"]["NumPy program / one JAX run"] == 10  # of 10, 4 and 40
    assert found["ratios"]["smallest / largest sweep"] == 1.8


@pytest.mark.parametrize(("arguments", "message"), [("--repeats 0", "from 1 up"), ("--largest 4095", "from 4096 up")])
def test_a_wrong_option_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EXPERIMENT.parse(arguments.split())
