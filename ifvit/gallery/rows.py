"""Rows of a gallery: the data of an enrolled print, and their columns.

Biometric data are in three columns of bytes, which can be encrypted: ``index``, the index vector,
``map``, the dense map with the pose, and ``print``, the file itself where it is kept. All other
columns say whose the print is and where it came from.
"""

from __future__ import annotations

import hashlib
import json
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int8

from ifvit.features.coder import Template
from ifvit.gallery.sealing import Sealer

BIOMETRIC = ("index", "map", "print")
"""Columns with biometric data; all others are labels."""

LABELS = ("id", "subject", "finger", "name", "ppi", "quality", "enrolled", "metadata", "made_by")

KEY = {"lance-schema:unenforced-primary-key:position": "1"}
"""Metadata that mark a column as the primary key: of two processes that add the same print at once,
one finds that it is already there."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False, metadata=KEY),
        ("subject", pa.string()),
        ("finger", pa.string()),
        ("name", pa.string()),
        ("ppi", pa.float64()),
        ("quality", pa.float64()),
        ("enrolled", pa.string()),
        ("metadata", pa.string()),
        ("made_by", pa.string()),
        ("index", pa.binary()),
        ("map", pa.binary()),
        ("print", pa.binary()),
        ("checksum", pa.binary(32)),
    ]
)

POSE = struct.Struct("<3B4d")
"""The header of a dense map: its sides h, w and K, then core x, core y, rotation, confidence."""


@dataclass(frozen=True, eq=False)
class Row:
    """An enrolled print."""

    id: str
    """An id made from the print's pixels, so that one print is enrolled once (:func:`print_id`)."""
    template: Template
    made_by: str
    """sha256 of the weights and settings that made the template."""
    subject: str = ""
    finger: str = ""
    name: str = ""
    """The name of the print when it was enrolled: its path, if it came from a file."""
    ppi: float = 500.0
    enrolled: str = ""
    """Time of the enrolment, UTC, in ISO 8601."""
    metadata: dict[str, str] = field(default_factory=dict)
    image: bytes | None = None
    """The print as an image file, without loss, where it is kept."""

    @property
    def quality(self) -> float:
        """Return the quality of the print, which the template has; it is a column of its own."""
        return self.template.quality


def print_id(digest: bytes, sealer: Sealer | None) -> str:
    """Return the id of a print by the digest of its pixels: 24 hexadecimal digits.

    In an encrypted gallery it depends on the key: somebody who has a print cannot find out by its
    digest alone whether it is enrolled.
    """
    return (sealer.keyed(digest) if sealer else hashlib.sha256(digest).digest()).hex()[:24]


def plain_text(text: str) -> str:
    """Return text that every column can hold: bytes of a name that is no UTF-8 are spelled out."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of signs that stand for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def label_text(text: str) -> str:
    """Return a subject or a finger as it is kept: an accented letter as one sign (Unicode's NFC).

    A name that is typed and the same name of a folder can differ in that, and look alike.
    """
    return unicodedata.normalize("NFC", plain_text(text))


def packed(template: Template) -> bytes:
    """Return a dense map with its mask and pose as bytes."""
    pose = (*template.core, template.rotation, template.confidence)
    shown = np.packbits(template.mask).tobytes()
    return POSE.pack(*template.cells.shape, *pose) + shown + template.cells.tobytes()


def unpacked(data: bytes, index: Int8[np.ndarray, " E"]) -> Template:
    """Return the template from bytes that :func:`packed` made, and from an index vector.

    Raises ValueError for bytes of another length.
    """
    cells, mask, pose = _parts(data)
    x, y, rotation, confidence = pose
    return Template(cells, mask, index, (x, y), rotation, confidence)


def maps_of(
    column: Sequence[bytes],
) -> tuple[Int8[np.ndarray, "P h w K"], Bool[np.ndarray, "P h w"]]:
    """Return the cells and the masks of P dense maps; raises ValueError for damaged ones."""
    made = [_parts(data) for data in column]
    return np.stack([one[0] for one in made]), np.stack([one[1] for one in made])


def _parts(data: bytes) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    if len(data) < POSE.size:
        raise ValueError(f"a dense map of {len(data)} bytes: it is damaged")
    height, width, channels, *pose = POSE.unpack_from(data)
    count = height * width
    bits = -(-count // 8)
    if len(data) != POSE.size + bits + count * channels:
        raise ValueError(f"a dense map of {len(data)} bytes for {height} × {width} cells")
    shown = np.frombuffer(data, np.uint8, bits, POSE.size)
    cells = np.frombuffer(data, np.int8, count * channels, POSE.size + bits)
    mask = np.unpackbits(shown, count=count).astype(bool).reshape(height, width)
    return cells.reshape(height, width, channels), mask, tuple(pose)


def checksum(row: dict) -> bytes:
    """Return the sha256 of a row's columns as they are stored."""
    digest = hashlib.sha256()
    for name in (*LABELS, *BIOMETRIC):
        value = row[name]
        data = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(struct.pack("<q", len(data)) + data)
    return digest.digest()


def to_table(rows: Sequence[Row], sealer: Sealer | None) -> pa.Table:
    """Return rows as columns, biometric ones encrypted where the gallery has a key."""
    listed = [_columns(row, sealer) for row in rows]
    return pa.Table.from_pylist(listed, schema=SCHEMA)


def _columns(row: Row, sealer: Sealer | None) -> dict:
    values: dict = {name: getattr(row, name) for name in LABELS if name != "metadata"}
    values["metadata"] = json.dumps(row.metadata, sort_keys=True) if row.metadata else ""
    for name in ("subject", "finger", "name", "metadata"):
        values[name] = plain_text(values[name])
    values |= {"index": row.template.index.tobytes(), "map": packed(row.template)}
    values["print"] = row.image
    if sealer:
        for name in BIOMETRIC:
            if values[name] is not None:
                values[name] = sealer.sealed(values[name], place(row.id, name))
    return values | {"checksum": checksum(values)}


def place(id: str, column: str) -> bytes:
    """Return the associated data of an encrypted value: it can be decrypted in its own row and
    column only."""
    return f"{id} {column}".encode()


def to_rows(table: pa.Table, sealer: Sealer | None) -> list[Row]:
    """Return the rows of a table with all its columns; raises ValueError as :class:`Sealer`."""
    return [_row(values, sealer) for values in table.to_pylist()]


def _row(values: dict, sealer: Sealer | None) -> Row:
    for name in BIOMETRIC:
        if sealer and values[name] is not None:
            values[name] = sealer.opened(values[name], place(values["id"], name))
    index = np.frombuffer(values["index"], np.int8)
    labels = {name: values[name] for name in LABELS if name not in ("metadata", "quality")}
    metadata = json.loads(values["metadata"]) if values["metadata"] else {}
    template = unpacked(values["map"], index)._replace(quality=values["quality"])
    return Row(template=template, metadata=metadata, image=values["print"], **labels)
