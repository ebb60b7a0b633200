import io

import numpy as np
import pytest
from PIL import Image

from ifvit.evaluation.plots import det_plot, score_histogram

RNG = np.random.default_rng(0)
GENUINE = np.r_[RNG.normal(0.6, 0.2, 50), -np.inf]
IMPOSTOR = np.r_[RNG.normal(0.0, 0.2, 90), -np.inf, -np.inf]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: det_plot({"score": (GENUINE, IMPOSTOR), "perfect": ([1.0, 2.0], [0.0])}),
        lambda: score_histogram(GENUINE, IMPOSTOR),
    ],
)
def test_plots_are_png_and_repeat(draw) -> None:
    data = draw()
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG" and min(image.size) > 300
    assert np.asarray(image.convert("L")).std() > 5
    assert draw() == data


def test_nothing_to_plot_is_refused() -> None:
    with pytest.raises(ValueError, match="no scores to plot"):
        det_plot({})
    with pytest.raises(ValueError, match="no genuine scores"):
        score_histogram([], IMPOSTOR)
