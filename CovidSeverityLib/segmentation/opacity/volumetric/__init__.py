"""Opacities of the default profile."""
