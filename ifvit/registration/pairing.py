"""Pairs put in order, and both prints drawn by one factor: the input of registration."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from ifvit.config import STRIDE, ModelConfig
from ifvit.features.coder import Template
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import Fit
from ifvit.features.frame_features import FeatureMap, FrameFeatures
from ifvit.geometry.grid import Frame
from ifvit.geometry.transforms import compose, invert, similarity_at


@runtime_checkable
class _Turnable(Protocol):
    def transposed(self) -> Any: ...


Result = TypeVar("Result", bound=_Turnable)


class OrderedPair(NamedTuple):
    """A pair in the order in which it is processed."""

    prints: tuple[Features, Features]
    fit: Fit
    swapped: bool

    @property
    def frames(self) -> tuple[Frame, Frame]:
        """Return where the frames lie on their prints."""
        return self.prints[0].placed(self.fit), self.prints[1].placed(self.fit)

    def given(self, result: Result) -> Result:
        """Return a result transposed where needed, for the order in which the prints were given."""
        return result.transposed() if self.swapped else result


class DrawnPair(NamedTuple):
    """Both prints of a pair, drawn on canvases of one size."""

    frame0: FrameFeatures
    frame1: FrameFeatures
    map0: FeatureMap
    """Module 1's feature map of print 0; print 1 is drawn anew for each pass of Module 1."""
    hint: Float[np.ndarray, "2 3"]
    """H_0to1 by the poses of both prints, in pixels of the frames."""
    config: ModelConfig
    """The networks' settings, with the canvas size of this pair."""

    @property
    def cells(self) -> float:
        """Return the foreground of the smaller print in coarse cells: no more can be common."""
        masks = self.frame0.ridges.mask, self.frame1.ridges.mask
        return float(min(np.count_nonzero(mask) for mask in masks)) / STRIDE**2


def in_order(print0: Features, print1: Features, extractor: Extractor) -> OrderedPair:
    """Put the prints of a pair in order, the one that shows less first.

    Cross attention is not symmetric, nor is RANSAC. Each pair is therefore processed in one order,
    whichever way it was given: this is exactly symmetric, at half the cost of a mean over both
    orders. All of the smaller print may lie on the larger one, but not the other way round, so that
    it is the cells of the smaller one that are looked for.
    """
    swapped = print0.order > print1.order
    both = (print1, print0) if swapped else (print0, print1)
    return OrderedPair(both, extractor.fit(*both), swapped)


def drawn_pair(
    pair: OrderedPair, extractor: Extractor, hint: Float[np.ndarray, "2 3"] | None = None
) -> DrawnPair:
    """Draw both prints of a pair, each once however often it is asked for.

    The ``hint`` lays print 1 on print 0, in pixels of the prints at 500 ppi; if not given, it
    comes from the poses that the ridges' flow shows.
    """
    (first, second), fit = pair.prints, pair.fit
    if hint is None:
        uprights = (extractor.upright_at(one, fit) for one in pair.prints)
        laid = upright_on_upright(*uprights)
    else:
        on_print0, on_print1 = (frame.matrix for frame in pair.frames)
        laid = compose(invert(on_print1), compose(hint, on_print0))
    return DrawnPair(
        extractor.at(first, fit),
        extractor.at(second, fit),
        extractor.map_at(first, fit),
        laid,
        extractor.config_at(fit.canvas),
    )


def core_on_core(template0: Template, template1: Template) -> Float[np.ndarray, "2 3"]:
    """Return the transform H_0to1 that lays print 1 on print 0 by the poses of their templates, in
    pixels of the prints at 500 ppi.
    """
    turn = np.deg2rad(template1.rotation - template0.rotation)
    cores = np.array(template0.core), np.array(template1.core)
    return np.asarray(similarity_at(np.cos(turn), np.sin(turn), *cores))


def upright_on_upright(
    upright0: Float[np.ndarray, "2 3"], upright1: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "2 3"]:
    """Return the transform H_0to1 that lays print 1 on print 0, core on core, both upright.

    The arguments are the transforms that draw each print upright
    (:func:`ifvit.features.pose.upright`).
    """
    return compose(upright1, invert(upright0))
