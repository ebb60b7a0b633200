"""Every setting of the method, as frozen dataclasses; the command line is their shadow.

Lengths in pixels always name their resolution: ``*_px`` fields are at 500 ppi, the ``canvas`` is
at the network's own ``ppi``. Angles are in degrees.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

STRIDE = 8
"""Pixels of the canvas per coarse cell, fixed by the backbone: its stem and two stages halve."""

REFERENCE_PPI = 500
"""The resolution of the field's data sets, and of every ``*_px`` setting."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the networks. Module 1 and Module 2 must agree on all of it."""

    ppi: int = 250
    """Resolution that the network sees."""
    canvas: int = 128
    """Side of the square input of Module 1 and of the global branch, pixels at ``ppi``."""
    roi_px: int = 90
    """Side of the local branch's region of interest, pixels at 500 ppi."""
    backbone_widths: tuple[int, ...] = (64, 128, 256)
    """Channels of the three ResNet-18 stages, at strides 2, 4 and 8."""
    d_model: int = 256
    num_layers: int = 8
    """Encoder layers, alternating self and cross attention."""
    num_heads: int = 8
    use_loftr: bool = True
    """LoFTR's linear transformer; False: a generic pre-norm Siamese one, for ablation."""
    temp_bug_fix: bool = True
    """Sine encoding: True for the corrected form, False for that of the released LoFTR weights."""
    temperature: float = 0.1
    embedding_dim: int = 256

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
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


