"""Signals and timers."""
