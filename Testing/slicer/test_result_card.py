"""What the panel shows of a result."""

from __future__ import annotations

import copy
import re

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.panel.ResultCard import cardHtml, detailsHtml
from CovidSeveritySlicer.panel.Stages import CLASSIFIER_STAGES, STAGE_SECONDS, overallPercent, stageTitle

from CovidSeverityLib.commands.classifiers import LEFT_OUT, NONE_INSTALLED

LOBES = ("RUL", "RML", "RLL", "LUL", "LLL")


def a_report(**changes):
    lobe = {"score": 1, "involvement_percent": 3.21, "volume_ml": 900.0, "infection_ml": 28.9, "score_range": [1, 2]}
    report = {
        "ctss": {"total": 5, "range": [5, 8], "lobes": {name: dict(lobe) for name in LOBES}},
        "severity": {"label": "mild"},
        "lungs": {"total_ml": 4500.0},
        "infection": {"percent_of_lung": 3.2, "ggo_ml": 100.0, "consolidation_ml": 44.5},
        "classification": None,
        "classification_reason": NONE_INSTALLED,
        "quality": [],
    }
    return report | changes


def corrected_report(total, severity, **lobes):
    report = {key: a_report()[key] for key in ("ctss", "severity", "lungs", "infection")}
    report["ctss"] |= {"total": total, "range": None}
    report["severity"] = {"label": severity}
    for name, (score, percent) in lobes.items():
        report["ctss"]["lobes"][name] |= {"score": score, "involvement_percent": percent, "score_range": None}
    return report


def plain(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).replace("&nbsp;", " ").split())


def filled_cells(html, lobe):
    row = html.split(f"<b>{lobe}&nbsp;")[1].split("</table>")[0]
    return sum(colour != "#B4B4B4" for colour in re.findall(r'bgcolor="([^"]+)"', row))


def test_headline_tells_score_range_and_severity():
    assert "CTSS 5 (5-8) of 25, mild" in plain(cardHtml(a_report())).replace(" ,", ",")


def test_slices_without_lobes_have_no_score():
    report = a_report()
    report["ctss"] = report["ctss"] | {"total": None, "range": None}
    text = plain(cardHtml(report))
    assert "No CTSS" in text
    assert "None" not in text
    assert "of 25" not in text


def test_range_of_one_value_is_not_shown():
    report = a_report()
    report["ctss"]["range"] = [5, 5]
    assert "CTSS 5 of 25" in plain(cardHtml(report))


def test_every_lobe_has_a_bar_of_its_score():
    report = a_report()
    for score, name in enumerate(LOBES):
        report["ctss"]["lobes"][name]["score"] = score
    html = cardHtml(report)
    assert [filled_cells(html, name) for name in LOBES] == [0, 1, 2, 3, 4]


def test_lobe_tells_score_with_range_and_share_and_its_volumes_are_details():
    assert "RUL 1 (1-2) 3.2 %" in plain(cardHtml(a_report()))
    assert "right upper lobe 28.9 of 900 ml" in plain(detailsHtml(a_report()))


def test_right_lobes_stand_on_the_left_as_in_a_picture_of_the_chest():
    text = plain(cardHtml(a_report()))
    found = sorted((*LOBES, "Right lung", "Left lung"), key=text.index)
    assert found == ["Right lung", "Left lung", "RUL", "LUL", "RML", "RLL", "LLL"]


def test_card_says_what_to_do_next():
    assert "Next: check the outlines with Correct, then Save report." in plain(cardHtml(a_report()))
    assert "Next: Save report" in plain(cardHtml(a_report(), corrected_report(9, "moderate")))


def test_absent_lobe_is_called_absent():
    report = a_report()
    report["ctss"]["lobes"]["RML"] |= {"volume_ml": 0.0, "score": 0, "involvement_percent": 0.0}
    assert "RML absent" in plain(cardHtml(report))


def test_edited_result_shows_the_automatic_values_beside():
    text = plain(cardHtml(a_report(), corrected_report(9, "moderate", RUL=(5, 80.0))))
    assert "CTSS 9 of 25" in text
    assert "edited; automatic: 5 (5-8), mild, 3.2 %" in text
    assert "RUL 5 80.0 % automatic 1, 3.2 %" in text
    assert text.count("automatic 1") == 1


