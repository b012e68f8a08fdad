"""Results of ``evaluate segmentation`` in addition to the agreement of the masks: lungs, and the kinds of opacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from CovidSeverityLib.evaluation.estimates import Estimate, ratio_estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.types import Opacity

KINDS = frozenset(int(opacity) for opacity in Opacity)
"""Labels of masks that distinguish ground glass and consolidation (MedSeg); effusion may follow."""


@dataclass(frozen=True)
class CaseDetails:
    """Figures of one case, over the compared slices; unknown values are NaN.

    Parameters
    ----------
    lungs_dice : float
        Dice of own and given lungs.
    inside_percent : float
        Part of the true opacity inside own lungs, per cent.
    marked_percent, true_percent : float
        Marked and true opacity, per cent of the lungs in which it was marked.
    recall : mapping of int to float
        Marked part of the true voxels, by label of the mask.
    consolidation_dice : float
        Dice of marked voxels with the density of consolidation and the mask's label of it.
    """

    lungs_dice: float
    inside_percent: float
    marked_percent: float
    true_percent: float
    recall: Mapping[int, float]
    consolidation_dice: float


def case_details(record: Record, lungs: str) -> CaseDetails:
    """Read a record of :func:`~.segmentation.evaluate_segmentation`.

    Parameters
    ----------
    record : Record
        Record of a case.
    lungs : str
        Lungs in which opacities were marked.
    """
    run = record["runs"][lungs]
    pooled = MaskAgreement.pooled(MaskAgreement(*row[2:]) for row in run["slices"])
    solid = MaskAgreement(*run["consolidation"])
    inside, infected = record.get("lesions_in_own_lungs", (0, 0))
    return CaseDetails(
        lungs_dice=MaskAgreement(*record["lungs"]).dice if "lungs" in record else nan,
        inside_percent=100.0 * inside / infected if infected else nan,
        marked_percent=_percent(pooled.marked, run["lung_voxels"]),
        true_percent=_percent(pooled.infected, run["lung_voxels"]),
        recall={int(label): found / true for label, (found, true) in run["labels"].items()},
        consolidation_dice=solid.dice if solid.infected else nan,
    )


def recalls(records: Sequence[Record], lungs: str) -> Mapping[int, Estimate]:
    """Marked part of the true volume by label, over all cases together."""
    found = {int(label) for record in records for label in record["runs"][lungs]["labels"]}
    return {label: _recall(records, lungs, str(label)) for label in sorted(found)}


def consolidation_dice(records: Sequence[Record], lungs: str) -> Estimate | None:
    """Dice of consolidation over all cases together; None if the masks do not distinguish it from ground glass."""
    runs = [record["runs"][lungs] for record in records]
    known = {int(label) for run in runs for label in run["labels"]}
    if not KINDS.issubset(known):
        return None
    pairs = [
        (MaskAgreement(*run["consolidation"]), record["voxel_ml"]) for run, record in zip(runs, records, strict=True)
    ]
    common = [2 * agreement.true_positive * ml for agreement, ml in pairs]
    return ratio_estimate(common, [(agreement.marked + agreement.infected) * ml for agreement, ml in pairs])


def label_name(label: int, labels: Sequence[int]) -> str:
    """Name of a label of the masks: ground glass and consolidation have names if the masks distinguish them."""
    return (
        Opacity(label).name.lower().replace("_", " ") if label in KINDS and KINDS.issubset(labels) else f"label {label}"
    )


def _recall(records: Sequence[Record], lungs: str, label: str) -> Estimate:
    pairs = [[n * record["voxel_ml"] for n in record["runs"][lungs]["labels"].get(label, (0, 0))] for record in records]
    return ratio_estimate(*zip(*pairs, strict=True))


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else nan
