"""Functions that the verbs of a gallery share: to open it, and to show its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional

from ifvit.commands.options import Weights
from ifvit.config import REFERENCE_PPI
from ifvit.data.images import check_image
from ifvit.data.prints import check_ppi
from ifvit.data.tags import warn_of_tags
from ifvit.matcher import Matcher

if TYPE_CHECKING:
    from ifvit.gallery.open_set import Rate


@dataclass(frozen=True)
class GalleryArgs:
    """A gallery, and its key where it is encrypted."""

    gallery: Annotated[str, Positional]
    """Folder of the gallery, or the URI of an object store that LanceDB supports."""
    key_file: str | None = None
    """File with the key of an encrypted gallery: 32 bytes, raw, in hexadecimal or in base64; if not
    given, the environment variable IFVIT_GALLERY_KEY is the key."""


def opened(
    gallery: str,
    key_file: str | None = None,
    matcher: Weights | Matcher | None = None,
    create: bool = False,
    cluster: str | None = None,
) -> Any:
    """Return a gallery, used with a matcher or with weights that are loaded when first needed.

    ``cluster`` is the address of the Ray cluster whose workers embed and search, if any.

    Raises ValueError where the extra ``gallery`` is not installed, and as ``Gallery``.
    """
    try:
        from ifvit.gallery.gallery import Gallery
        from ifvit.gallery.sealing import read_key

        key = read_key(key_file)
        load: Matcher | Callable[[], Matcher] | None
        if isinstance(matcher, Weights):
            matcher.files()
            load = matcher.matcher
        else:
            load = matcher
        return Gallery(gallery, load, key=key, create=create, cluster=cluster)
    except ImportError as error:
        raise ValueError(
            f"a gallery is kept by LanceDB, which cannot be imported ({error}): "
            "pip install 'ifvit[gallery]'"
        ) from error


def check_probes(probes: tuple[str, ...], ppi: int | None) -> None:
    """Raise ValueError where no probe is given, or none that is a print."""
    if not probes:
        raise ValueError("no probe given: expected at least one print to search for")
    check_ppi(REFERENCE_PPI if ppi is None else ppi)
    wrong = [error for path in probes if (error := _error_of(path)) is not None]
    if len(wrong) == len(probes):
        raise wrong[0]
    warn_of_tags((path, ppi) for path in probes)


def _error_of(path: str) -> ValueError | OSError | None:
    try:
        check_image(path)
    except (ValueError, OSError) as error:
        return error
    return None


def rate_text(rate: Rate | None) -> str:
    """Return a rate as text, with ``~`` before one that is extrapolated."""
    return "-" if rate is None else f"{'~' if rate.extrapolated else ''}{rate.value:.2g}"


def draw_evidence(result: Any, path: Path) -> None:
    """Write a picture of a match, where there is one."""
    if result is not None:
        from ifvit.viz.matches import draw_match

        draw_match(result, path)
