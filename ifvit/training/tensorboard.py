"""Curves and pictures of a run for TensorBoard, where it is wanted."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifvit.training.devices import is_first

Pictures = Callable[[], Mapping[str, bytes]]
"""A function that makes pictures of the present validation: PNG by name."""


def check_tensorboard(wanted: bool) -> None:
    """Raise ValueError where TensorBoard is wanted, but its package is not installed."""
    if wanted and find_spec("tensorboardX") is None:
        raise ValueError(
            "tensorboard is on, but the package tensorboardX is not installed: "
            "pip install 'ifvit[tensorboard]', or omit --tensorboard"
        )


class TensorBoard:
    """Writes a run's events to a folder; nothing at all where it is not wanted."""

    def __init__(self, folder: Path, wanted: bool, step: int) -> None:
        """Take the ``step`` at which the run begins or resumes: later events are removed."""
        self._wanted = wanted
        self._writer: Any = None
        if wanted and is_first():
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step)

    def curves(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve; those of validation are separate from the losses."""
        if self._writer is None:
            return
        for name, value in values.items():
            group = "validation" if name.startswith("val_") else "training"
            self._writer.add_scalar(f"{group}/{name.removeprefix('val_')}", value, step)

    def pictures(self, step: int, make: Pictures) -> None:
        """Show the pictures that ``make`` makes, which is called only where they are wanted."""
        if not self._wanted:
            return
        made = make()  # In every process: the arrays that are drawn may lie with all of them.
        if self._writer is None:
            return
        for name, png in made.items():
            pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
            self._writer.add_image(name, pixels, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
