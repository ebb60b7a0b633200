"""Images between their pixels, and prints drawn through transforms and fields."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.ndimage import map_coordinates

from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import similarity
from ifvit.geometry.warp import drawn, sample, sample_each, settled, warp
from ifvit.presets import TINY_MODEL

SIDE = frame_side(TINY_MODEL)


def test_sample_is_bilinear():
    image = np.array([[0.0, 1.0], [2.0, 3.0]])
    points = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(sample(image, points), [0.0, 0.5, 1.0, 1.5], atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 9), (1, 5), (6, 1), (7, 9, 2)])
def test_sample_is_map_coordinates_in_both_libraries(shape) -> None:
    rng = np.random.default_rng(0)
    image, points = rng.normal(size=shape), rng.uniform(-4, 12, size=(50, 2))
    points[:2] = [[shape[1] - 1, shape[0] - 1], [0, 0]]
    layers = [jnp.asarray(layer) for layer in np.moveaxis(image.reshape(*shape[:2], -1), -1, 0)]
    places = [jnp.asarray(points[:, 1]), jnp.asarray(points[:, 0])]
    expected = jnp.stack([map_coordinates(one, places, 1, "nearest") for one in layers], axis=-1)
    for given in (image, jnp.asarray(image)):
        found = sample(given, points if given is image else jnp.asarray(points))
        assert isinstance(found, np.ndarray) == (given is image)
        assert found.shape == (50, *shape[2:])
        np.testing.assert_allclose(found.reshape(50, -1), expected, atol=1e-5)


@pytest.mark.parametrize("beyond", ["constant", "nearest"])
def test_drawn_is_map_coordinates(beyond) -> None:
    image = np.random.default_rng(1).random((24, 24)).astype(np.float32)
    H = similarity(20.0, (5.0, 3.0), 1.1) + np.array([[0, 0, 9.3], [0, 0, -6.7]])
    y, x = np.mgrid[:24, :24]
    places = np.einsum("ij,jhw->ihw", H, np.stack([x, y, np.ones_like(x)]))
    expected = map_coordinates(jnp.asarray(image), list(map(jnp.asarray, places[::-1])), 1, beyond)
    # What OpenCV rounds is the place, to some thousandths of a pixel.
    np.testing.assert_allclose(drawn(image, H[None], beyond)[0], expected, atol=1e-3)


def test_warp_draws_output_pixel_from_where_the_transform_says() -> None:
    image, mask = np.zeros((32, 32), np.float32), np.zeros((32, 32), bool)
    image[10, 20], mask[8:13, 18:23] = 1.0, True
    shift = np.array([[[1.0, 0, 5], [0, 1, -4]], [[1.0, 0, 100], [0, 1, 0]]])
    drawn, inside = warp(image, mask, shift)
    assert np.unravel_index(int(drawn[0].argmax()), (32, 32)) == (14, 15)
    assert bool(inside[0, 14, 15]) and int(inside[0].sum()) == 25
    assert not inside[1].any()
    np.testing.assert_array_equal(warp(image, mask, np.eye(2, 3)[None])[0][0], image)


def test_a_print_drawn_through_a_field_shows_the_skin_that_was_displaced() -> None:
    x = np.mgrid[:SIDE, :SIDE][1]
    image = (0.5 + 0.001 * x).astype(np.float32)
    mask = np.ones((SIDE, SIDE), bool)
    cells = TINY_MODEL.cells
    field = np.zeros((1, cells, cells, 2), np.float32)
    field[..., 0] = np.linspace(-8, 8, cells)
    shift = np.array([[[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]])
    found = warp(image, mask, shift, field)[0][0]
    columns = np.arange(40, SIDE - 40)
    points = np.stack([columns, np.full(len(columns), 100)], axis=1).astype(float)
    moved = Displacement.of_frames(field[0], TINY_MODEL).at(points)[:, 0]
    np.testing.assert_allclose(found[100, columns], 0.5 + 0.001 * (columns + moved + 3), atol=1e-5)


def test_many_images_are_read_as_each_by_itself():
    rng = np.random.default_rng(0)
    images, points = rng.normal(size=(3, 16, 12, 2)), rng.uniform(-4, 20, (3, 50, 2))
    expected = [sample(image, few) for image, few in zip(images, points, strict=True)]
    np.testing.assert_allclose(sample_each(images, points), expected, atol=1e-12)


def test_a_displacement_settles_where_it_leads_to_the_target():
    y, x = np.mgrid[:8, :8]
    displacement = np.stack([3 * np.sin(y / 3), 2 * np.cos(x / 4)], axis=-1)
    target = np.random.default_rng(0).uniform(20, 100, (30, 2))
    points = settled(displacement, target, 16.0, (7.5, 7.5), 12)
    back = points + sample(displacement, (points - 7.5) / 16)
    np.testing.assert_allclose(back, target, atol=1e-4)
