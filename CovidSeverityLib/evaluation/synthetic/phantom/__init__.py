"""A synthetic chest CT: anatomy, pneumonia and noise from a seed, with the truth."""

from .model import Lesion, LesionKind, LesionSpec, Phantom, Placement
from .synthesis import make_phantom
from .writing import truth_of, write_phantom

__all__ = ["Lesion", "LesionKind", "LesionSpec", "Phantom", "Placement", "make_phantom", "truth_of", "write_phantom"]
