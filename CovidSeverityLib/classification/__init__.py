"""COVID-19, community-acquired pneumonia or normal: a network classifies slices, and the slices vote."""
