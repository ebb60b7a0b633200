"""The Extractor: prints to Features, and to what is made of them at the factor of a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from flax import nnx

from ifvit.data.given import Ppi, PrintSource, each_ppi
from ifvit.features.enhancer import EnhancerName, source_of
from ifvit.features.features import Features, read_features
from ifvit.features.fit import FIT_CONFIG, Fit, FitConfig, fit_of
from ifvit.features.frame_features import FeatureMap, FrameFeatures, feature_map, frame_features
from ifvit.models.dense_reg import DenseRegModel
from ifvit.runtime.jax_runtime import compiled
from ifvit.weights.tensors import state_sha256


class Extractor:
    """What is done to one print, by one enhancer and one Module 1."""

    def __init__(
        self,
        dense: DenseRegModel,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
        dense_sha256: str = "",
    ) -> None:
        """Take the model, whose backbone is used in eval mode, and the sha256 of its checkpoint.

        Without one the weights themselves are digested. Raises ValueError as ``source_of`` does.
        """
        self.config = dense.config
        self.fit_config = fit_config
        self.enhancer = enhancer
        self.dense_sha256 = dense_sha256
        self._weights = dense_sha256 or state_sha256(dense)
        self._source = source_of(enhancer)
        view = nnx.view(dense, use_running_average=True)
        self._map: Callable[..., FeatureMap] = compiled(view, feature_map)

    def extract(
        self, given: PrintSource | Features, ppi: float | None = None, name: str = ""
    ) -> Features:
        """Read and measure a print, from a file or in memory, once however often it is matched.

        ``ppi`` is its resolution, 500 if not given. Features stay as they are. Raises as
        :func:`read_features` does.
        """
        return given if isinstance(given, Features) else read_features(given, ppi, name)

    def extract_both(
        self, given0: PrintSource | Features, given1: PrintSource | Features, ppi: Ppi = None
    ) -> tuple[Features, Features]:
        """Read and measure two prints, of one resolution or of one each; raises as ``extract``."""
        ppi0, ppi1 = each_ppi(ppi)
        return self.extract(given0, ppi0, "print 0"), self.extract(given1, ppi1, "print 1")

    def fit(self, *prints: Features) -> Fit:
        """Return how one print, or both of a pair, are drawn (:mod:`ifvit.features.fit`)."""
        reaches = [one.reach_px for one in prints]
        if min(reaches) < self.fit_config.small * max(reaches):
            reaches = [one.extent_px for one in prints]
        periods = [one.period for one in prints]
        return fit_of(periods, max(reaches), self.config, self.fit_config)

    def at(self, features: Features, fit: Fit) -> FrameFeatures:
        """Draw a print and find its foreground and ridges, once for each fit and enhancer."""
        key = self.enhancer, self.config.ppi, fit
        if key not in features.frames:
            config = replace(self.config, canvas=fit.canvas)
            frame = jnp.asarray(features.drawn(fit))
            source = None if self._source is None else self._source(frame)
            features.frames[key] = frame_features(frame, source, config)
        return features.frames[key]

    def map_at(self, features: Features, fit: Fit) -> FeatureMap:
        """Return Module 1's map of a print as it is drawn, once for each fit and these weights."""
        key = self._weights, fit
        if key not in features.maps:
            frame = self.at(features, fit)
            features.maps[key] = self._map(frame.image, frame.mask)
        return features.maps[key]
