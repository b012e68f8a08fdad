"""From the numbers of a file to int16 (of :mod:`CovidSeverityLib.preprocessing.numbers`)."""

from CovidSeverityLib.preprocessing.numbers import round_into, to_int16

__all__ = ["round_into", "to_int16"]
