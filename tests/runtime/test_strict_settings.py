"""A notebook with strict rules of JAX's: everything works in it, and it keeps its rules."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
import jax
jax.config.update(*{settings})
import numpy as np
from ifvit.config import (
    DenseConfig, DenseDataConfig, HardwareConfig, ModelConfig, OptimConfig, RunConfig)
from ifvit.dataset_spec import DatasetSpec
from ifvit.synthesis import correspondence, draw_impression, make_masters, render
from ifvit.synthesis.dataset import make_dataset
from ifvit.training import dense
from ifvit.registered_pair import register
from ifvit.data.examples import example_prints

made = next(iter(make_dataset(DatasetSpec(fingers=1, impressions=1))))
assert np.isfinite(made[-1].image).all()
dense.VALIDATION_PAIRS = 2
model = ModelConfig(canvas=48, roi_px=24, backbone_widths=(8, 8, 16), d_model=16, num_layers=2,
                    num_heads=2, embedding_dim=8)
ckpt = dense.train_dense(DenseConfig(
    model=model, data=DenseDataConfig(fingers=4, val_fingers=4),
    optim=OptimConfig(1, pairs_per_epoch=4, batch_size=2), run=RunConfig(sys.argv[1]),
    hardware=HardwareConfig(prefetch=True)))
first, second, *_ = example_prints()
register(first, second, dense_ckpt=ckpt)
assert getattr(jax.config, {settings}[0]) == {settings}[1]
print("as usual")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("jax_numpy_dtype_promotion", "strict"),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_enable_x64", True),
        ("jax_debug_nans", True),
    ],
    ids=lambda given: given[0],
)
def test_all_of_it_works_in_a_strict_notebook(tmp_path, settings):
    code = CODE.replace("{settings}", repr(settings))
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.stdout.endswith("as usual\n"), done.stderr[-2000:]
