import jax
import numpy as np
import pytest

from slantgan_jax import faces, networks, plots
from tests.tables import slow_unless


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
