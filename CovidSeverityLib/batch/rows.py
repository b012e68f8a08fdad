"""The row of a case in ``cases.csv``, from its ``report.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.formats.batch_tables import CASES
from CovidSeverityLib.reporting.tables import PROBABILITY_COLUMNS
from CovidSeverityLib.types import Lobe, NoteSeverity

from .values import Row


def row_of(case: str, folder: str, report: Mapping[str, Any], input_sha256: str) -> Row:
    """The row of a case.

    Parameters
    ----------
    case : str
        Its name.
    folder : str
        Its folder below that of the batch.
    report : mapping
        The content of its ``report.json``.
    input_sha256 : str
        Checksum of its CT.

    Returns
    -------
    mapping of str to str, int, float or None
        By the columns of ``cases.csv``, in their order; None is an empty cell.
    """
    ctss, infection, provenance = report["ctss"], report["infection"], report["provenance"]
    low, high = ctss["range"] or (None, None)
    warnings = [note["code"] for note in report["quality"] if note["severity"] == NoteSeverity.WARNING.value]
    spacing = report["input"]["spacing_mm"]
    values = {
        "case": case,
        "folder": folder,
        "ctss": ctss["total"],
        "ctss_low": low,
        "ctss_high": high,
        "severity": report["severity"]["label"],
        "total_severity_score": report["total_severity_score"]["total"],
        "lung_ml": report["lungs"]["total_ml"],
        "opacity_percent": infection["percent_of_lung"],
        "ground_glass_ml": infection["ggo_ml"],
        "consolidation_ml": infection["consolidation_ml"],
        "well_aerated_percent": report["well_aerated_percent"],
        "low_attenuation_percent": report["low_attenuation"]["total"]["percent"],
        **_lobes(ctss, "score", "score"),
        **_lobes(ctss, "involvement_percent", "opacity_percent"),
        **_compared(report["lobes"].get("compared")),
        **_diagnosis(report["classification"]),
        "warnings": len(warnings),
        "warning_codes": ";".join(sorted(set(warnings))),
        "slices": report["input"]["slices"],
        "slice_spacing_mm": spacing[2],
        "pixel_spacing_mm": spacing[0],
        "profile": provenance["profile"],
        "version": provenance["version"],
        "input_sha256": input_sha256,
    }
    return {column: values[column] for column in CASES.header()}


def _lobes(ctss: Mapping[str, Any], field: str, column: str) -> dict[str, float | None]:
    """A number of each lobe. Without a score no lobe is known, and the report has zeros for them."""
    known = ctss["total"] is not None
    return {f"{lobe.name.lower()}_{column}": ctss["lobes"][lobe.name][field] if known else None for lobe in Lobe}


def _compared(found: Mapping[str, Any] | None) -> dict[str, float | None]:
    return {
        "compared_ctss": None if found is None else found["ctss"],
        "compared_lowest_dice": None if found is None else min(found["dice"].values()),
    }


def _diagnosis(found: Mapping[str, Any] | None) -> dict[str, Any]:
    shares = {} if found is None else found["probabilities"]
    return {
        "diagnosis": None if found is None else found["label"],
        **{column: shares.get(CLASS_NAMES[diagnosis]) for diagnosis, column in PROBABILITY_COLUMNS.items()},
    }
