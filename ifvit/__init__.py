"""Fingerprint recognition that shows its reasons: the IFViT method in JAX."""

from ifvit.pipeline.match import match
from ifvit.pipeline.matcher import Matcher

from_pretrained = Matcher.from_pretrained

__all__ = ["from_pretrained", "match"]
__version__ = "0.1.0"
