"""The panel: its parameters, buttons, result card and views."""
