"""An analysis in a Python of its own: packages, input files, process, outcome."""
