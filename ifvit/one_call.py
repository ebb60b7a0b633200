"""``ifvit.match``: prints to results in one call, by models that stay loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from ifvit.comparison.decision import DECISION_FILE
from ifvit.comparison.result import MatchResult
from ifvit.data.given import Ppi, PrintSource
from ifvit.features.enhancer import EnhancerName
from ifvit.matcher import Matcher
from ifvit.weights.pretrained import module_files


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


Prints = list[Any] | tuple[Any, ...]
"""Several prints, each as :data:`PrintSource` says."""


class Options(TypedDict, total=False):
    """What :func:`match` takes beside prints."""

    dense_ckpt: str | Path | None
    matcher_ckpt: str | Path | None
    ppi: Ppi
    enhancer: EnhancerName
    canvas: int | None
    calibration: str | Path | None


@overload
def match(print0: PrintSource, print1: PrintSource, **options: Unpack[Options]) -> MatchResult: ...
@overload
def match(print0: PrintSource, print1: Prints, **options: Unpack[Options]) -> list[MatchResult]: ...
def match(
    print0: PrintSource,
    print1: PrintSource | Prints,
    *,
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
    ppi: Ppi = None,
    enhancer: EnhancerName = "gabor",
    canvas: int | None = None,
    calibration: str | Path | None = None,
) -> MatchResult | list[MatchResult]:
    """Match two prints, or one with each of a list; see :class:`MatchResult`.

    A print is a path, the bytes of an image file, an open binary file, a PIL image, or an array
    (H, W) of grey values, ridges dark (:func:`ifvit.data.given.grey_values`). ``ppi`` is the
    resolution of both, 500 if not given, or a pair: that of each. A list as ``print1`` gives a list
    of results, ``print0`` being read once.
    Without checkpoints, the weights that ship with ifvit are used. ``enhancer`` is one of
    :data:`ifvit.features.enhancer.EnhancerName`; ``canvas`` and ``calibration`` are as in
    :meth:`Matcher.from_checkpoints`. Only the default enhancer and canvas are calibrated. The
    loaded and compiled models are kept for the next call with the same, unchanged files. Prints
    that cannot be aligned give a result that says so. Raises FileNotFoundError for a missing file
    and ValueError for a file that is no print or no checkpoint of its kind, for checkpoints that do
    not belong together, for one without the other, and for an enhancer that is not available.
    """
    dense, module2 = module_files(dense_ckpt, matcher_ckpt)
    files = dense, module2, Path(calibration or module2.with_name(DECISION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    matcher = _loaded(dense, module2, enhancer, canvas, calibration, written)
    if isinstance(print1, list | tuple):
        return matcher.match_many(print0, print1, ppi=ppi)
    return matcher.match(print0, print1, ppi=ppi)
