"""Evaluation: results for many cases compared with the known truth."""
