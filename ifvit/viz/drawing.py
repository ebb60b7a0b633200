"""A grey image with lines over it, a title above and a scale of colours beside it; text.

Lines are drawn by Pillow at three times their size, which makes them smooth, and text by OpenCV,
whose own fonts know most scripts. The plots of an evaluation are matplotlib's
(:mod:`ifvit.evaluation.plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from ifvit.texts import shortened
from ifvit.viz.figures import printable

FINER = 3
"""Factor by which lines are drawn larger than the picture."""

FONT = "uni"
"""OpenCV's own font with most signs, Chinese ones too (WenQuanYi Micro Hei)."""

TEXT_PX = 14
"""Height of a picture's text, pixels."""

LINE_PX = 20
"""Distance from one line of a title to the next, pixels."""

MARGIN = 12
"""White margin around the drawing, pixels."""

BAR = 22, 84
"""Width of a scale of colours, without and with its numbers and label, pixels."""

TICKS = 5
"""Number of steps from one end of a scale to the other."""

Colour = tuple[int, int, int]


class Scale(NamedTuple):
    """The meaning of a picture's colours: a label, and the largest value; the smallest is 0."""

    label: str
    most: float

    def colours(self, values: Float[np.ndarray, " K"]) -> list[Colour]:
        """Return the colours of values: from dark to bright, legible without colour vision."""
        share = np.clip(np.asarray(values) / self.most, 0, 1)
        return [(red, green, blue) for red, green, blue in viridis(share).tolist()]


def viridis(share: Float[np.ndarray, " K"]) -> UInt8[np.ndarray, "K 3"]:
    """Return matplotlib's colours ``viridis`` of values from 0 to 1, RGB: perceptually even."""
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_VIRIDIS)
    return colours[0, :, ::-1][np.round(255 * np.asarray(share, float)).astype(int)]


class Drawing:
    """A grey image (H,W) of values in [0, 1], enlarged to fit into a size, to draw on.

    Points are x, y in the image's own pixels; widths, radii and lengths are the picture's pixels.
    """

    def __init__(self, image: Float[np.ndarray, "H W"], width: int, height: int) -> None:
        """Enlarge or shrink the image, so that it fills ``width`` or ``height`` pixels."""
        self._zoom = min(width / image.shape[1], height / image.shape[0])
        size = [max(round(self._zoom * side), 1) for side in image.shape[::-1]]
        how = cv2.INTER_CUBIC if self._zoom > 1 else cv2.INTER_AREA
        grey = cv2.resize(np.asarray(image, np.float32), size, interpolation=how)
        shown = Image.fromarray(np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8))
        self._large = shown.convert("RGB").resize([FINER * side for side in size], 0)
        # In this mode a colour's fourth value blends it with the image.
        self._pen = ImageDraw.Draw(self._large, "RGBA")

    def _at(self, points: Any) -> list[tuple[float, float]]:
        places = FINER * (self._zoom * (np.asarray(points, float) + 0.5)) - 0.5
        return [(x, y) for x, y in places.reshape(-1, 2).tolist()]

    def line(self, points: Any, colour: Colour, width: float, alpha: float = 1.0) -> None:
        """Draw straight lines from each of K points (K,2) to the next."""
        ink = (*colour, round(255 * alpha))
        self._pen.line(self._at(points), ink, max(round(FINER * width), 1))

    def dot(self, point: Any, colour: Colour, radius: float, alpha: float = 1.0) -> None:
        """Draw a filled circle."""
        (place,) = self._at(point)
        self._pen.circle(place, FINER * radius, (*colour, round(255 * alpha)))

    def ring(self, point: Any, colour: Colour, radius: float, width: float) -> None:
        """Draw a circle's line."""
        (place,) = self._at(point)
        thick = max(round(FINER * width), 1)
        self._pen.circle(place, FINER * radius, outline=colour, width=thick)

    def arrow(self, start: Any, end: Any, colour: Colour, width: float, head: float) -> None:
        """Draw an arrow with a head of the length ``head``, at most as long as the arrow."""
        tail, tip = np.array(self._at([start, end]))
        along = tip - tail
        length = float(np.hypot(*along))
        if not length:
            return
        along = along / length * min(FINER * head, length)
        neck, across = tip - along, np.array([-along[1], along[0]]) / 2.5
        self._pen.line([*tail, *neck], colour, max(round(FINER * width), 1))
        self._pen.polygon([*tip, *(neck + across), *(neck - across)], colour)

    def picture(self) -> UInt8[np.ndarray, "H2 W2 3"]:
        """Return the drawing as a picture."""
        return np.asarray(self._large.reduce(FINER)).copy()


