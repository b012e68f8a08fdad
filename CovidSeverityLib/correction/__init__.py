"""Masks that were edited by hand, and the scores that follow from them."""
