"""The settings of Module 2's training, the code of a print."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ifvit.config.checks import check
from ifvit.config.groups import DataConfig, HardwareConfig, OptimConfig, RunConfig
from ifvit.config.network import ModelConfig


@dataclass(frozen=True)
class MatchStartConfig:
    """The weights that the training starts from: those of Module 1."""

    pretrained_ckpt: str | None = None
    """Module 1's ``dense_reg_ckpt.safetensors``, or the name of weights that ship, such as
    ``small``. Required, unless ``from_scratch``."""
    from_scratch: bool = False
    """Start without Module 1. This is not the published method; the checkpoint's lineage records
    it."""
    transfer: Literal["transformer", "backbone"] = "backbone"
    """Weights taken from Module 1: its transformer alone, as in the published method, or its
    backbone and matching head too."""


@dataclass(frozen=True)
class MatchDataConfig(DataConfig):
    """The prints to train on, how they are drawn, and how far off their poses are."""

    pose_shift_px: float = 8.0
    """Error of a pose's position to train for, standard deviation in pixels at 500 ppi."""
    pose_rotation: float = 5.0
    """Error of a pose's direction to train for, standard deviation in degrees."""
    pose_scale: float = 0.03
    """Error of a print's scale to train for, standard deviation of its natural logarithm."""


@dataclass(frozen=True)
class MatchLossConfig:
    """The weights of the losses, and the settings of ArcFace."""

    lambda_D: float = 0.3
    """Weight of L_D, the matching of coarse cells."""
    lambda_P: float = 1.0
    """Weight of L_P, the pose."""
    lambda_M: float = 1.0
    """Weight of L_M, which compares dense maps."""
    lambda_E: float = 0.5
    """Weight of L_E, which compares index vectors."""
    lambda_A: float = 0.02
    """Weight of L_A, the ArcFace loss."""
    num_classes: int | None = None
    """Number of identities of the ArcFace loss; None: the number of training fingers."""
    arcface_scale: float = 64.0
    """Scale of the cosines in the ArcFace loss."""
    arcface_margin: float = 0.4
    """Additive angular margin, radians."""


@dataclass(frozen=True)
class MatchConfig:
    """Module 2, the code of a print: pose, dense map and index vector.

    A batch consists of prints, two of each finger, and ``batch_size`` and ``pairs_per_epoch`` count
    prints: an epoch shows ``pairs_per_epoch`` prints in floor(``pairs_per_epoch`` /
    ``batch_size``) steps. Each print of a batch is compared with every other, so that no impostor
    pairs need to be drawn.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    start: MatchStartConfig = field(default_factory=MatchStartConfig)
    data: MatchDataConfig = field(default_factory=MatchDataConfig)
    loss: MatchLossConfig = field(default_factory=MatchLossConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(epochs=70))
    run: RunConfig = field(default_factory=lambda: RunConfig("checkpoints/matcher"))
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

    def __post_init__(self) -> None:
        """Raise ValueError for batches that do not show two fingers in each of their parts."""
        parts, size = self.hardware.accumulate, self.optim.batch_size
        self.hardware.check_parts(size)
        whole = f"a multiple of twice accumulate ({parts}), and at least four times it"
        fits = size % (2 * parts) == 0 and size >= 4 * parts
        check(self.optim, "batch_size", lambda _: fits, f"{whole}: prints come two by two")


MATCH_CONFIG = MatchConfig()
