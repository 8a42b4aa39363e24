"""The page for learners is the library's training run, bit for bit."""

import ast
import functools
import importlib.util
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from slantgan_jax import faces, rules, slanted_land, train

PAGE = Path(__file__).parents[2] / "examples" / "smallest_gan.py"
EPOCHS = 100


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("smallest_gan", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(generator, discriminator):
    parts = (generator["weights"], generator["biases"], discriminator["weights"], discriminator["bias"])
    return np.concatenate([np.ravel(part) for part in parts])


@functools.cache
def library(in_pixels):
    """The library's run as a function of the key."""
    game, rule = slanted_land(None if in_pixels else faces.FACES), rules.tutorial(optax.sgd(0.01))
    return jax.jit(lambda key: train(key, game, rule, 5 * EPOCHS).players)


def trained_by_the_library(in_pixels, seed):
    players = jax.tree.map(np.asarray, library(in_pixels)(jax.random.key(seed)))
    return numbers(*(jax.tree.map(faces.stack, p._asdict(), is_leaf=lambda x: type(x) is tuple) for p in players))


@pytest.mark.parametrize("seed", [0, 42, 7])
def test_the_page_trains_as_the_library_does(page, seed):
    generator, discriminator = page.train(jax.random.key(seed), epochs=EPOCHS)
    ours = numbers(generator, discriminator)
    assert ours.dtype == np.float32
    # With an image as one array both have the same operations in the same order, so that they have the same bits.
    np.testing.assert_array_equal(ours, trained_by_the_library(False, seed))
    # With scalar pixels XLA fuses other products with other sums: one rounding, 6e-8 of 1, in each of 500 steps.
    np.testing.assert_allclose(ours, trained_by_the_library(True, seed), rtol=0, atol=500 * 6e-8)


@pytest.mark.slow
def test_its_generator_draws_faces(page):
    generator, discriminator = page.train(jax.random.key(42), epochs=1000)
    image = page.generate(generator, 0.5)
    np.testing.assert_allclose(image, np.mean(faces.FACES, axis=0), atol=0.15)  # a face differs from their mean by 0.1
    assert abs(jax.nn.sigmoid(page.logit(discriminator, image)) - 0.5) < 0.05


def test_it_is_one_page_that_needs_only_jax_and_optax():
    text = PAGE.read_text()
    assert len(text.splitlines()) <= 60
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import jax", "import jax.numpy as jnp", "import optax"]
