"""The live score: the result rescored while its segments are edited."""
