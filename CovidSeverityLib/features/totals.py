"""Totals of an analysis: derived from counts, never stored beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from CovidSeverityLib.types import Opacity, Side

from .quantification import LobeScore


def ctss_of(lobe_scores: Iterable[LobeScore]) -> int | None:
    """The sum of the lobes' scores; None where no lobe has a volume, so that none is known."""
    known = [s.score for s in lobe_scores if s.voxels]
    return sum(known) if known else None


class Totals:
    """What follows from counts, for any class that has them; ``well_aerated_voxels`` may be None: not known."""

    voxel_ml: float
    side_voxels: Mapping[Side, int]
    opacity_voxels: Mapping[Opacity, int]
    lobe_scores: tuple[LobeScore, ...]
    well_aerated_voxels: int | None

    @property
    def ctss(self) -> int | None:
        """CT severity score, 0-25: the sum over the lobes; None where no lobe is known."""
        return ctss_of(self.lobe_scores)

    @property
    def total_severity_score(self) -> int | None:
        """Total severity score (TSS), 0-20: the sum over the lobes of the 0-4 score; None where no lobe is known."""
        return None if self.ctss is None else sum(s.total_severity_score for s in self.lobe_scores)

    @property
    def lung_voxels(self) -> int:
        """Voxels of both lungs."""
        return sum(self.side_voxels.values())

    def side_ml(self, side: Side) -> float:
        """Volume of one lung, ml."""
        return self.side_voxels[side] * self.voxel_ml

    @property
    def lung_ml(self) -> float:
        """Volume of both lungs, ml."""
        return self.lung_voxels * self.voxel_ml

    def opacity_ml(self, opacity: Opacity) -> float:
        """Volume of one kind of opacity inside the lungs, ml."""
        return self.opacity_voxels[opacity] * self.voxel_ml

    @property
    def infection_percent(self) -> float:
        """Percentage of opacity (PO): opacities in per cent of both lungs."""
        return self._percent_of_lung(sum(self.opacity_voxels.values()))

    @property
    def high_opacity_percent(self) -> float:
        """Percentage of high opacity (PHO): consolidation in per cent of both lungs."""
        return self._percent_of_lung(self.opacity_voxels[Opacity.CONSOLIDATION])

    @property
    def well_aerated_percent(self) -> float | None:
        """Well-aerated part of both lungs (-950 to -700 HU), per cent; None where it is not known."""
        return None if self.well_aerated_voxels is None else self._percent_of_lung(self.well_aerated_voxels)

    def _percent_of_lung(self, voxels: int) -> float:
        """0 where there is no lung."""
        return 100.0 * voxels / self.lung_voxels if self.lung_voxels else 0.0
