"""Checks of the array shapes that the networks take, for all engines."""

from __future__ import annotations

from collections.abc import Sequence

from ifvit.config import STRIDE


def check_image_shape(shape: Sequence[int]) -> None:
    """Raise ValueError for images that are no (B, H, W) whose sides are multiples of a cell's."""
    if len(shape) != 3 or 0 in shape or shape[1] % STRIDE or shape[2] % STRIDE:
        raise ValueError(
            f"image of shape {tuple(shape)} given to the network: expected (B, H, W) with H and W "
            f"multiples of {STRIDE}; pad it with zeros and mask the cells that are padding"
        )


def check_print_shapes(image: Sequence[int], mask: Sequence[int]) -> None:
    """Raise ValueError for images that no network takes, or a mask that is not of their cells."""
    check_image_shape(image)
    check_mask_shape(mask, (image[0], image[1] // STRIDE, image[2] // STRIDE))


def check_mask_shape(shape: Sequence[int], cells: Sequence[int]) -> None:
    """Raise ValueError for a mask that has not one value for each of the coarse ``cells``."""
    if tuple(shape) != tuple(cells):
        raise ValueError(
            f"mask of shape {tuple(shape)} given to the network: expected one value per coarse "
            f"cell, {tuple(cells)}"
        )
