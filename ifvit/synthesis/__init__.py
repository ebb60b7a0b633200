"""Synthetic fingerprints: a finger's master pattern, its impressions, and their exact maps."""

from ifvit.synthesis.draw import ImpressionParams, draw_impression
from ifvit.synthesis.impression import correspondence, from_master, in_contact, to_master
from ifvit.synthesis.master import Master, finger_key, make_masters
from ifvit.synthesis.sensor import Impression, render

__all__ = [
    "Impression",
    "ImpressionParams",
    "Master",
    "correspondence",
    "draw_impression",
    "finger_key",
    "from_master",
    "in_contact",
    "make_masters",
    "render",
    "to_master",
]
