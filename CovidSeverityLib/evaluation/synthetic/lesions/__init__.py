"""Simulated lesions in CTs."""
