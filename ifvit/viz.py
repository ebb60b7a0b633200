"""Pictures to check a decision by: two prints with their correspondences, and sheets of prints.

Figures are made through matplotlib's objects with the Agg canvas, so that nothing global changes
and no display is needed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image

from ifvit.pipeline.result import MatchResult

COLOURS = "viridis"
"""Confidence from dark to bright: perceptually even, and legible without colour vision."""

GAP = 24
"""Pixels between the two prints."""

DPI = 100


def pixels(figure: Figure) -> UInt8[np.ndarray, "H W 3"]:
    """Render a figure to an RGB array."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(picture: UInt8[np.ndarray, "H W 3"], path: str | Path) -> None:
    """Write a picture to a file of the kind that its name says; the folder is made if need be."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return buffer.getvalue()


def draw_match(result: MatchResult, path: str | Path | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Draw both prints side by side with their correspondences, and return the picture (RGB).

    Lines are coloured by confidence; those that agree with the alignment are strong, the others
    faint. The square is the local branch's region, in both prints. Written to ``path`` if given.
    """
    figure = Figure(figsize=(12, 5.9), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    height = max(result.image0.shape[0], result.image1.shape[0])
    offset = np.array([result.image0.shape[1] + GAP, 0])
    width = int(offset[0]) + result.image1.shape[1]
    for image, x in ((result.image0, 0), (result.image1, int(offset[0]))):
        extent = (x - 0.5, x + image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()
    shades = _draw_lines(axes, result, offset)
    _draw_roi(axes, result, offset)
    figure.colorbar(shades, ax=axes, label="confidence of the match", shrink=0.8)
    axes.set_title(_title(result), fontsize=11)
    picture = pixels(figure)
    if path is not None:
        save(picture, path)
    return picture


def _draw_lines(axes: Axes, result: MatchResult, offset: np.ndarray) -> ScalarMappable:
    found = result.alignment
    shades = ScalarMappable(Normalize(0, 1), colormaps[COLOURS])
    lines = np.stack([found.points0, found.points1 + offset], axis=1)
    # Weak ones first, so that the strong lie on top.
    order = np.argsort(found.confidence, kind="stable")
    for chosen, width, alpha in ((~found.inliers, 0.6, 0.25), (found.inliers, 1.1, 0.7)):
        kept = order[chosen[order]]
        colours = shades.to_rgba(found.confidence[kept])
        axes.add_collection(
            LineCollection(list(lines[kept]), colors=colours, linewidths=width, alpha=alpha)
        )
        for points in (found.points0[kept], found.points1[kept] + offset):
            axes.scatter(points[:, 0], points[:, 1], s=9, c=colours, alpha=alpha, linewidths=0)
    return shades


def _draw_roi(axes: Axes, result: MatchResult, offset: np.ndarray) -> None:
    for corners, at in ((result.roi0, 0.0), (result.roi1, offset)):
        if corners is not None:
            axes.add_patch(Polygon(corners + at, fill=False, color="#d62728", linewidth=1.4))


def _title(result: MatchResult) -> str:
    names = f"{result.name0} - {result.name1}\n" if result.name0 or result.name1 else ""
    return names + result.summary().replace("; ", "\n", 1).replace(": ", "\n", 1)


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
        figure.text(**place, s=labels[index], fontsize=8)
    figure.figimage(sheet, cmap="gray", vmin=0, vmax=1, origin="upper")
    picture = pixels(figure)
    if path is not None:
        save(picture, path)
    return picture
