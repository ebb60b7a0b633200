import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.comparison.views import crop, matcher_input, place_roi
from ifvit.config import ModelConfig
from ifvit.features.network_view import frame_foreground
from ifvit.geometry.transforms import invert, similarity
from ifvit.geometry.warp import warp
from ifvit.models.embedding import MatcherInput


def test_roi_goes_where_the_quality_is() -> None:
    quality = jnp.zeros((3, 40, 50)).at[0, 20:30, 35:45].set(1.0).at[1, 0:12, 0:12].set(1.0)
    corner = np.asarray(place_roi(quality, 10))
    assert corner[0].tolist() == [35, 20]
    # Of the many full ones, the nearest to the middle; without any, the middle itself.
    assert corner[1].tolist() == [2, 2]
    assert corner[2].tolist() == [20, 15]


def test_crop_is_padded_evenly() -> None:
    image = jnp.arange(2 * 20 * 20, dtype=jnp.float32).reshape(2, 20, 20)
    cut = crop(image, jnp.array([[3, 5], [0, 0]], jnp.int32), 10, 16)
    assert cut.shape == (2, 16, 16)
    np.testing.assert_array_equal(cut[0, 3:13, 3:13], image[0, 5:15, 3:13])
    assert not np.asarray(cut[:, :3]).any() and not np.asarray(cut[:, 13:]).any()


@pytest.fixture(scope="module")
def views(
    small: ModelConfig, ridge_print: np.ndarray
) -> tuple[MatcherInput, np.ndarray, np.ndarray]:
    """Three pairs: a print and itself, and itself turned, and itself moved out of sight."""
    image0 = jnp.asarray(ridge_print)
    mask0 = frame_foreground(image0[None], small)[0]
    turned = similarity(25.0, (63.5, 63.5))
    away = similarity(0.0, (0.0, 0.0)) + np.array([[0, 0, 500.0], [0, 0, 0]])
    H = np.stack([np.eye(2, 3), turned, away])
    # Image 1 drawn from image 0: pixel p of image 1 is image 0's H⁻¹ p.
    image1, mask1 = warp(image0, mask0, jnp.asarray(np.stack([invert(h) for h in H]), jnp.float32))
    batch = (jnp.stack([image0] * 3), jnp.stack([mask0] * 3), image1, mask1)
    found, corner = matcher_input(*batch, jnp.asarray(H, jnp.float32), small)
    return found, np.asarray(corner), np.asarray(mask0)


def test_shapes_are_the_models(views: tuple[MatcherInput, np.ndarray, np.ndarray]) -> None:
    found = views[0]
    assert found.global0.shape == found.global1.shape == (3, 64, 64)
    assert found.global_mask0.shape == (3, 8, 8)
    assert found.local0.shape == found.local1.shape == (3, 96, 96)
    assert found.local_mask0.shape == (3, 12, 12)


def test_a_print_and_itself_give_equal_views(
    views: tuple[MatcherInput, np.ndarray, np.ndarray],
) -> None:
    found = views[0]
    np.testing.assert_allclose(found.global0[0], found.global1[0], atol=1e-5)
    np.testing.assert_allclose(found.local0[0], found.local1[0], atol=1e-5)
    assert float(jnp.abs(found.local0[0]).sum()) > 0


def test_an_aligned_copy_looks_like_the_original(
    views: tuple[MatcherInput, np.ndarray, np.ndarray],
) -> None:
    found = views[0]
    for image0, image1, least in (
        (found.global0[1], found.global1[1], 0.9),
        (found.local0[1], found.local1[1], 0.9),
    ):
        inside = np.asarray((image0 != 0) & (image1 != 0))
        assert inside.mean() > 0.3
        pair = np.asarray(image0)[inside], np.asarray(image1)[inside]
        assert np.corrcoef(*pair)[0, 1] > least


def test_roi_lies_inside_and_no_overlap_is_empty(
    views: tuple[MatcherInput, np.ndarray, np.ndarray],
) -> None:
    found, corner, mask0 = views
    x, y = corner[0]
    assert mask0[y : y + 90, x : x + 90].mean() > 0.8
    assert ((corner >= 0) & (corner <= 128 - 90)).all()
    assert not np.asarray(found.global_mask0[2]).any()
    assert not np.asarray(found.local0[2]).any()
    assert all(np.isfinite(np.asarray(array)).all() for array in found)
