"""Whether stored values are Hounsfield units, and what makes Hounsfield units of them."""
