"""Reading nodes of the scene: geometry, labels, terminology codes."""
