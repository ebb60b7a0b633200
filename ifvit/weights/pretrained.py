"""The weights that ship with ifvit: one folder for each name, verified before use.

``shipped/NAME`` holds both modules, their calibrated decision, and ``weights.json``, the record
that ``ifvit release`` writes. Weights are replaced by replacing that folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ifvit.files import check_exists, sha256_of, write_atomically
from ifvit.texts import read_json
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE, MODULE_OF, graph_file

SHIPPED = Path(__file__).with_name("shipped")
DEFAULT = "small"
"""Name of the weights that are used where no checkpoint is given."""

RECORD_FILE = "weights.json"

SHA256 = re.compile(r"[0-9a-f]{64}")

OWN = "--dense-ckpt and --matcher-ckpt of a training of yours"


@dataclass(frozen=True)
class Pretrained:
    """The record of a pair of checkpoints, which is known without opening them."""

    name: str
    summary: str
    """Description of the weights, in one line."""
    licence: str
    """SPDX identifier of the weights' licence."""
    model_card: str
    """Where data, recipe, results, limits and intended use are described: ``README.md`` beside it,
    or, for weights that ship with ifvit, a page of its documents."""
    dense_sha256: str
    matcher_sha256: str
    graphs_sha256: str
    """The sha256 of the concatenated sha256 of their graphs; empty where there are none."""


class PretrainedFiles(NamedTuple):
    """Where a pair of checkpoints is."""

    dense: Path
    matcher: Path


def list_weights() -> dict[str, Pretrained]:
    """Return the weights that ship with this installation, by name.

    Raises ValueError for a record that cannot be read.
    """
    return {
        path.parent.name: read_record(path) for path in sorted(SHIPPED.glob(f"*/{RECORD_FILE}"))
    }


def pretrained_files(name: str = DEFAULT) -> PretrainedFiles:
    """Return the files of the weights called ``name``, verified at their first use.

    Raises ValueError for an unknown name, and for a file that is not the recorded one,
    FileNotFoundError for a missing one.
    """
    known = list_weights()
    if not known:
        raise ValueError(f"no weights ship with this copy of ifvit: expected {name!r}; give {OWN}")
    if name not in known:
        raise ValueError(
            f"no weights called {name!r} ship with ifvit: expected one of {', '.join(known)}"
        )
    return _verified(SHIPPED / name, known[name])


def released_files(folder: Path) -> PretrainedFiles:
    """Return the files of a folder that ``ifvit release`` wrote, verified at their first use.

    Raises as :func:`read_record` and :func:`pretrained_files` do.
    """
    return _verified(folder, read_record(folder / RECORD_FILE))


def module1_file(given: str | Path) -> Path:
    """Return a Module 1's file: that of weights that ship with ifvit where it is called by their
    name and no such file is here. Raises as :func:`pretrained_files`."""
    path = Path(given)
    named = str(given) in list_weights() and not path.exists()
    return pretrained_files(str(given)).dense if named else path


def module_files(
    dense_ckpt: str | Path | None = None, matcher_ckpt: str | Path | None = None
) -> PretrainedFiles:
    """Return the two checkpoints that are given, or those that ship with ifvit if none is.

    Raises ValueError where one is given without the other, and as :func:`pretrained_files`.
    """
    if dense_ckpt is None and matcher_ckpt is None:
        return pretrained_files()
    if dense_ckpt is None or matcher_ckpt is None:
        missing, there = "--dense-ckpt", f"--matcher-ckpt {matcher_ckpt}"
        if matcher_ckpt is None:
            missing, there = "--matcher-ckpt", f"--dense-ckpt {dense_ckpt}"
        raise ValueError(
            f"{there} is given without {missing}: expected both, of one training, or neither for "
            "the weights that ship with ifvit"
        )
    return PretrainedFiles(Path(dense_ckpt), Path(matcher_ckpt))


def read_record(path: Path) -> Pretrained:
    """Read a record; raises FileNotFoundError, and ValueError for a file that is not one."""
    expected = f"a {RECORD_FILE} that `ifvit release` writes"
    check_exists(path, expected)
    values = read_json(path, expected)
    names = [field.name for field in fields(Pretrained)]
    wrong = sorted(set(names) ^ set(values)) or [
        name
        for name in names
        if not isinstance(values[name], str)
        or not (values[name] if not name.endswith("sha256") else _sha256(values[name], name))
    ]
    if wrong:
        raise ValueError(
            f"{path} cannot be read ({wrong[0]} is missing, unknown or invalid): expected "
            f"{expected}"
        )
    return Pretrained(**values)


def write_record(path: Path, record: Pretrained) -> None:
    """Write a record, whole or not at all."""
    write_atomically(path, (json.dumps(asdict(record), indent=2) + "\n").encode())


@lru_cache
def _verified(folder: Path, record: Pretrained) -> PretrainedFiles:
    files = PretrainedFiles(folder / DENSE_FILE, folder / MATCHER_FILE)
    for path, sha256 in zip(files, (record.dense_sha256, record.matcher_sha256), strict=True):
        check_exists(
            path,
            f"weights that ship with ifvit as {record.name!r}; install ifvit again, or give {OWN}",
        )
        if (found := sha256_of(path)) != sha256:
            raise ValueError(
                f"{path} is damaged or another file: its sha256 is {found[:12]}, expected "
                f"{sha256[:12]} for the weights {record.name!r}; install ifvit again, or give {OWN}"
            )
    if record.graphs_sha256 and graphs_sha256(folder) != record.graphs_sha256:
        raise ValueError(
            f"the graphs in {folder} are damaged, others, or not all there: expected those of the "
            f"weights {record.name!r}; install ifvit again, or give {OWN}"
        )
    return files


def graphs_sha256(folder: Path) -> str:
    """Return the sha256 of the sha256 of all graphs in a folder; empty where one is missing."""
    paths = [graph_file(folder, name) for name in MODULE_OF]
    if not all(path.exists() for path in paths):
        return ""
    return hashlib.sha256("".join(map(sha256_of, paths)).encode()).hexdigest()


def _sha256(value: str, name: str) -> bool:
    return bool(SHA256.fullmatch(value)) or (name == "graphs_sha256" and not value)
