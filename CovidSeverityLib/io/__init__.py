"""Reading: DICOM, NIfTI, NRRD and MetaImage to a chest CT in Hounsfield units, and masks to its grid."""

from __future__ import annotations

from .masks import read_mask
from .reading import read_ct, volume_from_array

__all__ = ["read_ct", "read_mask", "volume_from_array"]
