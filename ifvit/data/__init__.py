"""Prints and pairs of prints: from files or from the generator to what a network is given."""
