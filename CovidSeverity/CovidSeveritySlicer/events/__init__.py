"""Signals and timers: who is told what, and when."""
