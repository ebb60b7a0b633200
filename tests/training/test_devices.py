"""Training on several devices and in several processes, each in processes of its own."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from ifvit.config import HardwareConfig
from ifvit.training.devices import Devices, agreed, connect, gathered, is_first

CHILD = """
import json, logging, sys
logging.basicConfig(level=logging.INFO)
logging.getLogger("orbax").setLevel(logging.ERROR)
from ifvit.config import (
    DenseConfig, DenseDataConfig, HardwareConfig, MatchConfig, MatchDataConfig, MatchStartConfig,
    ModelConfig, OptimConfig, RunConfig,
)
from ifvit.training import dense, match

dense.VALIDATION_PAIRS, match.VALIDATION_PRINTS = 8, 16
module, folder, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = ModelConfig(canvas=48, roi_px=24, backbone_widths=(8, 8, 16), d_model=16, num_layers=2,
                    num_heads=2, embedding_dim=8)
few, size = dict(fingers=8, val_fingers=8), 8 if module == "dense" else 16
optim = OptimConfig(asked.pop("epochs", 3), pairs_per_epoch=size, batch_size=size)
run = RunConfig(folder, override=asked.pop("override", False))
short = dict(model=model, optim=optim, run=run, hardware=HardwareConfig(**asked))
if module == "dense":
    dense.train_dense(DenseConfig(data=DenseDataConfig(**few), **short))
else:
    start = MatchStartConfig(from_scratch=True)
    match.train_match(MatchConfig(data=MatchDataConfig(**few), start=start, **short))
import jax
print("devices", jax.device_count(), "of process", jax.process_index())
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def start(cache: Path, module: str, folder: Path, devices: int, **options) -> subprocess.Popen:
    """Train in a process of its own with so many simulated devices."""
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "IFVIT_CACHE": str(cache / "grown"),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", CHILD, module, str(folder), json.dumps(options)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out[-3000:]
    return out


def epochs(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if re.match("L_|loss|val_", name)}
        for line in lines
        if line["event"] == "epoch"
    ]


def check_alike(one: Path, other: Path, file: str) -> None:
    """The same losses, and the same weights, to float tolerance: sums are in another order.

    An epoch is one step, so that the first losses are those of the very same weights. The steps
    after it make more of the difference: Adam takes as large a step where the gradient is noise.
    """
    losses = [
        [{name: line[name] for name in line if name[0] in "Ll"} for line in epochs(folder)]
        for folder in (one, other)
    ]
    assert len(losses[0]) == 3
    for tolerance, first, second in zip((1e-5, 3e-3, 3e-3), *losses, strict=True):
        assert first == pytest.approx(second, rel=tolerance)
    assert losses[0][0] != losses[0][1]
    weights, others = load_file(one / file), load_file(other / file)
    assert weights.keys() == others.keys()
    for name in weights:
        np.testing.assert_allclose(weights[name], others[name], rtol=1e-3, atol=1e-3)


def start_two(cache: Path, folder: Path, **options) -> list[subprocess.Popen]:
    """Train Module 1 in two processes that find each other on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options |= {"coordinator": address, "num_processes": 2}
    return [start(cache, "dense", folder, 1, process_id=i, **options) for i in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "file"),
    [("dense", "dense_reg_ckpt.safetensors"), ("match", "matcher_ckpt.safetensors")],
)
def test_eight_devices_learn_what_one_does(tmp_path, cache, module, file):
    assert "devices 1 " in finish(start(cache, module, tmp_path / "one", 1))
    out = finish(start(cache, module, tmp_path / "eight", 8))
    assert "training on 8 of 8 devices" in out and "devices 8 " in out
    check_alike(tmp_path / "one", tmp_path / "eight", file)


@pytest.mark.slow
def test_two_processes_train_together(tmp_path, cache):
    """They write one checkpoint, and a run stopped half-way goes on in one process."""
    finish(start(cache, "dense", tmp_path / "alone", 1))
    both = start_two(cache, tmp_path / "both")
    outs = [finish(process) for process in both]
    assert [f"devices 2 of process {i}" in out for i, out in enumerate(outs)] == [True, True]
    check_alike(tmp_path / "alone", tmp_path / "both", "dense_reg_ckpt.safetensors")
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        *(".lock", "metrics.jsonl", "dense_reg_ckpt.safetensors", "state"),
    }
    assert outs[0].count("Epoch 3/3") == 1 and "Epoch" not in outs[1]
    out = finish(start(cache, "dense", tmp_path / "both", 1, epochs=4, override=True))
    assert "going on from step 3" in out and "Epoch 4/4" in out


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both(tmp_path, cache):
    both = start_two(cache, tmp_path, epochs=4000)
    metrics = tmp_path / "metrics.jsonl"
    end = time.monotonic() + 200
    while not (metrics.exists() and '"epoch": 2' in metrics.read_text()):
        assert time.monotonic() < end and both[0].poll() is None, "it never came to that"
        time.sleep(0.1)
    both[1].terminate()
    stops = [
        re.findall(r"Stopped: stopped at step (\d+), saved", process.communicate(timeout=200)[0])
        for process in both
    ]
    assert stops[0] == stops[1] and len(stops[0]) == 1
    assert (tmp_path / "state" / stops[0][0]).is_dir()


def test_one_device_is_left_as_it_is():
    devices, batch = Devices(HardwareConfig(), 8), (jax.numpy.ones(8),)
    assert devices.shard(batch) is batch
    assert is_first() and agreed(3, True) == (3, True)
    np.testing.assert_array_equal(gathered(batch[0]), np.ones(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 4000}, "devices is 4000, but there are"),
        ({"num_processes": 2}, "give --coordinator"),
        ({"coordinator": "host:1"}, "expected HOST:PORT of process 0 with"),
        ({"coordinator": "host", "num_processes": 2, "process_id": 0}, "expected HOST:PORT"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    hardware = HardwareConfig(**options)
    with pytest.raises(ValueError, match=message):
        connect(hardware) or Devices(hardware, 8)
