"""Training of a classifier: images of many CTs, a split by patient, a network that is fitted to them, and its worth."""
