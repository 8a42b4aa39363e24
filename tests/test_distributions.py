import jax
import jax.numpy as jnp
import numpy as np
import pytest
from article_stream import article_stream

from slantgan_jax import distributions

SEEDS = [0, 1, 42, 2**31 - 1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("x64", [False, True])
def test_latents_are_the_librarys_uniform_numbers_bit_for_bit(seed, x64):
    with jax.enable_x64(x64):
        key = jax.random.key(seed)
        ours = jax.vmap(distributions.uniform().sample, (None, 0, None))(key, jnp.arange(1000), 0)
        library = jax.random.uniform(jax.random.clone(key), (1000,))
        assert ours.dtype == library.dtype == (jnp.float64 if x64 else jnp.float32)
        np.testing.assert_array_equal(ours, library)


def test_threefry_is_the_published_one():
    """Known answers of the Random123 distribution for threefry2x32, 20 rounds."""
    known = [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ]
    for key, counter, expected in known:
        words = distributions.threefry(tuple(map(jnp.uint32, key)), tuple(map(jnp.uint32, counter)))
        assert tuple(map(int, words)) == expected


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_article_stream_is_drawn_one_number_at_a_time(seed):
    legacy = np.random.RandomState(seed)
    drawn = [legacy.normal() for _ in range(13)]
    uniform = [legacy.rand() for _ in range(5 * 7 + 4)]
    stream = article_stream(seed, 35)
    flat = np.concatenate([np.ravel(part) for part in stream])
    np.testing.assert_array_equal(flat, drawn + uniform)


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"seed is -1"):
        article_stream(-1, 5)
    with pytest.raises(ValueError, match=r"steps is 0"):
        article_stream(1, 0)
    for key in (jnp.zeros(2, jnp.uint32), jax.random.split(jax.random.key(0)), jax.random.key(0, impl="rbg")):
        with pytest.raises(ValueError, match="one typed threefry key"):
            distributions.uniform().sample(key, 0, 0)
