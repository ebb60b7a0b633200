"""Two prints in files to one decision that can be looked at: the whole method, in one call."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ifvit.config import DENSE_CONFIG, MATCH_CONFIG
from ifvit.pipeline.calibration import CALIBRATION_FILE
from ifvit.pipeline.enhancer import EnhancerName
from ifvit.pipeline.matcher import Matcher
from ifvit.pipeline.result import MatchResult

DENSE_CKPT = f"{DENSE_CONFIG.checkpoint_dir}/dense_reg_ckpt.safetensors"
MATCHER_CKPT = f"{MATCH_CONFIG.checkpoint_dir}/matcher_ckpt.safetensors"


@lru_cache(maxsize=1)
def _loaded(
    dense_ckpt: str,
    matcher_ckpt: str,
    enhancer: EnhancerName,
    canvas: int | None,
    _written: tuple[int, ...],
) -> Matcher:
    return Matcher.from_checkpoints(dense_ckpt, matcher_ckpt, enhancer, canvas)


def match(
    path0: str | Path,
    path1: str | Path,
    *,
    dense_ckpt: str | Path = DENSE_CKPT,
    matcher_ckpt: str | Path = MATCHER_CKPT,
    ppi: int | None = None,
    enhancer: EnhancerName = "gabor",
    canvas: int | None = None,
) -> MatchResult:
    """Match two prints from files; see :class:`MatchResult`.

    ``ppi`` is the resolution of both files, 500 if not given; ``enhancer`` one of
    :data:`ifvit.pipeline.enhancer.EnhancerName`, of which only the first is calibrated; ``canvas``
    as in :meth:`Matcher.from_checkpoints`, and not calibrated either. The loaded
    and compiled models are kept for the next call with the same, unchanged checkpoints. Prints that
    cannot be aligned give a result that says so. Raises FileNotFoundError for a missing file and
    ValueError for one that is no print or no checkpoint of its kind, for checkpoints that do not
    belong together, and for an enhancer that cannot be had.
    """
    checkpoints = [Path(dense_ckpt), Path(matcher_ckpt)]
    checkpoints.append(checkpoints[1].with_name(CALIBRATION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in checkpoints)
    matcher = _loaded(str(dense_ckpt), str(matcher_ckpt), enhancer, canvas, written)
    image0, image1 = matcher.registrar.load(path0, ppi), matcher.registrar.load(path1, ppi)
    return matcher.match_images(image0, image1, name0=Path(path0).name, name1=Path(path1).name)
