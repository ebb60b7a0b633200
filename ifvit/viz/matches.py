"""A match drawn: two prints side by side with their correspondences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ifvit.comparison.result import MatchResult
from ifvit.viz.drawing import Drawing, Scale, framed
from ifvit.viz.figures import save
from ifvit.viz.overlay import lines_of

CONFIDENCE = Scale("confidence of the match", 1.0)

POSE_COLOUR = (214, 39, 40)

ARROW_PX = 40.0
"""Length of a pose's direction in a picture, pixels at 500 ppi."""

GAP = 24
"""Pixels between the two prints."""

SIZE = 1200, 1080, 520
"""Width of the picture, and most width and height of the prints in it, pixels."""

WEAK, STRONG = (0.8, 0.25), (1.4, 0.7)
"""Width in pixels and opacity of the lines that do not agree, and of those that do."""


def draw_match(result: MatchResult, path: str | Path | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Draw both prints side by side with their correspondences, and return the picture (RGB).

    Lines are coloured by confidence; those that agree with the alignment are strong, the others
    faint. The circle is each finger's core and the line from it points to the fingertip, as Module
    2 finds them. The picture is written to ``path`` if given.
    """
    drawing = Drawing(_side_by_side(result), *SIZE[1:])
    offset = np.array([result.image0.shape[1] + GAP, 0])
    _draw_lines(drawing, result, offset)
    _draw_poses(drawing, result, offset)
    names = [f"{result.name0} - {result.name1}"] if result.name0 or result.name1 else []
    title = [*names, *lines_of(result.summary())]
    picture = framed(drawing.picture(), title, CONFIDENCE, SIZE[0])
    if path is not None:
        save(picture, path)
    return picture


def _side_by_side(result: MatchResult) -> Float[np.ndarray, "H W"]:
    images = result.image0, result.image1
    height = max(image.shape[0] for image in images)
    both = np.ones((height, sum(image.shape[1] for image in images) + GAP), np.float32)
    for image, x in zip(images, (0, images[0].shape[1] + GAP), strict=True):
        both[: image.shape[0], x : x + image.shape[1]] = image
    return both


def _draw_lines(drawing: Drawing, result: MatchResult, offset: np.ndarray) -> None:
    found = result.alignment
    lines = np.stack([found.points0, found.points1 + offset], axis=1)
    # Weak lines first, so that the strong ones lie on top.
    order = np.argsort(found.confidence, kind="stable")
    for chosen, (width, alpha) in ((~found.inliers, WEAK), (found.inliers, STRONG)):
        kept = order[chosen[order]]
        colours = CONFIDENCE.colours(found.confidence[kept])
        for line, colour in zip(lines[kept], colours, strict=True):
            drawing.line(line, colour, width, alpha)
        for line, colour in zip(lines[kept], colours, strict=True):
            for end in line:
                drawing.dot(end, colour, 2.0, alpha)


def _draw_poses(drawing: Drawing, result: MatchResult, offset: np.ndarray) -> None:
    """Draw where each print's core lies, and which way the finger points: Module 2's pose."""
    for template, at in zip(result.templates, (np.zeros(2), offset), strict=True):
        core, turn = np.array(template.core) + at, np.deg2rad(template.rotation)
        tip = core + ARROW_PX * np.array([np.sin(turn), -np.cos(turn)])
        drawing.line([core, tip], POSE_COLOUR, 2)
        drawing.ring(core, POSE_COLOUR, 5, 2)
