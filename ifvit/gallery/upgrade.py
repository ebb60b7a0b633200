"""A gallery brought to the weights and settings of today, from the prints that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ifvit.gallery.audit import log
from ifvit.gallery.enroller import COMMIT
from ifvit.gallery.made_by import made_by
from ifvit.gallery.row_store import Store
from ifvit.matcher import Matcher


def upgraded(
    store: Store, matcher: Matcher, told: Callable[[int, int], None] = lambda _done, _of: None
) -> tuple[int, list[str]]:
    """Embed anew every print whose template is of other weights or settings.

    Some at a time, each a commit: one that was stopped goes on with what is left. ``told`` hears
    how many of how many are done. Returns how many were embedded, and the ids of those that
    cannot be, since they are not kept as prints. The store is held for writing while it works.
    """
    maker = made_by(matcher)
    with store.writing():
        labels = store.labels()
        columns = zip(labels["id"].to_pylist(), labels["made_by"].to_pylist(), strict=True)
        old = [id for id, by in columns if by != maker]
        without, done = list[str](), 0
        for start in range(0, len(old), COMMIT):
            rows = [row for few in store.rows(old[start : start + COMMIT]) for row in few]
            made = []
            for row in rows:
                if row.image is None:
                    without.append(row.id)
                    continue
                features = matcher.extract(row.image, row.ppi, row.name)
                template = matcher.coder.template(features)
                made.append(replace(row, template=template, made_by=maker))
            if made:
                store.replace(made)
            done += len(made)
            told(done, len(old))
        if done:
            log(store.uri, "upgraded", count=done, made_by=maker)
            store.compact()
    return done, without
