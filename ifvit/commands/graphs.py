"""The command that writes the networks as ONNX graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class ExportOnnxArgs:
    """Write both modules as ONNX graphs, checked against JAX: for use without JAX or ifvit."""

    out: Annotated[str, tyro.conf.Positional]
    """Folder for backbone.onnx, dense.onnx, pose.onnx and code.onnx."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None
    licence: str | None = None
    """SPDX identifier of the weights' licence; if not given, that of the record beside them, or
    Apache-2.0."""


def run_export_onnx(args: ExportOnnxArgs) -> None:
    """Write the graphs, and say how far they are from JAX."""
    from ifvit.export.onnx_export import export_onnx
    from ifvit.export.parity import LIMITS

    made = export_onnx(args.out, args.dense_ckpt, args.matcher_ckpt, licence=args.licence)
    print(f"{'difference from JAX':<20} {'found':>9} {'limit':>9}")
    for name, value, limit in zip(LIMITS._fields, made.differences, LIMITS, strict=True):
        print(f"{name:<20} {value:>9.2g} {limit:>9.2g}")
    for path in made.paths:
        print(f"{path.stat().st_size / 1e6:.1f} MB in {path}")
