"""What is to be true of a command's folder after it was killed, whenever that was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from ifvit.data.images import read_image
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.row_store import TABLE, is_gallery
from ifvit.texts import read_json, read_table
from ifvit.weights.checkpoint import read_metadata


def whole(path: Path, read: Callable[[Path], object]) -> None:
    if path.exists():
        read(path)


def check_prints(out: Path, said: str) -> None:
    for path in out.glob("*.png"):
        read_image(path) if path.stem != "contact_sheet" else Image.open(path).load()
    table = out / "manifest.csv"
    if table.exists():
        rows = list(read_table(table, ["file", "finger"], "a table"))
        assert all((out / row.values["file"]).exists() for row in rows)
        assert (out / "contact_sheet.png").exists(), "a set without its sheet counts as finished"


def made_or_there(code: int, said: str) -> bool:
    """What was whole before its process could tell is not made a second time."""
    return code == 0 or (code == 2 and "holds a data set already" in said)


def check_training(out: Path, said: str) -> None:
    for path in out.rglob("*.safetensors"):
        read_metadata(path)
    whole(out / "config.json", lambda path: read_json(path, "settings"))


class Rows:
    """The rows of an evaluation: what was there stays, and each is whole."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def begin(self, out: Path) -> None:
        self.seen = []

    def __call__(self, out: Path, said: str) -> None:
        path = out / "scores.csv"
        lines = path.read_bytes().splitlines(True) if path.exists() else []
        lines = [line for line in lines if line.endswith(b"\n")]
        assert lines[: len(self.seen)] == self.seen, "a row is lost"
        self.seen = lines


class Kept:
    """What a gallery's commands have told is so when it is opened again."""

    def __init__(self, earlier: Path | None = None, gone: tuple[str, ...] = ()) -> None:
        self.earlier, self.may_go = earlier, set(gone)
        self.there: set[str] = set()

    def begin(self, out: Path) -> None:
        """Begin with a copy of an earlier gallery, if there is one."""
        self.there = set()
        if self.earlier is not None:
            shutil.copytree(self.earlier, out / "gallery")
            self.there = set(ids_of(out / "gallery"))

    def __call__(self, out: Path, said: str) -> None:
        lines = [line.split("\t") for line in said.split("\n")[:-1] if "\t" in line]
        self.there |= {words[0] for words in lines if words[1] in ("enrolled", "known")}
        if not self.there and not is_gallery(str(out / "gallery")):
            return
        ids = ids_of(out / "gallery")
        assert len(ids) == len(set(ids)), "a print is there twice"
        assert self.there - self.may_go <= set(ids), "a print is lost"
        if " prints removed" in said:
            assert not self.may_go & set(ids), "a print that was removed is back"


class Purged(Kept):
    """Who was removed for good is in no older version either."""

    def __call__(self, out: Path, said: str) -> None:
        super().__call__(out, said)
        if " prints removed" in said or "nobody in" in said:
            versions = list((out / "gallery" / f"{TABLE}.lance" / "_versions").glob("*.manifest"))
            assert len(versions) == 1, "older versions still hold a print that was purged"


class CopiedWhole(Kept):
    """A copy of a gallery is there as a whole or not at all, and no part of one for good."""

    def __call__(self, out: Path, said: str) -> None:
        super().__call__(out, said)
        if (out / "copy").exists():
            assert set(ids_of(out / "copy")) == self.there
        assert len(list(out.glob(".copy.*"))) <= 1, "parts of copies gather"


def ids_of(path: Path) -> list[str]:
    gallery = Gallery(path)
    assert gallery.store.damaged() == []
    return list(gallery.labels()["id"].to_pylist())


def removed_or_gone(code: int, said: str) -> bool:
    """Who was removed by a process that could not tell it any more is nobody afterwards."""
    return code == 0 or (code == 2 and "nobody in" in said)


def made_by_others(path: Path) -> list[str]:
    """Say of all prints of a gallery that other weights made them; return the first one's id."""
    store = Gallery(path).store
    rows = [replace(row, made_by="0" * 64) for few in store.rows() for row in few]
    with store.writing():
        store.replace(rows)
    return [rows[0].id]
