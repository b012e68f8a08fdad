"""Two examinations of one person compared: registration of the lungs, and what changed."""
