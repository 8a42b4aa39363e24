from pathlib import Path

import benchmark
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _timing import printed_by
from benchmark import medians


@pytest.mark.parametrize("name", ["tutorial", "Adam", "sga aligned", "DRAGAN", "smoothing"])
def test_methods_that_are_timed_can_be_traced(name):
    (bias,) = jax.eval_shape(
        lambda key, rate: tuple(benchmark.method_run(name, 10, key, rate).values()), jax.random.key(0), jnp.asarray(0.1)
    )
    assert bias.shape == ()


def test_ratios_are_medians_over_rounds():
    times = {
        "NumPy program": [100.0, 200.0, 400.0],
        "JAX, one GAN": [10.0, 50.0, 10.0],
        "JAX sweep, 4096 GANs": [4.0, 4.0, 9.0],
        "JAX sweep, 32768 GANs": [2.0, 4.0, 5.0],
        "JAX sweep, Adam": [8.0, 8.0, 20.0],
    }
    found = medians({name: np.array(values) for name, values in times.items()})
    assert found["ns_per_gan_and_step"]["NumPy program"] == 200
    assert found["ratios"]["NumPy program / one JAX run"] == 10  # of 10, 4 and 40
    assert found["ratios"]["smallest / largest sweep"] == 1.8


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux lets a program inherit the peak")
def test_the_memory_of_a_process_is_not_that_of_the_one_that_started_it():
    child = "import _timing; print(_timing.peak_memory())"
    parent = f"import numpy, _timing; held = numpy.ones(2**26); print(_timing.printed_by({child!r}, 'a child'))"
    assert float(printed_by(parent, "a parent")) < 256  # of the 512 MiB that its parent holds it has nothing
