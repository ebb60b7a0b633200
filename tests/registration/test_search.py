import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ifvit.config import DenseConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, invert, similarity
from ifvit.models.coarse_matching import log_dual_softmax
from ifvit.presets import TINY_MODEL
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of, judged
from ifvit.registration.alignment import Alignment
from ifvit.registration.search import coarse, search_angles

SIDE = frame_side(TINY_MODEL)
MIDDLE = ((SIDE - 1) / 2, (SIDE - 1) / 2)
ANGLES = search_angles()[None]
CENTRES = np.asarray(cell_centres(TINY_MODEL), np.float64)


def placed(angle: float, shift: tuple[float, float] = (13.0, -9.0)) -> np.ndarray:
    H = similarity(angle, MIDDLE)
    H[:, 2] += shift
    return H


def align(dense, settings: AlignConfig = ALIGN_CONFIG) -> Alignment:
    """Align one pair by Module 1 alone."""
    found = coarse(dense, search_angles(settings)[None], TINY_MODEL, settings)
    return judged(found[0][0], settings)


def as_it_is(points: np.ndarray) -> np.ndarray:
    return points


def oracle(H_0to1: np.ndarray, tolerance: float = 30.0, noise: float = 0.0, skin=as_it_is):
    """Return a Module 1 that knows the answer, but only while the rotation left is small.

    ``skin`` is what the distortion does to points of image 0 before ``H_0to1``.
    """
    rng = np.random.default_rng(0)

    def dense(transforms: np.ndarray, fields: np.ndarray | None):
        logits = []
        for row, transform in enumerate(transforms[0]):
            target = apply(invert(transform), apply(H_0to1, skin(CENTRES)))
            if fields is not None:
                field = Displacement.of_frames(fields[0, row], TINY_MODEL)
                target = field.inverse(np.eye(2, 3)).at(target) + target
            distance = ((target[:, None] - CENTRES[None]) ** 2).sum(-1)
            rest = np.linalg.inv(transform[:, :2]) @ H_0to1[:, :2]
            angle = np.rad2deg(np.arctan2(rest[1, 0], rest[0, 0]))
            blind = abs(angle) > tolerance
            logit = 0 * distance if blind else -distance / (2 * 8**2)
            wrong = rng.random(len(CENTRES)) < noise
            logit[wrong] = rng.permutation(logit[wrong])
            logits.append(logit)
        return log_dual_softmax(jnp.asarray(np.stack(logits), jnp.float32))[None]

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
    found = align_config_of(DenseConfig(max_rotation=max_rotation)).angle_step
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

        def dense(transforms: np.ndarray, _: object, logits: np.ndarray = logits) -> Array:
            return log_dual_softmax(jnp.repeat(jnp.asarray(logits), transforms.shape[1], 0))[None]

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
    assert coarse(dense, ANGLES, TINY_MODEL)[0][0].num_inliers < 3
    found = coarse(dense, ANGLES, TINY_MODEL, hints=hint[None, None])[0][0]
    assert found.num_inliers > 50 and abs(found.angle - 22) < 1.0
    assert np.linalg.norm(apply(found.H_0to1, CENTRES) - apply(H, CENTRES), axis=1).max() < 3.0


def test_where_module_1_is_blind_everywhere_the_hint_stays_for_the_ridges() -> None:
    dense, hint = oracle(placed(22.0), tolerance=0.5), placed(120.0)
    ways = coarse(dense, ANGLES, TINY_MODEL, hints=hint[None, None])[0]
    assert len(ways) == AlignConfig().followed[-1]
    assert sum(np.allclose(one.H_0to1, hint) and one.num_inliers < 3 for one in ways) == 1


def pulled(points: np.ndarray) -> np.ndarray:
    """A finger whose lower half followed a pull of 36 px while the upper stuck."""
    follows = 1 / (1 + np.exp(-(points[:, 1] - MIDDLE[1]) / 25))
    return points + follows[:, None] * [30.0, 20.0]


@pytest.mark.parametrize("angle", [0.0, 130.0])
def test_matches_of_pulled_skin_agree_by_their_own_field(angle: float) -> None:
    H = placed(angle)
    found = coarse(oracle(H, noise=0.2, skin=pulled), ANGLES, TINY_MODEL)[0][0]
    truth = apply(H, pulled(CENTRES))
    away = np.linalg.norm(found.place(CENTRES) - truth, axis=1)
    by_similarity = np.linalg.norm(apply(found.H_0to1, CENTRES) - truth, axis=1)
    # A similarity leaves a ridge and more; the field does not.
    assert np.percentile(by_similarity, 90) > 9
    assert np.median(away) < 2.5 and np.percentile(away, 90) < 6
    right = np.linalg.norm(apply(H, pulled(found.points0)) - found.points1, axis=1) < 8
    assert found.inliers[right].mean() > 0.9
