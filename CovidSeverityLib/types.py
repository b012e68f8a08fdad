"""The values that travel between the stages.

Conventions, everywhere in the library:

* Arrays are (K, J, I): slices from inferior to superior, rows from anterior to posterior, columns from the patient's
  right to left. World coordinates are LPS millimetres, as DICOM and SimpleITK have them.
* Triples that describe a geometry (``size``, ``spacing_mm``, the columns of ``direction``) are in (I, J, K) order.
* Arrays inside these values are read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from .immutable import frozen_array as frozen_array

if TYPE_CHECKING:
    pass

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: called as work goes on; it may raise to stop it."""

READ_STAGE = "read"
"""Name of the stage that reads a CT."""

Triple: TypeAlias = tuple[float, float, float]
"""Three lengths, such as a voxel spacing, mm."""

Box: TypeAlias = tuple[slice, slice, slice]
"""Part of a (K, J, I) grid; starts and stops are whole numbers."""

T = TypeVar("T")


def triple(values: Iterable[T]) -> tuple[T, T, T]:
    """Exactly three values, one for each axis."""
    first, second, third = values
    return first, second, third


AIR_HU = -1024
"""What lies outside the patient or was never measured, in Hounsfield units."""


class Side(IntEnum):
    """Labels of a lung mask (the order of the ``lungmask`` package).

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, Side
    >>> result = Analysis.load("results")
    >>> int((result.lungs == Side.LEFT).sum()) == result.side_voxels[Side.LEFT]
    True
    """

    RIGHT = 1
    LEFT = 2


class Lobe(IntEnum):
    """Labels of a lobe mask.

    Examples
    --------
    >>> from CovidSeverityLib import Lobe
    >>> [lobe.name for lobe in Lobe if lobe.side.name == "LEFT"]
    ['LUL', 'LLL']
    """

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
    """Labels of a mask of opacity.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, Opacity
    >>> result = Analysis.load("results")
    >>> bool((result.infection == Opacity.CONSOLIDATION).any())
    True
    """

    GROUND_GLASS = 1
    CONSOLIDATION = 2


OPACITY_NAMES = {Opacity.GROUND_GLASS: "ground-glass opacity", Opacity.CONSOLIDATION: "consolidation"}


class Diagnosis(IntEnum):
    """What a chest CT looks like; the numbers are the order of the classifier's outputs, as published.

    Examples
    --------
    >>> from CovidSeverityLib import Diagnosis
    >>> [diagnosis.name for diagnosis in Diagnosis]
    ['NORMAL', 'CAP', 'COVID19']
    """

    NORMAL = 0
    CAP = 1
    COVID19 = 2


DIAGNOSIS_NAMES = {
    Diagnosis.NORMAL: "normal",
    Diagnosis.CAP: "community-acquired pneumonia",
    Diagnosis.COVID19: "COVID-19",
}


class NoteSeverity(str, Enum):
    """How much a quality note takes away from the result.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, NoteSeverity
    >>> warnings = [n for n in Analysis.load("results").quality if n.severity is NoteSeverity.WARNING]
    >>> all(note.message for note in warnings)
    True
    """

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True)
class QualityNote:
    """One thing that the reader of a result should know.

    Parameters
    ----------
    code : str
        A word for programs.
    severity : NoteSeverity
        Whether it is a warning.
    message : str
        A sentence for people.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> note = Analysis.load("results").quality[0]
    >>> note.code, note.severity.value
    ('pixels_coarse', 'warning')
    """

    code: str
    severity: NoteSeverity
    message: str


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a (K, J, I) array lie.

    Parameters
    ----------
    size : tuple of three int
        Number of voxels along (I, J, K).
    spacing_mm : tuple of three float
        Distance of voxel centres along (I, J, K), mm.
    origin_mm : tuple of three float
        LPS position of the centre of voxel (0, 0, 0), mm.
    direction : tuple of nine float
        3 x 3, row-major. Column n is the LPS unit vector of index axis n in (I, J, K) order, as in SimpleITK.

    Examples
    --------
    >>> from CovidSeverityLib import Geometry
    >>> grid = Geometry((64, 48, 10), (2.0, 2.0, 5.0), (0.0, 0.0, -20.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    >>> grid.shape, grid.voxel_ml
    ((10, 48, 64), 0.02)
    >>> grid.slice_z_mm()[:3]
    array([-20., -15., -10.])
    """

    size: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple
    direction: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (K, J, I)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing_kji(self) -> Triple:
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

    @overload
    def undone(self, values: NDArray) -> NDArray: ...
    @overload
    def undone(self, values: np.float64) -> np.float64: ...
    def undone(self, values: NDArray | np.float64) -> NDArray | np.float64:
        """Hounsfield units of ``values``."""
        if self == HounsfieldChange():
            return values
        return (values - np.float32(self.offset)) / np.float32(self.scale)