@dataclass(frozen=True)
class TrainConfig:
    """What both modules' training has in common."""

    dataset_root: str = "synthetic"
    """A folder of prints, or ``synthetic`` for prints that the package makes itself."""
    ppi: int | None = None
    """Resolution of the prints in ``dataset_root``, where the data set is not a known one."""
    seed: int = 0
    fingers: int = 2000
    """Synthetic fingers to train on."""
    val_fingers: int = 32
    """Fingers held out for validation (synthetic: made beside the others; folders: split off)."""
    epochs: int = 100
    pairs_per_epoch: int = 100_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 2e-4
    warmup_fraction: float = 0.05
    """Share of all steps over which the learning rate rises from zero; then it decays by cosine."""
    grad_clip: float = 1.0
    impostor_ratio: float = 0.25
    """Share of pairs of two different fingers."""
    lambda_D: float = 1.0
    resume: bool = True
    """Go on with the run that the checkpoint's directory holds; False moves it aside."""
    override: bool = False
    """Go on with it although these settings are not those that it began with."""
    save_minutes: float = 5.0
    """Minutes between states to go on from; one is saved at the end of every epoch too."""
    keep_states: int = 2
    """States kept, the newest; and the best."""
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
        for name in ("fingers", "val_fingers"):
            if getattr(self, name) < 2:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: expected at least 2, for an impostor pair"
                )
        for name in ("epochs", "pairs_per_epoch", "batch_size", "keep_states"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.devices is not None and self.devices < 1:
            raise ValueError(f"devices is {self.devices}: expected at least 1")
        if not 0 <= self.impostor_ratio <= 1:
            raise ValueError(f"impostor_ratio is {self.impostor_ratio}: expected 0 to 1")


@dataclass(frozen=True)
class DenseConfig(TrainConfig):
    """Module 1, dense registration. Defaults follow the paper where it is known."""

    model: ModelConfig = field(default_factory=ModelConfig)
    checkpoint_dir: str = "checkpoints/dense_reg"
    loftr_pretrained_ckpt: str | None = None
    """Converted LoFTR weights to start the transformer from, `ifvit convert-loftr`'s .npz."""
    loftr_first_layers: bool = False
    """Let a model with fewer layers take the first ones of the LoFTR weights."""
    max_rotation: float = 60.0
    """Rotation between the prints of a training pair, ± degrees."""
    turn: float = 180.0
    """Rotation of both prints of a pair together, ± degrees: prints do not all come upright."""
    init_from: str | None = None
    """A Module 1 checkpoint of the same shape to train on from: all of its weights."""


@dataclass(frozen=True)
class MatchConfig(TrainConfig):
    """Module 2, the fixed-length matcher."""

    model: ModelConfig = field(default_factory=ModelConfig)
    checkpoint_dir: str = "checkpoints/matcher"
    pretrained_ckpt: str | None = None
    """Module 1's ``dense_reg_ckpt.safetensors``. Required, unless ``from_scratch``."""
    from_scratch: bool = False
    """Start without Module 1. Outside the method; the checkpoint's lineage records it."""
    transfer: Literal["transformer", "backbone"] = "transformer"
    """What comes from Module 1: its transformer, as the method says, or its backbone and matching
    head too, which is an option beyond the method."""
    num_classes: int | None = None
    """Identities of the ArcFace loss; None counts the training fingers."""
    share_global_local: bool = True
    """One transformer for both branches; False trains two that start alike."""
    epochs: int = 70
    lambda_D: float = 0.5
    lambda_E: float = 0.1
    lambda_A: float = 1.0
    margin_E: float = 0.4
    """Cosine margin of L_E for impostor pairs."""
    arcface_scale: float = 64.0
    arcface_margin: float = 0.4
    """Additive angular margin, radians."""
    fusion_global: float = 0.6
    """Weight of the global score in the fused one; the local score has the rest."""
    fusion_ridge: float = 0.8
    """Weight of the ridges' correlation in the score of a pair; the embeddings have the rest. On
    real prints the embeddings' impostor scores spread seven times as wide as the correlation's;
    chosen on the development sets (``docs/results/development_sets.md``)."""
    template_ratio: float = 0.25
    """Share of genuine pairs shown as two stand-alone templates, (print, print)."""
    alignment_shift_px: float = 8.0
    """Alignment error to train for, standard deviation in pixels at 500 ppi."""
    alignment_rotation: float = 4.0
    """Alignment error to train for, standard deviation in degrees."""


DENSE_CONFIG = DenseConfig()
MATCH_CONFIG = MatchConfig()

TINY_MODEL = ModelConfig(backbone_widths=(16, 32, 64), d_model=64, num_layers=4, num_heads=8)

SMALL_MODEL = replace(TINY_MODEL, canvas=160)
"""A quarter of the width, and a field of view of 16 mm: prints of most sensors fit in whole."""

DENSE_PRESETS: dict[str, DenseConfig] = {
    "paper": DENSE_CONFIG,
    # What a CPU trains in an hour or two, from upright prints on (`recipes/small.sh`).
    "small": DenseConfig(
        model=SMALL_MODEL,
        fingers=5000,
        epochs=50,
        pairs_per_epoch=1000,
        batch_size=8,
        max_rotation=45.0,
    ),
    "tiny": DenseConfig(
        model=TINY_MODEL,
        fingers=128,
        val_fingers=16,
        epochs=7,
        pairs_per_epoch=400,
        batch_size=8,
        max_rotation=30.0,
        turn=0.0,
    ),
}
MATCH_PRESETS: dict[str, MatchConfig] = {
    "paper": MATCH_CONFIG,
    "small": MatchConfig(
        model=SMALL_MODEL,
        transfer="backbone",
        fingers=5000,
        epochs=10,
        pairs_per_epoch=1000,
        batch_size=8,
        impostor_ratio=0.5,
        lambda_E=2.0,
        lambda_A=0.02,
    ),
    # Minutes of training, where the method has days. So it starts from Module 1's backbone too,
    # and leans on L_E: with weight 1 the gradient of L_A, which takes many epochs to tell people
    # apart, is hundreds of times the others' and, after clipping, all that is left.
    "tiny": MatchConfig(
        model=TINY_MODEL,
        transfer="backbone",
        fingers=128,
        val_fingers=16,
        epochs=4,
        pairs_per_epoch=200,
        batch_size=8,
        impostor_ratio=0.5,
        lambda_E=2.0,
        lambda_A=0.02,
    ),
}


def preset(presets: dict[str, Any], name: str) -> Any:
    """Return the preset called ``name``; raises ValueError that lists the known names."""
    if name not in presets:
        raise ValueError(f"unknown preset {name!r}: expected one of {', '.join(sorted(presets))}")
    return presets[name]


def to_json(config: Any) -> str:
    """Serialise a config dataclass; the inverse of :func:`from_json`."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True)


def from_json(cls: type, text: str) -> Any:
    """Rebuild a ``DenseConfig`` or ``MatchConfig`` from :func:`to_json`'s text.

    Raises ValueError where the text has a field that this version does not know.
    """
    values = json.loads(text)
    model = dict(values.pop("model"))
    model["backbone_widths"] = tuple(model["backbone_widths"])
    try:
        return cls(**values, model=ModelConfig(**model))
    except TypeError as error:
        raise ValueError(f"config written by another version of ifvit: {error}") from error
