"""One print made ready: normalised, enhanced, measured, and drawn on the network's canvas."""
