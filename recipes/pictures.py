"""Draw the pictures of the documents: ``python recipes/pictures.py`` (a few seconds).

All are of the synthetic prints in the package, matched by the weights that ship: a genuine and an
impostor match (``docs/img/match.jpg``), and every stage of the genuine one (``docs/img/stages``).
Run it again where weights or pictures change.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import ifvit
from ifvit.viz.figures import save
from ifvit.viz.matches import draw_match
from ifvit.viz.stages import draw_stages

IMAGES = Path(__file__).parents[1] / "docs" / "img"
WIDTH = 1000
"""Most pixels across: enough for a page, and a tenth of the bytes."""


def main(out: Path = IMAGES) -> None:
    """Draw all of them into a folder."""
    matcher = ifvit.load()
    print0, print1, other, _ = (matcher.extract(path) for path in ifvit.example_prints())
    pairs = [matcher.match(print0, one) for one in (print1, other)]
    save(reduced(np.concatenate([draw_match(pair) for pair in pairs])), out / "match.jpg")
    with tempfile.TemporaryDirectory() as folder:
        for path in draw_stages(matcher, (print0, print1), folder, pairs[0]):
            keep(path, out / "stages" / f"{path.stem}.jpg")
        overlay = draw_stages(matcher, (print0, other), folder, pairs[1])[3]
        keep(overlay, out / "stages" / "impostor_overlay.jpg")


def keep(path: Path, to: Path) -> None:
    """Write a picture smaller."""
    with Image.open(path) as picture:
        save(reduced(np.asarray(picture.convert("RGB"))), to)


def reduced(picture: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) at most :data:`WIDTH` pixels wide."""
    height, width = picture.shape[:2]
    if width <= WIDTH:
        return picture
    size = WIDTH, round(height * WIDTH / width)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
