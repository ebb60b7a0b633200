"""The Gallery: prints that are enrolled, and searches among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ifvit.comparison.result import MatchResult
from ifvit.data.given import PrintSource
from ifvit.features.features import Features
from ifvit.gallery.answers import SearchResult, Verification, answer, verified
from ifvit.gallery.audit import log
from ifvit.gallery.dedupe import Double, doubles
from ifvit.gallery.enroller import Enrolled, Enroller
from ifvit.gallery.enrolment import Entry, entries
from ifvit.gallery.made_by import check_made_by, made_by
from ifvit.gallery.open_set import OpenSet
from ifvit.gallery.rescore import Rescorer, rescored
from ifvit.gallery.row_store import Store, is_gallery
from ifvit.gallery.sealing import Sealer
from ifvit.gallery.search import Snapshot, snapshot
from ifvit.gallery.search_stages import Embedded, Stages, read_here
from ifvit.gallery.upgrade import upgraded
from ifvit.matcher import Matcher

if TYPE_CHECKING:
    from ifvit.gallery.cluster import Cluster

FPIR = 0.001
"""The false positive identification rate at which a search decides by default."""


class Gallery:
    """Prints to be enrolled, searched, verified and removed, in a folder or at a URI.

    ``matcher`` is a Matcher, or a function that loads one when first needed; by default, that of
    the weights that ship. ``key`` are 32 bytes. Only one thread at a time may use an object.
    """

    def __init__(
        self,
        path: str | Path,
        matcher: Matcher | Callable[[], Matcher] | None = None,
        *,
        key: bytes | None = None,
        create: bool = False,
        cluster: str | None = None,
    ) -> None:
        """Open a gallery, or make an empty one where there is none and ``create`` is True.

        ``cluster`` is the address of a cluster (:class:`ifvit.gallery.cluster.Cluster`) whose
        workers then search and embed; ``matcher`` is the function by which each loads its own.
        Raises FileNotFoundError where there is no gallery, ValueError for a wrong or missing key.
        """
        self.path = os.fspath(path)
        sealer = None if key is None else Sealer(key)
        new = create and not is_gallery(self.path)
        self.store = (Store.create if new else Store.open)(self.path, sealer)
        self._matcher = self._load = matcher
        self._snapshot: Snapshot | None = None
        self._key, self._address = key, cluster

    @property
    def matcher(self) -> Matcher:
        """Return the Matcher that makes templates and compares pairs."""
        if not isinstance(self._matcher, Matcher):
            self._matcher = (self._matcher or Matcher.from_checkpoints)()
        return self._matcher

    def __len__(self) -> int:
        """Return the number of prints."""
        self.store.refresh()
        return self.store.count()

    def labels(self) -> pa.Table:
        """Return all columns that are not biometric, one row for each print."""
        self.store.refresh()
        return self.store.labels()

    def enroll(
        self,
        prints: Iterable[PrintSource | Entry],
        subject: str = "",
        finger: str = "",
        *,
        ppi: float | None = None,
        metadata: dict[str, str] | None = None,
        keep_prints: bool = False,
        force: bool = False,
    ) -> list[Enrolled]:
        """Enrol prints, and return the outcome for each, in their order.

        A print is whatever :func:`ifvit.match` takes, an :class:`Entry`, or a folder, which stands
        for all prints in it. ``keep_prints`` stores the prints themselves beside their templates:
        pair mode, a false match rate, evidence and an upgrade need them, and they are biometric
        data. ``force`` enrols prints of low quality too. Raises ValueError where another process
        writes, and for a gallery of other weights or settings.
        """
        listed = entries(prints, subject, finger, ppi, metadata)
        return list(self.enrolling(listed, keep_prints=keep_prints, force=force))

    def enrolling(
        self, given: Iterable[Entry], *, keep_prints: bool = False, force: bool = False
    ) -> Iterator[Enrolled]:
        """Enrol prints, and yield the outcome for each once it is committed.

        Raises as :meth:`enroll`.
        """
        maker = made_by(self.matcher)
        with self.store.writing():
            check_made_by(self.store, maker)
            read = partial(read_here, self.matcher) if self._address is None else self.cluster.read
            enroller = Enroller(self.store, read, maker, keep_prints, force)
            yield from enroller.enrol(given)

    def search(
        self,
        probe: PrintSource | Features,
        *,
        top: int = 10,
        fpir: float = FPIR,
        ppi: float | None = None,
        thorough: bool = False,
    ) -> SearchResult:
        """Search for a print's finger, and return the best candidates and which count as found.

        Of probes whose finger is not enrolled, at most the share ``fpir`` finds somebody.
        ``thorough`` compares the whole shortlist, even where a candidate is beyond doubt. Raises as
        :meth:`Matcher.extract`, and ValueError for a gallery of other weights or settings.
        """
        stages, rates = self.stages(), OpenSet(self.matcher.decision)
        size = len(stages)
        rates.threshold(fpir, size)  # a rate that cannot be kept is refused before the work
        features = self.matcher.extract(probe, ppi, "the probe")
        found = stages.shortlist(self.matcher.coder.template(features))

        def enough(score: float) -> bool:
            return not thorough and rates.beyond_doubt(score, size)

        listed = rescored(found, features, stages.results, enough)
        labelled = self.store.labels_at([one.number for one in listed])
        made = answer(listed, labelled, size, rates, top, fpir)
        log(self.path, "searched", probe=features.name, **made.record)
        return made

    def verify(
        self,
        id: str,
        probe: PrintSource | Features,
        *,
        finger: str = "",
        fmr: float = 0.001,
        ppi: float | None = None,
    ) -> Verification:
        """Compare a print with one of the gallery, by its id, or with all those of a subject.

        The claim is accepted at the false match rate ``fmr``, over all its comparisons together.
        Raises ValueError for an unknown id or subject, and as :meth:`search`.
        """
        features = self.matcher.extract(probe, ppi, "the probe")
        self.store.refresh()
        check_made_by(self.store, made_by(self.matcher))
        numbers = self.store.find(id, finger)
        results = Rescorer(self.store, self.matcher).results(features, numbers)
        ids = [one["id"] for one in self.store.labels_at(list(results))]
        made = verified(ids, list(results.values()), self.matcher.decision, fmr)
        log(self.path, "verified", probe=features.name, claim=id, accepted=made.accepted)
        return made

    def remove(self, ids: Sequence[str], *, finger: str = "", purge: bool = False) -> list[str]:
        """Remove prints by id or subject, and return their ids.

        Older versions of the gallery still hold them; ``purge`` removes these versions too. Raises
        ValueError for an unknown id or subject; no print is then removed.
        """
        with self.store.writing(), ExitStack() as after:
            if purge:  # even where nothing was left to remove: an earlier run may have been killed
                after.callback(self.store.purge)
            numbers = sorted({number for id in ids for number in self.store.find(id, finger)})
            gone = self.store.labels_at(numbers)
            removed, subjects = [one["id"] for one in gone], {one["subject"] for one in gone}
            self.store.delete(removed)
            log(self.path, "removed", ids=removed, subjects=sorted(subjects - {""}), purged=purge)
        return removed

    def dedupe(self, fmr: float = 1e-6) -> list[Double]:
        """Return pairs of prints that are labelled as two fingers, but match as one.

        ``fmr`` is the false match rate of one comparison at which they do; pairs that are not kept
        are returned where their dense maps are similar. Resumes where it was interrupted. Raises as
        :meth:`search`.
        """
        held, matcher = self.snapshot(), self.matcher
        limit = OpenSet(matcher.decision).threshold(fmr, 1)
        maker = f"{made_by(matcher)} {matcher.fingerprint} {matcher.decision.dense_sha256}"
        found = doubles(self.store, held, Rescorer(self.store, matcher).pair, maker)
        made = [one for one in found if one.score is None or not limit or one.score >= limit.value]
        log(self.path, "deduped", fmr=fmr, pairs=[[one.id0, one.id1] for one in made])
        return made

    def match(self, id0: str, id1: str) -> MatchResult:
        """Match two prints of the gallery, by their ids: the evidence for a pair of doubles.

        Raises ValueError for an id that is not there, or a print that is not kept.
        """
        self.store.refresh()
        return Rescorer(self.store, self.matcher).named(id0, id1)

    def upgrade(self) -> tuple[int, list[str]]:
        """Embed prints of other weights or settings anew: see :func:`upgraded`.

        Raises ValueError where another process writes.
        """
        return upgraded(self.store, self.matcher)

    def compact(self, *, purge: bool = False) -> None:
        """Compact the gallery's files; ``purge`` removes older versions and the prints in them.

        Raises ValueError where another process writes.
        """
        with self.store.writing():
            if purge:
                self.store.purge()
                log(self.path, "purged")
            else:
                self.store.compact()

    def back_up(self, folder: str | Path) -> None:
        """Copy the gallery to a new folder; raises ValueError as :meth:`Store.back_up`."""
        with self.store.writing():
            self.store.back_up(folder)

    @cached_property
    def cluster(self) -> Cluster:
        """Return the workers of the gallery's cluster; raises ValueError as ``started`` does."""
        from ifvit.gallery.cluster import LOCAL, started

        return started(self._address or LOCAL, self.path, self._key, self._load, self.matcher)

    def stages(self) -> Stages:
        """Return the stages that search the gallery as it is now; raises as :meth:`snapshot`."""
        if self._address is None:
            return Embedded(self.store, self.snapshot(), self.matcher)
        version = self.store.refresh()
        check_made_by(self.store, made_by(self.matcher))
        return self.cluster.stages(version, self.store.count())

    def snapshot(self) -> Snapshot:
        """Return the gallery as it is now, in memory; raises ValueError as ``check_made_by``."""
        version = self.store.refresh()
        if self._snapshot is None or self._snapshot.version != version:
            check_made_by(self.store, made_by(self.matcher))
            self._snapshot = snapshot(self.store)
        return self._snapshot
