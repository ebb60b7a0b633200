"""``ifvit convert-loftr``: LoFTR's transformer, for Module 1 to start from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ifvit.commands.next_step import model_options, quoted
from ifvit.config import ModelConfig
from ifvit.files import check_output
from ifvit.presets import DENSE_PRESETS


@dataclass(frozen=True)
class Settings:
    """Convert LoFTR's PyTorch weights to the .npz that Module 1 starts from."""

    pytorch_ckpt: str
    """LoFTR's checkpoint, such as outdoor_ds.ckpt. Its tensors are read; nothing in it is run."""
    output: str = "loftr_transformer.npz"
    """File to write."""
    prefix: str | None = None
    """Prefix before layers.N.* in the checkpoint, where its layout is not a known one."""
    num_heads: int | None = None
    """Number of attention heads, which the tensors do not show; known for the released shape."""
    temp_bug_fix: bool | None = None
    """The sine encoding that the weights were trained with: False for the released outdoor_ds and
    indoor_ds, True for indoor_ds_new."""


def run(settings: Settings) -> None:
    """Convert LoFTR's weights."""
    from ifvit.weights.convert import convert_loftr

    check_output(settings.output, "--output")
    arrays, record = convert_loftr(
        settings.pytorch_ckpt,
        settings.output,
        prefix=settings.prefix,
        num_heads=settings.num_heads,
        temp_bug_fix=settings.temp_bug_fix,
    )
    print(f"{record.summary(arrays)}, in {settings.output}")
    usual = ModelConfig()
    model = replace(
        usual,
        d_model=record.d_model,
        num_layers=record.num_layers,
        num_heads=record.num_heads or usual.num_heads,
        temp_bug_fix=record.temp_bug_fix,
    )
    own = model_options(model, {k: v.model for k, v in DENSE_PRESETS.items()})
    print(f"next: ifvit train-dense{own} --loftr-pretrained-ckpt {quoted(settings.output)}")
