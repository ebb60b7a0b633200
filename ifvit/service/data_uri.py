"""Pictures as PNGs within a text."""

from __future__ import annotations

import base64
import io

import numpy as np
from jaxtyping import Float
from PIL import Image


def png_uri(image: Float[np.ndarray, "H W"]) -> str:
    """Return grey values, 0 black to 1 white, as the data URI of an 8-bit PNG."""
    made = io.BytesIO()
    values = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    Image.fromarray(values).save(made, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(made.getvalue()).decode()}"
