"""The weights and settings that made templates, as one sha256, which all of a gallery share."""

from __future__ import annotations

from dataclasses import asdict

from ifvit.comparison.fingerprint import fingerprint_of
from ifvit.gallery.row_store import Store
from ifvit.matcher import Matcher

ROOMS = ("geometry", "features")
"""Rooms whose constants, beside the weights, decide a template. Those by which templates are
compared are not among them."""


def made_by(matcher: Matcher) -> str:
    """Return the sha256 of Module 2's weights and of every setting that a template depends on."""
    settings = {
        "matcher_sha256": matcher.decision.matcher_sha256,
        "fit": asdict(matcher.extractor.fit_config),
        "model": asdict(matcher.config),
    }
    return fingerprint_of(settings, ROOMS)


def check_made_by(store: Store, maker: str) -> None:
    """Raise ValueError where templates of a gallery were made by other weights or settings."""
    if others := store.others(maker):
        raise ValueError(
            f"{store.uri} holds templates of other weights or settings ({min(others)[:12]}, not "
            f"{maker[:12]}), which cannot be compared: run `ifvit gallery upgrade {store.uri}`, "
            "with the same --dense-ckpt and --matcher-ckpt where you give them"
        )
