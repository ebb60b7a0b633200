"""The work of requests about prints, done in threads: compare, register, embed, measure."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

from ifvit.config import REFERENCE_PPI
from ifvit.data.images import header_size
from ifvit.features.features import Features
from ifvit.features.ridge_evidence import mm2_of
from ifvit.gallery.template import template_file, templates_of
from ifvit.matcher import Matcher
from ifvit.registered_pair import register_features
from ifvit.service.data_uri import png_uri
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits
from ifvit.service.match_evidence import evidence_of, grid_of
from ifvit.service.uploads import Given, GivenPrint


def check_size(given: GivenPrint, limits: Limits) -> None:
    """Raise :class:`ServiceError` for a print that is too large, by its header, or is no image.

    Below 500 ppi a print is enlarged, and its enlarged size counts.
    """
    try:
        width, height = header_size(io.BytesIO(given.data), given.name)
    except ValueError as error:
        raise ServiceError("unusable_print", str(error)) from error
    grown = max(1.0, (REFERENCE_PPI / given.ppi) ** 2)
    if width * height * grown > limits.pixels:
        raise ServiceError(
            "too_large",
            f"{given.name} is too large ({width}×{height} px at {given.ppi:g} ppi): expected at "
            f"most {limits.pixels / 1e6:g} megapixels, in the file and at {REFERENCE_PPI} ppi",
        )


def extracted(matcher: Matcher, given: GivenPrint, limits: Limits) -> Features:
    """Read and measure a print; raises :class:`ServiceError` for one that cannot be used."""
    check_size(given, limits)
    try:
        return matcher.extract(given.data, given.ppi, given.name)
    except (ValueError, OSError) as error:
        raise ServiceError("unusable_print", str(error)) from error


def matched(matcher: Matcher, given: Given, limits: Limits) -> dict[str, Any]:
    """Match the probe with each candidate; the best come first.

    Candidates are matched one after the other in this thread: the other threads are for other
    requests.
    """
    count = len(given.prints["candidate"])
    if given.values["evidence"] and count > limits.evidence:
        raise ServiceError(
            "bad_value",
            f"{count} candidates with evidence: expected at most {limits.evidence}, or no evidence",
        )
    probe = extracted(matcher, given.prints["probe"][0], limits)
    results = []
    for number, candidate in enumerate(given.prints["candidate"]):
        result = matcher.match(probe, extracted(matcher, candidate, limits))
        record = result.record() | {"candidate": number}
        if given.values["evidence"]:
            record["evidence"] = evidence_of(result)
        results.append(record)
    return {"candidates": sorted(results, key=lambda one: -one["score"])}


def registered(matcher: Matcher, given: Given, limits: Limits) -> dict[str, Any]:
    """Register two prints; the displacement is that of the skin, on its grid."""
    both = [extracted(matcher, given.prints[name][0], limits) for name in ("print0", "print1")]
    found = register_features(matcher.aligner, *both)
    field = found.alignment.displacement
    record = found.record() | {"displacement": None if field is None else grid_of(field)}
    if given.values["evidence"]:
        record["aligned"] = png_uri(found.aligned)
    return record


def embedded(matcher: Matcher, given: Given, limits: Limits) -> dict[str, Any]:
    """Make templates; ``templates`` is the file that `ifvit compare` reads, in base64."""
    prints = given.prints["print"]
    made = [matcher.coder.template(extracted(matcher, one, limits)) for one in prints]
    names, seen = list[str](), set[str]()
    for number, one in enumerate(prints):
        names.append(one.name if one.name not in seen else f"{one.name} ({number})")
        seen.add(names[-1])
    sha256 = matcher.decision.matcher_sha256
    file = template_file(templates_of(names, made, sha256))
    return {
        "matcher_sha256": sha256,
        "prints": [{"name": name} | one.record() for name, one in zip(names, made, strict=True)],
        "templates": base64.b64encode(file).decode(),
    }


def measured(matcher: Matcher, given: Given, limits: Limits) -> dict[str, Any]:
    """Measure prints: quality, pose, size, and how many fingers an image shows."""
    made = []
    for one in given.prints["print"]:
        features = extracted(matcher, one, limits)
        height, width = features.image.shape
        period = features.period.px
        made.append(
            {"name": one.name}
            | matcher.coder.template(features).record()
            | {
                "width_px": width,
                "height_px": height,
                "area_mm2": round(mm2_of(features.ridges), 1),
                "period_px": None if math.isnan(period) else round(period, 2),
                "fingers": features.fingers,
            }
        )
    return {"prints": made}
