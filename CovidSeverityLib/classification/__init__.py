"""COVID-19, community-acquired pneumonia or normal: a network looks at slices, and the slices vote."""
