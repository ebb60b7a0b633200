"""Plane geometry: transforms, images drawn through them, displacement fields, the coarse grid."""
