"""One match followed through every stage, with a picture of each.

The pictures show the data that a match computes, by the same calls; nothing is computed for them
alone. They need the extra ``plots``: matplotlib, used by its objects and the Agg canvas, so that no
global state changes and no display is needed.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ifvit.comparison.decision import Decision
from ifvit.comparison.print_similarity import shifted
from ifvit.comparison.result import MatchResult
from ifvit.features.coder import INT8, Template
from ifvit.features.features import Features
from ifvit.matcher import Matcher
from ifvit.registered_pair import registration_of
from ifvit.viz.figures import DPI, printable, save
from ifvit.viz.matches import draw_match
from ifvit.viz.overlay import field, overlay

Picture = UInt8[np.ndarray, "H W 3"]
Prints = tuple[Features, Features]

STAGES = ("prints", "ridges", "matches", "overlay", "field", "poses", "maps", "decision")
"""The pictures in the order of a match; ``1_prints.png`` is the first one's file."""


def draw_stages(
    matcher: Matcher, prints: Prints, folder: str | Path, result: MatchResult | None = None
) -> list[Path]:
    """Match two prints and write ``1_prints.png`` to ``8_decision.png``; return their paths.

    ``result`` is the result of their match, if it is already known. Raises as
    :func:`ifvit.viz.figures.save` does.
    """
    result = result or matcher.match(*prints)
    found = registration_of(result.alignment, *prints)
    drawn = (
        draw_prints(prints),
        draw_ridges(matcher, prints),
        draw_match(result),
        overlay(found),
        field(found),
        draw_poses(result),
        draw_maps(result),
        draw_decision(result, matcher.decision),
    )
    paths = []
    for number, (stage, picture) in enumerate(zip(STAGES, drawn, strict=True), start=1):
        paths.append(Path(folder) / f"{number}_{stage}.png")
        save(picture, paths[-1])
    return paths


def draw_prints(prints: Prints) -> Picture:
    """Draw both prints at 500 ppi, with their ridge area and ridge period."""
    figure, axes = _row(2)
    for place, one in zip(axes, prints, strict=True):
        place.imshow(one.image, cmap="gray", vmin=0, vmax=1)
        place.contour(one.ridges, levels=[0.5], colors="#1f77b4", linewidths=1.2)
        place.plot(*one.middle, "+", color="#d62728", markersize=12)
        _title(place, f"{one.name}\nridges every {one.period.px:.1f} px at 500 ppi")
    return _pixels(figure)


def draw_ridges(matcher: Matcher, prints: Prints) -> Picture:
    """Draw both frames at the pair's one scale: enhanced ridges, and the direction that they run in
    by hue (a full circle of hues for 180°), pale where it is unclear."""
    fit = matcher.extractor.fit(*prints)
    figure, axes = _row(4)
    for number, one in enumerate(prints):
        made = matcher.extractor.at(one, fit)
        axes[number].imshow(made.ridges.image, cmap="gray", vmin=-2.5, vmax=2.5)
        _title(axes[number], f"{one.name}, drawn {fit.scale:.2f} times\nridges, enhanced")
        shown = axes[number + 2]
        weight = made.coherence * made.ridges.mask
        shown.imshow(made.orientation % np.pi, cmap="hsv", vmin=0, vmax=np.pi, alpha=weight)
        _title(shown, f"{one.name}\ndirection of the ridges")
    return _pixels(figure)


def draw_poses(result: MatchResult) -> Picture:
    """Draw both prints turned upright about their cores, as Module 2 lays them."""
    figure, axes = _row(2)
    images = (result.image0, result.image1)
    for place, image, template, name in zip(
        axes, images, result.templates, (result.name0, result.name1), strict=True
    ):
        _draw_upright(place, image, template)
        _title(
            place, f"{name}\nturned by {-template.rotation:.0f}°, sure to {template.confidence:.2f}"
        )
    return _pixels(figure)


def _draw_upright(axes: Axes, image: Float[np.ndarray, "H W"], template: Template) -> None:
    """Show a print with its core in the middle and its tip up, 160 pixels to each side."""
    import cv2

    turn = cv2.getRotationMatrix2D(template.core, template.rotation, 1.0)
    turn[:, 2] += 160 - np.array(template.core)
    grey = cv2.warpAffine(image, turn, (320, 320), borderMode=cv2.BORDER_CONSTANT, borderValue=1.0)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1)
    axes.plot([160, 160], [160, 110], color="#d62728", linewidth=1.4)
    axes.plot(160, 160, "o", markersize=8, markerfacecolor="none", color="#d62728")


