"""Two prints to an alignment: rotations searched, distortion removed, ridges laid on ridges."""
