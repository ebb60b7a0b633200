"""Every setting of the method, as frozen dataclasses; the command line is their shadow.

Lengths in pixels always name their resolution: ``*_px`` fields are at 500 ppi, the ``canvas`` is
at the network's own ``ppi``. Angles are in degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

STRIDE = 8
"""Pixels of the canvas per coarse cell, fixed by the backbone: its stem and two stages halve."""

CELL_DIM = 8
"""Numbers that a dense map keeps of each coarse cell."""

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
    """Side of the method's local region of interest, pixels at 500 ppi; nothing looks at it now."""
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
    """Numbers of Module 2's index vector."""

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        sizes = "ppi canvas roi_px d_model num_layers num_heads embedding_dim"
        _check(self, sizes, lambda n: n >= 1, "at least 1")
        _check(self, "ppi", lambda ppi: REFERENCE_PPI % ppi == 0, "a divisor of 500, such as 250")
        _check(self, "temperature", lambda t: t > 0, "above 0")
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
        """Coarse cells along one side of the canvas."""
        return self.canvas // STRIDE


def _check(config: Any, names: str, fits: Callable[[Any], bool], expected: str) -> None:
    """Raise ValueError for the first of the named settings that does not fit."""
    for name in names.split():
        if not fits(value := getattr(config, name)):
            raise ValueError(f"{name} is {value}: expected {expected}")


@dataclass(frozen=True)
class TrainConfig:
    """What both modules' training has in common."""

    dataset_root: str = "synthetic"
    """A folder of prints, or ``synthetic`` for prints that the package makes itself."""
    ppi: int | None = None
    """Resolution of the prints in ``dataset_root``, where the data set is not a known one."""
    seed: int = 0
    """Seed of the weights, the prints and their order."""
    fingers: int = 2000
    """Synthetic fingers to train on."""
    val_fingers: int = 32
    """Fingers held out for validation (synthetic: made beside the others; folders: split off)."""
    epochs: int = 100
    """Epochs to train for."""
    pairs_per_epoch: int = 100_000
    """Pairs that an epoch shows; of Module 2, which looks at one print at a time, prints."""
    batch_size: int = 128
    """Pairs in a step; of Module 2, prints."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW at its highest."""
    weight_decay: float = 2e-4
    """Weight decay of AdamW."""
    warmup_fraction: float = 0.05
    """Share of all steps over which the learning rate rises from zero; then it decays by cosine."""
    grad_clip: float = 1.0
    """Norm that the gradient of a step is clipped to."""
    backbone_lr_scale: float = 1.0
    """Learning rate of the ResNet18, times the others'; 0 leaves it as it is."""
    transformer_lr_scale: float = 1.0
    """Learning rate of the transformer, times the others'."""
    ema: float = 0.0
    """Decay per step of a running mean of the weights, such as 0.999; validation and the checkpoint
    then use that mean. 0: none."""
    hard: float = 0.0
    """Share of synthetic prints that are pulled, twisted and pressed, and in harder conditions."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of the factor by which both prints of a synthetic pair are drawn larger: ridges of
    finer and coarser fingers, or those of a finer network."""
    lambda_D: float = 1.0
    """Weight of L_D, the matching of coarse cells."""
    resume: bool = True
    """Go on with the run that the checkpoint's directory holds; False moves it aside."""
    override: bool = False
    """Go on with it although these settings are not those that it began with."""
    save_minutes: float = 5.0
    """Minutes between states to go on from; one is saved at the end of every epoch too."""
    keep_states: int = 2
    """States kept, the newest; and the best."""
    tensorboard: bool = False
    """Show curves and pictures in TensorBoard too; needs the extra ``tensorboard``."""
    accumulate: int = 1
    """Equal parts that a batch is taken in, one after the other: less memory, the same step."""
    remat: bool = False
    """Compute layers again on the way back instead of keeping them: less memory, more time."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """What backbone and transformer compute in while training; weights and losses are float32."""
    prefetch: bool | None = None
    """Make each batch, in a thread, while the step before it runs; None: where that is not the work
    of one and the same CPU."""
    devices: int | None = None
    """Devices that share each batch; None takes as many as divide it evenly."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several processes train together, or ``auto`` under Slurm, Open
    MPI or on a TPU pod."""
    num_processes: int | None = None
    """How many processes train together."""
    process_id: int | None = None
    """Which of them this is, from 0."""

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be trained with."""
        _check(self, "fingers val_fingers", lambda n: n >= 2, "at least 2, for an impostor pair")
        counts = "epochs pairs_per_epoch batch_size keep_states accumulate"
        _check(self, counts, lambda n: n >= 1, "at least 1")
        _check(self, "devices", lambda n: n is None or n >= 1, "at least 1")
        _check(self, "hard", lambda share: 0 <= share <= 1, "0 to 1")
        _check(self, "backbone_lr_scale transformer_lr_scale", lambda s: s >= 0, "at least 0")
        factors = "two factors from 0.25 to 4, in order"
        _check(self, "zoom", lambda z: len(z) == 2 and 0.25 <= z[0] <= z[1] <= 4, factors)
        _check(self, "ema", lambda d: 0 <= d < 1, "0, or a decay below 1 such as 0.999")
        whole = f"a divisor of batch_size, {self.batch_size}"
        _check(self, "accumulate", lambda n: self.batch_size % n == 0, whole)


