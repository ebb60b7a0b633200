"""Feature maps as tokens that know where they are: index = row · w + column.

The sine encoding is LoFTR's (Sun et al., CVPR 2021), after DETR's.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Array, Float

from ifvit.shapes import check_mask_shape


def frequencies(d_model: int, temp_bug_fix: bool = True) -> np.ndarray:
    """Return the d_model/4 frequencies of the sine encoding, float32, radians per cell.

    With ``temp_bug_fix=False`` they are those of the released LoFTR weights.
    """
    if temp_bug_fix:
        exponent = -math.log(10000.0) / (d_model // 2)
    else:
        # LoFTR issue 41: "/ d_model // 2" floors to -1, where "/ (d_model // 2)" was meant.
        exponent = -math.log(10000.0) / d_model // 2
    return np.exp(np.arange(0, d_model // 2, 2, dtype=np.float32) * np.float32(exponent))


def position_encoding(h: int, w: int, d_model: int, temp_bug_fix: bool = True) -> np.ndarray:
    """Return the sine encoding of the cell positions: (h,w,d_model) float32, counted from 1.

    Channels 4k..4k+3 are sin x, cos x, sin y, cos y at the k-th of the :func:`frequencies`.
    """
    frequency = frequencies(d_model, temp_bug_fix)
    x = np.arange(1, w + 1, dtype=np.float32)[None, :, None] * frequency
    y = np.arange(1, h + 1, dtype=np.float32)[:, None, None] * frequency
    encoding = np.empty((h, w, d_model), np.float32)
    encoding[..., 0::4], encoding[..., 1::4] = np.sin(x), np.cos(x)
    encoding[..., 2::4], encoding[..., 3::4] = np.sin(y), np.cos(y)
    return encoding


def to_tokens(feature_map: Float[Array, "B h w D"], temp_bug_fix: bool) -> Float[Array, "B N D"]:
    """Add the position encoding and flatten the cells to tokens."""
    b, h, w, d = feature_map.shape
    return (feature_map + position_encoding(h, w, d, temp_bug_fix)).reshape(b, h * w, d)


def flatten_mask(mask: Array | None, feature_map: Float[Array, "B h w D"]) -> Array | None:
    """Return foreground cells (B,h,w) as a token mask (B,N); None stays None: all is foreground.

    Raises ValueError if the mask is not that of the feature map's cells.
    """
    if mask is None:
        return None
    check_mask_shape(mask.shape, feature_map.shape[:3])
    return mask.reshape(mask.shape[0], -1)
