"""Scores of a result whose segmentation is edited."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from slicer.i18n import tr as _

from CovidSeverityLib.correction.corrections_file import StoredCorrections
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
from CovidSeveritySlicer.scene.LargeText import textOf
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import DIFFERENCE_TEXT
from CovidSeveritySlicer.scene.Tables import automaticSliceRows

from .Aeration import storedValues, wellAeratedVoxels
from .AnalysisGrid import UnusableSegmentation, gridOf
from .Corrected import Corrected, differenceAsText, differenceFromText
from .LabelLayers import LabelLayers

ROW_TOLERANCE = 1e-6
"""Numbers of a slice that differ by less are equal. A saved table has them as text."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a score is counted in: segments, and voxels of the CT."""

    layers: LabelLayers
    stored: NDArray | None


@dataclass(frozen=True, eq=False)
class Score:
    """What was counted.

    Parameters
    ----------
    corrected : Corrected or None
        None if the masks are the automatic ones.
    automaticKnown : bool
        Whether the automatic masks are known.
    difference : str or None
        Where the masks differ from the automatic ones, as text; None if nowhere or if these are unknown.
    """

    corrected: Corrected | None
    automaticKnown: bool
    difference: str | None


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
        self._storedDifference = _storedDifference(result.segmentationNode)
        self._masks: EditedMasks | None = None
        self._automaticKnown = False

    def snapshot(self) -> Snapshot:
        """The segmentation as it is now, for :meth:`score`.

        Raises
        ------
        UnusableSegmentation
            There are no label maps to read.
        """
        layers = LabelLayers(self.result.segmentationNode, self._grid)
        return Snapshot(layers, storedValues(self.result, self._grid))

    def score(self, now: Snapshot) -> Score | None:
        """Score the segmentation; None if nothing has changed since the last time. Any thread may call this.

        Raises
        ------
        UnusableSegmentation
            No lung is left.
        """
        if self._masks is None:
            differences = dict.fromkeys((self._storedDifference, None))
            self._automaticKnown = any(self._begin(now.layers, difference) for difference in differences)
        elif not self._masks.follow(now.layers.box, now.layers.plane):
            return None
        corrected = self._corrected(now.stored)
        difference = self._masks.difference() if self._automaticKnown else None
        text = differenceAsText(difference) if difference is not None and difference.voxels.size else None
        return Score(corrected, self._automaticKnown, text)

    def corrections(self, now: Snapshot) -> StoredCorrections:
        """The masks of a snapshot, for the library. Only of a scorer that scores nothing else; any thread may call it.

        Raises
        ------
        UnusableSegmentation
            No lung is left.
        """
        self.score(now)
        masks = self._masks.masks()
        changed = masks.lobes if self._automaticKnown else frozenset(Lobe)
        return StoredCorrections(replace(masks, lobes=changed), self._masks.box, self._rules.shape)

    def _corrected(self, stored: NDArray | None) -> Corrected | None:
        """The corrected numbers; None if the masks are the automatic ones."""
        if self._automaticKnown and not self._masks.changed:
            return None
        masks = self._masks.masks()
        lungsChanged = not self._automaticKnown or self._masks.lungs_changed
        aerated = self._wellAeratedVoxels(stored, masks.codes) if lungsChanged else None
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

    def _begin(self, layers: LabelLayers, difference: MaskDifference | None) -> bool:
        """Begin with these segments. Return whether their automatic masks have the automatic numbers."""
        self._masks = EditedMasks(self._rules.shape)
        self._masks.begin(layers.box, layers.plane)
        if difference is not None:
            try:
                self._masks.restore(difference)
            except ValueError as error:
                _log.warning("Earlier corrections are unknown: %s.", error)
                return False
        automatic = rescore_tally(self._masks.tally_automatic(), self._masks.automatic, self._rules)
        return self._areAutomatic(*self._numbers(automatic))

    def _wellAeratedVoxels(self, stored: NDArray | None, codes: NDArray[np.uint8]) -> int | None:
        return wellAeratedVoxels(stored, self.result, self._grid, self._masks.box, codes, self._masks.automatic)

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
    text = textOf(segmentationNode, DIFFERENCE_TEXT)
    if not text:
        return None
    try:
        return differenceFromText(text)
    except ValueError as error:
        _log.warning("Earlier corrections are unknown: %s.", error)
        return None
