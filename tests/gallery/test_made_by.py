"""What a template depends on changes its fingerprint, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

from fake_matcher import FakeMatcher

from ifvit.comparison.score import Fusion
from ifvit.gallery.made_by import made_by


def test_weights_and_settings_of_templates_count_and_those_of_scores_do_not(monkeypatch) -> None:
    matcher = FakeMatcher()
    first = made_by(matcher)
    assert made_by(FakeMatcher()) == first
    assert made_by(FakeMatcher(seed=1)) != first
    matcher.decision = replace(matcher.decision, fusion=Fusion(0.1, 0.1, 0.1))
    assert made_by(matcher) == first
    matcher.config = replace(matcher.config, embedding_dim=2 * matcher.config.embedding_dim)
    assert made_by(matcher) != first
