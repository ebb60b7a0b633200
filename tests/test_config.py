"""Settings: what is refused, and that those of older checkpoints can still be read."""

import json

import pytest

from ifvit.config import DenseConfig, MatchConfig, ModelConfig
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.weights.settings import from_json, to_json


@pytest.mark.parametrize("config", [*DENSE_PRESETS.values(), *MATCH_PRESETS.values()])
def test_settings_go_to_json_and_back(config):
    again = from_json(type(config), to_json(config))
    assert again == config and hash(again) == hash(config)


@pytest.mark.parametrize("cls", [DenseConfig, MatchConfig])
def test_settings_written_before_hard_prints_have_none(cls):
    values = json.loads(to_json(cls()))
    del values["hard"], values["zoom"]
    old = from_json(cls, json.dumps(values))
    assert old.hard == 0 and old.zoom == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"hard": -0.1}, "hard is -0.1: expected 0 to 1"),
        ({"hard": 1.1}, "expected 0 to 1"),
        ({"zoom": (1.2, 1.0)}, "in order"),
        ({"zoom": (0.0, 1.0)}, "0.25 to 4"),
    ],
)
def test_numbers_that_nothing_can_be_drawn_with_are_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        DenseConfig(**values)


@pytest.mark.parametrize("ppi", [300, 1000, 0])
def test_a_resolution_that_frames_cannot_have_is_refused_at_once(ppi):
    with pytest.raises(ValueError, match=f"ppi is {ppi}: expected"):
        ModelConfig(ppi=ppi)


def test_an_earlier_module_2_is_refused_and_one_of_prints_is_not():
    values = json.loads(to_json(MatchConfig()))
    with pytest.raises(ValueError, match=r"embedded pairs of prints: .*`ifvit train-match`"):
        from_json(MatchConfig, json.dumps(values | {"share_global_local": True}))
    # A setting that was once of both modules.
    assert from_json(MatchConfig, json.dumps(values | {"impostor_ratio": 0.5})) == MatchConfig()
    dense = json.loads(to_json(DenseConfig()))
    assert from_json(DenseConfig, json.dumps(dense | {"impostor_ratio": 0.5})).impostor_ratio == 0.5


@pytest.mark.parametrize(
    "values", [{"batch_size": 2}, {"batch_size": 7}, {"batch_size": 12, "accumulate": 4}]
)
def test_each_part_of_a_batch_of_prints_shows_two_fingers(values):
    with pytest.raises(ValueError, match=r"batch_size is .*: prints come two by two"):
        MatchConfig(**values)
    assert MatchConfig(batch_size=16, accumulate=4).accumulate == 4


def test_presets_of_module_2_start_from_all_of_module_1():
    for config in MATCH_PRESETS.values():
        assert config.transfer == "backbone"
    small = MATCH_PRESETS["small"]
    assert small.epochs * (small.pairs_per_epoch // small.batch_size) == 3300
