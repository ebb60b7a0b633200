"""Settings: what is refused, and that those of older checkpoints can still be read."""

import json

import pytest

from ifvit.config import DenseConfig, MatchConfig, from_json, to_json
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS


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
