"""The settings of Module 1's training, dense registration."""

from __future__ import annotations

from dataclasses import dataclass, field

from ifvit.config.checks import check
from ifvit.config.groups import DataConfig, HardwareConfig, OptimConfig, RunConfig
from ifvit.config.network import ModelConfig


@dataclass(frozen=True)
class DenseStartConfig:
    """The weights that the training starts from; without any, all are random."""

    loftr_pretrained_ckpt: str | None = None
    """LoFTR weights to start the transformer from: the .npz that `ifvit convert-loftr` writes."""
    loftr_first_layers: bool = False
    """Let a model with fewer layers take the first ones of the LoFTR weights."""
    init_from: str | None = None
    """A Module 1 of the same shape to train on from: its checkpoint, or the name of weights that
    ship, such as ``small``."""


@dataclass(frozen=True)
class DenseDataConfig(DataConfig):
    """The prints to train on, how they are drawn, and how two of them make a pair."""

    impostor_ratio: float = 0.25
    """Share of pairs of two different fingers."""
    max_rotation: float = 60.0
    """Rotation between the prints of a training pair, ± degrees."""
    turn: float = 180.0
    """Rotation of both prints of a pair together, ± degrees: prints do not all come upright."""
    rotation_growth: float = 0.0
    """Share of training over which the rotation between synthetic prints grows to
    ``max_rotation``, from a tenth of it; 0 has all of it from the start."""
    distortion_growth: float = 0.0
    """Share of training over which the skin's elastic distortion grows in the same way."""

    def __post_init__(self) -> None:
        """Raise ValueError as :class:`DataConfig` does, and for shares outside [0, 1]."""
        super().__post_init__()
        check(self, "impostor_ratio", lambda share: 0 <= share <= 1, "0 to 1")
        shares = "rotation_growth distortion_growth"
        check(self, shares, lambda share: 0 <= share <= 1, "a share of training, 0 to 1")

    @property
    def grows(self) -> bool:
        """Return whether the prints of a pair are more alike when training begins."""
        return bool(self.rotation_growth or self.distortion_growth)


@dataclass(frozen=True)
class DenseLossConfig:
    """The weights of the losses."""

    lambda_D: float = 1.0
    """Weight of L_D, the matching of coarse cells."""
    lambda_F: float = 0.3
    """Weight of L_F, the positions within cells."""


@dataclass(frozen=True)
class DenseConfig:
    """Module 1, dense registration. Defaults follow the paper where it is known."""

    model: ModelConfig = field(default_factory=ModelConfig)
    start: DenseStartConfig = field(default_factory=DenseStartConfig)
    data: DenseDataConfig = field(default_factory=DenseDataConfig)
    loss: DenseLossConfig = field(default_factory=DenseLossConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(epochs=100))
    run: RunConfig = field(default_factory=lambda: RunConfig("checkpoints/dense_reg"))
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

    def __post_init__(self) -> None:
        """Raise ValueError for a batch that does not divide into ``accumulate`` equal parts."""
        self.hardware.check_parts(self.optim.batch_size)


DENSE_CONFIG = DenseConfig()
