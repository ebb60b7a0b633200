"""Two prints in files to one decision that can be looked at: the whole method, in one call."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ifvit.pipeline.calibration import CALIBRATION_FILE
from ifvit.pipeline.enhancer import EnhancerName
from ifvit.pipeline.matcher import Matcher
from ifvit.pipeline.result import MatchResult
from ifvit.weights.pretrained import checkpoint_pair


@lru_cache(maxsize=1)
def _loaded(
    dense_ckpt: Path,
    matcher_ckpt: Path,
    enhancer: EnhancerName,
    canvas: int | None,
    calibration: str | Path | None,
    _written: tuple[int, ...],
) -> Matcher:
    return Matcher.from_checkpoints(dense_ckpt, matcher_ckpt, enhancer, canvas, calibration)


def match(
    path0: str | Path,
    path1: str | Path,
    *,
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
    ppi: int | None = None,
    enhancer: EnhancerName = "gabor",
    canvas: int | None = None,
    calibration: str | Path | None = None,
) -> MatchResult:
    """Match two prints from files; see :class:`MatchResult`.

    Without checkpoints by the weights that ship with ifvit. ``ppi`` is the resolution of both
    files, 500 if not given; ``enhancer`` one of :data:`ifvit.pipeline.enhancer.EnhancerName`, of
    which only the first is calibrated; ``canvas`` and ``calibration`` as in
    :meth:`Matcher.from_checkpoints`, and another canvas is not calibrated either. The loaded and
    compiled models are kept for the next call with the same, unchanged files. Prints that
    cannot be aligned give a result that says so. Raises FileNotFoundError for a missing file and
    ValueError for one that is no print or no checkpoint of its kind, for checkpoints that do not
    belong together, one without the other, and for an enhancer that cannot be had.
    """
    dense, module2 = checkpoint_pair(dense_ckpt, matcher_ckpt)
    files = dense, module2, Path(calibration or module2.with_name(CALIBRATION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    matcher = _loaded(dense, module2, enhancer, canvas, calibration, written)
    print0, print1 = matcher.registrar.load(path0, ppi), matcher.registrar.load(path1, ppi)
    return matcher.match_images(print0, print1, name0=Path(path0).name, name1=Path(path1).name)
