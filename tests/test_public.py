"""The public face: what ``import ifvit`` gives, and that it costs nothing until it is used."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ifvit
from ifvit.cli import main
from ifvit.weights import pretrained


@pytest.fixture
def prints(exported, print_folder, tmp_path, monkeypatch) -> list[Path]:
    """Two prints, and quickly trained weights in place of those that ship."""
    shutil.copytree(exported, tmp_path / "shipped")
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "shipped")
    return [print_folder / name for name in ("1_1.png", "1_2.png")]


def test_the_import_loads_no_numeric_library() -> None:
    code = (
        "import sys, ifvit; "
        "heavy = {'jax', 'numpy', 'cv2', 'flax', 'PIL'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'match' in dir(ifvit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_that_is_promised_is_there() -> None:
    for name in ifvit.__all__:
        assert getattr(ifvit, name) is not None
    assert ifvit.load == ifvit.from_pretrained
    assert list(ifvit.list_weights()) == ["small"]
    assert ifvit.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'mach'"):
        _ = ifvit.mach


def test_a_print_in_memory_matches_as_its_file(prints) -> None:
    expected = ifvit.match(*prints)
    arrays = [np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in prints]
    assert (expected.name0, expected.name1) == ("1_1.png", "1_2.png")
    for first, second in (arrays, [path.read_bytes() for path in prints]):
        found = ifvit.match(first, second)
        assert (found.name0, found.name1) == ("print 0", "print 1")
        assert found.score == expected.score
        np.testing.assert_array_equal(found.alignment.H_0to1, expected.alignment.H_0to1)
    many = ifvit.match(prints[0], [prints[1], prints[0]])
    assert [one.name1 for one in many] == ["1_2.png", "1_1.png"]
    assert many[0].to_json() == expected.to_json()
    registered = ifvit.register(*arrays)
    np.testing.assert_array_equal(registered.alignment.H_0to1, expected.alignment.H_0to1)
    with pytest.raises(ValueError, match="no fingerprint found in print 1"):
        ifvit.match(arrays[0], np.full((200, 200), 0.5))


def test_each_print_has_its_own_resolution(prints, tmp_path, capsys) -> None:
    expected = ifvit.match(*prints)
    with Image.open(prints[0]) as image:
        large = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
    found = ifvit.match(np.asarray(large), prints[1], ppi=(1000, 500))
    # The same print to within what resampling does: results are in pixels at 500 ppi.
    assert found.image0.shape == expected.image0.shape
    assert found.image1.shape == expected.image1.shape
    large.save(tmp_path / "large.png")
    paths = [str(tmp_path / "large.png"), str(prints[1])]
    assert main(["match", *paths, "--ppi", "1000", "500", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(found.score, abs=1e-6)
