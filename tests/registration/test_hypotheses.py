"""Module 1's hypotheses: rotations, hints and pulled skin, by a Module 1 that knows the answer."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.config import DenseConfig, DenseDataConfig
from ifvit.features.frame_features import FrameFeatures, Ridges
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import angle_of, apply, invert, similarity
from ifvit.models.coarse_matching import cell_matches, log_dual_softmax
from ifvit.presets import TINY_MODEL
from ifvit.registration.align import (
    ALIGN_CONFIG,
    AlignConfig,
    align_config_of,
    judged,
    matched,
    search_angles,
)
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.registration.hypotheses import Hypotheses, rotations, turned_and_scaled
from ifvit.registration.pairing import DrawnPair
from ifvit.registration.rectify import rectified
from ifvit.runtime.calls import CellMatches

SIDE = frame_side(TINY_MODEL)
MIDDLE = ((SIDE - 1) / 2, (SIDE - 1) / 2)
CENTRES = cell_centres(TINY_MODEL)
NO_HINTS = np.zeros((0, 2, 3))


def placed(angle: float, shift: tuple[float, float] = (13.0, -9.0)) -> np.ndarray:
    H = similarity(angle, MIDDLE)
    H[:, 2] += shift
    return H


class Asked(Aligner):
    """An Aligner whose Module 1 is asked without prints."""

    def __init__(self, dense, settings: AlignConfig) -> None:
        self.dense, self.align_config = dense, settings

    def look(self, pair: object, H_0to1: np.ndarray, displacement: np.ndarray | None = None):
        found, settings = self.dense(H_0to1, displacement), self.align_config
        ways = matched(found, H_0to1, CENTRES, settings, displacement)
        return rectified(ways, CENTRES, settings.inlier_px, settings.rectify)


SHOWN = Ridges(np.zeros((TINY_MODEL.canvas,) * 2), np.ones((TINY_MODEL.canvas,) * 2, bool))
FRAME = FrameFeatures(np.zeros((SIDE, SIDE), np.float32), None, SHOWN, None, None)
BLANK = DrawnPair(FRAME, FRAME, None, None, TINY_MODEL)
"""A pair of which nothing but the size of its frames, all foreground, is asked."""


def searched(
    dense, settings: AlignConfig = ALIGN_CONFIG, hints: np.ndarray = NO_HINTS
) -> Hypotheses:
    """Return the hypotheses of a pair by a Module 1."""
    asked = Asked(dense, settings)
    ways = np.concatenate([hints, rotations(search_angles(settings), SIDE)])
    return asked.search(BLANK, asked.look(BLANK, ways), settings.followed)


def answer(logits: np.ndarray) -> CellMatches:
    """Return what Module 1 says where its similarities are these."""
    log_p = log_dual_softmax(jnp.asarray(logits, jnp.float32))
    found = list(map(np.asarray, cell_matches(log_p, TINY_MODEL.cells)))
    return CellMatches(*found, spread0=np.full(found[1].shape, 0.1, np.float32))


def first(found: Hypotheses) -> Alignment:
    """Return the most confident hypothesis as an alignment."""
    H, kept = found.H_0to1[0], found.confidence[0] > 0
    return Alignment(
        ok=True,
        reason="",
        H_0to1=H,
        points0=CENTRES[kept],
        points1=found.points1[0][kept],
        confidence=found.confidence[0][kept],
        inliers=found.inliers[0][kept],
        angle=angle_of(H),
        displacement=Displacement.of_frames(found.displacement[0], TINY_MODEL),
    )


def align(dense, settings: AlignConfig = ALIGN_CONFIG) -> Alignment:
    """Align one pair by Module 1 alone."""
    return judged(first(searched(dense, settings)))


def as_it_is(points: np.ndarray) -> np.ndarray:
    return points


def oracle(H_0to1: np.ndarray, tolerance: float = 30.0, noise: float = 0.0, skin=as_it_is):
    """Return a Module 1 that knows the answer, but only while the rotation left is small.

    ``skin`` is what the distortion does to points of image 0 before ``H_0to1``.
    """
    rng = np.random.default_rng(0)

    def dense(transforms: np.ndarray, fields: np.ndarray | None):
        logits = []
        for row, transform in enumerate(transforms):
            target = apply(invert(transform), apply(H_0to1, skin(CENTRES)))
            if fields is not None:
                field = Displacement.of_frames(fields[row], TINY_MODEL)
                target = field.inverse(np.eye(2, 3)).at(target) + target
            distance = ((target[:, None] - CENTRES[None]) ** 2).sum(-1)
            rest = np.linalg.inv(transform[:, :2]) @ H_0to1[:, :2]
            angle = np.rad2deg(np.arctan2(rest[1, 0], rest[0, 0]))
            blind = abs(angle) > tolerance
            logit = 0 * distance if blind else -distance / (2 * 8**2)
            wrong = rng.random(len(CENTRES)) < noise
            logit[wrong] = rng.permutation(logit[wrong])
            logits.append(logit)
        return answer(np.stack(logits))

    return dense


@pytest.mark.parametrize("angle", [-165.0, -75.0, -30.0, 0.0, 10.0, 45.0, 100.0, 180.0])
def test_any_rotation_is_recovered(angle: float) -> None:
    H = placed(angle)
    found = align(oracle(H), AlignConfig(search_range=180.0))
    assert found.ok, found.reason
    assert abs((found.angle - angle + 180) % 360 - 180) < 1.0
    error = np.linalg.norm(apply(found.H_0to1, CENTRES) - apply(H, CENTRES), axis=1)
    assert error.max() < 3.0  # pixels at 500 ppi; a coarse cell has 16
    # Points are those of the original image 1, not of the turned one.
    matched = np.linalg.norm(apply(H, found.points0) - found.points1, axis=1)
    assert np.median(matched) < 2.0


@pytest.mark.parametrize(
    ("max_rotation", "step"), [(60.0, 60.0), (180.0, 90.0), (30.0, 45.0), (20.0, 40.0), (0.0, 20.0)]
)
def test_the_search_takes_the_steps_that_module_1_was_trained_for(max_rotation, step) -> None:
    settings = DenseConfig(data=DenseDataConfig(max_rotation=max_rotation))
    found = align_config_of(settings).angle_step
    assert found == step and (360 / found).is_integer()
    assert max_rotation < 10 or found <= 2 * max_rotation


def test_wrong_matches_are_outvoted_and_marked() -> None:
    H = placed(50.0)
    found = align(oracle(H, noise=0.6))
    assert found.ok, found.reason
    assert abs(found.angle - 50) < 3.0
    residual = np.linalg.norm(apply(H, found.points0) - found.points1, axis=1)
    assert (residual[found.inliers] < 20).all()
    assert found.num_inliers < len(found.points0)


def test_same_input_same_alignment() -> None:
    first, second = (align(oracle(placed(50.0), noise=0.6)) for _ in range(2))
    for name in ("H_0to1", "points0", "points1", "confidence", "inliers"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_prints_with_nothing_in_common_are_not_aligned() -> None:
    cells = len(CENTRES)
    random = np.random.default_rng(1).normal(size=(1, cells, cells)).astype(np.float32)
    for logits in (np.full_like(random, -1e4), 3 * random):

        def dense(transforms: np.ndarray, _: object, logits: np.ndarray = logits) -> CellMatches:
            return answer(np.repeat(logits, len(transforms), 0))

        found = align(dense)
        assert not found.ok
        assert "cannot be aligned" in found.reason
        assert isinstance(found, Alignment)
        assert np.isfinite(found.H_0to1).all()


def test_a_zoom_is_no_alignment() -> None:
    H = placed(0.0, (0.0, 0.0))
    zoom = np.array([[1.5, 0, -0.5 * MIDDLE[0]], [0, 1.5, -0.5 * MIDDLE[1]]])
    assert align(oracle(H)).ok
    assert not align(oracle(zoom)).ok


def test_a_hint_is_followed_where_the_search_is_blind() -> None:
    """Module 1 knows eight degrees here, and the search takes steps of 45."""
    H, hint = placed(22.0), placed(18.0, (20.0, -4.0))
    dense = oracle(H, tolerance=8.0)
    assert searched(dense).num_inliers[0] < 3
    found = first(searched(dense, hints=hint[None]))
    assert found.num_inliers > 50 and abs(found.angle - 22) < 1.0
    assert np.linalg.norm(apply(found.H_0to1, CENTRES) - apply(H, CENTRES), axis=1).max() < 3.0


def test_where_module_1_is_blind_everywhere_what_it_looked_at_stays_for_the_ridges() -> None:
    found = searched(oracle(placed(22.0), tolerance=0.5), hints=placed(120.0)[None])
    assert found.bent.shape == AlignConfig().followed[-1:]
    assert (found.num_inliers < 3).all()
    assert np.isfinite(found.H_0to1).all()


def pulled(points: np.ndarray) -> np.ndarray:
    """A finger whose lower half followed a pull of 36 px while the upper stuck."""
    follows = 1 / (1 + np.exp(-(points[:, 1] - MIDDLE[1]) / 25))
    return points + follows[:, None] * [30.0, 20.0]


@pytest.mark.parametrize("angle", [0.0, 130.0])
def test_matches_of_pulled_skin_agree_by_their_own_field(angle: float) -> None:
    H = placed(angle)
    found = first(searched(oracle(H, noise=0.2, skin=pulled)))
    truth = apply(H, pulled(CENTRES))
    away = np.linalg.norm(found.place(CENTRES) - truth, axis=1)
    by_similarity = np.linalg.norm(apply(found.H_0to1, CENTRES) - truth, axis=1)
    # A similarity leaves a ridge and more; the field does not.
    assert np.percentile(by_similarity, 90) > 9
    assert np.median(away) < 2.5 and np.percentile(away, 90) < 6
    right = np.linalg.norm(apply(H, pulled(found.points0)) - found.points1, axis=1) < 8
    assert found.inliers[right].mean() > 0.9


def test_other_looks_turn_and_scale_about_the_middle_of_frame_0() -> None:
    laid, side = similarity(30, (40.0, 90.0), 1.1), 321
    settings = ALIGN_CONFIG
    ways = turned_and_scaled(laid, settings.other_scales, settings.other_turns, side)
    assert len(ways) == len(settings.other_scales) * len(settings.other_turns) - 1
    middle = np.full((1, 2), (side - 1) / 2)
    scales = np.linalg.norm(ways[:, 0, :2], axis=1) / 1.1
    turns = np.array([angle_of(way) for way in ways]) - 30
    for way in ways:
        np.testing.assert_allclose(apply(way, middle), apply(laid, middle), atol=1e-9)
    found = {(round(scale, 6), round(turn, 6)) for scale, turn in zip(scales, turns, strict=True)}
    wanted = {(scale, turn) for scale in settings.other_scales for turn in settings.other_turns}
    assert found == wanted - {(1.0, 0.0)}, "as it lies it has been looked at already"
