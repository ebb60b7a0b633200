"""A gallery brought to the weights and settings of today, from the prints that it keeps."""

from __future__ import annotations

import logging
from dataclasses import replace

from tqdm import tqdm

from ifvit.gallery.audit import log
from ifvit.gallery.enroller import COMMIT
from ifvit.gallery.made_by import made_by
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import Row
from ifvit.matcher import Matcher

logger = logging.getLogger("ifvit")


def upgraded(store: Store, matcher: Matcher) -> tuple[int, list[str]]:
    """Embed anew every print whose template was made by other weights or settings.

    Prints are committed some at a time: an upgrade that was stopped goes on with the rest. Returns
    how many were embedded, and the ids of those that cannot be, since their print is not kept or
    cannot be read. The store is locked for writing meanwhile.
    """
    maker = made_by(matcher)
    with store.writing():
        labels = store.labels()
        columns = zip(labels["id"].to_pylist(), labels["made_by"].to_pylist(), strict=True)
        old = [id for id, by in columns if by != maker]
        without, done = list[str](), 0
        commits = range(0, len(old), COMMIT)
        for start in tqdm(commits, desc="embedding", unit="commit", disable=not old, delay=1):
            rows = [row for few in store.rows(old[start : start + COMMIT]) for row in few]
            made = [one for row in rows if (one := _embedded(row, matcher, maker))]
            without += sorted({row.id for row in rows} - {row.id for row in made})
            if made:
                store.replace(made)
            done += len(made)
        if done:
            log(store.uri, "upgraded", count=done, made_by=maker)
            store.compact()
    return done, without


def _embedded(row: Row, matcher: Matcher, maker: str) -> Row | None:
    """Return a row with a new template; None where it has no print that can be read."""
    if row.image is None:
        return None
    try:
        features = matcher.extract(row.image, row.ppi, row.name)
    except ValueError as error:
        logger.warning("print %s cannot be embedded anew: %s", row.id, error)
        return None
    return replace(row, template=matcher.coder.template(features), made_by=maker)
