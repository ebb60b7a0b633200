"""Templates on disk: of fixed length, one row for each print, compared without the prints.

The file is an ``.npz`` of plain arrays: ``names`` (P,), ``cells`` (P, h, w, K) int8, the dense
maps, ``mask`` (P, h, w) bool, which of their cells show ridges, ``index`` (P, E) int8, the index
vectors, and the text ``ifvit``, which names the Module 2 that made them. With a map of
20 × 20 cells and E = 256 a template is 3,506 bytes: 3,200 of cells, 50 of mask and 256 of index.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int8

from ifvit.archives import read_arrays
from ifvit.comparison.print_similarity import map_similarity, unit_index
from ifvit.features.coder import INT8, Template
from ifvit.files import write_result
from ifvit.matcher import Matcher
from ifvit.texts import parse_json

logger = logging.getLogger("ifvit")

VERSION = 2
"""Version of the file. Version 1 held embeddings of pairs, which can no longer be compared."""

Stage = Literal["index", "map"]
"""The part of a template that is compared: index vectors, millions a second, or dense maps."""

LOW_QUALITY = 40.0
"""Quality, of 0 to 100, below which a template is hardly found again."""

UNIT = 0.03
"""How far from 1 the length of a cell may be: eight numbers, each rounded to a 127th."""

FEW = 1024
"""Templates that are checked at once."""

EXPECTED = "templates, the .npz that `ifvit embed` writes"


@dataclass(frozen=True, eq=False)
class Templates:
    """Templates of P prints, made by one Module 2 (:class:`ifvit.features.coder.Template`)."""

    names: tuple[str, ...]
    cells: Int8[np.ndarray, "P h w K"]
    mask: Bool[np.ndarray, "P h w"]
    index: Int8[np.ndarray, "P E"]
    matcher_sha256: str

    def __len__(self) -> int:
        """Return the number of prints."""
        return len(self.names)

    @property
    def bytes_each(self) -> int:
        """Return the size of one template in bytes: the mask takes one bit for each cell."""
        cells, mask = self.cells[0], self.mask[0]
        return cells.nbytes + -(-mask.size // 8) + self.index[0].nbytes


def templates_of(names: Sequence[str], made: Sequence[Template], sha256: str) -> Templates:
    """Put templates of one Module 2 together; raises ValueError where there are none."""
    if not made:
        raise ValueError("no templates: expected at least one print")
    cells, mask, index = (
        np.stack([getattr(one, part) for one in made]) for part in ("cells", "mask", "index")
    )
    return Templates(tuple(names), cells, mask, index, sha256)


def embed_files(
    matcher: Matcher, paths: Sequence[str | Path], ppi: int | None = None
) -> tuple[Templates | None, list[str]]:
    """Make the templates of prints in files; return them, and the names of prints without one.

    A template is named by its path as it was given, since two folders can hold the same names.
    ``ppi`` is the prints' resolution, 500 if not given. A print that cannot be read leads to a
    warning; where none can be read, the templates are None. One print is in memory at a time.
    Raises ValueError for a path that is given twice.
    """
    check_names(paths)
    made, names, unreadable = [], [], []
    for path in paths:
        try:
            features = matcher.extract(path, ppi)
        except (ValueError, OSError) as error:
            logger.warning("skipping %s: %s", path, error)
            unreadable.append(str(path))
            continue
        made.append(matcher.coder.template(features))
        if made[-1].quality < LOW_QUALITY:
            logger.warning(
                "%s has a quality of %.0f of 100, and may not be found again: scan it again",
                *(path, made[-1].quality),
            )
        names.append(str(path))
    sha256 = matcher.decision.matcher_sha256
    return (templates_of(names, made, sha256) if made else None), unreadable


def check_names(paths: Sequence[str | Path]) -> None:
    """Raise ValueError for a path that is given twice: its templates could not be told apart."""
    known: dict[str, str | Path] = {}
    for path in paths:
        if (name := os.path.normpath(path)) in known:
            raise ValueError(f"{path} is given twice ({known[name]}): give each print once")
        known[name] = path


def template_scores(
    templates0: Templates, templates1: Templates, stage: Stage = "map"
) -> Float[np.ndarray, "P Q"]:
    """Return the similarity of every template of one set with every one of another, in [-1, 1].

    It is symmetric, and takes matrix products only. Raises ValueError where different weights made
    the two sets.
    """
    if templates0.matcher_sha256 != templates1.matcher_sha256:
        raise ValueError(
            f"templates of different weights cannot be compared: made by Module 2 "
            f"{templates0.matcher_sha256[:12]} and {templates1.matcher_sha256[:12]}; embed the "
            "prints of one of them again"
        )
    if stage == "index":
        return np.asarray(unit_index(templates0.index) @ unit_index(templates1.index).T)
    cells0, cells1 = (one.cells.astype(np.float32) / INT8 for one in (templates0, templates1))
    return np.asarray(map_similarity(cells0, templates0.mask, cells1, templates1.mask))


def template_file(templates: Templates) -> bytes:
    """Return the bytes of a file of templates, an .npz."""
    record = {"version": VERSION, "matcher_sha256": templates.matcher_sha256}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ifvit=np.array(json.dumps(record)),
        names=np.array(templates.names, dtype=str),
        cells=templates.cells,
        mask=templates.mask,
        index=templates.index,
    )
    return buffer.getvalue()


def save_templates(path: str | Path, templates: Templates) -> None:
    """Write templates, whole or not at all."""
    write_result(path, template_file(templates), b"ifvit.npy")


def load_templates(path: str | Path) -> Templates:
    """Read templates; raises FileNotFoundError, and ValueError for a file of another kind."""
    arrays = read_arrays(path, EXPECTED)
    try:
        record = parse_json(str(arrays["ifvit"]))
        if "embeddings" in arrays:
            raise ValueError("templates of an earlier ifvit: embed the prints again")
        return _checked(arrays, record)
    except KeyError as error:
        raise ValueError(f"{path} cannot be read (no {error}): expected {EXPECTED}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected {EXPECTED}") from error


def _checked(arrays: dict[str, np.ndarray], record: dict[str, Any]) -> Templates:
    """Return templates that can be compared: unit vectors in their cells, none elsewhere."""
    names, cells, mask, index = (arrays[part] for part in ("names", "cells", "mask", "index"))
    shapes = f"names {names.shape}, cells {cells.shape}, mask {mask.shape}, index {index.shape}"
    count = names.size
    fits = names.ndim == 1 and cells.ndim == 4 and index.ndim == 2 and mask.shape == cells.shape[:3]
    if not fits or len(cells) != count or len(index) != count or 0 in (*cells.shape, *index.shape):
        raise ValueError(shapes)
    kinds = names.dtype.kind, cells.dtype, mask.dtype, index.dtype
    if kinds != ("U", np.dtype(np.int8), np.dtype(bool), np.dtype(np.int8)):
        raise ValueError(f"arrays of {', '.join(map(str, kinds))}")
    for start in range(0, count, FEW):  # all at once they would take many times their size
        few = slice(start, start + FEW)
        lengths = np.linalg.norm(cells[few].astype(np.float32) / INT8, axis=-1)
        if not (np.abs(lengths - mask[few]) <= UNIT).all():
            raise ValueError("cells that are no unit vectors")
    # Of a print whose pose shows no ridges nothing is known, and its vector may be 0.
    scaled = np.abs(index.astype(np.int16)).max(axis=1) == INT8
    if not (scaled | ~mask.any(axis=(1, 2))).all():
        raise ValueError("index vectors that are not scaled to 127")
    if set(record) != {"version", "matcher_sha256"} or record["version"] != VERSION:
        raise ValueError(
            f"a record of {', '.join(sorted(record))}, version {record.get('version')}"
        )
    if not isinstance(record["matcher_sha256"], str):
        raise ValueError("no sha256 of Module 2")
    if len(set(names.tolist())) < count:
        raise ValueError("two prints of one name")
    return Templates(tuple(map(str, names)), cells, mask, index, record["matcher_sha256"])
