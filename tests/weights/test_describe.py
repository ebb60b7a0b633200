from pathlib import Path

import pytest

from ifvit.models import DenseRegModel
from ifvit.weights import parameter_summary, sha256_of
from ifvit.weights.describe import describe, log_parameters


def test_summary_counts_each_part(dense: DenseRegModel) -> None:
    rows = [line.split() for line in parameter_summary(dense).splitlines()]
    assert [row[0] for row in rows] == [
        "DenseMatchingHead",
        "FineMatchingHead",
        "ResNet18",
        "loftr_transformer",
        "total",
    ]
    assert rows[0][1:4] == ["1", "arrays", "64"]
    assert rows[3][1:4] == ["20", "arrays", "1,344"]
    values = [int(row[3].replace(",", "")) for row in rows]
    assert values[4] == sum(values[:4])


def test_module_1_is_described(dense_ckpt: Path) -> None:
    text = describe(dense_ckpt)
    assert text.startswith(f"{dense_ckpt}: Module 1 (dense_reg)")
    for piece in ("epoch 3, step 120", "L_D 2.5", "model.d_model = 8", "batch_stats", "ab" * 32):
        assert piece in text
    assert sha256_of(dense_ckpt) in text and "skipped" not in text


def test_a_matcher_from_scratch_says_so_in_words(matcher_ckpt: Path) -> None:
    text = describe(matcher_ckpt)
    assert "loftr_transformer_global" in text and "PoseHead" in text
    assert "no metrics recorded" in text
    assert "The Module 1 link was skipped" in text


def test_an_unusable_file_is_not_described(tmp_path: Path, dense_ckpt: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(dense_ckpt.read_bytes()[:-8])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        describe(path)


def test_each_line_of_the_table_is_a_record(dense, caplog):
    with caplog.at_level("INFO", "ifvit"):
        log_parameters(dense)
    told = [record.getMessage().strip() for record in caplog.records]
    assert told == [line.strip() for line in parameter_summary(dense).splitlines()]
    assert len(told) > 2
