"""The measurement table: scores, volumes, shares of the lungs, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from .TableColumns import Column, addAutomatic, fill

VALUE_COLUMN = "value"


def fillMeasurementTable(tableNode: Any, report: Mapping[str, Any], automatic: Mapping[str, Any] | None = None) -> None:
    """Fill a table with a row for each number of the whole CT.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode Its content is replaced.
    report : Mapping
        Content of ``report.json``, or its fields after corrections.
    automatic : Mapping or None
        Content of ``report.json`` if ``report`` has corrected numbers. A number that is unknown after corrections is
        NaN, with the automatic one beside it.
    """
    both = (report, automatic) if automatic is not None else (report,)
    shown = [m for m in _measurements() if any(_number(r, m.path) is not None for r in both)]
    rows = [
        {
            "measurement": m.key,
            "name": m.name,
            VALUE_COLUMN: _number(report, m.path),
            "unit": m.unit,
            "note": _note(m.key, report, automatic),
        }
        for m in shown
    ]
    fill(tableNode, _measurementColumns(), rows)
    if automatic is not None:
        values = [{VALUE_COLUMN: _number(automatic, m.path)} for m in shown]
        addAutomatic(tableNode, _measurementColumns(), (VALUE_COLUMN,), values)


def _measurementColumns() -> list[Column]:
    return [
        Column("measurement", _("Key"), str),
        Column("name", _("Measurement"), str),
        Column(VALUE_COLUMN, _("Value")),
        Column("unit", _("Unit"), str),
        Column("note", _("Note"), str),
    ]


@dataclass(frozen=True)
class _Measurement:
    """A number of the report: key and name in the table, unit, and path in the report."""

    key: str
    name: str
    unit: str
    path: tuple[str | int, ...]


def _measurements() -> list[_Measurement]:
    probability = ("classification", "probabilities")
    return [
        _Measurement("ctss", _("CT severity score (CTSS, 0-25)"), "", ("ctss", "total")),
        _Measurement("ctss_low", _("CTSS, lowest within its uncertainty"), "", ("ctss", "range", 0)),
        _Measurement("ctss_high", _("CTSS, highest within its uncertainty"), "", ("ctss", "range", 1)),
        _Measurement("ctss_max_variant", _("CTSS by the maximum over slices"), "", ("ctss", "max_variant")),
        _Measurement("total_severity_score", _("Total severity score (0-20)"), "", ("total_severity_score", "total")),
        _Measurement("infection_percent", _("Opacity, share of the lungs"), "%", ("infection", "percent_of_lung")),
        _Measurement("high_opacity_percent", _("High opacity"), "%", ("infection", "high_opacity_percent")),
        _Measurement("ground_glass_ml", _("Ground glass"), "ml", ("infection", "ggo_ml")),
        _Measurement("consolidation_ml", _("Consolidation"), "ml", ("infection", "consolidation_ml")),
        _Measurement("well_aerated_percent", _("Well-aerated lung"), "%", ("well_aerated_percent",)),
        *_lowAttenuation(),
        _Measurement("right_lung_ml", _("Right lung"), "ml", ("lungs", "right_ml")),
        _Measurement("left_lung_ml", _("Left lung"), "ml", ("lungs", "left_ml")),
        _Measurement("lungs_ml", _("Both lungs"), "ml", ("lungs", "total_ml")),
        *_uncounted(),
        _Measurement("p_normal", _("Mean probability, normal"), "", (*probability, "normal")),
        _Measurement("p_cap", _("Mean probability, CAP"), "", (*probability, "CAP")),
        _Measurement("p_covid19", _("Mean probability, COVID-19"), "", (*probability, "COVID-19")),
    ]


def _lowAttenuation() -> list[_Measurement]:
    low = "low_attenuation"
    return [
        _Measurement(f"{low}_percent", _("Low attenuation, corrected for noise"), "%", (low, "total", "percent")),
        _Measurement(f"{low}_percent_right", _("Low attenuation, right lung"), "%", (low, "right", "percent")),
        _Measurement(f"{low}_percent_left", _("Low attenuation, left lung"), "%", (low, "left", "percent")),
        _Measurement(
            f"{low}_measured_percent", _("Low attenuation as measured"), "%", (low, "total", "measured_percent")
        ),
        _Measurement(f"{low}_noise_percent", _("Low attenuation by noise"), "%", (low, "total", "noise_percent")),
        _Measurement("noise_sd_hu", _("Noise in the large airways"), "HU", (low, "noise_sd_hu")),
        _Measurement(
            "density_percentile_hu", _("Percentile of lung density"), "HU", (low, "total", "density_percentile_hu")
        ),
    ]


def _uncounted() -> list[_Measurement]:
    names = {
        "borders_ml": _("Dense, not counted: borders of the lung"),
        "vessels_ml": _("Dense, not counted: vessels"),
        "dependent_ml": _("Dense, not counted: dependent"),
        "small_ml": _("Dense, not counted: small"),
        "dependent_opacity_ml": _("Opacity right under the dependent pleura"),
    }
    return [_Measurement(f"uncounted_{key}", name, "ml", ("uncounted_density", key)) for key, name in names.items()]


def _number(report: Mapping[str, Any], path: tuple[str | int, ...]) -> float | None:
    value: Any = report
    for step in path:
        if value is None or (isinstance(step, str) and step not in value):
            return None
        value = value[step]
    return value


def _note(key: str, report: Mapping[str, Any], automatic: Mapping[str, Any] | None) -> str:
    """Severity of the score, threshold of low attenuation, and the diagnosis beside its probability."""
    low = report.get("low_attenuation")
    if key == "low_attenuation_percent" and low is not None:
        return _("under {threshold} HU").format(threshold=low["threshold_hu"])
    if key == "density_percentile_hu" and low is not None:
        return _("percentile {number:g}").format(number=low["percentile"])
    if key == "ctss":
        return report["severity"]["label"]
    found = (automatic or report).get("classification")
    if found is None or key not in ("p_normal", "p_cap", "p_covid19"):
        return ""
    label = {"normal": "p_normal", "CAP": "p_cap", "COVID-19": "p_covid19"}[found["label"]]
    return _("diagnosis by vote") if key == label else ""
