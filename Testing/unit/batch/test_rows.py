"""A row of the table of cases says what the report says, and nothing that the report does not know."""

import pytest

from CovidSeverityLib import Lobe
from CovidSeverityLib.batch.rows import row_of
from CovidSeverityLib.formats.batch_tables import CASES
from CovidSeverityLib.reporting import build_report


@pytest.fixture(scope="module")
def report(factory):
    return build_report(factory.make_analysis())


def row(report):
    return row_of("P 1", "cases/P_1", report, "0" * 64)


def test_numbers_are_those_of_the_report(report):
    found = row(report)
    assert tuple(found) == CASES.header()
    assert (found["ctss"], found["lung_ml"]) == (report["ctss"]["total"], report["lungs"]["total_ml"])
    for lobe in Lobe:
        fields = report["ctss"]["lobes"][lobe.name]
        assert found[f"{lobe.name.lower()}_score"] == fields["score"]
        assert found[f"{lobe.name.lower()}_opacity_percent"] == fields["involvement_percent"]


def test_lobes_that_are_not_known_have_no_score_of_zero(report):
    unknown = report | {"ctss": report["ctss"] | {"total": None, "range": None}}
    found = row(unknown)
    assert [found[f"{lobe.name.lower()}_score"] for lobe in Lobe] == [None] * 5
    assert [found[f"{lobe.name.lower()}_opacity_percent"] for lobe in Lobe] == [None] * 5
    assert (found["ctss"], found["ctss_low"], found["ctss_high"]) == (None, None, None)


def test_second_lobes_have_their_score_and_the_least_agreement(report):
    assert [row(report)[name] for name in ("compared_ctss", "compared_lowest_dice")] == [None] * 2
    compared = {"method": "MOOSE", "dice": {"RUL": 0.9, "RML": 0.4, "RLL": 0.8}, "ctss": 7}
    found = row(report | {"lobes": report["lobes"] | {"compared": compared}})
    assert [found[name] for name in ("compared_ctss", "compared_lowest_dice")] == [7, 0.4]


def test_warnings_are_counted_and_their_codes_are_named_once(report):
    notes = [("a", "warning"), ("c", "warning"), ("a", "warning"), ("b", "info")]
    quality = [{"code": code, "severity": severity, "message": "."} for code, severity in notes]
    found = row(report | {"quality": quality})
    assert (found["warnings"], found["warning_codes"]) == (3, "a;c")
    assert row(report | {"quality": []})["warning_codes"] == ""


def test_diagnosis_has_its_probabilities(report):
    found = row(report)
    assert [found[name] for name in ("diagnosis", "p_normal", "p_cap", "p_covid19")] == [None] * 4
    shares = {"normal": 0.1, "CAP": 0.2, "COVID-19": 0.7}
    found = row(report | {"classification": {"label": "COVID-19", "probabilities": shares}})
    assert [found[name] for name in ("diagnosis", "p_normal", "p_cap", "p_covid19")] == ["COVID-19", 0.1, 0.2, 0.7]
