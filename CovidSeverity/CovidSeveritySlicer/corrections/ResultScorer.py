"""Scores of a result whose segmentation is edited."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.correction.edited_masks import EditedMasks
from CovidSeverityLib.correction.masks import MaskDifference
from CovidSeverityLib.correction.rescoring import Rescored, ScoringRules, rescore_tally
from CovidSeverityLib.reporting.corrected import (
    corrected_fields,
    corrected_low_attenuation,
    corrected_rows,
    same_numbers,
)
from CovidSeverityLib.reporting.tables import ML_DECIMALS, SLICE_COLUMNS, rounded
from CovidSeverityLib.types import Lobe
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.Tables import automaticSliceRows

from .Aeration import wellAeratedVoxels
from .AnalysisGrid import UnusableSegmentation, gridOf
from .Corrected import DIFFERENCE_ATTRIBUTE, Corrected, differenceFromText
from .LabelLayers import LabelLayers

ROW_TOLERANCE = 1e-6
"""Numbers of a slice that differ by less are equal. A saved table has them as text."""

_log = logging.getLogger(__name__)


class ResultScorer:
    """Scores the segmentation of a result.

    The first masks are the automatic ones if their numbers are those of the report. Earlier corrections, which the
    scene keeps, are taken into account. If the numbers differ, the segmentation was edited while it was not followed.
    Then the automatic masks are unknown, and only numbers can show that the segmentation is back to them.

    Parameters
    ----------
    result : AnalysisResult
        Result to score.

    Raises
    ------
    UnusableSegmentation
        The segmentation cannot be scored.
    """

    def __init__(self, result: AnalysisResult) -> None:
        self.result = result
        self.automaticRows = _wholeRows(automaticSliceRows(result))
        self._rules = ScoringRules.of_report(result.report, self.automaticRows)
        self._grid = gridOf(result)
        stored = _storedDifference(result.segmentationNode)
        self._automaticKnown = any(self._begin(difference) for difference in dict.fromkeys((stored, None)))

    def read(self) -> bool:
        """Read the segmentation and say whether anything changed.

        Raises
        ------
        UnusableSegmentation
            There are no label maps to read.
        """
        layers = LabelLayers(self.result.segmentationNode, self._grid)
        return self._masks.follow(layers.box, layers.plane)

    def difference(self) -> MaskDifference | None:
        """The difference from the automatic masks, for the scene to keep; None if these are unknown."""
        return self._masks.difference() if self._automaticKnown else None

    def corrected(self) -> Corrected | None:
        """The corrected numbers; None if the masks are the automatic ones.

        Raises
        ------
        UnusableSegmentation
            No lung is left.
        """
        if self._automaticKnown and not self._masks.changed:
            return None
        masks = self._masks.masks()
        lungsChanged = not self._automaticKnown or self._masks.lungs_changed
        aerated = self._wellAeratedVoxels(masks.codes) if lungsChanged else None
        unsure = masks.lobes if self._automaticKnown else tuple(Lobe)
        rescored = rescore_tally(masks.table, masks.codes, self._rules, aerated, unsure)
        if not rescored.lung_voxels:
            raise UnusableSegmentation(_("There is no lung left in the segmentation; it cannot be scored."))
        fields, rows = self._numbers(rescored)
        if not lungsChanged:
            fields["well_aerated_percent"] = self.result.report["well_aerated_percent"]
        if not self._automaticKnown and self._areAutomatic(fields, rows):
            return None
        outside, without = masks.opacity_outside_voxels, masks.lung_without_lobe_voxels
        volumes = (rounded(n * self._rules.voxel_ml, ML_DECIMALS) for n in (outside, without))
        low = corrected_low_attenuation(self.result.report, unsure, lungsChanged)
        return Corrected(fields, rows, *volumes, low)

    def _begin(self, difference: MaskDifference | None) -> bool:
        """Read the segmentation. Return whether its automatic masks have the automatic numbers."""
        layers = LabelLayers(self.result.segmentationNode, self._grid)
        self._masks = EditedMasks(self._grid.shape)
        self._masks.begin(layers.box, layers.plane)
        if difference is not None:
            try:
                self._masks.restore(difference)
            except ValueError as error:
                _log.warning("Earlier corrections are unknown: %s.", error)
                return False
        automatic = rescore_tally(self._masks.tally_automatic(), self._masks.automatic, self._rules)
        return self._areAutomatic(*self._numbers(automatic))

    def _wellAeratedVoxels(self, codes: NDArray[np.uint8]) -> int | None:
        return wellAeratedVoxels(self.result, self._grid, self._masks.box, codes, self._masks.automatic)

    def _numbers(self, rescored: Rescored) -> tuple[dict[str, Any], tuple[Mapping[str, Any], ...]]:
        return corrected_fields(rescored), corrected_rows(rescored, self.automaticRows)

    def _areAutomatic(self, fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
        return same_numbers(fields, self.result.report) and all(
            abs(row[column] - automatic[column]) <= ROW_TOLERANCE
            for row, automatic in zip(rows, self.automaticRows, strict=True)
            for column in SLICE_COLUMNS
        )


def _wholeRows(rows: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    """The rows, or none if the slice table has other content by now."""
    whole = all(isinstance(row.get(column), int | float) for row in rows for column in SLICE_COLUMNS)
    return rows if whole else ()


def _storedDifference(segmentationNode: Any) -> MaskDifference | None:
    text = segmentationNode.GetAttribute(DIFFERENCE_ATTRIBUTE)
    if not text:
        return None
    try:
        return differenceFromText(text)
    except ValueError as error:
        _log.warning("Earlier corrections are unknown: %s.", error)
        return None
