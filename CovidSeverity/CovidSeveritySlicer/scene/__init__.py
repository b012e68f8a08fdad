"""Results in the scene: from the files of an analysis to nodes, tables and plots, and back to files."""
