"""What is measured: lobes, volumes, scores of regions."""
