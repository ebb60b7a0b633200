from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.comparison.result import MatchResult
from ifvit.features.coder import Template
from ifvit.geometry.transforms import apply, similarity
from ifvit.registration.alignment import Alignment
from ifvit.viz.matches import draw_match
from ifvit.viz.sheet import contact_sheet

TEMPLATE = Template(
    cells=np.zeros((8, 8, 8), np.int8),
    mask=np.zeros((8, 8), bool),
    index=np.zeros(8, np.int8),
    core=(64.0, 50.0),
    rotation=20.0,
    confidence=0.9,
)


def result(count: int = 30) -> MatchResult:
    rng = np.random.default_rng(0)
    H = similarity(20.0, (64.0, 64.0))
    points0 = rng.uniform(20, 108, (count, 2))
    alignment = Alignment(
        ok=True,
        reason="",
        H_0to1=H,
        points0=points0,
        points1=apply(H, points0),
        confidence=rng.random(count).astype(np.float32),
        inliers=rng.random(count) > 0.3,
        angle=20.0,
    )
    image = rng.random((128, 128)).astype(np.float32)
    return MatchResult(
        status="ok",
        reason="",
        score=0.5,
        map_score=0.5,
        index_score=0.5,
        ridge_ncc=0.5,
        coverage=0.5,
        num_matches=count,
        num_inliers=alignment.num_inliers,
        alignment=alignment,
        image0=image,
        image1=image,
        templates=(TEMPLATE, TEMPLATE),
        name0="a.png",
        name1="b.png",
    )


def test_a_result_says_whether_its_rate_is_known() -> None:
    unknown, known = result().summary(), replace(result(), fmr=0.001).summary()
    assert "FMR unknown, as these weights are not calibrated" in unknown
    assert "FMR ≤ 0.1 %" in known and "calibrated" not in known


def test_a_match_is_drawn_and_written(tmp_path: Path) -> None:
    picture = draw_match(result(), tmp_path / "new" / "match.png")
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    with Image.open(tmp_path / "new" / "match.png") as written:
        assert written.size == (picture.shape[1], picture.shape[0])
    # The lines are coloured, the prints are grey.
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    assert 0.01 < coloured.mean() < 0.5
    np.testing.assert_array_equal(draw_match(result()), picture)


@pytest.mark.parametrize("count", [0, 5])
def test_a_failed_match_is_drawn_too(count: int) -> None:
    found = result(count)
    failed = replace(
        found,
        status="not_aligned",
        reason="the prints cannot be aligned: too few",
        score=-1.0,
        alignment=replace(found.alignment, ok=False, reason="too few"),
    )
    assert draw_match(failed).std() > 10


def test_contact_sheet_shows_each_pixel_as_it_is(tmp_path: Path) -> None:
    images = [np.full((20, 10), level, np.float32) for level in (0.0, 0.4, 0.8)]
    sheet = contact_sheet(images, ["a", "b", "c"], tmp_path / "sheet.png", columns=2)
    grey = sheet[..., 0]
    for level in (102, 204):
        assert (np.abs(grey.astype(int) - level) <= 1).sum() >= 200
    with Image.open(tmp_path / "sheet.png") as written:
        np.testing.assert_array_equal(np.asarray(written.convert("RGB")), sheet)


def test_contact_sheet_without_images_or_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="0 labels for 0 images"):
        contact_sheet([], [])
    with pytest.raises(ValueError, match="1 labels for 2 images"):
        contact_sheet([np.ones((8, 8), np.float32)] * 2, ["a"])


NAMES = [
    *("$$.png", "$x.png", "a$b$c.png", r"\frac{1}.png", "_^{}.png", "$\\frac{$.png"),
    *("é.png", "指.png", "\udcff.png", "tab\t.png", "percent%s.png", "a" * 300, ""),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_whatever_it_holds(name: str, tmp_path: Path) -> None:
    """No formula, no missing sign and no byte stops a picture after the whole match."""
    draw_match(replace(result(), name0=name, name1="b.png"), tmp_path / "match.png")
    contact_sheet([np.ones((50, 60))], [name], tmp_path / "sheet.png")


@pytest.mark.parametrize("ending", ["png", "PNG", "jpg", "jpeg", "tif", "tiff"])
def test_a_picture_of_another_origin_is_kept_aside(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"holiday.{ending}"
    Image.new("RGB", (80, 80)).save(path)
    foreign = path.read_bytes()
    for _ in range(3):
        draw_match(result(), path)
    assert (tmp_path / f"holiday.1.{ending}").read_bytes() == foreign
    assert len(list(tmp_path.iterdir())) == 2
    with Image.open(path) as image:
        assert image.width > 1000


@pytest.mark.parametrize("name", ["m", "m.xyz", "m.txt", "m.pdf", "m.webp", "m.", "png"])
def test_a_name_that_no_picture_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a name that ends in \.png"):
        draw_match(result(), tmp_path / name)
    assert not list(tmp_path.iterdir())
