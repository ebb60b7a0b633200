"""The choice of enhancer: what each makes of a print, and where it comes to bear."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.features.enhancer import EnhancerName, source_of
from ifvit.features.features import features_of
from ifvit.features.fit import drawn_at
from ifvit.features.frame_features import FrameFeatures
from ifvit.features.network_view import network_view
from ifvit.matcher import Matcher
from ifvit.registration.aligner import Aligner


@pytest.fixture
def matcher(engine_of):
    """Return what makes a matcher of random weights with an enhancer."""

    def make(enhancer: EnhancerName) -> Matcher:
        return Matcher(engine_of(0), enhancer=enhancer)

    return make


def drawn(aligner: Aligner, image: np.ndarray) -> FrameFeatures:
    """Return a print as large as the trained canvas, on that canvas."""
    fit = drawn_at(1.0, aligner.config.canvas, aligner.config)
    return aligner.extractor.at(features_of(image), fit)


def test_the_built_in_filter_needs_no_source(matcher, ridge_print: np.ndarray) -> None:
    assert source_of("gabor") is None
    assert drawn(matcher("gabor").aligner, ridge_print).source is None


def test_without_enhancement_both_uses_see_the_normalised_print(
    matcher, small: ModelConfig, ridge_print: np.ndarray
) -> None:
    plain = matcher("none")
    canvas = drawn(plain.aligner, ridge_print)
    view, mask = network_view(canvas.image[None], canvas.mask[None], small)
    expected = np.where(mask, view, 0)[0]
    np.testing.assert_allclose(canvas.ridges.image, expected, atol=1e-6)
    assert canvas.source is not None


def test_an_enhancer_that_is_not_known() -> None:
    with pytest.raises(ValueError, match="expected gabor, pyfing or none"):
        source_of("sharper")


def test_pyfing_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyfing", None)
    for name in ("segmentation", "orientations", "frequencies", "enhancement"):
        monkeypatch.setitem(sys.modules, f"pyfing.{name}", None)
    with pytest.raises(ValueError, match=r"pip install 'ifvit\[enhance\]'"):
        source_of("pyfing")


@pytest.mark.heavy
def test_pyfing_draws_the_ridges_dark_and_nothing_outside_the_print(
    matcher, ridge_print: np.ndarray
) -> None:
    pytest.importorskip("pyfing")
    aligner = matcher("pyfing").aligner
    canvas = drawn(aligner, ridge_print)
    assert canvas.source is not None
    ridges, mask = np.asarray(canvas.source), np.asarray(canvas.mask)
    assert ridges.shape == ridge_print.shape
    assert np.corrcoef(ridges[mask], ridge_print[mask])[0, 1] > 0.6
    assert ridges[ridge_print == 1.0].mean() > 0.95
    blank = drawn(aligner, np.ones_like(ridge_print))
    assert not np.asarray(blank.ridges.mask).any()
    assert np.isfinite(np.asarray(blank.source)).all()
