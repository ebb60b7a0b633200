"""Ridges laid on ridges: a known placement is found, to a fraction of a pixel where it is rigid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ifvit.features.enhance import enhance
from ifvit.features.frame_features import Ridges
from ifvit.features.network_view import network_view
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, invert, similarity
from ifvit.geometry.warp import warp
from ifvit.presets import TINY_MODEL
from ifvit.registration.elastic import Told, elastic
from ifvit.registration.laid import agreement, network_transform
from ifvit.registration.rectify import Start, certainty
from ifvit.registration.refine import Refined, refine

SIDE = frame_side(TINY_MODEL)
MIDDLE = ((SIDE - 1) / 2, (SIDE - 1) / 2)
CENTRES = cell_centres(TINY_MODEL)


def field(values) -> Displacement:
    return Displacement.of_frames(np.asarray(values, float), TINY_MODEL)


def ridges(frame: np.ndarray, mask: np.ndarray) -> Ridges:
    view, coarse = network_view(frame[None], mask[None], TINY_MODEL)
    return Ridges(enhance(view, coarse, TINY_MODEL.ppi).image[0], coarse[0])


@pytest.fixture(scope="module")
def frames(masters) -> list[np.ndarray]:
    """The middle of two synthetic masters: ridges, pores and minutiae; 500 ppi."""
    top, left = (np.array(masters.ridges.shape[1:]) - SIDE) // 2
    cut = np.asarray(masters.ridges, np.float32)[:2, top : top + SIDE, left : left + SIDE]
    return list(0.5 + cut / 254)


@pytest.fixture(scope="module")
def oval() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE[0]
    return np.hypot(x / 100, y / 115) < 1


def moved(frame: np.ndarray, mask: np.ndarray, H_0to1: np.ndarray) -> Ridges:
    """The print as image 1, such that ``H_0to1`` is where image 0 lies on it."""
    drawn, inside = warp(frame, mask, invert(H_0to1)[None])
    return ridges(drawn[0], inside[0])


def placement(angle: float, shift: tuple[float, float]) -> np.ndarray:
    H = similarity(angle, MIDDLE)
    H[:, 2] += shift
    return H


def alone(H: np.ndarray) -> list[Start]:
    """Starts without matches: the ridges decide."""
    still, none = np.zeros((TINY_MODEL.cells, TINY_MODEL.cells, 2)), np.zeros(0, int)
    return [Start(one, still, none, np.zeros((0, 2)), *np.zeros((2, 0))) for one in H]


def error(refined: Refined, truth: np.ndarray, oval: np.ndarray) -> float:
    """The median distance in pixels at 500 ppi, distortion included, over the print's cells."""
    inside = oval[CENTRES[:, 1].astype(int), CENTRES[:, 0].astype(int)]
    placed = CENTRES + field(refined.displacement).at(CENTRES)
    found = apply(np.asarray(refined.H_0to1, float), placed)
    return float(np.median(np.linalg.norm(found - truth, axis=1)[inside]))


@pytest.mark.parametrize(
    ("angle", "shift"), [(0.0, (0.0, 0.0)), (7.0, (11.0, -8.0)), (150.0, (-14.0, 5.0))]
)
def test_a_rigid_placement_is_found_below_the_pixel(frames, oval, angle, shift):
    H = placement(angle, shift)
    start = placement(angle + 5.0, (shift[0] + 9.0, shift[1] - 12.0))
    refined = refine(
        ridges(frames[0], oval),
        moved(frames[0], oval, H),
        alone(start[None]),
        TINY_MODEL,
    )
    assert error(refined, apply(H, CENTRES), oval) < 1.0
    assert float(refined.ncc) > 0.8 and 0.2 < float(refined.overlap) < 0.8


def test_the_best_of_several_starts_is_taken_and_their_order_does_not_matter(frames, oval):
    H = placement(40.0, (6.0, 3.0))
    starts = np.stack([placement(a, (0.0, 0.0)) for a in (-140.0, 43.0, 100.0)]).astype(np.float32)
    pair = ridges(frames[0], oval), moved(frames[0], oval, H)
    first = refine(*pair, alone(starts), TINY_MODEL)
    second = refine(*pair, alone(starts[::-1]), TINY_MODEL)
    # One pixel of the network's resolution: what is compared has no finer grid.
    assert error(first, apply(H, CENTRES), oval) < 2.0
    np.testing.assert_allclose(first.H_0to1, second.H_0to1, atol=1e-3)


