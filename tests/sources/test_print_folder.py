"""Real prints two by two of one finger, their poses by the filter and by Module 1's alignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import MatchConfig, MatchDataConfig
from ifvit.data.readers import read_dataset
from ifvit.data.store import read_canvases
from ifvit.features.features import Features
from ifvit.features.fit import FitConfig
from ifvit.features.network_view import enhanced_view, frame_foreground
from ifvit.features.pose import pose_of
from ifvit.geometry.grid import frame_side
from ifvit.models.dense_reg import DenseRegModel
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.runtime.jax_runtime import JaxEngine
from ifvit.sources.posed import PoseError
from ifvit.sources.print_folder import FolderPrints, folder_sources, genuine_pairs

NONE = PoseError(0.0, 0.0, 0.0)
SIZE = 6


class Fake(Aligner):
    """A Module 1 that finds every pair turned and shifted like this, or, with None, no pair."""

    H: np.ndarray | None = np.eye(2, 3)

    def register(self, features0: Features, features1: Features) -> Alignment:
        """Give the answer without looking."""
        found, none = self.H is not None, np.zeros((0, 2))
        H = self.H if found else np.eye(2, 3)
        return Alignment(found, "", H, none, none, np.zeros(0), np.zeros(0, bool), 0.0)


@pytest.fixture
def fake(micro):
    return Fake(JaxEngine(DenseRegModel(micro, rngs=nnx.Rngs(0))))


@pytest.fixture(scope="module")
def prints(print_folder, micro):
    return read_canvases(read_dataset(print_folder), frame_side(micro))


def test_pairs_that_nobody_can_align_are_an_error(fake, prints):
    fake.H = None
    with pytest.raises(ValueError, match="could align 0 of the 3 pairs of one finger"):
        FolderPrints(prints, fake, seed=0, error=NONE)


@pytest.mark.heavy
def test_poses_of_a_pair_agree_by_its_alignment(fake, prints, micro):
    angle = np.deg2rad(20.0)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    fake.H = np.column_stack([turn, [7.0, -3.0]])
    fake.fit_config = FitConfig(finest=0)
    fake.extractor.fit_config = fake.fit_config
    source = FolderPrints(prints, fake, seed=0, error=NONE)
    assert source.fingers == 3 and len(source.pairs.index) == 3
    batch = source.batch(1, SIZE)
    assert batch.loose.shape == batch.posed.shape == (SIZE, 48, 48)
    label = np.asarray(batch.label)
    np.testing.assert_array_equal(label[::2], label[1::2])
    assert len(set(label.tolist())) == 3
    # The first as the filter finds it.
    rows = source.pairs.index[source.draw(1, SIZE)]
    frames = jnp.asarray(prints.take(rows[:, 0])) / np.float32(255)
    mask = frame_foreground(frames, micro)
    shown = enhanced_view(frames, mask, micro)
    pose = pose_of(shown.orientation, shown.coherence, shown.mask, micro)
    core, rotation = np.asarray(batch.pose.core), np.asarray(batch.pose.rotation)
    np.testing.assert_allclose(core[::2], pose.core, atol=1e-3)
    np.testing.assert_allclose(rotation[::2], pose.rotation, atol=1e-4)
    # The second by the alignment of the two.
    expected = core[::2] @ np.array(turn).T + np.array([7.0, -3.0])
    np.testing.assert_allclose(core[1::2], expected, atol=1e-3)
    np.testing.assert_allclose(rotation[1::2], rotation[::2] + angle, atol=1e-4)
    # Drawn in these poses they lie on each other, cell by cell.
    matches0 = np.asarray(batch.matches0)
    pair, cell = np.nonzero(matches0 >= 0)
    assert len(cell) >= 6
    np.testing.assert_array_equal(matches0[pair, cell], cell)
    again = source.batch(1, SIZE)
    for one, same in zip(jax.tree.leaves(batch), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, same)


def test_prints_of_fine_ridges_are_drawn_larger_with_their_alignment(fake, prints):
    fake.H = np.column_stack([np.eye(2), [7.0, 0.0]])
    fake.extractor.fit_config = FitConfig(finest=1, period_px=20.0, step=1.5)
    batch = FolderPrints(prints, fake, seed=0, error=NONE).batch(0, SIZE)
    core = np.asarray(batch.pose.core)
    np.testing.assert_allclose(core[1::2] - core[::2], np.tile([10.5, 0.0], (3, 1)), atol=1e-3)


def test_a_finger_of_many_prints_is_not_drawn_more_often(fake, prints):
    source = FolderPrints(prints, fake, seed=0, error=NONE)
    for index in range(5):
        fingers = source.label[source.pairs.index[source.draw(index, SIZE)][:, 0]]
        assert sorted(fingers.tolist()) == [0, 1, 2]


def test_pairs_of_many_prints_are_drawn_without_repetition():
    label = np.arange(40_000) // 2
    pairs = genuine_pairs(label, 50, np.random.default_rng(0))
    assert pairs.shape == (50, 2) and len(np.unique(pairs, axis=0)) == 50
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (label[pairs[:, 0]] == label[pairs[:, 1]]).all()


def test_few_prints_give_all_their_pairs():
    label, rng = np.array([1, 0, 0, 1, 2]), np.random.default_rng(0)
    assert genuine_pairs(label, 9, rng).tolist() == [[1, 2], [0, 3]]
    assert genuine_pairs(np.arange(3), 9, rng).shape == (0, 2)


def test_a_folder_needs_module_1(print_folder):
    with pytest.raises(ValueError, match="needs Module 1 to align its pairs"):
        folder_sources(MatchConfig(data=MatchDataConfig(dataset_root=str(print_folder))), None)


def test_a_folder_needs_four_fingers(print_folder, trained_pair):
    with pytest.raises(ValueError, match="has 3 fingers: expected at least 4"):
        folder_sources(
            MatchConfig(data=MatchDataConfig(dataset_root=str(print_folder))), trained_pair[0]
        )
