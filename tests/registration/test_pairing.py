"""The order of a pair, and how much of it both prints can share."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.config import STRIDE
from ifvit.data.prints import resample
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features, features_of
from ifvit.registration.align import ALIGN_CONFIG, reached
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.pairing import drawn_pair, in_order
from ifvit.runtime.engines import load_engine
from ifvit.weights.pretrained import pretrained_files


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(load_engine(pretrained_files().dense)[0])


@pytest.fixture
def parts(ridge_print) -> list[Features]:
    """Return windows of a print, the largest first."""
    side = min(ridge_print.shape)
    return [features_of(ridge_print[:end, :end], 500) for end in (side, side - 40, side - 90)]


def test_the_smaller_print_is_first_whichever_way_a_pair_is_given(extractor, parts):
    for large, small in ((0, 1), (0, 2), (1, 2)):
        first, second = parts[large], parts[small]
        given, turned = (in_order(*both, extractor) for both in ((first, second), (second, first)))
        assert given.prints == turned.prints == (second, first)
        assert given.swapped and not turned.swapped


@pytest.mark.parametrize("ppi", [250, 569, 1000])
def test_the_order_does_not_depend_on_the_resolution(extractor, parts, ppi):
    first, second = parts[0], parts[2]
    scanned = features_of(resample(first.image, 500, ppi), ppi)
    assert in_order(scanned, second, extractor).prints == (second, scanned)


def test_equal_areas_are_ordered_by_their_pixels(extractor, parts):
    one = parts[0]
    other = features_of(np.clip(one.image + np.float32(1e-3), 0, 1), 500)
    assert np.count_nonzero(one.ridges) == np.count_nonzero(other.ridges)
    both = in_order(one, other, extractor).prints
    assert both == in_order(other, one, extractor).prints


def test_a_pair_can_share_the_foreground_of_its_smaller_print(extractor, parts):
    pair = drawn_pair(in_order(parts[0], parts[2], extractor), extractor)
    shown = [np.count_nonzero(frame.ridges.mask) for frame in (pair.frame0, pair.frame1)]
    assert pair.cells == min(shown) / STRIDE**2 < max(shown) / STRIDE**2


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0, 1.5])
def test_a_limit_falls_with_the_cells_that_can_be_shared(share):
    """Up to a whole print, and not beyond."""
    whole, limit = ALIGN_CONFIG.whole, 50.0
    needed = limit * min(share, 1.0)
    for summed, enough in ((0.99 * needed, False), (1.01 * needed, True)):
        confidence = np.full((1, 100), summed / 50, np.float32)
        inliers = np.arange(100)[None] < 50
        flat = np.zeros((1, 100, 2))
        found = Hypotheses(
            np.eye(2, 3)[None],
            flat.reshape(1, 10, 10, 2),
            np.zeros(1, bool),
            flat,
            confidence,
            flat[..., 0],
            inliers,
        )
        assert reached(found, limit, share * whole) is enough
