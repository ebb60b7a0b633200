"""A match drawn: two prints side by side with their correspondences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ifvit.comparison.result import MatchResult
from ifvit.viz.figures import DPI, pixels, save

COLOURS = "viridis"
"""Confidence from dark to bright: perceptually even, and legible without colour vision."""

POSE_COLOUR = "#d62728"

ARROW_PX = 40.0
"""Length of a pose's direction in a picture, pixels at 500 ppi."""

GAP = 24
"""Pixels between the two prints."""


def draw_match(result: MatchResult, path: str | Path | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Draw both prints side by side with their correspondences, and return the picture (RGB).

    Lines are coloured by confidence; those that agree with the alignment are strong, the others
    faint. The circle is each finger's core and the line from it points to the fingertip, as Module
    2 sees them. Written to ``path`` if given.
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
    _draw_poses(axes, result, offset)
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


def _draw_poses(axes: Axes, result: MatchResult, offset: np.ndarray) -> None:
    """Draw where each print's core lies, and which way the finger points: Module 2's pose."""
    for template, at in zip(result.templates, (np.zeros(2), offset), strict=True):
        core, turn = np.array(template.core) + at, np.deg2rad(template.rotation)
        tip = core + ARROW_PX * np.array([np.sin(turn), -np.cos(turn)])
        axes.plot(*np.stack([core, tip], axis=1), color=POSE_COLOUR, linewidth=1.4)
        axes.scatter(*core, s=28, facecolors="none", edgecolors=POSE_COLOUR, linewidths=1.4)


def _title(result: MatchResult) -> str:
    names = f"{result.name0} - {result.name1}\n" if result.name0 or result.name1 else ""
    return names + result.summary().replace("; ", "\n", 1).replace(": ", "\n", 1)