def test_automatic_result_is_not_called_edited():
    assert "edited" not in plain(cardHtml(a_report()))


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (NONE_INSTALLED, "Choose a file of weights under Advanced"),
        (LEFT_OUT, "No classifier was chosen under Advanced"),
        ("The installed model b5 cannot be used: it has changed.", "b5 cannot be used: it has changed"),
    ],
)
def test_open_diagnosis_says_why_in_words_of_the_panel(reason, shown):
    text = plain(cardHtml(a_report(classification_reason=reason)))
    assert "No diagnosis." in text
    assert shown in text
    assert "--" not in text


def test_diagnosis_names_classifier_and_probabilities():
    found = {
        "name": "COVID-19",
        "probabilities": {"normal": 0.1, "CAP": 0.2, "COVID-19": 0.7},
        "classifier": {"name": "published-b5"},
    }
    text = plain(cardHtml(a_report(classification=found)))
    assert "Diagnosis: COVID-19 by published-b5" in text
    assert "not calibrated: normal 0.10, CAP 0.20, COVID-19 0.70" in text


def test_warnings_stand_above_the_lobes_notes_are_details_and_nothing_is_taken_for_markup():
    notes = [
        {"severity": "info", "message": "lobes are <approximate>"},
        {"severity": "warning", "message": "slices of 5 mm <thick> & few"},
    ]
    html, details = (make(a_report(quality=notes)) for make in (cardHtml, detailsHtml))
    assert "&lt;thick&gt; &amp; few" in html
    assert plain(html).index("Warning:") < plain(html).index("RUL")
    assert "lobes are &lt;approximate&gt;" in details
    assert "approximate" not in html
    assert "thick" not in details


SEVERITY_UNSURE = {"severity": "warning", "message": "Severity may be mild or moderate"}
APPROXIMATE = {"severity": "info", "message": "Lobes are approximate"}


def test_after_a_correction_its_own_warnings_come_first_and_others_are_those_of_the_automatic_result():
    report = a_report(quality=[SEVERITY_UNSURE, APPROXIMATE])
    text = plain(cardHtml(report, corrected_report(5, "mild"), ["3 ml lie outside"]))
    own, other = "Warning: 3 ml lie outside", "Warning of the automatic result: Severity may be mild or moderate"
    assert text.index(own) < text.index(other)
    assert "Warning: Severity" not in text
    assert "Notes of the automatic result: Lobes are approximate" in plain(
        detailsHtml(report, corrected_report(5, "mild"))
    )


def test_notes_of_an_uncorrected_result_are_its_own():
    report = a_report(quality=[SEVERITY_UNSURE, APPROXIMATE])
    text = plain(cardHtml(report, None, ["the edit cannot be scored"]) + detailsHtml(report))
    assert "Warning: the edit cannot be scored Warning: Severity may be mild or moderate" in text
    assert "automatic result" not in text


def test_corrections_of_a_result_without_notes_have_no_title_for_notes():
    text = plain(detailsHtml(a_report(quality=[SEVERITY_UNSURE]), corrected_report(5, "mild")))
    assert "automatic result" not in text


def test_card_does_not_change_what_it_shows():
    report = a_report()
    before = copy.deepcopy(report)
    cardHtml(report, corrected_report(9, "moderate"))
    assert report == before


@pytest.mark.parametrize("with_classifier", [False, True])
def test_progress_of_the_whole_only_grows(with_classifier):
    expected = [stage for stage in STAGE_SECONDS if with_classifier or stage not in CLASSIFIER_STAGES]
    seen = [overallPercent(stage, done, 4, with_classifier) for stage in expected for done in range(5)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 100)


def test_progress_is_unknown_for_a_stage_that_is_not_expected():
    assert overallPercent("classification", 1, 2, False) is None
    assert overallPercent("tea", 1, 2, True) is None


def test_progress_of_nothing_stays_at_the_beginning_of_its_stage():
    assert overallPercent("read", 0, 0, False) == 0


def test_every_stage_has_a_title():
    assert all(stageTitle(stage) != stage for stage in STAGE_SECONDS)
    assert stageTitle("tea") == "tea"
