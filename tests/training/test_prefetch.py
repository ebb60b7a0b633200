"""Batches made ahead: the same ones, while the step runs, and the time that is waited for them."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from ifvit.config import HardwareConfig, RunConfig
from ifvit.training import dense
from ifvit.training.prefetch import Prefetch

STEPS = 6


def test_the_next_batch_is_begun_when_one_is_handed_out():
    begun, made = threading.Event(), []

    def make(index: int) -> int:
        made.append((index, threading.current_thread().name))
        if index == 4:
            begun.set()
        return 10 * index

    ahead = Prefetch(make, STEPS, True)
    assert ahead(3) == 30
    assert begun.wait(5), "batch 4 is made before it is asked for"
    assert [ahead(4), ahead(5)] == [40, 50]
    assert [index for index, _ in made] == [3, 4, 5], "none is made beyond the last step"
    assert {name for _, name in made} != {threading.current_thread().name}


def test_without_a_thread_a_batch_is_made_when_it_is_asked_for():
    made = []

    def make(index: int) -> int:
        made.append(index)
        return index

    ahead = Prefetch(make, STEPS, False)
    assert [ahead(2), ahead(2), ahead(0)] == [2, 2, 0] and made == [2, 2, 0]


def test_a_run_that_goes_on_begins_with_the_batch_it_asks_for():
    """Whatever was made ahead before."""
    ahead = Prefetch(lambda index: index, STEPS, True)
    assert [ahead(0), ahead(4), ahead(1), ahead(2)] == [0, 4, 1, 2]


@pytest.mark.parametrize("prefetch", [True, False])
def test_what_making_raises_comes_with_its_own_batch(prefetch):
    def make(index: int) -> int:
        if index == 1:
            raise FileNotFoundError("1_1.png is gone")
        return index

    ahead = Prefetch(make, STEPS, prefetch)
    assert ahead(0) == 0
    with pytest.raises(FileNotFoundError, match=r"1_1\.png is gone"):
        ahead(1)
    assert ahead(2) == 2


class Busy:
    """A step's result, there after 0.3 s."""

    def block_until_ready(self) -> Busy:
        time.sleep(0.3)
        return self


def test_a_batch_made_while_the_step_ran_was_not_waited_for():
    ahead = Prefetch(lambda index: time.sleep(0.02), STEPS, True)
    ahead(0)
    before = ahead.waited
    assert before > 0, "nothing could run before the first"
    ahead.of({"L_D": Busy()})
    ahead(1)
    assert ahead.waited - before < before


@pytest.mark.parametrize("prefetch", [True, False])
def test_what_outlasts_the_step_was_waited_for(prefetch):
    ahead = Prefetch(lambda index: time.sleep(0.1), STEPS, prefetch)
    for index in range(4):
        ahead(index)
    assert 0.3 < ahead.waited < 3


@pytest.mark.heavy
def test_training_is_the_same_with_and_without(dense_config, pairs, one_optimizer, tmp_path):
    """Bit for bit, and each epoch's line says what share of its time went into waiting."""
    found = []
    for prefetch in (True, False):
        folder = tmp_path / str(prefetch)
        run, hardware = RunConfig(str(folder)), HardwareConfig(prefetch=prefetch)
        config = replace(dense_config, run=run, hardware=hardware)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dense, "VALIDATION_PAIRS", 2)
            path = dense.train_dense(config, (pairs, pairs))
        found.append(load_file(path))
        last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        assert last["event"] == "epoch" and 0 < last["data_wait"] <= 1
    assert found[0].keys() == found[1].keys() and len(found[0]) > 10
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name], err_msg=name)
