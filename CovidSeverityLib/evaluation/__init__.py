"""Evaluation: many cases, what is known of them, and the figures that compare both."""
