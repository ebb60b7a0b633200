"""Options that several verbs share, and the checks of them before any work begins."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from ifvit.config import REFERENCE_PPI
from ifvit.data.given import each_ppi
from ifvit.data.images import check_image
from ifvit.data.prints import check_ppi
from ifvit.data.tags import warn_of_tags
from ifvit.features.features import Features
from ifvit.matcher import Matcher
from ifvit.texts import shortened
from ifvit.weights.pretrained import PretrainedFiles, module_files

logger = logging.getLogger("ifvit")


@dataclass(frozen=True)
class Weights:
    """The two modules that a verb uses."""

    dense_ckpt: str | None = None
    """Module 1's checkpoint. Without it and ``matcher_ckpt``, the weights that ship are used."""
    matcher_ckpt: str | None = None
    """Module 2's checkpoint, of the same training as ``dense_ckpt``."""

    def files(self) -> PretrainedFiles:
        """Return the two files; raises ValueError where one is given without the other."""
        return module_files(self.dense_ckpt, self.matcher_ckpt)

    def matcher(self, *options: Any) -> Matcher:
        """Load both; ``options`` are those of ``Matcher.from_checkpoints``. Raises as it does."""
        return Matcher.from_checkpoints(self.dense_ckpt, self.matcher_ckpt, *options)


WeightsOptions = Annotated[Weights, tyro.conf.arg(name="")]
"""``--dense-ckpt`` and ``--matcher-ckpt`` among a verb's own options."""


SHIPPED = Weights()
"""No checkpoint of one's own: the weights that ship with ifvit."""


def check_prints(
    probe: str,
    others: Sequence[str],
    ppi: int | tuple[int, int] | None,
    *,
    skipping: bool = False,
) -> None:
    """Raise for a file that is no image, and for an impossible resolution, before any work.

    Where the verb is ``skipping`` prints that cannot be read, only the first of ``others`` is
    checked.
    """
    ppi0, ppi1 = each_ppi(ppi)
    both = [(probe, ppi0), *((path, ppi1) for path in others)]
    for path, own in both[:2] if skipping else both:
        check_image(path)
        check_ppi(REFERENCE_PPI if own is None else own)
    warn_of_tags(both)


def read_each(
    matcher: Matcher, paths: Sequence[str], ppi: float | None, unreadable: list[str]
) -> Iterator[tuple[str, Features]]:
    """Yield the prints that can be read, each with its path; add the others to ``unreadable``.

    Each print that cannot be read leads to a warning, or to an error if it is the only one.
    """
    for path in paths:
        try:
            features = matcher.extract(path, ppi)
        except (ValueError, OSError) as error:
            if len(paths) == 1:
                raise
            logger.warning("%s", error)
            unreadable.append(path)
            continue
        yield path, features


def check_all_read(unreadable: Sequence[str], paths: Sequence[str], lost: str) -> None:
    """Raise ValueError where prints could not be read; ``lost`` says what became of them."""
    if unreadable:
        raise ValueError(
            f"{len(unreadable)} of {len(paths)} {lost}, the reasons stand above: "
            f"{shortened(', '.join(unreadable), 250)}"
        )
