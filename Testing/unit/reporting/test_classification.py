"""The diagnosis in the report, in the summary and on its page."""

from __future__ import annotations

import dataclasses
import io
import json

import jsonschema
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from CovidSeverityLib.analysis import ClassifiedCt
from CovidSeverityLib.reporting import (
    build_classification,
    build_report,
    classification_text,
    overview,
    report_schema,
    summary_text,
)
from CovidSeverityLib.reporting import overview_views as views
from CovidSeverityLib.reporting.classification_page import draw_classification_page, write_classification_page
from CovidSeverityLib.reporting.classification_panels import MOST_OPAQUE, attention_colours
from CovidSeverityLib.reporting.classification_report import rounded_shares, write_classification_report
from CovidSeverityLib.reporting.page import PAGE_INCHES
from CovidSeverityLib.types import DIAGNOSIS_NAMES, Diagnosis, NoteSeverity, QualityNote, Side

HARDLY = 1e-6
"""Attention that is not to be seen and yet not none."""

CORNERS = [(0, 0), (0, -1), (-1, 0), (-1, -1)]


def drawn(found) -> Figure:
    figure = Figure(figsize=PAGE_INCHES, dpi=60)
    FigureCanvasAgg(figure)
    draw_classification_page(figure, found)
    return figure


def picture(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def texts_of(figure) -> str:
    of_axes = [text.get_text() for axes in figure.axes for text in axes.texts]
    return "\n".join([text.get_text() for text in figure.texts] + of_axes)


# Report


def test_report_of_a_diagnosis_follows_its_schema_and_every_field_is_described(factory):
    report, schema = build_report(factory.make_diagnosed()), report_schema()
    jsonschema.validate(report, schema)
    closed = json.loads(json.dumps(schema))
    fields = closed["properties"]["classification"]["properties"]
    parts = [closed["properties"]["classification"], fields["vote"], fields["classifier"]]
    parts += [fields["deciding_slices"]["items"], closed["properties"]["provenance"]]
    for part in parts:
        part["additionalProperties"] = False
    jsonschema.validate(report, closed)
    assert report["classification_reason"] == ""
    report["classification"]["label"] = "flu"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, schema)


def test_report_says_what_the_diagnosis_holds(factory):
    analysis = factory.make_diagnosed()
    diagnosis, told = analysis.classification, build_report(analysis)["classification"]
    names = {"normal": Diagnosis.NORMAL, "CAP": Diagnosis.CAP, "COVID-19": Diagnosis.COVID19}
    assert names[told["label"]] == diagnosis.label
    assert told["name"] == DIAGNOSIS_NAMES[diagnosis.label]
    for name, which in names.items():
        assert told["probabilities"][name] == pytest.approx(diagnosis.mean_probabilities[which], abs=1e-4)
        assert told["vote"]["weights"][name] == pytest.approx(diagnosis.vote.weights[which])
    assert told["vote"]["slices"] == len(diagnosis.slices)
    assert told["vote"]["total"] == pytest.approx(sum(diagnosis.vote.weights))
    assert [part["index"] for part in told["deciding_slices"]] == [seen.index for seen in diagnosis.evidence]
    for part in told["deciding_slices"]:
        n = diagnosis.slices.index(part["index"])
        assert part["z_mm"] == pytest.approx(analysis.volume.geometry.slice_z_mm()[part["index"]])
        assert part["probability"] == pytest.approx(diagnosis.probabilities[n, diagnosis.label], abs=1e-6)
        assert part["label"] == told["label"]
    assert told["classifier"]["backbone"] == "EfficientNetB5"
    assert told["classifier"]["classes"] == ["normal", "CAP", "COVID-19"]


def test_result_says_which_weights_it_depends_on(factory):
    report = build_report(factory.make_diagnosed())
    assert report["provenance"]["classifier"] == {"name": "net", "sha256": "ab" * 32}
    assert report["classification"]["classifier"]["sha256"] == "ab" * 32
    assert "classifier" not in build_report(factory.make_analysis())["provenance"]


