"""What a released folder says of itself to hubs, programs and people."""

from __future__ import annotations

import json

import pytest
import yaml

from ifvit.export.card import CARD_FILE, CONFIG_FILE
from ifvit.export.release import export_pair
from ifvit.weights import read_metadata, sha256_of
from ifvit.weights.storage import DENSE_FILE


@pytest.fixture(scope="module")
def card(exported) -> tuple[dict, str]:
    """The metadata of a card that was made, and its text."""
    _, head, body = (exported / "small" / CARD_FILE).read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_config_is_that_of_the_networks(exported):
    folder = exported / "small"
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    model = read_metadata(folder / DENSE_FILE).settings().model
    assert values["model_type"] == "ifvit"
    assert values["d_model"] == model.d_model and values["canvas"] == model.canvas
    assert values["backbone_widths"] == list(model.backbone_widths)
    named = [values["files"]["dense_reg"], values["files"]["matcher"], *values["files"]["graphs"]]
    assert all((folder / name).is_file() for name in named) and len(named) == 6
    assert values["dense_sha256"] == sha256_of(folder / values["files"]["dense_reg"])


def test_the_metadata_is_what_a_hub_asks_for(card):
    head, _ = card
    assert head["license"] == "apache-2.0" and head["library_name"] == "ifvit"
    assert {"fingerprint", "onnx"} <= set(head["tags"])


def test_the_text_says_what_the_files_do(card, exported):
    _, body = card
    sha256 = sha256_of(exported / "small" / DENSE_FILE)
    assert f"`{sha256[:12]}` | synthetic prints, 2000 fingers | 1 |" in body
    assert "- Module 1: L_D 2.5" in body and "- Module 2: nothing" in body
    for heading in ("# small", "## Intended use", "## Excluded use"):
        assert f"\n{heading}\n" in body
    assert "predict nothing for other prints" in " ".join(body.split())


def test_a_text_of_ones_own_takes_its_place(trained_pair, tmp_path, unchecked):
    (tmp_path / "card.md").write_text("# Mine\n\nMeasured on prints of my own.\n", encoding="utf-8")
    export_pair(*trained_pair, tmp_path / "out", card=tmp_path / "card.md", licence="MIT")
    text = (tmp_path / "out" / CARD_FILE).read_text(encoding="utf-8")
    assert text.startswith('---\nlicense: "mit"\n') and text.endswith("prints of my own.\n")
    assert "Intended use" not in text
    with pytest.raises(FileNotFoundError, match="model card"):
        export_pair(*trained_pair, tmp_path / "other", card=tmp_path / "none.md")
    assert not (tmp_path / "other").exists()
