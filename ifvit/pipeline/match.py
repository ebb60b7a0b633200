"""Two prints to one decision that can be looked at: the whole method, in one call."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ifvit.data.given import Ppi, PrintSource, name_of
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
    print0: PrintSource,
    print1: PrintSource,
    *,
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
    ppi: Ppi = None,
    enhancer: EnhancerName = "gabor",
    canvas: int | None = None,
    calibration: str | Path | None = None,
) -> MatchResult:
    """Match two prints; see :class:`MatchResult`.

    A print is a path, the bytes of an image file, an open binary file, a PIL image, or an array
    (H, W) of grey values, ridges dark (:func:`ifvit.data.given.grey_values`). ``ppi`` is the
    resolution of both, 500 if not given, or a pair: that of each.
    Without checkpoints by the weights that ship with ifvit; ``enhancer`` is one of
    :data:`ifvit.pipeline.enhancer.EnhancerName`, of which only the first is calibrated; ``canvas``
    and ``calibration`` as in :meth:`Matcher.from_checkpoints`, and another canvas is not calibrated
    either. The loaded and compiled models are kept for the next call with the same, unchanged
    files. Prints that cannot be aligned give a result that says so. Raises FileNotFoundError for a
    missing file and ValueError for one that is no print or no checkpoint of its kind, for
    checkpoints that do not belong together, one without the other, and for an enhancer that cannot
    be had.
    """
    dense, module2 = checkpoint_pair(dense_ckpt, matcher_ckpt)
    files = dense, module2, Path(calibration or module2.with_name(CALIBRATION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    matcher = _loaded(dense, module2, enhancer, canvas, calibration, written)
    names = name_of(print0, 0), name_of(print1, 1)
    both = matcher.registrar.load_both(print0, print1, ppi)
    return matcher.match_pairs([both], [names])[0]
