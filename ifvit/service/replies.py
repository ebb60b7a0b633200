"""What the routes answer, as JSON schemas: OpenAPI shows them, and tests hold them."""

from __future__ import annotations

from typing import Any

from ifvit.service import reply_examples as shown
from ifvit.service.faults import KINDS

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
MAYBE: dict[str, Any] = {"type": ["number", "null"]}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
FLAG: dict[str, Any] = {"type": "boolean"}
ANY: dict[str, Any] = {"type": "object"}


def record(**fields: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has these fields, and perhaps others."""
    return {"type": "object", "required": list(fields), "properties": fields}


def example(one: dict[str, Any], **fields: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has these fields, with one such object."""
    return record(**fields) | {"examples": [one]}


def listed(of: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": of}


POSE = record(core=listed(NUMBER), rotation=NUMBER, confidence=NUMBER)

ALIGNMENT = record(
    ppi=NUMBER,
    angle=NUMBER,
    H_0to1=listed(listed(NUMBER)),
    points0=listed(listed(NUMBER)),
    points1=listed(listed(NUMBER)),
    confidence=listed(NUMBER),
    inliers=listed(FLAG),
)

RESULT = record(
    candidate=WHOLE,
    name0=TEXT,
    name1=TEXT,
    status={"enum": ["ok", "not_aligned"]},
    reason=TEXT,
    score=NUMBER,
    map_score=NUMBER,
    index_score=NUMBER,
    ridge_ncc=MAYBE,
    block_share=MAYBE,
    coverage=MAYBE,
    fmr=MAYBE,
    fmr_extrapolated={"type": ["object", "null"]},
    num_matches=WHOLE,
    num_inliers=WHOLE,
    overlap_mm2=MAYBE,
    left_out=NUMBER,
    quality0=MAYBE,
    quality1=MAYBE,
    pose0=POSE,
    pose1=POSE,
    alignment=ALIGNMENT,
)

MATCHED = example(shown.MATCHED, candidates=listed(RESULT))

REGISTERED = example(
    shown.REGISTERED,
    name0=TEXT,
    name1=TEXT,
    status={"enum": ["ok", "not_aligned"]},
    reason=TEXT,
    ridge_ncc=MAYBE,
    overlap=NUMBER,
    num_matches=WHOLE,
    num_inliers=WHOLE,
    alignment=ALIGNMENT,
    displacement={"type": ["object", "null"]},
)

EMBEDDED = example(
    shown.EMBEDDED,
    matcher_sha256=TEXT,
    prints=listed(record(name=TEXT, quality=MAYBE, pose=POSE)),
    templates={"type": "string", "format": "byte"},
)

MEASURED = example(
    shown.MEASURED,
    prints=listed(
        record(
            name=TEXT,
            quality=MAYBE,
            pose=POSE,
            width_px=WHOLE,
            height_px=WHOLE,
            area_mm2=NUMBER,
            period_px=MAYBE,
            fingers=WHOLE,
        )
    ),
)

ENROLLED = example(
    shown.ENROLLED,
    prints=listed(
        record(
            name=TEXT,
            id=TEXT,
            state={"enum": ["enrolled", "known", "refused"]},
            reason=TEXT,
        )
    ),
    size=WHOLE,
)

FOUND = example(
    shown.FOUND,
    size=WHOLE,
    fpir=NUMBER,
    decided=FLAG,
    threshold={"type": ["object", "null"]},
    found=listed(TEXT),
    candidates=listed(
        record(
            id=TEXT,
            subject=TEXT,
            finger=TEXT,
            name=TEXT,
            score=MAYBE,
            map_score=NUMBER,
            index_score=NUMBER,
            fmr={"type": ["object", "null"]},
            fpir={"type": ["object", "null"]},
        )
    ),
)

PRINT = record(id=TEXT, subject=TEXT, finger=TEXT, name=TEXT, enrolled=TEXT, metadata=ANY)

SUBJECT = example(shown.SUBJECT, subject=TEXT, prints=listed(PRINT))

SUBJECTS = example(
    shown.SUBJECTS,
    total=WHOLE,
    subjects=listed(record(subject=TEXT, fingers=listed(TEXT), prints=WHOLE)),
)

REMOVED = example(shown.REMOVED, removed=listed(TEXT), purged=FLAG)

EXAMPLES = example(shown.EXAMPLES, examples=listed(record(name=TEXT, finger=WHOLE, ppi=NUMBER)))

HEALTH = example(shown.HEALTH, status={"const": "ok"}, version=TEXT, gallery=FLAG, tokens=FLAG)

ERROR = example(
    shown.ERROR, error=record(code={"enum": sorted(KINDS)}, message=TEXT, what_to_do=TEXT)
)
