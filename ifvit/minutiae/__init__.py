"""Minutiae of a matched pair, as an examiner looks at them. They explain a score, and have no part
in it."""
