import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.enhance import Enhanced, enhance

SIDE = 64
ANGLES = np.array([0.0, 30.0, 90.0, 135.0])
PERIODS = np.array([3.6, 4.5, 4.5, 5.6])  # at 250 ppi


def waves() -> np.ndarray:
    """Return straight ridges (4, H, W), deviation 1, at known orientations and periods."""
    y, x = np.mgrid[:SIDE, :SIDE] - 0.0
    angle = np.deg2rad(ANGLES)[:, None, None]
    across = -np.sin(angle) * x + np.cos(angle) * y
    return np.sqrt(2) * np.cos(2 * np.pi * across / PERIODS[:, None, None] + 0.7)


@pytest.fixture(scope="module", params=[np, jnp], ids=["numpy", "jax"])
def library(request):
    """Prints in use are NumPy's, those of training JAX's: one formula for both."""
    return request.param


@pytest.fixture(scope="module")
def enhanced(library) -> Enhanced:
    noise = np.random.default_rng(0).normal(size=(4, SIDE, SIDE))
    image = library.asarray(0.85 * waves() + 0.5 * noise, dtype=np.float32)
    mask = np.ones(image.shape, bool)
    mask[:, :, 52:] = False
    made = enhance(image, library.asarray(mask), 250)
    assert all(isinstance(array, np.ndarray) == (library is np) for array in made)
    return made


INNER = np.s_[:, 10:-10, 10:42]


def test_orientation_is_along_the_ridges(enhanced: Enhanced) -> None:
    expected = np.deg2rad(ANGLES)[:, None, None]
    double = 2 * (np.asarray(enhanced.orientation)[INNER] - expected)
    error = np.rad2deg(np.abs(np.arctan2(np.sin(double), np.cos(double)))) / 2
    assert np.percentile(error, 95) < 10
    assert np.median(error) < 4


def test_period_is_close(enhanced: Enhanced) -> None:
    period = np.asarray(enhanced.period)[INNER].mean(axis=(1, 2))
    np.testing.assert_allclose(period, PERIODS, rtol=0.12)


def test_ridges_come_out_cleaner_than_they_went_in(enhanced: Enhanced) -> None:
    for image, clean in zip(np.asarray(enhanced.image)[INNER], waves()[INNER], strict=True):
        # The noisy input correlates with the clean ridges at 0.86.
        assert np.corrcoef(image.ravel(), clean.ravel())[0, 1] > 0.95
        assert 0.7 < image.std() < 1.3


def test_nothing_outside_the_mask(enhanced: Enhanced) -> None:
    assert not np.asarray(enhanced.image)[:, :, 52:].any()
    assert not np.asarray(enhanced.coherence)[:, :, 52:].any()
    for array in enhanced:
        assert np.isfinite(np.asarray(array)).all()


def test_an_empty_print_stays_empty() -> None:
    nothing = np.zeros((4, SIDE, SIDE), np.float32)
    blank = enhance(nothing, nothing > 0, 250)
    assert not np.asarray(blank.image).any()
    assert all(np.isfinite(np.asarray(array)).all() for array in blank)
