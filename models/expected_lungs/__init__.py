"""Fits the expected lungs that ship with the library."""
