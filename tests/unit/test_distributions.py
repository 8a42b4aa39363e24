import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from article_stream import article_stream
from scipy import stats

from slantgan_jax import datasets, distributions, rules, slanted_land

SEEDS = [0, 1, 42, 2**31 - 1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("x64", [False, True])
def test_latents_are_the_librarys_uniform_numbers_bit_for_bit(seed, x64):
    with jax.enable_x64(x64):
        key = jax.random.key(seed)
        ours = jax.jit(jax.vmap(distributions.uniform().sample, (None, 0, None)))(key, jnp.arange(1000), 0)
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


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_normal_draws_are_the_librarys_under_the_key_of_the_draw(shape):
    key = jax.random.key(11)
    ours = jax.jit(distributions.normal(shape).sample)(key, 7, 2)
    library = jax.jit(lambda key: jax.random.normal(distributions.draw_key(key, 7, 2), shape))(jax.random.clone(key))
    assert ours.shape == shape
    np.testing.assert_array_equal(ours, library)


def test_every_step_and_stream_has_a_key_of_its_own():
    key = jax.random.key(3)
    words = jax.vmap(lambda step, stream: jax.random.key_data(distributions.draw_key(key, step, stream)))
    found = jax.jit(words)(*map(np.ravel, np.meshgrid(np.arange(100), np.arange(7))))
    assert len(np.unique(np.asarray(found), axis=0)) == 700


DATASET = {"a": np.arange(12.0).reshape(4, 3), "b": np.arange(4.0)}


def test_cyclic_data_come_in_turn():
    data = distributions.cyclic(DATASET)
    key = jax.random.key(0)
    found = jax.jit(jax.vmap(lambda step: data.sample(key, step, 0)))(jnp.arange(9))
    np.testing.assert_array_equal(found["b"], np.arange(9) % 4)
    np.testing.assert_array_equal(found["a"], DATASET["a"][np.arange(9) % 4])
    values, weights = data.nodes()
    np.testing.assert_array_equal(values["a"], DATASET["a"])
    np.testing.assert_allclose(weights, 0.25)


def test_resampled_data_come_equally_often():
    data = distributions.resampled(DATASET)
    key = jax.random.key(0)
    found = jax.jit(jax.vmap(lambda step: data.sample(key, step, 3)))(jnp.arange(40_000))
    np.testing.assert_array_equal(found["a"][:, 0], 3 * found["b"])  # leaves of one item stay together
    counts = np.bincount(np.asarray(found["b"]).astype(int), minlength=4)
    assert np.sum((counts - 10_000) ** 2 / 10_000) < 16.3  # χ² with 3 degrees of freedom, 1 in 1000


def test_a_sequence_is_replayed_and_then_nan():
    replay = distributions.sequence(np.array([0.5, 0.25]))
    key = jax.random.key(0)
    found = jax.vmap(lambda step: replay.sample(key, step, 0))(jnp.arange(4, dtype=jnp.uint32))
    np.testing.assert_array_equal(found, [0.5, 0.25, np.nan, np.nan])
    assert replay.nodes is None


def test_quadratures_have_the_moments_of_their_distribution(x64):
    for nodes in (3, distributions.UNIFORM_NODES, 40):
        z, weights = distributions.uniform_quadrature(nodes)
        power = min(2 * nodes - 1, 30)  # exact up to degree 2 nodes - 1
        np.testing.assert_allclose(np.asarray(weights) @ np.asarray(z) ** power, 1 / (power + 1), rtol=1e-13)
    np.testing.assert_array_equal(distributions.uniform_quadrature(), distributions.uniform().nodes())
    z, weights = distributions.uniform().nodes()
    np.testing.assert_array_equal(z, distributions.uniform_quadrature(distributions.UNIFORM_NODES)[0])
    normal = [
        (size, jax.tree.map(np.asarray, distributions.normal(shape).nodes())) for shape, size in (((), 1), ((4,), 4))
    ]
    z, weights = np.asarray(z), np.asarray(weights)
    for power, moment in {1: 0, 2: 1, 3: 0, 4: 3, 6: 15}.items():
        np.testing.assert_allclose(weights @ z**power, 1 / (power + 1), rtol=1e-14)
        for size, (x, of_normal) in normal:
            np.testing.assert_allclose(of_normal @ np.reshape(x, (-1, size))[:, 0] ** power, moment, atol=1e-12)


@pytest.mark.slow
def test_a_pack_is_the_draws_one_after_the_other():
    """Packs of packs, too; a pack of a sequence ends with the last whole one."""
    key = jax.random.key(4)
    one, packs = (
        distributions.normal((2,)),
        distributions.packed(distributions.packed(distributions.normal((2,)), 3), 2),
    )
    found = jax.jit(lambda: packs.sample(key, 5, 1))()
    alone = jax.jit(jax.vmap(lambda step: one.sample(key, step, 1)))(jnp.arange(30, 36))
    np.testing.assert_array_equal(found, alone.reshape(2, 3, 2))
    short = distributions.packed(distributions.sequence(np.arange(8.0)), 3)
    assert short.length == 2
    np.testing.assert_array_equal(short.sample(key, 1, 0), [3, 4, 5])
    assert packs.nodes is None
    for count in (0, 1.5, True):
        with pytest.raises(ValueError, match="count of a block is"):
            distributions.packed(one, count)


@pytest.mark.slow
def test_a_fixed_sample_is_made_once():
    source = distributions.normal()
    data = distributions.fixed(source, 5, jax.random.key(7))
    values, weights = data.nodes()
    key = jax.random.key(7)
    np.testing.assert_array_equal(values, jax.vmap(lambda step: source.sample(key, step, 0))(jnp.arange(5)))
    np.testing.assert_allclose(weights, 0.2)
    other = jax.random.key(8)
    drawn = jax.jit(jax.vmap(lambda step: data.sample(other, step, 3)))(jnp.arange(10_000))
    counts = [np.sum(np.asarray(drawn) == value) for value in np.asarray(values)]
    assert sum(counts) == 10_000
    assert np.sum((np.array(counts) - 2000) ** 2 / 2000) < 18.5  # χ² with 4 degrees of freedom, 1 in 1000


REFUSED = {
    "the density of a batch": (
        lambda: distributions.normal((2,)).log_density(np.zeros((3, 2))),
        "shapes \\(\\(3, 2\\),",
    ),
    "the density of another image": (lambda: distributions.normal().log_density((0.0, 0.0)), "give one as it is drawn"),
    "no draws": (lambda: distributions.fixed(distributions.normal(), 0, jax.random.key(0)), "count of the sample is 0"),
    "a seed": (lambda: distributions.fixed(distributions.normal(), 3, 0), "key is 0: give one typed threefry key"),
    "more than there are": (
        lambda: distributions.fixed(distributions.sequence(np.zeros(2)), 3, jax.random.key(0)),
        "sample is 3, but there are 2 draws",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_samples_and_densities_that_there_are_not_are_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_log_densities_are_scipys(x64):
    density = distributions.normal_like({"a": np.zeros((2, 2)), "b": 0.0}).log_density
    image = {"a": np.array([[0.3, -2.0], [1.0, 4.0]]), "b": np.float64(-0.7)}
    expected = stats.norm.logpdf([0.3, -2.0, 1.0, 4.0, -0.7]).sum()
    np.testing.assert_allclose(density(image), expected, rtol=1e-14)
    points = np.array([-1e-9, 0.0, 0.5, 1.0, 1.0 + 1e-9])
    found = jax.vmap(distributions.uniform().log_density)(points)
    np.testing.assert_array_equal(found, stats.uniform.logpdf(points))


@pytest.mark.parametrize("step", [1.5, np.float32(0.9), np.nan, True, 2**64])
def test_a_step_of_a_sequence_is_a_whole_number(step):
    with pytest.raises(ValueError, match="give a whole number of at most 64 bits"):
        distributions.sequence(np.arange(5.0)).sample(None, step, 0)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.uint32])
def test_a_counter_of_few_bits_does_not_wrap(kind):
    """Draw 120 of packs of 5 is of the draws 600 to 604; a rule that reads six samples a step begins with 720."""
    pack = distributions.packed(distributions.cyclic(np.arange(7.0)), 5)
    np.testing.assert_array_equal(pack.sample(jax.random.key(0), kind(120), 0), np.arange(600, 605) % 7)
    rule = rules.alternating(optax.sgd(0.1), order=("discriminator",) * 5 + ("generator",))
    found, expected = (rule.sample(slanted_land(), jax.random.key(0), step) for step in (kind(120), 120))
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [int, np.int32, jnp.int32, jnp.uint32])
def test_packs_count_beyond_the_largest_number_with_a_sign(kind):
    ring = datasets.ring(5, deviation=1e-6, stratified=True)
    found = distributions.packed(ring, 1000).sample(jax.random.key(0), kind(3_000_000), 0)
    np.testing.assert_allclose(found[:5], ring.modes().centers, atol=1e-4)


def test_the_largest_counters_are_counted():
    """2³¹ mod 3 is 2, and 2³² - 1 mod 3 is 0."""
    ring = datasets.ring(3, deviation=1e-6, stratified=True)
    for step, mode in ((2**31, 2), (2**32 - 1, 0)):
        np.testing.assert_allclose(ring.sample(jax.random.key(0), step, 0), ring.modes().centers[mode], atol=1e-4)
