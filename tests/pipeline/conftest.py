"""A small model and a print that is cheap to make, for the tests of the pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.config import ModelConfig

SMALL = ModelConfig(
    canvas=64, backbone_widths=(8, 8, 8), d_model=16, num_layers=2, num_heads=2, embedding_dim=8
)


def circles(side: int, centre: tuple[float, float], period: float = 9.0) -> np.ndarray:
    """Return ridges around ``centre`` (x, y), dark on white, within an oval contact region."""
    y, x = np.mgrid[:side, :side]
    middle = (side - 1) / 2
    ridges = 0.5 + 0.4 * np.cos(2 * np.pi * np.hypot(x - centre[0], y - centre[1]) / period)
    oval = ((x - middle) / 0.45) ** 2 + ((y - middle) / 0.48) ** 2 < side**2
    return np.where(oval, ridges, 1.0).astype(np.float32)


@pytest.fixture(scope="session")
def small() -> ModelConfig:
    """The model's settings: a canvas of 64 pixels at 250 ppi, 128 at 500."""
    return SMALL


@pytest.fixture(scope="session")
def ridge_print() -> np.ndarray:
    """A canvas (128, 128) at 500 ppi."""
    return circles(128, (50.0, 70.0))
