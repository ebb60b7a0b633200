"""The groups of settings that the trainings of both modules have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ifvit.config.checks import check


@dataclass(frozen=True)
class DataConfig:
    """The prints to train on, and how they are drawn."""

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
        """Raise ValueError for numbers with which no prints can be drawn."""
        check(self, "fingers val_fingers", lambda n: n >= 2, "at least 2, for an impostor pair")
        check(self, "hard", lambda share: 0 <= share <= 1, "0 to 1")
        factors = "two factors from 0.25 to 4, in order"
        check(self, "zoom", lambda z: len(z) == 2 and 0.25 <= z[0] <= z[1] <= 4, factors)


@dataclass(frozen=True)
class OptimConfig:
    """The length of the training, its steps, and its running mean of the weights."""

    epochs: int
    """Epochs to train for."""
    pairs_per_epoch: int = 100_000
    """Pairs in an epoch; for Module 2, which sees one print at a time, prints in an epoch."""
    batch_size: int = 128
    """Pairs in a step; for Module 2, prints in a step."""
    learning_rate: float = 1e-3
    """Highest learning rate of AdamW."""
    weight_decay: float = 2e-4
    """Weight decay of AdamW."""
    warmup_fraction: float = 0.05
    """Share of all steps over which the learning rate rises from zero; then it decays by cosine."""
    grad_clip: float = 1.0
    """Norm to which the gradient of a step is clipped."""
    backbone_lr_scale: float = 1.0
    """Factor on the learning rate of the ResNet-18; 0 leaves its weights as they are."""
    transformer_lr_scale: float = 1.0
    """Factor on the learning rate of the transformer."""
    ema: float = 0.0
    """Decay per step of a running mean of the weights, such as 0.999; validation and the checkpoint
    then use that mean. 0: none."""

    def __post_init__(self) -> None:
        """Raise ValueError for numbers with which no step can be taken."""
        check(self, "epochs pairs_per_epoch batch_size", lambda n: n >= 1, "at least 1")
        check(self, "backbone_lr_scale transformer_lr_scale", lambda s: s >= 0, "at least 0")
        check(self, "ema", lambda d: 0 <= d < 1, "0, or a decay below 1 such as 0.999")

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of batches that ``pairs_per_epoch`` fills, at least one."""
        return max(1, self.pairs_per_epoch // self.batch_size)

    @property
    def steps(self) -> int:
        """Return the number of steps of the whole training."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class RunConfig:
    """Where the run is kept, how it is resumed, and what it shows."""

    checkpoint_dir: str
    """Folder of the run: its checkpoint, the states to resume from, and its log."""
    seed: int = 0
    """Seed of the weights, the prints and their order."""
    resume: bool = True
    """Go on with the run in the checkpoint's folder; False moves it aside and starts anew."""
    override: bool = False
    """Go on with the run although these settings are not those that it began with."""
    save_minutes: float = 5.0
    """Minutes between states to go on from; one is saved at the end of every epoch too."""
    keep_states: int = 2
    """Number of newest states that are kept; the best one is kept too."""
    tensorboard: bool = False
    """Show curves and pictures in TensorBoard too; needs the extra ``tensorboard``."""

    def __post_init__(self) -> None:
        """Raise ValueError for a run that could not be resumed."""
        check(self, "keep_states", lambda n: n >= 1, "at least 1")


@dataclass(frozen=True)
class HardwareConfig:
    """The devices and processes that compute a training, and how memory is saved."""

    accumulate: int = 1
    """Equal parts into which a batch is divided, computed in turn: less memory, the same step."""
    remat: bool = False
    """Compute layers again in the backward pass instead of keeping them: less memory, more time."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number type of backbone and transformer in training; weights and losses are float32."""
    prefetch: bool | None = None
    """Make each batch in a thread while the step before it runs; None: only where an accelerator
    computes the steps."""
    devices: int | None = None
    """Devices that share each batch; None takes as many as divide it evenly."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several processes train together, or ``auto`` under Slurm, Open
    MPI or on a TPU pod."""
    num_processes: int | None = None
    """Number of processes that train together."""
    process_id: int | None = None
    """Number of this process among them, from 0."""

    def __post_init__(self) -> None:
        """Raise ValueError for numbers of parts or devices below 1."""
        check(self, "accumulate", lambda n: n >= 1, "at least 1")
        check(self, "devices", lambda n: n is None or n >= 1, "at least 1")

    def check_parts(self, batch_size: int) -> None:
        """Raise ValueError where ``accumulate`` does not divide a batch into equal parts."""
        whole = f"a divisor of batch_size, {batch_size}"
        check(self, "accumulate", lambda n: batch_size % n == 0, whole)