@dataclass(frozen=True)
class DenseConfig(TrainConfig):
    """Module 1, dense registration. Defaults follow the paper where it is known."""

    model: ModelConfig = field(default_factory=ModelConfig)
    checkpoint_dir: str = "checkpoints/dense_reg"
    """Folder of the run: its checkpoint, the states to resume from, and its log."""
    loftr_pretrained_ckpt: str | None = None
    """Converted LoFTR weights to start the transformer from, `ifvit convert-loftr`'s .npz."""
    loftr_first_layers: bool = False
    """Let a model with fewer layers take the first ones of the LoFTR weights."""
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
    """The same of the skin's elastic distortion."""
    lambda_F: float = 0.3
    """Weight of L_F, the positions within cells."""
    init_from: str | None = None
    """A Module 1 checkpoint of the same shape to train on from: all of its weights."""

    def __post_init__(self) -> None:
        """Refuse what the base does, and shares that are none."""
        super().__post_init__()
        _check(self, "impostor_ratio", lambda share: 0 <= share <= 1, "0 to 1")
        shares = "rotation_growth distortion_growth"
        _check(self, shares, lambda share: 0 <= share <= 1, "a share of training, 0 to 1")


@dataclass(frozen=True)
class MatchConfig(TrainConfig):
    """Module 2, the code of a print: pose, dense map and index vector.

    A batch is of prints, two of each finger, and ``batch_size`` and ``pairs_per_epoch`` count them:
    an epoch shows ``pairs_per_epoch`` prints, in floor(``pairs_per_epoch`` / ``batch_size``) steps.
    Each print of a batch is compared with every other, so that no impostor pairs are drawn.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    checkpoint_dir: str = "checkpoints/matcher"
    """Folder of the run: its checkpoint, the states to resume from, and its log."""
    pretrained_ckpt: str | None = None
    """Module 1's ``dense_reg_ckpt.safetensors``. Required, unless ``from_scratch``."""
    from_scratch: bool = False
    """Start without Module 1. Outside the method; the checkpoint's lineage records it."""
    transfer: Literal["transformer", "backbone"] = "backbone"
    """What comes from Module 1: its transformer, which is all that the method has; or its backbone
    and matching head too."""
    num_classes: int | None = None
    """Identities of the ArcFace loss; None counts the training fingers."""
    epochs: int = 70
    """Epochs to train for."""
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
    arcface_scale: float = 64.0
    """Scale of the cosines in the ArcFace loss."""
    arcface_margin: float = 0.4
    """Additive angular margin, radians."""
    pose_shift_px: float = 8.0
    """Error of a pose to train for, standard deviation in pixels at 500 ppi."""
    pose_rotation: float = 5.0
    """The same of its direction, degrees."""
    pose_scale: float = 0.03
    """The same of the scale that a print is drawn at, natural logarithm."""

    def __post_init__(self) -> None:
        """Refuse what the base does, and batches that do not show two fingers in each part."""
        super().__post_init__()
        whole = f"a multiple of twice accumulate ({self.accumulate}), and at least four times it"
        fits = self.batch_size % (2 * self.accumulate) == 0
        enough = self.batch_size >= 4 * self.accumulate
        _check(self, "batch_size", lambda _: fits and enough, f"{whole}: prints come two by two")


DENSE_CONFIG = DenseConfig()
MATCH_CONFIG = MatchConfig()
