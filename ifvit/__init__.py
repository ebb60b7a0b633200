"""Fingerprint recognition that shows its reasons: the IFViT method in JAX."""

from ifvit.pipeline.match import match

__all__ = ["match"]
__version__ = "0.1.0"
