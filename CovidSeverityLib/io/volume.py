"""A chest CT in Hounsfield units, from values in any order of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import AIR_HU, Geometry, HounsfieldChange, QualityNote, StorageOrder, Triple, triple

from .extent import check_voxel_edges
from .hounsfield.settling import settle_hounsfield
from .image_header import volume_size
from .orientation import canonical_geometry, canonical_order
from .stored_numbers import to_int16

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False, repr=False)
class CtVolume(Value):
    """A chest CT in Hounsfield units.

    :func:`~CovidSeverityLib.read_ct` reads one; :meth:`from_array` and :meth:`from_image` make one of voxels that are
    in memory, and check them.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units, no value under -1024; K from inferior to superior.
    geometry : Geometry
        Of ``hu``.
    stored_geometry : Geometry
        Of the input as it was stored; masks are written back to it.
    storage : StorageOrder
        How the stored axes map to (K, J, I).
    name : str
        Of the input file or folder, without the folders above it.
    acquired : tuple of K bool
        False for a slice that was missing and has been interpolated.
    notes : tuple of QualityNote
        What was noticed while reading.
    kernel : str
        Name of the reconstruction kernel in the DICOM header; empty where it is not known.
    hounsfield_change : HounsfieldChange
        What was undone to get ``hu`` from the values of the input.

    Examples
    --------
    >>> from CovidSeverityLib import read_ct
    >>> read_ct("ct.nii.gz")
    CtVolume('ct.nii.gz', 64 x 64 x 36 voxels of 6 x 6 x 8.8 mm)
    """

    hu: NDArray[np.int16]
    geometry: Geometry
    stored_geometry: Geometry
    storage: StorageOrder = StorageOrder()
    name: str = ""
    acquired: tuple[bool, ...] = ()
    notes: tuple[QualityNote, ...] = ()
    kernel: str = ""
    hounsfield_change: HounsfieldChange = HounsfieldChange()

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or self.hu.shape != self.geometry.shape:
            raise ValueError(f"array {self.hu.shape} does not match geometry {self.geometry.shape} (K, J, I)")
        object.__setattr__(self, "hu", np.asarray(self.hu, dtype=np.int16))
        if not self.acquired:
            object.__setattr__(self, "acquired", (True,) * self.hu.shape[0])
        if len(self.acquired) != self.hu.shape[0]:
            raise ValueError(f"{len(self.acquired)} acquired flags for {self.hu.shape[0]} slices")
        super().__post_init__()

    def __repr__(self) -> str:
        size, spacing = (
            " x ".join(f"{n:.4g}" for n in triple) for triple in (self.geometry.size, self.geometry.spacing_mm)
        )
        return f"CtVolume({self.name!r}, {size} voxels of {spacing} mm)"

    @property
    def is_single_slice(self) -> bool:
        """Whether nothing lies above or below."""
        return len(self.hu) == 1

    @classmethod
    def from_array(
        cls,
        hu: NDArray,
        spacing_mm: Sequence[float],
        origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
        direction: ArrayLike = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        name: str = "",
    ) -> CtVolume:
        """A CT from an array with its geometry, checked as a file is.

        Parameters
        ----------
        hu : (K, J, I) ndarray of int or float
            Hounsfield units. The array is copied. Axes may be in any order that ``direction`` tells.
        spacing_mm : sequence of three float
            Distance of voxel centres along (I, J, K), mm: the array's last axis first.
        origin_mm : sequence of three float
            LPS position of the centre of voxel (0, 0, 0), mm.
        direction : array_like of nine float
            3 x 3, row-major. Column n is the LPS unit vector of index axis n in (I, J, K) order. By default columns run
            to the patient's left, rows to the back and slices to the head.
        name : str
            What reports call it.

        Returns
        -------
        CtVolume
            On canonical axes; ``notes`` say what was repaired.

        Raises
        ------
        NoLungsError
            The array holds nothing but air.
        InputError
            The array is not 3-D, holds no Hounsfield units, or its geometry cannot be that of a chest CT.

        Examples
        --------
        >>> import numpy as np
        >>> from CovidSeverityLib import CtVolume, read_ct
        >>> hu = read_ct("ct.nii.gz").hu
        >>> CtVolume.from_array(hu.astype(np.float32), spacing_mm=(6, 6, 8.8), name="case 1")
        CtVolume('case 1', 64 x 64 x 36 voxels of 6 x 6 x 8.8 mm)
        """
        return checked_volume(hu, spacing_mm, origin_mm, direction, name)

    @classmethod
    def from_image(cls, image: sitk.Image, name: str = "") -> CtVolume:
        """A CT from an image of SimpleITK, checked as a file is.

        Parameters
        ----------
        image : Image
            SimpleITK.Image Three-dimensional, one number a voxel, in Hounsfield units; with any order and direction of
            its axes.
        name : str
            What reports call it.

        Returns
        -------
        CtVolume
            On canonical axes. :meth:`to_image` is the way back.

        Raises
        ------
        NoLungsError, InputError
            As :meth:`from_array`.

        Examples
        --------
        >>> import SimpleITK as sitk
        >>> from CovidSeverityLib import CtVolume
        >>> ct = CtVolume.from_image(sitk.ReadImage("ct.nii.gz"))
        >>> ct.geometry.size
        (64, 64, 36)
        """
        return volume_from_image(image, name)

    def to_image(self, array: NDArray | None = None) -> sitk.Image:
        """An array on the grid of this CT as an image of SimpleITK, in the order and place in which the CT was stored.

        Parameters
        ----------
        array : (K, J, I) ndarray or None
            A mask, for example. None takes the CT itself.

        Returns
        -------
        Image
            SimpleITK.Image.

        Raises
        ------
        ValueError
            The array has another shape than the CT.

        Examples
        --------
        >>> from CovidSeverityLib import Analysis
        >>> result = Analysis.load("results")
        >>> result.volume.to_image(result.lungs).GetSize()
        (64, 64, 36)
        """
        import SimpleITK as sitk

        array = self.hu if array is None else array
        if array.shape != self.hu.shape:
            raise ValueError(f"array {array.shape} does not match the CT {self.hu.shape} (K, J, I)")
        image = sitk.GetImageFromArray(np.ascontiguousarray(self.storage.to_stored(array)))
        image.SetSpacing(self.stored_geometry.spacing_mm)
        image.SetOrigin(self.stored_geometry.origin_mm)
        image.SetDirection(self.stored_geometry.direction)
        return image


def volume_from_array(
    array: NDArray,
    spacing_mm: Sequence[float],
    origin_mm: Sequence[float],
    direction: ArrayLike,
    name: str = "",
    *,
    check: bool = False,
) -> CtVolume:
    """Return a volume on canonical axes from an array in the layout of SimpleITK or Slicer.

    Parameters
    ----------
    array : (K, J, I) ndarray of int or float
        Hounsfield units in stored axis order. It is copied.
    spacing_mm : sequence of three float
        Spacing along the stored (I, J, K), mm.
    origin_mm : sequence of three float
        LPS position of voxel (0, 0, 0), mm.
    direction : array_like of nine float
        Row-major; column n is the LPS unit vector of stored index axis n in (I, J, K) order.
    name : str
        Name of the CT.
    check : bool
        Whether to check that the values are Hounsfield units and to repair clear errors (as :func:`read_ct` does).

    Raises
    ------
    InputError
        The array is not 3-D or does not contain real numbers, its geometry is invalid, or ``check`` refuses its values.
    """
    array = np.asarray(array)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"an array of shape {array.shape} was given; a 3-D volume (K, J, I) is needed")
    k, j, i = array.shape
    stored = Geometry(
        size=(i, j, k),
        spacing_mm=_three(spacing_mm, "voxel spacing"),
        origin_mm=_three(origin_mm, "origin"),
        direction=tuple(np.asarray(direction, dtype=float).ravel().tolist()),
    )
    return volume_of(array, stored, name=name, notes=(), check=check)


def checked_volume(
    hu: NDArray, spacing_mm: Sequence[float], origin_mm: Sequence[float], direction: ArrayLike, name: str
) -> CtVolume:
    """:meth:`CtVolume.from_array`: :func:`volume_from_array` with all checks of a file."""
    volume = volume_from_array(hu, spacing_mm, origin_mm, direction, name, check=True)
    check_voxel_edges(volume.geometry.spacing_mm, name or "the array")
    return with_axial_slices(volume)


def volume_from_image(image: sitk.Image, name: str) -> CtVolume:
    """:meth:`CtVolume.from_image`: the same for a SimpleITK image."""
    import SimpleITK as sitk

    is_complex = "complex" in image.GetPixelIDTypeAsString()
    volume_size(image.GetSize(), image.GetNumberOfComponentsPerPixel(), name or "the image", is_complex=is_complex)
    if image.GetDimension() != 3:
        raise InputError(f"{name or 'the image'} has {image.GetDimension()} dimensions; a 3-D image is needed")
    array = sitk.GetArrayViewFromImage(image)
    return checked_volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection(), name)


def volume_of(
    values: NDArray,
    stored: Geometry,
    *,
    name: str,
    notes: tuple[QualityNote, ...],
    check: bool = True,
    own: bool = False,
) -> CtVolume:
    """Convert ``values`` (stored order, as decoded; modified in place if ``own``) to HU on canonical axes."""
    order = canonical_order(stored.direction)
    geometry = canonical_geometry(stored, order)
    if check:
        hu, found, change = settle_hounsfield(values, own=own)
    else:
        (hu, found), change = to_int16(values), HounsfieldChange()
        np.maximum(hu, np.int16(AIR_HU), out=hu)
    hu, notes = order.to_canonical(hu), (*notes, *found)
    return CtVolume(hu, geometry, stored, order, name=name, notes=notes, hounsfield_change=change)


def with_axial_slices(volume: CtVolume) -> CtVolume:
    """The same; refuse a single slice in another plane."""
    if min(volume.geometry.size[:2]) < 2:
        shape = " x ".join(str(n) for n in volume.geometry.size)
        raise InputError(f"a single slice that is not axial was given ({shape}); a volume or an axial slice is needed")
    return volume


def _three(values: Sequence[float], what: str) -> Triple:
    if len(values) != 3:
        raise InputError(f"the {what} is {tuple(values)} mm; three numbers are needed")
    return triple(float(v) for v in values)
