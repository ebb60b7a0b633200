"""Templates, records of weights and checkpoints: damaged ones are refused, whatever the damage."""

from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ifvit.archives import read_arrays
from ifvit.gallery.template import Templates, load_templates, save_templates
from ifvit.weights.checkpoint import load_dense, load_matcher, read_metadata
from ifvit.weights.pretrained import Pretrained, read_record


def unit(*shape: int) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def written(path: Path, record: object, **arrays: np.ndarray) -> None:
    np.savez(
        path, ifvit=np.array(record if isinstance(record, str) else json.dumps(record)), **arrays
    )


GOOD = {"version": 2, "matcher_sha256": "ab" * 32}
NAMES = np.array(["a", "b", "c"])


def arrays(**others: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of three good templates, but for some."""
    mask = np.random.default_rng(1).random((3, 6, 6)) > 0.3
    cells = np.round(127 * unit(3, 6, 6, 8)).astype(np.int8) * mask[..., None]
    index = unit(3, 16)
    index = np.round(127 * index / np.abs(index).max(axis=1, keepdims=True)).astype(np.int8)
    return {"names": NAMES, "cells": cells, "mask": mask, "index": index} | others


@pytest.mark.parametrize(
    "others",
    [
        {"cells": arrays()["cells"] // 2},
        {"cells": np.full((3, 6, 6, 8), 127, np.int8)},
        {"cells": arrays()["cells"].astype(np.float32)},
        {"cells": arrays()["cells"][:, :5]},
        {"cells": arrays()["cells"][..., :0]},
        {"mask": ~arrays()["mask"]},
        {"mask": arrays()["mask"].astype(np.int8)},
        {"mask": arrays()["mask"][:2]},
        {"index": arrays()["index"] // 2},
        {"index": np.zeros((3, 16), np.int8)},
        {"index": unit(3, 16)},
        {"index": arrays()["index"][0]},
        {"names": NAMES[:2]},
        {"names": np.arange(3)},
        {"names": np.array(["a", "a", "c"])},
        {"names": NAMES[:, None]},
    ],
)
def test_templates_that_were_not_made_are_not_believed(tmp_path, others):
    path = tmp_path / "t.npz"
    written(path, GOOD, **arrays(**others))
    with pytest.raises(ValueError, match=r"t\.npz cannot be read \(.*\): expected templates"):
        load_templates(path)


@pytest.mark.parametrize(
    "record",
    [
        *({**GOOD, "version": v} for v in (1, 3, "2", None, float("nan"))),
        *('{"version": NaN', "[]", "3", "[" * 9999),
        {**GOOD, "matcher_sha256": 3},
        {**GOOD, "more": 3},
        {},
    ],
)
def test_records_that_were_not_written_are_not_believed(tmp_path, record):
    path = tmp_path / "t.npz"
    written(path, record, **arrays())
    with pytest.raises(ValueError, match=r"t\.npz cannot be read \(.*\): expected templates"):
        load_templates(path)
    written(path, GOOD, **arrays())
    assert len(load_templates(path)) == 3


def test_no_damaged_archive_gives_other_templates(tmp_path):
    """Bits flipped, bytes cut, filled and moved: refused by name, or what was written."""
    path, draw = tmp_path / "t.npz", random.Random(0)
    good = arrays()
    own = Templates(("a", "é", "c"), good["cells"], good["mask"], good["index"], "ab" * 32)
    save_templates(path, own)
    whole = path.read_bytes()
    for _ in range(1500):
        data = bytearray(whole)
        kind = draw.randrange(4)
        at = draw.randrange(len(data))
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at : at + 20] = bytes([draw.choice([0, 255])] * 20)
        else:
            data[at:at] = draw.randbytes(draw.randrange(1, 40))
        path.write_bytes(data)
        try:
            found = load_templates(path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < 500
        else:
            assert found.names == own.names
            for part in ("cells", "mask", "index"):
                assert np.array_equal(getattr(found, part), getattr(own, part))


def npy_header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["packed", "promised", "objects"])
def test_an_archive_is_no_larger_than_its_bytes(tmp_path, kind):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind == "packed":
            archive.writestr("x.npy", npy_header((50_000_000,)) + bytes(200_000_000))
        elif kind == "promised":
            archive.writestr("x.npy", npy_header((10**12, 4)))
        else:
            archive.writestr("x.npy", npy_header((2,), "|O") + b"cos\nsystem\n")
    with pytest.raises(
        ValueError, match=r"bomb\.npz cannot be read \((its|the) header|it holds Py"
    ):
        read_arrays(path, "arrays")


def test_a_record_of_weights_is_what_it_says(tmp_path):
    path = tmp_path / "weights.json"
    own = Pretrained("small", "a summary", "MIT", "card.md", *(c * 64 for c in "abc"))
    others = [None, 3, 0.5, True, [], {}, ["x"], "", 10**400]
    for name in asdict(own):
        for other in [*others, *(["g" * 64, "A" * 64, "a" * 63] if "sha256" in name else [])]:
            if (name, other) == ("graphs_sha256", ""):
                continue  # weights without graphs
            path.write_text(json.dumps({**asdict(own), name: other}))
            with pytest.raises(ValueError, match=rf"weights\.json cannot be read.*{name}"):
                read_record(path)
        path.write_text(json.dumps({k: v for k, v in asdict(own).items() if k != name}))
        with pytest.raises(ValueError, match="cannot be read"):
            read_record(path)
    path.write_text(json.dumps({**asdict(own), "more": "x"}))
    with pytest.raises(ValueError, match="more is missing, unknown"):
        read_record(path)
    path.write_text(json.dumps(asdict(own)))
    assert read_record(path) == own


def test_a_checkpoint_with_negative_variances_is_refused(trained_pair, tmp_path):
    for load, good in zip((load_dense, load_matcher), trained_pair, strict=True):
        tensors, record = load_file(good), read_metadata(good)
        names = [name for name in tensors if name.endswith("/var")]
        assert names and record
        tensors[names[0]] = -tensors[names[0]] - 1
        path = tmp_path / good.name
        save_file(tensors, path, metadata_of(good))
        with pytest.raises(ValueError, match="holds negative variances"):
            load(path)


def metadata_of(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length])["__metadata__"])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("num_layers", 10**6), ("num_layers", 1000), ("num_layers", 2.0), ("num_heads", 0)),
        *(("num_heads", "2"), ("d_model", True), ("canvas", None), ("backbone_widths", 8)),
        *(("backbone_widths", [8, 8, "x"]), ("use_loftr", 1), ("temperature", "hot")),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(trained_pair, tmp_path, setting, value):
    path = tmp_path / "dense.safetensors"
    known = metadata_of(trained_pair[0])
    record = json.loads(known["ifvit"])
    record["config"]["model"][setting] = value
    save_file(load_file(trained_pair[0]), path, {"ifvit": json.dumps(record)})
    with pytest.raises(ValueError, match=r"dense\.safetensors") as caught:
        load_dense(path)
    assert len(str(caught.value)) < 500
