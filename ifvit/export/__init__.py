"""The networks written in other formats, and checked against what they are here."""
