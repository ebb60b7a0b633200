"""What threads do for a request about prints: compare, register, embed, measure."""

from __future__ import annotations

import io
import json
from typing import Any

from ifvit.config import REFERENCE_PPI
from ifvit.data.images import header_size
from ifvit.features.features import Features
from ifvit.matcher import Matcher
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits
from ifvit.service.match_evidence import evidence_of
from ifvit.service.uploads import Given, GivenPrint


def extracted(matcher: Matcher, given: GivenPrint, limits: Limits) -> Features:
    """Read and measure a print; raises :class:`ServiceError` for one that cannot be used.

    Its size is looked up in the header, before a pixel is decoded.
    """
    try:
        width, height = header_size(io.BytesIO(given.data), given.name)
        grown = max(1.0, (REFERENCE_PPI / given.ppi) ** 2)
        if width * height * grown > limits.pixels:
            raise ServiceError(
                "too_large",
                f"{given.name} is too large ({width}×{height} px at {given.ppi:g} ppi): expected "
                f"at most {limits.pixels / 1e6:g} megapixels, in the file and at 500 ppi",
            )
        return matcher.extract(given.data, given.ppi, given.name)
    except (ValueError, OSError) as error:
        raise ServiceError("unusable_print", str(error)) from error


def matched(matcher: Matcher, given: Given, limits: Limits) -> dict[str, Any]:
    """Match the probe with each candidate; the best come first.

    One after the other, in this one thread: the others are for other requests.
    """
    probe = extracted(matcher, given.prints["probe"][0], limits)
    results = []
    for number, candidate in enumerate(given.prints["candidate"]):
        result = matcher.match(probe, extracted(matcher, candidate, limits))
        record = json.loads(result.to_json()) | {"candidate": number}
        if given.values["evidence"]:
            record["evidence"] = evidence_of(result)
        results.append(record)
    return {"candidates": sorted(results, key=lambda one: -one["score"])}
