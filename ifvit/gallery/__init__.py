"""Galleries of enrolled prints, to be searched and verified, and templates on disk."""
