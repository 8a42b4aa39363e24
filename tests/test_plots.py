import jax
import numpy as np
import pytest

from slantgan_jax import faces, networks, plots


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


@pytest.mark.parametrize("side", [2, 3, 6])
def test_network_draws_each_weight_with_its_size_and_sign(side):
    players = networks.init(jax.random.key(0), faces.slanted(jax.random.key(1), 1, side)[0])
    generator, discriminator = jax.tree.map(np.asarray, players)
    figure = plots.new_figure(9, 6, dpi=50)
    plots.network(figure, generator, discriminator)
    lines = figure.axes[0].lines
    weights = np.stack([generator.weights, discriminator.weights], 1).ravel()
    assert [line.get_color() for line in lines] == [plots.POSITIVE if w >= 0 else plots.NEGATIVE for w in weights]
    widths = np.array([line.get_linewidth() for line in lines])
    assert np.array_equal(np.argsort(widths), np.argsort(np.abs(weights)))
    assert pixels_of(figure).std() > 0


def test_error_curve_averages_epochs_and_leaves_out_what_diverged():
    figure = plots.new_figure(4, 3, dpi=50)
    ax = figure.subplots()
    errors = np.concatenate([np.arange(10.0), [np.inf, np.nan, 1e300, 1, 1]])
    plots.error_curve(ax, errors, 5, "black")
    steps, means = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(means, [2, 7, np.nan])
    np.testing.assert_array_equal(steps[:10], errors[:10])
    assert np.isnan(steps[10:13]).all()
    pixels_of(figure)


def test_animation_shows_the_epochs_asked_for():
    rng = np.random.default_rng(0)
    figure = plots.new_figure(4, 3, dpi=40)
    frames = list(
        plots.training_frames(
            figure,
            np.array([0, 2, 5]),
            rng.uniform(size=(3, 2, 9)),
            np.array([0.1, 0.9]),
            rng.uniform(size=(3, 2)),
            np.ones(5),
            np.ones(5),
        )
    )
    assert [frame.shape for frame in frames] == [(120, 160, 3)] * 3
    assert not np.array_equal(frames[0], frames[1])
