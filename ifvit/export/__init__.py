"""The networks written in other formats, and checked against the originals."""
