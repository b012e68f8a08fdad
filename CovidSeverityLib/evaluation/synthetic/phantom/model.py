"""The values that :func:`~.make_phantom` accepts and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Lobe, Side, frozen_array

DIAMETER_RANGE_MM = (6.0, 120.0)
"""Possible diameters of a lesion, mm: from the size visible in two slices to about the width of a lobe."""


class LesionKind(str, Enum):
    """The kind of a lesion."""

    GROUND_GLASS = "ground_glass"
    CONSOLIDATION = "consolidation"
    MIXED = "mixed"


class Placement(str, Enum):
    """The place of a lesion in its lobe: away from every surface, or cut by the costal pleura."""

    CENTRAL = "central"
    PLEURAL = "pleural"


@dataclass(frozen=True)
class LesionSpec:
    """A lesion that the caller requests.

    Parameters
    ----------
    kind : LesionKind or str
        Ground glass, consolidation, or a consolidated core in ground glass (an enum value or its string).
    lobe : Lobe
        The lobe of the lesion.
    diameter_mm : float
        Diameter of the sphere of the same volume, before the pleura and the fissures cut it, mm.
    placement : Placement or str
        Central or pleural.

    Raises
    ------
    InputError : for an unknown kind, lobe or placement, or a diameter outside :data:`DIAMETER_RANGE_MM`.
    """

    kind: LesionKind | str
    lobe: Lobe
    diameter_mm: float
    placement: Placement | str = Placement.PLEURAL

    def __post_init__(self) -> None:
        for name, enum in (("kind", LesionKind), ("lobe", Lobe), ("placement", Placement)):
            try:
                object.__setattr__(self, name, enum(getattr(self, name)))
            except ValueError as error:
                allowed = ", ".join(str(member.value) for member in enum)
                raise InputError(f"lesion {name} {getattr(self, name)!r} is not one of {allowed}") from error
        low, high = DIAMETER_RANGE_MM
        if not low <= self.diameter_mm <= high:
            raise InputError(f"lesion diameter {self.diameter_mm:g} mm is not between {low:g} and {high:g} mm")


@dataclass(frozen=True)
class Lesion:
    """A lesion of a synthetic chest.

    Parameters
    ----------
    kind : LesionKind
        Kind of opacity.
    lobe : Lobe
        The lobe of the lesion, which ends at the fissures.
    centre_mm : (float, float, float)
        LPS position of the ellipsoid's centre, mm.
    radii_mm : (float, float, float)
        Half axes of the ellipsoid along L, P, S before its outline is roughened, mm.
    ground_glass_hu : float or None
        Mean of its ground glass, Hounsfield units; None for a consolidation.
    consolidation_hu : float or None
        Mean of its consolidation, Hounsfield units; None for ground glass.
    touches_pleura : bool
        Whether its mask touches the chest wall or the diaphragm.
    voxels : int
        Size of its mask (a voxel in several lesions counts for each).
    """

    kind: LesionKind
    lobe: Lobe
    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    ground_glass_hu: float | None
    consolidation_hu: float | None
    touches_pleura: bool
    voxels: int

    @property
    def diameter_mm(self) -> float:
        """Diameter of the sphere with the ellipsoid's volume, mm."""
        return float(2.0 * np.prod(self.radii_mm) ** (1.0 / 3.0))


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic chest CT and its truth.

    Parameters
    ----------
    seed : int
        The seed.
    volume : CtVolume
        The CT.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`Side`: parenchyma, intrapulmonary vessels and bronchi, and lesions, without trachea, main
        bronchi and the vessels of the hilum.
    lobes : (K, J, I) ndarray of uint8
        Labels of :class:`Lobe`; together they are the lungs.
    infection : (K, J, I) ndarray of uint8
        Labels of :class:`~CovidSeverityLib.types.Opacity`; inside the lungs.
    lesions : tuple of Lesion
        The lesions in ``infection``.
    """

    seed: int
    volume: CtVolume
    lungs: NDArray[np.uint8]
    lobes: NDArray[np.uint8]
    infection: NDArray[np.uint8]
    lesions: tuple[Lesion, ...]

    def __post_init__(self) -> None:
        for name in ("lungs", "lobes", "infection"):
            array = getattr(self, name)
            if array.shape != self.volume.hu.shape:
                raise ValueError(f"{name} {array.shape} does not match volume {self.volume.hu.shape}")
            object.__setattr__(self, name, frozen_array(array))

    @property
    def lobe_voxels(self) -> Mapping[Lobe, int]:
        """True size of every lobe, voxels."""
        return _counts(self.lobes)

    @property
    def lobe_infected_voxels(self) -> Mapping[Lobe, int]:
        """True size of the opacities in every lobe, voxels."""
        return _counts(self.lobes[self.infection > 0])

    @property
    def side_voxels(self) -> Mapping[Side, int]:
        """True size of each lung, voxels."""
        lobe_voxels = self.lobe_voxels
        return {side: sum(n for lobe, n in lobe_voxels.items() if lobe.side == side) for side in Side}

    @property
    def infection_percent(self) -> float:
        """True share of opacity in both lungs, per cent."""
        return 100.0 * sum(self.lobe_infected_voxels.values()) / sum(self.lobe_voxels.values())


def _counts(lobes: NDArray[np.uint8]) -> dict[Lobe, int]:
    count = np.bincount(lobes.ravel(), minlength=len(Lobe) + 1)
    return {lobe: int(count[lobe]) for lobe in Lobe}
