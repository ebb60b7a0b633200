"""An answer of each kind, as OpenAPI shows it; lists are cut to their first entries."""

from __future__ import annotations

from typing import Any

from ifvit import __version__
from ifvit.service.faults import KINDS

POSE: dict[str, Any] = {"core": [166.49, 142.84], "rotation": -0.52, "confidence": 0.952}

ALIGNMENT: dict[str, Any] = {
    "ppi": 500,
    "angle": -8.727,
    "H_0to1": [[0.984827, 0.151179, -4.538734], [-0.151179, 0.984827, 142.755097]],
    "points0": [[99.5, 83.67]],
    "points1": [[107.42, 210.03]],
    "confidence": [0.9314],
    "inliers": [True],
}

_PAIR: dict[str, Any] = {
    "name0": "1_1.png",
    "name1": "1_2.png",
    "status": "ok",
    "reason": "",
    "ridge_ncc": 0.9021,
    "num_matches": 161,
    "num_inliers": 161,
    "alignment": ALIGNMENT,
}

RESULT = _PAIR | {
    "candidate": 0,
    "score": 0.8063,
    "map_score": 0.6656,
    "index_score": 0.7407,
    "block_share": 1.0,
    "coverage": 0.8583,
    "fmr": 8.68e-05,
    "fmr_extrapolated": {"value": 3.7e-10, "low": 8.9e-11, "high": 1.8e-09},
    "overlap_mm2": 79.37,
    "left_out": 0.2053,
    "quality0": 93.0,
    "quality1": 93.2,
    "pose0": POSE,
    "pose1": POSE,
}

MATCHED = {"candidates": [RESULT]}

REGISTERED = _PAIR | {
    "overlap": 0.2182,
    "displacement": {"cell_px": 13.33, "first0": [10.0, 12.0], "values": [[[0.1, -0.2]]]},
}

_MEASURED = {"name": "1_1.png", "quality": 93.0, "pose": POSE}

EMBEDDED = {
    "matcher_sha256": "30bb708289cecb7503c1c75f76cc8e8fbbfe56669abed4c39a58da06ec4bb663",
    "prints": [_MEASURED],
    "templates": "UEsDBBQAAAAA",
}

_SIZE = {"width_px": 352, "height_px": 400, "area_mm2": 127.4, "period_px": 8.44, "fingers": 1}

MEASURED = {"prints": [_MEASURED | _SIZE]}

ENROLLED = {
    "prints": [
        {"name": "1_1.png", "id": "2f78b8a3b8d5d3a1cce26fb5", "state": "enrolled", "reason": ""}
    ],
    "size": 1,
}

FOUND = {
    "size": 120,
    "fpir": 0.001,
    "decided": True,
    "threshold": {"value": 0.5812, "extrapolated": True},
    "found": ["2f78b8a3b8d5d3a1cce26fb5"],
    "candidates": [
        {
            "id": "2f78b8a3b8d5d3a1cce26fb5",
            "subject": "ann",
            "finger": "right index",
            "name": "1_1.png",
            "score": 0.8063,
            "map_score": 0.6656,
            "index_score": 0.7407,
            "fmr": {"value": 1.6e-08, "extrapolated": True},
            "fpir": {"value": 1.9e-06, "extrapolated": True},
        }
    ],
}

SUBJECT = {
    "subject": "ann",
    "prints": [
        {
            "id": "2f78b8a3b8d5d3a1cce26fb5",
            "subject": "ann",
            "finger": "right index",
            "name": "1_1.png",
            "enrolled": "2026-11-02T10:00:00+00:00",
            "metadata": {"case": "A7"},
        }
    ],
}

SUBJECTS = {"total": 1, "subjects": [{"subject": "ann", "fingers": ["right index"], "prints": 1}]}

REMOVED = {"removed": ["2f78b8a3b8d5d3a1cce26fb5"], "purged": True}

EXAMPLES = {"examples": [{"name": "1_1.png", "finger": 1, "ppi": 500}]}

HEALTH = {"status": "ok", "version": __version__, "gallery": True, "tokens": False}

ERROR = {
    "error": {
        "code": "unusable_print",
        "message": "1_1.png is not an image that can be read: expected a PNG, TIFF, BMP, JPEG, "
        "JPEG 2000, PGM, GIF, WebP or WSQ file",
        "what_to_do": KINDS["unusable_print"][1],
    }
}
