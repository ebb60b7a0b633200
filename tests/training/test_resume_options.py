"""What a run of Module 1 has beside weights and optimizer goes on bit for bit, too."""

from __future__ import annotations

import json
import os
import signal
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from ifvit.config import HardwareConfig, OptimConfig, RunConfig
from ifvit.training import dense
from ifvit.training.guard import Stopped

OPTIM = OptimConfig(2, pairs_per_epoch=6, batch_size=2, ema=0.9, backbone_lr_scale=0.5)
HARDWARE = HardwareConfig(accumulate=2, prefetch=True)


@pytest.fixture
def train(dense_config, pairs, tmp_path, monkeypatch):
    """Train in a folder of this name, with a signal in the middle of step ``stop``, if any."""
    monkeypatch.setattr(dense, "VALIDATION_PAIRS", 2)
    long = replace(dense_config, optim=OPTIM, hardware=HARDWARE)

    def run(name: str, stop: int | None = None) -> dict[str, np.ndarray]:
        source, batch = copy(pairs), pairs.batch

        def signalled(index: int, size: int):
            if index == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return batch(index, size)

        source.batch = signalled
        config = replace(long, run=RunConfig(str(tmp_path / name)))
        return load_file(dense.train_dense(config, (source, pairs)))

    return run


@pytest.mark.heavy
def test_averages_and_steps_in_parts_go_on_bit_for_bit(train, tmp_path):
    whole = train("whole")
    with pytest.raises(Stopped, match="goes on"):
        train("broken", stop=4)
    resumed = train("broken")
    lines = (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert "resume" in events
    assert whole.keys() == resumed.keys() and len(whole) > 10
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
