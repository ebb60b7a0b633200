"""Damaged files given to every reader, by a seed; a table of what became of them.

``make fuzz`` runs it: ``python tests/fuzz_readers.py --files 100000 --seed 0``. Whatever is done to
a file, its reader either returns what could have been written, or raises ValueError (or
FileNotFoundError) with the file's name, in at most 500 characters, within 20 seconds.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from damaged_files import damaged
from flax import nnx
from PIL import Image

from ifvit.archives import read_arrays
from ifvit.cache import SUFFIX, Cache
from ifvit.comparison.decision import DECISION, load_decision, save_decision
from ifvit.config import DenseConfig, ModelConfig
from ifvit.data.images import read_image
from ifvit.data.manifest import read_manifest
from ifvit.data.prints import Print
from ifvit.evaluation.protocols import read_comparisons
from ifvit.evaluation.scores import ScoreRow, read_scores, write_scores
from ifvit.gallery.template import Templates, load_templates, save_templates
from ifvit.models.dense_reg import DenseRegModel
from ifvit.texts import read_json
from ifvit.weights.checkpoint import read_metadata, save_weights
from ifvit.weights.metadata import Metadata
from ifvit.weights.pretrained import Pretrained, read_record, write_record

LONGEST, SLOWEST = 500, 20

MODEL = ModelConfig(
    canvas=48, roi_px=24, backbone_widths=(8, 8, 16), d_model=16, num_layers=2, num_heads=2
)


@dataclass(frozen=True)
class Reader:
    """A format: a whole file of it, what reads it, and whether that could have been written."""

    data: bytes
    read: Callable[[Path], Any]
    sensible: Callable[[Any], bool] = lambda _: True
    suffix: str = ""


def sensible_rows(rows: list[ScoreRow]) -> bool:
    """Scores in range, and labels that are some."""
    return all(row.label in (0, 1) and abs(row.score) <= 1.001 for row in rows)


def sensible_templates(found: Templates) -> bool:
    lengths = np.linalg.norm(found.cells / 127, axis=-1)
    return bool((abs(lengths - found.mask) < 0.05).all())


def sensible_image(found: np.ndarray) -> bool:
    return found.dtype == np.float32 and bool((found >= 0).all() and (found <= 1).all())


def saved_image(kind: str) -> bytes:
    y, x = np.mgrid[:80, :96]
    values = (127 + 100 * np.cos(np.hypot(x - 40, y - 50) * 0.7)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=kind)
    return buffer.getvalue()


def written(folder: Path, write: Callable[[Path], Any]) -> bytes:
    write(folder / "whole")
    return (folder / "whole").read_bytes()


def readers(folder: Path) -> dict[str, Reader]:
    """Make a whole file of every format, with what reads it."""
    rows = [
        ScoreRow(f"{n}.png", "x.png", n % 2, 0.1, 0.2, 0.3, n / 20, 9, "ok", "1", "2")
        for n in range(9)
    ]
    unit = 127 * np.eye(8, dtype=np.int8)[:6]
    shown = np.array([[[True, True]], [[True, False]], [[False, True]]])
    cells = unit.reshape(3, 1, 2, 8) * shown[..., None]
    templates = Templates(("a", "b", "c"), cells, shown, unit[:3], "ab" * 32)
    record = Pretrained("small", "a summary", "MIT", "card.md", *(c * 64 for c in "abc"))
    prints = [Print("s", str(n), "1", folder / f"{n}.png", 500) for n in range(4)]
    for item in prints:
        item.path.touch()
    table = "path,finger,ppi\n" + "".join(f"{p.path.name},{p.finger},500\n" for p in prints)
    listed = "".join(f"{n}.png\t{(n + 1) % 4}.png\timpostor\n" for n in range(3))
    scores = [n / 50 for n in range(-40, 40)]
    decision = DECISION.calibrated(scores, "c" * 64)
    run = json.dumps({"mode": "pair", "comparisons": 9, "prints": {"a": "3 bytes"}})
    arrays = {"x": np.arange(99, dtype=np.float32)}
    model = DenseRegModel(MODEL, rngs=nnx.Rngs(0))
    meta = Metadata.of(DenseConfig(model=MODEL), epoch=1, metrics={"L_D": 2.5})
    found = {
        kind: Reader(saved_image(kind), read_image, sensible_image)
        for kind in ("PNG", "TIFF", "BMP", "JPEG", "PPM", "GIF", "WEBP")
    }

    def from_cache(path: Path) -> dict[str, np.ndarray]:
        kept = Cache(path.parent, 10**9).load("k/whole")
        if kept is None:
            raise ValueError(f"{path}: made again")
        return kept

    (folder / "k").mkdir(exist_ok=True)
    return found | {
        "scores.csv": Reader(
            written(folder, lambda p: write_scores(rows, p)), read_scores, sensible_rows
        ),
        "table of prints": Reader(table.encode(), read_manifest),
        "list of comparisons": Reader(
            listed.encode(), lambda p: read_comparisons(p, prints, folder)
        ),
        "calibration": Reader(
            written(folder, lambda p: save_decision(p, decision)),
            load_decision,
            lambda c: bool((abs(c.impostor) <= 1.001).all()),
        ),
        "templates": Reader(
            written(folder, lambda p: save_templates(p, templates)),
            load_templates,
            sensible_templates,
        ),
        "weights.json": Reader(
            written(folder, lambda p: write_record(p, record)),
            read_record,
            lambda r: all(isinstance(value, str) for value in asdict(r).values()),
        ),
        "run.json": Reader(run.encode(), lambda p: read_json(p, "a record")),
        "arrays": Reader(
            packed(arrays),
            lambda p: read_arrays(p, "arrays"),
        ),
        "checkpoint": Reader(
            written(folder, lambda p: save_weights(p, model, meta)), read_metadata
        ),
        "cache": Reader(
            cached(folder, arrays),
            from_cache,
            lambda kept: np.array_equal(kept["x"], arrays["x"]),
            f"k/whole{SUFFIX}",
        ),
    }


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def cached(folder: Path, arrays: dict[str, np.ndarray]) -> bytes:
    Cache(folder, 10**9).save("k/whole", arrays)
    return (folder / f"k/whole{SUFFIX}").read_bytes()


def outcome(reader: Reader, path: Path) -> tuple[str, str]:
    """Read a file; return what became of it, and what was wrong with that."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SLOWEST)
    try:
        found = reader.read(path)
    except TimeoutError:
        return "hangs", f"more than {SLOWEST} s"
    except (ValueError, OSError) as error:
        text = str(error)
        # A table names the print that is not there, by its own line.
        named = path.name in text and len(text) <= LONGEST and "\n" not in text
        return ("refused", "") if named else ("no name, or too long", text[:200])
    except Exception as error:
        return "tracebacks", repr(error)[:200]
    finally:
        signal.alarm(0)
    return ("accepted", "") if reader.sensible(found) else ("nonsense accepted", repr(found)[:200])


