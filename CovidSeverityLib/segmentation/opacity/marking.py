"""The two ways to mark opacities, behind one interface: the default profile's and the published method's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Progress

from .kinds import opacity_labels
from .published.config import PublishedOpacityConfig
from .published.opacities import segment_published_opacities
from .values import MarkedOpacities
from .volumetric.config import OpacityConfig
from .volumetric.consolidation import opacity_regions
from .volumetric.opacities import segment_opacities
from .volumetric.single_slices import segment_slice_opacities, slice_opacity_regions


class OpacityMarking(Protocol):
    """Marks opacities in the lungs of a CT, and tells ground glass from consolidation."""

    published: ClassVar[bool]
    """Whether it is the published method."""

    def mark(
        self,
        volume: CtVolume,
        lung: NDArray[np.bool_],
        progress: Progress | None = None,
        *,
        independent_slices: bool = False,
    ) -> MarkedOpacities:
        """Mark the opacities.

        Parameters
        ----------
        volume : CtVolume
            Chest CT.
        lung : (K, J, I) ndarray of bool
            Both lungs, at least one voxel.
        progress : callable, optional
            Called with the stage "infection".
        independent_slices : bool
            The slices do not belong together: each is looked at alone.
        """
        ...

    def kinds(
        self, volume: CtVolume, opacities: NDArray[np.bool_], *, independent_slices: bool = False
    ) -> NDArray[np.uint8]:
        """(K, J, I) ndarray of uint8, labels of :class:`~CovidSeverityLib.types.Opacity`, of what was marked."""
        ...


@dataclass(frozen=True)
class VolumetricMarking:
    """Opacities of the whole volume: regions, with how sure their extent is."""

    config: OpacityConfig
    published: ClassVar[bool] = False

    def mark(
        self,
        volume: CtVolume,
        lung: NDArray[np.bool_],
        progress: Progress | None = None,
        *,
        independent_slices: bool = False,
    ) -> MarkedOpacities:
        """As :meth:`OpacityMarking.mark`."""
        segment = segment_slice_opacities if independent_slices else segment_opacities
        return segment(volume.hu, lung, volume.geometry, self.config, progress)

    def kinds(
        self, volume: CtVolume, opacities: NDArray[np.bool_], *, independent_slices: bool = False
    ) -> NDArray[np.uint8]:
        """As :meth:`OpacityMarking.kinds`: a region is of one kind."""
        regions = slice_opacity_regions if independent_slices else opacity_regions
        return regions(volume.hu, opacities, volume.geometry, self.config)


@dataclass(frozen=True)
class PublishedMarking:
    """Opacities as published: every slice for itself, whether or not slices belong together."""

    config: PublishedOpacityConfig
    published: ClassVar[bool] = True

    def mark(
        self,
        volume: CtVolume,
        lung: NDArray[np.bool_],
        progress: Progress | None = None,
        *,
        independent_slices: bool = False,
    ) -> MarkedOpacities:
        """As :meth:`OpacityMarking.mark`."""
        return MarkedOpacities(segment_published_opacities(volume.hu, lung, self.config, progress).mask)

    def kinds(
        self,
        volume: CtVolume,
        opacities: NDArray[np.bool_],
        *,
        independent_slices: bool = False,
    ) -> NDArray[np.uint8]:
        """As :meth:`OpacityMarking.kinds`: by the density of every voxel."""
        return opacity_labels(volume.hu, opacities, self.config.consolidation_hu)
