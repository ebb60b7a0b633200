"""Pictures by which a decision can be checked."""
