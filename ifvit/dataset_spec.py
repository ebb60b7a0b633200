"""The specification of a synthetic data set, which gives the options of ``ifvit synth``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetSpec:
    """The data set to make. Sizes are in pixels at 500 ppi."""

    fingers: int = 10
    """Fingers to draw."""
    impressions: int = 8
    """Prints of each finger."""
    seed: int = 0
    """Seed of the fingers and of their prints."""
    first_finger: int = 0
    """Number of the first finger; file names count from 1 whatever it is."""
    height: int = 400
    """Height of each print, pixels at 500 ppi."""
    width: int = 352
    """Width of each print, pixels at 500 ppi."""
    maps: bool = False
    """Also write ``maps/F_I.npz``: ``to_master`` (H,W,2) float32, pixels of the master at 500 ppi,
    and ``contact`` (H,W) bool."""
    hard: float = 0.0
    """Share of prints that are pulled, twisted and pressed, and in harder conditions, 0 to 1."""
    period_px: tuple[float, float] | None = None
    """Draw each finger's mean ridge period between these, pixels at 500 ppi."""
    people: bool = False
    """Draw each finger's mean ridge period as men, women and children have them."""

    def __post_init__(self) -> None:
        """Raise ValueError for counts and sizes that cannot be made."""
        if min(self.fingers, self.impressions) < 1:
            raise ValueError(
                f"fingers is {self.fingers} and impressions {self.impressions}: expected at least 1"
            )
        if not 64 <= min(self.height, self.width) <= max(self.height, self.width) <= 4096:
            raise ValueError(
                f"a frame of {self.height}×{self.width} px: expected sides of 64 to 4096 px"
            )
        if min(self.seed, self.first_finger) < 0:
            raise ValueError("seed and first_finger must not be negative")
        if not 0 <= self.hard <= 1:
            raise ValueError(f"hard is {self.hard}: expected a share of prints, 0 to 1")
        if self.period_px is not None and self.people:
            raise ValueError("period_px and people both say how coarse ridges are: give one")
        if self.period_px is not None and not 4 <= self.period_px[0] <= self.period_px[1] <= 20:
            raise ValueError(f"period_px is {self.period_px}: expected two of 4 to 20 px, in order")