def framed(
    shown: UInt8[np.ndarray, "H W 3"], title: Sequence[str], scale: Scale, width: int
) -> UInt8[np.ndarray, "H2 width 3"]:
    """Return a picture in the middle of a white one, with a title above and a scale beside it."""
    top = MARGIN + LINE_PX * len(title) + MARGIN // 2
    height = shown.shape[0]
    whole = np.full((top + height + MARGIN, width, 3), 255, np.uint8)
    left = (width - BAR[1] - 2 * MARGIN - shown.shape[1]) // 2
    whole[top : top + height, left : left + shown.shape[1]] = shown
    for number, line in enumerate(title):
        middle = (width - BAR[1]) // 2
        put_text(whole, line, middle, MARGIN + LINE_PX * number + TEXT_PX, width - BAR[1] - MARGIN)
    _draw_scale(whole, scale, width - BAR[1] - MARGIN, top + height // 10, 4 * height // 5)
    return whole


def _draw_scale(
    picture: UInt8[np.ndarray, "H W 3"], scale: Scale, left: int, top: int, height: int
) -> None:
    colours = viridis(np.linspace(1, 0, height))
    bar = picture[top : top + height, left : left + BAR[0]]
    bar[:] = colours[:, None]
    cv2.rectangle(picture, (left, top, BAR[0], height), (0, 0, 0))
    for step in range(TICKS + 1):
        share = step / TICKS
        y = top + height - 1 - round(share * (height - 1))
        cv2.line(picture, (left + BAR[0], y), (left + BAR[0] + 4, y), (0, 0, 0))
        put_text(
            picture, f"{share * scale.most:.3g}", left + BAR[0] + 7, y + 5, BAR[1], middle=False
        )
    # The label is written from the foot of the scale to its top.
    label = np.full((BAR[0], height, 3), 255, np.uint8)
    put_text(label, scale.label, height // 2, TEXT_PX + 1, height)
    place = slice(left + BAR[1] - BAR[0], left + BAR[1])
    picture[top : top + height, place] = np.rot90(label)


def put_text(
    picture: UInt8[np.ndarray, "H W 3"],
    text: str,
    x: int,
    y: int,
    most: int,
    size: int = TEXT_PX,
    middle: bool = True,
) -> None:
    """Write a line of black text into a picture, around x or, not ``middle``, from there on.

    ``y`` is the baseline, ``most`` the largest width: the middle of longer text is left out. Bytes
    of names that are not UTF-8 are escaped, and a sign that the fonts lack is drawn as a box or a
    question mark.
    """
    text = "".join(c if c.isprintable() else " " for c in printable(text))
    font, flags = cv2.FontFace(FONT), cv2.PUT_TEXT_ALIGN_LEFT
    width, letters = most + 1, min(len(text), most)
    while text and width > most:
        text = shortened(text, letters)
        box = cv2.getTextSize((0, 0), text, (0, 0), font, size, 0, flags)
        width, letters = box[2], letters * 9 // 10
    start = x - width // 2 if middle else x
    cv2.putText(picture, text, (max(start, 0), y), (0, 0, 0), font, size, 0, flags)
