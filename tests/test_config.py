"""Settings: their groups, what is refused, and that those of older checkpoints are still read."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from ifvit.config import (
    DENSE_CONFIG,
    MATCH_CONFIG,
    NAMED_BY_GROUP,
    DenseConfig,
    DenseDataConfig,
    HardwareConfig,
    MatchConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
)
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.weights.settings import from_json, grouped, to_json

ALL = [*DENSE_PRESETS.values(), *MATCH_PRESETS.values()]


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as earlier versions recorded them: all but the model's side by side."""
    values = {"model": settings["model"]}
    for group, own in settings.items():
        if group != "model":
            values |= own
    return values


@pytest.mark.parametrize("config", ALL)
def test_settings_go_to_json_and_back(config):
    again = from_json(type(config), to_json(config))
    assert again == config and hash(again) == hash(config)


@pytest.mark.parametrize("config", [DENSE_CONFIG, MATCH_CONFIG])
def test_no_two_groups_have_a_setting_of_one_name(config):
    """They share the command line, and what earlier versions recorded side by side."""
    groups = dataclasses.asdict(config)
    names = Counter(n for group in groups.keys() - set(NAMED_BY_GROUP) for n in groups[group])
    assert [name for name, count in names.items() if count > 1] == []
    assert not names.keys() & groups.keys(), "a setting with the name of a group"


def test_a_setting_is_in_the_same_group_of_both_modules():
    placed: dict[str, set[str]] = {}
    for config in (DENSE_CONFIG, MATCH_CONFIG):
        for group, own in dataclasses.asdict(config).items():
            for name in own if group not in NAMED_BY_GROUP else ():
                placed.setdefault(name, set()).add(group)
    assert [name for name, groups in placed.items() if len(groups) > 1] == []


@pytest.mark.parametrize("config", ALL)
def test_settings_that_were_recorded_side_by_side_are_the_same(config):
    values = json.loads(to_json(config))
    assert len(flat(values)) > 30 and set(flat(values)) > {"seed", "epochs", "checkpoint_dir"}
    assert grouped(flat(values)) == values
    assert grouped(values) == values
    assert from_json(type(config), json.dumps(flat(values))) == config


def test_what_belongs_to_no_group_stays_beside_them():
    values = json.loads(to_json(DENSE_CONFIG))
    old = flat(values) | {"fusion_ridge": 1.5}
    assert grouped(old) == values | {"fusion_ridge": 1.5}
    assert from_json(DenseConfig, json.dumps(old)) == DENSE_CONFIG
    with pytest.raises(ValueError, match=r"another version of ifvit: .*colour"):
        from_json(DenseConfig, json.dumps(values | {"colour": 1}))
    values["data"]["colour"] = 1
    with pytest.raises(ValueError, match=r"another version of ifvit: .*colour"):
        from_json(DenseConfig, json.dumps(values))
    with pytest.raises(ValueError, match="without the shape of the model"):
        from_json(DenseConfig, "{}")


@pytest.mark.parametrize("cls", [DenseConfig, MatchConfig])
def test_settings_written_before_hard_prints_have_none(cls):
    values = json.loads(to_json(cls()))
    del values["data"]["hard"], values["data"]["zoom"]
    for recorded in (values, flat(values)):
        old = from_json(cls, json.dumps(recorded))
        assert old.data.hard == 0 and old.data.zoom == (1.0, 1.0)
    # Each module's own default, not that of the other.
    del values["optim"]["epochs"], values["run"]["checkpoint_dir"]
    assert from_json(cls, json.dumps(flat(values))) == cls()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"hard": -0.1}, "hard is -0.1: expected 0 to 1"),
        ({"hard": 1.1}, "expected 0 to 1"),
        ({"zoom": (1.2, 1.0)}, "in order"),
        ({"zoom": (0.0, 1.0)}, "0.25 to 4"),
        ({"fingers": 1}, "fingers is 1: expected at least 2"),
    ],
)
def test_numbers_that_nothing_can_be_drawn_with_are_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        DenseDataConfig(**values)


@pytest.mark.parametrize(
    ("group", "values", "complaint"),
    [
        (OptimConfig, {"epochs": 0}, "epochs is 0: expected at least 1"),
        (OptimConfig, {"epochs": 1, "ema": 1.0}, "ema is 1.0: expected 0, or a decay below 1"),
        (RunConfig, {"checkpoint_dir": "a", "keep_states": 0}, "keep_states is 0"),
        (HardwareConfig, {"devices": 0}, "devices is 0: expected at least 1"),
    ],
)
def test_each_group_refuses_what_cannot_be(group, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        group(**values)


@pytest.mark.parametrize("ppi", [300, 1000, 0])
def test_a_resolution_that_frames_cannot_have_is_refused_at_once(ppi):
    with pytest.raises(ValueError, match=f"ppi is {ppi}: expected"):
        ModelConfig(ppi=ppi)


def test_an_earlier_module_2_is_refused_and_one_of_prints_is_not():
    values = flat(json.loads(to_json(MatchConfig())))
    with pytest.raises(ValueError, match=r"embedded pairs of prints: .*`ifvit train-match`"):
        from_json(MatchConfig, json.dumps(values | {"share_global_local": True}))
    # A setting that was once of both modules.
    assert from_json(MatchConfig, json.dumps(values | {"impostor_ratio": 0.5})) == MatchConfig()
    dense = flat(json.loads(to_json(DenseConfig()))) | {"impostor_ratio": 0.5}
    assert from_json(DenseConfig, json.dumps(dense)).data.impostor_ratio == 0.5


@pytest.mark.parametrize(("size", "parts"), [(2, 1), (7, 1), (12, 4)])
def test_each_part_of_a_batch_of_prints_shows_two_fingers(size, parts):
    def made(size: int, parts: int) -> MatchConfig:
        hardware = HardwareConfig(accumulate=parts)
        return MatchConfig(optim=OptimConfig(1, batch_size=size), hardware=hardware)

    with pytest.raises(ValueError, match=r"batch_size is .*: prints come two by two"):
        made(size, parts)
    assert made(16, 4).hardware.accumulate == 4


def test_presets_of_module_2_start_from_all_of_module_1():
    for config in MATCH_PRESETS.values():
        assert config.start.transfer == "backbone"
    assert MATCH_PRESETS["small"].optim.steps == 3300
