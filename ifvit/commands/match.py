"""``ifvit match``: a print compared with another, or with several."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from ifvit.commands.options import (
    SHIPPED,
    WeightsOptions,
    check_all_read,
    check_prints,
    read_each,
)
from ifvit.comparison.decision import DECISION_FILE, Decision, load_decision
from ifvit.comparison.result import MatchResult
from ifvit.data.given import each_ppi
from ifvit.endings import flushed
from ifvit.features.enhancer import EnhancerName
from ifvit.features.features import Features
from ifvit.files import check_folder, check_output
from ifvit.matcher import Matcher
from ifvit.minutiae.examined import examined
from ifvit.minutiae.minutiae import skeletonizer
from ifvit.texts import one_field

logger = logging.getLogger("ifvit")


@dataclass(frozen=True)
class Settings:
    """Match a print with another, or with each of several, the best first."""

    probe: Positional[str]
    """Print to compare."""
    candidates: Positional[tuple[str, ...]]
    """Prints to compare it with."""
    out: str | None = None
    """Write a picture of the match, or of the best of several, to this PNG file."""
    stages: str | None = None
    """Write a picture of each stage of the match, or of the best of several, to this folder; needs
    matplotlib."""
    json: bool = False
    """Print whole results as JSON, one line each."""
    minutiae: bool = False
    """List the minutiae that both prints show, with their residuals; needs scikit-image."""
    threshold: float | None = None
    """Accept or reject at this false match rate, such as 0.001; needs calibrated weights."""
    calibration: str | None = None
    """A file of ``ifvit calibrate``, if not the one beside Module 2's checkpoint."""
    ppi: int | tuple[int, int] | None = None
    """Resolution of all prints, or of the probe and of the others, as 1000 500; 500 if not
    given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    canvas: int | None = None
    """Side of the canvas for all prints, pixels of the network; if not given, it suits each
    pair."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Match the prints and print the results."""
    _check(settings)
    matcher = settings.weights.matcher(settings.enhancer, settings.canvas, settings.calibration)
    ppi0, ppi1 = each_ppi(settings.ppi)
    probe = matcher.extract(settings.probe, ppi0)
    unreadable: list[str] = []
    read, compared = [], []
    for path, features in read_each(matcher, settings.candidates, ppi1, unreadable):
        read.append(features)
        compared.append(path)
    found = matcher.match_many(probe, read)
    order = sorted(range(len(found)), key=lambda place: -found[place].score)
    results = [found[place] for place in order]
    limit = None
    if settings.threshold is not None and matcher.decision.impostor is not None:
        limit = matcher.decision.threshold(settings.threshold)
    # Printed first, since what follows can fail.
    called = _called(compared)
    for place, result in zip(order, results, strict=True):
        _print(result, compared[place], called[place], settings, limit)
    if settings.threshold is not None and limit is None:
        raise ValueError(_uncalibrated(settings))
    if settings.out is not None and results:
        from ifvit.viz.matches import draw_match

        flushed()
        draw_match(results[0], settings.out)
    if settings.stages is not None and results:
        _draw_stages(matcher, (probe, read[order[0]]), results[0], settings.stages)
    check_all_read(unreadable, settings.candidates, "candidates could not be compared")


def _draw_stages(
    matcher: Matcher, prints: tuple[Features, Features], result: MatchResult, folder: str
) -> None:
    from ifvit.viz.stages import draw_stages

    flushed()
    drawn = draw_stages(matcher, prints, folder, result)
    logger.info(
        "%d pictures, %s to %s, are in %s", *(len(drawn), drawn[0].name, drawn[-1].name, folder)
    )


def _called(paths: list[str]) -> list[str]:
    """Return each file's name, or its path where files of two folders have one name."""
    names = [Path(path).name for path in paths]
    both = zip(paths, names, strict=True)
    return [name if names.count(name) == 1 else path for path, name in both]


def _print(
    result: MatchResult, path: str, called: str, settings: Settings, limit: float | None
) -> None:
    accepted = None if limit is None else result.ok and result.score >= limit
    if settings.json:
        more: dict[str, Any] = {"path1": path, "threshold": limit, "accepted": accepted}
        if settings.minutiae:
            more["minutiae"] = examined(result).record()
        print(json.dumps(result.record() | more, allow_nan=False))
        return
    several = len(settings.candidates) > 1
    print(f"{one_field(called)}: {result.summary()}" if several else result.summary())
    if limit is not None:
        decision = "accepted" if accepted else "rejected"
        print(f"{decision} at FMR {settings.threshold:g}, whose threshold is {limit:.3f}")
    if settings.minutiae:
        print("\n".join(examined(result).lines()))


def _check(settings: Settings) -> None:
    """Raise ValueError for wrong arguments before any work begins."""
    settings.weights.files()
    if not settings.candidates:
        raise ValueError("a print to compare with is missing: expected at least one file")
    if settings.minutiae:
        skeletonizer()
    check_prints(settings.probe, settings.candidates, settings.ppi, skipping=True)
    if settings.out is not None:
        from ifvit.viz.figures import picture_format

        picture_format(settings.out)
        check_output(settings.out)
    if settings.stages is not None:
        import ifvit.viz.stages  # noqa: F401 - it needs the extra `plots`

        check_folder(settings.stages, "--stages")
    if settings.threshold is None:
        return
    if settings.enhancer != "gabor" or settings.canvas is not None:
        raise ValueError(_uncalibrated(settings))
    _calibration(settings).threshold(settings.threshold)


def _calibration(settings: Settings) -> Decision:
    if settings.calibration is not None:
        return load_decision(settings.calibration)
    path = settings.weights.files().matcher.with_name(DECISION_FILE)
    if not path.exists():
        raise ValueError(_uncalibrated(settings))
    return load_decision(path)


def _uncalibrated(settings: Settings) -> str:
    matcher_ckpt = settings.weights.files().matcher
    return (
        f"--threshold is a false match rate, but {matcher_ckpt} is not calibrated for this: "
        "run `ifvit evaluate` on prints like yours, then `ifvit calibrate`"
    )
