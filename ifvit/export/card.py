"""Files for sharing weights: ``config.json`` and a model card, as model hubs expect them."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ifvit.weights.metadata import Metadata
from ifvit.weights.pretrained import Pretrained
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE, MODULE_OF, graph_file

CONFIG_FILE, CARD_FILE = "config.json", "README.md"

TAGS = ("biometrics", "fingerprint", "image-matching", "image-registration", "jax", "onnx")

INTENDED = """\
## Intended use

Research on fingerprint recognition, registration of two prints of a finger, and a start for further
training. A score is compared with impostors before anything is decided by it: calibrate with prints
of your sensor and your people (`ifvit evaluate`, `ifvit calibrate`).

## Excluded use

Identifying people, or deciding about them, without an evaluation of one's own, by someone who
answers for it. There is no presentation attack detection: a forged finger is a finger to it.
Templates and scores are biometric data.
"""


def config_json(record: Pretrained, meta: Metadata) -> str:
    """Return ``config.json``: a description of the weights for programs that do not open them."""
    values: dict[str, Any] = {
        "model_type": "ifvit",
        "architectures": ["DenseRegModel", "MatcherModel"],
        "ifvit_version": version("ifvit"),
        **asdict(meta.settings().model),
        "files": {
            "dense_reg": DENSE_FILE,
            "matcher": MATCHER_FILE,
            "graphs": [graph_file("", graph).name for graph in MODULE_OF],
        },
        "dense_sha256": record.dense_sha256,
        "matcher_sha256": record.matcher_sha256,
    }
    return json.dumps(values, indent=2) + "\n"


def model_card(record: Pretrained, dense: Metadata, matcher: Metadata, text: str = "") -> str:
    """Return a model card: metadata in YAML, then ``text``, or a text made from the files.

    ``text`` has its own heading, and no metadata.
    """
    head = {"license": record.licence.lower(), "library_name": "ifvit", "tags": list(TAGS)}
    lines = [f"{name}: {json.dumps(value)}" for name, value in head.items()]
    body = text or _own_text(record, dense, matcher)
    return "\n".join(["---", *lines, "---", "", body.strip(), ""])


def _own_text(record: Pretrained, dense: Metadata, matcher: Metadata) -> str:
    modules = {"Module 1": (DENSE_FILE, dense), "Module 2": (MATCHER_FILE, matcher)}
    rows = "\n".join(_row(name, *each, record) for name, each in modules.items())
    figures = "\n".join(_measured(name, meta) for name, (_, meta) in modules.items())
    return f"""\
# {record.name}

Fingerprint recognition by [ifvit](https://arxiv.org/abs/2404.08237), an independent implementation
of the method: {record.summary}.

```python
import ifvit

matcher = ifvit.load("FOLDER")  # this folder, or the name of this repository
print(matcher.match("A.png", "B.png").summary())
```

| | file | sha256 | trained on | epochs |
|---|---|---|---|---|
{rows}

The `.onnx` files are both networks as graphs, which run without JAX. All weights were written by
ifvit {version("ifvit")}, under {record.licence}.

## What was measured while it was trained

{figures}

These are figures of validation during training, on prints like those that it was trained on. They
predict nothing for other prints.

{INTENDED}"""


def _row(module: str, file: str, meta: Metadata, record: Pretrained) -> str:
    sha256 = record.dense_sha256 if file == DENSE_FILE else record.matcher_sha256
    data = meta.settings().data
    synthetic = data.dataset_root == "synthetic"
    prints = f"synthetic prints, {data.fingers} fingers" if synthetic else "a folder of prints"
    return f"| {module} | `{Path(file).name}` | `{sha256[:12]}` | {prints} | {meta.epoch} |"


def _measured(module: str, meta: Metadata) -> str:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(meta.metrics.items()))
    return f"- {module}: {figures or 'nothing'}"
