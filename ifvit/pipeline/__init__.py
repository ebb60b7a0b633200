"""From two prints to a decision: alignment, overlap, enhancement and scores."""
