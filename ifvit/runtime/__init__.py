"""What executes the networks."""
