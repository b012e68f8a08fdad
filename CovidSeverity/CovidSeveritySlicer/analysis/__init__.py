"""An analysis in a child process: packages, input files, process, outcome."""
