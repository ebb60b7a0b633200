"""The weights in the package themselves; before there are any, nothing is tested here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from ifvit.comparison.decision import DECISION_FILE, load_decision
from ifvit.matcher import Matcher
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.weights.checkpoint import read_metadata
from ifvit.weights.modules import check_same_shape, load_modules
from ifvit.weights.pretrained import DEFAULT, RECORD_FILE, SHIPPED, list_weights, pretrained_files
from ifvit.weights.settings import NOT_OF_PRINTS, to_json
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE, MODULE_OF, graph_file

ROOT = Path(__file__).parents[2]
# Whatever is there counts as shipped, complete or not: what is missing then fails.
NAMES = sorted({DEFAULT, *(path.name for path in SHIPPED.iterdir())}) if SHIPPED.exists() else []
MOST_BYTES = 40e6

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="no weights in the package yet")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_what_ships_and_nothing_else(name):
    files = {path.name for path in (SHIPPED / name).iterdir()}
    graphs = {graph_file("", name).name for name in MODULE_OF}
    assert files == {DENSE_FILE, MATCHER_FILE, RECORD_FILE, DECISION_FILE, *graphs}
    assert sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_those_of_the_record(name):
    record = list_weights()[name]
    assert record.name == name and record.licence == "Apache-2.0"
    assert record.model_card == f"docs/models/{name}.md", "`ifvit release` names its own README.md"
    card = (ROOT / record.model_card).read_text(encoding="utf-8")
    assert record.dense_sha256[:12] in card and record.matcher_sha256[:12] in card
    assert "<!-- figures -->" not in card, f"{record.model_card} still waits for its figures"
    files = pretrained_files(name)
    (dense, _), (matcher, _) = load_modules(*files)
    check_same_shape(dense, matcher)
    decision = load_decision(files.matcher.with_name(DECISION_FILE))
    assert decision.weights == (record.dense_sha256, record.matcher_sha256)


@pytest.mark.parametrize("name", NAMES)
def test_the_calibration_holds_for_the_settings_of_now(name):
    """Where a setting or a constant of the method has changed, its scores have to be made again."""
    matcher = Matcher.from_pretrained(name)
    path = pretrained_files(name).matcher.with_name(DECISION_FILE)
    assert matcher.fingerprint == load_decision(path).fingerprint
    assert matcher.decision.fmr(2.0) is not None


@pytest.mark.parametrize("name", NAMES)
def test_they_are_of_the_preset_and_saw_synthetic_prints_alone(name):
    for path, presets in zip(pretrained_files(name), (DENSE_PRESETS, MATCH_PRESETS), strict=True):
        meta = read_metadata(path)
        assert meta.settings().model == presets[name].model
        assert meta.config["data"]["dataset_root"] == "synthetic"
        assert "scratch" not in meta.roles
        assert "/" not in json.dumps(meta.config), "a path of the training's machine"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_they_record_arrives(name):
    """Whether it was recorded side by side, as by earlier versions, or in groups."""
    for path in pretrained_files(name):
        with safe_open(path, framework="numpy") as file:
            recorded = json.loads(file.metadata()["ifvit"])["config"]
        settings = json.loads(to_json(read_metadata(path).settings()))
        groups = [group for name, group in settings.items() if name != "model"]
        placed = {name: value for group in groups for name, value in group.items()}
        shape = recorded.pop("model")
        assert shape == {name: settings["model"][name] for name in shape}
        for setting, value in recorded.items():
            own = value if isinstance(value, dict) else {setting: value}
            if path.name == MATCHER_FILE:
                own = {name: one for name, one in own.items() if name not in NOT_OF_PRINTS}
            assert own == {name: placed[name] for name in own}


@pytest.mark.parametrize("name", NAMES)
def test_they_are_in_half_precision(name):
    for path in pretrained_files(name):
        tensors = load_file(path)
        half = sum(tensor.size for tensor in tensors.values() if tensor.dtype == np.float16)
        assert half > 0.95 * sum(tensor.size for tensor in tensors.values())
