"""A trained pair of modules made ready to ship: in half precision, with a record of both files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ifvit.files import check_output, guarded, keep_earlier
from ifvit.weights.checkpoint import check_same_shape, load_pair, save_weights
from ifvit.weights.metadata import Metadata, link_to
from ifvit.weights.pretrained import RECORD_FILE, Pretrained, write_record
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE

PATHS = ("checkpoint_dir", "dataset_root", "init_from", "loftr_pretrained_ckpt", "pretrained_ckpt")
"""Settings that name a place on the machine of the training."""


def export_pair(
    dense_ckpt: str | Path,
    matcher_ckpt: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    licence: str = "Apache-2.0",
    summary: str | None = None,
) -> Pretrained:
    """Write both modules and their record to the folder ``out``; return the record.

    Parameters become float16 where that only rounds them. Each file names the checkpoint that it
    was made from in its lineage, and of the paths in its settings keeps the last part alone.
    ``name`` is that of the folder if not given. Raises FileNotFoundError and ValueError as
    :func:`load_pair` does, and ValueError where the modules differ in shape, or ``out`` holds an
    export already or these very checkpoints. Other files of these names are kept aside.
    """
    out = Path(out)
    if (out / RECORD_FILE).exists():
        raise ValueError(f"{out} holds exported weights already: remove it, or give another --out")
    with guarded([dense_ckpt, matcher_ckpt]):
        for file in (out / DENSE_FILE, out / MATCHER_FILE):
            check_output(file)
    (dense, dense_meta), (matcher, meta) = load_pair(dense_ckpt, matcher_ckpt)
    check_same_shape(dense, matcher)
    for file in (out / DENSE_FILE, out / MATCHER_FILE):
        keep_earlier(file)  # of no finished export, and perhaps the only one of its kind
    dense_record = _exported(Path(dense_ckpt), dense_meta)
    dense_sha256 = save_weights(out / DENSE_FILE, dense, dense_record, half=True)
    matcher_record = _exported(Path(matcher_ckpt), meta)
    matcher_sha256 = save_weights(out / MATCHER_FILE, matcher, matcher_record, half=True)
    load_pair(out / DENSE_FILE, out / MATCHER_FILE)  # what was written is read back once
    name = name or out.resolve().name
    card = f"docs/models/{name}.md"
    record = Pretrained(
        name, summary or _summary(meta), licence, card, dense_sha256, matcher_sha256
    )
    # Last: a folder without it is not finished.
    write_record(out / RECORD_FILE, record)
    return record


def _exported(path: Path, meta: Metadata) -> Metadata:
    link = link_to(path, meta, "in half precision from here")
    return replace(meta, config=without_folders(meta.config), lineage=(*meta.lineage, link))


def without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """Return settings as they may leave the machine: of each path the last part alone."""
    named = {key: Path(config[key]).name for key in PATHS if config.get(key)}
    return config | named


def _summary(meta: Metadata) -> str:
    model, root = meta.config["model"], meta.config["dataset_root"]
    prints = "synthetic prints alone" if root == "synthetic" else "prints of a folder"
    canvas = f"canvas of {model['canvas']} pixels at {model['ppi']} ppi"
    return f"width {model['d_model']}, {model['num_layers']} layers, {canvas}; trained on {prints}"
