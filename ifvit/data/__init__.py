"""Prints from files, folders and tables, up to the canvas of a network."""
