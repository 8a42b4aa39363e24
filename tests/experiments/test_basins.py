import json
from functools import partial

import _boundaries
import basins
import figures.basins as figures
import jax
import numpy as np
import pytest
from matplotlib import image

from slantgan_jax import plots

pytestmark = [
    pytest.mark.xdist_group("basins"),  # one process compiles the run once
    pytest.mark.usefixtures("quick_compile"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The script with tiny arguments; 4096 lanes do 64² runs in one batch of this process's four devices."""
    out = tmp_path_factory.mktemp("basins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "new_figure", partial(plots.new_figure, dpi=40))
        arguments = "--resolution 64 --steps 100 --zooms 1 --pairs 400 --out"
        basins.EXPERIMENT.parse([*arguments.split(), str(out)])
    with np.load(out / "data.npz") as arrays:
        return out, json.loads((out / "data.json").read_text()), dict(arrays)


def test_the_files_are_there_and_the_windows_shrink_around_the_boundary(made):
    out, summary, data = made
    for plane in basins.PLANES:
        pictures = summary["planes"][plane]["pictures"]
        assert len(pictures) == 2
        left, right, bottom, top = pictures[0]["window"]
        inner = pictures[1]["window"]
        assert (inner[1] - inner[0]) * _boundaries.ZOOM_FACTOR == pytest.approx(right - left)
        # A cell at the rim of the picture has half of the next window beyond it, and no more.
        rim = (right - left) / 16
        assert left - rim < inner[0] < inner[1] < right + rim
        assert bottom - rim < inner[2] < inner[3] < top + rim
        for level, picture in enumerate(pictures):
            verdict = data[f"{plane}_{level}_verdict"]
            assert verdict.shape == (64, 64)
            assert picture["shares"] == [float(np.mean(verdict == i)) for i in range(3)]
            assert image.imread(out / f"{plane}_{level}.png").shape[:2] == (64, 64)
    assert (out / "basins.png").stat().st_size > 10_000


def test_a_pixel_is_the_run_of_its_rates(made, x64):
    _, summary, data = made
    left, right, bottom, top = summary["planes"]["rates"]["pictures"][0]["window"]
    fate = jax.jit(lambda g, d: basins.fate(g, d, steps=100))
    verdict, intensity = data["rates_0_verdict"], data["rates_0_intensity"]
    for row, column in ((60, 60), np.argwhere(verdict == 0)[0], np.argwhere(verdict == 0)[-1]):
        place = left + (right - left) * (column + 0.5) / 64, bottom + (top - bottom) * (row + 0.5) / 64
        alone = fate(*place)
        assert verdict[row, column] == alone["verdict"]
        assert intensity[row, column] == pytest.approx(float(alone["intensity"]), rel=1e-6)  # stored in float32
    assert verdict[60, 60] == 2  # both rates at 200 and more


def test_pairs_that_differ_are_those_of_the_picture(made):
    """A 256th of the plane apart one pair in so many differs: about as many as pixels a 64th apart differ, over 4."""
    _, summary, data = made
    about = summary["planes"]["starts"]
    assert about["distances"][0] == 1 / 256
    converged = data["starts_0_verdict"] == 0
    neighbors = np.mean(converged[1:] != converged[:-1]) / 2 + np.mean(converged[:, 1:] != converged[:, :-1]) / 2
    share = about["differing"][0] / summary["settings"]["pairs"]
    assert share < neighbors + 0.07  # three binomial deviations of 400 pairs at the most
    assert share > neighbors / 8  # 1/4 if the boundary were smooth, and more for a fractal
    assert np.all(np.diff(about["differing"]) <= 3 * np.sqrt(np.array(about["differing"][:-1]) + 1))


def test_pictures_of_an_earlier_result_with_deeper_zooms_are_removed(made):
    out, summary, _ = made
    (out / "rates_7.png").write_bytes((out / "rates_0.png").read_bytes())
    basins.EXPERIMENT.parse(["--plot-only", "--out", str(out)])
    assert not (out / "rates_7.png").exists()
    assert "a boundary of dimension" in summary["answer"]  # one zoom has no error, so no fractal is known


def test_the_shade_is_the_rank_among_the_like():
    verdict = np.array([[0, 0, 1], [2, 0, 1]])
    intensities = np.array([[[1.0, 100.0, 3.0], [np.inf, 2.0, 3.0]], [[0.0, 7.0, 1.0], [0.0, 0.1, 1.0]]])
    picture, same = (figures.fates({"x_verdict": verdict, "x_intensity": values}, "x") for values in intensities)
    np.testing.assert_array_equal(picture, same)
    blue = picture[verdict == 0].sum(-1)  # brightness of 1, 100, 2
    assert blue[0] < blue[2] < blue[1]
    np.testing.assert_array_equal(picture[0, 2], picture[1, 2])
