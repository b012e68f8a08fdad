"""The two ways to score lobes, behind one interface: by their volume, and slice by slice as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.ctss import CTSS_DEFINITION, CTSS_REFERENCE_DEFINITION
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.lobes.config import LobeConfig
from CovidSeverityLib.segmentation.lobes.external_lobes import fit_to_lungs
from CovidSeverityLib.segmentation.lobes.lobe_segmentation import anatomical_lobes
from CovidSeverityLib.segmentation.lobes.published import published_regions
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.opacity.values import MarkedOpacities
from CovidSeverityLib.types import Geometry

from .config import MeasureConfig
from .published_score import SliceScoreConfig, published_score
from .quantification import Counts, LobeScore, lobe_scores
from .score_range import with_ranges
from .spill import spill_matters, spilled_lobes


@dataclass(frozen=True)
class Scores:
    """Scores of a CT.

    Parameters
    ----------
    lobes : tuple of LobeScore
        One for every lobe.
    definition : str
        How the CTSS is defined.
    ctss_range : (int, int) or None
        Lowest and highest CTSS within the uncertainty; None where it is not known.
    ctss_max_variant : int or None
        Sum of the regions' largest scores of a slice, as published; None where there is none.
    """

    lobes: tuple[LobeScore, ...]
    definition: str
    ctss_range: tuple[int, int] | None = None
    ctss_max_variant: int | None = None


class Scoring(Protocol):
    """Divides the lungs into the regions that are scored, and scores them."""

    own_regions: ClassVar[bool]
    """Whether it cuts regions of its own, so that lobes from elsewhere cannot be used."""

    def regions(
        self, volume: CtVolume, lungs: NDArray[np.uint8], lobes: LobeSegmentation | None, independent_slices: bool
    ) -> LobeSegmentation:
        """The regions that are scored.

        Parameters
        ----------
        volume : CtVolume
            Chest CT.
        lungs : (K, J, I) ndarray of uint8
            Labels of :class:`~CovidSeverityLib.types.Side`.
        lobes : LobeSegmentation or None
            Lobes from elsewhere.
        independent_slices : bool
            The slices do not belong together.
        """
        ...

    def score(
        self, counts: Counts, opacities: MarkedOpacities, regions: LobeSegmentation, geometry: Geometry
    ) -> Scores:
        """Score the regions.

        Parameters
        ----------
        counts : Counts
            Of lungs and opacities by slice and region.
        opacities : MarkedOpacities
            As they were counted.
        regions : LobeSegmentation
            Of :meth:`regions`.
        geometry : Geometry
            Of the CT.
        """
        ...


@dataclass(frozen=True)
class VolumeScoring:
    """Lobes, scored by the share of their volume.

    Parameters
    ----------
    lobes : LobeConfig
        How the lungs are divided.
    measures : MeasureConfig
        What counts.
    """

    lobes: LobeConfig = LobeConfig()
    measures: MeasureConfig = MeasureConfig()
    own_regions: ClassVar[bool] = False

    def regions(
        self, volume: CtVolume, lungs: NDArray[np.uint8], lobes: LobeSegmentation | None, independent_slices: bool
    ) -> LobeSegmentation:
        """As :meth:`Scoring.regions`."""
        if lobes is not None:
            return fit_to_lungs(lobes, lungs)
        if independent_slices:
            return LobeSegmentation(np.zeros_like(lungs), "none: slices alone do not show which lobe is where", False)
        return anatomical_lobes(volume, lungs, self.lobes)

    def score(
        self, counts: Counts, opacities: MarkedOpacities, regions: LobeSegmentation, geometry: Geometry
    ) -> Scores:
        """As :meth:`Scoring.score`."""
        least, spill = self.measures.least_percent, self.measures.spill_percent
        doubted = regions.approximate and spill_matters(counts, least, spill)
        spilled = spilled_lobes(opacities.mask, regions.labels) if doubted else ()
        scores = lobe_scores(counts, geometry.voxel_ml, None, regions.confidence, spilled, least, spill)
        if not opacities.others or not regions.labels.any():
            return Scores(scores, CTSS_DEFINITION)
        ranged = with_ranges(scores, (opacities.mask, *opacities.others), regions, geometry, self.measures)
        return Scores(ranged.lobes, CTSS_DEFINITION, ranged.ctss)


@dataclass(frozen=True)
class SliceScoring:
    """Rows of axial slices, scored slice by slice, as published."""

    config: SliceScoreConfig
    own_regions: ClassVar[bool] = True

    def regions(
        self,
        volume: CtVolume,
        lungs: NDArray[np.uint8],
        lobes: LobeSegmentation | None,
        independent_slices: bool,
    ) -> LobeSegmentation:
        """As :meth:`Scoring.regions`."""
        return published_regions(lungs)

    def score(
        self,
        counts: Counts,
        opacities: MarkedOpacities,
        regions: LobeSegmentation,
        geometry: Geometry,
    ) -> Scores:
        """As :meth:`Scoring.score`."""
        columns, rows, _ = geometry.size
        found = published_score(counts, rows * columns, self.config)
        scores = lobe_scores(counts, geometry.voxel_ml, found.mean, regions.confidence)
        return Scores(scores, CTSS_REFERENCE_DEFINITION, ctss_max_variant=sum(found.maximum.values()))
