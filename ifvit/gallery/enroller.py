"""The Enroller: prints to rows, committed some at a time, and told once they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import warn_of_several
from ifvit.gallery.audit import log, now
from ifvit.gallery.enrolment import LOWEST_QUALITY, Entry, image_file, quality_of, readable
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


class Enroller:
    """Makes rows of prints and commits them, in a store that it alone writes to."""

    def __init__(
        self, store: Store, matcher: Matcher, made_by: str, keep_prints: bool, force: bool
    ) -> None:
        """Take a store that is held for writing (:meth:`Store.writing`)."""
        self._store, self._matcher, self._made_by = store, matcher, made_by
        self._keep, self._force = keep_prints, force
        labels = store.labels().select(["id", "subject", "finger", "enrolled"])
        columns = [labels[name].to_pylist() for name in labels.column_names]
        self._known = {id: rest for id, *rest in zip(*columns, strict=True)}

    def enrol(self, given: Iterable[Entry]) -> Iterator[Enrolled]:
        """Yield what became of each print, in their order, once that is committed."""
        rows, told = list[Row](), list[Enrolled]()
        for entry in given:
            row, outcome = self._made(entry)
            told.append(outcome)
            if row is not None:
                rows.append(row)
                self._known[row.id] = [row.subject, row.finger, row.enrolled]
            if len(rows) == COMMIT:
                self._commit(rows)
                yield from told
                rows, told = [], []
        self._commit(rows)
        yield from told
        if self._store.fragments() > SMALL:
            self._store.compact()

    def _commit(self, rows: list[Row]) -> None:
        if rows:
            self._store.add(rows)
            subjects = sorted({row.subject for row in rows} - {""})
            ids = [row.id for row in rows]
            log(self._store.uri, "enrolled", ids=ids, subjects=subjects, prints_kept=self._keep)

    def _made(self, entry: Entry) -> tuple[Row | None, Enrolled]:
        name = plain_text(entry.name)
        try:
            source = readable(entry.source)
            features = self._matcher.extract(source, entry.ppi, entry.name)
        except (ValueError, OSError) as error:
            return None, Enrolled(name, "", "refused", str(error))
        warn_of_several(features.image, REFERENCE_PPI, entry.name)
        id, quality = print_id(features.order, self._store.sealer), quality_of(features)
        if id in self._known:
            return None, _again(name, id, entry, *self._known[id])
        if quality is not None and quality < LOWEST_QUALITY and not self._force:
            reason = f"its quality is {quality:.2f}, below {LOWEST_QUALITY:g}: capture it again"
            return None, Enrolled(name, id, "refused", f"{reason}, or enrol it by force")
        row = Row(
            id=id,
            template=self._matcher.coder.template(features),
            made_by=self._made_by,
            subject=plain_text(entry.subject),
            finger=plain_text(entry.finger),
            name=name,
            ppi=float(entry.ppi),
            quality=quality,
            enrolled=now(),
            metadata=entry.metadata,
            image=image_file(source) if self._keep else None,
        )
        return row, Enrolled(name, id, "enrolled")


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
