import itertools

import jax
import numpy as np
import pytest
from figures import does_it_converge, loss_vs_distance, reproductions, which_equilibrium
from matplotlib.colors import to_rgb

from slantgan_jax import faces, networks, plots
from tests.tables import slow_unless

SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""What a deficiency of full severity makes of linear RGB: Machado, Oliveira & Fernandes 2009, table 1."""


def lab(linear):
    """CIE L*a*b* of linear sRGB, with the white D65."""
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    t = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SEEN)
@pytest.mark.parametrize(
    "colors",
    [
        plots.PALETTE,
        (plots.GENERATOR, plots.DISCRIMINATOR),
        (plots.POSITIVE, plots.NEGATIVE, plots.QUIET),
        which_equilibrium.COLORS,
        does_it_converge.RATE_COLORS,
        loss_vs_distance.METHOD_COLORS,
        tuple(reproductions.FATES.values()),
    ],
    ids=lambda colors: f"{len(colors)} colors",
)
def test_colors_of_a_figure_are_apart_for_the_color_blind(colors, sight):
    """ΔE of 1976; 2.3 is just noticeable. The palette of Okabe and Ito has at least 16."""
    linear = [np.array([(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in to_rgb(color)])
              for color in colors]  # fmt: skip
    seen = [lab(np.array(SEEN[sight]) @ color) for color in linear]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def pixels_of(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


@pytest.mark.parametrize("side", [2, 3, 8])
def test_faces_draw_dark_where_the_face_is(side):
    figure = plots.new_figure(3, 3, dpi=50)
    image = np.eye(side).ravel()
    plots.faces(figure, image[None], 1, numbers=False)
    figure.canvas.draw()
    (ax,) = figure.axes
    drawn = pixels_of(figure)
    to_pixel = ax.transData.transform
    for row in range(side):
        for column in range(side):
            x, y = to_pixel((column + 0.2, row + 0.2))
            assert (drawn[drawn.shape[0] - int(y), int(x), 0] < 128) == (row == column)


@pytest.mark.parametrize("side", slow_unless([2, 3, 6], 3))
def test_network_draws_each_weight_with_its_size_and_sign(side):
    players = networks.init(jax.random.key(0), faces.slanted(jax.random.key(1), 1, side)[0])
    generator, discriminator = jax.tree.map(np.asarray, players)
    figure = plots.new_figure(9, 6, dpi=50)
    plots.network(figure, generator, discriminator)
    lines = figure.axes[0].lines
    weights = np.concatenate([generator.weights, discriminator.weights])
    assert [line.get_color() for line in lines] == [plots.POSITIVE if w >= 0 else plots.NEGATIVE for w in weights]
    widths = np.array([line.get_linewidth() for line in lines])
    assert np.array_equal(np.argsort(widths), np.argsort(np.abs(weights)))
    assert pixels_of(figure).std() > 0


def texts_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_network_shows_the_values_that_its_nodes_take():
    """The article's networks made by hand: at z = 0.7 pixels of 0.85 and 0.15, and for the face a logit of 1."""
    painter = networks.Generator(np.array([1.0, -1, -1, 1]), np.array([1.0, -1, -1, 1]))
    detector = networks.Discriminator(np.array([1.0, -1, -1, 1]), -1.0)
    figure = plots.new_figure(9, 6, dpi=50)
    plots.network(figure, painter, latent=0.7)
    assert [texts_of(figure).count(value) for value in ("0.70", "0.85", "0.15", "σ(+1.70)")] == [1, 2, 2, 2]
    figure = plots.new_figure(9, 6, dpi=50)
    plots.network(figure, discriminator=detector, image=faces.FACES[0])
    assert any("logit = +1.00" in text and "0.73" in text and "a face" in text for text in texts_of(figure))
    assert len(figure.axes[0].lines) == 4
    figure = plots.new_figure(9, 6, dpi=50)
    plots.network(figure, painter, detector, latent=0.7, known=1)
    assert "0.70" in texts_of(figure)
    assert "0.85" not in texts_of(figure)
