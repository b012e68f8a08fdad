"""What a person's corrections found: the numbers of an analysis, made from corrected masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from CovidSeverityLib.correction.corrections_file import StoredCorrections
from CovidSeverityLib.correction.parts import lobes_of, opacities_of, sides_of
from CovidSeverityLib.correction.rescoring import ScoringRules, rescore_tally
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.air_noise import AirNoiseConfig
from CovidSeverityLib.features.config import MeasureConfig, NoteConfig
from CovidSeverityLib.features.low_attenuation import LowAttenuationConfig, low_attenuation
from CovidSeverityLib.features.quality import low_attenuation_notes, resolution_notes
from CovidSeverityLib.features.quantification import densitometry
from CovidSeverityLib.findings import Findings, Provenance
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig
from CovidSeverityLib.types import NoteSeverity, QualityNote, StorageOrder
from CovidSeverityLib.version import __version__

BY_HAND = "corrected by hand"

LEAST_TOLD_ML = 0.05
"""Volume that is told: less is 0.0 ml in print."""

DIAGNOSIS_ELSEWHERE = "The diagnosis is in the report of the analysis."

T = TypeVar("T")


@dataclass(frozen=True)
class AutomaticScore:
    """What the analysis had found before the corrections.

    Parameters
    ----------
    ctss : int or None
        CT severity score, 0-25; None where there was none.
    severity : str
        The word for it.
    infection_percent : float
        Share of both lungs with opacity.
    """

    ctss: int | None
    severity: str
    infection_percent: float


@dataclass(frozen=True, eq=False, repr=False)
class CorrectedFindings(Findings):
    """Findings of corrected masks. Pages say that a person corrected them, and what ``automatic`` was."""

    automatic: AutomaticScore = AutomaticScore(None, "", 0.0)


def corrected_findings(
    volume: CtVolume, corrections: StoredCorrections, report: Mapping[str, Any]
) -> CorrectedFindings:
    """Measure corrected masks by the rules of their analysis.

    Scores, volumes and shares are those of :func:`~CovidSeverityLib.correction.rescoring.rescore_tally`. The score has
    no range, and notes on the automatic outlines are left out.

    Parameters
    ----------
    volume : CtVolume
        The CT that was analysed.
    corrections : StoredCorrections
        Corrected masks on its grid.
    report : mapping of str to any
        Content of ``report.json`` of the analysis.

    Raises
    ------
    InputError
        The masks or the report are of another CT, or no lung is left.
    """
    _check_ct(volume, corrections, report)
    codes = corrections.codes()
    lungs, lobes = sides_of(codes), lobes_of(codes)
    if not lungs.any():
        raise InputError("no lung is left in the corrected masks")
    infection = opacities_of(codes) * (lungs > 0)
    configuration = report["provenance"]["configuration"]
    measures = _made(MeasureConfig, configuration.get("measures"))
    notes = _made(NoteConfig, configuration.get("notes"))
    density = densitometry(
        volume.hu, lungs, _made(MixtureConfig, configuration.get("mixture")), measures.well_aerated_hu
    )
    low = low_attenuation(volume, lungs, lobes, _low_attenuation_config(configuration.get("low_attenuation") or {}))
    z_mm = volume.geometry.slice_z_mm()
    rows = [{"index": k, "z_mm": float(z_mm[k])} for k, acquired in enumerate(volume.acquired) if acquired]
    masks = corrections.masks
    rules = ScoringRules.of_report(report, rows)
    found = rescore_tally(masks.table, masks.codes, rules, density.well_aerated_voxels, masks.lobes)
    return CorrectedFindings(
        volume=volume,
        lungs=lungs,
        lobes=lobes,
        infection=infection,
        side_voxels=found.side_voxels,
        opacity_voxels=found.opacity_voxels,
        lobe_scores=found.lobe_scores,
        slices=found.slices,
        severity=found.severity,
        ctss_definition=found.ctss_definition,
        densitometry=density,
        low_attenuation=low,
        provenance=_provenance(report),
        quality=(
            *volume.notes,
            *resolution_notes(volume.geometry, notes),
            *low_attenuation_notes(low, volume.kernel, notes),
            *_left_out(corrections, volume.geometry.voxel_ml),
        ),
        ctss_max_variant=found.ctss_max_variant,
        classification_reason=DIAGNOSIS_ELSEWHERE if report["classification"] else report["classification_reason"],
        automatic=AutomaticScore(
            report["ctss"]["total"], report["severity"]["label"], report["infection"]["percent_of_lung"]
        ),
    )


def _check_ct(volume: CtVolume, corrections: StoredCorrections, report: Mapping[str, Any]) -> None:
    shape, size = volume.hu.shape, tuple(reversed(report["input"]["size"]))
    if corrections.shape != shape:
        raise InputError(f"the corrected masks are of a CT of {corrections.shape} voxels (K, J, I), not {shape}")
    storage = report["input"]["storage"]
    if size != shape or StorageOrder(tuple(storage["axes"]), tuple(storage["flipped"])) != volume.storage:
        raise InputError("the report is of another CT, or of this one in another orientation")


def _provenance(report: Mapping[str, Any]) -> Provenance:
    made = report["provenance"]
    return Provenance(
        version=__version__,
        profile=made["profile"],
        configuration=made["configuration"],
        seconds={},
        lungs_from=f"{made['lungs_from']}, {BY_HAND}",
        lobes_from=f"{report['lobes']['method']}, {BY_HAND}",
        lobes_approximate=report["lobes"]["approximate"],
    )


def _left_out(corrections: StoredCorrections, voxel_ml: float) -> Iterator[QualityNote]:
    """Notes on what no number counts."""
    for code, voxels, text in (
        ("corrected_outside_lungs", corrections.masks.opacity_outside_voxels, "opacity are outside the lungs"),
        ("corrected_without_lobe", corrections.masks.lung_without_lobe_voxels, "lung are in no lobe"),
    ):
        if voxels * voxel_ml >= LEAST_TOLD_ML:
            counted = "They are not counted." if "outside" in code else "No lobe score counts them."
            message = f"{voxels * voxel_ml:.1f} ml of {text} after the corrections. {counted}"
            yield QualityNote(code, NoteSeverity.WARNING, message)


def _low_attenuation_config(values: Mapping[str, Any]) -> LowAttenuationConfig:
    return _made(LowAttenuationConfig, {**values, "noise": _made(AirNoiseConfig, values.get("noise"))})


def _made(kind: type[T], values: Mapping[str, Any] | None) -> T:
    """A configuration as a report has it. What the report of another version lacks or has besides is as it is now."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in (values or {}).items() if name in known})
