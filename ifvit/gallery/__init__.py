"""Prints that are kept to be found again: stand-alone templates on disk."""
