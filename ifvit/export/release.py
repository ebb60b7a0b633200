"""A trained pair of modules made ready to ship: in half precision, as graphs, with a record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ifvit.export.card import CARD_FILE, CONFIG_FILE, config_json, model_card
from ifvit.export.onnx_export import export_onnx
from ifvit.files import check_output, guarded, keep_earlier, write_text
from ifvit.texts import read_text
from ifvit.weights.checkpoint import save_weights
from ifvit.weights.metadata import Metadata, link_to
from ifvit.weights.modules import check_same_shape, load_modules
from ifvit.weights.pretrained import RECORD_FILE, Pretrained, graphs_sha256, write_record
from ifvit.weights.settings import without_folders
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE, MODULE_OF, graph_file


def export_pair(
    dense_ckpt: str | Path,
    matcher_ckpt: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    licence: str = "Apache-2.0",
    summary: str | None = None,
    card: str | Path | None = None,
    frames: Float[np.ndarray, "2 S S"] | None = None,
) -> Pretrained:
    """Write both modules, their graphs, record and card to the folder ``out``; return the record.

    Parameters become float16 where that only rounds them, and graphs compute what such checkpoints
    do (:func:`ifvit.export.onnx_export.export_onnx`). Each checkpoint names in its lineage the
    checkpoint that it was made from, and keeps only the last part of the paths in its settings.
    ``name`` is that of the folder if not given; ``card`` is a file with the text of the model card,
    which is otherwise made (:mod:`ifvit.export.card`); ``frames`` replace the prints with which the
    graphs are checked. Raises FileNotFoundError and ValueError as :func:`load_modules` and
    ``export_onnx`` do, and ValueError where the modules differ in shape, or ``out`` already holds
    an export or these very checkpoints. Other files of these names are kept aside.
    """
    out = Path(out)
    if (out / RECORD_FILE).exists():
        raise ValueError(f"{out} holds exported weights already: remove it, or give another --out")
    own_card = "" if card is None else read_text(card, "a model card in Markdown")
    graphs = [graph_file(out, name) for name in MODULE_OF]
    about = out / CONFIG_FILE, out / CARD_FILE
    files = out / DENSE_FILE, out / MATCHER_FILE, *graphs, *about
    with guarded([dense_ckpt, matcher_ckpt, *([] if card is None else [card])]):
        for file in files:
            check_output(file)
    (dense, dense_meta), (matcher, meta) = load_modules(dense_ckpt, matcher_ckpt)
    check_same_shape(dense, matcher)
    for file in files:
        keep_earlier(file)  # of no finished export, and perhaps the only one of its kind
    dense_record = _exported(Path(dense_ckpt), dense_meta)
    dense_sha256 = save_weights(out / DENSE_FILE, dense, dense_record, half=True)
    matcher_record = _exported(Path(matcher_ckpt), meta)
    matcher_sha256 = save_weights(out / MATCHER_FILE, matcher, matcher_record, half=True)
    # What was written is read back once: the graphs are made from it.
    export_onnx(out, out / DENSE_FILE, out / MATCHER_FILE, licence=licence, frames=frames)
    name = name or out.resolve().name
    said, made = summary or _summary(meta), graphs_sha256(out)
    record = Pretrained(name, said, licence, CARD_FILE, dense_sha256, matcher_sha256, made)
    write_text(about[0], config_json(record, dense_meta))
    write_text(about[1], model_card(record, dense_meta, meta, own_card))
    # Last: a folder without it is not finished.
    write_record(out / RECORD_FILE, record)
    return record


def _exported(path: Path, meta: Metadata) -> Metadata:
    link = link_to(path, meta, "in half precision from here")
    return replace(meta, config=without_folders(meta.config), lineage=(*meta.lineage, link))


def _summary(meta: Metadata) -> str:
    model, root = meta.settings().model, meta.settings().data.dataset_root
    prints = "synthetic prints alone" if root == "synthetic" else "prints of a folder"
    canvas = f"canvas of {model.canvas} pixels at {model.ppi} ppi"
    return f"width {model.d_model}, {model.num_layers} layers, {canvas}; trained on {prints}"
