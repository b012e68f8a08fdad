"""The lobes."""
