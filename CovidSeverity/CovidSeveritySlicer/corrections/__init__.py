"""The live score: a result is scored again while its segments are edited."""
