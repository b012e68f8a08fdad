"""Training of a classifier: images of many CTs, a split by patient, the fit of a network, and its measurement."""
