"""The algebra of transforms, in NumPy and in JAX."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import angle_of, apply, compose, fit_similarity, invert, similarity

MIDDLE = (63.5, 63.5)


def moved(angle: float, scale: float, shift: tuple[float, float]):
    cos, sin = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    return jnp.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]], jnp.float32)


def test_invert_and_similarity() -> None:
    H = similarity(33.0, MIDDLE)
    points = np.array([[0.0, 0.0], [17.0, 250.0]])
    np.testing.assert_allclose(apply(invert(H), apply(H, points)), points, atol=1e-9)
    # 90 degrees take the x axis to the y axis, which points down.
    np.testing.assert_allclose(
        apply(similarity(90, (0, 0)), np.array([[1.0, 0.0]])), [[0, 1]], atol=1e-9
    )
    np.testing.assert_allclose(apply(H, np.array([MIDDLE])), [MIDDLE])


def test_numpy_and_jax_say_the_same() -> None:
    H, other = similarity(33.0, (20.0, 7.0), 1.2), similarity(-71.0, (3.0, 90.0))
    points = np.array([[0.0, 0.0], [17.0, 250.0]])
    assert angle_of(H) == pytest.approx(33.0) and H.dtype == np.float64
    own = jnp.asarray(H, jnp.float32)
    pairs = [
        (apply(H, points), apply(own, jnp.asarray(points, jnp.float32))),
        (invert(H), invert(own)),
        (compose(H, other), compose(own, jnp.asarray(other, jnp.float32))),
    ]
    for expected, found in pairs:
        assert isinstance(expected, np.ndarray) and not isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 33.0, -170.0])
def test_fit_recovers_a_similarity(micro, angle):
    H, centres = moved(angle, 1.1, (12.0, -7.0)), cell_centres(micro)
    points1 = apply(H, centres)
    valid = np.arange(36) % 3 > 0
    # What is not valid may lie anywhere.
    points1 = np.where(valid[:, None], points1, np.float32(1e3))
    for library in (np, jnp):
        given = map(library.asarray, (centres, points1, valid))
        np.testing.assert_allclose(fit_similarity(*given), H, atol=1e-3)


def test_fit_of_two_points_is_the_identity(micro):
    centres = cell_centres(micro)
    fitted = fit_similarity(centres, centres + 5.0, np.arange(36) < 2)
    np.testing.assert_array_equal(fitted, np.eye(2, 3))


def test_compose_applies_the_second_argument_first():
    turn, push = moved(90.0, 1.0, (0.0, 0.0)), moved(0.0, 1.0, (10.0, 0.0))
    point = jnp.array([[1.0, 0.0]])
    np.testing.assert_allclose(apply(compose(turn, push), point), [[0.0, 11.0]], atol=1e-5)
    np.testing.assert_allclose(apply(compose(push, turn), point), [[10.0, 1.0]], atol=1e-5)


def test_inverse_undoes():
    H = moved(33.0, 0.9, (12.0, -7.0))
    for both in (compose(H, invert(H)), compose(invert(H), H)):
        np.testing.assert_allclose(both, np.eye(2, 3), atol=1e-5)


def test_many_transforms_move_points_each_its_own():
    H = np.array([[similarity(a, MIDDLE), similarity(-a, MIDDLE, 1.1)] for a in (20.0, 130.0)])
    points = np.random.default_rng(0).normal(size=(2, 2, 5, 2))
    for at in np.ndindex(2, 2):
        np.testing.assert_allclose(apply(H, points)[at], apply(H[at], points[at]), atol=1e-12)
        np.testing.assert_allclose(invert(H)[at], invert(H[at]), atol=1e-12)
