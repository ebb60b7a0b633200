"""Example prints: two synthetic impressions of each of two fingers.

They belong to no person, and were never trained on. ``ifvit synth --fingers 4 --impressions 3
--seed 11 --people`` made them: impressions 2 and 3 of its second finger, 1 and 3 of its third.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("example_prints")


def example_prints() -> tuple[Path, Path, Path, Path]:
    """Return four prints at 500 ppi: two of one finger, and then two of another."""
    first, second, third, fourth = (
        FOLDER / f"{finger}_{impression}.png" for finger in (1, 2) for impression in (1, 2)
    )
    return first, second, third, fourth
