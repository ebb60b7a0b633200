"""Training batches with their ground truth, from synthetic prints or from folders of real ones."""