def test_diagnosis_alone_says_the_same_in_the_same_fields(factory):
    analysis = factory.make_diagnosed()
    found, report = build_classification(ClassifiedCt.of(analysis)), build_report(analysis)
    for field in ("schema_version", "research_use", "input", "lungs", "classification", "quality"):
        assert found[field] == report[field], field
    schema = report_schema()
    schema["required"] = ["classification", "input", "quality"]
    schema["properties"]["provenance"]["required"] = ["version", "classifier"]
    jsonschema.validate(found, schema)
    file = io.StringIO()
    write_classification_report(ClassifiedCt.of(analysis), file)
    assert json.loads(file.getvalue()) == found


def test_analysis_without_a_diagnosis_has_none_to_show(factory):
    with pytest.raises(ValueError, match="holds no diagnosis"):
        ClassifiedCt.of(factory.make_analysis())


@pytest.mark.parametrize(
    ("shares", "decimals", "expected"),
    [
        ((1, 1, 1), 4, [0.3334, 0.3333, 0.3333]),
        ((0.12345, 0.5, 0.37655), 2, [0.12, 0.5, 0.38]),
        ((0.005, 0.005, 0.99), 2, [0.01, 0.0, 0.99]),
        ((0, 0, 2), 3, [0.0, 0.0, 1.0]),
    ],
)
def test_rounded_probabilities_add_up_to_one(shares, decimals, expected):
    assert rounded_shares(np.array(shares, dtype=float), decimals) == expected
    assert sum(expected) == pytest.approx(1)


# Summary


def test_summary_tells_diagnosis_votes_probabilities_and_classifier(factory):
    analysis = factory.make_diagnosed()
    diagnosis, text = analysis.classification, summary_text(analysis)
    (line,) = (line for line in text.splitlines() if line.startswith("Diagnosis "))
    assert line.startswith(f"Diagnosis {DIAGNOSIS_NAMES[diagnosis.label]} by net (SHA-256 abababababab): votes of ")
    assert f"COVID-19 {diagnosis.vote.weights[2]:.1f}, CAP {diagnosis.vote.weights[1]:.1f}" in " ".join(text.split())
    assert f"not calibrated: COVID-19 {diagnosis.mean_probabilities[2]:.2f}" in text
    assert max(map(len, text.splitlines())) <= 100
    alone = classification_text(ClassifiedCt.of(analysis)).splitlines()
    assert alone[0] == line
    assert all(line in text.splitlines() for line in alone)


def test_summary_without_a_diagnosis_says_why_in_one_line(factory):
    plain, open_ = summary_text(factory.make_analysis()), summary_text(factory.make_analysis(classification_reason=""))
    assert set(plain.splitlines()) - set(open_.splitlines()) == {"no weights are installed"}


# Page


@pytest.mark.slow
def test_page_is_the_same_every_time_and_holds_no_date(factory):
    found = ClassifiedCt.of(factory.make_diagnosed(factory.make_chest((6, 24, 32))))
    first, second = io.BytesIO(), io.BytesIO()
    write_classification_page(found, first)
    write_classification_page(found, second)
    assert first.getvalue() == second.getvalue()
    image = Image.open(first)
    assert image.info.keys() <= {"dpi"}
    assert 1800 <= image.size[0] <= 2400


def test_page_says_what_was_found_by_what_and_what_it_is_not(factory):
    found = ClassifiedCt.of(factory.make_diagnosed())
    text = texts_of(drawn(found))
    vote = found.diagnosis.vote
    label = found.diagnosis.label
    assert DIAGNOSIS_NAMES[label] in text
    assert f"vote {vote.weights[label]:.1f} of {vote.total:.1f}" in text
    assert "Classifier net: EfficientNetB5, 512 × 512, SHA-256 abababababab" in text
    for said in ("Research use only", "not calibrated", "it marks no lesion", "Where the network looked for"):
        assert said in " ".join(text.split())


def test_page_begins_its_notes_with_a_diagnosis_that_the_severity_contradicts(factory):
    told = [QualityNote(f"note_{n}", NoteSeverity.WARNING, f"Warning number {n}.") for n in range(9)]
    contradiction = QualityNote("diagnosis_contradicts_infection", NoteSeverity.WARNING, "One of them is wrong.")
    found = dataclasses.replace(ClassifiedCt.of(factory.make_diagnosed()), quality=(contradiction, *told))
    notes = [line for line in texts_of(drawn(found)).splitlines() if line.startswith("Warning: ")]
    assert notes[:2] == ["Warning: One of them is wrong.", "Warning: Warning number 8."]


