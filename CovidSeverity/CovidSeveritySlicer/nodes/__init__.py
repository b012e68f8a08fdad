"""What is read from nodes of the scene: geometry, labels, terminology codes."""
