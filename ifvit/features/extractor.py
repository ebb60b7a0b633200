"""The Extractor: prints to Features, and to the frames and maps drawn at the factor of a pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ifvit.config import ModelConfig
from ifvit.data.given import Ppi, PrintSource, as_path, each_ppi
from ifvit.data.prints import warn_of_several
from ifvit.data.tags import warn_once_of_tag
from ifvit.features.enhancer import EnhancerName, source_of
from ifvit.features.features import Features, read_features
from ifvit.features.fit import FIT_CONFIG, Fit, FitConfig, fit_of
from ifvit.features.frame_features import (
    FeatureMap,
    FrameFeatures,
    frame_features,
    upright_transform,
)
from ifvit.features.network_view import network_input
from ifvit.runtime.blas import by_one_thread
from ifvit.runtime.calls import Engine
from ifvit.runtime.threads import in_parallel


class Extractor:
    """All processing of a single print, with one enhancer and one Module 1."""

    def __init__(
        self, engine: Engine, enhancer: EnhancerName = "gabor", fit_config: FitConfig = FIT_CONFIG
    ) -> None:
        """Take the engine that executes Module 1. Raises ValueError as ``source_of`` does."""
        self.engine, self.config = engine, engine.config
        self.fit_config = fit_config
        self.enhancer = enhancer
        self._source = source_of(enhancer)
        self._configs: dict[int, ModelConfig] = {}

    def extract(
        self, given: PrintSource | Features, ppi: float | None = None, name: str = ""
    ) -> Features:
        """Read and measure a print, from a file or in memory, once however often it is matched.

        ``ppi`` is its resolution, 500 if not given. Features are returned as they are; an image of
        several fingers leads to a warning, and so does a file's tag of another resolution. Raises
        as :func:`read_features` does.
        """
        if isinstance(given, Features):
            return given
        source: PrintSource = as_path(given)
        made = read_features(source, ppi, name)
        if isinstance(source, str | Path):
            warn_once_of_tag(source, ppi)
        called = str(source) if isinstance(source, str | Path) else made.name or "the print"
        warn_of_several(made.fingers, called)
        return made

    def extract_both(
        self, given0: PrintSource | Features, given1: PrintSource | Features, ppi: Ppi = None
    ) -> tuple[Features, Features]:
        """Read and measure two prints; ``ppi`` is the resolution of both, or a pair of two. Raises
        as ``extract`` does."""
        ppi0, ppi1 = each_ppi(ppi)
        if given0 is given1 and ppi0 == ppi1:  # an open file, for one, can be read only once
            same = self.extract(given0, ppi0, "print 0")
            return same, same
        both = (given0, ppi0, "print 0"), (given1, ppi1, "print 1")
        first, second = in_parallel(lambda one: self.extract(*one), both)
        return first, second

    def fit(self, *prints: Features) -> Fit:
        """Return how one print, or both of a pair, are drawn (:mod:`ifvit.features.fit`)."""
        reaches = [one.reach_px for one in prints]
        if min(reaches) < self.fit_config.small * max(reaches):
            reaches = [one.extent_px for one in prints]
        periods = [one.period for one in prints]
        return fit_of(periods, max(reaches), self.config, self.fit_config)

    def config_at(self, canvas: int) -> ModelConfig:
        """Return the settings of the networks for a canvas with this side."""
        if canvas not in self._configs:
            self._configs[canvas] = replace(self.config, canvas=canvas)
        return self._configs[canvas]

    @by_one_thread
    def at(self, features: Features, fit: Fit) -> FrameFeatures:
        """Draw a print and find its foreground and ridges, once for each fit and enhancer."""

        def make() -> FrameFeatures:
            frame = features.drawn(fit)
            source = None if self._source is None else self._source(frame)
            return frame_features(frame, source, self.config_at(fit.canvas))

        return features.once(features.frames, self._key(fit), make)

    def upright_at(self, features: Features, fit: Fit) -> Float[np.ndarray, "2 3"]:
        """Return the transform that draws a print's frame upright by its pose, once for each fit
        and enhancer."""

        def make() -> Float[np.ndarray, "2 3"]:
            return upright_transform(self.at(features, fit), self.config_at(fit.canvas))

        return features.once(features.poses, self._key(fit), make)

    def _key(self, fit: Fit) -> tuple[str, int, Fit]:
        return self.enhancer, self.config.ppi, fit

    def map_at(self, features: Features, fit: Fit) -> FeatureMap:
        """Return Module 1's feature map of a print, computed once for each fit and these
        weights."""

        def make() -> FeatureMap:
            frame, config = self.at(features, fit), self.config_at(fit.canvas)
            view, cells = network_input(frame.image[None], frame.mask[None], config)
            return FeatureMap(self.engine.backbone(view)[0], cells[0])

        return features.once(features.maps, (self.engine.dense_sha256, fit), make)
