"""The store of a gallery: rows in, rows out. A table of LanceDB in a folder, or at a URI.

Every write is one commit of the engine: a process that is killed leaves the table as it was before
or after it, never between. Old versions stay readable until they are purged, and rows that were
removed stay in them until then (:meth:`Store.purge`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

from ifvit.files import check_folder
from ifvit.gallery.engine import (
    engine_errors,
    engine_uri,
    import_lancedb,
    is_remote,
    private_files,
)
from ifvit.gallery.row_reader import RowReader, among
from ifvit.gallery.rows import SCHEMA, Row, plain_text, to_table
from ifvit.gallery.sealing import CHECK, Sealer
from ifvit.locks import folder_lock
from ifvit.texts import parse_json

lancedb = import_lancedb()

TABLE = "prints"

FRAGMENT = 1 << 16
"""Number of prints in a full fragment: compaction rewrites one only where rows were removed."""

CHECKED = "check", CHECK
"""The entry of the table's header by which a key is checked: its name and its plain text."""


class Store(RowReader):
    """A table of rows. Writing needs the lock of :meth:`writing`."""

    @classmethod
    def create(cls, uri: str, sealer: Sealer | None = None) -> Store:
        """Make an empty gallery, its folder for its owner alone (0700).

        Raises ValueError where the folder holds anything else, or takes no files.
        """
        if not is_remote(uri):
            check_folder(uri, "the gallery")
            if plain_text(uri) != uri:
                raise ValueError(
                    f"the gallery {uri}: its name is no UTF-8, which the engine asks for: rename it"
                )
            if strange := [s for s in uri if s == "?" or unicodedata.category(s) == "Cc"]:
                raise ValueError(
                    f"the gallery {uri}: its name holds {strange[0]!r}, from which on the engine "
                    "reads no name: rename it"
                )
            if os.path.isdir(uri) and set(os.listdir(uri)) - {".lock", f"{TABLE}.lance"}:
                raise ValueError(f"{uri} is no gallery, and not empty: expected an empty folder")
            os.makedirs(uri, mode=0o700, exist_ok=True)
            os.chmod(uri, 0o700)
        check = base64.b64encode(sealer.sealed(CHECKED[1], CHECKED[0].encode())) if sealer else b""
        header = json.dumps({"version": 1, "check": check.decode()})
        with private_files(), engine_errors(uri, "making the gallery"):
            made = lancedb.connect(engine_uri(uri)).create_table(
                TABLE, schema=SCHEMA.with_metadata({"ifvit": header}), exist_ok=True
            )
        return cls(uri, made, sealer)

    @classmethod
    def open(cls, uri: str, sealer: Sealer | None = None) -> Store:
        """Open a gallery; raises FileNotFoundError, and ValueError for another key, or none."""
        if not is_gallery(uri):
            raise FileNotFoundError(
                f"{uri} is no gallery: expected one that `ifvit enroll {uri} PRINTS` has made"
            )
        with engine_errors(uri, "opening"):
            table = lancedb.connect(engine_uri(uri)).open_table(TABLE)
            header = parse_json((table.schema.metadata or {}).get(b"ifvit", b"").decode() or "{}")
        if header.get("version") != 1:
            raise ValueError(f"{uri} is a gallery of another version of ifvit: expected version 1")
        _check_key(uri, header["check"], sealer)
        return cls(uri, table, sealer)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let one process at a time write; raises ValueError where another one does.

        The lock is for local folders; elsewhere commits are atomic, and the engine joins those of
        two processes.
        """
        lock = (
            nullcontext()
            if is_remote(self.uri)
            else folder_lock(Path(self.uri), "at work", "gallery")
        )
        with private_files(), lock:
            self.refresh()
            yield

    def add(self, rows: Sequence[Row]) -> None:
        """Commit rows; those whose id is there already are passed over."""
        with engine_errors(self.uri, "enrolling"):
            merge = self._table.merge_insert("id").when_not_matched_insert_all()
            merge.execute(to_table(rows, self.sealer))

    def replace(self, rows: Sequence[Row]) -> None:
        """Commit rows in place of those of the same ids."""
        with engine_errors(self.uri, "writing"):
            merge = self._table.merge_insert("id").when_matched_update_all()
            merge.execute(to_table(rows, self.sealer))

    def delete(self, ids: Iterable[str]) -> None:
        """Commit that rows are gone; older versions still hold them (:meth:`purge`)."""
        with engine_errors(self.uri, "removing"):
            self._table.delete(among(ids))

    def compact(self) -> None:
        """Put small fragments together, and leave out what was removed."""
        with engine_errors(self.uri, "compacting"):
            data = self._table.to_lance()
            data.optimize.compact_files(
                target_rows_per_fragment=FRAGMENT,
                materialize_deletions=True,
                materialize_deletions_threshold=0.0,
            )
        self.refresh()

    def purge(self) -> None:
        """Erase what was removed: all older versions, and files that no version refers to.

        A search that runs in another process fails with an error of one line, and can be repeated.
        """
        self.compact()
        with engine_errors(self.uri, "removing old versions"):
            self._table.to_lance().cleanup_old_versions(timedelta(0), delete_unverified=True)
        self.refresh()

    def back_up(self, folder: str | Path) -> None:
        """Copy the gallery as it is to a new folder; raises ValueError where that is not empty."""
        if is_remote(self.uri):
            raise ValueError(f"{self.uri} is no local folder: copy it by the store's own tools")
        target = Path(folder)
        if target.exists():
            raise ValueError(f"{target} is there already: expected a new folder for the copy")
        if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.uri)):
            raise ValueError(f"{target} lies in the gallery that is copied: give another folder")
        check_folder(target, "--out")
        # One name for each gallery: only one process at a time copies it, so that a folder of this
        # name was left by a process that was killed.
        own = hashlib.sha256(os.fsencode(os.path.realpath(self.uri))).hexdigest()[:16]
        kept = target.with_name(f".{target.name}.{own}.tmp")
        try:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.uri, kept, ignore=shutil.ignore_patterns(".lock", ".*.tmp"))
            os.rename(kept, target)
        finally:
            shutil.rmtree(kept, ignore_errors=True)


def is_gallery(uri: str) -> bool:
    """Return whether there is a gallery; for a URI that is no folder the engine finds out later."""
    return is_remote(uri) or os.path.isdir(os.path.join(uri, f"{TABLE}.lance", "_versions"))


def _check_key(uri: str, check: str, sealer: Sealer | None) -> None:
    if bool(check) != bool(sealer):
        raise ValueError(
            f"{uri} is encrypted: give its key by --key-file or IFVIT_GALLERY_KEY"
            if check
            else f"{uri} is not encrypted, and a key was given: leave --key-file and "
            "IFVIT_GALLERY_KEY away"
        )
    if sealer:
        try:
            sealer.opened(base64.b64decode(check), CHECKED[0].encode())
        except ValueError as error:
            raise ValueError(f"{uri} is encrypted with another key than the one given") from error
