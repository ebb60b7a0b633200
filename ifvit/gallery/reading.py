"""A print to enrol, read and embedded: the part of an enrolment that any process can do."""

from __future__ import annotations

from typing import NamedTuple

from ifvit.data.given import PrintSource
from ifvit.features.coder import Template
from ifvit.gallery.enrolment import Entry, readable
from ifvit.matcher import Matcher


class Read(NamedTuple):
    """A print that was read and embedded, and is not yet enrolled."""

    entry: Entry
    source: PrintSource
    """The print, in a form that can be read again."""
    template: Template
    digest: bytes
    """A digest of its pixels."""


class Unread(NamedTuple):
    """A print that could not be read, and why."""

    entry: Entry
    reason: str


def read_print(matcher: Matcher, entry: Entry) -> Read | Unread:
    """Read and embed a print."""
    try:
        source = readable(entry.source)
        features = matcher.extract(source, entry.ppi, entry.name)
    except (ValueError, OSError) as error:
        return Unread(entry, str(error))
    return Read(entry, source, matcher.coder.template(features), features.digest)
