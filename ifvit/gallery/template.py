"""Stand-alone templates on disk: fixed length, one row a print, compared without the prints.

The file is an ``.npz`` of plain arrays: ``names`` (P,), ``embeddings`` (P, 2, E) float32, the
global and the local unit vector of each print, and the text ``ifvit``, which says by which Module 2
they were made. With E = 256 a template is 2,048 bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ifvit.files import check_exists, write_atomically
from ifvit.matcher import Matcher

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


def embed_files(matcher: Matcher, paths: Sequence[str | Path], ppi: int | None = None) -> Templates:
    """Make the templates of prints in files; ``ppi`` is their resolution, 500 if not given.

    Raises FileNotFoundError and ValueError as the readers do.
    """
    prints = [matcher.extract(path, ppi) for path in paths]
    names = tuple(Path(path).name for path in paths)
    return templates_of(matcher, names, matcher.embed(prints))


def templates_of(
    matcher: Matcher, names: Sequence[str], embeddings: Float[np.ndarray, "P 2 E"]
) -> Templates:
    """Return embeddings with what they can be compared by: the weights, and the branches' share."""
    decision = matcher.decision
    share = decision.fusion.global_share
    return Templates(tuple(names), embeddings, decision.matcher_sha256, share)


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
    write_atomically(path, buffer.getvalue())


def load_templates(path: str | Path) -> Templates:
    """Read templates; raises FileNotFoundError, and ValueError for a file that is not such."""
    check_exists(path, EXPECTED)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            record = json.loads(str(archive["ifvit"]))
            names, embeddings = archive["names"], archive["embeddings"]
        if embeddings.ndim != 3 or embeddings.shape[:2] != (len(names), 2):
            raise ValueError(f"{len(names)} names for embeddings {embeddings.shape}")
        if not np.isfinite(embeddings).all():
            raise ValueError("values that are not finite")
        return Templates(tuple(map(str, names)), embeddings.astype(np.float32), **record)
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} cannot be read as templates ({error}): expected {EXPECTED}"
        ) from error
