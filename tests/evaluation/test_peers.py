"""The comparison with other matchers, on what needs no further package and no trained weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ifvit.evaluation.protocols import Pair

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "peers.py"


@pytest.fixture(scope="module")
def peers():
    spec = importlib.util.spec_from_file_location("peers", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((220, 220)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    H = cv2.getRotationMatrix2D((110, 110), degrees, 1.0)
    return cv2.warpAffine(image, H, (220, 220), borderMode=cv2.BORDER_REFLECT)


def test_sift_tells_a_turned_image_from_another(peers):
    method = peers.sift()
    same, other, there = map(method.extract, (texture(0), texture(1), turned(texture(0), 25)))
    assert method.compare(same, there) > 20
    assert method.compare(same, other) < 8
    blank = method.extract(np.full((220, 220), 255, np.uint8))
    assert method.compare(same, blank) == 0


def test_measured_scores_stand_in_the_order_of_the_pairs(peers):
    method = peers.Method(lambda image: float(image.mean()), lambda a, b: -abs(a - b))
    images = [np.full((4, 4), value, np.uint8) for value in (0, 0, 200, 200)]
    pairs = [Pair(0, 1, True), Pair(2, 3, True), Pair(0, 2, False), Pair(1, 3, False)]
    measured = peers.measure("mean", method, images, pairs)
    np.testing.assert_array_equal(measured.scores, [0, 0, -200, -200])
    assert measured.extraction_ms >= 0 and measured.match_ms >= 0
    text = peers.table({"mean": measured}, np.array([pair.genuine for pair in pairs]))
    assert "| mean | 0.00 | 0.00 | 0.00 |" in text


def test_nbis_matches_a_print_to_itself(peers, ifvit_data):
    pytest.importorskip("nbis")
    image, other = (
        cv2.imread(str(ifvit_data / "fvc2002_db1_b" / name), cv2.IMREAD_GRAYSCALE)
        for name in ("101_1.tif", "102_1.tif")
    )
    method = peers.nbis()
    template = method.extract(image)
    assert method.compare(template, template) > 3 * method.compare(template, method.extract(other))
