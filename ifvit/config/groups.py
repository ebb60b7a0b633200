"""The groups of settings that the trainings of both modules have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ifvit.config.checks import check


@dataclass(frozen=True)
class DataConfig:
    """Which prints are trained on, and how they are drawn."""

    dataset_root: str = "synthetic"
    """A folder of prints, or ``synthetic`` for prints that the package makes itself."""
    ppi: int | None = None
    """Resolution of the prints in ``dataset_root``, where the data set is not a known one."""
    fingers: int = 2000
    """Synthetic fingers to train on."""
    val_fingers: int = 32
    """Fingers held out for validation (synthetic: made beside the others; folders: split off)."""
    hard: float = 0.0
    """Share of synthetic prints that are pulled, twisted and pressed, and in harder conditions."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of the factor by which both prints of a synthetic pair are drawn larger: ridges of
    finer and coarser fingers, or those of a finer network."""

    def __post_init__(self) -> None:
        """Refuse numbers that no prints can be drawn with."""
        check(self, "fingers val_fingers", lambda n: n >= 2, "at least 2, for an impostor pair")
        check(self, "hard", lambda share: 0 <= share <= 1, "0 to 1")
        factors = "two factors from 0.25 to 4, in order"
        check(self, "zoom", lambda z: len(z) == 2 and 0.25 <= z[0] <= z[1] <= 4, factors)


@dataclass(frozen=True)
class OptimConfig:
    """How long it trains, in which steps, and how the weights follow them."""

    epochs: int
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

    def __post_init__(self) -> None:
        """Refuse numbers that no step can be taken with."""
        check(self, "epochs pairs_per_epoch batch_size", lambda n: n >= 1, "at least 1")
        check(self, "backbone_lr_scale transformer_lr_scale", lambda s: s >= 0, "at least 0")
        check(self, "ema", lambda d: 0 <= d < 1, "0, or a decay below 1 such as 0.999")

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that ``pairs_per_epoch`` fills, at least one."""
        return max(1, self.pairs_per_epoch // self.batch_size)

    @property
    def steps(self) -> int:
        """Number of steps of the whole training."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class RunConfig:
    """Where the run is kept, and what it goes on from and shows."""

    checkpoint_dir: str
    """Folder of the run: its checkpoint, the states to resume from, and its log."""
    seed: int = 0
    """Seed of the weights, the prints and their order."""
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

    def __post_init__(self) -> None:
        """Refuse a run that could not go on."""
        check(self, "keep_states", lambda n: n >= 1, "at least 1")


@dataclass(frozen=True)
class HardwareConfig:
    """What it is computed on, and in which memory."""

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
        """Refuse parts and devices that are none."""
        check(self, "accumulate", lambda n: n >= 1, "at least 1")
        check(self, "devices", lambda n: n is None or n >= 1, "at least 1")

    def check_parts(self, batch_size: int) -> None:
        """Raise ValueError where ``accumulate`` does not divide a batch into equal parts."""
        whole = f"a divisor of batch_size, {batch_size}"
        check(self, "accumulate", lambda n: batch_size % n == 0, whole)
