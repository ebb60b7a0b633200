"""The stages of a match, drawn from the example prints by the weights that ship."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ifvit
from ifvit.cli import main
from ifvit.viz import stages

A, B, OTHER, _ = map(str, ifvit.example_prints())


def test_a_match_writes_a_picture_for_each_stage(tmp_path, capsys, caplog):
    out = tmp_path / "new" / "stages"
    assert main(["match", A, OTHER, B, "--json", "--stages", str(out)]) == 0
    names = [f"{number}_{stage}.png" for number, stage in enumerate(stages.STAGES, start=1)]
    assert sorted(path.name for path in out.iterdir()) == names
    for path in out.iterdir():
        with Image.open(path) as picture:
            assert np.asarray(picture).std() > 10, path.name
    # What is printed stays JSON alone; what is drawn is of the best candidate.
    assert all(line.startswith("{") for line in capsys.readouterr().out.splitlines())
    assert "8 pictures" in caplog.text


def test_a_folder_that_cannot_be_is_refused_before_the_match(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["match", A, B, "--stages", str(tmp_path / "file")]) == 2
    said = capsys.readouterr()
    assert "--stages" in said.err and not said.out


@pytest.mark.parametrize("other, agree", [(B, True), (OTHER, False)])
def test_the_cells_of_one_finger_agree(other, agree):
    """The cosines that are drawn are those that the score is the shrunk mean of."""
    result = ifvit.match(A, other)
    cosines = stages._agreement(result)
    shown = np.isfinite(cosines)
    mean = np.nansum(cosines) / (shown.sum() + 24)
    assert mean == pytest.approx(result.map_score, abs=2e-3)
    assert (mean > 0.5) == agree


def test_like_cells_have_like_colours_and_what_is_masked_is_white():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(4, 4, 8)).astype(np.float32)
    mask = rng.random((4, 4)) > 0.3
    first, second = stages._colours([cells, cells[::-1]], [mask, mask[::-1]])
    np.testing.assert_array_equal(first[::-1], second)
    assert (first[~mask] == 1).all() and first[mask].std() > 0.1
