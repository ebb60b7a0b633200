"""Module 2 trains from Module 1: lineage, gradients, identities, and the source of real pairs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import MatchConfig
from ifvit.data.readers import read_dataset
from ifvit.data.store import read_canvases
from ifvit.features.features import Features
from ifvit.features.fit import FitConfig
from ifvit.files import sha256_of
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherInput, MatcherModel, MatcherOutput
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.sources.aligned import AlignmentError
from ifvit.sources.match_folder import FolderAligned, folder_sources, genuine_pairs, impostor_pairs
from ifvit.training.loop import Task
from ifvit.training.match import check_classes, held_views, start_weights, train_match, verification
from ifvit.training.steps import MatchTrainer, match_losses, match_step, match_views
from ifvit.weights.checkpoint import load_dense, load_matcher, read_metadata

NONE = AlignmentError(0.0, 0.0)


def values(model: nnx.Module, kind: type[nnx.Variable]) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model, kind))]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.fixture(scope="module")
def batch(aligned, micro):
    """A genuine and an impostor pair."""
    index = next(i for i in range(50) if aligned.draw(i, 2)[2].sum() == 1)
    made = aligned.aligned(index, 2, AlignmentError(8.0, 4.0), 0.0)
    return made, *match_views(made, micro)


def test_a_checkpoint_whose_lineage_names_module_1(match_run, match_config, dense_ckpt, micro):
    path, logged = match_run
    model, meta = load_matcher(path)
    assert model.config == micro and model.share_global_local
    assert (meta.epoch, meta.step, meta.settings()) == (1, 2, match_config)
    assert {"L_D", "L_E", "L_A", "loss", "val_auc", "val_eer", "val_template_eer"} <= set(
        meta.metrics
    )
    assert [(e["role"], e["sha256"]) for e in meta.lineage] == [
        ("dense_reg", sha256_of(dense_ckpt))
    ]
    assert f"found loftr_transformer of Module 1, epoch 1, in {dense_ckpt}" in logged
    assert "loftr_transformer_global (shared by both branches)" in logged
    assert "4 identities" in logged
    start = json.loads((path.parent / "metrics.jsonl").read_text().splitlines()[0])
    assert start["lineage"][0]["sha256"] == sha256_of(dense_ckpt)


def test_it_starts_from_module_1s_transformer(match_config, dense_ckpt):
    model, _ = start_weights(match_config)
    dense, _ = load_dense(dense_ckpt)
    assert all(
        same(
            values(dense.loftr_transformer, nnx.Param),
            values(model.loftr_transformer_global, nnx.Param),
        )
    )


def test_views_have_the_models_shapes(batch, micro):
    made, views, matches0 = batch
    assert views.global0.shape == (2, 48, 48) and views.local0.shape == (2, 24, 24)
    assert matches0.shape == (2, 36)
    genuine = np.asarray(made.genuine)
    assert (np.asarray(matches0)[~genuine] < 0).all()


def test_the_local_branch_too_sends_gradient_to_the_shared_transformer(batch, micro):
    _, views, _ = batch
    model = MatcherModel(micro, rngs=nnx.Rngs(0))

    @nnx.jit
    def gradient(model: MatcherModel, views: MatcherInput) -> nnx.State:
        def objective(model: MatcherModel) -> jax.Array:
            out = model(views)
            return (out.local0 * out.local1).sum()

        return nnx.grad(objective)(model)

    leaves = jax.tree.leaves(gradient(model, views)["loftr_transformer_global"])
    assert len(leaves) == 20
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in leaves)


def test_a_step_trains_every_part_on_the_weighted_sum(batch, match_config, micro):
    """Plain gradient descent: what stands still has no gradient, decay or momentum to blame."""
    made, views, matches0 = batch
    trainer = MatchTrainer(MatcherModel(micro, rngs=nnx.Rngs(0)), 4, rngs=nnx.Rngs(1))
    optimizer = nnx.Optimizer(trainer, optax.sgd(1e-2), wrt=nnx.Param)
    parts = ("ResNet18", "loftr_transformer_global", "EmbeddingHead")
    before = {part: values(getattr(trainer.model, part), nnx.Param) for part in parts}
    statistics = values(trainer.model, nnx.BatchStat)
    prototypes = [np.array(p[...]) for p in (trainer.global_prototypes, trainer.local_prototypes)]
    found = match_step(trainer, optimizer, views, matches0, made, match_config)
    total = 0.5 * found["L_D"] + 0.1 * found["L_E"] + 1.0 * found["L_A"]
    assert found["loss"] == pytest.approx(float(total), rel=1e-5)
    for part in parts:
        assert not all(same(before[part], values(getattr(trainer.model, part), nnx.Param))), part
    assert not any(same(statistics, values(trainer.model, nnx.BatchStat)))
    assert not np.array_equal(prototypes[0], trainer.global_prototypes[...])
    assert not np.array_equal(prototypes[1], trainer.local_prototypes[...])


def test_embedding_losses_are_means_over_both_branches(batch, match_config, micro):
    made, _, matches0 = batch
    trainer = MatchTrainer(MatcherModel(micro, rngs=nnx.Rngs(0)), 4, rngs=nnx.Rngs(1))
    drawn = np.random.default_rng(0).normal(size=(4, 2, micro.embedding_dim))
    unit = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    global0, global1, local0, local1 = jnp.asarray(unit, jnp.float32)
    log_p = jnp.full((2, 36, 36), -4.0)

    def loss(*embeddings: jax.Array) -> float:
        output = MatcherOutput(*embeddings, log_p)
        return float(match_losses(trainer, output, matches0, made, match_config)["L_E"])

    halves = loss(global0, global1, global0, global1), loss(local0, local1, local0, local1)
    assert halves[0] != pytest.approx(halves[1])
    assert loss(global0, global1, local0, local1) == pytest.approx(sum(halves) / 2, rel=1e-5)


def test_verification_leaves_the_model_alone(aligned, match_config, match_run):
    model, _ = load_matcher(match_run[0])
    before = values(model, nnx.BatchStat)
    measured = verification(model, held_views(aligned, match_config, 8), 0.6)
    assert set(measured) == {"auc", "eer"}
    assert all(0 <= value <= 1 for value in measured.values())
    assert all(same(before, values(model, nnx.BatchStat)))


def test_identities_are_counted_or_checked(match_config):
    assert check_classes(match_config, 4) == 4
    assert check_classes(replace(match_config, num_classes=4), 4) == 4
    assert check_classes(replace(match_config, num_classes=9), None) == 9
    with pytest.raises(ValueError, match="num_classes is 9, but there are 4 fingers"):
        check_classes(replace(match_config, num_classes=9), 4)
    with pytest.raises(ValueError, match="num_classes is not set"):
        check_classes(match_config, None)


def test_from_scratch_is_recorded(match_config, aligned, tmp_path, monkeypatch):
    """Without the training: only what is saved counts here."""
    config = replace(
        match_config,
        pretrained_ckpt=None,
        from_scratch=True,
        num_classes=4,
        checkpoint_dir=str(tmp_path),
    )

    def save_only(task: Task, *_: Any) -> Path:
        task.save(1, 2, {})
        return task.path

    monkeypatch.setattr("ifvit.training.match.fit", save_only)
    path = train_match(config, (aligned, aligned))
    assert read_metadata(path).roles == ("scratch",)


class Fake(Aligner):
    """A Module 1 that finds every pair lying ``shift`` pixels apart, or, with None, no pair."""

    shift: float | None = 0.0

    def register(self, features0: Features, features1: Features) -> Alignment:
        """Give the answer without looking."""
        H, none = np.eye(2, 3), np.zeros((0, 2))
        H[0, 2] = self.shift or 0.0
        found = self.shift is not None
        return Alignment(found, "", H, none, none, np.zeros(0), np.zeros(0, bool), 0.0)


@pytest.fixture
def fake(micro):
    return Fake(DenseRegModel(micro, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def prints(print_folder, micro):
    return read_canvases(read_dataset(print_folder), frame_side(micro))


def test_real_pairs_that_nobody_can_align_are_an_error(fake, prints):
    fake.shift = None
    with pytest.raises(ValueError, match="could align none of 3 genuine pairs"):
        FolderAligned(prints, fake, seed=0, impostor_ratio=0.5)


@pytest.mark.parametrize("finest", [0, 1])
def test_real_pairs(fake, prints, micro, finest):
    fake.shift, fake.fit_config = 7.0, FitConfig(finest=finest, period_px=20.0, step=1.5)
    source = FolderAligned(prints, fake, seed=0, impostor_ratio=0.5)
    assert source.fingers == 3 and len(source.genuine.index) == 3
    batch = source.aligned(1, 8, NONE, 0.0)
    genuine = np.asarray(batch.genuine)
    assert 0 < genuine.sum() < 8
    np.testing.assert_array_equal(np.asarray(batch.label0 == batch.label1), genuine)
    assert batch.frame0.shape == (8, 96, 96)
    # Aligned by seven pixels, so that what is drawn corresponds cell by cell.
    centres = np.broadcast_to(cell_centres(micro), (8, 36, 2))
    np.testing.assert_allclose(batch.points1, centres, atol=1e-3)
    np.testing.assert_allclose(batch.points0, centres, atol=1e-3)
    np.testing.assert_array_equal(np.asarray(batch.valid), np.repeat(genuine[:, None], 36, 1))
    # Ridges of 20 px are looked for: drawn 1.5 times larger, prints lie as much farther apart.
    expected = np.array([[1, 0, 7 * 1.5**finest], [0, 1, 0]])
    np.testing.assert_allclose(
        np.asarray(batch.H_0to1)[genuine], expected[None].repeat(genuine.sum(), 0), atol=1e-4
    )
    again = source.aligned(1, 8, NONE, 0.0)
    np.testing.assert_array_equal(batch.frame1, again.frame1)


def test_real_pairs_with_an_error_move_their_cells(fake, prints, micro):
    source = FolderAligned(prints, fake, seed=0, impostor_ratio=0.0)
    batch = source.aligned(0, 4, AlignmentError(8.0, 0.0), 0.0)
    shift = np.asarray(batch.H_0to1)[:, :, 2]
    assert (np.abs(shift).max(1) > 0).all()
    centres = np.asarray(cell_centres(micro))[None]
    np.testing.assert_allclose(batch.points1, centres - shift[:, None], atol=1e-3)
    np.testing.assert_allclose(batch.points0, centres + shift[:, None], atol=1e-3)
    alone = source.aligned(0, 4, AlignmentError(8.0, 0.0), 1.0)
    np.testing.assert_array_equal(alone.frame0, alone.frame1)
    label = np.asarray(alone.label0)
    np.testing.assert_array_equal(label[::2], label[1::2])
    assert not np.array_equal(alone.frame0[0], alone.frame0[1])


def test_pairs_of_many_prints_are_drawn_without_listing_all():
    label = np.arange(40_000) // 2  # 800 million pairs
    rng = np.random.default_rng(0)
    genuine, impostor = genuine_pairs(label, 50, rng), impostor_pairs(label, 50, rng)
    for pairs in (genuine, impostor):
        assert pairs.shape == (50, 2) and len(np.unique(pairs, axis=0)) == 50
        assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (label[genuine[:, 0]] == label[genuine[:, 1]]).all()
    assert (label[impostor[:, 0]] != label[impostor[:, 1]]).all()


def test_few_prints_give_all_their_pairs():
    label, rng = np.array([1, 0, 0, 1, 2]), np.random.default_rng(0)
    assert genuine_pairs(label, 9, rng).tolist() == [[1, 2], [0, 3]]
    assert len(impostor_pairs(label, 9, rng)) == 8
    assert impostor_pairs(np.zeros(3, int), 9, rng).shape == (0, 2)
    assert genuine_pairs(np.arange(3), 9, rng).shape == (0, 2)


def test_a_folder_needs_module_1(print_folder):
    with pytest.raises(ValueError, match="needs Module 1 to align its pairs"):
        folder_sources(MatchConfig(dataset_root=str(print_folder)), None)
