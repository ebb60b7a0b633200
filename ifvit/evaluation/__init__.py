"""Protocols, score tables, error rates and their plots."""
