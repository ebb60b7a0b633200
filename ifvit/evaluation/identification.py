"""Identification: whose print is it? Every probe against a gallery of templates, exactly.

By the definitions of ISO/IEC 19795-1 for a closed set: every probe's finger is in the gallery.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from ifvit.data.names import warn_of_doubles
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.data.tags import warn_of_tags
from ifvit.files import write_result
from ifvit.gallery.template import Templates, template_scores, templates_of
from ifvit.matcher import Matcher

MADE_BY = "identification in a closed set"
"""The text with which the file of figures begins."""

RANKS = (1, 5, 10)
"""Ranks whose identification rates are reported."""


@dataclass(frozen=True)
class IdentifyConfig:
    """Search a gallery for every other print: rank-1 and the cumulative match characteristic.

    The first impression of each finger is the gallery, all others are probes.
    """

    dataset_root: str
    """A folder of prints."""
    out: str = "identification.json"
    """File for the figures and the whole curve."""
    ppi: int | None = None
    """Resolution of the prints, where the data set is not a known one."""
    dense_ckpt: str | None = None
    """Module 1's checkpoint. Without it and ``matcher_ckpt``, the weights that ship are used."""
    matcher_ckpt: str | None = None
    """Module 2's checkpoint, of the same training as ``dense_ckpt``."""


@dataclass(frozen=True)
class Identification:
    """``cmc[r-1]`` is the share of probes whose finger is among the first r of the gallery."""

    gallery: int
    probes: int
    cmc: list[float]


def gallery_split(prints: Sequence[Print]) -> tuple[list[int], list[int]]:
    """Return the numbers of the gallery's prints, each finger's first, and those of the probes.

    Raises ValueError where no finger has a second impression, or there is one finger only.
    """
    seen: set[tuple[str, str]] = set()
    gallery: list[int] = []
    probes: list[int] = []
    for number, item in enumerate(prints):
        key = (item.dataset, item.finger)
        (probes if key in seen else gallery).append(number)
        seen.add(key)
    if not probes or len(gallery) < 2:
        raise ValueError(
            f"{len(gallery)} fingers with {len(probes)} further impressions: expected at least two "
            "fingers, and one impression beyond the first"
        )
    return gallery, probes


def mate_ranks(
    scores: Float[np.ndarray, "P G"], probes: Sequence[str], gallery: Sequence[str]
) -> Int[np.ndarray, " P"]:
    """Return the rank of each probe's best mate, counted from 1; the names are those of fingers.

    Among equal scores the mate counts as last, so that an uninformative matcher gains nothing and
    the gallery's order does not matter. Raises ValueError for a probe without a mate.
    """
    mates = np.array(probes)[:, None] == np.array(gallery)[None, :]
    alone = ~mates.any(axis=1)
    if alone.any():
        raise ValueError(
            f"finger {np.array(probes)[alone][0]} is not in the gallery: expected a closed set"
        )
    best = np.where(mates, scores, -np.inf).max(axis=1)
    return 1 + ((scores >= best[:, None]) & ~mates).sum(axis=1)


def characteristic(ranks: Int[np.ndarray, " P"], gallery: int) -> Identification:
    """Return the cumulative match characteristic of ranks in a gallery of ``gallery`` prints."""
    found = [float((ranks <= rank).mean()) for rank in range(1, gallery + 1)]
    return Identification(gallery, len(ranks), found)


def shortlist_depth(ranks: Int[np.ndarray, " P"], share: float) -> int:
    """Return how many of the gallery, best first, hold the mate of this share of the probes.

    Raises ValueError for no ranks, or a share outside (0, 1].
    """
    if not ranks.size or not 0 < share <= 1:
        raise ValueError(
            f"{ranks.size} ranks and a share of {share:g}: expected at least one rank, and a share "
            "above 0 and up to 1"
        )
    # 1e-9: 0.98 of fifty is 49, though floats say a little more.
    return int(np.sort(ranks)[int(np.ceil(share * ranks.size - 1e-9)) - 1])


def identify(config: IdentifyConfig) -> Identification:
    """Embed all prints, search the gallery for every probe, write ``out`` and return the figures.

    Raises FileNotFoundError and ValueError as the readers and loaders do: a print that cannot be
    read is an error here, since a closed set must be complete.
    """
    prints = read_dataset(config.dataset_root, config.ppi)
    gallery, probes = gallery_split(prints)
    warn_of_doubles(prints)
    warn_of_tags((item.path, item.ppi) for item in prints)
    matcher = Matcher.from_checkpoints(config.dense_ckpt, config.matcher_ckpt)
    read = tqdm(prints, desc="embedding", unit="print", leave=False)
    made = [matcher.coder.template(matcher.extract(p.path, p.ppi)) for p in read]

    def some(numbers: list[int]) -> Templates:
        names = [prints[n].finger for n in numbers]
        return templates_of(names, [made[n] for n in numbers], matcher.decision.matcher_sha256)

    chosen, searched = some(probes), some(gallery)
    scores = template_scores(chosen, searched)
    found = characteristic(mate_ranks(scores, chosen.names, searched.names), len(gallery))
    values = {"ifvit": MADE_BY, **asdict(found)}
    write_result(config.out, (json.dumps(values, indent=2) + "\n").encode(), MADE_BY.encode())
    return found
