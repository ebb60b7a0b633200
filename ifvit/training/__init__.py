"""Training of both modules: losses, steps, the loop, and the states of a run."""
