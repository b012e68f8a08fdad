"""Results in the scene: files of an analysis become nodes, tables and plots, and can be saved again."""
