"""Rows of a batch, as ``cases.csv`` has them, and names that break careless pages."""

from __future__ import annotations

import pytest

from CovidSeverityLib.batch.values import CaseFailure
from CovidSeverityLib.ctss import severity_for
from CovidSeverityLib.formats.batch_tables import CASES

NASTY = (
    "<script>document.title = 'taken'</script>",
    "\"quoted\" 'twice' & <b>bold</b>",
    "--help",
    "  two  spaces ",
    "Müller 患者 пациент 🫁",
    "name\nof two lines\tand a tab\x00\x1b[31m",
    "not UTF-8 \udcff",
    "right to left \u202e gpj.exe",
    "{{ 7 * 7 }} {% raw %} ${x} %s %20",
    "a#b?c=d%2Fe:f;g\\h",
    "x" * 250,
    "x" * 125 + " " + "y" * 124,
)
"""Ids of cases."""


@pytest.fixture(scope="session")
def nasty():
    """Ids that a page must only show."""
    return NASTY


@pytest.fixture(scope="session")
def make_row():
    """``make_row(case, ctss, **changes)``: a row of ``cases.csv``."""

    def row(case="P001", ctss=4, **changes):
        made = {
            "case": case,
            "folder": f"cases/{case}",
            "ctss": ctss,
            "ctss_low": None if ctss is None else max(0, ctss - 1),
            "ctss_high": None if ctss is None else ctss + 2,
            "severity": severity_for(ctss).label,
            "total_severity_score": ctss,
            "lung_ml": 4321.5,
            "opacity_percent": 12.345,
            "ground_glass_ml": 300.04,
            "consolidation_ml": 0.0,
            "well_aerated_percent": 70.5,
            "low_attenuation_percent": 1.25,
            **{f"{lobe}_score": 1 for lobe in ("rul", "rml", "rll", "lul", "lll")},
            "diagnosis": "",
            "p_covid19": None,
            "warnings": 0,
            "warning_codes": "",
            **changes,
        }
        unknown = made.keys() - set(CASES.header())
        assert not unknown, f"cases.csv has no columns {sorted(unknown)}"
        return made

    return row


@pytest.fixture(scope="session")
def failures():
    """Two cases that failed."""
    return [
        CaseFailure("broken 1", "input", "The file <ct.nii> is no CT."),
        CaseFailure("slow & large", "limit", "The analysis took longer than 600 s."),
    ]