@pytest.mark.slow
def test_legend_of_the_page_names_the_outlines_that_are_drawn(factory):
    found = ClassifiedCt.of(factory.make_diagnosed())
    opacities = ["ground-glass opacity", "consolidation"]
    for page, named in ((found, ["lung", *opacities]), (dataclasses.replace(found, infection=None), ["lung"])):
        legends = [axes.get_legend() for axes in drawn(page).axes if axes.get_legend()]
        assert named in [[text.get_text() for text in legend.texts] for legend in legends]


@pytest.mark.slow
def test_slice_in_which_no_place_speaks_for_the_diagnosis_says_so(factory):
    said = "no place speaks for it"
    assert said not in texts_of(drawn(ClassifiedCt.of(factory.make_diagnosed())))
    empty = factory.make_diagnosed(attention=np.zeros((4, 4), np.float32))
    assert texts_of(drawn(ClassifiedCt.of(empty))).count(said) == len(empty.classification.evidence)


def unusual(factory, case):
    chest = factory.make_chest((8, 24, 32))
    if case == "one slice":
        found = ClassifiedCt.of(factory.make_diagnosed(factory.make_chest((3, 24, 32))))
        assert len(found.diagnosis.slices) == 1
        return found
    if case == "diagnosis alone":
        return dataclasses.replace(ClassifiedCt.of(factory.make_diagnosed(chest)), infection=None)
    if case == "unknown classifier":
        found = ClassifiedCt.of(factory.make_diagnosed(chest))
        return dataclasses.replace(found, diagnosis=dataclasses.replace(found.diagnosis, classifier=None))
    if case == "one lung":
        return ClassifiedCt.of(factory.make_diagnosed(factory.make_chest((8, 24, 32), sides=(Side.LEFT,))))
    volume = factory.make_volume(
        chest.hu, spacing_mm=(0.7, 0.7, 8.0), name="患者_" + "long_name_" * 20 + "$x^2$.nii.gz"
    )
    found = ClassifiedCt.of(factory.make_diagnosed(chest, volume))
    known = dataclasses.replace(found.diagnosis.classifier, name="$" + "weights_" * 30)
    return dataclasses.replace(found, diagnosis=dataclasses.replace(found.diagnosis, classifier=known))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["one slice", "diagnosis alone", "unknown classifier", "one lung", "long names"])
def test_unusual_cases_give_a_page(factory, case):
    assert picture(drawn(unusual(factory, case))).std() > 20


def oblong(factory, attention):
    """A chest whose slices are no squares and whose pixels are no squares either."""
    chest = factory.make_chest((6, 40, 90))
    return factory.make_diagnosed(chest, factory.make_volume(chest.hu, spacing_mm=(0.9, 1.7, 5.0)), attention)


@pytest.mark.parametrize(("row", "column"), CORNERS)
def test_evidence_in_a_corner_of_the_slice_lies_in_that_corner(factory, row, column):
    attention = np.zeros((4, 7), np.float32)
    attention[row, column] = 1
    found = ClassifiedCt.of(oblong(factory, attention))
    full = tuple(slice(0, size) for size in found.volume.hu.shape)
    strength = views.attention_on(views.classified_view(found, 3, full), attention, found)
    assert strength.shape == (40, 90)
    assert strength[row, column] == 1
    height, width = 40 // 4, 90 // 7
    inside = np.zeros((40, 90), bool)
    inside[
        slice(0, height) if row == 0 else slice(-height, None), slice(0, width) if column == 0 else slice(-width, None)
    ] = 1
    assert strength[inside].min() > 0.24  # linear between cells: a quarter where four cells meet
    assert strength[~inside].max() < 0.55
    assert strength.sum() == pytest.approx(strength[inside].sum() + strength[~inside].sum())
    assert np.count_nonzero(strength) <= (2 * height) * (2 * width)


def test_part_of_a_slice_shows_that_part_of_the_map(factory):
    attention = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    found = ClassifiedCt.of(oblong(factory, attention))
    full, part = (slice(0, 6), slice(0, 40), slice(0, 90)), (slice(0, 6), slice(11, 31), slice(22, 77))
    of_all = views.attention_on(views.classified_view(found, 3, full), attention, found)
    of_part = views.attention_on(views.classified_view(found, 3, part), attention, found)
    np.testing.assert_allclose(of_part, of_all[11:31, 22:77], atol=1e-9)


