"""The Enroller: prints to rows, committed some at a time, and told once they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, NamedTuple

from ifvit.config import REFERENCE_PPI
from ifvit.data.given import PrintSource
from ifvit.data.prints import warn_of_several
from ifvit.features.coder import Template
from ifvit.features.features import Features
from ifvit.gallery.audit import log, now
from ifvit.gallery.enrolment import LOWEST_QUALITY, Entry, image_file, readable
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import Row, plain_text, print_id
from ifvit.matcher import Matcher

COMMIT = 32
"""Prints of one commit: what a kill can cost is the work on so many."""

SMALL = 64
"""Fragments from which small ones are put together once an enrolment is done."""


class Enrolled(NamedTuple):
    """What became of a print that was to be enrolled."""

    name: str
    id: str
    """Empty for a print that could not be read."""
    state: Literal["enrolled", "known", "refused"]
    reason: str = ""
    """Why it was not enrolled."""


class Read(NamedTuple):
    """A print that was read and measured, and is not yet enrolled."""

    entry: Entry
    source: PrintSource
    features: Features
    id: str


class Enroller:
    """Makes rows of prints and commits them, in a store that it alone writes to."""

    def __init__(
        self, store: Store, matcher: Matcher, made_by: str, keep_prints: bool, force: bool
    ) -> None:
        """Take a store that is held for writing (:meth:`Store.writing`)."""
        self._store, self._matcher, self._made_by = store, matcher, made_by
        self._keep, self._force = keep_prints, force

    def enrol(self, given: Iterable[Entry]) -> Iterator[Enrolled]:
        """Yield what became of each print, in their order, once that is committed."""
        listed = iter(given)
        while few := list(islice(listed, COMMIT)):
            yield from self._committed([self._read(entry) for entry in few])
        if self._store.fragments() > SMALL:
            self._store.compact()

    def _read(self, entry: Entry) -> Read | Enrolled:
        try:
            source = readable(entry.source)
            features = self._matcher.extract(source, entry.ppi, entry.name)
        except (ValueError, OSError) as error:
            return Enrolled(plain_text(entry.name), "", "refused", str(error))
        warn_of_several(features.image, REFERENCE_PPI, entry.name)
        return Read(entry, source, features, print_id(features.order, self._store.sealer))

    def _committed(self, few: list[Read | Enrolled]) -> list[Enrolled]:
        """Commit what of some prints can be enrolled, and return what became of each."""
        known = self._store.whose([one.id for one in few if isinstance(one, Read)])
        rows, told = list[Row](), list[Enrolled]()
        for one in few:
            refused = one if isinstance(one, Enrolled) else self._refused(one, known)
            if refused is None and isinstance(one, Read):
                row = self._row(one)
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

    def _refused(self, one: Read, known: dict[str, tuple[str, str, str]]) -> Enrolled | None:
        """Return why a print is not enrolled; None where it is to be."""
        name, quality = plain_text(one.entry.name), self._template(one).quality
        if one.id in known:
            return _again(name, one.id, one.entry, *known[one.id])
        if quality < LOWEST_QUALITY and not self._force:
            reason = f"its quality is {quality:.0f} of 100, below {LOWEST_QUALITY:g}: scan it again"
            return Enrolled(name, one.id, "refused", f"{reason}, or enrol it by force")
        return None

    def _template(self, one: Read) -> Template:
        """Return the template of a print, which is made once and kept with its features."""
        return self._matcher.coder.template(one.features)

    def _row(self, one: Read) -> Row:
        return Row(
            id=one.id,
            template=self._template(one),
            made_by=self._made_by,
            subject=plain_text(one.entry.subject),
            finger=plain_text(one.entry.finger),
            name=plain_text(one.entry.name),
            ppi=float(one.entry.ppi),
            enrolled=now(),
            metadata=one.entry.metadata,
            image=image_file(one.source) if self._keep else None,
        )


def _again(name: str, id: str, entry: Entry, subject: str, finger: str, enrolled: str) -> Enrolled:
    """Return what is told of a print that is there already, perhaps as somebody else's."""
    if (plain_text(entry.subject), plain_text(entry.finger)) == (subject, finger):
        return Enrolled(name, id, "known", f"this very print was enrolled on {enrolled}")
    whose = " ".join(filter(None, (subject or "nobody by name", finger)))
    return Enrolled(
        name,
        id,
        "refused",
        f"this very print was enrolled on {enrolled} as that of {whose}: remove {id} first, or "
        "enrol it as theirs",
    )
