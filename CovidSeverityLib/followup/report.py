"""``comparison.json`` and ``lobe_changes.csv``: every number of a comparison, for programs."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, TextIO

from CovidSeverityLib.checked import known
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.plain import plain
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE, SECONDS_DECIMALS, SPACING_DECIMALS, note_fields
from CovidSeverityLib.reporting.tables import ML_DECIMALS, PERCENT_DECIMALS, Row, rounded, write_rows
from CovidSeverityLib.types import Opacity

from .change import CHANGE_NAMES, OpacityChange
from .compared import Compared
from .examination import Examination
from .lobe_changes import Change, LobeChange
from .registration_quality import RegistrationQuality

COMPARISON_SCHEMA_VERSION = 1
"""Version of ``comparison.schema.json``."""

QUALITY_DECIMALS = 3

QUANTITIES = {"volume_ml": "ml", "opacity_ml": "ml", "opacity_percent": "percent", "ctss": "points"}
"""Fields of :class:`LobeChange` that are changes, with their units."""

METHODS = {
    True: "affine and B-spline, by the surface and the structure of the lungs (both CTs)",
    False: "affine and B-spline, by the surface of the lungs (masks)",
}

CHANGE_DEFINITION = (
    "change = after - before; change_low and change_high: the change with the repeatability of the method and the "
    "uncertainty of both values (independent ones in quadrature, scores at their worst); more_than_repeatability: no "
    "change at all lies outside them"
)
SEGMENT_DEFINITION = (
    "The earlier opacity is carried to the later CT. New: later opacity without earlier one; resolved: earlier opacity "
    "without later one; persistent: the rest of the later opacity. A difference that is nowhere thicker than "
    "border_mm, or smaller than smallest_ml, is no change; with both CTs, neither is one whose density changed by less "
    "than density_hu, the breath taken off"
)


def build_comparison(comparison: Compared) -> dict[str, Any]:
    """The content of ``comparison.json``: plain dictionaries, lists, texts and finite numbers, in a fixed order."""
    changes = {part.code: _part(part) for part in comparison.changes}
    return {
        "schema_version": COMPARISON_SCHEMA_VERSION,
        "research_use": RESEARCH_USE,
        "before": _examination(comparison.before),
        "after": _examination(comparison.after),
        "days_between": comparison.days,
        "registration": _registration(comparison),
        "definitions": {"change": CHANGE_DEFINITION, "segments": SEGMENT_DEFINITION},
        "lungs": changes.pop(comparison.lungs.code),
        "lobes": changes,
        "segments": {CHANGE_NAMES[kind]: _segment(comparison, kind) for kind in OpacityChange},
        "quality": [note_fields(note) for note in comparison.quality],
        "provenance": {
            "version": comparison.version,
            "seconds": {stage: rounded(s, SECONDS_DECIMALS) for stage, s in comparison.seconds.items()},
            "configuration": plain(comparison.configuration),
        },
    }


def write_comparison(comparison: Compared, file: TextIO) -> None:
    """Write ``comparison.json``."""
    json.dump(build_comparison(comparison), file, indent=2, ensure_ascii=False, allow_nan=False)
    file.write("\n")


def comparison_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``comparison.json``."""
    text = resources.files(known(__package__)).joinpath("comparison.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def write_lobe_changes(comparison: Compared, file: TextIO) -> None:
    """Write ``lobe_changes.csv``: a row for each lobe, and one for both lungs."""
    write_rows(file, LOBE_CHANGE_COLUMNS, map(lobe_change_row, comparison.changes))


def _columns_of(quantity: str) -> tuple[str, ...]:
    name, unit = quantity.rpartition("_")[::2] if quantity != "ctss" else ("ctss", "")
    end = f"_{unit}" if unit else ""
    ends = ("before", "after", "change", "change_low", "change_high")
    ranges = ("before_low", "before_high", "after_low", "after_high") if quantity == "ctss" else ()
    whole = (*ends[:2], *ranges, *ends[2:])
    return (*(f"{name}_{part}{end}" for part in whole), f"{quantity}_more_than_repeatability")


LOBE_CHANGE_COLUMNS = (
    "lobe",
    "name",
    *(column for quantity in QUANTITIES for column in _columns_of(quantity)),
    "new_ml",
    "resolved_ml",
    "persistent_ml",
)
"""Columns of ``lobe_changes.csv``."""


def lobe_change_row(part: LobeChange) -> Row:
    """The change of one lobe, or of both lungs, by column of ``lobe_changes.csv``."""
    row: Row = {"lobe": part.code, "name": part.name}
    for quantity in QUANTITIES:
        values = _change(getattr(part, quantity), quantity)
        if quantity == "ctss":
            (before_low, before_high), (after_low, after_high) = (ends or (None, None) for ends in part.ctss_ranges)
            values |= {"before_low": before_low, "before_high": before_high}
            values |= {"after_low": after_low, "after_high": after_high}
        more = values.pop("more_than_repeatability")
        *columns, last = _columns_of(quantity)
        names = ("before", "after", *(("before_low", "before_high", "after_low", "after_high") * (quantity == "ctss")))
        keys = (*names, "change", "change_low", "change_high")
        row |= dict(zip(columns, (values[key] for key in keys), strict=True))
        row[last] = None if more is None else ("yes" if more else "no")
    return row | _segment_ml(part)


def _part(part: LobeChange) -> dict[str, Any]:
    fields: dict[str, Any] = {quantity: _change(getattr(part, quantity), quantity) for quantity in QUANTITIES}
    for which, ends in zip(("before_range", "after_range"), part.ctss_ranges, strict=True):
        fields["ctss"][which] = None if ends is None else list(ends)
    return fields | _segment_ml(part)


def _change(change: Change, quantity: str) -> dict[str, Any]:
    values = {
        "before": change.before,
        "after": change.after,
        "change": change.change,
        "change_low": change.low,
        "change_high": change.high,
    }
    shown = {name: _rounded(value, quantity) for name, value in values.items()}
    return shown | {"more_than_repeatability": change.more_than_repeatability}


def _rounded(value: float | None, quantity: str) -> float | int | None:
    if value is None or quantity == "ctss":
        return value if value is None else int(value)
    return rounded(value, PERCENT_DECIMALS if quantity.endswith("percent") else ML_DECIMALS)


def _segment_ml(part: LobeChange) -> dict[str, float]:
    values = {"new_ml": part.new_ml, "resolved_ml": part.resolved_ml, "persistent_ml": part.persistent_ml}
    return {name: rounded(ml, ML_DECIMALS) for name, ml in values.items()}


def _segment(comparison: Compared, kind: OpacityChange) -> dict[str, Any]:
    ml = getattr(comparison.lungs, f"{kind.name.lower()}_ml")
    share = 100.0 * ml / comparison.after.lung_ml
    return {"label": int(kind), "ml": rounded(ml, ML_DECIMALS), "percent_of_lung": rounded(share, PERCENT_DECIMALS)}


def _examination(examination: Examination) -> dict[str, Any]:
    return {
        "name": examination.name,
        "size": list(examination.geometry.size),
        "spacing_mm": [rounded(mm, SPACING_DECIMALS) for mm in examination.geometry.spacing_mm],
        "ct_at_hand": examination.hu is not None,
        "version": examination.version,
        "profile": examination.profile,
        "ctss": examination.ctss,
        "ctss_maximum": CTSS_MAX,
        "ctss_range": None if examination.ctss_range is None else list(examination.ctss_range),
        "severity": examination.severity,
        "ground_glass_ml": rounded(examination.opacity_ml(Opacity.GROUND_GLASS), ML_DECIMALS),
        "consolidation_ml": rounded(examination.opacity_ml(Opacity.CONSOLIDATION), ML_DECIMALS),
        "quality": [note_fields(note) for note in examination.quality],
    }


def _registration(comparison: Compared) -> dict[str, Any]:
    registration, margins = comparison.registration, comparison.margins
    return {
        "method": METHODS[registration.by_structure],
        "by_structure": registration.by_structure,
        **_quality(comparison.registration_quality),
        "affine": {
            "matrix": [[rounded(value, 6) for value in row] for row in registration.matrix.tolist()],
            "offset_mm": [rounded(value, 3) for value in registration.offset_mm.tolist()],
        },
        "error_mm": margins.error_mm,
        "border_mm": rounded(margins.border_mm, QUALITY_DECIMALS),
        "smallest_ml": margins.smallest_ml,
        "density_hu": margins.density_hu if registration.by_structure else None,
    }


def _quality(quality: RegistrationQuality) -> dict[str, float | None]:
    return {
        "dice": rounded(quality.dice, QUALITY_DECIMALS),
        "surface_distance_mm": rounded(quality.surface_mm, QUALITY_DECIMALS),
        "surface_distance_95_mm": rounded(quality.surface_95_mm, QUALITY_DECIMALS),
        "folded_percent": rounded(quality.folded_percent, QUALITY_DECIMALS),
        "volume_ratio": rounded(quality.volume_ratio, QUALITY_DECIMALS),
        "structure_correlation": None
        if quality.correlation is None
        else rounded(quality.correlation, QUALITY_DECIMALS),
    }
