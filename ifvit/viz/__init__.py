"""Pictures to check a decision by."""
