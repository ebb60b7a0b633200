"""Trees of many naming schemes: the right number of fingers, or refused; never another number."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.data.names import finger_in, warn_of_doubles
from ifvit.data.prints import fingers_in, warn_of_several
from ifvit.data.readers import read_dataset
from ifvit.data.tags import tagged_ppi, warn_of_tags

WORDS = [f"{hand}_{finger}" for hand in ("left", "right") for finger in ("thumb", "index", "ring")]
PEOPLE, KEPT = 3, 2

Scheme = Callable[[int, int, int], str]
"""Person, finger and impression to a path below the root."""

SCHEMES: dict[str, Scheme] = {
    "fvc": lambda p, f, i: f"{p * 6 + f + 1}_{i + 1}.png",
    "fvc with zeros": lambda p, f, i: f"{p * 6 + f + 1:03}_{i + 1}.png",
    "folder a finger": lambda p, f, i: f"p{p}_{WORDS[f]}/{i}.png",
    "folder a finger, dated": lambda p, f, i: f"p{p}_{WORDS[f]}/2024010{i + 1}_120000.png",
    "folder a person, words": lambda p, f, i: f"person{p}/{WORDS[f]}_{i}.png",
    "folder a person, one word": lambda p, f, i: (
        f"person{p}/{WORDS[f].title().replace('_', '')}{i}.png"
    ),
    "folder a person, codes": lambda p, f, i: (
        f"person{p}/{'LR'[f // 3]}{'TIR'[f % 3]}{'_' * 1}{i}.png"
    ),
    "folder a person, numbered": lambda p, f, i: f"person{p}/finger{f}_{i}.png",
    "folder a person, short": lambda p, f, i: f"person{p}/f{f + 1:02}_s{i}.png",
    "folder a person, dashes": lambda p, f, i: f"person{p}/{f + 1}-{i + 1}.png",
    "folder a person, points": lambda p, f, i: f"person{p}/{f + 1}.{i + 1}.png",
    "folder a person, hand and number": lambda p, f, i: (
        f"person{p}/{'LR'[f // 3]}{f % 3 + 1}_{i}.png"
    ),
    "folder a person, last": lambda p, f, i: f"person{p}/scan{i}_{WORDS[f].replace('_', '-')}.png",
    "folder a finger, session and impression": lambda p, f, i: (
        f"p{p}_{WORDS[f]}/session{i % 2}_{i}.png"
    ),
    "folder a finger, serial": lambda p, f, i: (
        f"p{p}_{WORDS[f]}/IMG_{2000 + 60 * p + 7 * f + i}.png"
    ),
    "folder a finger, its own number": lambda p, f, i: f"{7 * p + f}/{7 * p + f}_{i}.png",
    "folder a person, three numbers": lambda p, f, i: f"{p}/{p}_{f}_{i}.png",
    "folder a person, MCYT": lambda p, f, i: f"{p:04}/dp_{p:04}_{f}_{i}.bmp",
    "folder a person, Spanish": lambda p, f, i: (
        f"{p}/{('derecho', 'izquierdo')[f // 3]}_{('pulgar', 'anular', 'medio')[f % 3]}_{i}.png"
    ),
    "folder a person, Chinese": lambda p, f, i: f"{p}/{'左右'[f // 3]}{'拇食中'[f % 3]}指_{i}.png",
    "folder a person, letters": lambda p, f, i: f"person{p}/{'abcdef'[f]}{i}.png",
    "folder a person, as one word": lambda p, f, i: (
        f"person{p}/{p:03}{WORDS[f].replace('_', '').upper()}{i}.png"
    ),
    "folder a person, one impression": lambda p, f, i: (
        f"person{p}{i}/{WORDS[f].replace('_', '')}.png"
    ),
    "flat three numbers": lambda p, f, i: f"{p}_{f}_{i}.png",
    "flat PLUS": lambda p, f, i: f"PLUS_{p:03}_{f + 1:02}_{i:02}.png",
    "folders of gallery and probe": lambda p, f, i: f"{('gallery', 'probe')[i]}/{6 * p + f}.png",
    "folders of sessions": lambda p, f, i: f"session{i + 1}/{6 * p + f}.png",
    "folders of folders": lambda p, f, i: f"person{p}/{WORDS[f]}/{i}.png",
    "flat words": lambda p, f, i: f"person{p}_{WORDS[f]}_{i}.png",
    "published": lambda p, f, i: (
        f"{p + 100}__M_{WORDS[f].capitalize()}_finger_{'CR' if i else 'Obl'}.BMP"
    ),
}


def tree(root: Path, scheme: Scheme, people: int = PEOPLE) -> None:
    for person in range(people):
        for finger in range(6):
            for impression in range(KEPT):
                path = root / scheme(person, finger, impression)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("place", ["root", "one above", "one below"])
def test_the_right_number_of_fingers_or_none(tmp_path, name, place):
    root = tmp_path / "above" / "set"
    tree(root, SCHEMES[name])
    given, fingers = root, 6 * PEOPLE
    if place == "one above":
        given = root.parent
    elif place == "one below":
        folders = sorted(path for path in root.iterdir() if path.is_dir())
        if not folders:
            pytest.skip("no folder below")
        # All below a person's folder are that person's; below a finger's there is one finger.
        given, fingers = folders[0], 1 if name.startswith("folder a finger") else 6
    try:
        prints = read_dataset(given)
    except ValueError as error:
        assert len(str(error)) < 900 and (".csv" in str(error) or "several data sets" in str(error))
        if place == "root":
            assert name.startswith(("folder a person", "folders of", "flat"))
        return
    assert len({(p.dataset, p.finger) for p in prints}) == fingers
    assert len(prints) == fingers * KEPT


@pytest.mark.parametrize(
    "shape", ["{h}{f}", "{h}{f}2", "a_{h}{f}_1", "{f}{h}3", "lt_{f}", "007{h}{f}1"]
)
@pytest.mark.parametrize("turn", [str.lower, str.upper])
@pytest.mark.parametrize("finger", ["thumb", "index", "middle", "ring", "little"])
def test_fingers_are_told_apart_in_words_written_as_one(finger, turn, shape):
    assert finger_in(turn(shape.format(h="left", f=finger))) == f"left {finger}"


@pytest.mark.parametrize("hand", ["left", "Left", "LEFT", "L", "lh", "l"])
@pytest.mark.parametrize("finger", ["thumb", "Index", "MIDDLE", "ring", "little", "pinky"])
@pytest.mark.parametrize(
    "shape", ["{h}_{f}", "{f}-{h}", "{h} {f} 2", "a17_{h}_{f}_1", "scan3.{h}.{f}"]
)
def test_fingers_are_told_apart_in_words(hand, finger, shape):
    found = finger_in(shape.format(h=hand, f=finger))
    assert found == f"left {finger.lower().replace('pinky', 'little')}"


@pytest.mark.parametrize(
    "stem", ["1", "scan", "20240101_120000", "IMG_0001", "session2", "a", "good", "print 3"]
)
def test_what_carries_no_finger_is_not_taken_for_one(stem):
    assert finger_in(stem) is None


@pytest.mark.parametrize("scheme", ["fvc", "folder a finger"])
def test_what_was_found_is_said_first(tmp_path, caplog, scheme):
    """With a name that says which of many files called ``0.png`` it is."""
    tree(tmp_path, SCHEMES[scheme])
    with caplog.at_level(logging.INFO, "ifvit"):
        first = read_dataset(tmp_path)[0]
    name = first.path.relative_to(tmp_path).as_posix()
    assert f"18 fingers × 2 prints at 500 ppi, such as {name} of finger {first.finger}" in (
        caplog.text
    )


def test_one_file_under_two_fingers_is_named(tmp_path, caplog):
    tree(tmp_path, SCHEMES["fvc"])
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        path.write_bytes(f"{number:03}".encode())
    warn_of_doubles(read_dataset(tmp_path))
    assert not caplog.records
    (tmp_path / "5_1.png").write_bytes((tmp_path / "2_2.png").read_bytes())
    (tmp_path / "7_1.png").write_bytes((tmp_path / "7_2.png").read_bytes())
    warn_of_doubles(read_dataset(tmp_path))
    assert (
        "2_2.png and" in caplog.text
        and "5_1.png are the same file, listed as two fingers" in caplog.text
    )
    assert "listed as two impressions" in caplog.text and len(caplog.records) == 2


@pytest.mark.parametrize("fingers", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("second", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("ppi", [250, 500, 1000])
def test_several_fingers_in_one_image_are_counted(caplog, fingers, second, ppi):
    """Ovals of ridges beside each other, the first the largest; small ones are dirt."""
    factor = ppi / 500
    y, x = np.mgrid[: int(200 * factor), : int(160 * 4 * factor)] / factor
    image = np.ones(y.shape, np.float32)
    for number in range(fingers):
        size = 1.0 if number == 0 else second**0.5
        oval = np.hypot((x - 80 - 160 * number) / 55, (y - 100) / 80) < size
        ridges = 0.5 + 0.4 * np.cos(2 * np.pi * np.hypot(x - 90, y - 60) / 9)
        image = np.where(oval, ridges, image).astype(np.float32)
    expected = fingers if second > 0.4 else min(fingers, 1)
    assert fingers_in(image, ppi) == expected
    warn_of_several(fingers_in(image, ppi), "slap.png")
    assert len(caplog.records) == (expected > 1)
    if expected > 1:
        assert f"slap.png shows {fingers} areas of ridges" in caplog.text


@pytest.mark.parametrize("kind", ["png", "tif", "bmp", "jpg"])
@pytest.mark.parametrize("tag", [1, 72, 96, 250, 500, 505, 569, 1000, 9000])
@pytest.mark.parametrize("used", [None, 500, 1000])
def test_a_tag_that_differs_is_worth_one_warning(tmp_path, caplog, kind, tag, used):
    paths = [tmp_path / f"{n}.{kind}" for n in range(3)]
    for path in paths:
        Image.fromarray(np.zeros((70, 70), np.uint8)).save(path, dpi=(tag, tag))
    plausible = 100 <= tag <= 4000
    found = tagged_ppi(paths[0])
    assert (found is not None and abs(found - tag) < 1) if plausible else found is None
    warn_of_tags((path, used) for path in paths)
    differs = plausible and abs(tag / (used or 500) - 1) > 0.05
    assert len(caplog.records) == differs
    if differs:
        assert f"says {tag} ppi and is read at {used or 500} (and 2 more)" in caplog.text
