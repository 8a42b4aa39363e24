import math

import numpy as np
import pytest

from slantgan_jax.analysis import fractals

SIDE = 512
PLACES = (np.arange(SIDE) + 0.5) / SIDE


def test_the_boundary_lies_between_pixels_that_differ():
    inside = np.zeros((4, 5), bool)
    inside[1, 2] = True
    marked = fractals.boundary(inside)
    assert marked.shape == (3, 4)
    assert np.argwhere(marked).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]  # the four squares at that pixel's corners
    assert not fractals.boundary(np.ones((3, 3))).any()


def test_boxes_are_counted_as_by_hand_and_as_by_a_set_of_their_corners():
    random = np.random.default_rng(0)
    marked = random.random((37, 50)) < 0.02
    sizes = [1, 2, 3, 8, 64]
    by_hand = [len({(i // s, j // s) for i, j in np.argwhere(marked)}) for s in sizes]
    assert fractals.box_counts(marked, sizes).tolist() == by_hand
    assert by_hand[0] == marked.sum()


# On 512 pixels with boxes of 4 to 32: counts of a curve as long as the picture are off by a few of 16 at the largest
# boxes, 0.05 in a slope over 3 octaves.
CURVES = {
    "line": (PLACES[:, None] > 0.3 + 0.37 * PLACES[None], 1.0),
    "circle": (np.hypot(PLACES[:, None] - 0.5, PLACES[None] - 0.5) < 0.35, 1.0),
    "Koch": (fractals.snowflake(SIDE), fractals.KOCH_DIMENSION),
    "noise": (np.random.default_rng(0).random((SIDE, SIDE)) < 0.5, 2.0),
}


@pytest.mark.parametrize("name", CURVES)
def test_box_counting_finds_known_dimensions(name):
    inside, known = CURVES[name]
    sizes = fractals.box_sizes(SIDE)
    found = fractals.box_dimension(sizes, fractals.box_counts(fractals.boundary(inside), sizes))
    assert found.value == pytest.approx(known, abs=0.05)


def test_a_dimension_does_not_depend_on_the_type_of_the_counts():
    small = fractals.box_dimension([4, 8, 16], np.array([200, 90, 37], np.uint8))
    assert small == fractals.box_dimension([4, 8, 16], [200, 90, 37])


def test_the_snowflake_has_the_area_that_koch_found():
    # 8/5 of the triangle's, √3/4 a², whose circle has the radius 0.99/2; what 6 rounds leave out is (4/9)^6 of a part,
    # 0.3 %, and pixels at the boundary count half, 0.3 % again.
    side = 0.99 / 2 * math.sqrt(3)
    assert fractals.snowflake(SIDE).mean() == pytest.approx(8 / 5 * math.sqrt(3) / 4 * side**2, rel=0.006)


def rounds(x):
    """The parity of the round in which Cantor's construction removes a point: its colors meet on Cantor's set."""
    removed, alive = np.zeros(x.shape, int), np.ones(x.shape, bool)
    for number in range(1, 30):
        third = np.floor(3 * x)
        removed = np.where(alive & (third == 1), number, removed)
        alive &= third != 1
        x = 3 * x - third
    return removed % 2


def test_uncertain_pairs_find_known_dimensions():
    random = np.random.default_rng(1)
    pairs = 40_000
    x = random.random(pairs)
    for color, rounds_of_distance, known, tolerance in (
        (lambda x: x > 0.4, (2, 7), 1.0, 0.06),  # a line in the plane, f = ε: from 5000 pairs that differ to 50
        (rounds, (4, 12), 1 + math.log(2) / math.log(3), 0.03),  # Cantor's set times a line: from 8000 to 500
    ):
        distances = 3.0 ** -np.arange(*rounds_of_distance)
        differing = np.array([np.sum(color(x) != color(x + e * np.where(x > 0.5, -1, 1))) for e in distances])
        found = fractals.uncertainty_dimension(distances, differing, pairs)
        assert found.value == pytest.approx(known, abs=tolerance)
        assert 0 < found.error < tolerance


def test_the_error_of_uncertain_pairs_is_that_of_repetition():
    random = np.random.default_rng(2)
    distances, pairs = 2.0 ** -np.arange(3, 10), 5000
    found = [
        fractals.uncertainty_dimension(distances, random.binomial(pairs, distances**0.6), pairs) for _ in range(300)
    ]
    values, errors = np.array(found).T
    # 300 repetitions know their mean to a 17th and their spread to 4 %; the reported error is the larger of two
    # estimates, so up to a quarter above it.
    assert values.mean() == pytest.approx(1.4, abs=4 * values.std() / 17)
    assert 0.9 * values.std() < errors.mean() < 1.35 * values.std()
