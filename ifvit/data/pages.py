"""Which page of a file is the print: scanners put smaller copies beside it in a TIFF."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import ExifTags, Image

MOST_PAGES = 8
"""Largest number of pages that are searched for the print."""

MOVING = ("GIF", "PNG", "WEBP")
"""Formats of several pictures, one after the other. A camera's MPO has a smaller one or none."""

COPY, OLD_COPY = 1, 2
"""Values by which tags mark a smaller copy of another page: bit 0 of NewSubfileType, and a value of
SubfileType."""

ALIKE, SMALLER = 0.05, 0.5
"""Tolerance of the ratio of sides, and largest relative length, by which one page counts as a
smaller copy of another."""


def seek_print(image: Image.Image) -> int:
    """Go to the page of a TIFF that is the print; return how many pages could be one.

    That is the first which is no smaller copy of another, by its tags, or by its sides where it has
    none. Of a GIF, PNG or WebP that moves it is the first picture, and 2 of a GIF are at least so
    many. Other formats, and files of one page, stay as they are.
    """
    if image.format in MOVING and getattr(image, "is_animated", False):
        return 2 if image.format == "GIF" else int(getattr(image, "n_frames", 2))
    if image.format != "TIFF":
        return 1
    sizes = dict(_pages(image))
    # In a file whose pages are all marked as copies, the first counts.
    own = [page for page, copied in sizes.items() if not copied[1]] or [0]
    shown = [page for page in own if not any(_is_copy(sizes[page][0], sizes[o][0]) for o in own)]
    image.seek(shown[0])
    return len(shown)


def _pages(image: Image.Image) -> Iterator[tuple[int, tuple[tuple[int, int], bool]]]:
    """Yield each page's number, its size, and whether its tags say that it is a copy."""
    for page in range(MOST_PAGES):
        try:
            # The number of pages is never queried: a file of a few megabytes can list a million.
            image.seek(page)
        except EOFError:
            return
        tags = getattr(image, "tag_v2", {})
        kind, old = (
            tags.get(tag, 0) for tag in (ExifTags.Base.NewSubfileType, ExifTags.Base.SubfileType)
        )
        yield page, (image.size, (isinstance(kind, int) and bool(kind & COPY)) or old == OLD_COPY)


def _is_copy(size: tuple[int, int], other: tuple[int, int]) -> bool:
    ratio = (size[0] * other[1]) / max(1, size[1] * other[0])
    return abs(ratio - 1) <= ALIKE and size[0] <= SMALLER * other[0]
