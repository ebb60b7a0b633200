"""Losses, steps, the loop, and the two commands that train."""
