"""Many prints on one sheet, each with its label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from ifvit.viz.figures import DPI, pixels, printable, save


def contact_sheet(
    images: Sequence[Float[np.ndarray, "_ _"]],
    labels: Sequence[str],
    path: str | Path | None = None,
    columns: int | None = None,
) -> UInt8[np.ndarray, "sheet_H sheet_W 3"]:
    """Draw a grid of grey prints in [0, 1], each pixel as it is, with a label over each; RGB.

    ``columns`` is about the square root of the count if not given. Written to ``path`` if given.
    Raises ValueError where there is nothing to draw or the labels do not go with the images.
    """
    if not images or len(labels) != len(images):
        raise ValueError(
            f"{len(labels)} labels for {len(images)} images: expected one for each, at least one"
        )
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    margin, caption = 8, 16
    height = max(image.shape[0] for image in images) + caption + margin
    width = max(image.shape[1] for image in images) + margin
    size = (columns * width + margin, rows * height + margin)
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    sheet = np.ones((size[1], size[0]), np.float32)
    for index, image in enumerate(images):
        x = margin + index % columns * width
        y = margin + index // columns * height
        sheet[y + caption : y + caption + image.shape[0], x : x + image.shape[1]] = image
        place = {"x": x / size[0], "y": 1 - (y + caption - 4) / size[1]}
        figure.text(**place, s=printable(labels[index]), fontsize=8, parse_math=False)
    figure.figimage(sheet, cmap="gray", vmin=0, vmax=1, origin="upper")
    picture = pixels(figure)
    if path is not None:
        save(picture, path)
    return picture
