"""Reading of DICOM, NIfTI, NRRD and MetaImage: chest CTs in Hounsfield units, and masks on the grid of a CT."""

from __future__ import annotations

from .masks import read_mask
from .reading import read_ct, volume_from_array

__all__ = ["read_ct", "read_mask", "volume_from_array"]
