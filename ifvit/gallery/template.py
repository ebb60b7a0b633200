"""Stand-alone templates on disk: fixed length, one row a print, compared without the prints.

The file is an ``.npz`` of plain arrays: ``names`` (P,), ``embeddings`` (P, 2, E) float32, the
global and the local unit vector of each print, and the text ``ifvit``, which says by which Module 2
they were made. With E = 256 a template is 2,048 bytes.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ifvit.archives import read_arrays
from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import warn_of_several
from ifvit.files import write_result
from ifvit.matcher import Matcher
from ifvit.texts import parse_json

logger = logging.getLogger("ifvit")

UNIT = 1e-3
"""How far from 1 the length of a unit vector may be, for files in half precision too."""

EXPECTED = "templates, the .npz that `ifvit embed` writes"


@dataclass(frozen=True)
class Templates:
    """Templates of P prints, made by one Module 2."""

    names: tuple[str, ...]
    embeddings: Float[np.ndarray, "P 2 E"]
    """Global and local unit embedding of each print."""
    matcher_sha256: str
    fusion_global: float
    """Weight of the global score, that of the local one being the rest."""

    def __len__(self) -> int:
        """Return the number of prints."""
        return len(self.names)


def embed_files(
    matcher: Matcher, paths: Sequence[str | Path], ppi: int | None = None
) -> tuple[Templates, list[str]]:
    """Make the templates of prints in files, and return with them the names that have none.

    A template is called by its path as it was given: two folders can hold the same names. ``ppi``
    is the prints' resolution, 500 if not given. A print that cannot be read is a warning. Raises
    ValueError for a path that is given twice.
    """
    check_names(paths)
    prints, names, unreadable = [], [], []
    for path in paths:
        try:
            prints.append(matcher.registrar.load(path, ppi))
        except (ValueError, OSError) as error:
            logger.warning("skipping %s: %s", path, error)
            unreadable.append(str(path))
        else:
            names.append(str(path))
            warn_of_several(prints[-1].image, REFERENCE_PPI, path)
    embedded = matcher.embed(prints)
    return Templates(tuple(names), embedded, matcher.sha256, matcher.fusion_global), unreadable


def check_names(paths: Sequence[str | Path]) -> None:
    """Raise ValueError for a path that is given twice: its templates could not be told apart."""
    known: dict[str, str | Path] = {}
    for path in paths:
        if (name := os.path.normpath(path)) in known:
            raise ValueError(f"{path} is given twice ({known[name]}): give each print once")
        known[name] = path


def template_scores(templates0: Templates, templates1: Templates) -> Float[np.ndarray, "P Q"]:
    """Return the fused score of every template of one set with every one of another, in [-1, 1].

    Symmetric, and one matrix product for each branch. Raises ValueError where they were made by
    different weights.
    """
    if templates0.matcher_sha256 != templates1.matcher_sha256:
        raise ValueError(
            f"templates of different weights cannot be compared: made by Module 2 "
            f"{templates0.matcher_sha256[:12]} and {templates1.matcher_sha256[:12]}; embed the "
            "prints of one of them again"
        )
    share = templates0.fusion_global
    weights = np.sqrt([share, 1 - share]).astype(np.float32)[:, None]
    # With the root of its weight in both, one product of the joined vectors is the fused score.
    joined = [(t.embeddings * weights).reshape(len(t), -1) for t in (templates0, templates1)]
    return np.clip(joined[0] @ joined[1].T, -1.0, 1.0)


def save_templates(path: str | Path, templates: Templates) -> None:
    """Write templates, whole or not at all."""
    record = {k: v for k, v in asdict(templates).items() if k not in ("names", "embeddings")}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ifvit=np.array(json.dumps(record)),
        names=np.array(templates.names, dtype=str),
        embeddings=templates.embeddings.astype(np.float32),
    )
    write_result(path, buffer.getvalue(), b"ifvit.npy")


def load_templates(path: str | Path) -> Templates:
    """Read templates; raises FileNotFoundError, and ValueError for a file that is not such."""
    arrays = read_arrays(path, EXPECTED)
    try:
        record = parse_json(str(arrays["ifvit"]))
        return _checked(arrays["names"], arrays["embeddings"], record)
    except KeyError as error:
        raise ValueError(f"{path} cannot be read (no {error}): expected {EXPECTED}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected {EXPECTED}") from error


def _checked(names: np.ndarray, embeddings: np.ndarray, record: dict[str, Any]) -> Templates:
    """Return templates that can be compared: unit vectors, and weights that sum to 1."""
    if embeddings.ndim != 3 or embeddings.shape[:2] != (names.size, 2) or names.ndim != 1:
        raise ValueError(f"names {names.shape} for embeddings {embeddings.shape}")
    if names.dtype.kind != "U" or embeddings.dtype.kind != "f":
        raise ValueError(f"names of {names.dtype}, embeddings of {embeddings.dtype}")
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=-1)
    if not (np.abs(lengths - 1) <= UNIT).all():
        raise ValueError("embeddings that are no unit vectors")
    share, sha256 = record["fusion_global"], record["matcher_sha256"]
    if set(record) != {"fusion_global", "matcher_sha256"} or not isinstance(sha256, str):
        raise ValueError(f"a record of {', '.join(sorted(record))}")
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise ValueError(f"fusion_global is {share!r}")
    if len(set(names.tolist())) < names.size:
        raise ValueError("two prints of one name")
    return Templates(tuple(map(str, names)), embeddings.astype(np.float32), sha256, float(share))
