"""``ifvit export-onnx``: the networks as ONNX graphs."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from ifvit.commands.options import SHIPPED, WeightsOptions


@dataclass(frozen=True)
class Settings:
    """Write both modules as ONNX graphs, checked against JAX: for use without JAX or ifvit."""

    out: Positional[str]
    """Folder for backbone.onnx, dense.onnx, pose.onnx and code.onnx."""
    licence: str | None = None
    """SPDX identifier of the weights' licence; if not given, that of the record beside them, or
    Apache-2.0."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Write the graphs, and say how far they are from JAX."""
    from ifvit.export.onnx_export import export_onnx
    from ifvit.export.parity import LIMITS

    weights = settings.weights
    made = export_onnx(
        settings.out, weights.dense_ckpt, weights.matcher_ckpt, licence=settings.licence
    )
    print(f"{'difference from JAX':<20} {'found':>9} {'limit':>9}")
    for name, value, limit in zip(LIMITS._fields, made.differences, LIMITS, strict=True):
        print(f"{name:<20} {value:>9.2g} {limit:>9.2g}")
    for path in made.paths:
        print(f"{path.stat().st_size / 1e6:.1f} MB in {path}")
