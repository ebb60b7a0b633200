from pathlib import Path

import pytest
from flax import nnx

from ifvit.config import DenseConfig, MatchConfig, MatchStartConfig, ModelConfig
from ifvit.models import DenseRegModel, MatcherModel
from ifvit.weights import Metadata, save_weights, scratch_lineage

MODEL = ModelConfig(
    canvas=32, backbone_widths=(4, 4, 8), d_model=8, num_layers=2, num_heads=2, embedding_dim=6
)


@pytest.fixture(scope="session")
def model_config() -> ModelConfig:
    return MODEL


@pytest.fixture(scope="session")
def dense() -> DenseRegModel:
    return DenseRegModel(MODEL, rngs=nnx.Rngs(1))


@pytest.fixture(scope="session")
def dense_meta() -> Metadata:
    loftr = {"role": "loftr", "file": "loftr_transformer.npz", "sha256": "ab" * 32, "note": "80"}
    return Metadata.of(
        DenseConfig(model=MODEL), epoch=3, step=120, metrics={"L_D": 2.5}, lineage=(loftr,)
    )


@pytest.fixture(scope="session")
def dense_ckpt(
    tmp_path_factory: pytest.TempPathFactory, dense: DenseRegModel, dense_meta: Metadata
) -> Path:
    """A Module 1 checkpoint; tests must not change it."""
    path = tmp_path_factory.mktemp("dense") / "dense_reg_ckpt.safetensors"
    save_weights(path, dense, dense_meta)
    return path


@pytest.fixture(scope="session")
def matcher_ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Module 2 checkpoint, from scratch; tests must not change it."""
    path = tmp_path_factory.mktemp("matcher") / "matcher_ckpt.safetensors"
    matcher = MatcherModel(MODEL, rngs=nnx.Rngs(2))
    config = MatchConfig(model=MODEL, start=MatchStartConfig(from_scratch=True))
    save_weights(path, matcher, Metadata.of(config, epoch=1, lineage=scratch_lineage()))
    return path
