"""Data sets on disk: from file names to fingers and impressions.

It reads the FVC's flat folder of ``FINGER_IMPRESSION.ext``, which ``ifvit synth`` writes too, the
published sets of :mod:`ifvit.data.layouts`, one folder per finger, and a CSV manifest. A listing
depends on the names alone, never on the order in which the file system returns them.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ifvit.config import REFERENCE_PPI
from ifvit.data.formats import EXTENSIONS
from ifvit.data.layouts import LAYOUTS, Named, named_prints
from ifvit.data.manifest import read_manifest
from ifvit.data.names import check_no_division, check_one_finger, present, print_name
from ifvit.data.prints import Print, check_ppi

logger = logging.getLogger("ifvit")

KNOWN_PPI = {
    ("2002", "2"): 569,
    ("2004", "3"): 512,
    ("2006", "1"): 250,
    ("2006", "2"): 569,
}
"""Resolution of FVC sets not of 500 ppi, by year and data base, from the organisers' tables."""

_FVC_NAME = re.compile(r"([0-9]+)_([0-9]{1,4})")
"""An impression is a short number: 20240101_120000 is a date and a time of day."""

_FVC_YEAR = re.compile(r"fvc[ _-]?(20[0-9]{2})")
_FVC_BASE = re.compile(r"(?:fvc[ _-]?(20[0-9]{2})[ _-]*)?db[ _-]?([1-4])(?:[ _-]?[ab])?")


def read_dataset(root: str | Path, ppi: int | None = None) -> list[Print]:
    """List the prints under ``root``, sorted naturally by finger and impression.

    Tried in this order are FVC names, where finger and impression are numbers, so that ``01_2``
    and ``1_10`` are of the same finger; the names of published sets, in any folder below; one
    folder per finger, whose name is the finger and the file's name the impression. A ``root`` that
    is a ``.csv`` file is a manifest (:func:`ifvit.data.manifest.read_manifest`). ``ppi`` overrides
    the resolution that the name of the data set (:func:`known_ppi`) or of its files tells; without
    any it is 500. No image is opened here: see :func:`ifvit.data.store.read_canvases`.

    Raises FileNotFoundError where ``root`` does not exist, and ValueError where no layout is found,
    for two files of the same impression, for several data sets, and for an impossible ``ppi``.
    """
    root = Path(root)
    if root.is_file() and root.suffix.lower() == ".csv":
        prints = _sorted_without_duplicates(read_manifest(root, ppi))
        _say_what_was_found(root, prints)
        return prints
    if not root.exists():
        raise FileNotFoundError(
            f"no such folder of prints: {root}; check --dataset-root, or use 'synthetic'"
        )
    if not root.is_dir():
        raise ValueError(
            f"{root} is a file: expected a folder of prints, or a .csv; give the folder it is in"
        )
    found = _fvc_layout(root, _listing(root)[0])
    if not found:
        tree = _walk(root)
        found = _published_layout(root, tree) or _folder_layout(root, tree)
        if not found:
            raise ValueError(_unrecognised(root, tree))
    resolution = _resolution(root, ppi, next(iter(found)).ppi)
    name = Path(os.path.abspath(root)).name
    prints = _sorted_without_duplicates(
        [Print(name, one.finger, one.impression, one.path, resolution) for one in found]
    )
    _say_what_was_found(root, prints)
    return prints


def known_ppi(root: str | Path) -> int | None:
    """Look up the resolution of an FVC data set by its folder's name; None for any other.

    Recognises names such as ``fvc2004_db3_b`` and ``FVC2004/DB3_A``, the year in up to two folders
    above. Further words in the name (``db3_a_resized``) make it another data set.
    """
    # The name as given comes first; a link may be called anything, so then what it points to.
    for path in (Path(os.path.abspath(root)), Path(root).resolve()):
        *above, last = (part.lower() for part in path.parts[-3:])
        base = _FVC_BASE.fullmatch(last)
        if base is None:
            continue
        years = [base[1]] if base[1] else _FVC_YEAR.findall("/".join(above))
        if years:
            return KNOWN_PPI.get((years[-1], base[2]), REFERENCE_PPI)
    return None


def split_fingers(
    prints: Sequence[Print], holdout: int, seed: int
) -> tuple[list[Print], list[Print]]:
    """Divide prints into training and validation, which gets ``holdout`` whole fingers.

    The division depends on the fingers' names and ``seed`` only, and both lists are sorted
    naturally. Raises ValueError where no finger would be left to train on.
    """
    fingers = sorted({(p.dataset, p.finger) for p in prints})
    if not 0 <= holdout < len(fingers):
        raise ValueError(
            f"cannot hold out {holdout} of {len(fingers)} fingers: expected fewer than there are; "
            "set --val-fingers, which is 2 at least, or give more fingers"
        )
    order = np.random.default_rng(seed).permutation(len(fingers))
    held = {fingers[i] for i in order[:holdout]}
    ordered = sorted(prints, key=_natural_order)
    train = [p for p in ordered if (p.dataset, p.finger) not in held]
    return train, [p for p in ordered if (p.dataset, p.finger) in held]


Tree = dict[Path, list[Path]]
"""A folder and all folders below it, each with its images; sorted."""


