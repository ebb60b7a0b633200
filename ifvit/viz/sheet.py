"""Many prints on one sheet, each with its label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ifvit.viz.drawing import put_text
from ifvit.viz.figures import save

TEXT_PX = 12
"""Height of a label's text, pixels."""


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
    picture = np.full((size[1], size[0], 3), 255, np.uint8)
    for index, image in enumerate(images):
        x = margin + index % columns * width
        y = margin + index // columns * height
        grey = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
        below = picture[y + caption :, x:]
        below[: grey.shape[0], : grey.shape[1]] = grey[..., None]
        place = x, y + caption - 4, width - margin
        put_text(picture, labels[index], *place, size=TEXT_PX, middle=False)
    if path is not None:
        save(picture, path)
    return picture
