"""The panel: widgets, progress, result card and buttons."""