KINDS = ("accepted", "refused", "nonsense accepted", "no name, or too long", "tracebacks", "hangs")


def fuzz(files: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Try so many files, shared evenly by the readers; return counts, and all that went wrong."""
    logging.getLogger("ifvit").setLevel(logging.ERROR)
    counts: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = readers(folder)
        for kind, reader in known.items():
            draw, counts[kind] = random.Random(f"{seed} {kind}"), Counter()
            path = folder / (reader.suffix or "damaged")
            for number in range(files // len(known)):
                path.write_bytes(damaged(reader.data, draw))
                what, why = outcome(reader, path)
                counts[kind][what] += 1
                if what not in ("accepted", "refused"):
                    wrong.append(f"{kind} {number}: {what}: {why}")
    return counts, wrong


def main() -> int:
    """Print the table, and return 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.monotonic()
    counts, wrong = fuzz(given.files, given.seed)
    table = csv.writer(sys.stdout, delimiter="|", lineterminator="\n")
    table.writerow(["reader", "files", *KINDS])
    for kind, found in counts.items():
        table.writerow([kind, found.total(), *(found[name] for name in KINDS)])
    total = sum(counts.values(), Counter())
    table.writerow(["all", total.total(), *(total[name] for name in KINDS)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{time.monotonic() - start:.0f} s, {peak:.0f} MB at most", *wrong[:20], sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