def draw_maps(result: MatchResult) -> Picture:
    """Draw both dense maps, similar cells in similar colours, and their agreement cell by cell."""
    figure, axes = _row(3)
    maps = [one.cells.astype(np.float32) / INT8 for one in result.templates]
    colours = _colours(maps, [one.mask for one in result.templates])
    for place, shown, name in zip(axes, colours, (result.name0, result.name1), strict=False):
        place.imshow(shown, interpolation="nearest")
        _title(place, f"{name}\ndense map, upright")
    agree = axes[2].imshow(_agreement(result), cmap="RdBu", vmin=-1, vmax=1)
    _title(axes[2], f"cosine of the cells\nthe maps' score is {result.map_score:.3f}")
    figure.colorbar(agree, ax=axes[2], shrink=0.8)
    return _pixels(figure)


def _colours(
    maps: list[Float[np.ndarray, "h w K"]], masks: list[Bool[np.ndarray, "h w"]]
) -> list[Float[np.ndarray, "h w 3"]]:
    """Return each map's cells as colours: their first three principal components, of both maps."""
    cells = np.concatenate([one[mask] for one, mask in zip(maps, masks, strict=True)])
    _, _, parts = np.linalg.svd(cells - cells.mean(0), full_matrices=False)
    shown = []
    for one, mask in zip(maps, masks, strict=True):
        colour = np.clip(0.5 + 0.6 * ((one - cells.mean(0)) @ parts[:3].T), 0, 1)
        shown.append(np.where(mask[..., None], colour, 1.0))
    return shown


def _agreement(result: MatchResult) -> Float[np.ndarray, "h w"]:
    """Return the cosine of each cell that both maps show, at the shift at which most agree."""
    first, second = result.templates
    cells = first.cells.astype(np.float32) / INT8
    best: Float[np.ndarray, "h w"] = np.full(first.mask.shape, np.nan)
    highest = -np.inf
    moved_maps = shifted(second.cells[None].astype(np.float32) / INT8, second.mask[None])
    for moved, shown in moved_maps:
        cosine = (cells * moved[0]).sum(-1)
        if cosine.sum() > highest:
            highest = float(cosine.sum())
            best = np.where(first.mask & (shown[0] > 0), cosine, np.nan)
    return best


def draw_decision(result: MatchResult, decision: Decision) -> Picture:
    """Draw the parts of the score, and the score among those of impostors."""
    figure, axes = _row(2)
    axes[0].set_axis_on()
    parts = {
        "ridges": (decision.fusion.ridge, result.ridge_ncc),
        "blocks": (decision.fusion.block, result.block_share),
        "matches": (decision.fusion.match, result.coverage),
        "dense maps": (1 - sum(decision.fusion), result.map_score),
    }
    labels = [f"{name}\n× {weight:.2f}" for name, (weight, _) in parts.items()]
    values = [value or 0.0 for _, value in parts.values()]
    axes[0].barh(labels, values, color="#1f77b4")
    axes[0].axvline(result.score, color="#d62728")
    axes[0].set(xlim=(-0.2, 1), xlabel="what each says; the line is the score")
    axes[0].invert_yaxis()
    _title(axes[0], result.summary().split(" (")[0])
    axes[1].set_axis_on()
    if decision.impostor is not None:
        axes[1].hist(decision.impostor, bins=40, color="#ff7f0e", alpha=0.7, label="impostors")
        axes[1].set_yscale("log")
    axes[1].axvline(result.score, color="#d62728", label="this pair")
    axes[1].set(xlim=(-1, 1), xlabel="score", ylabel="comparisons")
    axes[1].legend(fontsize=8)
    rate = (
        "not calibrated" if result.fmr is None else f"false match rate ≤ {100 * result.fmr:.2g} %"
    )
    _title(axes[1], rate)
    return _pixels(figure)


def _pixels(figure: Figure) -> Picture:
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A sign that the font lacks is drawn as a box, which is good enough.
        warnings.filterwarnings("ignore", message="Glyph")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _row(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(
        figsize=(12, 12 / count + 0.9 if count > 2 else 5.4), dpi=DPI, layout="constrained"
    )
    axes = [figure.add_subplot(1, count, number + 1) for number in range(count)]
    for one in axes:
        one.set_axis_off()
    return figure, axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(printable(text), fontsize=10, parse_math=False)
