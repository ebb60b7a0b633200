"""What TensorBoard is given, and that nothing is given where it is not wanted."""

import io
from dataclasses import replace

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from ifvit.config import DenseConfig, OptimConfig, RunConfig
from ifvit.evaluation.plots import match_plot
from ifvit.training import tensorboard
from ifvit.training.loop import Task, fit
from ifvit.training.run import open_run

CONFIG = DenseConfig(
    optim=OptimConfig(epochs=2, pairs_per_epoch=6, batch_size=2),
    run=RunConfig("not used", tensorboard=True),
)


def train(folder, config) -> list[int]:
    """Run the loop with a made-up task; return how often pictures were made."""
    drawn: list[int] = []

    def pictures() -> dict[str, bytes]:
        drawn.append(1)
        return {"matches/0": match_plot(np.zeros((8, 8)), np.ones((8, 8)), [[[1, 2], [3, 4]]], [1])}

    task = Task(
        ("L_D",),
        {"model": nnx.Linear(1, 1, rngs=nnx.Rngs(0))},
        folder / "ckpt",
        lambda index: {"L_D": np.float32(index)},
        lambda: {"val_auc": 0.75},
        lambda epoch, step, metrics: (folder / "ckpt").touch(),
        pictures,
    )
    with open_run(config, task.path, lambda metrics: metrics["val_auc"]) as run:
        fit(task, config, run)
    return drawn


def test_curves_and_pictures_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    assert train(tmp_path, CONFIG) == [1, 1]
    (file,) = (tmp_path / "tensorboard").iterdir()
    data, values = file.read_bytes(), []
    while data:  # TFRecord: length, its checksum, the record, its checksum
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        values += [(value.tag, event.step, value) for value in event.summary.value]
        data = data[16 + size :]
    found = {(tag, step): value for tag, step, value in values}
    assert found["training/L_D", 3].simple_value == 1 and found["training/L_D", 6].simple_value == 4
    assert found["training/step_L_D", 3].simple_value == 2
    assert found["validation/auc", 6].simple_value == 0.75
    picture = Image.open(io.BytesIO(found["matches/0", 6].image.encoded_image_string))
    assert picture.width > picture.height > 100


def test_nothing_is_drawn_where_nothing_is_wanted(tmp_path):
    assert train(tmp_path, replace(CONFIG, run=RunConfig("not used"))) == []
    assert not (tmp_path / "tensorboard").exists()


def test_a_missing_package_is_told_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ifvit\[tensorboard\]'"):
        train(tmp_path / "run", CONFIG)
    assert not (tmp_path / "run").exists()


def test_wrong_matches_have_another_colour():
    images = np.zeros((2, 32, 32))
    right, wrong = (
        np.asarray(Image.open(io.BytesIO(match_plot(*images, [[[4, 4], [20, 20]]], [true]))))
        for true in (True, False)
    )
    assert right.shape == wrong.shape and not np.array_equal(right, wrong)