def _walk(root: Path) -> Tree:
    """List a whole tree in one pass, which asks the file system for nothing but the names.

    Links to folders are followed, each folder once.
    """
    found, seen, to_see = Tree(), set[Path](), [root]
    while to_see:
        folder = to_see.pop()
        real = folder.resolve()
        if real not in seen:
            seen.add(real)
            found[folder], below = _listing(folder)
            to_see += reversed(below)
    return dict(sorted(found.items()))


def _listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images in a folder, and the folders; sorted."""
    with os.scandir(folder) as entries:
        listed = present(entries)
    images = sorted(Path(entry.path) for entry in listed if _is_image(entry))
    return images, sorted(Path(entry.path) for entry in listed if entry.is_dir())


def _is_image(entry: os.DirEntry) -> bool:
    # Names with a leading dot are the remains of other systems (macOS writes ._101_1.tif).
    return entry.name.lower().endswith(EXTENSIONS) and entry.name[0] != "." and entry.is_file()


def _fvc_layout(root: Path, images: list[Path]) -> list[Named]:
    """Read a flat folder, numbers without leading zeros."""
    found, others = [], []
    for path in images:
        match = _FVC_NAME.fullmatch(path.stem)
        if match:
            found.append(Named(str(int(match[1])), str(int(match[2])), path, None))
        elif path.stem != "contact_sheet":  # an overview that `ifvit synth` puts beside its prints
            others.append(path.name)
    if found and others:
        logger.warning(
            "%s: left out %d images not named FINGER_IMPRESSION (%s)",
            *(root, len(others), ", ".join(others[:5]) + (", …" if len(others) > 5 else "")),
        )
    return found


def _published_layout(root: Path, tree: Tree) -> list[Named]:
    """Read the names of a published data set, in any folder."""
    images = sorted(path for images in tree.values() for path in images)
    found, left_out = named_prints(root, images)
    if found and left_out:
        logger.warning("%s: left out %d images that are no single known finger", root, left_out)
    return found


def _folder_layout(root: Path, tree: Tree) -> list[Named]:
    """Read one folder per finger, names as they are."""
    found, folders = [], [folder for folder in _fingers(root, tree) if tree[folder]]
    check_no_division(root, folders)
    for folder in folders:
        images = tree[folder]
        fingers = {m[1].lstrip("0") for p in images if (m := _FVC_NAME.fullmatch(p.stem))}
        if len(fingers) > 1:
            # Read as a finger, a whole data set would become one identity, and nobody would notice.
            raise ValueError(
                f"{root} holds several data sets: {folder.name} has the FVC-named prints of "
                f"{len(fingers)} fingers; give one of them, such as {folder}"
            )
        check_one_finger(folder, images)
        found += [Named(folder.name, path.stem, path, None) for path in images]
    return found


def _fingers(root: Path, tree: Tree) -> list[Path]:
    return [folder for folder in tree if folder.parent == root and folder.name[0] != "."]


def _unrecognised(root: Path, tree: Tree) -> str:
    images, folders = [path.name for path in tree[root]], _fingers(root, tree)
    example = f" (such as {images[0]})" if images else ""
    published = ", ".join(f"{layout.example} ({layout.name})" for layout in LAYOUTS)
    return (
        f"no prints recognised in {root}: looked for FINGER_IMPRESSION images such as 101_1.tif "
        f"({', '.join(EXTENSIONS)}), for {published}, and for one folder of images per finger; "
        f"found {len(images)} images{example} and {len(folders)} folders; rename the files, give "
        "the folder that holds them, or list them in a .csv (docs/data.md)"
    )


def _resolution(root: Path, ppi: int | None, named: int | None) -> int:
    """Return the resolution: as asked, by the files' names, or by the data set's."""
    known = known_ppi(root) if named is None else named
    if ppi is None:
        return REFERENCE_PPI if known is None else known
    check_ppi(ppi)
    if known is not None and known != ppi:
        logger.warning("%s is known to be of %d ppi; read at %d ppi as asked", root, known, ppi)
    return ppi


def _sorted_without_duplicates(prints: list[Print]) -> list[Print]:
    seen: dict[tuple[str, str, str], Print] = {}
    for item in prints:
        other = seen.setdefault((item.dataset, item.finger, item.impression), item)
        if other is not item:
            raise ValueError(
                f"{other.path} and {item.path} are both impression {item.impression} of finger "
                f"{item.finger}: expected one file each; remove or rename one"
            )
    return sorted(prints, key=_natural_order)


def _say_what_was_found(root: Path, prints: Sequence[Print]) -> None:
    counts = Counter((p.dataset, p.finger) for p in prints).values()
    few, many = min(counts), max(counts)
    logger.info(
        "%s: %d fingers × %s prints at %d ppi, such as %s of finger %s",
        *(root, len(counts), few if few == many else f"{few} to {many}", prints[0].ppi),
        *(print_name(prints[0], root), prints[0].finger),
    )


def _natural_order(item: Print) -> tuple:
    return (item.dataset, _natural(item.finger), _natural(item.impression))


def _natural(name: str) -> tuple:
    """Return a sort key in which 2 comes before 10 and, the number being equal, 1 before 01."""
    parts = [part for part in re.split(r"([0-9]+)", name) if part]
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts)
    return (key, len(name), name)
