"""What the demo shows first; the whole of it is run by ``make demo-check``."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ifvit import demo


def test_the_first_thing_is_a_match_by_the_weights_that_ship(tmp_path, monkeypatch, capsys):
    """With its picture, before anything is made or trained: what follows takes minutes."""

    def enough(*_):
        raise InterruptedError

    monkeypatch.setattr(demo, "make_test_prints", enough)
    with pytest.raises(InterruptedError):
        demo.demo(tmp_path / "demo")
    said = capsys.readouterr().out
    assert "one finger: score 0." in said and "two fingers: score 0." in said
    assert "demo/match_shipped.png" in said.replace("\\", "/")
    with Image.open(tmp_path / "demo" / "match_shipped.png") as picture:
        pixels = np.asarray(picture)
    half = len(pixels) // 2
    # A genuine pair above, with many bright lines; an impostor pair below.
    coloured = [np.ptp(part.astype(int), axis=2) > 60 for part in (pixels[:half], pixels[half:])]
    assert coloured[0].mean() > 1.5 * coloured[1].mean() > 0


def test_each_step_says_what_comes_and_how_long_it_takes(capsys):
    demo._say(2, "making prints", "20 s")
    assert capsys.readouterr().out == "[2/6] making prints (about 20 s)\n"