def test_map_as_fine_as_the_slice_is_shown_as_it_is(factory):
    attention = np.random.default_rng(0).random((40, 90), dtype=np.float32)
    found = ClassifiedCt.of(oblong(factory, attention))
    full = tuple(slice(0, size) for size in found.volume.hu.shape)
    shown = views.attention_on(views.classified_view(found, 3, full), attention, found)
    np.testing.assert_allclose(shown, attention, atol=1e-6)


def centre_of_change(before, after):
    """Row and column, as parts of the page, about which two pictures of the page's lower tiles differ."""
    height = before.shape[0]
    tiles = slice(int(0.35 * height), int(0.58 * height))
    change = np.abs(after - before).sum(axis=-1)[tiles, : before.shape[1] // 4].astype(float)
    rows, columns = np.indices(change.shape)
    return (rows * change).sum() / change.sum() / height, (columns * change).sum() / change.sum() / before.shape[1]


@pytest.mark.parametrize(
    ("row", "column"), [(1, 6), *(pytest.param(*place, marks=pytest.mark.slow) for place in ((1, 1), (3, 1), (3, 6)))]
)
def test_evidence_is_drawn_over_the_place_that_it_is_of(factory, row, column):
    """A cell of the map, and what lies in the CT under that cell, change the same place of the page."""
    cells = np.full((5, 8), HARDLY, np.float32)
    nothing = oblong(factory, cells.copy())
    cells[row, column] = 1
    evidence = oblong(factory, cells)
    hu = np.array(nothing.volume.hu)
    hu[:, row * 8 : (row + 1) * 8, round(column * 90 / 8) : round((column + 1) * 90 / 8)] = 1500
    spot = dataclasses.replace(nothing, volume=dataclasses.replace(nothing.volume, hu=hu))
    blank, lit, marked = (picture(drawn(ClassifiedCt.of(one))) for one in (nothing, evidence, spot))
    assert centre_of_change(blank, lit) == pytest.approx(centre_of_change(blank, marked), abs=0.012)


@pytest.mark.slow
def test_patients_right_is_on_the_left_of_the_page(factory):
    """Evidence in the first columns is the patient's right, and is drawn on the side of the letter R."""
    cells = np.full((4, 6), HARDLY, np.float32)
    blank = picture(drawn(ClassifiedCt.of(oblong(factory, cells.copy()))))
    cells[:, :2] = 1
    figure = drawn(ClassifiedCt.of(oblong(factory, cells)))
    tile = next(axes for axes in figure.axes if any("Grad-CAM" in text.get_text() for text in axes.texts))
    letters = {text.get_text(): text.get_position()[0] for text in tile.texts}
    _, column = centre_of_change(blank, picture(figure))
    left, _, width, _ = tile.get_position().bounds
    assert letters["R"] < 0.1 < 0.9 < letters["L"]
    assert column < left + 0.4 * width


def test_no_attention_is_not_to_be_seen_and_all_of_it_leaves_the_ct_readable():
    colours = attention_colours(np.array([[0.0, 0.5, 1.0]]))
    assert colours[0, :, 3].tolist() == [0.0, MOST_OPAQUE / 2, MOST_OPAQUE]
    luminance = attention_colours(np.linspace(0, 1, 20))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()


@pytest.mark.slow
def test_overview_names_the_diagnosis_and_is_as_before_without_one(factory):
    def page(analysis):
        figure = Figure(figsize=PAGE_INCHES, dpi=60)
        FigureCanvasAgg(figure)
        overview._draw_page(figure, analysis)
        return picture(figure)

    chest = factory.make_chest((4, 24, 32))
    plain, diagnosed = factory.make_analysis(chest), factory.make_diagnosed(chest)
    without = dataclasses.replace(diagnosed, classification=None)
    before, after = page(plain), page(diagnosed)
    np.testing.assert_array_equal(page(without), before)
    header = int(0.09 * len(before))
    assert (after[:header] != before[:header]).any()
    np.testing.assert_array_equal(after[header + 5 :], before[header + 5 :])
