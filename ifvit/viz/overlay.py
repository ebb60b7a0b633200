"""Pictures of one print laid on another, which show at a glance whether ridges meet."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ifvit.config import REFERENCE_PPI
from ifvit.registered_pair import Registration
from ifvit.viz.drawing import Drawing, Scale, framed
from ifvit.viz.figures import DPI, save

SQUARE = 32
"""Side of a square of the checkerboard, pixels: three to four ridges."""

ARROW_STEP = 12
"""Pixels between two arrows of the displacement field."""

LONGER = 2
"""Factor by which an arrow is longer than the displacement that it shows."""

FIELD = 640, 520, 520
"""Width of the field's picture, and most width and height of the print in it, pixels."""


def overlay(found: Registration) -> UInt8[np.ndarray, "H W 3"]:
    """Draw both prints in one frame: ridges of image 0 in orange, of image 1 in blue.

    Where they meet the ridge is dark. The two colours are told apart without colour vision for
    red and green.
    """
    ink0 = 1 - _evened(found.image0)[..., None] * (1 - np.array([0.90, 0.45, 0.0]))
    ink1 = 1 - _evened(found.aligned)[..., None] * (1 - np.array([0.0, 0.45, 0.85]))
    return _larger(np.round(255 * np.clip(ink0 * ink1, 0, 1)).astype(np.uint8))


def checkerboard(found: Registration) -> UInt8[np.ndarray, "H W 3"]:
    """Draw squares of image 0 and of the aligned image 1 in turn: ridges go on across borders."""
    y, x = np.indices(found.image0.shape) // SQUARE
    mixed = np.where((x + y) % 2 == 0, found.image0, found.aligned)
    return _larger(_grey(mixed))


def aligned(found: Registration) -> UInt8[np.ndarray, "H W 3"]:
    """Draw image 1 in image 0's frame."""
    return _grey(found.aligned)


def field(found: Registration) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the skin's distortion, without the similarity, as arrows over image 0."""
    residual = _distortion(found)
    rows, columns = (slice(ARROW_STEP // 2, side, ARROW_STEP) for side in residual.shape[:2])
    y, x = np.mgrid[rows, columns]
    inside = found.overlap[y, x]
    start = np.stack([x[inside], y[inside]], axis=-1)
    moved = residual[y[inside], x[inside]]
    size = np.hypot(*moved.T)
    scale = Scale("distortion, pixels at 500 ppi", math.ceil(max(size.max(initial=0), 1)))
    # Half way to white, so that arrows stand out.
    drawing = Drawing((1 + found.image0) / 2, *FIELD[1:])
    for place, end, colour in zip(start, start + LONGER * moved, scale.colours(size), strict=True):
        drawing.arrow(place, end, colour, width=1.2, head=6)
    title = [f"{found.name0} - {found.name1}", *lines_of(found.summary())]
    return framed(drawing.picture(), title, scale, FIELD[0])


def lines_of(summary: str) -> list[str]:
    """Return a summary in lines that are short enough for a picture's title."""
    return summary.replace("; ", "\n", 1).replace(": ", "\n", 1).split("\n")


def draw_registration(found: Registration, folder: str | Path) -> list[Path]:
    """Write aligned.png, overlay.png, checkerboard.png and field.png; return their paths."""
    made = []
    of_prints = REFERENCE_PPI, 2 * REFERENCE_PPI
    resolutions = {aligned: of_prints[0], overlay: of_prints[1], checkerboard: of_prints[1]}
    for draw in (aligned, overlay, checkerboard, field):
        path = Path(folder) / f"{draw.__name__}.png"
        save(draw(found), path, resolutions.get(draw, DPI))
        made.append(path)
    return made


def _distortion(found: Registration) -> Float[np.ndarray, "H W 2"]:
    """Return the displacement less the similarity's part."""
    H = found.alignment.H_0to1
    y, x = np.indices(found.image0.shape)
    moved = np.stack([x, y], axis=-1) @ (H[:, :2].T - np.eye(2)) + H[:, 2]
    return found.displacement - moved


def _evened(image: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Return the amount of ink: 0 on white, 1 on the darkest ridges."""
    dark, light = np.quantile(image, [0.02, 0.98])
    return np.clip((light - image) / max(light - dark, 1e-3), 0, 1)


def _grey(image: Float[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.repeat(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _larger(picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Return a picture at twice its size, so that single ridges can be followed by eye."""
    return picture.repeat(2, axis=0).repeat(2, axis=1)
