"""Batches to learn from, with their ground truth: synthetic prints, and folders of real ones."""
