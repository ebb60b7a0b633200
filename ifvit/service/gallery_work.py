"""The work of requests about the gallery: enrol, search, list, remove.

A single thread does it all, since a gallery is for one thread at a time. The engine of galleries
takes a second to load, and need not be installed: it is imported only where a gallery is opened.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from ifvit.gallery.enrolment import Entry
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits
from ifvit.service.match_evidence import evidence_of
from ifvit.service.pair_work import check_size, extracted
from ifvit.service.uploads import Given

logger = logging.getLogger("ifvit")


@contextmanager
def refusing() -> Iterator[None]:
    """Turn errors of a gallery into answers.

    Its messages name its folder and commands to run there, so they go only to the log.
    """
    from ifvit.gallery.row_reader import NobodyError

    try:
        yield
    except NobodyError as error:
        raise ServiceError("nobody", "nobody in the gallery has this name or id") from error
    except ValueError as error:
        logger.error("the gallery refuses: %s", error)
        refused = (
            "the gallery refuses this: another process writes to it, or it is damaged or of other "
            "weights"
        )
        raise ServiceError("gallery_refused", refused) from error
    except OSError as error:
        logger.error("the gallery fails: %s", error)
        failed = "the gallery cannot be read or written: its disk may be full"
        raise ServiceError("gallery_failed", failed) from error


def enrolled(gallery: Any, given: Given, limits: Limits) -> dict[str, Any]:
    """Enrol prints, and return the outcome for each."""
    values, prints = given.values, given.prints["print"]
    for one in prints:
        check_size(one, limits)
    whose = {name: values[name] for name in ("subject", "finger", "metadata")}
    entries = [Entry(one.data, ppi=one.ppi, name=one.name, **whose) for one in prints]
    with refusing():
        told = list(
            gallery.enrolling(entries, keep_prints=values["keep_prints"], force=values["force"])
        )
        return {"prints": [one._asdict() for one in told], "size": len(gallery)}


def searched(gallery: Any, given: Given, limits: Limits) -> dict[str, Any]:
    """Search for the probe's finger; ``found`` has the ids of the candidates that count as
    found."""
    values = given.values
    probe = extracted(gallery.matcher, given.prints["probe"][0], limits)
    with refusing():
        answer = gallery.search(probe, top=values["top"], fpir=values["fpir"])
    limit = answer.threshold
    shown = limits.evidence if values["evidence"] else 0
    return {
        "size": answer.size,
        "fpir": answer.fpir,
        "decided": answer.decided,
        "threshold": None if limit is None else asdict(limit),
        "found": [one.id for one in answer.found],
        "candidates": [_candidate(one, at < shown) for at, one in enumerate(answer.candidates)],
    }


def _candidate(one: Any, evidence: bool) -> dict[str, Any]:
    if not evidence or one.result is None:
        return one.record
    return one.record | {"result": one.result.record(), "evidence": evidence_of(one.result)}


def subjects(gallery: Any, after: str, limit: int) -> dict[str, Any]:
    """Return enrolled subjects by name, at most ``limit`` after ``after``; prints without a subject
    are under the name ""."""
    with refusing():
        labels = gallery.labels().select(["subject", "finger"])
    fingers: dict[str, list[str]] = {}
    for one in labels.to_pylist():
        fingers.setdefault(one["subject"], []).append(one["finger"])
    names = [name for name in sorted(fingers) if name > after or not after]
    listed = [
        {"subject": name, "fingers": sorted({*fingers[name]} - {""}), "prints": len(fingers[name])}
        for name in names[:limit]
    ]
    return {"total": len(fingers), "subjects": listed}


def subject(gallery: Any, name: str) -> dict[str, Any]:
    """Return the prints of a subject, or the one with an id, without biometric data."""
    with refusing():
        gallery.store.refresh()
        found = gallery.store.find(name)
    labels = gallery.store.labels_at(found)
    shown = ("id", "subject", "finger", "name", "enrolled")
    prints = [
        {key: one[key] for key in shown} | {"metadata": json.loads(one["metadata"] or "{}")}
        for one in labels
    ]
    return {"subject": prints[0]["subject"], "prints": prints}


def removed(gallery: Any, name: str, finger: str, purge: bool) -> dict[str, Any]:
    """Remove the prints of a subject, or the one of an id."""
    with refusing():
        gallery.store.refresh()
        gallery.store.find(name, finger)
        return {"removed": gallery.remove([name], finger=finger, purge=purge), "purged": purge}
