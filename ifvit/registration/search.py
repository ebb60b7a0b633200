"""The search for how one print lies on another: rotations tried, and the best looked at again.

What is turned for the search is the raw grey print and its foreground mask, at 500 ppi; the result
is then reduced to the network's resolution and normalised there with the turned mask. So the one
interpolation happens where a ridge period has nine pixels rather than four, and the pixels that a
rotation brings in are outside the mask, so that they are no edge and move no local statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Array, Float

from ifvit.config import ModelConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import angle_of, similarity
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, candidates
from ifvit.registration.alignment import Alignment
from ifvit.registration.rectify import matched_displacement

Fields = Float[np.ndarray, "P A h w 2"]

DenseFn = Callable[[Float[np.ndarray, "P A 2 3"], Fields | None], Float[Array, "P A N M"]]
"""Module 1 for P pairs: for each, A transforms from a turned image 1's pixels to image 1's own, and
perhaps the displacement of each of the turned image's cells before that, to the log dual-softmax
confidence between image 0 and image 1 so drawn."""


def confidence_of(alignment: Alignment) -> float:
    """Return what speaks for an alignment: in sum, since at a wrong angle many weak can agree."""
    return float(alignment.confidence[alignment.inliers].sum())


def search_angles(settings: AlignConfig = ALIGN_CONFIG) -> Float[np.ndarray, " A"]:
    """Return the rotations that a search covers, degrees."""
    steps = round(2 * settings.search_range / settings.angle_step)
    # A full circle ends where it began.
    count = steps if settings.search_range >= 180 else steps + 1
    return settings.angle_step * np.arange(count) - settings.search_range


def coarse(
    dense: DenseFn,
    angles: Float[np.ndarray, "P A"],
    model: ModelConfig,
    settings: AlignConfig = ALIGN_CONFIG,
    hints: Float[np.ndarray, "P K 2 3"] | None = None,
) -> list[list[Alignment]]:
    """Align P pairs of prints in several ways each, the most confident first.

    All rotations of all pairs, ``angles`` in degrees, go through Module 1 as one batch. ``dense``
    is Module 1 bound to the pairs (:data:`DenseFn`); ``model`` says what its canvas and cells are.
    The best ``settings.followed`` rotations are passed through Module 1 once more, image 1 drawn in
    image 0's frame without the distortion that the first matches showed; so are K ``hints``,
    alignments that something else suggests for each pair. Each way comes with its displacement, and
    its inliers are the matches that lie where it says. Deterministic.
    Source: the method's rotation search and RANSAC (Qiu et al., IFViT).
    """
    middle = (frame_side(model) - 1) / 2
    turns = np.array([[similarity(angle, (middle, middle)) for angle in few] for few in angles])
    ways = _candidates_of_pairs(dense, turns, None, model, settings)
    for row, kept in enumerate(settings.followed):
        ways = [sorted(made, key=confidence_of, reverse=True)[:kept] for made in ways]
        if hints is not None and row == 0:
            ways = [[*map(_hinted, given), *made] for given, made in zip(hints, ways, strict=True)]
        ways = _again(dense, ways, model, settings)
    return [sorted(made, key=confidence_of, reverse=True) for made in ways]


def _again(
    dense: DenseFn, ways: list[list[Alignment]], model: ModelConfig, settings: AlignConfig
) -> list[list[Alignment]]:
    """Pass every way through Module 1 once more, image 1 drawn as it says, and keep the better."""
    starts = np.array([[one.H_0to1 for one in made] for made in ways])
    fields = np.array([[_values(one, model) for one in made] for made in ways])
    found = _candidates_of_pairs(dense, starts, fields, model, settings)
    return [list(map(_better, *both)) for both in zip(ways, found, strict=True)]


def _candidates_of_pairs(
    dense: DenseFn,
    transforms: Float[np.ndarray, "P A 2 3"],
    fields: Fields | None,
    model: ModelConfig,
    settings: AlignConfig,
) -> list[list[Alignment]]:
    log_p = dense(transforms, fields)
    if fields is not None:
        fields = fields.reshape(-1, *fields.shape[2:])
    flat = candidates(
        log_p.reshape(-1, *log_p.shape[2:]), transforms.reshape(-1, 2, 3), model, settings, fields
    )
    made = [_rectified(one, model, settings) for one in flat]
    count = transforms.shape[1]
    return [made[i : i + count] for i in range(0, len(made), count)]


def _rectified(alignment: Alignment, model: ModelConfig, settings: AlignConfig) -> Alignment:
    """Return an alignment with the displacement that its matches show; who lies there agrees."""
    if alignment.num_inliers < 3:
        return alignment
    values = matched_displacement(alignment, model, settings.rectify)
    bent = replace(alignment, displacement=Displacement.of_frames(values, model))
    away = np.linalg.norm(bent.place(bent.points0) - bent.points1, axis=1)
    return replace(bent, inliers=away <= settings.inlier_px)


def _values(alignment: Alignment, model: ModelConfig) -> Float[np.ndarray, "h w 2"]:
    field = alignment.displacement
    return np.zeros((model.cells, model.cells, 2)) if field is None else field.values


def _better(before: Alignment, after: Alignment) -> Alignment:
    return after if after.num_inliers >= max(before.num_inliers, 3) else before


def _hinted(H_0to1: Float[np.ndarray, "2 3"]) -> Alignment:
    """Return an alignment that something else suggests, which no match bears out as yet."""
    nobody, none = np.zeros((0, 2)), np.zeros(0)
    return Alignment(True, "", H_0to1, nobody, nobody, none, none.astype(bool), angle_of(H_0to1))