def test_stretched_skin_is_followed(frames, oval):
    """A smooth distortion of up to 3 pixels, a third of a ridge period, is measured block by block.

    From half a period on, places lock on the neighbouring ridge; that is what the search is for.
    """

    def stretch(points: np.ndarray) -> np.ndarray:
        x, y = points[..., 0], points[..., 1]
        return points + 2.0 * np.stack([np.sin(y / 45.0), np.sin(x / 50.0 + 1.0)], axis=-1)

    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).astype(float)
    at = stretch(grid)
    # Image 0 is drawn through the stretch, so that its point x shows the skin at stretch(x).
    image0 = cv2.remap(frames[0], at.astype(np.float32), None, cv2.INTER_LINEAR)
    pair = ridges(image0, oval), ridges(frames[0], oval)
    displacement, _ = elastic(*pair, np.eye(2, 3), TINY_MODEL)
    inside = oval[CENTRES[:, 1].astype(int), CENTRES[:, 0].astype(int)]
    truth = stretch(CENTRES)
    before = np.linalg.norm(CENTRES - truth, axis=1)[inside]
    found = CENTRES + field(displacement).at(CENTRES)
    after = np.linalg.norm(found - truth, axis=1)[inside]
    assert np.median(before) > 1.5 and np.median(after) < 1.0
    ncc = [float(agreement(*pair, np.eye(2, 3), d, TINY_MODEL)[0]) for d in
           (np.zeros_like(displacement), displacement)]  # fmt: skip
    assert ncc[1] > max(ncc[0], 0.8)


def test_a_part_that_lies_a_ridge_off_comes_back(frames, oval):
    """Half of the print starts one ridge period away, where its ridges look as good but for their
    minutiae; all blocks together find the right one, which each by itself does not."""
    pair = (ridges(frames[0], oval),) * 2
    period = 9.0
    across = np.where(CENTRES[:, 0] > MIDDLE[0], period, 0.0).reshape(TINY_MODEL.cells, -1)
    before = np.stack([across, 0 * across], axis=-1)
    together, _ = elastic(*pair, np.eye(2, 3), TINY_MODEL, before=before)
    inside = oval[CENTRES[:, 1].astype(int), CENTRES[:, 0].astype(int)]
    away = np.linalg.norm(np.asarray(together).reshape(-1, 2), axis=1)[inside]
    assert np.quantile(away, 0.9) < 2.0


def test_two_fingers_do_not_agree(frames, oval):
    start = alone(np.eye(2, 3)[None])
    same = refine(ridges(frames[0], oval), ridges(frames[0], oval), start, TINY_MODEL)
    other = refine(ridges(frames[0], oval), ridges(frames[1], oval), start, TINY_MODEL)
    assert float(same.ncc) > 0.99
    assert float(other.ncc) < 0.4


def test_nothing_in_common_is_no_error(frames, oval):
    empty = Ridges(np.zeros((128, 128), np.float32), np.zeros((128, 128), bool))
    start = alone(np.eye(2, 3)[None])
    refined = refine(ridges(frames[0], oval), empty, start, TINY_MODEL)
    assert float(refined.ncc) == 0 and float(refined.overlap) == 0
    assert all(np.isfinite(leaf).all() for leaf in refined)


def test_straight_ridges_say_nothing_along_themselves():
    """The aperture problem: only the part of a shift across the ridges can be seen."""
    x = np.mgrid[:128, :128][1]
    mask = np.ones((128, 128), bool)
    wave = [np.sin(2 * np.pi * (x - d) / 4.5) for d in (0.0, 0.75)]
    pair = [Ridges(w.astype(np.float32), mask) for w in wave]
    displacement, quality = elastic(*pair, np.eye(2, 3), TINY_MODEL)
    inner = np.asarray(displacement)[6:-6, 6:-6]
    # 0.75 pixels at 250 ppi are 1.5 at 500, in x; of y nothing is known, and nothing is claimed.
    np.testing.assert_allclose(inner[..., 0], 1.5, atol=0.3)
    np.testing.assert_allclose(inner[..., 1], 0.0, atol=0.1)
    assert float(quality[8, 8]) > 0.9


@pytest.mark.parametrize(("along", "heard"), [(4.0, True), (40.0, False)])
def test_matches_are_heard_along_the_ridges_and_not_across_them_nor_from_afar(along, heard):
    """Ridges know how far a shift goes across them, 1.5 px here; matches say 3 px, and how far it
    goes along. One that lies far from all else is wrong."""
    x = np.mgrid[:128, :128][1]
    mask = np.ones((128, 128), bool)
    wave = [np.sin(2 * np.pi * (x - d) / 4.5) for d in (0.0, 0.75)]
    pair = [Ridges(w.astype(np.float32), mask) for w in wave]
    cells = (TINY_MODEL.cells, TINY_MODEL.cells)
    told = Told(np.broadcast_to([3.0, along], (*cells, 2)), np.full(cells, 0.005))
    displacement, _ = elastic(*pair, np.eye(2, 3), TINY_MODEL, told=told)
    inner = displacement[6:-6, 6:-6]
    np.testing.assert_allclose(inner[..., 0], 1.5, atol=0.5)
    np.testing.assert_allclose(inner[..., 1], along if heard else 0.0, atol=1.0)


def test_a_match_counts_for_half_at_its_spread():
    np.testing.assert_allclose(certainty(np.array([0.0, 3.0, 300.0]), 3.0), [1, 0.5, 0], atol=1e-3)


def test_network_transform_moves_the_same_skin():
    H = placement(30.0, (5.0, -7.0))
    coarse = np.asarray(network_transform(H, TINY_MODEL))
    points = np.array([[10.0, 20.0], [63.5, 40.0]])
    fine = 2 * points + 0.5  # the middle of the four pixels that a coarse one is the mean of
    np.testing.assert_allclose(2 * apply(coarse, points) + 0.5, apply(H, fine), atol=1e-4)
