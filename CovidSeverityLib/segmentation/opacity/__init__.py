"""Opacities inside the lungs."""
