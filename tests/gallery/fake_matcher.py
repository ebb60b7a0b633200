"""A matcher that is there at once: it reads the finger from a print's first pixel.

What a gallery does with templates and results is tried with it; that those are right is tested
elsewhere.
"""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from ifvit.comparison.decision import Decision
from ifvit.comparison.print_similarity import template_similarity
from ifvit.comparison.result import MatchResult
from ifvit.config import ModelConfig
from ifvit.features.coder import Template
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG
from ifvit.matcher import Matcher
from ifvit.registration.alignment import Alignment

SIDE, CHANNELS, LENGTH = 6, 8, 16
GENUINE = 0.9


def print_array(finger: int, impression: int = 0) -> np.ndarray:
    """Return a print (96, 96) of ridges, whose first two pixels say whose it is."""
    y, x = np.mgrid[:96, :96]
    waves = 0.5 + 0.45 * np.cos(2 * np.pi * np.hypot(x - 40 - impression, y - 50) / 9)
    made = np.round(255 * waves).astype(np.uint8)
    made[0, :2] = finger, impression
    return made


def print_bytes(finger: int, impression: int = 0) -> bytes:
    made = io.BytesIO()
    Image.fromarray(print_array(finger, impression)).save(made, "PNG")
    return made.getvalue()


def write_prints(folder: Path, fingers: int, impressions: int = 2) -> list[Path]:
    """Write prints under the names that the FVC gives."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for finger in range(1, fingers + 1):
        for impression in range(1, impressions + 1):
            path = folder / f"{finger}_{impression}.png"
            path.write_bytes(print_bytes(finger, impression))
            paths.append(path)
    return paths


def whose(features: Features) -> tuple[int, int]:
    finger, impression = np.round(255 * features.pixels[0, :2]).astype(int).tolist()
    return finger, impression


def template_of(finger: int, impression: int, seed: int = 0) -> Template:
    """Return a template that is nearly the same for all prints of a finger."""
    own, noise = (np.random.default_rng([seed, *of]) for of in ((finger,), (finger, impression)))
    cells = own.normal(size=(SIDE, SIDE, CHANNELS)) + 0.2 * noise.normal(
        size=(SIDE, SIDE, CHANNELS)
    )
    cells /= np.linalg.norm(cells, axis=-1, keepdims=True)
    index = own.normal(size=LENGTH) + 0.2 * noise.normal(size=LENGTH)
    index /= np.abs(index).max()
    shown = np.ones((SIDE, SIDE), bool)
    made = (np.round(127 * values).astype(np.int8) for values in (cells, index))
    cells_int8, index_int8 = made
    return Template(cells_int8, shown, index_int8, (40.0, 50.0), 0.0, 0.9, 80.0)


class FakeMatcher(Matcher):
    """Knows fingers by their first pixel; ``seed`` stands for its weights."""

    def __init__(self, seed: int = 0, calibrated: bool = True) -> None:
        impostor = np.sort(np.random.default_rng(5).normal(0.2, 0.05, 2000))
        self.decision = Decision(
            impostor=impostor if calibrated else None,
            dense_sha256=f"{seed:02x}" * 32,
            matcher_sha256=f"{seed:02x}" * 32,
        )
        self.config = ModelConfig()
        self.coder = SimpleNamespace(
            template=lambda f: template_of(*whose(f), seed=seed),
            engine=SimpleNamespace(matcher_sha256=self.decision.matcher_sha256),
        )
        self.pairs = 0

    @property
    def extractor(self):
        return SimpleNamespace(fit_config=FIT_CONFIG)

    @property
    def fingerprint(self) -> str:
        return "settings"

    def extract(self, given, ppi=None, name=""):
        from ifvit.features.features import read_features

        return given if isinstance(given, Features) else read_features(given, ppi, name)

    def match(self, print0, print1, *, ppi=None):
        return self.match_pairs([(print0, print1)])[0]

    def match_pairs(self, pairs, at_once=None):
        self.pairs += len(pairs)
        return [self._result(*both) for both in pairs]

    def _result(self, print0: Features, print1: Features) -> MatchResult:
        both = [self.coder.template(one) for one in (print0, print1)]
        map_score, index_score = template_similarity(*both)
        score = GENUINE if whose(print0)[0] == whose(print1)[0] else 0.2 + 0.1 * map_score
        points = np.zeros((3, 2))
        alignment = Alignment(
            True, "", np.eye(2, 3), points, points, np.ones(3), np.ones(3, bool), 0.0
        )
        return MatchResult(
            status="ok",
            reason="",
            score=score,
            map_score=map_score,
            index_score=index_score,
            ridge_ncc=None,
            num_matches=3,
            num_inliers=3,
            alignment=alignment,
            image0=print0.image,
            image1=print1.image,
            templates=(both[0], both[1]),
            name0=print0.name,
            name1=print1.name,
            fmr=self.decision.fmr(score),
        )
