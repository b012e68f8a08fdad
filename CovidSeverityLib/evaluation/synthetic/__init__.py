"""Synthetic chests and simulated lesions."""
