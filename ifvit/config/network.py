"""The shape of the networks, and the units of length of the whole method."""

from __future__ import annotations

from dataclasses import dataclass

from ifvit.config.checks import check

STRIDE = 8
"""Pixels of the canvas per coarse cell, fixed by the backbone, whose stem and two stages each halve
the resolution."""

CELL_DIM = 8
"""Number of values that a dense map keeps for each coarse cell."""

REFERENCE_PPI = 500
"""The resolution of the field's data sets, and of every ``*_px`` setting."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the networks. Module 1 and Module 2 must agree on all of it."""

    ppi: int = 250
    """Resolution that the network sees."""
    canvas: int = 128
    """Side of the square input of both modules, pixels at ``ppi``."""
    roi_px: int = 90
    """Side of the method's local region of interest, pixels at 500 ppi; no longer used."""
    backbone_widths: tuple[int, ...] = (64, 128, 256)
    """Channels of the three ResNet-18 stages, at strides 2, 4 and 8."""
    d_model: int = 256
    """Width of the tokens and of the transformer."""
    num_layers: int = 8
    """Encoder layers, alternating self and cross attention."""
    num_heads: int = 8
    """Attention heads of each layer."""
    use_loftr: bool = True
    """LoFTR's linear transformer; False: a generic pre-norm Siamese one, for ablation."""
    temp_bug_fix: bool = True
    """Sine encoding: True for the corrected form, False for that of the released LoFTR weights."""
    temperature: float = 0.1
    """Temperature of Module 1's softmax over pairs of coarse cells."""
    embedding_dim: int = 256
    """Length of Module 2's index vector."""

    def __post_init__(self) -> None:
        """Raise ValueError for shapes that cannot be built."""
        sizes = "ppi canvas roi_px d_model num_layers num_heads embedding_dim"
        check(self, sizes, lambda n: n >= 1, "at least 1")
        check(self, "ppi", lambda ppi: REFERENCE_PPI % ppi == 0, "a divisor of 500, such as 250")
        check(self, "temperature", lambda t: t > 0, "above 0")
        if self.canvas % STRIDE:
            raise ValueError(f"canvas must be a multiple of {STRIDE}, not {self.canvas}")
        if self.d_model % self.num_heads or self.d_model % 4:
            raise ValueError(
                f"d_model must be a multiple of num_heads ({self.num_heads}) and of 4, "
                f"not {self.d_model}"
            )
        if self.num_layers < 2 or self.num_layers % 2:
            raise ValueError(
                f"num_layers counts self and cross layers in pairs: an even number, "
                f"not {self.num_layers}"
            )
        if len(self.backbone_widths) != 3:
            raise ValueError(f"backbone_widths takes three widths, not {self.backbone_widths}")

    @property
    def cells(self) -> int:
        """Return the number of coarse cells along one side of the canvas."""
        return self.canvas // STRIDE
