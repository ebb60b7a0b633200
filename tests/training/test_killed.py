"""Training in a process of its own that is killed, at any moment and in the middle of a save."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

STEPS = 60

CHILD = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from ifvit.config import DenseConfig, DenseDataConfig, ModelConfig, OptimConfig, RunConfig
from ifvit.training import dense

dense.VALIDATION_PAIRS = 2
model = ModelConfig(canvas=48, roi_px=24, backbone_widths=(8, 8, 16), d_model=16, num_layers=2,
                    num_heads=2, embedding_dim=8)
dense.train_dense(DenseConfig(
    model=model,
    data=DenseDataConfig(fingers=4, val_fingers=4),
    optim=OptimConfig(epochs=3, pairs_per_epoch=40, batch_size=2),
    run=RunConfig(sys.argv[1], save_minutes=0.0),
))
"""


class Child:
    """The training of a directory, begun or gone on with in a process of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.log = folder / name, folder / f"{name}.log"
        environment = {
            **os.environ,
            "IFVIT_CACHE": str(folder / "grown"),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, "-c", CHILD, str(self.folder)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    @property
    def newest(self) -> int:
        """The step of the newest state that is complete, 0 without any."""
        names = [path.name for path in (self.folder / "state").glob("*")]
        return max((int(name) for name in names if name.isdigit()), default=0)

    @property
    def half_written(self) -> bool:
        return any("tmp" in path.name for path in (self.folder / "state").glob("*"))

    def wait_for(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + 200
        while not what():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.0005)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(60) == -signal.SIGKILL, "it was not killed before its end"

    def finish(self) -> dict[str, np.ndarray]:
        assert self.process.wait(300) == 0, self.log.read_text()[-2000:]
        return load_file(self.folder / "dense_reg_ckpt.safetensors")


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    """Killed once in the middle of a save and twice anywhere, then left alone."""
    whole = Child(tmp_path, "whole").finish()
    dice = random.Random(7)
    child = Child(tmp_path, "killed")
    child.wait_for(lambda: child.half_written)
    child.kill()
    assert child.half_written
    for _ in range(2):
        before, child = child.newest, Child(tmp_path, "killed")
        child.wait_for(lambda child=child, before=before: child.newest > before)
        time.sleep(dice.random() / 2)
        child.kill()
        assert child.newest < STEPS
    child = Child(tmp_path, "killed")
    found = child.finish()
    assert child.log.read_text().count("going on from step") >= 2
    assert not child.half_written
    assert found.keys() == whole.keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)
