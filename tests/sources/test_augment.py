"""Corruption pairs: the copy's map is exact, and each noise does what its name says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.grid import cell_centres
from ifvit.geometry.warp import sample
from ifvit.sources import augment
from ifvit.sources.augment import (
    corrupt,
    corrupt_look,
    corruption_batch,
    corruption_correspondence,
    source_side,
)
from ifvit.sources.truth import UNMATCHED

map_of = jax.jit(corruption_correspondence, static_argnames="model")

ROTATION = 60.0
NOISES = ("sensor noise", "dryness", "pressure")


def finger(side: int, centre: tuple[float, float]) -> np.ndarray:
    """Ridges around a point (x, y): 9 pixels of period, grey values 0.1 to 0.9."""
    y, x = np.mgrid[:side, :side]
    wave = np.cos(2 * np.pi * np.hypot(x - centre[0], y - centre[1]) / 9)
    return (0.5 + 0.4 * wave).astype(np.float32)


@pytest.fixture(scope="module")
def source(micro):
    return jnp.asarray(finger(source_side(micro), (60.0, 80.0)))


@pytest.fixture(scope="module")
def copies(micro, source):
    """Eight copies without noise, and their geometry."""
    keys = jax.random.split(jax.random.key(0), 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "corrupt_look", lambda key, frame: frame)
        copy = jax.jit(jax.vmap(lambda key: corrupt(key, source, micro, ROTATION)))
        return copy(keys)


def geometry(copies, index: int):
    return jax.tree.map(lambda a: a[index], copies[2])


def test_frame_0_is_the_middle_of_the_print(micro, source, copies):
    frame0 = copies[0]
    assert source_side(micro) == 144 and frame0.shape == (8, 96, 96)
    np.testing.assert_array_equal(frame0[0], source[24:-24, 24:-24])


@pytest.mark.heavy
def test_there_and_back_is_the_identity(micro, copies, monkeypatch):
    centres = cell_centres(micro)
    for index in range(8):
        params = geometry(copies, index)
        points1, valid, _ = map_of(params, micro)
        with monkeypatch.context() as patch:
            patch.setattr(augment, "cell_centres", lambda model, points1=points1: points1)
            _, _, back = jax.jit(lambda one: corruption_correspondence(one, micro))(params)
        assert jnp.abs(back - centres).max() < 0.05
        inside = ((points1 >= 0) & (points1 <= 95)).all(-1)
        np.testing.assert_array_equal(valid, inside)


def test_the_copy_equals_the_print_at_corresponding_points(micro, copies):
    """Both maps, over all copies: grey values agree, and not so half a ridge beside."""
    centres = cell_centres(micro)
    there, back, beside = [], [], []
    for index in range(8):
        frame0, frame1 = copies[0][index], copies[1][index]
        points1, valid, points0 = map_of(geometry(copies, index), micro)
        own = sample(frame0, centres)
        there.append(np.stack([own, sample(frame1, points1)])[:, np.asarray(valid)])
        beside.append(np.stack([own, sample(frame1, points1 + 3.2)])[:, np.asarray(valid)])
        inside = np.asarray(((points0 >= 0) & (points0 <= 95)).all(-1))
        back.append(np.stack([sample(frame1, centres), sample(frame0, points0)])[:, inside])
    for pairs in (there, back):
        pairs = np.concatenate(pairs, 1)
        assert pairs.shape[1] > 100
        assert np.corrcoef(pairs)[0, 1] > 0.97
    assert np.corrcoef(np.concatenate(beside, 1))[0, 1] < 0.5


def test_copies_are_turned_within_the_limit(copies):
    turned = np.rad2deg(np.abs(np.asarray(copies[2].rotation)))
    assert 0.3 * ROTATION < turned.max() <= ROTATION


@pytest.mark.heavy
def test_both_frames_are_turned_together(monkeypatch, micro, source):
    """Frame 0 is turned, and the map to frame 1 is as exact as without."""
    monkeypatch.setattr(augment, "corrupt_look", lambda key, frame: frame)
    centres, key = cell_centres(micro), jax.random.key(3)
    both_turned = jax.jit(lambda key: corrupt(key, source, micro, ROTATION, turn=180.0))
    frame0, frame1, params = both_turned(key)
    plain, _, same_params = jax.jit(lambda key: corrupt(key, source, micro, ROTATION))(key)
    np.testing.assert_array_equal(params.rotation, same_params.rotation)
    assert abs(np.corrcoef(frame0.ravel(), plain.ravel())[0, 1]) < 0.5
    points1, valid, _ = map_of(params, micro)
    both = np.stack([sample(frame0, centres), sample(frame1, points1)])[:, np.asarray(valid)]
    assert both.shape[1] > 10 and np.corrcoef(both)[0, 1] > 0.97


@pytest.mark.parametrize("noise", range(3), ids=NOISES)
def test_dryness_lightens_and_pressure_darkens(monkeypatch, noise):
    """Ridges are dark. Over sixteen draws of one kind each; the pattern stays the same one."""
    monkeypatch.setattr(jax.random, "randint", lambda *_, **__: jnp.asarray(noise))
    frame = jnp.asarray(finger(96, (40.0, 55.0)))
    keys = jax.random.split(jax.random.key(1), 16)
    looks = np.asarray(jax.jit(jax.vmap(lambda key: corrupt_look(key, frame)))(keys))
    assert looks.min() >= 0 and looks.max() <= 1
    change = looks.mean() - float(frame.mean())
    if NOISES[noise] == "dryness":
        assert change > 0.02
    elif NOISES[noise] == "pressure":
        assert change < -0.02
    else:
        assert abs(change) < 0.02
    for look in looks:
        assert not np.array_equal(look, frame)
        assert np.corrcoef(look.ravel(), np.asarray(frame).ravel())[0, 1] > 0.4


@pytest.mark.heavy
def test_a_batch_has_genuine_and_impostor_pairs(micro, source):
    other = jnp.asarray(finger(source_side(micro), (20.0, 30.0)))
    genuine = jnp.array([True, False])
    batch = corruption_batch(
        jnp.stack([source, source]),
        jnp.stack([other, other]),
        genuine,
        jax.random.split(jax.random.key(2)),
        model=micro,
        max_rotation=ROTATION,
    )
    assert batch.image0.shape == batch.image1.shape == (2, 48, 48)
    assert batch.mask0.shape == (2, 6, 6) and batch.matches0.shape == (2, 36)
    np.testing.assert_array_equal(batch.image0[0], batch.image0[1])
    assert (np.asarray(batch.matches0[0]) >= 0).sum() > 5
    assert (np.asarray(batch.matches0[1]) == UNMATCHED).any()
    assert (np.asarray(batch.matches0[1]) < 0).all()
    np.testing.assert_array_equal(batch.genuine, genuine)
