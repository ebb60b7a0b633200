"""The verbs of ``ifvit`` in groups, with a line each, which it prints when called without one."""

from __future__ import annotations

VERBS: dict[str, dict[str, str]] = {
    "make prints": {
        "synth": "synthetic prints, with their manifest and a contact sheet",
        "demo": "the whole path on synthetic prints, in one run",
    },
    "train": {
        "convert-loftr": "LoFTR's transformer, from its PyTorch checkpoint",
        "train-dense": "Module 1, dense registration",
        "train-match": "Module 2, the fixed-length matcher",
        "runs": "the trainings below a folder, and how their settings differ",
        "inspect": "what a file of weights says of itself",
        "release": "a trained pair in half precision, to ship and share",
        "export-onnx": "the networks as ONNX graphs, for use without JAX",
    },
    "compare": {
        "match": "two prints: how alike they are, and why",
        "register": "two prints: one laid on the other, pixel by pixel",
        "embed": "prints to stand-alone templates",
        "compare": "templates with templates",
    },
    "keep and search": {
        "enroll": "prints into a gallery, with whose they are",
        "search": "a gallery for the finger of a print; nobody is an answer",
        "verify": "a print against those of one person",
        "dedupe": "who is in a gallery twice",
        "list": "the prints of a gallery",
        "remove": "prints from a gallery",
        "gallery": "its upkeep: upgrade, compact, purge, check, count, backup",
    },
    "serve": {
        "serve": "a page and the same by HTTP: compare, enrol, search",
    },
    "measure": {
        "evaluate": "a data set, compared by a protocol",
        "calibrate": "impostor scores, so that a match says its false match rate",
        "identify": "a data set searched for every other print: rank 1 and the curve",
        "report": "figures, curves and the worst pairs of an evaluation",
    },
}


def usage() -> str:
    """Return how ``ifvit`` is used: every verb with its line."""
    lines = ["usage: ifvit COMMAND [options]"]
    for group, verbs in VERBS.items():
        lines += ["", f"{group}:", *(f"  {verb:<14} {line}" for verb, line in verbs.items())]
    return "\n".join([*lines, "", "ifvit COMMAND --help shows the options of one."])
