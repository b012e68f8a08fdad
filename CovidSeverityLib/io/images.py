"""NIfTI, NRRD and MetaImage files, read by SimpleITK after a check that they are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, NoteSeverity, QualityNote

from .completeness import check_meta, check_nifti, check_nrrd

FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    ".nii": ("NiftiImageIO", check_nifti),
    ".nii.gz": ("NiftiImageIO", check_nifti),
    ".nrrd": ("NrrdImageIO", check_nrrd),
    ".nhdr": ("NrrdImageIO", check_nrrd),
    ".mha": ("MetaImageIO", check_meta),
    ".mhd": ("MetaImageIO", check_meta),
}
"""File endings, the ITK reader of each, and the check that the file is whole."""

COMPLEX = {sitk.sitkComplexFloat32, sitk.sitkComplexFloat64}


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A 3-D image as it is stored, and what was noticed about it."""

    image: sitk.Image
    notes: tuple[QualityNote, ...] = ()

    @property
    def values(self) -> NDArray:
        """(K, J, I) ndarray in stored axis order, any number type: a view that lives as long as this value."""
        return sitk.GetArrayViewFromImage(self.image)

    @property
    def geometry(self) -> Geometry:
        """Where :attr:`values` lie."""
        image = self.image
        return Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def is_image_name(path: Path) -> bool:
    """Whether the ending of ``path`` is one of :data:`FORMATS`."""
    return _ending(path) is not None


def read_image(path: Path) -> StoredImage:
    """Read one 3-D scalar image in its stored order and number type.

    Raises
    ------
    InputError
        The ending is unknown, the file is damaged, cut short or not what its ending says, or it holds no 3-D image of
        one number a voxel.
    """
    ending = _ending(path)
    if ending is None:
        raise InputError(f"{path.name} has an unknown ending; DICOM or one of {', '.join(FORMATS)} is needed")
    image_io, check = FORMATS[ending]
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty")
    check(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(image_io)
    try:
        with quiet_itk():
            reader.ReadImageInformation()
            size = _volume_size(reader, path.name)
            reader.SetExtractSize([*size, *[0] * (reader.GetDimension() - 3)])
            notes = _orientation_notes(reader)
            image = reader.Execute()
    except RuntimeError as error:
        raise InputError(_reason(path.name, str(error))) from error
    return StoredImage(image, notes)


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off the terminal while inside (a switch of the whole process; set back on leaving)."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((e for e in sorted(FORMATS, key=len, reverse=True) if name.endswith(e)), None)


def _volume_size(reader: sitk.ImageFileReader, name: str) -> tuple[int, int, int]:
    """Return the size (I, J, K) of the only volume in the file; axes of length 1 beyond the third are let pass."""
    size = reader.GetSize()
    shape = " x ".join(str(n) for n in size)
    components = reader.GetNumberOfComponents()
    if reader.GetPixelID() in COMPLEX:
        raise InputError(f"{name} holds complex numbers ({shape}); one real number a voxel is needed")
    if components != 1:
        raise InputError(f"{name} holds {components} numbers a voxel ({shape}); one is needed")
    if len(size) < 3 or sorted(size[:3])[1] < 2:
        raise InputError(f"{name} holds a 2-D image ({shape}); a 3-D volume is needed")
    if any(n > 1 for n in size[3:]):
        raise InputError(f"{name} holds a {len(size)}-D image ({shape}); one 3-D volume is needed")
    return size[0], size[1], size[2]


def _orientation_notes(reader: sitk.ImageFileReader) -> tuple[QualityNote, ...]:
    """A warning where the file does not say how its axes lie in the patient, so that ITK had to guess."""
    keys = set(reader.GetMetaDataKeys())
    codes = [k for k in ("qform_code", "sform_code") if k in keys]
    nifti = bool(codes) and all(reader.GetMetaData(k).strip() == "0" for k in codes)
    nrrd = any(k.startswith("NRRD_") for k in keys) and "NRRD_space" not in keys
    if not (nifti or nrrd):
        return ()
    message = (
        "the file does not say how its axes lie in the patient; they were taken to run to the left, to the back and "
        "to the head, and right and left may be confused"
    )
    return (QualityNote("orientation_unknown", NoteSeverity.WARNING, message),)


def _reason(name: str, itk_message: str) -> str:
    if "orthonormal" in itk_message:
        return f"the axes of {name} are not at right angles (a sheared affine); resample it to a regular grid"
    return f"{name} cannot be read as the kind of file that its ending says; it may be damaged"
