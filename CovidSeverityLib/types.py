"""The values that travel between the stages.

Conventions, everywhere in the library:

* Arrays are (K, J, I): slices from inferior to superior, rows from anterior to posterior, columns from the patient's
  right to left. World coordinates are LPS millimetres, as DICOM and SimpleITK have them.
* Triples that describe a geometry (``size``, ``spacing_mm``, the columns of ``direction``) are in (I, J, K) order.
* Arrays inside these values are read-only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: called as work goes on; it may raise to stop it."""

AIR_HU = -1024
"""What lies outside the patient or was never measured, in Hounsfield units."""


class Side(IntEnum):
    """Labels of a lung mask (the order of the ``lungmask`` package)."""

    RIGHT = 1
    LEFT = 2


class Lobe(IntEnum):
    """Labels of a lobe mask."""

    RUL = 1
    RML = 2
    RLL = 3
    LUL = 4
    LLL = 5

    @property
    def side(self) -> Side:
        """The lung that this lobe belongs to."""
        return Side.RIGHT if self <= Lobe.RLL else Side.LEFT


LOBE_NAMES = {
    Lobe.RUL: "right upper lobe",
    Lobe.RML: "right middle lobe",
    Lobe.RLL: "right lower lobe",
    Lobe.LUL: "left upper lobe",
    Lobe.LLL: "left lower lobe",
}


class Opacity(IntEnum):
    """Labels of an infection mask."""

    GROUND_GLASS = 1
    CONSOLIDATION = 2


class Diagnosis(IntEnum):
    """What a chest CT looks like; the numbers are the order of the classifier's outputs, as published."""

    NORMAL = 0
    CAP = 1
    COVID19 = 2


DIAGNOSIS_NAMES = {
    Diagnosis.NORMAL: "normal",
    Diagnosis.CAP: "community-acquired pneumonia",
    Diagnosis.COVID19: "COVID-19",
}


class NoteSeverity(str, Enum):
    """How much a quality note takes away from the result."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True)
class QualityNote:
    """One thing that the reader of a result should know: ``code`` for programs, ``message`` for people."""

    code: str
    severity: NoteSeverity
    message: str


def frozen_array(array: NDArray) -> NDArray:
    """Return ``array``, contiguous and read-only (a copy only where it has to be one)."""
    array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a (K, J, I) array lie.

    Parameters
    ----------
    size : number of voxels along (I, J, K).
    spacing_mm : distance of voxel centres along (I, J, K), mm.
    origin_mm : LPS position of the centre of voxel (0, 0, 0), mm.
    direction : 3 x 3, row-major; column n is the LPS unit vector of index axis n in (I, J, K) order, as in SimpleITK.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (K, J, I)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Voxel spacing in array order (K, J, I), mm."""
        return self.spacing_mm[2], self.spacing_mm[1], self.spacing_mm[0]

    @property
    def of_one_slice(self) -> Geometry:
        """The same for a single slice: the first."""
        return replace(self, size=(*self.size[:2], 1))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, millilitres."""
        i, j, k = self.spacing_mm
        return i * j * k / 1000.0

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4 x 4 matrix from (i, j, k, 1) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    def slice_z_mm(self) -> NDArray[np.float64]:
        """(K,) LPS z of the centre of every axial slice, mm (for an axial series: of the whole slice)."""
        middle = np.array([[(self.size[0] - 1) / 2, (self.size[1] - 1) / 2, k, 1.0] for k in range(self.size[2])])
        return (middle * self.ijk_to_lps[2]).sum(axis=1)


@dataclass(frozen=True)
class StorageOrder:
    """How the input stored the axes that the library calls (K, J, I): the way back for every mask that is written.

    ``axes[n]`` is the stored array axis that became array axis n; ``flipped[n]`` says that it was then reversed.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    def to_canonical(self, stored: NDArray) -> NDArray:
        """A view of ``stored`` in (K, J, I) order."""
        return np.transpose(stored, self.axes)[self._flips()]

    def to_stored(self, canonical: NDArray) -> NDArray:
        """A view of a (K, J, I) array in the input's own order: the inverse of :meth:`to_canonical`."""
        return np.transpose(canonical[self._flips()], np.argsort(self.axes))

    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if f else 1) for f in self.flipped)


@dataclass(frozen=True)
class HounsfieldChange:
    """How the values of an input differ from Hounsfield units: value = ``scale`` x HU + ``offset``."""

    scale: float = 1.0
    offset: float = 0.0

    def undone(self, values: NDArray) -> NDArray:
        """Hounsfield units of ``values``."""
        if self == HounsfieldChange():
            return values
        return (values - np.float32(self.offset)) / np.float32(self.scale)


@dataclass(frozen=True, eq=False)
class CtVolume:
    """A chest CT in Hounsfield units.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units, no value under -1024; K from inferior to superior.
    geometry : of ``hu``.
    stored_geometry : of the input as it was stored; masks are written back to it.
    storage : how the stored axes map to (K, J, I).
    name : of the input file or folder, without the folders above it.
    acquired : (K,) bool; False for a slice that was missing and has been interpolated.
    notes : what was noticed while reading.
    kernel : name of the reconstruction kernel in the DICOM header; empty where it is not known.
    hounsfield_change : what was undone to get ``hu`` from the values of the input.
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
        object.__setattr__(self, "hu", frozen_array(np.asarray(self.hu, dtype=np.int16)))
        if not self.acquired:
            object.__setattr__(self, "acquired", (True,) * self.hu.shape[0])
        if len(self.acquired) != self.hu.shape[0]:
            raise ValueError(f"{len(self.acquired)} acquired flags for {self.hu.shape[0]} slices")

    @property
    def is_single_slice(self) -> bool:
        """Whether nothing lies above or below."""
        return len(self.hu) == 1
