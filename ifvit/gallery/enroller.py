"""The Enroller: prints to rows, committed some at a time, and reported once they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from ifvit.gallery.audit import log, now
from ifvit.gallery.enrolment import LOWEST_QUALITY, Entry, image_file
from ifvit.gallery.reading import Read, Unread
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import Row, label_text, plain_text, print_id

COMMIT = 32
"""Number of prints in one commit: a process that is killed loses the work on at most so many."""

SMALL = 64
"""Number of fragments from which on an enrolment compacts small ones when it is done."""

ReadAll = Callable[[Sequence[Entry]], Sequence[Read | Unread]]
"""A function that reads and embeds some prints, in their order."""


class Enrolled(NamedTuple):
    """The outcome of enrolling a print."""

    name: str
    id: str
    """Empty for a print that could not be read."""
    state: Literal["enrolled", "known", "refused"]
    reason: str = ""
    """Why it was not enrolled."""


class Enroller:
    """Makes rows of prints and commits them to a store that it alone writes to."""

    def __init__(
        self, store: Store, read: ReadAll, made_by: str, keep_prints: bool, force: bool
    ) -> None:
        """Take a store that is locked for writing (:meth:`Store.writing`)."""
        self._store, self._read, self._made_by = store, read, made_by
        self._keep, self._force = keep_prints, force

    def enrol(self, given: Iterable[Entry]) -> Iterator[Enrolled]:
        """Yield the outcome for each print, in their order, once it is committed."""
        listed = iter(given)
        while few := list(islice(listed, COMMIT)):
            yield from self._committed(self._read(few))
        if self._store.fragments() > SMALL:
            self._store.compact()

    def _committed(self, few: Sequence[Read | Unread]) -> list[Enrolled]:
        """Commit those of some prints that can be enrolled, and return the outcome for each."""
        ids = [self._id(one) for one in few]
        known = self._store.whose([id for id in ids if id])
        rows, told = list[Row](), list[Enrolled]()
        for id, one in zip(ids, few, strict=True):
            refused = self._refused(id, one, known)
            if refused is None and isinstance(one, Read):
                row = self._row(id, one)
                known[row.id] = row.subject, row.finger, row.enrolled
                rows.append(row)
                refused = Enrolled(row.name, row.id, "enrolled")
            if refused is not None:
                told.append(refused)
        if rows:
            self._store.add(rows)
            subjects = sorted({row.subject for row in rows} - {""})
            ids = [row.id for row in rows]
            log(self._store.uri, "enrolled", ids=ids, subjects=subjects, prints_kept=self._keep)
        return told

    def _id(self, one: Read | Unread) -> str:
        return "" if isinstance(one, Unread) else print_id(one.digest, self._store.sealer)

    def _refused(
        self, id: str, one: Read | Unread, known: dict[str, tuple[str, str, str]]
    ) -> Enrolled | None:
        """Return the outcome for a print that is not enrolled; None for one that is."""
        name = plain_text(one.entry.name)
        if isinstance(one, Unread):
            return Enrolled(name, "", "refused", one.reason)
        if id in known:
            return _again(name, id, one.entry, *known[id])
        quality = one.template.quality
        if quality < LOWEST_QUALITY and not self._force:
            reason = f"its quality is {quality:.0f} of 100, below {LOWEST_QUALITY:g}: scan it again"
            return Enrolled(name, id, "refused", f"{reason}, or enrol it by force (--force)")
        return None

    def _row(self, id: str, one: Read) -> Row:
        return Row(
            id=id,
            template=one.template,
            made_by=self._made_by,
            subject=label_text(one.entry.subject),
            finger=label_text(one.entry.finger),
            name=plain_text(one.entry.name),
            ppi=float(one.entry.ppi),
            enrolled=now(),
            metadata=one.entry.metadata,
            image=image_file(one.source) if self._keep else None,
        )


def _again(name: str, id: str, entry: Entry, subject: str, finger: str, enrolled: str) -> Enrolled:
    """Return the outcome for a print that is already there, perhaps as somebody else's."""
    if (label_text(entry.subject), label_text(entry.finger)) == tuple(
        map(label_text, (subject, finger))
    ):
        return Enrolled(name, id, "known", f"this very print was enrolled on {enrolled}")
    whose = " ".join(filter(None, (subject or "nobody by name", finger)))
    return Enrolled(
        name,
        id,
        "refused",
        f"this very print was enrolled on {enrolled} as that of {whose}: remove {id} first, or "
        "enrol it as theirs",
    )
