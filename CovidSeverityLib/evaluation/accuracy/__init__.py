"""Accuracy on CTs with known opacities."""
