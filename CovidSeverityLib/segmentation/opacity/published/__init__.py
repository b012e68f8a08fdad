"""Opacities by the published method, slice by slice."""
